"""minimize: one compiled loop, its stopping rules, its results, under jit and vmap."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg


def bowl(x, centre=1.0):
    return jnp.sum((x - centre) ** 2)


def test_fun_is_traced_once_and_numbers_do_not_recompile():
    traces = []

    def counted(x, centre):
        traces.append(1)
        return bowl(x, centre), {"x": x}

    for rate, centre, steps, tolerance in ((0.1, 1.0, 10, 1e-3), (0.2, 2.0, 20, 1e-6), (0.3, 3.0, 30, 1e-4)):
        rule = fg.stop.gradient_norm(tolerance)
        fg.minimize(counted, jnp.zeros(2), fg.adam(rate), args=(centre,), max_steps=steps, stop=rule, has_aux=True)
    assert len(traces) == 1


def test_values_and_points_are_recorded_from_the_start_to_the_end():
    run = fg.minimize(bowl, jnp.zeros(2), fg.sgd(0.25), max_steps=3, record=True)
    np.testing.assert_allclose(run.history["params"][:, 0], [0, 0.5, 0.75, 0.875])
    np.testing.assert_allclose(run.history["value"], [2, 0.5, 0.125, 0.03125])
    np.testing.assert_allclose(run.history["gradient_norm"], 2 * np.sqrt(run.history["value"]), rtol=1e-6)
    assert int(run.steps) == 3
    assert float(run.value) == 0.03125  # the value at the last point is known


def test_zero_steps_evaluate_the_start():
    run = fg.minimize(bowl, jnp.zeros(2), fg.sgd(0.25), max_steps=0, record=True)
    assert (int(run.steps), float(run.value), run.reason) == (0, 2.0, fg.StopReason.MAX_STEPS)
    assert run.history["value"].tolist() == [2.0]


def test_best_is_kept_when_descent_goes_up():
    run = fg.minimize(bowl, jnp.array([3.0]), fg.sgd(1.5), max_steps=4)  # every step doubles the distance
    assert run.best.tolist() == [3.0]
    assert float(run.value) == 4.0
    assert run.params.tolist() == [1 + 2 * 2.0**4]


def test_non_finite_values_end_at_the_last_good_point():
    run = fg.minimize(jnp.log, 1.0, fg.sgd(0.4), max_steps=50, record=True)
    # 1 → 0.6 → −0.067: the logarithm of the third is NaN
    np.testing.assert_allclose(float(run.params), 0.6, rtol=1e-6)
    assert (int(run.steps), run.reason) == (1, fg.StopReason.NON_FINITE)
    assert not run.reason.converged
    start = fg.minimize(lambda x: jnp.log(-x), 1.0, fg.sgd(0.4), max_steps=50)
    assert (float(start.params), int(start.steps), start.reason) == (1.0, 0, fg.StopReason.NON_FINITE)


@pytest.mark.parametrize(
    ("rule", "steps", "reason"),
    [
        (fg.stop.gradient_norm(0.5), 2, "GRADIENT_NORM"),  # ‖∇f‖ = 2, 1, 0.5, …
        (fg.stop.target_value(0.1), 2, "TARGET_VALUE"),  # f = 1, 0.25, 0.0625, …
        (fg.stop.step_size(0.1), 4, "STEP_SIZE"),  # ‖x_k − x_{k−1}‖ = ½, ¼, ⅛, 1/16
        (fg.stop.gradient_norm(0.5) | fg.stop.target_value(0.3), 1, "TARGET_VALUE"),
        (fg.stop.gradient_norm(0.5) & fg.stop.target_value(0.3), 2, "GRADIENT_NORM"),
        (fg.stop.step_size(0.1) | fg.stop.gradient_norm(0.0), 4, "STEP_SIZE"),
        (None, 9, "MAX_STEPS"),
    ],
    ids=repr,
)
def test_stopping_rules(rule, steps, reason):
    run = fg.minimize(lambda x: (x - 1) ** 2, 0.0, fg.sgd(0.25), max_steps=9, stop=rule)
    assert (int(run.steps), run.reason.name) == (steps, reason)
    np.testing.assert_allclose(float(run.params), 1 - 0.5**steps)


def test_members_that_finish_are_frozen_under_vmap():
    def run(tx):
        return fg.minimize(bowl, jnp.zeros(1), tx, max_steps=100, stop=fg.stop.gradient_norm(1e-3))

    rates = (0.1, 0.25, 0.5)
    together = jax.vmap(run)(fg.stack([fg.sgd(rate) for rate in rates]))
    for i, rate in enumerate(rates):
        alone = run(fg.sgd(rate))
        assert int(together.steps[i]) == int(alone.steps)
        assert fg.StopReason(int(together.reason[i])) is alone.reason
        np.testing.assert_allclose(together.params[i], alone.params, rtol=1e-6)
    assert len(set(together.steps.tolist())) == 3


def test_row_25_several_starts_find_the_global_minimum():
    """A local minimum at x > 0, the global one at x < 0."""

    def f(x):
        return x**4 - 2 * x**2 + 0.5 * x

    starts = jnp.linspace(-2.0, 2.0, 9)
    runs = jax.vmap(lambda x0: fg.minimize(f, x0, fg.sgd(0.02), max_steps=500))(starts)
    best = runs.best[jnp.argmin(runs.value)]
    roots = np.roots([4, 0, -4, 0.5])
    np.testing.assert_allclose(best, roots[np.argmin(np.polyval([1, 0, -2, 0.5, 0], roots))], rtol=1e-3)
    assert (runs.best > 0.5).any()


def test_row_25_zeros_stay_alike_and_the_best_of_many_random_starts_is_kept():
    """XOR: from zeros only the mean is learnt, with loss ¼; random starts end differently."""
    x = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    model = fg.multilayer_perceptron([2, 2, 1], "tanh")

    def loss(params):
        return jnp.mean((model.apply(params, x)[:, 0] - jnp.array([0.0, 1.0, 1.0, 0.0])) ** 2)

    randomly = jax.vmap(model.init)(jax.random.split(jax.random.key(0), 8))
    starts = jax.tree.map(lambda p: jnp.concatenate([jnp.zeros_like(p[:1]), p]), randomly)
    runs = jax.vmap(lambda start: fg.minimize(loss, start, fg.adam(0.05), max_steps=400))(starts)
    assert float(runs.value[0]) == pytest.approx(0.25, abs=1e-6)
    assert not np.any(runs.params[0]["w"][0])
    best = jax.tree.map(lambda p: p[jnp.argmin(runs.value)], runs.best)
    assert loss(best) < 1e-6 < 1e-3 < runs.value[1:].max()


def test_under_jit_the_reason_is_its_code():
    code = jax.jit(lambda x0: fg.minimize(bowl, x0, fg.sgd(0.5), max_steps=5).reason)(jnp.zeros(1))
    assert fg.StopReason(int(code)) is fg.StopReason.MAX_STEPS


def test_trees_arguments_and_aux():
    def f(x, data, scale):
        residual = data["a"] * x["w"] + x["b"] - data["y"]
        return scale * jnp.mean(residual**2), residual

    data = {"a": jnp.array([0.0, 1.0, 2.0]), "y": jnp.array([1.0, 3.0, 5.0])}
    x0 = {"w": 0.0, "b": jnp.zeros(()), "label": "line", "order": jnp.arange(2)}
    run = fg.minimize(f, x0, fg.adam(0.1), args=(data, 2.0), max_steps=800, has_aux=True)
    np.testing.assert_allclose([float(run.params["w"]), float(run.params["b"])], [2, 1], atol=1e-3)
    assert run.params["label"] == "line"
    np.testing.assert_allclose(run.aux, np.zeros(3), atol=1e-2)


def test_a_method_is_anything_with_init_and_step():
    @fg.value
    class newton:
        def init(self, fun, x, args):
            return ()

        def step(self, fun, x, state, args):
            f, aux = fun(x, args)
            g = jax.grad(lambda x: fun(x, args)[0])(x)
            h = jax.hessian(lambda x: fun(x, args)[0])(x)
            return x - jnp.linalg.solve(h, g), state, fg.Evaluation(f, fg.tree.norm(g), aux)

    a = jnp.array([[3.0, 1.0], [1.0, 2.0]])
    run = fg.minimize(lambda x: x @ a @ x / 2 - x.sum(), jnp.zeros(2), newton(), max_steps=1)
    np.testing.assert_allclose(run.params, np.linalg.solve(a, np.ones(2)), rtol=1e-5)


def test_the_state_goes_on():
    tx = fg.sgd(0.05, momentum=0.9)
    whole = fg.minimize(bowl, jnp.zeros(2), tx, max_steps=20)
    updates, _ = tx.update(jax.grad(bowl)(whole.params), whole.state, whole.params)
    longer = fg.minimize(bowl, jnp.zeros(2), tx, max_steps=21)
    np.testing.assert_allclose(fg.apply_updates(whole.params, updates), longer.params, rtol=1e-5)


def valley(x, bend=1.0):
    return jnp.sum((1 - x) ** 2) + bend * jnp.sum((x[1:] - x[:-1] ** 2) ** 2)


def test_the_clock_changes_no_digit(x64, monkeypatch):
    """Whatever the chunks. The loop without a clock is another program: XLA may round otherwise in it."""

    def run(stop):
        x0 = jnp.array([-1.0, 2.0, 0.5])
        return fg.minimize(valley, x0, fg.sgd(0.01), max_steps=300, stop=stop, record=True)

    late = fg.stop.wall_time(1e6)
    for rule in (None, fg.stop.gradient_norm(1.0)):
        clocked = late if rule is None else rule | late
        runs = [run(rule), run(clocked)]
        for seconds in (0, 1e6):  # chunks of one step, and chunks that always double
            monkeypatch.setattr("funcgd.training.minimize_loop.CHUNK_SECONDS", seconds)
            runs.append(run(clocked))
        plain, measured, single, doubling = runs
        jax.tree.map(np.testing.assert_array_equal, single, doubling)
        jax.tree.map(np.testing.assert_array_equal, single, measured)
        assert jax.tree.structure(plain) == jax.tree.structure(single)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), plain, single)
        assert plain.reason is single.reason
        assert 10 < int(plain.steps) == int(single.steps) <= 300


def test_time_runs_out_after_many_chunks_of_one_program():
    traces = []

    @fg.value
    class watched(fg.StopRule):
        def test(self, progress, state):
            traces.append(progress.seconds)
            return jnp.int32(0), state

    def run(seconds):
        stop = watched() | fg.stop.wall_time(seconds)
        return fg.minimize(valley, jnp.zeros(2), fg.sgd(1e-7), max_steps=2_000_000_000, stop=stop)

    assert int(run(0.0).steps) == 0  # compiles
    began = time.perf_counter()
    result = run(0.4)
    seconds = time.perf_counter() - began
    assert result.reason is fg.StopReason.WALL_TIME
    assert 0.4 <= seconds < 20
    assert int(result.steps) > 1000  # chunks begin with one step, and have grown
    assert float(result.value) < 2  # the value at the start
    assert len(traces) == 1


def test_no_time_at_all_still_evaluates_the_start():
    run = fg.minimize(bowl, jnp.zeros(2), fg.sgd(0.1), max_steps=5, stop=fg.stop.wall_time(0.0))
    assert (int(run.steps), float(run.value), run.reason.name) == (0, 2.0, "WALL_TIME")


def clocked(x0=0.0, centre=1.0, rate=0.1, seconds=1.0):
    stop = fg.stop.target_value(0.0) | fg.stop.wall_time(seconds)
    return fg.minimize(bowl, x0, fg.sgd(rate), args=(centre,), max_steps=2, stop=stop).value


@pytest.mark.parametrize(
    "call",
    [
        lambda: jax.jit(lambda: clocked())(),
        lambda: jax.jit(lambda x: clocked(x0=x))(1.0),
        lambda: jax.vmap(lambda c: clocked(centre=c))(jnp.ones(2)),
        lambda: jax.grad(lambda r: clocked(rate=r))(0.1),
        lambda: jax.vmap(lambda s: clocked(seconds=s))(jnp.ones(2)),
        lambda: jax.vmap(
            lambda c: fg.minimize(lambda x: (x - c) ** 2, 0.0, fg.sgd(0.1), max_steps=2, stop=fg.stop.wall_time(1))
        )(jnp.ones(2)),
    ],
    ids=["jit", "jit of x0", "vmap of args", "grad of method", "vmap of stop", "vmap of fun"],
)
def test_the_clock_is_refused_under_an_outer_trace(call):
    with pytest.raises(ValueError, match=r"minimize: .*wall_time.* outside of jit, vmap and grad"):
        call()


def refused(method=None, **options):
    return fg.minimize(bowl, 1.0, method or fg.sgd(0.1), max_steps=1, **options)


@fg.value
class noisy(fg.Transform):
    """A transform that cannot do without a key."""

    needs = frozenset({"key"})

    def init(self, params):
        return fg.EmptyState()

    def update(self, grads, state, params=None, *, key, **extra):
        return jax.tree.map(lambda g: g * jax.random.normal(key), grads), state


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fg.minimize(lambda x: x, jnp.zeros(2), fg.sgd(0.1), max_steps=1), TypeError, ("real scalar", "(2,)")),
        (lambda: fg.minimize(bowl, jnp.arange(2), fg.sgd(0.1), max_steps=1), TypeError, ("x0", "nothing")),
        (lambda: fg.minimize(bowl, 1, fg.sgd(0.1), max_steps=1), TypeError, ("x0", "nothing")),
        (lambda: fg.minimize(bowl, 1.0, fg.sgd(0.1), max_steps=-1), ValueError, ("max_steps", "-1")),
        (lambda: fg.minimize(bowl, 1.0, fg.sgd(0.1), max_steps=2.5), ValueError, ("max_steps", "2.5")),
        (lambda: fg.minimize(bowl, 1.0, "sgd", max_steps=1), TypeError, ("transform", "'sgd'")),
        (lambda: fg.minimize(3, 1.0, fg.sgd(0.1), max_steps=1), TypeError, ("fun", "3")),
        (lambda: fg.minimize(bowl, 1.0, fg.sgd(0.1), args=2.0, max_steps=1), TypeError, ("args", "tuple")),
        (lambda: fg.minimize(bowl, 1.0, fg.sgd(0.1), max_steps=1, stop=1e-3), TypeError, ("stop", "0.001")),
        (lambda: refused(noisy()), ValueError, ("method", "keys", "noisy()")),
        (lambda: refused(fg.chain(noisy(), fg.sgd(0.1))), ValueError, ("method", "keys", "noisy()")),
        (lambda: refused(differentiate="adjoint"), ValueError, ("differentiate", "'unroll'", "'implicit'")),
        (lambda: refused(fg.SteepestDescent(), differentiate="unroll"), ValueError, ("differentiate", "Steepest")),
        (
            lambda: refused(differentiate="unroll", stop=fg.stop.wall_time(1.0)),
            ValueError,
            ("stop", "clock", "differentiate"),
        ),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error) as raised:
        call()
    assert all(word in str(raised.value) for word in ("minimize", *words))
