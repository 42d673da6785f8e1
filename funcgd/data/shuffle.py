"""Shuffling in constant memory: any part of an epoch's order, computed from the positions asked for alone."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core.fields import describe
from funcgd.core.numerics import MAX_COUNT
from funcgd.data.arrays import order

EXACT_BELOW = 2**16  # below, a whole order is 256 kB at most, and sorted in some ten milliseconds
# Rounds of random functions are random to who sees far fewer than n^¼ values with four (Luby & Rackoff), √n with six
# (Patarin). An epoch shows all n, so this is measured: over 400,000 keys and n = 13, 16, 24, 64, χ² of values and pairs
# of values finds deviations with four rounds for all of them, with six for three, with eight for two, with ten for
# none.
ROUNDS = 10


def shuffled_indices(key: jax.Array, epoch: Any, n: int, positions: jax.Array) -> jax.Array:
    """The examples at `positions` of the order of `epoch`: a pure function of (key, epoch), in memory of `positions`.

    Each order is a permutation of 0 … n − 1. For n < 2¹⁶ it is `jax.random.permutation` of `fold_in(key, epoch)`. From
    there on it is `feistel_permutation` with words drawn from that key, computed at the positions asked for and nowhere
    else.

    Args:
        key: PRNG key.
        epoch: (), integer, may be traced.
        n: number of examples, 1 … 2³¹ − 1; static.
        positions: integers in [0, n), of any shape, may be traced; beyond, the nearest one is meant.

    Returns:
        The indices of the examples, of the shape of `positions`, int32.

    Raises:
        ValueError: if `n` is out of range.
        TypeError: if `positions` are no integers.

    >>> from funcgd.data.shuffle import shuffled_indices
    >>> import jax, jax.numpy as jnp
    >>> seen = shuffled_indices(jax.random.key(0), 3, 2_000_000_000, jnp.arange(1000))
    >>> len(set(seen.tolist())), seen.dtype.name
    (1000, 'int32')
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 1 <= n <= MAX_COUNT:
        raise ValueError(f"shuffled_indices: `n` must be an integer from 1 to {MAX_COUNT}, got {describe(n)}.")
    if not jnp.issubdtype(jnp.result_type(positions), jnp.integer):
        raise TypeError(f"shuffled_indices: `positions` must be integers, got {describe(positions)}.")
    n, positions = int(n), _within(positions, int(n))
    if n < EXACT_BELOW:
        return order(key, epoch, n).at[positions].get(mode="promise_in_bounds")
    words = jax.random.bits(jax.random.fold_in(key, epoch), (ROUNDS,), jnp.uint32)
    return feistel_permutation(words, n, positions)


@functools.partial(jax.jit, static_argnames="n")
def feistel_permutation(words: jax.Array, n: int, positions: jax.Array) -> jax.Array:
    """The values at `positions` of a permutation of 0 … n − 1 that the `words` choose, one round for each.

    A position of b = ⌈log₂ n⌉ bits is split into a left half of ⌊b/2⌋ and a right half of ⌈b/2⌉ bits. Each round adds
    to one half a function of the other, which the same round undoes, so that it is a bijection whatever the function:

        L ← L ⊕ mix(R + w₀),   R ← R ⊕ mix(L + w₁),   L ← L ⊕ mix(R + w₂),   …

    It permutes 0 … 2ᵇ − 1. What falls on n or beyond goes through it again until it falls below n (cycle walking): this
    follows a cycle that started below n and must come back, and as 2ᵇ < 2n it takes less than two passes on average.

    These are few of the n! permutations (as are those that any seed reaches), and for n = 2ᵇ ≥ 16 only even ones. They
    are for shuffling, not for secrets.

    Args:
        words: (rounds,), uint32, random.
        n: 1 … 2³¹ − 1; static.
        positions: integers in [0, n), of any shape; beyond, the nearest one is meant.

    Reference: Luby & Rackoff, How to construct pseudorandom permutations from pseudorandom functions, SIAM J. Comput.
    17, 1988; Patarin, Security of random Feistel schemes with 5 or more rounds, CRYPTO 2004; Black & Rogaway, Ciphers
    with arbitrary finite domains, CT-RSA 2002 (cycle walking).

    >>> from funcgd.data.shuffle import feistel_permutation
    >>> import jax, jax.numpy as jnp
    >>> words = jax.random.bits(jax.random.key(0), (10,), jnp.uint32)
    >>> sorted(feistel_permutation(words, 11, jnp.arange(11)).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    """
    bits = (n - 1).bit_length()
    low = np.uint32(bits - bits // 2)
    left_mask, right_mask = np.uint32(2 ** (bits // 2) - 1), np.uint32(2 ** int(low) - 1)

    def once(x: jax.Array) -> jax.Array:
        left, right = x >> low, x & right_mask
        for i in range(words.shape[0]):
            if i % 2 == 0:
                left ^= mix(right + words[i]) & left_mask
            else:
                right ^= mix(left + words[i]) & right_mask
        return (left << low) | right

    def walk(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        x, outside = carry
        x = jnp.where(outside, once(x), x)
        return x, x >= np.uint32(n)

    x = _within(positions, n)
    if n == 2**bits:
        return once(x).astype(jnp.int32)
    x, _ = jax.lax.while_loop(lambda carry: carry[1].any(), walk, (x, jnp.ones_like(x, bool)))
    return x.astype(jnp.int32)


def mix(x: jax.Array) -> jax.Array:
    """A bijection of uint32 in which each bit of `x` changes every bit of the result in about half of the cases.

    Reference: Appleby, MurmurHash3, 2011: the finaliser of the 32-bit hash, whose two multipliers and three shifts were
    found by search for that property.

    >>> from funcgd.data.shuffle import mix
    >>> import jax.numpy as jnp
    >>> [hex(x) for x in mix(jnp.arange(3, dtype=jnp.uint32)).tolist()]
    ['0x0', '0x514e28b7', '0x30f4c306']
    """
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def _within(positions: jax.Array, n: int) -> jax.Array:
    # A walk from outside [0, n) could stay outside for ever.
    return jnp.minimum(jnp.maximum(jnp.asarray(positions), 0).astype(jnp.uint32), np.uint32(n - 1))
