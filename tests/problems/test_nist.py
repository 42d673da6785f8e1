"""NIST's regressions: files are read as they are, models are theirs, least squares finds what is certified."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.problems import nist, nist_names

PROBLEMS = [nist(name) for name in nist_names()]
SIZES = {"Misra1a": (14, 2), "Gauss2": (250, 8), "ENSO": (168, 9), "Nelson": (128, 3), "Bennett5": (154, 3)}
KINDS = sorted({p.model for p in PROBLEMS}, key=lambda model: model.__name__)

# One program for all problems: data padded with weight 0 to 250 points, parameters with unused ones to 9.
POINTS, PARAMETERS = 250, 9


def padded_residuals(b, kind, x, y, weight):
    plain = [lambda b, x, f=f: f(b, x if f.__name__ == "_nelson" else x[:, 0]) for f in KINDS]
    return weight * (jax.lax.switch(kind, plain, b, x) - y)


FIT = fg.least_squares(padded_residuals)


def padded(p):
    fill = (0, POINTS - p.y.size)
    x = np.pad(p.x.reshape(p.y.size, -1), (fill, (0, 0)), mode="edge")
    x = np.pad(x, ((0, 0), (0, 2 - x.shape[1])))
    y, weight = np.pad(p.y, fill, mode="edge"), np.pad(np.ones_like(p.y), fill)
    return jnp.int32(KINDS.index(p.model)), jnp.asarray(x), jnp.asarray(y), jnp.asarray(weight)


def solve(p, start, method, max_steps=1000):
    b = jnp.asarray(np.pad(p.starts[start], (0, PARAMETERS - p.certified.size)))
    return fg.minimize(FIT, b, method, args=padded(p), max_steps=max_steps)


def digits(p, run):
    """How many digits of the parameter with the fewest are the certified ones."""
    b = np.asarray(run.params, np.float64)[: p.certified.size]
    return -np.log10(np.max(np.abs(b / p.certified - 1)) + 1e-16)


@pytest.mark.parametrize("p", PROBLEMS, ids=lambda p: p.name)
def test_the_certified_sum_of_squares_is_that_of_the_model(p):
    """At the certified parameters, rounded to 11 digits, so the model, its data and the answer belong together."""
    b = p.certified
    with np.errstate(all="raise"), jax.enable_x64(True):
        r = np.asarray(p.residuals(jnp.asarray(b)))
    assert r.dtype == np.float64
    # Of Lanczos1 the sum, 1.4e-25, is below what rounding of the parameters leaves of values near 2.5.
    floor = 1e-19 if p.name == "Lanczos1" else 0
    np.testing.assert_allclose(r @ r, p.sum_of_squares, rtol=2e-8, atol=floor)
    assert p.starts.shape == (2, b.size)
    assert (p.deviations > 0).all()


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name):
    p = nist(name)
    assert (p.y.size, p.certified.size) == SIZES[name]
    assert len(p.x) == p.y.size


def test_what_a_file_says():
    p = nist("MGH09")
    assert p.difficulty == "higher"
    assert p.source.startswith("Kowalik, J.S., and M. R. Osborne, (1978). Methods for Unconstrained")
    assert p.starts.tolist() == [[25, 39, 41.5, 39], [0.25, 0.39, 0.415, 0.39]]
    assert p.sum_of_squares == 3.0750560385e-04
    assert (p.y[0], p.x[0]) == (1.957e-1, 4.0)
    assert not p.y.flags.writeable
    assert nist("Nelson").x[0].tolist() == [1, 180]
    assert nist("Nelson").y[0] == np.log(15)


def test_unknown_names():
    with pytest.raises(ValueError, match=r"nist: `name` must be one of Misra1a, .*got 'Misra'"):
        nist("Misra")


LOST, SLOW, FLAT = fg.StopReason.NO_DECREASE, fg.StopReason.MAX_STEPS, fg.StopReason.GRADIENT_NORM
ELSEWHERE = {  # from which far starts a method leads elsewhere, and what it says then
    fg.LevenbergMarquardt(): {},
    fg.DoglegLeastSquares(): {("MGH09", 1): SLOW},  # a valley without end
    # Where J is nearly singular its steps are too long, and small parts of them lead nowhere, or to where f is flat.
    fg.GaussNewton(): {
        ("MGH09", 1): SLOW,
        ("MGH10", 1): FLAT,
        ("MGH17", 1): LOST,
        ("Eckerle4", 1): SLOW,
        ("Rat43", 1): SLOW,
    },
}


@pytest.mark.parametrize("method", ELSEWHERE, ids=lambda m: type(m).__name__)
def test_certified_parameters_are_found(method, x64):
    """Six digits from both starts of each problem, and an end where nothing can be gained any more."""
    runs = {(p.name, start): solve(p, start - 1, method) for p in PROBLEMS for start in (1, 2)}
    few = {key: run.reason for key, run in runs.items() if not digits(nist(key[0]), run) >= 6}
    assert few == ELSEWHERE[method]
    assert all(run.reason is LOST for key, run in runs.items() if key not in few)
    assert all(np.isfinite(run.value) for run in runs.values())


@pytest.mark.parametrize("damping", [1e-6, 1.0])
def test_the_first_damping_matters_little(damping, x64):
    hard = [(name, start) for name in ("BoxBOD", "MGH09", "MGH10", "MGH17") for start in (1, 2)]
    found = {key: digits(nist(key[0]), solve(nist(key[0]), key[1] - 1, fg.LevenbergMarquardt(damping))) for key in hard}
    assert min(found.values()) >= 6, found
