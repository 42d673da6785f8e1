"""Scripts in the words that both libraries share move over by their import, and reach the same losses.

With ours their own checks hold in float32, too, wherever the docs are built.
"""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest

from funcgd.core.numerics import float64_mode

pytest.importorskip("optax")
pytest.importorskip("sklearn")
SCRIPTS = Path(__file__).parents[2] / "examples" / "optax_vocabulary"
IMPORT = "\nimport funcgd as fg\n"


def losses(script, library):
    """What `main` returns where the script's one line that names a library names this one."""
    source = script.read_text()
    assert source.count("import funcgd") == source.count(IMPORT) == 1
    space = {"__name__": script.stem}
    exec(compile(source.replace(IMPORT, f"\nimport {library} as fg\n"), str(script), "exec"), space)
    with contextlib.redirect_stdout(io.StringIO()):
        return space["main"]()


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_same_script_same_losses(script):
    """In float64, where rounding stays small over hundreds of steps: what accumulates in float32 differs by 1e-9."""
    with float64_mode():
        ours, theirs = (losses(script, library) for library in ("funcgd", "optax"))
    assert ours.keys() == theirs.keys()
    assert len(ours) >= 2
    np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=1e-7)
