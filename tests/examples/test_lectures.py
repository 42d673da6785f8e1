"""The lectures run as they stand: their asserts hold, and each draws; every topic leads to a lecture and to tests."""

import re
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


def test_every_topic_has_its_lecture_and_its_tests():
    """The table names all 31, scripts that exist, and tests that exist and carry the number."""
    page = (LECTURES / "rows.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in page.splitlines() if "`test_" in line]
    assert [int(row[0]) for row in rows] == list(range(1, 32))
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    tests = set(re.findall(r"def (test_\w+)", sources))
    shown = set()
    for number, _, lectures, names in rows:
        scripts = re.findall(r"</gallery/lectures/(\w+)>", lectures)
        shown |= set(scripts)
        assert scripts
        named = re.findall(r"`(\w+)`", names)
        assert set(named) <= tests, f"row {number}: no such test: {set(named) - tests}"
        assert all(f"_{int(number):02}_" in name for name in named)
    assert shown == {script.stem for script in SCRIPTS}
