"""Shared by all tests: strict dtype promotion, except where other libraries run; and double precision on request."""

import itertools

import jax
import pytest

from funcgd.core.numerics import float64_mode


@pytest.fixture(autouse=True)
def strict_promotion(request):
    """Our own code must never rely on implicit promotion; other libraries may."""
    mode = "standard" if "interop" in request.node.nodeid else "strict"
    with jax.numpy_dtype_promotion(mode):
        yield


@pytest.fixture
def x64():
    """float64 stays float64."""
    with float64_mode():
        yield


KEPT = 300  # tests whose programs are kept: those of all would take 7 GB in each process
finished = itertools.count(1)


@pytest.fixture(autouse=True)
def forget_programs():
    """Compiled programs are shared by neighbours, and dropped from time to time."""
    yield
    if next(finished) % KEPT == 0:
        jax.clear_caches()
