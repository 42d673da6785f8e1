"""The house: who may import whom, what an import costs, what is public and how it is documented."""

import ast
import importlib.util
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

import funcgd as fg
from funcgd.optimizers.registry import ROWS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "funcgd"
FLOORS = [  # a file imports only from floors above its own, or from its own folder
    "core",
    "schedules",
    "losses",
    "models",
    "problems",
    "calculus",
    "projections",
    "line_searches",
    "transforms",
    "optimizers",
    "solvers",
    "data",
    "training",
    "diagnostics",
    "plots",
    "testing",
]
FILES = sorted(PACKAGE.rglob("*.py"))


def load_tables():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tables = load_tables()
NAMES = tables.NAMES.read_text().split()


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", [p for p in FILES if p.parent != PACKAGE], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downward_only(path):
    floor = FLOORS.index(path.relative_to(PACKAGE).parts[0])
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "funcgd" and len(parts) > 1:
            assert FLOORS.index(parts[1]) <= floor, f"{path.name} imports {name} from a floor below its own"
        elif parts[0] == "funcgd":
            assert path.relative_to(PACKAGE).parts[0] == "testing", f"{path.name} imports the whole package"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_peers_and_extras_stay_out(path):
    allowed = {"chex"} if "testing" in path.parts else {"matplotlib"} if "plots" in path.parts else set()
    allowed |= {"tensorboardX"} if path.name == "tensorboard.py" else set()
    allowed |= {"orbax"} if path.name == "checkpoint_orbax.py" else set()
    outside = (
        {name.split(".")[0] for name in imported(path)}
        - {"funcgd", "jax", "numpy", "tqdm"}
        - set(sys.stdlib_module_names)
    )
    assert outside <= allowed


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_hold_one_idea(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)), "every file begins with a sentence"
    if path.name == "__init__.py":
        assert all(isinstance(n, (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)) for n in ast.parse(text).body)


def test_import_is_light():
    script = """
import sys, jax
before = set(sys.modules)
import funcgd
new = {name.split('.')[0] for name in set(sys.modules) - before}
peers = {'optax', 'flax', 'equinox', 'numpyro'}
extras = {'chex', 'matplotlib', 'sklearn', 'scipy', 'orbax', 'tensorboardX', 'hypothesis', 'pytest', 'IPython'}
assert not new & (peers | extras), new & (peers | extras)
from jax._src import xla_bridge
assert not xla_bridge._backends, 'importing funcgd started a backend'
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_version_is_a_release():
    """The package's metadata takes it from there."""
    assert 'path = "funcgd/__init__.py"' in (ROOT / "pyproject.toml").read_text()
    released = re.findall(r"^## \[(\S+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert fg.__version__ == released[0]


def test_public_names_are_those_of_the_snapshot():
    assert tables.public_names() == tables.NAMES.read_text(), (
        "public names changed: run `make tables` and look at the diff"
    )


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda p: p.name)
def test_tables_are_those_of_the_registry(page):
    assert tables.fill(page.read_text(), tables.optimizer_table()) == page.read_text(), "run `make tables`"
    assert all(f"`fg.{name}`" in page.read_text() for name in ROWS)


# The names of core/types.py that have a sentence behind them.
ALIASES = {
    node.target.id
    for node, sentence in itertools.pairwise(ast.parse((PACKAGE / "core" / "types.py").read_text()).body)
    if isinstance(node, ast.AnnAssign) and isinstance(sentence, ast.Expr)
}


def find(name):
    thing = fg
    for part in name.split(".")[1:]:
        thing = getattr(thing, part)
    return thing


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_documented(name):
    thing = find(name)
    if name.removeprefix("fg.") in ALIASES:
        return
    doc = thing.__doc__ or ""
    assert ">>>" in doc, f"{name} needs an example that runs"
    assert len(doc.splitlines()) <= 55, f"the documentation of {name} is long"
    assert doc.strip().split("\n")[0].endswith((".", ":")), f"{name}: begin with a sentence of one line"


@pytest.mark.parametrize("name", ROWS)
def test_optimizers_name_their_paper(name):
    row, doc = ROWS[name], type(ROWS[name].example).__doc__
    assert "Reference" in doc
    assert row.paper.split(",")[0] in doc
    assert all(field in doc for field in type(row.example).__dataclass_fields__), "every argument is described"
