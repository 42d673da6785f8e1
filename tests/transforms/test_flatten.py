"""One vector in place of many leaves."""

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd.testing import check_transform


def test_contract():
    check_transform(fg.flatten(fg.adam(0.1)), dtypes=("float32", "bfloat16"))


def test_the_same_numbers_as_without():
    rng = np.random.default_rng(0)
    params = {
        "w": jnp.asarray(rng.standard_normal((2, 3)), jnp.float32),
        "low": jnp.ones(4, jnp.bfloat16),
        "z": (jnp.array([1 + 2j]), None, jnp.zeros((0, 2))),
    }
    inner = fg.chain(fg.clip_by_global_norm(0.5), fg.adamw(0.1, weight_decay=0.1))

    def run(tx):
        def step(carry, scale):
            theta, state = carry
            updates, state = tx.update(jax.tree.map(lambda p: p * scale.astype(p.dtype), theta), state, theta)
            return (fg.apply_updates(theta, updates), state), updates

        return jax.jit(lambda: jax.lax.scan(step, (params, tx.init(params)), jnp.arange(1.0, 5.0)))()

    (flat, _), flat_updates = run(fg.flatten(inner))
    (plain, _), plain_updates = run(inner)
    for mine, theirs in ((flat, plain), (flat_updates, plain_updates)):
        assert jax.tree.structure(mine) == jax.tree.structure(theirs)
        for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(np.asarray(a, complex), np.asarray(b, complex), rtol=2e-5, atol=1e-6)


def test_a_search_inside():
    def f(p):
        return (p["x"] - 3) ** 2 + 10 * jnp.sum((p["y"] - 1) ** 2)

    p, tx = {"x": jnp.float32(0), "y": jnp.zeros(2)}, fg.flatten(fg.lbfgs())
    state = tx.init(p)

    @jax.jit
    def step(p, state):
        value, grad = jax.value_and_grad(f)(p)
        updates, state = tx.update(grad, state, p, value=value, grad=grad, value_fn=f)
        return fg.apply_updates(p, updates), state

    for _ in range(6):
        p, state = step(p, state)
    np.testing.assert_allclose([p["x"], *p["y"]], [3, 1, 1], rtol=1e-4)
    assert tx.needs == fg.lbfgs().needs
