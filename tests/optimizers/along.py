"""A transform along given gradients."""

import jax

import funcgd as fg
from funcgd.testing import common


@jax.jit
def follow(tx, theta, grads):
    """Where `tx` leads from `theta` along gradients behind a leading axis; it gets what it needs beside them."""

    def step(carry, g):
        theta, state = carry
        updates, state = common.update(tx, g, state, theta, {})
        return (fg.apply_updates(theta, updates), state), None

    return jax.lax.scan(step, (theta, tx.init(theta)), grads)[0][0]
