"""Shared by all tests: strict dtype promotion, except where other libraries run; and double precision on request."""

import gc
import itertools
import os
import subprocess
import sys

import jax
import pytest

from funcgd.core.numerics import float64_mode

# Tests compile thousands of programs and run each a few times: what XLA spends on good code is three fifths of that
# time. One that a jaxlib does not know ends the process, so they are tried first. The older emitters are gone in 0.12.
WITHOUT_EFFORT = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
COMPILE_FAST = (f"{WITHOUT_EFFORT} --xla_cpu_use_fusion_emitters=false", WITHOUT_EFFORT, "")


def pytest_configure(config):
    """Programs are compiled in little time, for all processes of a run, and for the runs after it: on disk, in pytest's
    cache. With XLA_FLAGS set, be it to nothing, the compiler is the one that users have."""
    if "XLA_FLAGS" not in os.environ:  # those of a worker are its parent's
        os.environ["XLA_FLAGS"] = next(filter(_are_known, COMPILE_FAST))
    jax.config.update("jax_traceback_in_locations_limit", 0)  # programs need not know the lines that they come from
    gc.set_threshold(100_000)  # what JAX keeps is much, and each collection looks through all of it
    cache = getattr(config, "cache", None)  # None with -p no:cacheprovider
    if cache is not None:
        jax.config.update("jax_compilation_cache_dir", str(cache.mkdir("jax")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        # Another process may be just writing what one reads; then it compiles for itself.
        config.addinivalue_line("filterwarnings", "ignore:Error reading persistent compilation cache entry")


def _are_known(flags):
    program = [sys.executable, "-c", "import jax; jax.devices()"]
    trial = subprocess.run(program, env=os.environ | {"XLA_FLAGS": flags}, check=False, capture_output=True)
    return not flags or trial.returncode == 0


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
