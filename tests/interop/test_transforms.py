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
