"""What a gradient costs: the benchmark's table at its smallest size, and the operations counted by the compiler."""

import importlib
import sys
from pathlib import Path

import jax
import pytest

import funcgd as fg


@pytest.fixture
def backprop_cost(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    yield importlib.import_module("backprop_cost")
    for name in ("backprop_cost", "harness"):
        sys.modules.pop(name)


def test_row_05_one_backward_pass_against_one_pass_for_each_weight(backprop_cost, capsys):
    (row,) = backprop_cost.table(widths=(10,), batches=(64,), turns=9, seconds=1e-4)
    assert row.weights == 110
    assert row.all_quotients == 111
    assert min(row.in_gradients) > 5  # some 60 to 100 times faster; this machine may be busy
    assert f"{110:>9}{64:>7}" in capsys.readouterr().out


@pytest.mark.parametrize(("hidden", "most"), [(1, 2.2), (3, 2.9)])
def test_row_05_operations_of_a_gradient(backprop_cost, hidden, most):
    """3 − 1/L times those of the loss, for L equal layers: L products forward, 3L − 1 with those backward."""
    loss, params, data = backprop_cost.network(100, 64, hidden)

    def operations(f):
        return jax.jit(f).lower(params, data).compile().cost_analysis()["flops"]

    ratio = operations(jax.grad(loss)) / operations(loss)
    assert 3 - 1 / hidden - 0.2 < ratio < most
    assert fg.tree.size(params) == hidden * 100**2 + 100
