"""L-BFGS as a transform, and the searches that transforms make."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing.fixtures import precision
from tests.optimizers.oracles import descent

CURVATURES = np.logspace(-1, 1, 6)
START = np.array([0.3, -0.6, 0.2, 0.5, -0.3, 0.6])


def bowl(x):
    return jnp.sum(jnp.asarray(CURVATURES, x.dtype) * x**2) / 2 + jnp.sum(x**4) / 4


def gradient(x):
    return CURVATURES * x + x**3


@functools.partial(jax.jit, static_argnames="f")
def step(tx, state, x, f):
    """One update with all that it needs: (new parameters, state)."""
    value, grad = jax.value_and_grad(f)(x)
    updates, state = tx.update(grad, state, x, value=value, grad=grad, value_fn=f)
    return fg.apply_updates(x, updates), state


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scaled", [True, False])
def test_direction_is_that_of_the_two_loops(dtype, scaled):
    tx = fg.lbfgs(0.2, memory_size=4, scale_init_precond=scaled, linesearch=None)

    @jax.jit
    def run(x):
        def step(carry, _):
            x, state = carry
            updates, state = tx.update(jax.grad(bowl)(x), state, x)
            return (fg.apply_updates(x, updates), state), None

        return jax.lax.scan(step, (x, tx.init(x)), length=20)[0]

    with precision(dtype):
        x, state = run(jnp.asarray(START, dtype))
    expected = descent.lbfgs(START, gradient, 0.2, 4, 20, scaled)
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-12 if dtype == "float64" else 1e-4)
    assert int(fg.tree.get(state, "count")) == 20


def test_parameters_that_did_not_move_forget_the_pairs():
    tx, x = fg.scale_by_lbfgs(), jnp.asarray(START, jnp.float32)
    g = jax.grad(bowl)(x)
    _, state = tx.update(g, tx.init(x), x)
    _, state = tx.update(jax.grad(bowl)(0.9 * x), state, 0.9 * x)
    assert int(jnp.sum(state.memory.sy > 0)) == 1
    u, state = tx.update(jax.grad(bowl)(0.9 * x), state, 0.9 * x)
    assert int(jnp.sum(state.memory.sy > 0)) == 0
    g = gradient(0.9 * START)
    np.testing.assert_allclose(u, g / np.linalg.norm(g), rtol=1e-5)


def test_a_gradient_that_is_not_finite_spoils_no_pair():
    tx, x = fg.scale_by_lbfgs(), jnp.asarray(START, jnp.float32)
    state = tx.init(x)
    for scale in (1.0, 0.9):
        _, state = tx.update(jax.grad(bowl)(scale * x), state, scale * x)
    _, bad = tx.update(jnp.full(6, jnp.nan), state, 0.8 * x)
    np.testing.assert_array_equal(bad.memory.inverse, state.memory.inverse)
    for scale in (0.7, 0.6):
        u, bad = tx.update(jax.grad(bowl)(scale * x), bad, scale * x)
    assert np.isfinite(u).all()
    assert int(jnp.sum(bad.memory.sy > 0)) == 2


ZOOM = fg.scale_by_zoom_linesearch(20)
BACK = fg.scale_by_backtracking_linesearch(30, store_grad=True)
HAGER_ZHANG = fg.scale_by_linesearch(fg.HagerZhang(), "one")
SEARCHES = pytest.mark.parametrize("search", [ZOOM, BACK, HAGER_ZHANG], ids=lambda tx: type(tx).__name__)


def parabola(x):
    return 5 * x**2


def test_backtracking_multiplies_by_its_factors():
    tx = fg.chain(fg.sgd(1.0), BACK)
    x, state = step(tx, tx.init(1.0), 1.0, parabola)
    enough = [5 * (1 - 10 * 0.8**k) ** 2 <= 5 - 1e-4 * 0.8**k * 100 for k in range(20)]
    k = enough.index(True)
    assert float(state[1].learning_rate) == pytest.approx(0.8**k)
    assert int(state[1].info.num_linesearch_steps) == k + 1
    assert (float(state[1].value), float(state[1].grad)) == pytest.approx((5 * float(x) ** 2, 10 * float(x)))
    _, state = step(tx, state, x, parabola)
    first = 1.5 * 0.8**k  # of the second update; 0.2 is where decrease becomes sufficient
    assert float(state[1].learning_rate) == pytest.approx(
        next(first * 0.8**j for j in range(9) if first * 0.8**j < 0.2)
    )


def test_tolerances_of_backtracking():
    for options in ({"atol": 406.0}, {"rtol": 81.2}):  # f rises from 5 to 405 at α = 1
        tx = fg.chain(fg.sgd(1.0), fg.scale_by_backtracking_linesearch(30, **options))
        x, state = step(tx, tx.init(1.0), 1.0, parabola)
        assert float(x) == -9
        assert state[1].grad is None
        assert float(state[1].info.decrease_error) == 0


def hill(x):
    return jnp.sin(3 * x) + 0.1 * x**2 + 0.2 * x


@pytest.mark.parametrize("rate", [1e-3, 0.1, 30.0])
def test_zoom_ends_where_the_wolfe_conditions_hold(rate):
    tx = fg.chain(fg.sgd(rate), ZOOM)
    x, state = step(tx, tx.init(0.3), 0.3, hill)
    slope = jax.grad(hill)(0.3)
    change, left = float(x - 0.3) * float(slope), float(jax.grad(hill)(x) / slope)
    assert float(hill(x) - hill(0.3)) <= 1e-4 * change < 0
    assert abs(left) <= 0.9
    assert float(state[1].info.decrease_error) == float(state[1].info.curvature_error) == 0
    assert float(state[1].value) == pytest.approx(float(hill(x)), rel=1e-6)


def far(x):
    return jnp.exp(-x / 100)


def test_limits_of_zoom():
    def at(**options):
        tx = fg.chain(fg.sgd(100.0), fg.scale_by_zoom_linesearch(20, **options))  # the direction has length 1
        x, state = step(tx, tx.init(0.0), 0.0, far)
        return float(x), int(state[1].info.num_linesearch_steps), float(state[1].info.curvature_error)

    # |φ′(α)| = e^{−α/100}/100 is 0.9 of what it was at α = 10.5
    free, limited, loose, slow = at(), at(max_learning_rate=3.0), at(curv_rtol=jnp.inf), at(increase_factor=2.0)
    assert free[0] > 10.5
    assert limited[:2] == (3.0, 2)
    assert limited[2] == pytest.approx((np.exp(-0.03) - 0.9) / 100, rel=1e-4)
    assert loose == (1.0, 1, 0.0)
    assert slow[:2] == (16.0, 5)


def barrier(x):
    return 10 * x - jnp.log(x)  # NaN below 0


@SEARCHES
def test_a_first_trial_that_is_not_finite_is_too_far(search):
    tx = fg.chain(fg.sgd(1.0), search)
    x, state = step(tx, tx.init(0.5), 0.5, barrier)
    assert float(barrier(x)) < float(barrier(0.5))
    assert not bool(state[1].info.failed)
    assert int(state[1].info.num_linesearch_steps) > 1


def spike(x):
    return jnp.where(x == 1, x, 2 - 0 * x)  # what is not at 1 is higher than what is, whatever the slope there


@SEARCHES
def test_a_search_that_fails_moves_nothing_and_says_so(search):
    tx = fg.chain(fg.sgd(1.0), search)
    x, state = step(tx, tx.init(1.0), 1.0, spike)
    last = state[1]
    assert float(x) == 1
    assert bool(last.info.failed)
    assert np.isinf(last.info.decrease_error)
    assert (float(last.value), float(last.grad)) == (1.0, 1.0)
    assert int(last.info.num_linesearch_steps) >= 20
    assert 0 < float(last.learning_rate) < 1e-2  # where the next search begins


@SEARCHES
def test_uphill_there_is_no_trial(search):
    tx = fg.chain(fg.scale(1.0), search)
    x, state = step(tx, tx.init(1.0), 1.0, parabola)
    assert float(x) == 1
    assert bool(state[1].info.failed)
    assert int(state[1].info.num_linesearch_steps) == 0
    x, state = step(tx, state, 0.0, parabola)  # at the minimum nothing fails
    assert float(x) == 0
    assert not bool(state[1].info.failed)


def test_other_extras_reach_the_function_that_takes_them():
    def f(x, target):
        return (x - target) ** 2

    tx = fg.chain(fg.sgd(0.5), BACK)
    value_and_grad = fg.value_and_grad_from_state(f)
    value, grad = value_and_grad(0.0, 3.0, state=tx.init(0.0))
    extra = {"value": value, "grad": grad, "value_fn": f, "target": 3.0, "key": jax.random.key(0)}
    updates, state = tx.update(grad, tx.init(0.0), 0.0, **extra)
    assert float(updates) == 3
    assert float(state[1].value) == 0


def test_what_the_search_found_is_not_computed_again():
    calls = []

    def f(x):
        calls.append(1)
        return jnp.sum(jnp.abs(x - (1 + 2j)) ** 2)

    tx, x = fg.lbfgs(), jnp.zeros(2, jnp.complex64)
    value_and_grad = fg.value_and_grad_from_state(f)
    state = tx.init(x)
    value, grad = value_and_grad(x, state=state)
    assert len(calls) == 1
    ascent = jnp.conj(grad)
    updates, state = tx.update(ascent, state, x, value=value, grad=ascent, value_fn=f)
    x = fg.apply_updates(x, updates)
    calls.clear()
    found = value_and_grad(x, state=state)
    assert not calls
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, jax.value_and_grad(f)(x))


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_step_increases_the_objective_unless_the_state_says_so(dtype):
    """Until long after the precision is exhausted."""
    tx = fg.lbfgs()

    def f(x):
        return 1 + rosenbrock(0.7 * jnp.asarray(x, jnp.float32))

    @jax.jit
    def run(x):
        def one(carry, _):
            x, state = step(tx, carry[1], carry[0], f)
            info = fg.tree.get(state, "info")
            return (x, state), (f(x), info.decrease_error, info.failed)

        return jax.lax.scan(one, (x, tx.init(x)), length=120)

    start = jnp.zeros(4, dtype)
    (x, _), (values, errors, failed) = run(start)
    assert x.dtype == dtype
    rises = np.diff(np.append(f(start), values)) > 0
    assert not (rises & (errors == 0)).any()
    assert (np.diff(values)[failed[1:]] == 0).all()
    assert float(values[-1]) < (1 + 1e-6 if dtype == "float32" else 2.0)
    assert failed.any() or dtype == "float32"


def test_in_the_loops():
    f = fg.problems.rosenbrock().fun
    run = fg.minimize(f, [-1.2, 1.0], fg.lbfgs(linesearch=fg.HagerZhang()), max_steps=60, record=True)
    assert float(run.value) < 1e-8
    data = {"x": jnp.linspace(-1, 1, 16)}

    def loss(params, batch):
        return jnp.mean((params["w"] * batch["x"] + params["b"] - 3 * batch["x"] + 1) ** 2)

    zeros = {"w": jnp.zeros(()), "b": jnp.zeros(())}
    fitted = fg.fit(loss, zeros, fg.lbfgs(), data, batch_size=None, epochs=8, key=jax.random.key(0), progress=False)
    assert (float(fitted.params["w"]), float(fitted.params["b"])) == pytest.approx((3, -1), abs=1e-3)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: fg.scale_by_zoom_linesearch(20, verbose=True), "scale_by_zoom_linesearch: `verbose`"),
        (lambda: fg.scale_by_backtracking_linesearch(0), "scale_by_backtracking_linesearch: `max_backtracking_steps`"),
        (lambda: fg.scale_by_zoom_linesearch(20, slope_rtol=0.3, curv_rtol=0.2), "`slope_rtol` must be at most"),
        (lambda: fg.scale_by_zoom_linesearch(20, initial_guess_strategy="two"), "`initial_guess_strategy`.*'keep'"),
        (lambda: fg.lbfgs(linesearch=3.0), "lbfgs: expected a transform"),
        (lambda: fg.lbfgs(memory_size=0), "lbfgs: `memory_size`"),
        (lambda: fg.value_and_grad_from_state(hill)(0.0, state=fg.sgd(0.1).init(0.0)), "`value` is not there"),
        (
            lambda: fg.value_and_grad_from_state(hill)(0.0, state=fg.scale_by_backtracking_linesearch(3).init(0.0)),
            "store_grad=True",
        ),
    ],
)
def test_errors(make, said):
    with pytest.raises((TypeError, ValueError), match=said):
        make()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"value_fn": None}, "needs `value_fn`"),
        ({"value_fn": 3.0}, "`value_fn` must be a function"),
        ({"value_fn": lambda x: x * jnp.ones(2)}, r"`value_fn\(params\)` must be a real floating scalar"),
        ({"value": jnp.ones(2)}, "`value` must be a real floating scalar"),
        ({"grad": jnp.ones(2)}, "`grad` must be of shape"),
    ],
)
def test_errors_of_extras(wrong, said):
    extra = {"value": 5.0, "grad": 10.0, "value_fn": parabola} | wrong
    with pytest.raises((TypeError, ValueError), match=f"scale_by_zoom_linesearch.update: .*{said}"):
        ZOOM.update(-10.0, ZOOM.init(1.0), 1.0, **extra)
