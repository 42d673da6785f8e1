"""Shared by all tests: strict dtype promotion, except where other libraries run."""

import jax
import pytest


@pytest.fixture(autouse=True)
def strict_promotion(request):
    """Our own code must never rely on implicit promotion; other libraries may."""
    mode = "standard" if "interop" in request.node.nodeid else "strict"
    with jax.numpy_dtype_promotion(mode):
        yield
