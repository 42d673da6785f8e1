"""Every public name of Optax: funcgd has it, at the top level or in the module of the same name, or says why not."""

import importlib
import inspect
import types
from pathlib import Path

import pytest

import funcgd as fg

optax = pytest.importorskip("optax")
LISTED = "0.2.8"  # the lists below are of this version; with another, go through what fails and renew them
pytestmark = pytest.mark.skipif(optax.__version__ != LISTED, reason=f"lists the names of Optax {LISTED}")

MODULES = (
    "",
    "assignment",
    "contrib",
    "losses",
    "microbatching",
    "perturbations",
    "projections",
    "schedules",
    "second_order",
    "transforms",
    "tree",
)

# Without counterpart, each with its line in docs/migrating.md.
NONE = {
    "multi_normal": "a distribution, which no part of Optax uses",
    "tree_utils.NamedTupleKey": "paths are strings",
}


def names(module):
    found = vars(importlib.import_module(f"optax.{module}") if module else optax)
    return [
        f"{module}.{name}".lstrip(".")
        for name, x in sorted(found.items())
        if not name.startswith("_") and not isinstance(x, types.ModuleType)
    ]


ALL = [name for module in MODULES for name in names(module)]


def ours(name):
    """What funcgd has under that name, in the module of the same name or at the top level; or None."""
    module, _, own = name.rpartition(".")
    return getattr(getattr(fg, module, fg) if module else fg, own, getattr(fg, own, None))


@pytest.mark.parametrize("module", MODULES)
def test_every_name_is_here_or_its_absence_has_a_reason(module):
    missing = {name for name in names(module) if ours(name) is None}
    assert missing == {name for name in NONE if name in names(module)}, "build it, or say in docs/migrating.md why not"


def test_what_is_missing_exists_there():
    assert {*NONE} <= {*ALL, *names("tree_utils")}


def test_older_names_of_tree_functions():
    """`optax.tree_utils.tree_get` is `fg.tree.get`."""
    for name in names("tree_utils"):
        assert name in NONE or hasattr(fg.tree, name.removeprefix("tree_utils.tree_")), name


# Arguments that differ, each with its line in docs/migrating.md; those of `fg.tree` are positional.
ARGUMENTS = {
    "DoGState",
    "GradientTransformation",
    "GradientTransformationExtraArgs",
    "InjectHyperparamsState",
    "MonitorState",
    "MuonState",
    "ScaleByAdemamixState",
    "ScaleByLBFGSState",
    "ScaleByLionState",
    "add_noise",
    "differentially_private_aggregate",
    "freeze",
    "global_norm",
    "hessian_diag",
    "hvp",
    "nnls",
    "noisy_sgd",
    "scale_by_factored_rms",
    "scale_by_lion",
    "sophia",
}


# Numbers among their defaults differ, likewise.
DEFAULTS = {
    "ctc_loss",
    "ctc_loss_with_forward_probs",
    "normalize_by_update_norm",
    "scale_by_zoom_linesearch",
    "unitwise_clip",
}


@pytest.mark.parametrize("name", sorted({*NONE, *ARGUMENTS, *DEFAULTS} - {"ctc_loss_with_forward_probs"}))
def test_the_page_says_what_is_missing(name):
    page = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text()
    assert f"`{name}" in page


def arguments(x, *kinds):
    return [p.name for p in inspect.signature(x).parameters.values() if p.kind in kinds]


def same_arguments(mine, theirs):
    """Whether a call of theirs is a call of mine."""
    by_place = arguments(theirs, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    by_name = arguments(theirs, inspect.Parameter.KEYWORD_ONLY)
    places = arguments(mine, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return places[: len(by_place)] == by_place and {*by_name} <= {
        *places,
        *arguments(mine, inspect.Parameter.KEYWORD_ONLY),
    }


def pairs():
    """(name, ours, theirs) of all that is called in both, but for `fg.tree`."""
    for name in ALL:
        theirs = getattr(importlib.import_module(f"optax.{name}".rpartition(".")[0]), name.rpartition(".")[2])
        mine = ours(name)
        called = inspect.isfunction(theirs) or hasattr(theirs, "_fields")
        if mine not in (None, fg.MaskedNode) and called and not name.startswith("tree."):
            yield name.rpartition(".")[2], mine, theirs


def test_arguments_have_the_names_and_the_order_of_optax():
    assert {name for name, mine, theirs in pairs() if not same_arguments(mine, theirs)} == ARGUMENTS


def test_numbers_among_defaults_are_those_of_optax():
    def numbers(x):
        defaults = {p.name: p.default for p in inspect.signature(x).parameters.values()}
        return {name: x for name, x in defaults.items() if isinstance(x, (int, float))}

    differ = set()
    for name, mine, theirs in pairs():
        a, b = numbers(mine), numbers(theirs)
        if any(a[argument] != b[argument] for argument in a.keys() & b.keys()):
            differ.add(name)
    assert differ == DEFAULTS
