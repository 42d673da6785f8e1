"""The lectures run as they stand: their asserts hold, and each draws; every topic leads to a lecture and to tests."""

import runpy
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).parents[2]
LECTURES = ROOT / "docs" / "lectures"
SCRIPTS = sorted(LECTURES.glob("plot_*.py"))
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_lecture(script):
    plt.switch_backend("agg")
    plt.close("all")
    try:
        with jax.numpy_dtype_promotion("standard"):
            runpy.run_path(str(script), run_name="__main__")
        figures = plt.get_fignums()
        assert figures
        plt.figure(figures[0]).canvas.draw()
    finally:
        plt.close("all")
