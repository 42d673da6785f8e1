"""Buffers on the host that hold the batches of a chunk on their way to the device."""

from typing import Any

import jax
import numpy as np

from funcgd.data.plan import longest_chunk

BUFFERS = 4  # alive at a time: in use, waiting, being filled, and being freed


def room(buffer_bytes: int, bytes_per_step: int, parameters: int, batch_size: int) -> int:
    """How many steps a chunk may have, by work and by memory; at least one."""
    return max(1, min(longest_chunk(parameters, batch_size), buffer_bytes // BUFFERS // max(bytes_per_step, 1)))


def as_array(x: Any) -> np.ndarray:
    """`x` as an array of a dtype that JAX keeps: float64 becomes float32 unless 64-bit types are enabled."""
    x = np.asarray(x)
    return x.astype(jax.dtypes.canonicalize_dtype(x.dtype), copy=False)


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array to fill, aligned to 64 bytes, so that JAX on the CPU may use it without a copy."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)
