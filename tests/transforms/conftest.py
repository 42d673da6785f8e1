"""Shared by the tests of the transforms."""

import importlib

import jax
import pytest


@pytest.fixture
def x64():
    """Double precision; older versions of JAX have the switch elsewhere."""
    home = jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")
    with home.enable_x64(True):
        yield
