"""All leaves as one vector, for the transform inside."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.transform import OptState, Params, Updates
from funcgd.core.values import value
from funcgd.transforms.wrapper import Wrapper


def as_vector(tree: Any) -> jax.Array:
    """All entries of `tree` in one vector, in at least float32, complex if any leaf is."""
    leaves = jax.tree.leaves(tree)
    dtypes = [jnp.result_type(x) for x in leaves]
    wide = numerics.wide_dtype(*dtypes)
    if any(jnp.issubdtype(dtype, jnp.complexfloating) for dtype in dtypes):
        wide = np.result_type(wide, np.complex64)
    return jnp.concatenate([jnp.zeros(0, wide), *(jnp.ravel(jnp.asarray(x, wide)) for x in leaves)])


def as_tree(vector: jax.Array, like: Any) -> Any:
    """The vector as a tree like another one, in at least float32."""
    leaves, structure = jax.tree.flatten(like)
    parts = jnp.split(vector, np.cumsum([np.size(x) for x in leaves])[:-1].tolist()) if leaves else []

    def shaped(part: jax.Array, x: Any) -> jax.Array:
        part = part.reshape(np.shape(x))
        return numerics.widen(part if jnp.iscomplexobj(x) else part.real, numerics.wide_dtype(jnp.result_type(x)))

    return structure.unflatten([shaped(part, x) for part, x in zip(parts, leaves, strict=True)])


@value
class flatten(Wrapper):
    """Give all leaves to `inner` as one vector, and turn its updates back into a tree.

    Steps over very many small leaves become faster; compiling them does not, and copying costs more where leaves are
    large. What is computed is the same for rules that look at entries, or at the norm of all. A rule that looks at
    leaves (units, matrices, masks by path) sees one vector. Mixed precisions meet in the widest, at least float32.

    Args:
        inner: the transform inside, of funcgd or any library with `init` and `update`.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> tx, params = fg.flatten(fg.adam(0.1)), {"w": jnp.ones((2, 2)), "b": jnp.zeros(3)}
    >>> fg.tree.get(tx.init(params), "mu").shape
    (7,)
    """

    inner: Any

    part_state = None

    def eval_params(self, state: OptState, params: Params) -> Params:
        evaluated = as_tree(self.inner.eval_params(state, as_vector(params)), params)
        return jax.tree.map(lambda x, p: jnp.asarray(x, jnp.result_type(p)), evaluated, params)

    def init(self, params: Params) -> OptState:
        return self.inner.init(as_vector(params))

    def update(
        self, grads: Updates, state: OptState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, OptState]:
        if "grad" in extra:
            extra["grad"] = as_vector(extra["grad"])
        value_fn = extra.get("value_fn")
        if callable(value_fn) and params is not None:

            def of_vector(x: jax.Array, *args: Any, **kwargs: Any) -> Any:
                tree = jax.tree.map(lambda a, p: jnp.asarray(a, jnp.result_type(p)), as_tree(x, params), params)
                return value_fn(tree, *args, **kwargs)

            extra["value_fn"] = of_vector
        vector = None if params is None else as_vector(params)
        updates, state = self.inner.update(as_vector(grads), state, vector, **extra)
        return as_tree(updates, grads), state
