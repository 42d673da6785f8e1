"""Populations of values: stacking, grids, members, and what differs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg


@fg.value
class ramp:
    slope: float = fg.number()
    places: object = fg.vector(default=(0, 1))

    def __call__(self, step):
        return self.slope * jnp.asarray(step, jnp.float32)


@fg.value
class knobs(fg.Transform):
    rate: object = fg.number("[0, inf)", default=0.1)
    decay: object = fg.number("[0, 1)", default=None)
    power: int = fg.static(default=1)
    inner: object = None

    def init(self, params):
        return fg.EmptyState()

    def update(self, grads, state, params=None, **extra):
        return fg.tree.scale(fg.resolve(self.rate, 4), grads), state


def test_every_leaf_is_stacked():
    population = fg.stack([knobs(0.1, 0.5), knobs(0.2, 0.5), knobs(0.3, 0.5)])
    assert [leaf.shape for leaf in jax.tree.leaves(population)] == [(3,), (3,)]
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(population))
    assert population.decay.tolist() == [0.5] * 3
    assert type(population) is knobs
    assert population.power == 1


def test_members_come_back():
    members = [knobs(0.1, inner=(ramp(2), None)), knobs(0.2, inner=(ramp(3, [5, 7]), None))]
    again = fg.unstack(fg.stack(members))
    assert again == members
    assert type(again[0].rate) is float
    assert [repr(m) for m in again] == [repr(m) for m in members]


def test_a_population_of_one_and_of_values_without_numbers():
    assert fg.unstack(fg.stack([knobs(0.1)])) == [knobs(0.1)]
    assert fg.stack([fg.identity(), fg.identity()]) == fg.identity()
    assert fg.stack(iter([knobs(0.1), knobs(0.2)])).rate.shape == (2,)


def test_under_vmap():
    population = fg.stack([knobs(0.5), knobs(2.0)])
    updates = jax.vmap(lambda tx: tx.update({"w": 3.0}, tx.init({"w": 1.0}))[0])(population)
    assert updates["w"].tolist() == [1.5, 6.0]
    scheduled = fg.stack([knobs(ramp(0.5)), knobs(ramp(2.0))])
    updates = jax.vmap(lambda tx: tx.update({"w": 3.0}, tx.init({"w": 1.0}))[0])(scheduled)
    assert updates["w"].tolist() == [6.0, 24.0]  # slope · 4 · 3


def test_gradient_for_each_member():
    gradient = jax.vmap(jax.grad(lambda tx: tx.update(3.0, tx.init(1.0))[0]))(fg.stack([knobs(0.5), knobs(2.0)]))
    assert fg.unstack(gradient) == [knobs(3.0), knobs(3.0)]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (knobs(power=1), knobs(power=2), "`power` is 1 in one and 2 in another"),
        (knobs(decay=0.5), knobs(), "`decay` is 0.5 in one and None in another"),
        (knobs(0.1), knobs(ramp(1)), "`rate` is 0.1 in one and ramp(slope=1.0, places=[0.0, 1.0]) in another"),
        (knobs(inner=knobs(power=3)), knobs(inner=knobs()), "`inner.power` is 3 in one and 1 in another"),
        (
            fg.chain(fg.clip(1.0), fg.trace(0.5)),
            fg.chain(fg.clip(1.0), fg.trace(0.5, nesterov=True)),
            "`transforms[1].nesterov` is False in one and True in another",
        ),
        (
            fg.named_chain(("a", fg.clip(1.0))),
            fg.named_chain(("b", fg.clip(1.0))),
            "`names` is ('a',) in one and ('b',) in another",
        ),
        (knobs(ramp(1, [1])), knobs(ramp(1, [1, 2])), "`rate.places` is an array of shape (1,)"),
        (fg.clip(1.0), fg.scale(1.0), "the whole is clip(max_delta=1.0) in one and scale(step_size=1.0) in another"),
        (knobs(abs), knobs(len), "`rate` is <built-in function abs> in one and <built-in function len> in another"),
    ],
)
def test_what_differs_is_named(first, second, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared
        fg.stack([first, first, second])
    assert str(error.value).startswith(f"stack: values must differ only in their numbers; {message}")


def test_nothing_to_stack_or_unstack():
    with pytest.raises(ValueError, match=r"^stack: expected at least one value, got none\.$"):
        fg.stack([])
    with pytest.raises(ValueError, match=r"^unstack: expected a stacked value, got knobs\(rate=0\.1\)\.$"):
        fg.unstack(knobs(0.1))
    with pytest.raises(ValueError, match=r"^unstack: expected a stacked value"):
        fg.unstack(fg.identity())


def test_grid_is_a_product_whose_last_axis_runs_fastest():
    members = fg.unstack(fg.grid(knobs, rate=[1, 2], decay=np.array([0.25, 0.5, 0.75]), power=3))
    assert [(m.rate, m.decay) for m in members] == [(r, d) for r in (1.0, 2.0) for d in (0.25, 0.5, 0.75)]
    assert {m.power for m in members} == {3}


def test_grid_axes():
    assert fg.grid(knobs, rate=jnp.array([1.0, 2.0])).rate.tolist() == [1, 2]
    assert fg.grid(knobs, rate=(1.0, 2.0)).rate.tolist() == [1, 2]
    assert fg.grid(knobs, rate=range(3)).rate.tolist() == [0, 1, 2]
    assert fg.grid(knobs, rate=5).rate.tolist() == [5]
    assert fg.grid(knobs, rate=ramp(2.0)).rate.slope.tolist() == [2]  # one schedule shared by all
    assert fg.grid(knobs, rate=[ramp(1.0), ramp(2.0)]).rate.slope.tolist() == [1, 2]
    assert fg.grid(lambda rate: fg.chain(knobs(rate)), rate=[1, 2]).transforms[0].rate.tolist() == [1, 2]


def test_grid_errors_come_from_the_factory_and_from_stack():
    with pytest.raises(ValueError, match=r"^knobs: `rate` must be in \[0, inf\), got -1\.0"):
        fg.grid(knobs, rate=[1, -1])
    with pytest.raises(ValueError, match=r"`power` is 1 in one and 2 in another"):
        fg.grid(knobs, power=[1, 2])
    with pytest.raises(TypeError, match="unknown"):
        fg.grid(knobs, unknown=[1, 2])
    with pytest.raises(ValueError, match="expected at least one value"):
        fg.grid(knobs, rate=[])


def test_a_stack_cannot_be_taken_for_a_value():
    population = fg.grid(knobs, rate=[1, 2])
    with pytest.raises(ValueError, match=r"knobs: `rate` must be a scalar, got shape \(2,\).*fg\.stack"):
        dataclasses.replace(population, power=3)
    with pytest.raises(ValueError, match=r"knobs: `rate` has shape \(2,\), so this is a stack"):
        population.init({"w": 1.0})


def test_as_arrays():
    tx = fg.as_arrays(fg.chain(knobs(0.1, 0.5, inner=ramp(2))))
    assert all(isinstance(leaf, jax.Array) and leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(tx))
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(tx))
    assert tx == fg.chain(knobs(0.1, 0.5, inner=ramp(2)))
    assert repr(tx) == repr(fg.chain(knobs(0.1, 0.5, inner=ramp(2))))
    assert fg.as_arrays(tx) == tx


def test_stacking_while_tracing():
    def f(a, b):
        return [member.rate for member in fg.unstack(fg.stack([knobs(a), knobs(b)]))]

    assert jax.jit(f)(1.0, 2.0) == [1.0, 2.0]


def test_in_double_precision(x64):
    population = fg.stack([knobs(0.1), knobs(0.2)])
    assert population.rate.dtype == jnp.float64
    assert fg.unstack(population) == [knobs(0.1), knobs(0.2)]
    assert fg.as_arrays(knobs(0.1)).rate.dtype == jnp.float64
