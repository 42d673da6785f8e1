"""Shared by all tests: strict dtype promotion, except where other libraries run; and double precision on request."""

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
