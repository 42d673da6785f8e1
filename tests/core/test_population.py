"""Populations: the numbers of a value by name, how many members there are, in what they differ."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.core.population import differing, named_numbers, population_size


@fg.value
class tabulated(fg.Transform):
    """A transform whose only number is a vector."""

    rates: object = fg.vector()


def steps(rate):
    return fg.adam(fg.piecewise_constant_schedule(rate, {10: 0.5, 20: 0.1}))


def test_names_follow_chains_fields_and_tuples():
    names = [
        name for name, _, _ in named_numbers(fg.chain(fg.clip(1.0), fg.sgd(fg.linear_schedule(1, 0, 9)), fg.clip(2.0)))
    ]
    assert names[:2] == ["clip.max_delta", "sgd.learning_rate.init_value"]
    assert names[-1] == "clip_2.max_delta"
    pairs = fg.named_chain(("a", fg.sgd(0.1, momentum=0.9)), ("b", fg.skip_nonfinite(fg.sgd(0.1))))
    assert [name for name, _, _ in named_numbers(pairs)] == ["a.learning_rate", "a.momentum", "b.inner.learning_rate"]


def test_tuples_of_numbers_are_named_by_their_place():
    assert [name for name, _, _ in named_numbers(fg.prodigy())][1:3] == ["betas[0]", "betas[1]"]
    stack = fg.stack([fg.prodigy(betas=(0.9, b2)) for b2 in (0.9, 0.99, 0.999)])
    assert population_size("who", "what", stack) == 3
    np.testing.assert_array_equal(differing(stack)["betas[1]"], [0.9, 0.99, 0.999])


@pytest.mark.parametrize("single", [fg.sgd(0.1), steps(0.1), tabulated([1, 2, 3]), fg.chain(fg.clip(1.0), steps(0.1))])
def test_size_tells_vectors_from_stacks(single):
    assert population_size("f", "tx", single) is None
    assert population_size("f", "tx", fg.stack([single, single])) == 2


def test_values_without_numbers_are_single():
    assert population_size("f", "tx", fg.sgd(lambda step: 0.1)) is None


def test_uneven_stacks_are_refused():
    shapes = fg.sgd(0.1, momentum=0.9)
    for rate, momentum in (
        (jnp.ones(2), jnp.ones(3)),
        (jnp.ones(2), jnp.ones(())),
        (jnp.ones((2, 2)), jnp.ones((2, 2))),
    ):
        uneven = jax.tree.unflatten(jax.tree.structure(shapes), [rate, momentum])
        with pytest.raises(ValueError, match=r"^f: every number in `tx` must be stacked alike.*`learning_rate` \(2"):
            population_size("f", "tx", uneven)


def test_columns_print_like_the_numbers_that_were_given():
    found = differing(fg.grid(fg.sgd, learning_rate=[0.1, 1e-7, 3e-5], momentum=[0.9]))
    assert list(found) == ["learning_rate"]
    assert found["learning_rate"].tolist() == [0.1, 1e-7, 3e-5]
    vectors = differing(fg.stack([tabulated([0.1, 0.2]), tabulated([0.1, 0.3])]))
    np.testing.assert_array_equal(vectors["rates"], [[0.1, 0.2], [0.1, 0.3]])
