"""Leaves by name: how paths are spelt, what globs, expressions and predicates match, and what they must not miss."""

import re
from typing import NamedTuple

import jax
import numpy as np
import pytest

from funcgd.core.paths import path_name, select


class Layer(NamedTuple):
    w: int
    b: int


TREE = {"encoder": [Layer(1, 2), Layer(3, 4)], "head": {"a": {7: 6}, "w": 5}, "none": None}
NAMES = ["encoder/0/w", "encoder/0/b", "encoder/1/w", "encoder/1/b", "head/a/7", "head/w"]


def chosen(where, tree=TREE, **options):
    flags = select("freeze", where, tree, **options)
    assert jax.tree.structure(flags) == jax.tree.structure(tree)
    return {path_name(path) for path, flag in jax.tree_util.tree_leaves_with_path(flags) if flag}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("encoder/*", NAMES[:4]),
        ("*", NAMES),
        ("encoder/1/*", NAMES[2:4]),
        ("*/w", ["encoder/0/w", "encoder/1/w", "head/w"]),
        ("head/?/[0-9]", ["head/a/7"]),
        ("head/w", ["head/w"]),
        (re.compile(r"encoder/\d+/b"), ["encoder/0/b", "encoder/1/b"]),
        (lambda path, leaf: leaf > 4, NAMES[4:]),
        (
            ["head/w", re.compile("head/./7"), lambda path, leaf: np.bool_(path == "encoder/0/b")],
            [*NAMES[4:], NAMES[1]],
        ),
    ],
)
def test_what_is_meant(where, expected):
    assert chosen(where) == set(expected)


def test_only_eligible_leaves_are_asked_about():
    def asked(path, leaf):
        assert leaf % 2
        return True

    assert chosen(asked, eligible=lambda leaf: leaf % 2 == 1) == {"encoder/0/w", "encoder/1/w", "head/w"}
    assert select("freeze", "*", 1.0) is True


@pytest.mark.parametrize(
    ("where", "error", "words"),
    [
        ("encodr/*", ValueError, r"'encodr/\*' does not; there are 'encoder/0/w', .*'head/w'\.$"),
        ("Encoder/*", ValueError, "does not"),
        (["head/*", "w"], ValueError, "'w' does not"),
        (re.compile("encoder"), ValueError, "'encoder' does not"),
        (lambda path, leaf: False, ValueError, "<lambda> does not"),
        ([], ValueError, "at least one leaf"),
        (3, TypeError, r"a glob, .*, got 3\.$"),
    ],
)
def test_mistakes(where, error, words):
    with pytest.raises(error, match=rf"^freeze: `where` must .*{words}"):
        chosen(where)


def test_long_lists_of_paths_are_cut():
    with pytest.raises(ValueError, match=r"there are '0', .*'11', … \(50 in all\)\.$"):
        chosen("x", tree=list(range(50)))
