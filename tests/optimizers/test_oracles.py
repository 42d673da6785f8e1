"""Each rule against its oracle: 20 steps, in float64 to rounding and in float32 to float32's."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.optimizers.registry import ROWS
from funcgd.testing.fixtures import precision
from tests.optimizers.along import follow
from tests.optimizers.oracles import descent, layers, moments

STEPS, N = 20, 6
RNG = np.random.default_rng(0)
THETA = RNG.standard_normal(N)
UNIT = RNG.standard_normal((STEPS, N))
GRADS = UNIT * np.array([1e-3, 0.1, 1.0, 1.0, 10.0, 1e3])
FALLING = fg.linear_schedule(0.2, 0.0, STEPS)
ETAS = 0.2 * (1 - np.arange(STEPS) / STEPS)

CASES = {
    "gradient_descent": (fg.gradient_descent(0.1), descent.gradient_descent, (0.1,), {}),
    "normalized": (fg.normalized_gradient_descent(0.1), descent.normalized_gradient_descent, (0.1,), {}),
    "sgd": (fg.sgd(0.1), descent.gradient_descent, (0.1,), {}),
    "momentum": (fg.sgd(0.1, momentum=0.9), descent.leaky_sum, (0.1, 0.9), {}),
    "nesterov": (fg.sgd(0.1, momentum=0.9, nesterov=True), descent.leaky_sum, (0.1, 0.9, True), {}),
    "velocity": (fg.sgd(FALLING, momentum=0.9, velocity=True), descent.velocity, (ETAS, 0.9), {}),
    "velocity, nesterov": (
        fg.sgd(FALLING, momentum=0.9, velocity=True, nesterov=True),
        descent.velocity,
        (ETAS, 0.9, True),
        {},
    ),
    "adagrad": (fg.adagrad(0.1), moments.adagrad, (0.1, 0.1, 1e-7), {}),
    "adagrad from 0": (fg.adagrad(0.1, 0.0, 1e-6), moments.adagrad, (0.1, 0.0, 1e-6), {}),
    "rmsprop": (fg.rmsprop(0.1), moments.rmsprop, (0.1, 0.9, 1e-8), {}),
    "rmsprop, eps outside": (
        fg.rmsprop(0.1, 0.8, 1e-3, eps_in_sqrt=False, initial_scale=0.5),
        moments.rmsprop,
        (0.1, 0.8, 1e-3),
        {"inside": False, "initial": 0.5},
    ),
    "rmsprop, centred, momentum": (
        fg.rmsprop(0.1, 0.9, 1e-2, centered=True, momentum=0.7),
        moments.rmsprop,
        (0.1, 0.9, 1e-2),
        {"centred": True, "beta": 0.7},
    ),
    "rmsprop, all": (
        fg.rmsprop(0.1, 0.9, 1e-2, centered=True, momentum=0.7, nesterov=True, bias_correction=True),
        moments.rmsprop,
        (0.1, 0.9, 1e-2),
        {"centred": True, "beta": 0.7, "nesterov": True, "debias": True},
    ),
    "adam": (fg.adam(0.1), moments.adam, (0.1, 0.9, 0.999, 1e-8), {}),
    "adam, eps_root": (fg.adam(0.1, 0.8, 0.99, 1e-3, 1e-4), moments.adam, (0.1, 0.8, 0.99, 1e-3, 1e-4), {}),
    "adam, nesterov": (fg.adam(0.1, nesterov=True), moments.adam, (0.1, 0.9, 0.999, 1e-8), {"nesterov": True}),
    "adam without memory": (fg.adam(0.1, 0.0, 0.0), moments.adam, (0.1, 0.0, 0.0, 1e-8), {}),
    "adamw": (fg.adamw(0.1, weight_decay=0.3), moments.adam, (0.1, 0.9, 0.999, 1e-8), {"decay": 0.3}),
    "sign_sgd": (fg.sign_sgd(0.1), descent.sign_descent, (0.1,), {}),
    "signum": (fg.signum(0.1, 0.8), descent.signum, (0.1, 0.8), {}),
    "lion": (fg.lion(0.1, 0.8, 0.95, weight_decay=0.3), descent.lion, (0.1, 0.8, 0.95, 0.3), {}),
    "rprop": (fg.rprop(0.1), descent.rprop, (0.1,), {}),
    "rprop, bounds": (fg.rprop(0.1, 0.3, 1.5, 0.02, 0.2), descent.rprop, (0.1, 0.3, 1.5, 0.02, 0.2), {}),
    "adadelta": (fg.adadelta(), moments.adadelta, (1.0, 0.9, 1e-6), {}),
    "adadelta, decay": (fg.adadelta(0.5, 0.8, 1e-3, 0.3), moments.adadelta, (0.5, 0.8, 1e-3), {"decay": 0.3}),
    "nadam": (fg.nadam(0.1), moments.adam, (0.1, 0.9, 0.999, 1e-8), {"nesterov": True}),
    "nadamw": (
        fg.nadamw(0.1, weight_decay=0.3),
        moments.adam,
        (0.1, 0.9, 0.999, 1e-8),
        {"nesterov": True, "decay": 0.3},
    ),
    "adamax": (fg.adamax(0.1, 0.8, 0.99, 1e-3), moments.adamax, (0.1, 0.8, 0.99, 1e-3), {}),
    "adamaxw": (fg.adamaxw(0.1, weight_decay=0.3), moments.adamax, (0.1, 0.9, 0.999, 1e-8), {"decay": 0.3}),
    "amsgrad": (fg.amsgrad(0.1, 0.8, 0.9, 1e-3, 1e-4), moments.amsgrad, (0.1, 0.8, 0.9, 1e-3, 1e-4), {}),
    "amsgrad as published": (
        fg.amsgrad(0.1, bias_correction_mu=False, bias_correction_nu=False),
        moments.amsgrad,
        (0.1, 0.9, 0.999, 1e-8),
        {"debias": (False, False)},
    ),
    "adabelief": (fg.adabelief(0.1, 0.8, 0.99), moments.adabelief, (0.1, 0.8, 0.99, 1e-16, 1e-16), {}),
    "adabelief, nesterov": (
        fg.adabelief(0.1, eps=1e-3, eps_root=1e-4, nesterov=True),
        moments.adabelief,
        (0.1, 0.9, 0.999, 1e-3, 1e-4, True),
        {},
    ),
    "adan": (fg.adan(0.1, eps_root=0.0), moments.adan, (0.1, (0.98, 0.92, 0.99), 1e-8), {}),
    "adan, decay": (
        fg.adan(0.1, 0.9, 0.8, 0.7, 1e-3, 1e-4, 0.3),
        moments.adan,
        (0.1, (0.9, 0.8, 0.7), 1e-3, 1e-4, 0.3),
        {},
    ),
    "radam": (fg.radam(0.1), moments.radam, (0.1, 0.9, 0.999, 1e-8), {}),
    "radam, nesterov": (
        fg.radam(0.1, 0.8, 0.9, 1e-3, 1e-4, 4.5, nesterov=True),
        moments.radam,
        (0.1, 0.8, 0.9, 1e-3, 1e-4, 4.5, True),
        {},
    ),
    "radam that never knows": (fg.radam(0.1, b2=0.5), moments.radam, (0.1, 0.9, 0.5, 1e-8), {}),
    "yogi": (fg.yogi(0.1), moments.yogi, (0.1, 0.9, 0.999, 1e-3), {}),
    "adopt": (fg.adopt(0.1), moments.adopt, (0.1, 0.9, 0.9999, 1e-6), {}),
    "adopt, nesterov": (
        fg.adopt(0.1, 0.8, 0.9, 1e-3, nesterov=True, use_clipping=False),
        moments.adopt,
        (0.1, 0.8, 0.9, 1e-3, lambda t: np.inf, True),
        {},
    ),
    "ademamix": (
        fg.ademamix(0.1, b3=0.99, alpha=fg.linear_schedule(5.0, 0.0, STEPS), weight_decay=0.3),
        moments.ademamix,
        (0.1, 0.9, 0.999, 0.99, 25 * ETAS, 1e-8),
        {"decay": 0.3},
    ),
    "simplified_ademamix": (
        fg.simplified_ademamix(0.1, 0.9, 0.99, 2.0, 1e-3, 1e-4, 0.3),
        moments.simplified_ademamix,
        (0.1, 0.9, 0.99, 2.0, 1e-3, 1e-4, 0.3),
        {},
    ),
    "acprop": (fg.acprop(0.1, 0.9, 0.99), moments.acprop, (0.1, 0.9, 0.99, 1e-16, 1e-16), {}),
    "acprop, decay": (
        fg.acprop(0.1, 0.8, 0.9, 1e-3, 1e-4, 0.3),
        moments.acprop,
        (0.1, 0.8, 0.9, 1e-3, 1e-4, 0.3),
        {},
    ),
    "optimistic": (fg.optimistic_gradient_descent(0.1, 1.5, 0.5), descent.optimistic, (0.1, 1.5, 0.5), {}),
    "optimistic_adam": (
        fg.optimistic_adam(0.1, nesterov=False),
        moments.optimistic_adam,
        (0.1, 0.1, 0.9, 0.999, 1e-8),
        {},
    ),
    "optimistic_adam_v2": (
        fg.optimistic_adam_v2(0.2, 0.5, 0.25, nesterov=False),
        moments.optimistic_adam,
        (0.1, 0.05, 0.9, 0.999, 1e-8),
        {},
    ),
    "madgrad": (fg.madgrad(0.1), moments.madgrad, (0.1, 0.9, 1e-6), {}),
    "madgrad, decay": (fg.madgrad(0.1, 0.5, 0.3, 1e-3), moments.madgrad, (0.1, 0.5, 1e-3, 0.3), {}),
    "lars": (fg.lars(1.0, trust_coefficient=0.1), layers.lars, (1.0, 0.1, 0.9), {}),
    "lars, decay": (
        fg.lars(1.0, 0.3, trust_coefficient=0.1, momentum=0.5, nesterov=True),
        layers.lars,
        (1.0, 0.1, 0.5, 0.3, True),
        {},
    ),
    "lamb": (fg.lamb(0.1), layers.lamb, (0.1, 0.9, 0.999, 1e-6), {}),
    "lamb, decay": (fg.lamb(0.1, 0.8, 0.9, 1e-3, weight_decay=0.3), layers.lamb, (0.1, 0.8, 0.9, 1e-3, 0.3), {}),
    "fromage": (fg.fromage(0.1), layers.fromage, (0.1,), {}),
    "novograd": (fg.novograd(0.1), layers.novograd, (0.1, 0.9, 0.25, 1e-6), {}),
    "novograd, decay": (
        fg.novograd(0.1, 0.8, 0.9, 1e-3, 1e-4, 0.3),
        layers.novograd,
        (0.1, 0.8, 0.9, 1e-3, 1e-4, 0.3),
        {},
    ),
    "adafactor": (fg.adafactor(0.1), layers.adafactor, (0.1,), {}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_row_15_rules_are_those_of_their_papers(case, dtype):
    tx, oracle, args, options = CASES[case]
    grads = UNIT if "centred" in options else GRADS  # v − m² cancels: its error is that of g², not its own
    with precision(dtype):
        theta = follow(tx, jnp.asarray(THETA, dtype), jnp.asarray(grads, dtype))
        assert theta.dtype == dtype
    expected = oracle(THETA, grads, *args, **options)
    tolerance = 1e-11 if dtype == "float64" else 3e-5
    np.testing.assert_allclose(theta, expected, rtol=tolerance, atol=tolerance)


MATRIX_CASES = {
    "sm3": (fg.sm3(0.1, 0.8), layers.sm3, (0.1, 0.8)),
    "adafactor": (fg.adafactor(0.1, 2), layers.adafactor, (0.1,)),
    "adafactor, all": (
        fg.adafactor(0.1, 2, 0.7, 3, False, 0.5, 0.9, weight_decay_rate=0.1),
        layers.adafactor,
        (0.1, 0.7, False, 0.5, 0.9, 0.1, 1e-30, 3),
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 3), (3, 2)])
@pytest.mark.parametrize("case", MATRIX_CASES)
def test_rules_for_matrices_are_those_of_their_papers(case, shape, dtype):
    tx, oracle, args = MATRIX_CASES[case]
    theta, grads = THETA.reshape(shape), GRADS.reshape(STEPS, *shape)
    with precision(dtype):
        found = follow(tx, jnp.asarray(theta, dtype), jnp.asarray(grads, dtype))
    tolerance = 1e-11 if dtype == "float64" else 3e-5
    np.testing.assert_allclose(found, oracle(theta, grads, *args), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_noisy_descent_is_that_of_its_paper(dtype):
    """With the numbers that `add_noise` draws; that they are normal, its own tests say."""
    with precision(dtype):
        theta, grads = jnp.asarray(THETA, dtype), jnp.asarray(GRADS, dtype)
        found = follow(fg.noisy_sgd(0.1, 0.3, 0.55, key=7), theta, grads)
        noise, state, normal = fg.add_noise(1.0, 0.0, key=7), fg.add_noise(1.0, 0.0, key=7).init(theta), []
        for _ in range(STEPS):
            drawn, state = noise.update(jnp.zeros(N, dtype), state)
            normal.append(np.float64(drawn))
    tolerance = 1e-11 if dtype == "float64" else 3e-5
    expected = descent.noisy(THETA, GRADS, 0.1, 0.3, 0.55, normal)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_row_27_forms_of_momentum_differ_only_when_the_rate_changes():
    theta, grads = jnp.asarray(THETA, jnp.float32), jnp.asarray(GRADS[:, ::-1] / 1e3, jnp.float32)
    same = [follow(fg.sgd(0.1, momentum=0.9, velocity=v), theta, grads) for v in (False, True)]
    np.testing.assert_allclose(*same, rtol=1e-5)
    other = [follow(fg.sgd(FALLING, momentum=0.9, velocity=v), theta, grads) for v in (False, True)]
    assert np.max(np.abs(other[0] - other[1])) > 0.1


B2 = 1 - 1e-7


@pytest.fixture(scope="module")
def long_run():
    rng = np.random.default_rng(1)
    return rng.standard_normal(N), rng.standard_normal((200, N)) * np.logspace(-3, 3, N)


@pytest.mark.parametrize("traced", [False, True], ids=["closed over", "argument"])
def test_adamw_with_a_decay_next_to_one(long_run, traced):
    theta, grads = long_run
    tx = fg.adamw(0.01, b2=B2, weight_decay=0.1)
    x, g = jnp.asarray(theta, jnp.float32), jnp.asarray(grads, jnp.float32)
    found = follow(tx, x, g) if traced else jax.jit(lambda x, g: follow.__wrapped__(tx, x, g))(x, g)
    expected = moments.adam(theta, grads, 0.01, 0.9, B2, 1e-8, decay=0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_moments_of_bfloat16_parameters_move_like_float32():
    """A constant gradient of 0.1: the second moment must reach 0.01, where bfloat16 storage would stick at 0.004."""
    g = jnp.full(4, 0.1, jnp.bfloat16)
    params = jnp.ones(4, jnp.bfloat16)
    tx = fg.adam(1e-3)

    @jax.jit
    def moments(params, g):
        return jax.lax.scan(lambda s, _: (tx.update(g, s, params)[1], None), tx.init(params), None, length=8000)[0]

    low, high = moments(params, g), moments(params.astype(jnp.float32), g.astype(jnp.float32))
    np.testing.assert_array_equal(fg.tree.get(low, "nu"), fg.tree.get(high, "nu"))
    np.testing.assert_allclose(fg.tree.get(low, "nu"), float(g[0]) ** 2, rtol=1e-3)


def test_nearest_rounding_stalls_bfloat16_parameters():
    """What the documentation says: a step under half a unit in the last place is rounded away."""
    tx, params = fg.sgd(1e-3), jnp.ones(2, jnp.bfloat16)
    updates, _ = tx.update(jnp.ones(2, jnp.bfloat16), tx.init(params), params)
    assert updates.dtype == jnp.float32
    np.testing.assert_array_equal(fg.apply_updates(params, updates), params)


@pytest.mark.parametrize("b2", [0.9, 0.999, 1 - 1e-6, 1 - 1e-7])
def test_first_step_of_adam_has_the_length_of_the_learning_rate(b2):
    u, _ = fg.adam(0.1, b2=b2, eps=0.0).update(jnp.array([3.0, -1e-4]), fg.adam(0.1).init(jnp.zeros(2)))
    np.testing.assert_allclose(u, [-0.1, 0.1], rtol=1e-6)


@pytest.mark.parametrize("count", [0, 9, 10**4, 10**6, 2**24, 2**24 + 1, 2**31 - 2, 2**31 - 1])
def test_adam_at_every_count(count):
    tx = fg.scale_by_adam(b2=1 - 1e-7)
    state = tx.init(jnp.ones(1))._replace(count=jnp.int32(count))
    u, new = tx.update(jnp.ones(1), state)
    assert np.isfinite(u).all()
    assert int(new.count) == min(count + 1, 2**31 - 1)


@pytest.mark.parametrize("b2", [0.9, 0.999, 1 - 1e-7])
@pytest.mark.parametrize("count", [3, 5, 19, 10**3, 10**6, 2**31 - 2])
def test_radam_rectifies_accurately_at_every_count(b2, count):
    """A constant gradient of 1 has moments of 1, so that the direction is r itself."""
    tx = fg.scale_by_radam(b1=0.0, b2=b2, eps=0.0)
    known = fg.core.numerics.bias_correction(b2, count)[None]
    u, _ = tx.update(jnp.ones(1), tx.init(jnp.ones(1))._replace(count=jnp.int32(count), nu=known))
    decay, t = np.longdouble(b2), np.longdouble(count + 1)
    longest = 2 / (1 - decay) - 1
    rho = longest - 2 * t * decay**t / (1 - decay**t)
    r = np.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)) if rho >= 5 else 1.0
    np.testing.assert_allclose(u, float(r), rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
def test_units_a_scaled_loss_changes_what_the_registry_says(row, scale):
    tx = dataclasses.replace(row.example, **{n: 0.0 for n in ("eps", "eps_root") if hasattr(row.example, n)})
    theta, grads = jnp.asarray(THETA, jnp.float32), jnp.asarray(UNIT, jnp.float32)
    one, other = follow(tx, theta, grads), follow(tx, theta, scale * grads)
    if row.scale_invariant:
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
    else:
        assert np.max(np.abs(other - one)) > 1e-3


def test_units_of_gradient_descent_the_rate_undoes_the_scale():
    theta, grads = jnp.asarray(THETA, jnp.float32), jnp.asarray(GRADS, jnp.float32)
    np.testing.assert_allclose(
        follow(fg.sgd(1e-4), theta, 1e3 * grads), follow(fg.sgd(0.1), theta, grads), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    "tx", [fg.adam(0.1), fg.rmsprop(0.1), fg.adagrad(0.1), fg.adamw(0.1, weight_decay=0.0)], ids=repr
)
@pytest.mark.parametrize("size", [1e20, 3e38])
def test_a_huge_gradient_makes_no_huge_step_and_an_infinite_one_shows(tx, size):
    params = jnp.zeros(2)
    updates, state = tx.update(jnp.array([size, 1.0]), tx.init(params), params)
    assert (np.abs(updates) < 1).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
    updates, _ = tx.update(jnp.array([np.inf, 1.0]), tx.init(params), params)
    assert not np.isfinite(updates[0])
    assert np.isfinite(updates[1])
