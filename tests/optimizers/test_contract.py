"""Every optimizer and transform, held to the public contract."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

import funcgd as fg
from funcgd.optimizers.registry import ROWS
from funcgd.testing import check_transform

PROPERTIES = ("elementwise", "leafwise", "forgets", "stochastic", "differentiable", "complex_ok")
OPTIMIZERS = [  # all dtypes for the example of a row, the one that differs most from float32 for its variants
    (tx, {**{name: getattr(row, name) for name in PROPERTIES}, **dtypes})
    for row in ROWS.values()
    for tx, dtypes in ((row.example, {}), *((tx, {"dtypes": ("bfloat16",)}) for tx in row.variants))
]
for tx, properties in OPTIMIZERS:  # these compile for long: float64 against the oracle and Optax
    if isinstance(tx, fg.lbfgs):
        properties["dtypes"] = ("float16",) if tx.linesearch is None else ("float32", "bfloat16", "complex64")
RATE = fg.cosine_decay_schedule(0.1, 10)
GLOBAL = {"elementwise": False, "leafwise": False}
TRANSFORMS = [
    (fg.scale(-0.5), {}),
    (fg.scale(RATE), {}),
    (fg.scale_by_learning_rate(0.1), {}),
    (fg.clip(1.0), {"turns": False}),
    (fg.clip_by_global_norm(1.0), GLOBAL),
    (fg.normalize_by_update_norm(), GLOBAL),
    (fg.trace(0.9), {}),
    (fg.trace(fg.linear_schedule(0.5, 0.9, 5)), {}),
    (fg.add_decayed_weights(0.1), {}),
    (fg.scale_by_adam(), {}),
    (fg.scale_by_rms(), {}),
    (fg.scale_by_rss(), {"forgets": False}),
    (fg.scale_by_stddev(), {}),
    (fg.chain(fg.clip_by_global_norm(1.0), fg.adamw(RATE, weight_decay=fg.linear_schedule(0.1, 0.0, 10))), GLOBAL),
    (fg.named_chain(("clip", fg.clip(1.0)), ("step", fg.sgd(RATE, momentum=0.9))), {"turns": False}),
]
CASES = [*OPTIMIZERS, *TRANSFORMS]


@pytest.mark.parametrize(("tx", "properties"), CASES, ids=[repr(tx)[:70] for tx, _ in CASES])
def test_contract(tx, properties):
    check_transform(tx, **properties)


def test_contract_of_backtracking():
    """Here updates are scaled by a search; those of L-BFGS hold another."""
    tx = fg.chain(fg.sgd(0.1), fg.scale_by_backtracking_linesearch(15, atol=0.1))
    check_transform(tx, dtypes=("float32",), differentiable=False, **GLOBAL)


def test_contract_of_identity():
    """It changes nothing, so low-precision updates stay as they are."""
    check_transform(fg.identity(), dtypes=("float32", "complex64", "float64"))


def test_registry_knows_what_optimizers_need():
    for row in ROWS.values():
        assert row.example.needs == frozenset(row.needs)


NOTHING = SimpleNamespace()


class Broken:
    """Transforms that break one clause each; the contract must notice."""

    @fg.value
    class grows(fg.Transform):
        def init(self, params):
            return jnp.zeros((), jnp.int32)

        def update(self, grads, state, params=None, **extra):
            return grads, (state + 1).astype(jnp.float32)  # the dtype changes

    @fg.value
    class aliases(fg.Transform):
        def init(self, params):
            return params

        def update(self, grads, state, params=None, **extra):
            return grads, state

    @fg.value
    class holds_twice(fg.Transform):
        def init(self, params):
            zeros = jax.tree.map(jnp.zeros_like, params)
            return zeros, zeros

        def update(self, grads, state, params=None, **extra):
            return grads, state

    @fg.value
    class stateless(fg.Transform):
        """The base of those that are broken in one formula for all gradients."""

        def init(self, params):
            return fg.EmptyState()

        def update(self, grads, state, params=None, **extra):
            return self.formula(grads), state

    @fg.value
    class keeps_low_precision(stateless):
        def formula(self, grads):
            return grads  # bfloat16 updates stay bfloat16

    @fg.value
    class divides_by_zero(stateless):
        def formula(self, grads):
            return fg.lift(lambda h, g: g / abs(g), NOTHING, grads)

    @fg.value
    class has_no_slope_at_zero(stateless):
        def formula(self, grads):
            return fg.lift(lambda h, g: jnp.where(g == 0, 0, g / jnp.sqrt(fg.core.numerics.square(g))), NOTHING, grads)

    @fg.value
    class swallows_nan(stateless):
        def formula(self, grads):
            return fg.lift(lambda h, g: jnp.where(g == 0, 0, jnp.where(jnp.isnan(g), 1, g)), NOTHING, grads)

    @fg.value
    class couples_entries(stateless):
        def formula(self, grads):
            return fg.lift(lambda h, g: g * jnp.exp(-jnp.mean(abs(g) / (1 + abs(g)))), NOTHING, grads)

    @fg.value
    class couples_leaves(stateless):
        def formula(self, grads):
            sizes = [abs(fg.core.numerics.widen(g)) for g in jax.tree.leaves(grads) if g.size]
            bounded = [jnp.mean(size / (1 + size)) for size in sizes]
            return fg.lift(lambda h, g: g * h.scale, SimpleNamespace(scale=sum(bounded)), grads)

    @fg.value
    class knows_places(stateless):
        def formula(self, grads):
            leaves, structure = jax.tree.flatten(grads)
            return fg.lift(
                lambda h, g, i: g * i, NOTHING, grads, read=[structure.unflatten(map(float, range(len(leaves))))]
            )

    @fg.value
    class squares_complex_numbers(stateless):
        def formula(self, grads):
            return fg.lift(lambda h, g: g / jnp.sqrt(g * g + 1), NOTHING, grads)

    @fg.value
    class remembers(fg.Transform):
        """A sum of squares, perhaps without their limit."""

        saturates: bool = fg.static(default=True)

        def init(self, params):
            return jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.finfo(fg.core.numerics.widen(p).dtype).dtype), params)

        def update(self, grads, state, params=None, **extra):
            def rule(h, g, v):
                g = fg.core.numerics.saturate(g) if self.saturates else g
                v = v + fg.core.numerics.square(g)
                return g / jnp.sqrt(v + 1e-6), v

            return fg.lift(rule, NOTHING, grads, state)

    @fg.value
    class begins_late(fg.Transform):
        rate: float = fg.number("[0, inf)")

        def init(self, params):
            return jnp.zeros((), jnp.int32)

        def update(self, grads, state, params=None, **extra):
            numbers = SimpleNamespace(rate=fg.resolve(self.rate, state + 1))
            return fg.lift(lambda h, g: -h.rate * g, numbers, grads), state + 1


BROKEN = [
    (Broken.grows(), "must keep the state"),
    (Broken.aliases(), "aliases the parameters"),
    (Broken.holds_twice(), "aliases the state"),
    (Broken.keeps_low_precision(), "must be float32"),
    (Broken.divides_by_zero(), "finite"),
    (Broken.has_no_slope_at_zero(), "derivatives must be finite"),
    (Broken.swallows_nan(), "NaN must not become a number"),
    (Broken.couples_entries(), "in one row must leave others"),
    (Broken.couples_leaves(), "in one leaf must leave others"),
    (Broken.knows_places(), "in each other's place"),
    (Broken.squares_complex_numbers(), "must turn with a complex leaf"),
    (Broken.remembers(), "as without it"),
    (Broken.remembers(saturates=False), "finite"),
    (Broken.begins_late(0.1), "schedules of rate at step 0"),
]


@pytest.mark.parametrize(("broken", "said"), BROKEN, ids=[type(tx).__name__ for tx, _ in BROKEN])
def test_contract_notices(broken, said):
    elementwise = not isinstance(broken, Broken.couples_leaves)  # for whom that is not the first clause to fail
    with pytest.raises(AssertionError, match=said):
        check_transform(broken, dtypes=("float32", "bfloat16", "complex64"), elementwise=elementwise, code=False)
