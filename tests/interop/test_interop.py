"""What works together with other libraries: one test for each row of docs/interop.md."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.core.numerics import float64_mode

optax = pytest.importorskip("optax")
eqx = pytest.importorskip("equinox")
flax = pytest.importorskip("flax")
linen = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")
numpyro = pytest.importorskip("numpyro")
grain = pytest.importorskip("grain")
train_state = pytest.importorskip("flax.training.train_state")

X = jnp.linspace(-1.0, 1.0, 32)[:, None]
Y = 3 * X - 1
PARAMS = {"w": jnp.array([1.0, -2.0]), "b": jnp.zeros(())}
GRADS = [jax.tree.map(lambda p, i=i: jnp.sin(p + i), PARAMS) for i in range(5)]


def run(tx, steps=5, apply=fg.apply_updates, **extra):
    params, state = PARAMS, tx.init(PARAMS)
    for grads in GRADS[:steps]:
        updates, state = tx.update(grads, state, params, **extra)
        params = apply(params, updates)
    return params


def same(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-6), a, b)


def test_optax_functions_take_our_updates():
    same(run(fg.adamw(0.1), apply=optax.apply_updates), run(fg.adamw(0.1)))


def test_optax_chain_takes_our_transforms():
    ours = optax.chain(fg.clip_by_global_norm(0.5), optax.scale_by_adam(), fg.scale_by_learning_rate(0.1))
    same(run(ours), run(optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.1))))


def test_our_chain_takes_optax_transforms():
    mixed = fg.chain(optax.clip_by_global_norm(0.5), fg.adam(0.1))
    same(run(mixed), run(fg.chain(fg.clip_by_global_norm(0.5), fg.adam(0.1))))
    assert mixed == fg.chain(mixed.transforms[0], fg.adam(0.1))


def test_our_chain_passes_extras_to_optax_transforms():
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=1)
    assert float(run(fg.chain(fg.sgd(0.1), plateau), value=jnp.float32(1.0))["b"]) != 0


def test_the_plateau_of_optax_on_positive_values():
    values = jnp.asarray([3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.9, 0.9, 0.9], jnp.float32)

    def scales(tx):
        def step(state, value):
            update, state = tx.update(jnp.float32(1), state, value=value)
            return state, update

        return jax.jit(lambda: jax.lax.scan(step, tx.init(jnp.float32(0)), values)[1])()

    theirs = optax.contrib.reduce_on_plateau
    for options in ({"cooldown": 2, "min_scale": 0.3}, {"accumulation_size": 2}, {"rtol": 0.2, "atol": 0.1}):
        found = scales(fg.reduce_on_plateau(0.5, 2, **options))
        np.testing.assert_allclose(found, scales(theirs(0.5, 2, **options)), rtol=1e-6)
        assert found[-1] < 1


def test_optax_chain_drops_extras_for_us():
    """A limit: `optax.chain` calls transforms that are not its own without extras; one that needs them says so."""

    @fg.value
    class needs_value(fg.Transform):
        def init(self, params):
            return fg.EmptyState()

        def update(self, grads, state, params=None, *, value, **extra):
            return grads, state

        @property
        def needs(self):
            return frozenset({"value"})

    chained = optax.chain(needs_value(), optax.sgd(0.1))
    with pytest.raises(ValueError, match=r"needs `value`.*fg\.chain"):
        chained.update(PARAMS, chained.init(PARAMS), PARAMS, value=jnp.float32(1.0))
    run(fg.chain(needs_value(), optax.sgd(0.1)), value=jnp.float32(1.0))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tx: optax.masked(tx, {"w": True, "b": False}),
        lambda tx: optax.multi_transform({"one": tx, "other": optax.set_to_zero()}, {"w": "one", "b": "other"}),
        lambda tx: optax.MultiSteps(tx, every_k_schedule=2),
        lambda tx: optax.apply_if_finite(tx, 2),
        lambda tx: optax.flatten(tx),
    ],
    ids=["masked", "multi_transform", "MultiSteps", "apply_if_finite", "flatten"],
)
def test_optax_wrappers_take_our_optimizers(wrap):
    same(run(wrap(fg.adam(0.1)), 4), run(wrap(optax.adam(0.1)), 4))


def test_optax_schedules_drive_our_optimizers():
    same(run(fg.sgd(optax.linear_schedule(0.1, 0.0, 5))), run(fg.sgd(fg.linear_schedule(0.1, 0.0, 5))))


def test_our_schedules_drive_optax_optimizers():
    same(run(optax.sgd(fg.linear_schedule(0.1, 0.0, 5))), run(fg.sgd(fg.linear_schedule(0.1, 0.0, 5))))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (fg.sgd(0.1), optax.sgd(0.1)),
        (fg.sgd(0.1, momentum=0.9, nesterov=True), optax.sgd(0.1, momentum=0.9, nesterov=True)),
        (fg.adagrad(0.1), optax.adagrad(0.1)),
        (fg.rmsprop(0.1, momentum=0.5), optax.rmsprop(0.1, momentum=0.5)),
        (fg.rmsprop(0.1, centered=True, eps=1e-3), optax.rmsprop(0.1, centered=True, eps=1e-3)),
        (
            fg.rmsprop(0.1, bias_correction=True, eps_in_sqrt=False),
            optax.rmsprop(0.1, bias_correction=True, eps_in_sqrt=False),
        ),
        (fg.adam(0.1), optax.adam(0.1)),
        (fg.adam(0.1, nesterov=True), optax.adam(0.1, nesterov=True)),
        (
            fg.adamw(0.1, weight_decay=0.1, mask={"w": True, "b": False}),
            optax.adamw(0.1, weight_decay=0.1, mask={"w": True, "b": False}),
        ),
        (fg.sign_sgd(0.1), optax.sign_sgd(0.1)),
        (fg.signum(0.1, 0.8), optax.signum(0.1, 0.8)),
        (fg.lion(0.1, 0.8), optax.lion(0.1, 0.8)),
        (fg.adadelta(0.5, weight_decay=0.1), optax.adadelta(0.5, weight_decay=0.1)),
        (fg.nadam(0.1), optax.nadam(0.1)),
        (fg.nadamw(0.1, weight_decay=0.1), optax.nadamw(0.1, weight_decay=0.1)),
        (fg.adamax(0.1, eps=0.1), optax.adamax(0.1, eps=0.1)),
        (fg.adamaxw(0.1, weight_decay=0.1), optax.adamaxw(0.1, weight_decay=0.1)),
        (fg.amsgrad(0.1, eps_root=0.1), optax.amsgrad(0.1, eps_root=0.1)),
        (fg.adabelief(0.1, eps_root=0.1), optax.adabelief(0.1, eps_root=0.1)),
        (fg.adabelief(0.1, eps_root=0.1, nesterov=True), optax.adabelief(0.1, eps_root=0.1, nesterov=True)),
        (fg.radam(0.1, b2=0.5, threshold=4.0), optax.radam(0.1, b2=0.5, threshold=4.0)),
        (fg.radam(0.1, b2=0.99, threshold=4.0), optax.radam(0.1, b2=0.99, threshold=4.0)),
        (fg.radam(0.1, nesterov=True), optax.radam(0.1, nesterov=True)),
        (fg.adopt(0.1), optax.contrib.adopt(0.1)),
        (fg.adopt(0.1, nesterov=True), optax.contrib.adopt(0.1, nesterov=True)),
        (fg.ademamix(0.1, b3=0.9, weight_decay=0.1), optax.contrib.ademamix(0.1, b3=0.9, weight_decay=0.1)),
        (fg.simplified_ademamix(0.1, alpha=2.0), optax.contrib.simplified_ademamix(0.1, alpha=2.0)),
        (fg.optimistic_gradient_descent(0.1, 1.5, 0.5), optax.optimistic_gradient_descent(0.1, 1.5, 0.5)),
        (fg.optimistic_adam(0.1, 0.05), optax.optimistic_adam_v2(0.1, beta=0.5)),
        (fg.optimistic_adam_v2(0.1, beta=0.5), optax.optimistic_adam_v2(0.1, beta=0.5)),
        (fg.prodigy(estim_lr0=0.1, weight_decay=0.1), optax.contrib.prodigy(estim_lr0=0.1, weight_decay=0.1)),
        (
            fg.prodigy(0.5, estim_lr0=0.1, beta3=0.5, safeguard_warmup=True),
            optax.contrib.prodigy(0.5, estim_lr0=0.1, beta3=0.5, safeguard_warmup=True),
        ),
        (fg.dadapt_adamw(estim_lr0=0.1, weight_decay=0.1), optax.contrib.dadapt_adamw(estim_lr0=0.1, weight_decay=0.1)),
        (fg.dog(0.5, weight_decay=0.1), optax.contrib.dog(0.5, weight_decay=0.1)),
        (fg.dog(init_step=("distance", 0.1)), optax.contrib.dog(init_step=("distance", 0.1))),
        (fg.dog(init_step=("learning_rate", 0.1)), optax.contrib.dog(init_step=("learning_rate", 0.1))),
        (fg.cocob(alpha=2.0, weight_decay=0.1), optax.contrib.cocob(alpha=2.0, weight_decay=0.1)),
        (fg.scale_by_cocob(2.0, 0.1), optax.contrib.scale_by_cocob(2.0, 0.1)),
        (  # a large first factor, where Optax knows Δ in float32
            fg.mechanize(fg.adam(0.1), s_init=1.0, num_betas=3),
            optax.contrib.mechanize(optax.adam(0.1), s_init=1.0, num_betas=3),
        ),
        (fg.dowg(0.5, weight_decay=0.1), optax.contrib.dowg(0.5, weight_decay=0.1)),
        (fg.dowg(init_estim_sq_dist=0.1), optax.contrib.dowg(init_estim_sq_dist=0.1)),
        (fg.madgrad(0.1, 0.8), optax.contrib.madgrad(0.1, 0.8)),
        (fg.madgrad(0.1, weight_decay=0.1), optax.contrib.madgrad(0.1, weight_decay=0.1)),
        (
            fg.lars(1.0, 0.1, trust_ratio_mask={"w": True, "b": False}),
            optax.lars(1.0, 0.1, trust_ratio_mask={"w": True, "b": False}),
        ),
        (fg.lamb(0.1, weight_decay=0.1), optax.lamb(0.1, weight_decay=0.1)),
        (fg.fromage(0.1), optax.fromage(0.1)),
        (fg.novograd(0.1, weight_decay=0.1), optax.novograd(0.1, weight_decay=0.1)),
        (fg.adafactor(0.1, weight_decay_rate=0.1), optax.adafactor(0.1, weight_decay_rate=0.1)),
        (fg.chain(fg.clip(0.3), fg.sgd(0.1)), optax.chain(optax.clip(0.3), optax.sgd(0.1))),
    ],
    ids=lambda tx: repr(tx)[:40] if isinstance(tx, fg.Transform) else "",
)
def test_same_names_same_numbers(ours, theirs):
    same(run(ours), run(theirs))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (fg.polyak_sgd(0.5, f_min=0.5, eps=0.1), optax.polyak_sgd(0.5, f_min=0.5, eps=0.1)),
        (fg.polyak_sgd(f_min=2.0, variant="sps+"), optax.polyak_sgd(f_min=2.0, variant="sps+")),
        (fg.momo(lower_bound=0.1), optax.contrib.momo(lower_bound=0.1)),
        (fg.momo(adapt_lower_bound=True), optax.contrib.momo(adapt_lower_bound=True)),
        (fg.momo_adam(1.0), optax.contrib.momo_adam(1.0)),
        (fg.momo_adam(1.0, adapt_lower_bound=True), optax.contrib.momo_adam(1.0, adapt_lower_bound=True)),
    ],
    ids=lambda tx: repr(tx)[:40] if isinstance(tx, fg.Transform) else "",
)
def test_same_names_same_numbers_with_a_loss(ours, theirs):
    same(run(ours, value=jnp.float32(1.0)), run(theirs, value=jnp.float32(1.0)))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (fg.sm3(0.1), optax.sm3(0.1)),  # only where each leaf has an axis: not so for scalars in Optax
        (
            fg.scale_by_distance_over_gradients(0.1, global_scale=-0.5),
            optax.scale_by_distance_over_gradients(0.1, global_scale=-0.5),
        ),
        (fg.adafactor(0.1, 2), optax.adafactor(0.1, 2)),
        (fg.adafactor(None, 3, momentum=0.9), optax.adafactor(None, 3, momentum=0.9)),
    ],
    ids=["sm3", "scale_by_distance_over_gradients", "adafactor", "adafactor with momentum"],
)
def test_same_names_same_numbers_for_matrices(ours, theirs):
    params, grads = {"w": jnp.ones((3, 4))}, jnp.cos(jnp.arange(36.0)).reshape(3, 3, 4)
    state, other = ours.init(params), theirs.init(params)
    for g in grads:
        updates, state = ours.update({"w": g}, state, params)
        expected, other = theirs.update({"w": g}, other, params)
        same(updates, expected)


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def search_script(library, make, steps, f=rosenbrock):
    """A script for line searches, in words that both libraries know: values and gradient norms, and trials if any."""
    tx = make(library)
    searches = library.tree.get(jax.eval_shape(tx.init, jnp.zeros(10)), "grad", None) is not None
    value_and_grad = library.value_and_grad_from_state(f) if searches else lambda x, state: jax.value_and_grad(f)(x)

    @jax.jit
    def run(x):
        def step(carry, _):
            params, state = carry
            value, grad = value_and_grad(params, state=state)
            updates, state = tx.update(grad, state, params, value=value, grad=grad, value_fn=f)
            row = value, library.tree.norm(grad), library.tree.get(state, "num_linesearch_steps", 0)
            return (library.apply_updates(params, updates), state), row

        return jax.lax.scan(step, (x, tx.init(x)), length=steps)[1]

    return [np.asarray(column) for column in run(jnp.zeros(10))]


def test_same_script_for_lbfgs():
    with float64_mode():
        runs = [search_script(library, lambda library: library.lbfgs(), 90) for library in (fg, optax)]
    ours, theirs = (int(np.argmax(norms < 1e-6)) for _, norms, _ in runs)
    assert theirs > 20
    assert abs(ours - theirs) <= 0.1 * theirs
    trials = [int(np.sum(run[2][:steps])) for run, steps in zip(runs, (ours, theirs), strict=True)]
    assert trials[0] <= 1.1 * trials[1]
    assert all(values[-1] < 1e-12 for values, _, _ in runs)


def bowl(x):
    return jnp.sum(jnp.cosh(x - jnp.linspace(-0.5, 0.5, 10)))


@pytest.mark.parametrize(
    ("make", "f"),
    [
        (lambda library: library.lbfgs(), bowl),  # where all first trials are accepted
        (lambda library: library.lbfgs(0.3, memory_size=3, scale_init_precond=False, linesearch=None), bowl),
        (
            lambda library: library.lbfgs(
                memory_size=4, linesearch=library.scale_by_backtracking_linesearch(20, 0.1, 0.5, store_grad=True)
            ),
            rosenbrock,
        ),
        (
            lambda library: library.chain(
                library.sgd(1.0), library.scale_by_backtracking_linesearch(max_backtracking_steps=30, store_grad=True)
            ),
            rosenbrock,
        ),
    ],
    ids=["lbfgs", "lbfgs without search", "lbfgs and backtracking", "sgd and backtracking"],
)
def test_same_line_searches_same_numbers(make, f):
    with float64_mode():
        ours, theirs = (search_script(library, make, 6, f) for library in (fg, optax))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)


CYCLE = {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 2, "decay_steps": 5}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            fg.piecewise_constant_schedule(1.0, {3: 0.5, 6: 0.1}),
            optax.piecewise_constant_schedule(1.0, {3: 0.5, 6: 0.1}),
        ),
        (fg.exponential_decay(1.0, 4, 0.5, 2, True), optax.exponential_decay(1.0, 4, 0.5, 2, True)),
        (fg.exponential_decay(1.0, 4, 0.5, end_value=0.3), optax.exponential_decay(1.0, 4, 0.5, end_value=0.3)),
        (fg.polynomial_schedule(1.0, 0.1, 2.0, 7, 2), optax.polynomial_schedule(1.0, 0.1, 2.0, 7, 2)),
        (fg.cosine_decay_schedule(1.0, 9, 0.1, 1.5), optax.cosine_decay_schedule(1.0, 9, 0.1, 1.5)),
        (fg.warmup_constant_schedule(0.0, 1.0, 4), optax.warmup_constant_schedule(0.0, 1.0, 4)),
        (
            fg.warmup_cosine_decay_schedule(0.0, 1.0, 4, 11, 0.1),
            optax.warmup_cosine_decay_schedule(0.0, 1.0, 4, 11, 0.1),
        ),
        (
            fg.warmup_exponential_decay_schedule(0.0, 1.0, 4, 3, 0.5, 2, True, 0.1),
            optax.warmup_exponential_decay_schedule(0.0, 1.0, 4, 3, 0.5, 2, True, 0.1),
        ),
        (fg.cosine_onecycle_schedule(10, 0.5), optax.cosine_onecycle_schedule(10, 0.5)),
        (fg.linear_onecycle_schedule(10, 0.5, 0.3, 0.7), optax.linear_onecycle_schedule(10, 0.5, 0.3, 0.7)),
        (
            fg.piecewise_interpolate_schedule("cosine", 1.0, {3: 0.5, 6: 0.1}),
            optax.piecewise_interpolate_schedule("cosine", 1.0, {3: 0.5, 6: 0.1}),
        ),
        (fg.sgdr_schedule([CYCLE, CYCLE]), optax.sgdr_schedule([CYCLE, CYCLE])),
        (
            fg.join_schedules([fg.constant_schedule(1.0), fg.linear_schedule(1.0, 0.0, 5)], [4]),
            optax.join_schedules([optax.constant_schedule(1.0), optax.linear_schedule(1.0, 0.0, 5)], [4]),
        ),
    ],
    ids=lambda s: type(s).__name__,
)
def test_same_schedules_same_numbers(ours, theirs):
    steps = range(14)
    np.testing.assert_allclose([ours(t) for t in steps], [theirs(t) for t in steps], rtol=1e-5, atol=1e-7)


def test_same_losses_same_numbers():
    logits, labels = jnp.array([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]]), jnp.array([2, 0])
    one_hot = jax.nn.one_hot(labels, 3)
    np.testing.assert_allclose(fg.squared_error(logits, one_hot), optax.squared_error(logits, one_hot), rtol=1e-6)
    np.testing.assert_allclose(fg.l2_loss(logits, one_hot), optax.l2_loss(logits, one_hot), rtol=1e-6)
    for name in ("softmax_cross_entropy", "sigmoid_binary_cross_entropy"):
        np.testing.assert_allclose(getattr(fg, name)(logits, one_hot), getattr(optax, name)(logits, one_hot), rtol=1e-5)
    name = "softmax_cross_entropy_with_integer_labels"
    np.testing.assert_allclose(getattr(fg, name)(logits, labels), getattr(optax, name)(logits, labels), rtol=1e-5)


def test_our_loops_take_optax_optimizers():
    def loss(params, batch):
        return jnp.mean((batch["x"] @ params["w"] + params["b"] - batch["y"]) ** 2)

    data, start = {"x": X, "y": Y}, {"w": jnp.zeros((1, 1)), "b": jnp.zeros(1)}
    options = {"batch_size": 8, "epochs": 5, "key": jax.random.key(0), "progress": False}
    same(
        fg.fit(loss, start, optax.adam(0.1), data, **options).params,
        fg.fit(loss, start, fg.adam(0.1), data, **options).params,
    )
    found = fg.minimize(lambda x: (x - 3) ** 2, 0.0, optax.sgd(0.5), max_steps=1)
    assert float(found.params) == 3


def fits(predict):
    return float(jnp.mean((predict(X) - Y) ** 2)) < 1e-3


def test_flax_train_state():
    model = linen.Dense(1)
    params = model.init(jax.random.key(0), X)
    state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=fg.adam(0.1))

    @jax.jit
    def step(state):
        grads = jax.grad(lambda p: jnp.mean((state.apply_fn(p, X) - Y) ** 2))(state.params)
        return state.apply_gradients(grads=grads)

    for _ in range(200):
        state = step(state)
    assert fits(lambda x: model.apply(state.params, x))


def test_flax_linen_module_in_fit():
    model = linen.Dense(1)

    def loss(params, batch):
        return jnp.mean((model.apply(params, batch["x"]) - batch["y"]) ** 2)

    run = fg.fit(
        loss,
        model.init(jax.random.key(0), X),
        fg.adam(0.1),
        {"x": X, "y": Y},
        batch_size=None,
        epochs=200,
        key=jax.random.key(0),
        progress=False,
    )
    assert fits(lambda x: model.apply(run.params, x))


def test_nnx_optimizer():
    model = nnx.Linear(1, 1, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, fg.adam(0.1), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        grads = nnx.grad(lambda m: jnp.mean((m(X) - Y) ** 2))(model)
        optimizer.update(model, grads)

    for _ in range(200):
        step(model, optimizer)
    assert fits(model)


def test_nnx_module_in_fit():
    graph, params = nnx.split(nnx.Linear(1, 1, rngs=nnx.Rngs(0)))

    def loss(params, batch):
        return jnp.mean((nnx.merge(graph, params)(batch["x"]) - batch["y"]) ** 2)

    run = fg.fit(
        loss, params, fg.adam(0.1), {"x": X, "y": Y}, batch_size=None, epochs=200, key=jax.random.key(0), progress=False
    )
    assert fits(nnx.merge(graph, run.params))


def equinox_step(traces):
    @eqx.filter_jit
    def step(model, tx, state):
        traces.append(1)
        grads = eqx.filter_grad(lambda m: jnp.mean((jax.vmap(m)(X) - Y) ** 2))(model)
        updates, state = tx.update(grads, state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), state

    return step


def test_equinox_loop():
    model, tx = eqx.nn.Linear(1, 1, key=jax.random.key(0)), fg.adam(0.1)
    state, step = tx.init(eqx.filter(model, eqx.is_inexact_array)), equinox_step([])
    for _ in range(200):
        model, state = step(model, tx, state)
    assert fits(jax.vmap(model))


def test_equinox_traces_numbers_that_are_arrays():
    """Under `filter_jit` Python numbers are static; `fg.as_arrays` makes them data."""
    model, traces = eqx.nn.Linear(1, 1, key=jax.random.key(0)), []
    step = equinox_step(traces)
    for rate in (0.1, 0.2, 0.3):
        tx = fg.as_arrays(fg.adam(rate))
        step(model, tx, tx.init(eqx.filter(model, eqx.is_inexact_array)))
    assert len(traces) == 1


def test_equinox_module_in_fit():
    model = eqx.nn.MLP(1, 1, 8, 1, key=jax.random.key(0))  # its activation is a leaf that is no array

    def loss(model, batch):
        return jnp.mean((jax.vmap(model)(batch["x"]) - batch["y"]) ** 2)

    run = fg.fit(
        loss, model, fg.adam(0.03), {"x": X, "y": Y}, batch_size=8, epochs=150, key=jax.random.key(0), progress=False
    )
    assert isinstance(run.params, eqx.nn.MLP)
    assert fits(jax.vmap(run.params))


def test_numpyro_takes_our_optimizers_by_its_adapter():
    from numpyro import optim

    adapted = optim.optax_to_numpyro(fg.adam(0.1))
    state = adapted.init(PARAMS)
    for grads in GRADS:
        state = adapted.update(grads, state, value=jnp.float32(0))
    same(adapted.get_params(state), run(fg.adam(0.1)))


class Examples:
    """A source for Grain: one example by its number."""

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return {"x": np.asarray(X[i]), "y": np.asarray(Y[i])}


@pytest.mark.parametrize("loader", ["IterDataset", "DataLoader"])
def test_grain_loaders_in_fit(loader):
    """Each epoch is a pass over the loader: the same as `fg.train` on its batches, one after the other."""
    if loader == "IterDataset":
        options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
        data = grain.MapDataset.source(Examples()).shuffle(seed=0).batch(8).to_iter_dataset(options)
    else:
        sampler = grain.samplers.IndexSampler(len(X), shuffle=True, seed=0, num_epochs=1)
        batch = [grain.transforms.Batch(8)]
        data = grain.DataLoader(data_source=Examples(), sampler=sampler, operations=batch, worker_count=0)

    def loss(params, batch):
        return jnp.mean((batch["x"] * params - batch["y"]) ** 2)

    start, tx, key = jnp.array(0.0), fg.sgd(0.1), jax.random.key(0)
    run = fg.fit(loss, start, tx, data, batch_size=None, epochs=2, key=key, progress=False)
    batches = jax.tree.map(lambda *x: np.stack(x), *data, *data)
    state, _ = fg.train(loss, tx, fg.TrainState.create(start, tx), batches)
    assert run.steps == 8
    same(run.params, state.params)
    assert sorted(batches["x"][:4].ravel()) == sorted(X.ravel())  # an epoch has every example once


def test_every_row_of_the_table_has_its_test():
    page = (Path(__file__).parents[2] / "docs" / "interop.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    here, beside = (
        {name for path in paths for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}
        for paths in ([Path(__file__)], Path(__file__).parent.glob("test_*.py"))
    )
    assert here - {"test_every_row_of_the_table_has_its_test"} <= named <= beside
