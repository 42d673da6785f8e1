"""What a checkpoint holds: the arrays of a pytree by path, with their description and digests, and how two differ."""

import hashlib
import json
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import keystr, tree_flatten_with_path

from funcgd.core.numerics import float64_mode

VERSION = 1  # of the format; to be raised when an older funcgd could not read what a newer one writes
LINES = 20  # of a difference that are shown: enough to see what kind of change it is


class Kind(NamedTuple):
    """What an array is, without its numbers; a random key's shape is that of its array of keys.

    >>> from funcgd.training.checkpoint_format import Kind
    >>> print(Kind("float32", (2, 3)))
    float32 of shape (2, 3)
    """

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} of shape {self.shape}"


def leaves_by_path(who: str, tree: Any) -> dict[str, Any]:
    """The leaves of `tree` under names such as `.opt_state[0].mu['w']`.

    Raises:
        TypeError: if a leaf is no array of numbers, booleans or random keys.
        ValueError: if two leaves have the same name.
    """
    found: dict[str, Any] = {}
    for path, x in tree_flatten_with_path(tree)[0]:
        name = keystr(path)
        if name in found:
            raise ValueError(f"{who}: two leaves of what a checkpoint saves have the path `{name}`.")
        if not isinstance(x, (jax.Array, np.ndarray, np.generic)) or not (is_key(x) or is_plain(x)):
            raise TypeError(f"{who}: a checkpoint saves arrays of numbers, but `{name}` is {type(x).__name__}: {x!r}.")
        found[name] = x
    return found


def is_key(x: Any) -> bool:
    """Whether `x` is an array of typed random keys."""
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def is_plain(x: Any) -> bool:
    """Whether `x` is an array of numbers or booleans."""
    return jnp.issubdtype(x.dtype, np.number) or x.dtype == np.bool_


def kind(x: Any) -> Kind:
    """The dtype and shape of an array or an array of keys."""
    return Kind(str(x.dtype) if is_key(x) else x.dtype.name, tuple(x.shape))


def copies(leaves: dict[str, Any]) -> dict[str, np.ndarray]:
    """Copies of the arrays in host memory (of keys: their bits), which no later step can overwrite or donate."""
    bits = {name: jax.random.key_data(x) if is_key(x) else x for name, x in leaves.items()}
    return {name: np.array(x, order="C") for name, x in jax.device_get(bits).items()}


def put(x: np.ndarray, like: Any) -> Any:
    """`x`, as it was stored, as an array like `like`: of NumPy or JAX, a key or not, on the same device or devices."""
    if not isinstance(like, jax.Array):
        return x[()] if isinstance(like, np.generic) else x
    array: Any = x
    with float64_mode():  # elsewhere JAX would make float32 of float64, and int32 of int64
        if is_key(like):
            array = jax.random.wrap_key_data(jnp.asarray(x), impl=jax.random.key_impl(like))
        if like.committed:
            return jax.device_put(array, like.sharding)
        (device,) = like.sharding.device_set  # an array that isn't committed to its device may meet those of others
        with jax.default_device(device):
            return jax.device_put(array)


def digest(x: np.ndarray) -> str:
    """A digest of dtype, shape and bytes."""
    found = hashlib.blake2b(f"{x.dtype.name}{x.shape}".encode(), digest_size=16)
    found.update(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def description(kinds: dict[str, Kind], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What the JSON of a checkpoint says about the arrays, by path: what they are, how they are stored, digests."""
    return {
        name: {
            "dtype": kinds[name].dtype,
            "shape": list(kinds[name].shape),
            "stored": [x.dtype.name, list(x.shape)],
            "digest": digest(x),
        }
        for name, x in arrays.items()
    }


def empty(stored: list) -> np.ndarray:
    """An array without elements, of stored dtype and shape: Orbax takes none, so that it is made from its description.

    >>> from funcgd.training.checkpoint_format import empty
    >>> empty(["float32", [0, 4]]).shape
    (0, 4)
    """
    dtype, shape = stored
    return np.zeros(shape, dtype)


def paths(history: Any, path: str = "") -> Any:
    """Nested dicts with the path of each array in its place, such as `['validation']['loss']`; in the same order."""
    if not isinstance(history, dict):
        return path
    return {name: paths(x, f"{path}[{name!r}]") for name, x in history.items() if isinstance(name, str)}


def nested(names: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Nested dicts with the array of each path in its place: the inverse of `paths`."""
    if not isinstance(names, dict):
        return arrays[names]
    return {name: nested(x, arrays) for name, x in names.items()}


def plain_json(x: Any) -> Any:
    """`x` as it comes back from JSON: tuples as lists, NumPy's numbers as Python's."""
    return json.loads(text(x))


def text(x: Any) -> str:
    """`x` as JSON, the same for equal contents."""

    def convert(item: Any) -> Any:
        if isinstance(item, (np.generic, np.ndarray)):
            return item.tolist()
        raise TypeError(f"checkpoint: arguments must be numbers, strings, lists or dicts of them, got {item!r}.")

    return json.dumps(x, sort_keys=True, default=convert)


def difference(spec: dict[str, Any], kinds: dict[str, Kind], arguments: dict[str, Any]) -> list[str]:
    """How a run differs from the one that was saved: a line for each argument and each array that is another."""
    saved = {name: Kind(x["dtype"], tuple(x["shape"])) for name, x in spec["tree"].items()}
    lines = []
    for before, now, show in ((spec["arguments"], plain_json(arguments), text), (saved, kinds, str)):
        for name in [*now, *(name for name in before if name not in now)]:
            was, is_ = (show(found[name]) if name in found else "nothing" for found in (before, now))
            if was != is_:
                lines.append(f"`{name}`: {was} in the checkpoint, {is_} now")
    return lines if len(lines) <= LINES else [*lines[:LINES], f"… and {len(lines) - LINES} more"]
