"""Rules for matrices beside Optax's, where both implement the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

optax = pytest.importorskip("optax")
theirs = optax.contrib

KEYS = jax.random.split(jax.random.key(0), 4)
PARAMS = {"w": jax.random.normal(KEYS[0], (3, 5)), "b": jnp.ones(3), "tall": jax.random.normal(KEYS[1], (2, 6, 4))}
GRADS = [jax.tree.map(lambda p, i=i: jnp.sin(3 * p + i), PARAMS) for i in range(4)]
BOTH = {"w": (0, 1), "b": None, "tall": (1, 2)}


def run(tx, apply=fg.apply_updates):
    params, state = PARAMS, tx.init(PARAMS)
    update = jax.jit(tx.update)
    for g in GRADS:
        updates, state = update(g, state, params)
        params = apply(params, updates)
    return params


def numbers(cls, spec=BOTH):
    return jax.tree.map(lambda p: None if p is None else cls(*p), spec, is_leaf=lambda p: p is None or len(p) == 2)


MUON = [
    {},
    {"ns_coeffs": "dion"},
    {"ns_coeffs": (2.0, -1.5, 0.5), "ns_steps": 3, "beta": 0.8, "weight_decay": 0.1, "adam_weight_decay": 0.2},
    {"adaptive": True},
    {"preconditioning": "schatten"},
    {"preconditioning": "aol"},
    {"preconditioning": "spectral"},
    {"consistent_rms": 0.2, "adam_learning_rate": 0.01, "adam_b1": 0.8, "adam_b2": 0.9},
]


@pytest.mark.parametrize("options", MUON, ids=lambda options: ", ".join(options))
def test_same_muon(options):
    """Without Nesterov momentum, where Optax has another weight for the gradient, and Nesterov's Adam beside it."""
    ours = fg.muon(0.1, nesterov=False, muon_weight_dimension_numbers=numbers(fg.MuonDimensionNumbers), **options)
    other = theirs.muon(
        0.1, nesterov=False, muon_weight_dimension_numbers=numbers(theirs.MuonDimensionNumbers), **options
    )
    found, expected = run(ours), run(other)
    if "adaptive" in options:  # there, ⟨N, O⟩ of all matrices in a batch together
        found, expected = found["w"], expected["w"]
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_dimension_numbers_of_optax_are_understood():
    ours, other = (
        fg.muon(0.1, muon_weight_dimension_numbers=numbers(cls))
        for cls in (fg.MuonDimensionNumbers, theirs.MuonDimensionNumbers)
    )
    for a, b in zip(jax.tree.leaves(run(ours)), jax.tree.leaves(run(other)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("base", [None, "scale_by_lion"])
def test_same_galore_for_square_matrices(base):
    """Of others, Optax projects the longer side; with another projector, signs are those of LAPACK there."""
    g = jax.random.normal(KEYS[2], (8, 5, 5))

    def updates(library, module):
        inner = base and getattr(library, base)()
        tx = module.galore(0.1, 2, scale=0.5, base_optimizer=inner, weight_decay=0.1)
        params = {"w": g[-1], "b": g[-1, 0]}

        def step(state, x):
            return tx.update({"w": x, "b": x[0]}, state, params)[::-1]

        return jax.jit(lambda: jax.lax.scan(step, tx.init(params), g)[1])()

    ours, expected = updates(fg, fg), updates(optax, theirs)
    for name in ("w", "b"):
        np.testing.assert_allclose(ours[name], expected[name], rtol=1e-4, atol=1e-5)


def test_galore_takes_directions_of_optax():
    params = {"w": PARAMS["w"]}
    ours, other = (fg.galore(0.1, 2, base_optimizer=tx) for tx in (fg.scale_by_adam(), optax.scale_by_adam()))
    a, b = (tx.update(params, tx.init(params), params)[0]["w"] for tx in (ours, other))
    np.testing.assert_allclose(a, b, rtol=1e-5)
