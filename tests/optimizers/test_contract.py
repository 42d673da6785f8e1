"""Every optimizer and transform, held to the public contract."""

import jax.numpy as jnp
import pytest

import funcgd as fg
from funcgd.optimizers.registry import ROWS
from funcgd.testing import check_transform

OPTIMIZERS = [  # all dtypes for the example of a row, the one that differs most from float32 for its variants
    (tx, {**{name: getattr(row, name) for name in ("elementwise", "differentiable", "stochastic")}, **dtypes})
    for row in ROWS.values()
    for tx, dtypes in ((row.example, {}), *((tx, {"dtypes": ("bfloat16",)}) for tx in row.variants))
]
for tx, properties in OPTIMIZERS:  # these compile for long: each dtype once, float64 against the oracle and Optax
    if isinstance(tx, fg.lbfgs):
        properties["dtypes"] = ("float16",) if tx.linesearch is None else ("bfloat16",)
RATE = fg.cosine_decay_schedule(0.1, 10)
TRANSFORMS = [
    (fg.scale(-0.5), True),
    (fg.scale(RATE), True),
    (fg.scale_by_learning_rate(0.1), True),
    (fg.clip(1.0), True),
    (fg.clip_by_global_norm(1.0), False),
    (fg.normalize_by_update_norm(), False),
    (fg.trace(0.9), True),
    (fg.trace(fg.linear_schedule(0.5, 0.9, 5)), True),
    (fg.add_decayed_weights(0.1), True),
    (fg.scale_by_adam(), True),
    (fg.scale_by_rms(), True),
    (fg.scale_by_rss(), True),
    (fg.scale_by_stddev(), True),
    (fg.chain(fg.clip_by_global_norm(1.0), fg.adamw(RATE, weight_decay=fg.linear_schedule(0.1, 0.0, 10))), False),
    (fg.named_chain(("clip", fg.clip(1.0)), ("step", fg.sgd(RATE, momentum=0.9))), True),
]
CASES = [*OPTIMIZERS, *((tx, {"elementwise": elementwise}) for tx, elementwise in TRANSFORMS)]


@pytest.mark.parametrize(("tx", "properties"), CASES, ids=[repr(tx)[:70] for tx, _ in CASES])
def test_contract(tx, properties):
    check_transform(tx, **properties)


def test_contract_of_backtracking():
    """Here updates are scaled by a search; those of L-BFGS hold another."""
    tx = fg.chain(fg.sgd(0.1), fg.scale_by_backtracking_linesearch(15, atol=0.1))
    check_transform(tx, dtypes=("float32",), elementwise=False, differentiable=False)


def test_contract_of_identity():
    """It changes nothing, so low-precision updates stay as they are."""
    check_transform(fg.identity(), dtypes=("float32", "float64"))


def test_registry_knows_what_optimizers_need():
    for row in ROWS.values():
        assert row.example.needs == frozenset(row.needs)


class Broken:
    """Transforms that break one clause each; the contract must notice."""

    @fg.value
    class grows(fg.Transform):
        def init(self, params):
            return jnp.zeros((), jnp.int32)

        def update(self, grads, state, params=None, **extra):
            return grads, (state + 1).astype(jnp.float32)  # the dtype changes

    @fg.value
    class keeps_low_precision(fg.Transform):
        def init(self, params):
            return fg.EmptyState()

        def update(self, grads, state, params=None, **extra):
            return grads, state  # bfloat16 updates stay bfloat16

    @fg.value
    class divides_by_zero(fg.Transform):
        def init(self, params):
            return fg.EmptyState()

        def update(self, grads, state, params=None, **extra):
            return fg.lift(lambda h, g: g / abs(g), fg.core.schedule.at(self, 0), grads), state

    @fg.value
    class aliases(fg.Transform):
        def init(self, params):
            return params

        def update(self, grads, state, params=None, **extra):
            return fg.lift(lambda h, g: g, fg.core.schedule.at(self, 0), grads), state


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Broken.grows(), "state|carry"),
        (Broken.keeps_low_precision(), "updates must be float32"),
        (Broken.divides_by_zero(), "finite"),
        (Broken.aliases(), "alias"),
    ],
    ids=["grows", "keeps_low_precision", "divides_by_zero", "aliases"],
)
def test_contract_notices(broken, said):
    with pytest.raises((AssertionError, TypeError), match=said):
        check_transform(broken, dtypes=("float32", "bfloat16"), code=False)
