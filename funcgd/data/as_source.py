"""Which adapter the data get."""

from collections.abc import Iterable, Iterator
from typing import Any

import jax

from funcgd.core.validate import leading_axis
from funcgd.data.batches import Batches
from funcgd.data.indexed import Indexed, is_indexable
from funcgd.data.sources import InMemory, Source, is_in_memory


def as_source(who: str, what: str, data: Any) -> Source:
    """`data` as a source: a source itself, arrays in memory, data to be read by index, or an iterable of batches.

    Raises:
        TypeError: if it is none of these.
        ValueError: if leading axes differ or are 0.
    """
    if isinstance(data, Source):
        return data
    if isinstance(data, Iterator):
        return Batches(data)
    leaves = jax.tree.leaves(data)
    if len(leaves) == 1 and leaves[0] is data and isinstance(data, Iterable) and not is_indexable(data):
        return Batches(data)
    if not leaves or all(map(is_in_memory, leaves)) or not all(map(is_indexable, leaves)):
        leading_axis(who, what, data)
        return InMemory(data)
    return Indexed(data)
