"""Guards: what a bad step changes, which is nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing import check_transform

RATE = fg.cosine_decay_schedule(0.1, 10)
INNERS = [
    fg.adam(0.01),
    fg.sgd(RATE, momentum=0.9),
    fg.adamw(0.01, weight_decay=0.1),
    fg.chain(fg.clip_by_global_norm(1.0), fg.adamw(RATE, weight_decay=fg.linear_schedule(0.1, 0.0, 10))),
]
DTYPES = {INNERS[1]: ("float32", "bfloat16")}  # the others in one, which is cheap
BAD = [np.nan, np.inf, -np.inf]


def parameters():
    return {"w": jnp.ones((2, 3)), "b": (jnp.zeros(()), None), "low": jnp.ones(2, jnp.bfloat16), "none": jnp.ones(0)}


def gradients(steps, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda p: jnp.asarray(rng.standard_normal((steps, *p.shape)), p.dtype), parameters())


@jax.jit
def run(tx, params, grads):
    """Parameters, state, and the updates and guard's counters of all steps."""

    def step(carry, g):
        params, state = carry
        updates, state = tx.update(g, state, params)
        return (fg.apply_updates(params, updates), state), (updates, state.skipped, state.consecutive)

    (params, state), rows = jax.lax.scan(step, (params, tx.init(params)), grads)
    return params, state, rows


def spoil(grads, step, bad, place="w"):
    """One entry of the leaf at `place` made bad in one step."""
    leaf = grads[place]
    return {**grads, place: leaf.at[(step,) + (0,) * (leaf.ndim - 1)].set(bad)}


def without(grads, steps):
    return jax.tree.map(lambda g: np.delete(np.asarray(g), steps, axis=0), grads)


def same_bits(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


# --- not finite ---


@pytest.mark.parametrize("inner", INNERS[1::2], ids=lambda x: repr(x)[:40])
def test_contract_of_skip_nonfinite(inner):
    dtypes = DTYPES.get(inner, ("float32",))
    check_transform(fg.skip_nonfinite(inner), elementwise=False, leafwise=False, dtypes=dtypes)


@pytest.mark.parametrize("inner", INNERS, ids=lambda x: repr(x)[:40])
def test_after_a_skipped_step_all_is_as_without_it(inner):
    """Bitwise: parameters, moments, counts, schedules, and every later update."""
    tx, grads = fg.skip_nonfinite(inner), gradients(8)
    bad = spoil(spoil(spoil(grads, 0, np.nan), 4, np.inf, "low"), 5, -np.inf)
    params, state, (updates, skipped, consecutive) = run(tx, parameters(), bad)
    clean_params, clean_state, (clean_updates, clean_skipped, _) = run(tx, parameters(), without(grads, [0, 4, 5]))
    same_bits(params, clean_params)
    same_bits(state.inner_state, clean_state.inner_state)
    same_bits(without(updates, [0, 4, 5]), jax.tree.map(np.asarray, clean_updates))
    assert skipped.tolist() == [1, 1, 1, 1, 2, 3, 3, 3]
    assert consecutive.tolist() == [1, 0, 0, 0, 1, 2, 0, 0]
    assert not clean_skipped.any()


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", ["w", "low"])
def test_a_bad_entry_in_any_leaf_stops_the_whole_step(bad, place):
    tx, grads = fg.skip_nonfinite(fg.adamw(0.1, weight_decay=0.1)), gradients(2)
    params = parameters()
    state = tx.update(jax.tree.map(lambda g: g[0], grads), tx.init(params), params)[1]
    spoilt = jax.tree.map(lambda g: g[1], spoil(grads, 1, bad, place))
    updates, after = tx.update(spoilt, state, params)
    same_bits(updates, jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.float32), params))
    same_bits(after.inner_state, state.inner_state)
    assert (int(after.skipped), int(after.consecutive)) == (1, 1)


def test_a_bad_entry_of_a_scalar_or_complex_leaf_is_seen():
    for g in (jnp.float32(np.nan), jnp.array([1 + 0j, complex(0, np.inf)]), jnp.array([complex(np.nan, 0)])):
        tx = fg.skip_nonfinite(fg.sgd(0.1))
        updates, state = tx.update(g, tx.init(jnp.zeros_like(g)))
        same_bits(updates, jnp.zeros_like(g))
        assert int(state.skipped) == 1


@pytest.mark.parametrize("loss", [*BAD, 1.0, None])
def test_the_value_is_looked_at_if_it_is_passed(loss):
    tx = fg.skip_nonfinite(fg.sgd(0.5))
    updates, state = tx.update(jnp.ones(2), tx.init(jnp.ones(2)), value=None if loss is None else jnp.float32(loss))
    skipped = loss is not None and not np.isfinite(loss)
    assert updates.tolist() == [0, 0] if skipped else [-0.5, -0.5]
    assert bool(state.skipped) == skipped


def test_huge_finite_gradients_pass():
    """Their squares and sums would overflow, they do not."""
    tx = fg.skip_nonfinite(fg.sgd(1.0))
    g = jnp.full(8, 3e38)
    same_bits(tx.update(g, tx.init(g))[0], -g)


def test_members_of_a_population_guard_separately():
    grads = gradients(4)
    both = jax.tree.map(lambda a, b: jnp.stack([a, b]), spoil(grads, 1, np.nan), grads)
    tx = fg.stack([fg.skip_nonfinite(fg.adam(rate)) for rate in (0.1, 0.1)])
    params, state, _ = jax.vmap(run, in_axes=(0, None, 0))(tx, parameters(), both)
    assert state.skipped.tolist() == [1, 0]
    alone = fg.skip_nonfinite(fg.adam(0.1))
    for i, own in enumerate((without(grads, [1]), grads)):
        expected = run(alone, parameters(), own)[0]
        member = jax.tree.map(lambda x, i=i: x[i], params)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(np.float32(a), np.float32(b), 1e-5), member, expected)


def test_derivatives_through_a_skipped_step_are_those_without_it():
    grads = gradients(4)

    def outcome(tx, grads):
        return fg.tree.norm(run(tx, parameters(), grads)[0])

    tx = fg.skip_nonfinite(fg.normalized_gradient_descent(0.1))
    with_bad, clean = (jax.grad(outcome)(tx, g) for g in (spoil(grads, 2, np.nan), without(grads, [2])))
    for a, b in zip(jax.tree.leaves(with_bad), jax.tree.leaves(clean), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_random_keys_in_the_state_stay_too():
    @fg.value
    class jitter(fg.Transform):
        def init(self, params):
            return jax.random.key(0)

        def update(self, grads, state, params=None, **extra):
            key, own = jax.random.split(state)
            return grads + jax.random.normal(own, grads.shape), key

    tx = fg.skip_nonfinite(jitter())
    state = tx.init(jnp.ones(2))
    assert tx.update(jnp.full(2, np.nan), state)[1].inner_state == state.inner_state
    assert tx.update(jnp.ones(2), state)[1].inner_state != state.inner_state


def test_what_is_inside_shows_through():
    tx = fg.skip_nonfinite(fg.chain(fg.clip(1.0), fg.adamw(fg.linear_schedule(0.1, 0.0, 10))))
    params = {"w": jnp.ones(2)}
    assert tx.needs == {"params"}
    with pytest.raises(ValueError, match=r"^skip_nonfinite\.update: needs `params`"):
        tx.update(params, tx.init(params))
    state = tx.init(params)
    for g in (1.0, 1.0, np.nan):
        _, state = tx.update({"w": jnp.full(2, g)}, state, params)
    assert float(fg.hyperparameters(tx, state)["inner"]["adamw"]["learning_rate"]) == pytest.approx(0.09)
    assert [int(count) for _, count in fg.tree.get_all_with_path(state, "count")] == [2, 2]


def test_parameters_to_evaluate_are_those_of_the_inner():
    @fg.value
    class doubled(fg.Transform):
        def init(self, params):
            return jnp.float32(2)

        def update(self, grads, state, params=None, **extra):
            return grads, state

        def eval_params(self, state, params):
            return params * state

    tx = fg.skip_nonfinite(doubled())
    assert float(tx.eval_params(tx.init(jnp.float32(3)), jnp.float32(3))) == 6


def test_transforms_of_other_libraries_are_welcome():
    pair = (lambda params: jnp.zeros(()), lambda grads, state, params=None: (grads, state + 1))
    tx = fg.skip_nonfinite(pair)
    _, state = tx.update(jnp.array([np.nan]), tx.init(jnp.ones(1)), value=jnp.float32(1))
    assert float(state.inner_state) == 0
    _, state = tx.update(jnp.ones(1), state, value=jnp.float32(1))
    assert float(state.inner_state) == 1
    with pytest.raises(TypeError, match=r"^skip_nonfinite: expected a transform"):
        fg.skip_nonfinite(0.1)


def test_training_goes_on_after_a_batch_that_gives_nan():
    x = jax.random.normal(jax.random.key(0), (40, 8, 3))
    y = x @ jnp.array([1.0, -2.0, 0.5])

    def loss(w, batch):
        return jnp.mean((batch[0] @ w - batch[1]) ** 2)

    bad = (x.at[7, 0, 0].set(jnp.nan), y)
    tx = fg.skip_nonfinite(fg.adam(0.1))
    state, metrics = fg.train(loss, tx, fg.TrainState.create(jnp.zeros(3), tx), bad)
    assert np.isnan(metrics["loss"]).tolist() == [i == 7 for i in range(40)]
    assert metrics["loss"][-1] < 0.1 * metrics["loss"][0]
    assert int(state.opt_state.skipped) == 1
    clean, _ = fg.train(loss, tx, fg.TrainState.create(jnp.zeros(3), tx), without((x, y), [7]))
    same_bits(state.params, clean.params)


# --- spikes ---


def observe(tx, sizes, losses=None):
    """Which of steps whose gradients have these norms are left out, and the last state."""

    def step(state, x):
        g, loss = x
        updates, state = tx.update(
            {"a": g * jnp.array([0.6, 0.8])}, state, **({} if losses is None else {"value": loss})
        )
        return state, updates["a"][1] == 0

    sizes = jnp.asarray(sizes, jnp.float32)
    rows = (sizes, sizes if losses is None else jnp.asarray(losses, jnp.float32))
    state, skipped = jax.jit(lambda: jax.lax.scan(step, tx.init({"a": jnp.zeros(2)}), rows))()
    return np.flatnonzero(skipped).tolist(), state


def noise(steps, size=0.2, seed=0):
    return np.exp(size * np.random.default_rng(seed).standard_normal(steps))


@pytest.mark.parametrize(
    ("tx", "dtypes"),
    [
        (fg.skip_spikes(INNERS[3]), ("float32",)),
        (fg.skip_spikes(INNERS[1], warmup=2, patience=2, threshold=3), ("float32", "float64")),
    ],
    ids=["default", "eager"],
)
def test_contract_of_skip_spikes(tx, dtypes):
    check_transform(tx, elementwise=False, leafwise=False, dtypes=dtypes)


def test_spikes_are_left_out_and_noise_is_not():
    sizes = noise(200)
    assert observe(fg.skip_spikes(fg.sgd(1.0)), sizes)[0] == []
    sizes[[50, 51, 120, 199]] *= 30
    where, state = observe(fg.skip_spikes(fg.sgd(1.0)), sizes)
    assert where == [50, 51, 120, 199]
    assert (int(state.skipped), int(state.consecutive), int(state.spikes)) == (4, 1, 1)


def test_running_moments_are_weighted_sums():
    sizes, decay = noise(60), 0.9
    _, state = observe(fg.skip_spikes(fg.sgd(1.0), decay=decay), sizes)
    weights = decay ** np.arange(60)[::-1]
    mean = np.average(np.log(sizes), weights=weights)
    np.testing.assert_allclose(state.log_norm.mean, mean, rtol=1e-4)
    np.testing.assert_allclose(state.log_norm.var, np.average((np.log(sizes) - mean) ** 2, weights=weights), rtol=1e-4)


def test_a_spike_leaves_no_trace():
    sizes = noise(60)
    sizes[[30, 31, 50]] = [1e6, np.nan, np.inf]
    tx = fg.skip_spikes(fg.adam(0.1))
    where, state = observe(tx, sizes)
    _, clean = observe(tx, np.delete(sizes, [30, 31, 50]))
    assert where == [30, 31, 50]
    same_bits(state._replace(skipped=clean.skipped), clean)


def test_spikes_do_not_depend_on_the_unit():
    sizes = noise(100)
    sizes[60] *= 30
    for unit in (1e-30, 1e-3, 1e30):
        assert observe(fg.skip_spikes(fg.sgd(1.0)), unit * sizes)[0] == [60]


def test_nothing_is_a_spike_during_warmup_but_nan():
    sizes = noise(20)
    sizes[[3, 8, 9]] = [1e6, 1e-6, np.nan]
    assert observe(fg.skip_spikes(fg.sgd(1.0), warmup=20), sizes)[0] == [9]
    assert observe(fg.skip_spikes(fg.sgd(1.0), warmup=0), [5, 500.0, 5])[0] == [1]  # the first has nothing to compare


def test_a_new_level_is_accepted_after_patience():
    sizes = np.concatenate([noise(60), 1e4 * noise(60, seed=1)])
    where, state = observe(fg.skip_spikes(fg.sgd(1.0), patience=5), sizes)
    assert where == [60, 61, 62, 63, 64]
    assert (int(state.skipped), int(state.consecutive), int(state.log_norm.steps)) == (5, 0, 55)
    sizes[100] *= 100  # the guard is on again after the warm-up
    assert 100 in observe(fg.skip_spikes(fg.sgd(1.0), patience=5), sizes)[0]


def test_what_is_not_finite_is_never_accepted_and_no_new_level():
    sizes = np.concatenate([noise(30), np.full(30, np.nan), [1e4], noise(5)])
    assert observe(fg.skip_spikes(fg.sgd(1.0), patience=3), sizes)[0] == list(range(30, 61))


def test_small_gradients_do_not_blind_the_guard():
    sizes = noise(100)
    sizes[[40, 50, 51]] = [0, 1e-20, 0]
    sizes[60] *= 100
    assert observe(fg.skip_spikes(fg.scale(1.0)), sizes)[0] == [40, 51, 60]  # zeros pass, and are zero


def test_steady_norms_may_vary_by_the_factor():
    sizes = np.ones(60)
    sizes[[30, 40]] = [1.4, 1.6]
    assert observe(fg.skip_spikes(fg.sgd(1.0)), sizes)[0] == [40]
    assert observe(fg.skip_spikes(fg.sgd(1.0), min_factor=1.3), sizes)[0] == [30, 40]


def test_a_loss_may_be_the_spike():
    losses = 3 + 0.1 * np.random.default_rng(0).standard_normal(60)
    losses[[30, 40, 50]] = [9, np.nan, -np.inf]
    tx = fg.skip_spikes(fg.sgd(1.0))
    assert observe(tx, noise(60), losses)[0] == [30, 40, 50]
    assert observe(tx, noise(60), -1e30 * losses)[1].loss.mean > -2e18  # finite, whatever the loss
    with pytest.raises(ValueError, match=r"^skip_spikes\.update: `value` must be a scalar, got shape \(2,\)\.$"):
        tx.update(1.0, tx.init(1.0), value=jnp.ones(2))


def test_training_goes_on_after_a_spike():
    x = jax.random.normal(jax.random.key(0), (60, 8, 3))
    batches = (x.at[40].multiply(100.0), x @ jnp.array([1.0, -2.0, 0.5]))

    def loss(w, batch):
        return jnp.mean((batch[0] @ w - batch[1]) ** 2)

    def last(tx):
        state, metrics = fg.train(loss, tx, fg.TrainState.create(jnp.zeros(3), tx), batches)
        return state, metrics["loss"][-1]

    state, guarded = last(fg.skip_spikes(fg.sgd(0.02)))
    assert int(state.opt_state.skipped) == 1
    assert guarded < 1 < 100 < last(fg.sgd(0.02))[1]
    tx = fg.skip_spikes(fg.skip_nonfinite(fg.sgd(fg.linear_schedule(0.1, 0.0, 10))))  # guards in guards
    shown = fg.hyperparameters(tx, tx.init(jnp.zeros(3)))
    assert shown["threshold"] == 6
    assert float(shown["inner"]["inner"]["learning_rate"]) == pytest.approx(0.1)
