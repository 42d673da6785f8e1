"""Optimizers that find their rate, against their papers, and what each does in its own way."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.core.values import data_fields
from funcgd.testing import check_transform
from funcgd.testing.fixtures import precision
from tests.optimizers.along import follow
from tests.optimizers.oracles import parameter_free
from tests.optimizers.test_oracles import GRADS, STEPS, THETA, UNIT
from tests.optimizers.test_without_a_rate import bowl, descend, walk

ONES = np.ones(STEPS)
LENGTH = np.linalg.norm(THETA)
FALLING, ETAS = fg.linear_schedule(1.0, 0.0, STEPS), 1 - np.arange(STEPS) / STEPS

CASES = {
    "prodigy": (fg.prodigy(), parameter_free.prodigy, (ONES,), {}),
    "prodigy that grows": (
        fg.prodigy(FALLING, estim_lr0=0.1, estim_lr_coef=2.0, weight_decay=0.1),
        parameter_free.prodigy,
        (ETAS,),
        {"d": 0.1, "c": 2.0, "decay": 0.1},
    ),
    "prodigy, all": (
        fg.prodigy(FALLING, (0.8, 0.9), 0.5, 1e-3, 0.01, safeguard_warmup=True, bias_correction=False),
        parameter_free.prodigy,
        (ETAS, 0.8, 0.9, 1e-3, 0.01, 1.0, 0.5),
        {"safeguard": True, "debias": False},
    ),
    "dadapt_adamw": (fg.dadapt_adamw(), parameter_free.dadapt_adam, (ONES,), {}),
    "dadapt_adamw that grows": (
        fg.dadapt_adamw(FALLING, estim_lr0=0.1, weight_decay=0.1),
        parameter_free.dadapt_adam,
        (ETAS,),
        {"d": 0.1, "decay": 0.1},
    ),
    "dadapt_adamw, all": (
        fg.dadapt_adamw(FALLING, (0.8, 0.9), 1e-3, 0.01, bias_correction=False),
        parameter_free.dadapt_adam,
        (ETAS, 0.8, 0.9, 1e-3, 0.01),
        {"debias": False},
    ),
    "dog": (fg.dog(), parameter_free.dog, (("distance", 1e-6 * (1 + LENGTH)),), {}),
    "dog that grows": (
        fg.dog(0.5, ("distance", 0.1), 1e-3, 0.1),
        parameter_free.dog,
        (("distance", 0.1), 1e-3, 0.1, 0.5),
        {},
    ),
    "dog from a rate": (fg.dog(init_step=("learning_rate", 1e-3)), parameter_free.dog, (("rate", 1e-3),), {}),
    "ldog": (
        fg.scale_by_distance_over_gradients(0.1, 1e-3, global_scale=-0.5),
        parameter_free.dog,
        (("distance", 0.1 * (1 + LENGTH)), 1e-3, 0.0, 0.5),
        {},
    ),
    "mechanize": (fg.mechanize(fg.sgd(1.0)), parameter_free.mechanic, (ONES,), {}),
    "mechanize, all": (
        fg.mechanize(fg.sgd(FALLING), 0.3, 1e-3, 0.01, 3),
        parameter_free.mechanic,
        (ETAS, 3, 0.3, 0.01, 1e-3),
        {},
    ),
    "cocob": (fg.cocob(), parameter_free.cocob, (), {}),
    "cocob, all": (fg.cocob(FALLING, 2.0, 0.1, 0.1), parameter_free.cocob, (2.0, 0.1, 0.1, ETAS), {}),
    "dowg": (fg.dowg(), parameter_free.dowg, (), {}),
    "dowg that grows": (fg.dowg(0.5, 0.1, 1e-3, 0.1), parameter_free.dowg, (0.1, 1e-3, 0.1, 0.5), {}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_rules_are_those_of_their_papers(case, dtype):
    tx, oracle, args, options = CASES[case]
    with precision(dtype):
        theta = follow(tx, jnp.asarray(THETA, dtype), jnp.asarray(GRADS, dtype))
        assert theta.dtype == dtype
    tolerance = 1e-11 if dtype == "float64" else 3e-5
    np.testing.assert_allclose(theta, oracle(THETA, GRADS, *args, **options), rtol=tolerance, atol=tolerance)


VALUES = 0.5 + np.abs(np.random.default_rng(2).standard_normal(STEPS))
VALUE_CASES = {
    "polyak_sgd": (fg.polyak_sgd(), parameter_free.polyak, (), {}),
    "polyak_sgd, uphill": (
        fg.polyak_sgd(0.5, 0.5, 1.0, 0.1),
        parameter_free.polyak,
        (1.0, 0.5, 0.5, 0.1),
        {},
    ),
    "polyak_sgd, sps+": (
        fg.polyak_sgd(f_min=1.0, variant="sps+"),
        parameter_free.polyak,
        (1.0,),
        {"positive": True},
    ),
    "momo": (fg.momo(), parameter_free.momo, (ONES,), {}),
    "momo, all": (fg.momo(FALLING, 0.5, 0.3, 0.1), parameter_free.momo, (ETAS, 0.5, 0.3, 0.1), {}),
    "momo, bound": (
        fg.momo(FALLING, lower_bound=-5.0, weight_decay=0.1, adapt_lower_bound=True),
        parameter_free.momo,
        (ETAS,),
        {"bound": -5.0, "decay": 0.1, "adapt": True},
    ),
    "momo_adam": (fg.momo_adam(), parameter_free.momo_adam, (0.01 * ONES,), {}),
    "momo_adam, all": (
        fg.momo_adam(FALLING, 0.5, 0.9, 1e-3, 0.3, 0.1),
        parameter_free.momo_adam,
        (ETAS, 0.5, 0.9, 1e-3, 0.3, 0.1),
        {},
    ),
    "momo_adam, bound": (
        fg.momo_adam(FALLING, lower_bound=-5.0, weight_decay=0.1, adapt_lower_bound=True),
        parameter_free.momo_adam,
        (ETAS,),
        {"bound": -5.0, "decay": 0.1, "adapt": True},
    ),
}


@jax.jit
def run_with_values(tx, theta, grads, values):
    def step(carry, row):
        theta, state = carry
        updates, state = tx.update(row[0], state, theta, value=row[1])
        return (fg.apply_updates(theta, updates), state), None

    return jax.lax.scan(step, (theta, tx.init(theta)), (grads, values))[0][0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", VALUE_CASES)
def test_rules_that_know_the_loss_are_those_of_their_papers(case, dtype):
    tx, oracle, args, options = VALUE_CASES[case]
    with precision(dtype):
        theta = run_with_values(tx, *(jnp.asarray(x, dtype) for x in (THETA, UNIT, VALUES)))
        assert theta.dtype == dtype
    tolerance = 1e-11 if dtype == "float64" else 1e-4  # f + ⟨d, θ⟩ − γ cancels
    np.testing.assert_allclose(theta, oracle(THETA, UNIT, VALUES, *args, **options), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("make", [fg.prodigy, fg.dadapt_adamw], ids=lambda make: make.__name__)
def test_decay_is_decoupled_and_masked(make):
    """With no gradient only the decay is left, ηdλθ, where the mask allows it."""
    params = {"w": jnp.full(2, 2.0), "b": jnp.full(2, 2.0)}
    tx = make(0.5, weight_decay=0.1, estim_lr0=0.25, mask="w", bias_correction=False)
    updates, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)
    np.testing.assert_allclose(updates["w"], -0.5 * 0.25 * 0.1 * 2, rtol=1e-6)
    np.testing.assert_array_equal(updates["b"], 0)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e2])
def test_the_estimate_of_prodigy_is_a_lower_bound_of_the_distance(scale):
    """Its theorem: ‖θ₀ − θ*‖∞ ≥ d on a convex loss, and it comes within a factor of ten of it."""
    minimiser = scale * jnp.array([5.0, -2.0, 1.0])
    run = fg.minimize(lambda x: bowl(x, minimiser, 1.0), jnp.zeros(3), fg.prodigy(), max_steps=500)
    estimate = float(fg.tree.get(run.state, "estim_lr"))
    assert 0.1 * 5 * scale < estimate < 5 * scale


@pytest.mark.parametrize("make", [fg.dog, fg.dowg, fg.cocob], ids=lambda make: make.__name__)
def test_penalties_are_added_to_the_gradient_where_the_mask_is_true(make):
    params = {"w": jnp.full(2, 2.0), "b": jnp.full(2, 2.0)}
    grads, penalised = {"w": jnp.ones(2), "b": jnp.ones(2)}, {"w": jnp.full(2, 1.2), "b": jnp.ones(2)}
    masked, plain = make(weight_decay=0.1, mask="w"), make()
    updates, _ = masked.update(grads, masked.init(params), params)
    expected, _ = plain.update(penalised, plain.init(params), params)
    for name in params:
        np.testing.assert_allclose(updates[name], expected[name], rtol=1e-6)


SCHEDULED = {
    "prodigy": fg.prodigy(betas=(0.5, 0.9), weight_decay=0.1),
    "dadapt_adamw": fg.dadapt_adamw(betas=(0.5, 0.9), weight_decay=0.1),
    "dog": fg.dog(eps=0.1, weight_decay=0.1),
    "ldog": fg.scale_by_distance_over_gradients(0.1, eps=0.1, global_scale=-1.0),
    "dowg": fg.dowg(eps=0.1),
    "cocob": fg.cocob(alpha=3.0),
    "mechanize": fg.mechanize(fg.sgd(1.0), eps=0.1),
    "polyak_sgd": fg.polyak_sgd(f_min=-1.0, eps=0.1),
    "momo": fg.momo(lower_bound=-1.0, weight_decay=0.1, adapt_lower_bound=True),
    "momo_adam": fg.momo_adam(lower_bound=-1.0, weight_decay=0.1, adapt_lower_bound=True),
}
FIRST = ("estim_lr0", "init_step", "init_estim_sq_dist", "reps_rel", "s_init", "base_optimizer", "mask")  # no schedules


def scheduled(tx):
    """`tx` with a schedule in place of each number that may be one."""
    numbers = {name: x for name, _, x in data_fields(tx) if name not in FIRST and x is not None}
    if isinstance(tx, fg.cocob):
        del numbers["eps"]
    constant = jax.tree.map(fg.constant_schedule, numbers)
    return dataclasses.replace(tx, **constant)


@pytest.mark.parametrize("name", SCHEDULED)
def test_every_number_may_be_a_schedule(name):
    x, grads = jnp.asarray(THETA, jnp.float32), jnp.asarray(UNIT, jnp.float32)
    found, expected = (run_with_values(tx, x, grads, VALUES) for tx in (scheduled(SCHEDULED[name]), SCHEDULED[name]))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_dog_keeps_its_first_rate_until_it_moves():
    tx = fg.dog(init_step=("learning_rate", 0.5), eps=0.0)
    x, _ = walk(tx, jnp.ones(1), jnp.array([[0.0], [0.0], [1.0], [1.0]]))
    np.testing.assert_allclose(x[:, 0], [1.0, 1.0, 0.5, 0.5 - 0.5 / np.sqrt(2)], rtol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (("rate", 1.0), ValueError, r"dog: `init_step\[0\]` must be one of 'distance', .*got 'rate'"),
        (("distance", 0.0), ValueError, r"dog: `init_step\[1\]` must be in \(0, inf\), got 0.0"),
        (1e-6, TypeError, r"dog: `init_step` must be a pair such as \('heuristic', 1e-6\), got 1e-06"),
    ],
)
def test_dog_refuses_other_beginnings(wrong, error, message):
    with pytest.raises(error, match=message):
        fg.dog(init_step=wrong)


def test_dowg_begins_somewhere():
    with pytest.raises(ValueError, match="dowg: `init_estim_sq_dist` must be given where `eps` is 0"):
        fg.dowg(eps=0.0)


def test_l_dog_is_dog_of_each_leaf():
    params, grads = {"w": jnp.ones(2), "b": jnp.zeros(())}, {"w": jnp.array([3.0, 4.0]), "b": jnp.float32(-1e-3)}
    ldog = fg.scale_by_distance_over_gradients(0.1)
    updates, state = ldog.update(grads, ldog.init(params), params)
    for name in params:
        alone = fg.scale_by_dog(("heuristic", 0.1))
        expected, _ = alone.update(grads[name], alone.init(params[name]), params[name])
        np.testing.assert_allclose(updates[name], expected, rtol=1e-6)
    assert state.max_dist["b"].shape == state.grad_sum_of_squares["b"].shape == ()
    stored = fg.scale_by_distance_over_gradients(param_dtype="bfloat16").init(params)
    assert stored.init_params["w"].dtype == jnp.bfloat16


def test_contract_of_l_dog():
    check_transform(fg.scale_by_distance_over_gradients(), dtypes=("float16",), elementwise=False, forgets=False)


def test_cocob_weighs_gradients_by_its_rate():
    """A constant weight changes nothing, since the rule knows no scale; a weight of 0 is no gradient."""
    x, grads = jnp.ones(6), jnp.asarray(GRADS, jnp.float32)
    np.testing.assert_allclose(follow(fg.cocob(0.125), x, grads), follow(fg.cocob(), x, grads), rtol=1e-6)
    half = fg.piecewise_constant_schedule(1.0, {10: 0.0})
    np.testing.assert_allclose(follow(fg.cocob(half), x, grads), follow(fg.cocob(), x, grads[:10]), rtol=1e-6)


def test_mechanic_learns_the_factor_far_from_the_origin():
    """Where (θ − θ₀) / Σs, in place of a stored Δ, would be lost by rounding: 1e-6 does not show in 100."""
    _, values = descend(bowl, fg.mechanize(fg.adam(1.0)), jnp.full(3, 100.0), jnp.full(3, 101.0), 1.0, steps=100)
    assert values[-1] < 1e-4 * values[0]


def test_mechanic_wraps_what_needs_more_and_passes_it_on():
    inner = fg.chain(fg.sgd(1.0), fg.reduce_on_plateau(0.5, 1))
    tx = fg.mechanize(inner)
    assert tx.needs == inner.needs | {"params"}
    assert fg.hyperparameters(tx, tx.init(jnp.ones(2)))["base_optimizer"]["sgd"] == {"learning_rate": 1.0}
    state = tx.init(jnp.ones(2))
    for _ in range(4):
        _, state = tx.update(jnp.ones(2), state, jnp.ones(2), value=jnp.float32(1.0))
    assert float(fg.tree.get(state, "scale")) < 1
    with pytest.raises(TypeError, match="mechanize: expected a transform"):
        fg.mechanize(0.1)


def test_mechanic_keeps_its_bets_through_nan_and_huge_gradients():
    grads = jnp.array([[1.0, 1.0], [3e38, -3e38], [jnp.nan, 1.0], [3e38, 3e38], [1.0, 1.0]])
    _, states = walk(fg.mechanize(fg.sgd(1.0)), jnp.ones(2), grads)
    assert all(np.isfinite(getattr(states, name)).all() for name in "rmvs")


def test_polyak_comes_nearer_to_the_minimiser_with_each_step():
    """Its theorem: ‖θ − θ*‖² falls by at least (f − f*)² / ‖g‖²."""
    minimiser, x, tx = jnp.array([5.0, -2.0, 1.0]), jnp.ones(3), fg.polyak_sgd(float("inf"))
    for _ in range(10):
        value, grad = jax.value_and_grad(bowl)(x, minimiser, 1.0)
        updates, _ = tx.update(grad, tx.init(x), x, value=value)
        fallen = jnp.sum((x - minimiser) ** 2) - jnp.sum((x + updates - minimiser) ** 2)
        assert fallen > 0.999 * value**2 / jnp.sum(grad**2)
        x = x + updates


@pytest.mark.parametrize("tx", [fg.polyak_sgd(), fg.momo(), fg.momo_adam()], ids=lambda tx: type(tx).__name__)
def test_the_loss_must_be_a_scalar_and_at_the_minimum_all_rest(tx):
    zero = jnp.zeros(2)
    with pytest.raises(ValueError, match=r"`value` must be a scalar, got shape \(1,\)"):
        tx.update(zero, tx.init(zero), zero, value=jnp.ones(1))
    updates, _ = tx.update(zero, tx.init(zero), zero, value=0.0)
    np.testing.assert_array_equal(updates, 0)


def test_momo_without_momentum_is_polyak():
    theta, grads, values = (jnp.asarray(x, jnp.float32) for x in (THETA, UNIT, VALUES))
    momo, polyak = fg.momo(0.3, beta=0.0, lower_bound=0.2), fg.polyak_sgd(0.3, f_min=0.2, variant="sps+")
    both = (run_with_values(tx, theta, grads, values) for tx in (momo, polyak))
    np.testing.assert_allclose(*both, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", [fg.momo, fg.momo_adam], ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    ("rate", "bound"), [(0.1, -10.0), (1.0, 0.4), (1.0, 5.0)], ids=["longest", "to the bound", "none"]
)
def test_decay_of_momo_minimises_its_model(make, rate, bound, x64):
    """The first step minimises max(f + ⟨g, x − θ⟩, f*) + ‖x − θ‖²/2η + λ‖x‖²/2, for Adam in the norm of D = |g|."""
    theta, g, f, decay = THETA, UNIT[0], 1.0, 0.5
    norm = np.abs(g) if make is fg.momo_adam else np.ones_like(g)
    tx = make(rate, lower_bound=bound, weight_decay=decay, **({"eps": 0.0} if make is fg.momo_adam else {}))
    x = jnp.asarray(theta)
    x = theta + np.asarray(tx.update(jnp.asarray(g), tx.init(x), x, value=f)[0])

    def model(x):
        near, small = (np.sum(norm * y**2, axis=-1) / 2 for y in (x - theta, x))
        return np.maximum(f + (x - theta) @ g, bound) + near / rate + decay * small

    others = x + np.random.default_rng(0).standard_normal((500, x.size)) * np.logspace(-4, 0, 500)[:, None]
    assert (model(others) > model(x)).all()


@pytest.mark.parametrize("tx", [fg.momo(1.0), fg.momo_adam(10.0)], ids=lambda tx: type(tx).__name__)
def test_an_estimated_bound_saves_steps_that_are_too_long(tx):
    """The least loss is 7, the given bound 0, and the longest step far too long: the loss leaps, but less far."""
    leaps = []
    for adapt in (False, True):
        adapting = dataclasses.replace(tx, adapt_lower_bound=adapt)
        _, values = descend(lambda x: 7 + bowl(x, 1.0, 1.0), adapting, jnp.zeros(3))
        leaps.append(np.percentile(values[len(values) // 2 :] - 7, 90))  # a single value is as if drawn by chance
    assert leaps[1] < 0.75 * leaps[0]
