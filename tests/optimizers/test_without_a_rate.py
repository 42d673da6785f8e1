"""Optimizers that find their rate, on problems of all scales, begun with nothing or with a wrong guess."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

FADING = fg.linear_schedule(1.0, 0.0, 2000)  # for those whose steps do not shrink by themselves
FREE = {
    "prodigy": fg.prodigy(FADING),
    "dadapt_adamw": fg.dadapt_adamw(FADING),
    "dog": fg.dog(),
    "dowg": fg.dowg(),
    "cocob": fg.cocob(),
    "mechanize": fg.mechanize(fg.adam(FADING)),
    "polyak_sgd": fg.polyak_sgd(float("inf")),
    "momo": fg.momo(1e6),
    "momo_adam": fg.momo_adam(fg.linear_schedule(10.0, 0.0, 2000)),
}
ENTRYWISE = ("prodigy", "dadapt_adamw", "cocob", "mechanize", "momo_adam")
BOUNDS = {"polyak_sgd": "f_min", "momo": "lower_bound", "momo_adam": "lower_bound"}  # the least loss, which they need
ESTIMATES = {  # fields that never fall
    "prodigy": "estim_lr",
    "dadapt_adamw": "estim_lr",
    "dog": "max_dist",
    "dowg": "estim_sq_dist",
}
CURVATURES = jnp.array([1.0, 10.0, 100.0])


@functools.partial(jax.jit, static_argnames=("f", "steps"))
def descend(f, tx, x, *args, steps=2000):
    """Where the steps end, and the loss at each."""

    def step(carry, _):
        x, state = carry
        value, grad = jax.value_and_grad(f)(x, *args)
        updates, state = tx.update(grad, state, x, value=value)
        return (fg.apply_updates(x, updates), state), value

    (x, _), values = jax.lax.scan(step, (x, tx.init(x)), length=steps)
    return x, values


def bowl(x, minimiser, height):
    return height * jnp.sum(CURVATURES * (x - minimiser) ** 2) / 2


@pytest.mark.parametrize("name", FREE)
def test_an_ill_scaled_quadratic_is_solved_without_a_rate(name):
    """Minimisers at distances from 0.1 to 100, losses of any height."""
    far, heights = jnp.array([0.1, 1.0, 10.0, 100.0]), jnp.array([1e-3, 1.0, 1e3, 1e6])
    minimisers = far[:, None] * jnp.array([1.0, -1.0, 0.5])
    runs = jax.vmap(functools.partial(descend, bowl), in_axes=(None, None, 0, 0))
    _, values = runs(FREE[name], jnp.zeros(3), minimisers, heights)
    assert (values[:, -1] < 1e-5 * values[:, 0]).all(), values[:, -1] / values[:, 0]


def logistic_loss(w, x, y):
    return jnp.mean(jnp.logaddexp(0.0, -y * (x @ w)))


@pytest.mark.parametrize("name", FREE)
def test_logistic_regression_is_solved_without_a_rate(name):
    """With features of scales from 0.03 to 3 for those whose steps are scaled entry by entry."""
    rng = np.random.default_rng(0)
    scales = np.array([0.03, 0.3, 3.0]) if name in ENTRYWISE else np.ones(3)
    features = jnp.asarray(rng.standard_normal((64, 3)) * scales, jnp.float32)
    labels = jnp.asarray(np.sign(rng.standard_normal(64) + features @ (1 / scales)), jnp.float32)
    best = fg.minimize(lambda w: logistic_loss(w, features, labels), jnp.zeros(3), fg.LBFGS(), max_steps=200).value
    tx = dataclasses.replace(FREE[name], **{BOUNDS[name]: best} if name in BOUNDS else {})
    _, values = descend(logistic_loss, tx, jnp.zeros(3), features, labels)
    assert values[0] - best > 0.25
    assert values[-1] - best < 0.01


BEGINNINGS = {
    "prodigy": lambda d: {"estim_lr0": d},
    "dadapt_adamw": lambda d: {"estim_lr0": d},
    "dog": lambda d: {"init_step": ("distance", d)},
    "dowg": lambda d: {"init_estim_sq_dist": d**2},
    "mechanize": lambda d: {"s_init": d},
}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_the_first_estimate_may_be_wrong_by_orders_of_magnitude(name):
    stack = fg.stack([dataclasses.replace(FREE[name], **BEGINNINGS[name](10.0**k)) for k in range(-6, 1)])
    minimiser = jnp.array([5.0, -2.0, 1.0])
    runs = jax.vmap(functools.partial(descend, bowl), in_axes=(0, None, None, None))
    _, values = runs(stack, jnp.ones(3), minimiser, jnp.float32(1.0))
    left = 1e-2 if name == "mechanize" else 1e-4
    assert (values[:, -1] < left * values[:, 0]).all(), values[:, -1]


@jax.jit
def walk(tx, x, grads):
    def step(carry, g):
        x, state = carry
        updates, state = tx.update(g, state, x, value=jnp.sum(jnp.abs(g)))
        x = fg.apply_updates(x, updates)
        return (x, state), (x, state)

    return jax.lax.scan(step, (x, tx.init(x)), grads)[1]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("start", [0.0, 1.0])
@pytest.mark.parametrize("name", FREE)
def test_row_32_zero_gradients_at_first_and_zero_parameters(name, start, dtype):
    """No step and no NaN while gradients are zero; then it moves, and the estimate never falls."""
    grads = jnp.asarray([[0.0, 0.0]] * 3 + [[1.0, -2.0]] * 17, dtype)
    x, states = walk(FREE[name], jnp.full(2, start, dtype), grads)
    assert all(np.isfinite(np.asarray(leaf, np.float64)).all() for leaf in jax.tree.leaves((x, states)))
    np.testing.assert_array_equal(x[:3], np.full((3, 2), start))
    if name in ESTIMATES:
        assert (np.diff(fg.tree.get(states, ESTIMATES[name])) >= 0).all()
    if start == 0 or dtype == "float32":  # steps of 1e-6 are rounded away in 1 + 1e-6 of float16
        assert x[-1, 0] < start < x[-1, 1]


@pytest.mark.parametrize("name", ESTIMATES)
def test_row_32_the_estimate_never_falls_and_never_is_nan(name):
    rng = np.random.default_rng(0)
    grads = rng.standard_normal((40, 3)) * 10.0 ** rng.integers(-20, 20, (40, 3)) * rng.integers(0, 2, (40, 1))
    grads[30, 0] = np.nan
    _, states = walk(FREE[name], jnp.ones(3), jnp.asarray(grads, jnp.float32))
    estimate = np.asarray(fg.tree.get(states, ESTIMATES[name]))
    assert np.isfinite(estimate).all()
    assert (np.diff(estimate) >= 0).all()


def without_rate(tx):
    if isinstance(tx, fg.mechanize):
        return dataclasses.replace(tx, base_optimizer=without_rate(tx.base_optimizer))
    return dataclasses.replace(tx, **{"scaling" if isinstance(tx, fg.polyak_sgd) else "learning_rate": 0.0})


@pytest.mark.parametrize("name", FREE)
def test_row_32_a_rate_of_zero_leaves_all_where_it_is(name):
    x, states = walk(without_rate(FREE[name]), jnp.ones(2), jnp.ones((5, 2)))
    np.testing.assert_array_equal(x, 1)
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(states))


@pytest.mark.parametrize("name", FREE)
def test_complex_parameters_descend(name):
    z = fg.minimize(
        lambda z: jnp.sum(jnp.abs(z - (3 - 4j)) ** 2), jnp.zeros(2, jnp.complex64), FREE[name], max_steps=2000
    )
    np.testing.assert_allclose(z.params, 3 - 4j, rtol=1e-3)


@pytest.mark.parametrize("name", BEGINNINGS)
def test_bfloat16_parameters_move_where_the_first_estimate_shows_in_them(name):
    x = jnp.ones(3, jnp.bfloat16)

    def squares(x):
        return jnp.sum((x.astype(jnp.float32) - 5) ** 2)

    small, large = (dataclasses.replace(FREE[name], **BEGINNINGS[name](d)) for d in (1e-6, 0.02))
    np.testing.assert_allclose(fg.minimize(squares, x, large, max_steps=2000).params, 5, rtol=0.02)
    if name not in ("dadapt_adamw", "mechanize"):  # which know what they sum, and need not look at the parameters
        np.testing.assert_array_equal(fg.minimize(squares, x, small, max_steps=100).params, 1)
