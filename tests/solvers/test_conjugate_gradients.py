"""Nonlinear conjugate gradients and Barzilai-Borwein: finite ends on quadratics, Rosenbrock's valley."""

import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

TIGHT = fg.stop.gradient_norm(1e-6, norm="max")
MATRIX = np.random.default_rng(0).normal(size=(6, 6))
MATRIX = MATRIX @ MATRIX.T + np.eye(6)


def quadratic(x):
    return x @ jnp.asarray(MATRIX) @ x / 2 - x.sum()


@pytest.mark.parametrize(
    "method",
    [
        fg.NonlinearCG("polak_ribiere+", fg.ExactQuadratic()),
        fg.NonlinearCG("dai_yuan", fg.ExactQuadratic()),
        fg.BFGS(fg.ExactQuadratic()),
    ],
    ids=repr,
)
def test_an_exact_search_ends_on_a_quadratic_after_n_steps(x64, method):
    run = fg.minimize(quadratic, jnp.zeros(6), method, max_steps=20, stop=fg.stop.gradient_norm(1e-8))
    assert run.reason is fg.StopReason.GRADIENT_NORM
    assert int(run.steps) == 6  # its eigenvalues are distinct
    np.testing.assert_allclose(run.params, np.linalg.solve(MATRIX, np.ones(6)), rtol=1e-8)


@pytest.mark.parametrize("n", [2, 10])
@pytest.mark.parametrize(
    "method", [*map(fg.NonlinearCG, ("polak_ribiere+", "hestenes_stiefel")), fg.BarzilaiBorwein()], ids=repr
)
def test_rosenbrock(x64, method, n):
    run = fg.minimize(fg.problems.rosenbrock(n).fun, jnp.zeros(n), method, max_steps=2000, stop=TIGHT)
    assert run.reason is fg.StopReason.GRADIENT_NORM
    np.testing.assert_allclose(run.params, np.ones(n), atol=1e-4)


@pytest.mark.parametrize("rule", ["long", "short"])
def test_steps_of_barzilai_and_borwein_are_theirs(x64, rule):
    """On a quadratic nearly all first trials are accepted, so the iterates are those of the bare recursion."""
    run = fg.minimize(quadratic, jnp.zeros(6), fg.BarzilaiBorwein(rule), max_steps=12, record=True)
    assert int(run.evaluations) == 13
    x, old, a = np.zeros(6), None, None
    for k in range(13):
        g = MATRIX @ x - 1
        if old is not None:
            s, y = x - old[0], g - old[1]
            a = s @ s / (s @ y) if rule == "long" else s @ y / (y @ y)
        else:
            a = 1 / max(1, np.linalg.norm(g))
        np.testing.assert_allclose(run.history["params"][k], x, rtol=1e-7, atol=1e-9)
        old, x = (x, g), x - a * g


def test_barzilai_and_borwein_may_go_up_unless_the_window_is_one():
    runs = {
        window: fg.minimize(
            fg.problems.rosenbrock(4).fun, jnp.zeros(4), fg.BarzilaiBorwein(window=window), max_steps=80, record=True
        )
        for window in (1, 10)
    }
    assert (np.diff(runs[10].history["value"]) > 0).any()
    assert (np.diff(runs[1].history["value"]) <= 0).all()


def test_formulas_by_name():
    with pytest.raises(ValueError, match="NonlinearCG: `beta` must be one of 'polak_ribiere\\+'"):
        fg.NonlinearCG("polak_ribiere")
