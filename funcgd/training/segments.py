"""Scans whose reverse-mode derivative keeps little memory: one state for each segment, and the rest computed again."""

from collections.abc import Callable
from typing import Any

import jax


def scan_in_segments(step: Callable, carry: Any, xs: Any, segment: int) -> tuple[Any, Any]:
    """`jax.lax.scan(step, carry, xs)`, differentiated segment by segment.

    The forward pass keeps the carry at the start of each segment of that many steps; the backward pass computes a
    segment again before it goes through it. So K steps keep K/segment carries and the intermediate results of `segment`
    steps, least near segment = √K, for one more forward pass. A remainder shorter than a segment is one by itself.

    Reference: Chen, Xu, Zhang, Guestrin, Training deep nets with sublinear memory cost, arXiv:1604.06174, 2016.
    """
    whole, rest = divmod(len(jax.tree.leaves(xs)[0]), segment)
    rows = []
    if whole:
        parts = jax.tree.map(lambda x: x[: whole * segment].reshape(whole, segment, *x.shape[1:]), xs)
        # A scan keeps XLA from merging the two computations of a segment, so no further barrier is needed.
        run = jax.checkpoint(lambda carry, part: jax.lax.scan(step, carry, part), prevent_cse=False)
        carry, ys = jax.lax.scan(run, carry, parts)
        rows.append(jax.tree.map(lambda y: y.reshape(whole * segment, *y.shape[2:]), ys))
    if rest or not whole:
        part = jax.tree.map(lambda x: x[whole * segment :], xs)
        carry, ys = jax.checkpoint(lambda carry, part: jax.lax.scan(step, carry, part))(carry, part)
        rows.append(ys)
    return carry, rows[0] if len(rows) == 1 else jax.tree.map(lambda a, b: jax.lax.concatenate([a, b], 0), *rows)
