"""The page on adding an optimizer, followed to the letter, on a copy of the project."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "adding_an_optimizer.md"
STEP = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BUILT = shutil.ignore_patterns("_build", "gallery", "__pycache__")


def put(path, code):
    """A new file; or into one that is there: imports to imports, entries to the end of a list, functions to the end."""
    if not path.exists():
        path.write_text(code)
        return
    lines = path.read_text().splitlines()
    for new in reversed(ast.parse(code).body):  # so that lines above stay where they are
        body = ast.parse("\n".join(lines)).body
        segment = code.splitlines()[new.lineno - 1 : new.end_lineno]
        if isinstance(new, ast.ImportFrom):
            end = [node for node in body if isinstance(node, ast.ImportFrom)][-1].end_lineno
        elif isinstance(new, ast.Assign):
            assert "..." in segment[1]
            name, segment = ast.unparse(new.targets[0]), segment[2:-1]
            (end,) = [node.end_lineno - 1 for node in body if f"{name} = " in ast.unparse(node)[: len(name) + 3]]
        else:
            end, segment = len(lines), ["", "", *segment]
        lines[end:end] = segment
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy with PowerSign in it, as the page adds it."""
    copy = tmp_path_factory.mktemp("project")
    for folder in ("funcgd", "docs", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=BUILT)
    for file in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / file, copy)
    for path, code in STEP.findall(PAGE.read_text()):
        put(copy / path, code)
    return copy


def python(project, *arguments):
    """What Python prints, run in the copy."""
    environment = os.environ | {"PYTHONPATH": str(project)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


def test_page_is_enough(project):
    """After `make tables`, all tests of an optimizer find it, and pass."""
    assert "tables: " in (ROOT / "Makefile").read_text()
    python(project, "docs/tables.py")
    table, before = ((at / "README.md").read_text().splitlines() for at in (project, ROOT))
    added = set(table) - set(before)
    assert len(added) == 1
    assert "`fg.power_sign` | 2017 | [Bello, Zoph, Vasudevan, Le," in added.pop()

    rules = ("tests/optimizers/test_contract.py", "tests/optimizers/test_oracles.py", "funcgd/optimizers/power_sign.py")
    house = ("tests/test_architecture.py", "tests/test_docs.py")
    words = "power_sign or snapshot or tables or place_in_the_reference"
    shown = python(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rp", *rules, *house, "-k", words)
    passed = re.findall(r"^PASSED (.*)$", shown, re.MULTILINE)
    for part in (
        "test_contract.py::test_contract[power_sign(learning_rate=0.1",
        "test_oracles.py::test_row_15_rules_are_those_of_their_papers[power_sign-float64]",
        "power_sign.py::funcgd.optimizers.power_sign.scale_by_power_sign",
        "test_public_names_are_documented[fg.power_sign]",
        "test_optimizers_name_their_paper[power_sign]",
        "test_imports_go_downward_only[optimizers/power_sign.py]",
        "test_tables_are_those_of_the_registry[README.md]",
        "test_public_names_are_those_of_the_snapshot",
        "test_public_names_have_a_place_in_the_reference",
    ):
        assert any(part in name for name in passed), f"{part} did not run"
