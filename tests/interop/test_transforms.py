"""Transforms of the same name as in Optax, on numbers where both are right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

optax = pytest.importorskip("optax")

PARAMS = {"w": jnp.array([[1.0, -2.0], [0.5, 3.0]]), "b": jnp.array([0.1, 0.0]), "k": jnp.ones((2, 1, 2, 3))}
GRADS = [jax.tree.map(lambda p, i=i: 3 * jnp.sin(2 * p + i), PARAMS) for i in range(6)]
MASK = {"w": True, "b": False, "k": True}
LABELS = {"w": "a", "b": "b", "k": "a"}


def same(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6), a, b)


def updates(tx):
    state, found = tx.init(PARAMS), []
    for grads in GRADS:
        u, state = tx.update(grads, state, PARAMS)
        found.append(u)
    return found


@pytest.mark.parametrize(
    "make",
    [
        lambda library: library.clip_by_block_rms(1.0),
        lambda library: library.adaptive_grad_clip(0.5),
        lambda library: library.adaptive_grad_clip(0.1, 0.1, axis=-1),
        lambda library: library.MultiSteps(library.sgd(0.1, momentum=0.9), 2),
        lambda library: library.MultiSteps(library.adam(0.1), lambda step: 1 + step, use_grad_mean=False),
        lambda library: library.chain(library.adam(0.1), library.apply_every(3)),
        lambda library: library.conditionally_mask(library.adam(0.1), lambda step: step % 3 > 0),
        lambda library: library.conditionally_transform(library.clip(0.5), lambda step: step % 3 > 0),
        lambda library: library.apply_if_finite(library.adam(0.1), 3),
        lambda library: library.flatten(library.adam(0.1)),
        lambda library: library.ema(0.9),
        lambda library: library.ema(0.5, debias=False),
        lambda library: library.centralize(),
        lambda library: library.scale_by_param_block_norm(),
        lambda library: library.scale_by_param_block_rms(0.5),
        lambda library: library.inject_hyperparams(library.adamw)(library.linear_schedule(0.1, 0.0, 5), b1=0.8),
        lambda library: library.inject_hyperparams(library.sgd)(lambda t: 0.1 / (1 + t), momentum=0.9),
        lambda library: library.stateless_with_tree_map(lambda g, p: g * p),
        lambda library: library.chain(library.sgd(0.5), library.keep_params_nonnegative()),
        lambda library: library.chain(library.masked(library.clip_by_global_norm(1.0), MASK), library.sgd(0.1)),
        lambda library: library.chain(library.adam(0.1), library.masked(library.set_to_zero(), MASK)),
        lambda library: library.chain(library.adam(0.1), library.freeze(MASK)),
        lambda library: library.selective_transform(library.adam(0.1), freeze_mask=MASK),
        lambda library: library.partition({"a": library.adam(0.1), "b": library.sgd(0.1)}, LABELS),
        lambda library: library.multi_transform({"a": library.adam(0.1), "b": library.sgd(0.1)}, lambda params: LABELS),
    ],
)
def test_same_transforms_same_numbers(make):
    same(updates(make(fg)), updates(make(optax)))


def test_same_predicates():
    for g in (GRADS[0], {**GRADS[0], "b": jnp.array([jnp.nan, jnp.inf])}):
        same(fg.skip_not_finite(g, 0, None), optax.skip_not_finite(g, 0, None))
        for bound in (10.0, 1000.0):
            same(fg.skip_large_updates(g, 0, None, bound), optax.skip_large_updates(g, 0, None, bound))


def test_same_per_example_clipping():
    grads = {"w": jnp.sin(jnp.arange(24.0)).reshape(4, 3, 2), "b": jnp.cos(jnp.arange(8.0)).reshape(4, 2)}
    same(fg.per_example_global_norm_clip(grads, 1.8), optax.per_example_global_norm_clip(grads, 1.8))
    for uniform in (True, False):
        ours, theirs = (library.per_example_layer_norm_clip(grads, 1.8, uniform) for library in (fg, optax))
        same(ours, theirs)


def hyperparameters_script(library):
    """A script that reads and sets numbers in the state."""
    tx = library.inject_hyperparams(library.adamw)(
        learning_rate=library.cosine_decay_schedule(0.1, 10), weight_decay=0.1
    )
    params, state, seen = PARAMS, tx.init(PARAMS), []
    update = jax.jit(tx.update)
    for t, grads in enumerate(GRADS):
        if t == 3:
            state.hyperparams["weight_decay"] = jnp.asarray(0.5)
        updates, state = update(grads, state, params)
        params = library.apply_updates(params, updates)
        seen.append([float(state.hyperparams[name]) for name in ("learning_rate", "weight_decay", "b2")])
    return params, np.array(seen)


def test_same_script_for_injected_hyperparameters():
    ours, theirs = hyperparameters_script(fg), hyperparameters_script(optax)
    same(ours[0], theirs[0])
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6)


def test_same_averages_of_measures():
    def shown(library):
        tx = library.chain(
            library.sgd(0.1),
            library.monitor(
                {
                    "norm": library.tree.norm,
                    "often": library.measure_with_ema(lambda u: library.tree.norm(u) > 0.7, 0.9),
                    "raw": library.measure_with_ema(library.tree.norm, 0.5, debias=False),
                }
            ),
        )
        state = tx.init(PARAMS)
        for grads in GRADS:
            _, state = tx.update(grads, state)
        return {name: library.tree.get(state, name) for name in ("norm", "often", "raw")}

    ours = shown(fg)
    same(ours, shown(optax))
    assert 0 < ours["often"] < 1


def test_same_functions_on_arrays():
    x = jnp.sin(jnp.arange(24.0))
    for shape in ((24,), (6, 4), (2, 3, 4), (2, 2, 2, 3)):
        norms = fg.unitwise_norm(x.reshape(shape))
        same(norms, optax.transforms.unitwise_norm(x.reshape(shape)))
        bounds = 0 * norms + 0.9
        same(*(t.unitwise_clip(norms, bounds, x.reshape(shape)) for t in (fg.transforms, optax.transforms)))
    for arguments in ((x, 0.1), (x, 100.0), (x.reshape(6, 4), 1.0, None, 1), (x.reshape(6, 4), 0.1, 1)):
        same(fg.safe_norm(*arguments), optax.safe_norm(*arguments))
    same(fg.safe_root_mean_squares(x, 0.1), optax.safe_root_mean_squares(x, 0.1))
    same(fg.incremental_update(PARAMS, GRADS[0], 0.1), optax.incremental_update(PARAMS, GRADS[0], 0.1))
    for t in range(4):
        same(fg.periodic_update(PARAMS, GRADS[0], t, 2), optax.periodic_update(PARAMS, GRADS[0], t, 2))
    slopes = [jax.grad(lambda x, f=f: jnp.sum(f(x, 0.3) ** 2))(x) for f in (fg.scale_gradient, optax.scale_gradient)]
    same(*slopes)


def test_same_roots_and_eigenvalues():
    a = jnp.sin(jnp.arange(36.0)).reshape(6, 6)
    a = a @ a.T + jnp.eye(6)
    for p in (1, 2, 4):
        ours, theirs = (library.matrix_inverse_pth_root(a, p)[0] for library in (fg, optax))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fg.power_iteration(a)[0], optax.power_iteration(a)[0], rtol=1e-5)


def test_same_complex_optimizer():
    params = {"z": jnp.array([1 + 2j, 3 - 1j]), "x": jnp.ones(2)}

    def run(library, split):
        tx, found = split(library.adam(0.1)), []
        state = tx.init(params)
        for i in range(3):
            u, state = tx.update(jax.tree.map(lambda p, i=i: p * (1 - i), params), state, params)
            found.append(u)
        return found

    same(run(fg, fg.split_real_and_imaginary), run(optax, optax.contrib.split_real_and_imaginary))


@pytest.mark.parametrize("reset", [False, True])
def test_same_script_for_lookahead(reset):
    def script(library):
        params = library.LookaheadParams.init_synced(PARAMS)
        tx = library.lookahead(library.adam(0.1), sync_period=3, slow_step_size=0.4, reset_state=reset)
        state = tx.init(params)
        for grads in GRADS:
            updates, state = tx.update(grads, state, params)
            params = library.apply_updates(params, updates)
        return tuple(params)

    same(script(fg), script(optax))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("schedule_free_sgd", {"learning_rate": 0.3, "b1": 0.7}),
        ("schedule_free_sgd", {"learning_rate": 0.3, "weight_decay": 0.1, "weight_lr_power": 1.0}),
        ("schedule_free_adamw", {"learning_rate": 0.3, "weight_decay": 0.1}),
    ],
)
def test_same_script_for_schedule_free(name, options):
    def script(library):
        tx = getattr(library, name)(**options)
        params, state = PARAMS, tx.init(PARAMS)
        for grads in GRADS:
            updates, state = tx.update(grads, state, params)
            params = fg.apply_updates(params, updates)
        return params, library.schedule_free_eval_params(state, params), state.z

    same(script(fg), script(optax.contrib))


@pytest.mark.parametrize(("period", "reset"), [(2, True), (3, True), (3, False)])
@pytest.mark.parametrize("opaque", [False, True])
def test_same_script_for_sam(opaque, period, reset):
    """Where no gradient is zero: there Optax has NaN."""

    def loss(params):
        return sum(jnp.sum(jnp.cos(p) * (1 + p)) for p in jax.tree.leaves(params))

    def script(library, contrib):
        adversary = library.chain(contrib.normalize(), library.sgd(0.05, momentum=0.5))
        outer = library.chain(library.add_decayed_weights(0.1), library.sgd(0.1, momentum=0.9))
        tx = contrib.sam(outer, adversary, period, reset, opaque)
        params, state = PARAMS, tx.init(PARAMS)
        for _ in range(6):
            extra = {"grad_fn": jax.grad(lambda params, i: loss(params))} if opaque else {}
            updates, state = tx.update(jax.grad(loss)(params), state, params, **extra)
            params = library.apply_updates(params, updates)
        return params

    same(script(fg, fg), script(optax, optax.contrib))


@pytest.mark.parametrize("options", [{}, {"gamma": 1.0, "clip_threshold": 0.5, "update_interval": 2, "eps": 0.1}])
def test_same_script_for_sophia(options):
    """Without momentum, which Optax debiases; each entry for itself, so that the estimates are exact."""

    def loss(params):
        return sum(jnp.sum(jnp.cos(p) * (1 + p)) for p in jax.tree.leaves(params))

    def script(library, contrib):
        tx = contrib.sophia(0.1, b1=0.0, b2=0.9, weight_decay=0.1, **options)
        params, state = PARAMS, tx.init(PARAMS)
        for _ in range(5):
            updates, state = tx.update(jax.grad(loss)(params), state, params, obj_fn=loss)
            params = library.apply_updates(params, updates)
        return params

    same(script(fg, fg), script(optax, optax.contrib))
