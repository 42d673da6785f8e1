"""The documentation: its Python blocks run, its links lead somewhere, every public name has its place."""

import doctest
import functools
import importlib
import re
import sys
import traceback
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import funcgd as fg

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)]
TEXTS = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
BLOCK = re.compile(r"^( *)```(python|pycon)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FOLLOWED = "adding_an_optimizer.md"  # its blocks are parts of files: test_adding_an_optimizer.py puts them there
PEERS = ("optax", "flax", "equinox", "numpyro", "torch", "keras")


def name(page):
    return str(page.relative_to(ROOT))


def blocks(text):
    """(kind, code, line) of every Python block, where `line` is that of its first line in the page."""
    for found in BLOCK.finditer(text):
        indent, kind, body = found.groups()
        code = "".join(line.removeprefix(indent) for line in body.splitlines(keepends=True))
        yield kind, code, text.count("\n", 0, found.start(3)) + 1


def run_python(code, line, page, space):
    exec(compile("\n" * (line - 1) + code, str(page), "exec"), space)


def run_session(code, line, page, space):
    """A session with its outputs, as a doctest in the namespace of the page."""
    test = doctest.DocTestParser().get_doctest(code, space, name(page), str(page), line - 1)
    test.globs = space  # the parser has made a copy
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    if runner.run(test, out=report.append, clear_globs=False).failed:
        raise AssertionError("".join(report))


def attempt(run, code, line, page, space):
    """What went wrong, with page and line; None if nothing did."""
    try:
        run(code, line, page, space)
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(page)]
        at = frames[-1].lineno if frames else line
        return f"{name(page)}:{at}: {type(error).__name__}: {error}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != FOLLOWED], ids=name)
def test_blocks_run(page, monkeypatch):
    found = list(blocks(page.read_text()))
    for peer in PEERS:
        if any(re.search(rf"^\W*(import|from) {peer}", code, re.MULTILINE) for _, code, _ in found):
            pytest.importorskip(peer)
    module = types.ModuleType("page")  # so that classes of the page can be pickled
    monkeypatch.setitem(sys.modules, "page", module)
    with jax.numpy_dtype_promotion("standard"):
        for kind, code, line in found:
            problem = attempt(run_python if kind == "python" else run_session, code, line, page, vars(module))
            if problem:
                pytest.fail(problem, pytrace=False)


def public(dotted):
    """What a name such as `fg.plots.contour` stands for."""
    room, _, rest = dotted.partition(".")
    thing = importlib.import_module(f"funcgd.{room}") if room in ("plots", "testing") else getattr(fg, room)
    return functools.reduce(getattr, filter(None, rest.split(".")), thing)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != FOLLOWED], ids=name)
def test_names_in_the_text_exist(page):
    outside_blocks = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`([^`]+)`", outside_blocks):
        for dotted in re.findall(r"\bfg\.([a-zA-Z_][\w.]*\w)", code):
            assert public(dotted) is not None


def test_what_choosing_names_can_be_made():
    """Its tables are code: every call in them, with these for the names that a reader has."""
    space = {"fg": fg, "tx": fg.sgd(0.1), "steps": 1000, "warmup": 10, "stable": 500, "decay": 100, "start": 900}
    space |= {"L": 2.0, "η": 0.1, "β": 0.9, "peak": 1e-3, "lower": -1.0, "upper": 1.0, "loss": jnp.sum}
    space |= {"residuals": jnp.sin, "regularizer": fg.L1Norm(0.1), "projection": fg.projection_non_negative}
    page = DOCS / "choosing.md"
    calls = [code for code in re.findall(r"`(fg\.[^`]*\))`", page.read_text()) if "check_gradient" not in code]
    assert len(calls) > 50
    for code in calls:
        assert eval(code, space) is not None, code


def test_choosing_is_one_screen():
    table = (DOCS / "choosing.md").read_text().partition("|---|---|---|\n")[2].partition("\n\n")[0]
    assert len(table.splitlines()) <= 14


@pytest.mark.parametrize("page", TEXTS, ids=name)
def test_links_lead_somewhere(page):
    outside_code = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in LINK.findall(outside_code):
        path = target.split("#")[0]
        if path and not re.match(r"[a-z]+:", target):
            assert (page.parent / path).exists(), f"{name(page)}: no such file: {target}"


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent != ROOT], ids=name)
def test_pages_are_in_the_table_of_contents(page):
    trees = "\n".join(p.read_text() for p in DOCS.rglob("index.md"))
    own = page.relative_to(DOCS).with_suffix("")
    listed = {
        line.strip() for tree in re.findall(r"```\{toctree\}(.*?)```", trees, re.DOTALL) for line in tree.splitlines()
    }
    assert str(own) in listed or own.name in listed or str(own) == "index"


def test_public_names_have_a_place_in_the_reference():
    pages = "\n".join(p.read_text() for p in (DOCS / "api").glob("*.md"))
    listed = set()
    for room in re.findall(r"^\.\. public:: funcgd\.(\w+)$", pages, re.MULTILINE):
        space = f"fg.{room}." if room in ("plots", "problems", "stop", "tree") else "fg."
        module = importlib.import_module(f"funcgd.{room}") if room in ("plots", "testing") else getattr(fg, room)
        listed |= {space + x for x in module.__all__}
    missing = set((ROOT / "tests" / "public_names.txt").read_text().split()) - listed
    assert not missing, f"no page in docs/api shows {sorted(missing)}"
