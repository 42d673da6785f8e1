"""The state of a training run: one pytree that holds all that the next step needs."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core.transform import as_transform
from funcgd.core.types import OptState, Params
from funcgd.core.validate import check_key
from funcgd.training import partition


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Where a training run stands; a pytree, the same in structure, shapes and dtypes after every step.

    Make one with `TrainState.create`; leaves that are no arrays (functions, names) are held statically inside
    `packed_params`, and `params` gives the tree as the loss sees it.

    >>> import funcgd as fg, jax.numpy as jnp
    >>> state = fg.TrainState.create({"w": jnp.ones(2)}, fg.adam(1e-3))
    >>> int(state.step), state.params["w"].tolist()
    (0, [1.0, 1.0])
    """

    step: jax.Array  # (), int32: finished updates
    packed_params: Params  # the parameters, in a form that passes through jit
    opt_state: OptState  # the optimizer's state, over the leaves that train
    key: jax.Array  # (), PRNG key of the run: step t draws from fold_in(key, t)
    model_state: Any = None  # what the model remembers beside its parameters

    @classmethod
    def create(cls, params: Params, tx: Any, *, key: Any = None, model_state: Any = None) -> "TrainState":
        """The state before the first step.

        Args:
            params: a pytree; its floating and complex arrays train, unless `fg.freeze` keeps them; all else is carried.
            tx: the optimizer.
            key: PRNG key of the run; None is `jax.random.key(0)`.
            model_state: what the model remembers, such as running means.

        Raises:
            TypeError: if nothing in `params` trains, or `key` is no random key.
        """
        return state_of("TrainState.create", params, tx, key, model_state)

    @property
    def params(self) -> Params:
        """The parameters, in the form that they were given; frozen ones as plain arrays."""
        return partition.unpack(self.packed_params)

    def replace(self, **changes: Any) -> "TrainState":
        """A copy with the given fields changed; `params` as the loss sees them: what is frozen stays so."""
        if "params" in changes:
            params = partition.refreeze(changes.pop("params"), partition.restored(self.packed_params))
            changes["packed_params"] = partition.pack("TrainState.replace", "params", params)
        return dataclasses.replace(self, **changes)


def state_of(who: str, params: Params, tx: Any, key: Any, model_state: Any) -> TrainState:
    """The state of `TrainState.create`, for the function `who` that the user has called."""
    if key is None:
        key = jax.random.key(0)
    check_key(who, key)
    packed = partition.pack(who, "params", params)
    trained, _ = partition.split(packed)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        packed_params=packed,
        opt_state=_init(as_transform(who, tx), trained),
        key=key,
        model_state=jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(x)), model_state),
    )


@jax.jit
def _init(tx: Any, trained: Params) -> OptState:
    """The optimizer's state; compiled, as one array after the other would take longer."""
    return tx.init(trained)


def eval_params(tx: Any, state: OptState, params: Params) -> Params:
    """The parameters to evaluate a model with, given the optimizer and its state.

    They are `params` themselves unless the optimizer averages; for transforms of other libraries always.

    >>> import funcgd as fg
    >>> tx = fg.sgd(0.1)
    >>> fg.eval_params(tx, tx.init(2.0), 2.0)
    2.0
    """
    return tx.eval_params(state, params) if hasattr(tx, "eval_params") else params


def evaluated(tx: Any, state: TrainState) -> Params:
    """The packed parameters to evaluate a model with: averages of what trains, everything else as it is."""
    trained, carried = partition.split(state.packed_params)
    return partition.merge(eval_params(tx, state.opt_state, trained), carried)
