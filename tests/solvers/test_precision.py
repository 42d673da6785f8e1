"""Products of matrices that a method forms by itself have all digits of the dtype, whatever JAX's default is."""

import jax
import jax.numpy as jnp
import pytest

import funcgd as fg
from funcgd import solvers
from tests.solvers.test_methods_on_problems import METHODS as SMOOTH

L1, X0 = fg.L1Norm(0.1), jnp.array([0.7, -0.4, 0.2])
RESTRICTED = [
    fg.LBFGSB(-1.0, jnp.array([0.5, 1.0, 1.0])),
    fg.ProximalGradient(L1),
    fg.FISTA(L1),
    fg.ProjectedGradient(lambda x: fg.projections.projection_l2_ball(x, 1.0)),
    fg.BlockCoordinateDescent(L1),
    fg.CoordinateDescent(L1),
    fg.ADMM(L1),
    fg.MirrorDescent(),
]
METHODS = {**SMOOTH, **{type(method).__name__: method for method in RESTRICTED}}


def residuals(x, scales):
    """Without a product of matrices."""
    return jnp.concatenate([jnp.sin(x) * scales, jnp.exp(x) - 1])


def objective(x, scales):
    return jnp.sum(residuals(x, scales) ** 2) / 2


@pytest.mark.parametrize("name", METHODS)
def test_products_have_all_digits(name):
    fun = fg.least_squares(residuals) if isinstance(METHODS[name], solvers.ResidualMethod) else objective

    def run(x0, scales):
        return fg.minimize(fun, x0, METHODS[name], args=(scales,), max_steps=3).params

    program = str(jax.make_jaxpr(run)(X0, jnp.arange(1.0, 4.0)))
    products = program.count("dot_general[")
    assert products == program.count("precision=(Precision.HIGHEST, Precision.HIGHEST)"), program
    if name in ("BFGS", "Newton", "LBFGSB", "LevenbergMarquardt", "ADMM"):
        assert products  # else this test sees nothing


def test_every_method_is_here():
    bases = {"LineSearchMethod", "ResidualMethod"}
    methods = {name for name in solvers.__all__ if hasattr(getattr(solvers, name), "init")} - bases
    assert {type(method).__name__ for method in METHODS.values()} == methods
