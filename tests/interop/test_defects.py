"""Where Optax 0.2.8 is wrong and funcgd departs on purpose: what the first table of docs/migrating.md says, measured.

Ours must be right with every Optax. Theirs is held to what the page says of it for the version that it names only, so
that an Optax that has been mended breaks nothing here; the values of any other are recorded with the result.
"""

import functools
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

optax = pytest.importorskip("optax")
PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text()
NAMED = re.search(r"Found by running both \(Optax ([\d.]+)\)", PAGE)[1]


def updates(tx, params, grads):
    """All updates, for a gradient of each step, and the state at the end."""

    def step(state, g):
        u, state = tx.update(g, state, params)
        return state, u

    state, found = jax.jit(lambda: jax.lax.scan(step, tx.init(params), grads))()
    return found, state


def moments_of_bfloat16(library):
    """ν after 8000 gradients of 0.1, over the square of that gradient."""
    g = jnp.full(8000, 0.1, jnp.bfloat16)
    nu = library.tree.get(updates(library.adam(1e-3), jnp.ones((), jnp.bfloat16), g)[1], "nu")
    return float(nu) / float(g[0]) ** 2


def zero_gradients_of_float16(library, name):
    zeros = jnp.zeros((3, 2), jnp.float16)
    return updates(getattr(library, name)(1e-3), zeros[0], zeros)[0]


def accumulation_after_nan(library):
    """The updates of two windows of two gradients, the first of which has a NaN."""
    return updates(library.MultiSteps(library.sgd(1.0), 2), jnp.zeros(()), jnp.array([1.0, jnp.nan, 1.0, 3.0]))[0][2:]


def plateau_of(library, value):
    """The scale after values that stay as they are: the same, whatever their sign."""
    tx = library.reduce_on_plateau if library is fg else optax.contrib.reduce_on_plateau
    tx, state = tx(factor=0.5, patience=2), None
    state = tx.init(jnp.zeros(()))
    for _ in range(10):
        found, state = tx.update(jnp.ones(()), state, value=jnp.asarray(value, jnp.float32))
    return float(found)


def norm_of_clipped(library, size, dtype):
    found = updates(library.clip_by_global_norm(1.0), jnp.zeros(64, dtype), jnp.full((1, 64), size, dtype))[0]
    return float(np.linalg.norm(np.float64(found)))


def outside_of_a_mask(library):
    """The update of a parameter outside of a mask, for a gradient of 1: not uphill."""
    own = {"outside": "zero"} if library is fg else {}
    tx = library.masked(library.sgd(1.0), {"inside": True, "outside": False}, **own)
    grads = {"inside": jnp.ones(()), "outside": jnp.ones(())}
    return [float(tx.update(grads, tx.init(grads))[0][name]) for name in ("inside", "outside")]


def adam_after_nan(library):
    """The first update after four NaN, of which two were to be left out: as if they had not been."""
    tx = library.apply_if_finite(library.adam(0.1), 2)
    return updates(tx, jnp.zeros(()), jnp.array([jnp.nan] * 4 + [2.0]))[0][-1]


def adam_after_one_huge_gradient(library):
    """ν after a gradient of 1e20 and 100 of 1, b₂ = 0.9: it comes down from the largest float32."""
    tx, grads = library.adam(0.1, b2=0.9), jnp.array([1e20] + [1.0] * 1000, jnp.float32)
    return float(library.tree.get(updates(tx, jnp.zeros(()), grads)[1], "nu"))


def hyperparameters_of_bfloat16(library):
    """The first update of Adam, whose b₂ must not be rounded to 1."""
    tx = library.inject_hyperparams(library.adam)(0.5)
    return updates(tx, jnp.ones((), jnp.bfloat16), jnp.full(1, 2.0, jnp.bfloat16))[0]


def first_step_next_to_one(library):
    """The first step of Adam is one learning rate long, however near to 1 the decay is."""
    return updates(library.adam(0.5, b2=1 - 1e-7, eps=0.0), jnp.zeros(()), jnp.full(1, 3.0))[0]


def contrib(library, name):
    return getattr(getattr(library, "contrib", library), name)


def estimate_after_zeros(library, name):
    """The estimate of the distance after a gradient of zeros and one of ones, over what it was at first."""
    grads = jnp.array([[0.0, 0.0], [1.0, 1.0]])
    return float(library.tree.get(updates(contrib(library, name)(), jnp.ones(2), grads)[1], "estim_lr")) / 1e-6


def dog_after_zeros(library):
    """Steps of a first rate of 0.5, as long as the parameters have not moved."""
    tx = contrib(library, "dog")(init_step=("learning_rate", 0.5))
    return updates(tx, jnp.ones(1), jnp.array([[0.0], [1.0], [1.0]]))[0]


def mechanic_far_from_zero(library):
    """Where 100 steps from 100 end, of |x − 101|²."""
    tx = contrib(library, "mechanize")(library.adam(1.0))

    def step(carry, _):
        x, state = carry
        u, state = tx.update(2 * (x - 101), state, x)
        return (x + u, state), None

    x = jnp.full(2, 100.0)
    return jax.jit(lambda: jax.lax.scan(step, (x, tx.init(x)), length=100)[0][0])()


def half_of_polyak(library):
    """Half of Polyak's step for a loss of 1 and a gradient of 2."""
    tx = library.polyak_sgd(scaling=0.5)
    return tx.update(jnp.float32(2), tx.init(jnp.float32(0)), jnp.float32(0), value=jnp.float32(1))[0]


HALF = "Adam, RMSProp, … of float16 parameters at a zero gradient"
DEFECTS = {  # measured how, what is right, and the beginning of its line on the page
    **{
        f"0 / 0 in an estimate: {name}": (functools.partial(estimate_after_zeros, name=name), 1.0, "`prodigy`, `dadapt")
        for name in ("prodigy", "dadapt_adamw")
    },
    "DoG that never moves": (dog_after_zeros, [[0], [-0.5], [-0.5]], '`dog(init_step=("learning_rate", η))`'),
    "Mechanic that never moves": (mechanic_far_from_zero, 101.0, "`mechanize(adam(1.0))` from θ = 100"),
    "Polyak's step divided by its factor": (half_of_polyak, -0.25, "`polyak_sgd(scaling=c)`"),
    "moments of bfloat16 freeze": (moments_of_bfloat16, 1.0, "moments of bfloat16 parameters"),
    **{
        f"zero gradients of float16: {name}": (functools.partial(zero_gradients_of_float16, name=name), 0.0, HALF)
        for name in ("adam", "adamw", "rmsprop", "adabelief")
    },
    "0 · NaN in accumulation": (accumulation_after_nan, [0.0, -2.0], "`MultiSteps`, `apply_every` after one NaN"),
    "plateau of negative values": (
        functools.partial(plateau_of, value=-1.0),
        plateau_of(fg, 1.0),
        "`reduce_on_plateau` of values that stay at −1",
    ),
    "clip where squares overflow, float16": (
        functools.partial(norm_of_clipped, size=300.0, dtype="float16"),
        1.0,
        "`clip_by_global_norm(1)` of float16 gradients of 300",
    ),
    "clip where squares overflow, float32": (
        functools.partial(norm_of_clipped, size=1e30, dtype="float32"),
        1.0,
        "– of float32 gradients of 1e30",
    ),
    "masks pass raw gradients through": (outside_of_a_mask, [-1.0, 0.0], "`masked(optimizer, mask)`"),
    "NaN accepted into Adam": (adam_after_nan, -0.1, "`apply_if_finite(inner, n)` after more than n"),
    "ν is infinite for ever": (adam_after_one_huge_gradient, 1.0, "Adam, Adagrad, RMSProp after one gradient of 1e20"),
    "b2 rounded to 1": (hyperparameters_of_bfloat16, -0.5, "`inject_hyperparams(adamw)(1e-3)` on bfloat16"),
    "b2 next to 1": (first_step_next_to_one, -0.5, "bias correction of Adam, first step with `b2=1 - 1e-7`"),
}


def right(found, expected):
    found = np.asarray(found, np.float64)
    return np.allclose(found, np.broadcast_to(expected, found.shape), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("defect", DEFECTS)
def test_ours_is_right_where_theirs_is_not(defect, record_property):
    measure, expected, line = DEFECTS[defect]
    assert f"\n| {line}" in PAGE, "the page has a line for it"
    ours, theirs = measure(fg), measure(optax)
    record_property(f"Optax {optax.__version__}", str(theirs))
    assert right(ours, expected), f"got {ours}, expected {expected}"
    if optax.__version__ == NAMED:
        assert not right(theirs, expected), f"Optax has {theirs}; the page must change"
