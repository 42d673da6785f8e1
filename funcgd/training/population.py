"""The compiled inside of `sweep`: members of a population side by side, each frozen where its run has ended."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.stop import Progress, StopRule
from funcgd.core.types import Batch, Params
from funcgd.core.values import Held, hold
from funcgd.data.feed import Epoch, Resident
from funcgd.data.plan import Layout
from funcgd.data.sources import Source
from funcgd.training import partition
from funcgd.training.evaluate import evaluate
from funcgd.training.state import TrainState, evaluated
from funcgd.training.step import TrainStep
from funcgd.training.validation import Scores, evaluation_size, means


class Members(NamedTuple):
    """Where the members stand; every leaf has their axis in front.

    >>> from funcgd.training.population import Members
    >>> Members(state=None, good=None, best=None).good is None
    True
    """

    state: TrainState  # after the latest chunk
    good: TrainState  # the latest one that a finite loss was computed from
    best: Any  # (packed parameters to evaluate with, model state) of the lowest monitored value


class Steps(NamedTuple):
    """What the steps of a chunk found.

    >>> from funcgd.training.population import Steps
    >>> Steps(alive=[True], losses=[[2.0], [1.0]], norms={}).norms
    {}
    """

    alive: jax.Array  # (members,), bool: whose losses were finite
    losses: jax.Array  # (room, members), NaN behind the end of a member
    norms: dict[str, jax.Array]  # (members,) each, those of the last step, if asked for


@jax.jit
def begin(init: Any, step: TrainStep, keys: jax.Array, which: Any, model_state: Any) -> tuple[Members, jax.Array]:
    """The members before their first step, and the keys of the orders of their examples.

    Args:
        init: a held function key → params, or the packed parameters that all begin with.
        step: the training step, with stacked optimizers.
        keys: PRNG keys, stacked.
        which: (members,), int32: the key of each member.
        model_state: what all begin with.
    """

    def member(tx: Any, key: jax.Array) -> tuple[TrainState, jax.Array]:
        init_key, fit_key = jax.random.split(key)
        order_key, run_key = jax.random.split(fit_key)
        params = init.item(init_key) if isinstance(init, Held) else partition.restored(init)
        return TrainState.create(params, tx, key=run_key, model_state=model_state), order_key

    state, order_keys = jax.vmap(member)(step.tx, keys[which])
    return Members(state, state, (_evaluated(step.tx, state), state.model_state)), order_keys


@functools.partial(jax.jit, static_argnames=("layout", "batch_size", "one_order", "last_norms", "room"))
def run(
    step: TrainStep,
    state: TrainState,
    alive: Any,
    order_keys: jax.Array,
    data: Batch,
    first: Any,
    steps: Any,
    *,
    layout: Layout,
    batch_size: int,
    one_order: bool,
    last_norms: bool,
    room: int,
) -> tuple[TrainState, Steps]:
    """Make `steps` steps with all members that are `alive`, within one epoch.

    All who are alive have made the same number of steps, so that the count of the loop, the place of the batch and the
    row of the losses are one number for all. The others run along: what comes of it is dropped by `settle`, so that no
    step has to select the state member by member.

    Args:
        step: the training step, with stacked optimizers.
        state: where they stand, stacked.
        alive: (members,), bool.
        order_keys: of the order of the examples, stacked.
        data: arrays, shared by all.
        first: (), int32: the first step.
        steps: (), int32, how many; at most `room`.
        layout: of an epoch.
        batch_size: of these steps.
        one_order: whether all keys are equal, so that a batch is taken once for all.
        last_norms: whether the norms of the last step are wanted.
        room: how many steps a chunk may have.
    """
    axis = None if one_order else 0
    own: Any = Epoch(None, None, 0)  # pyright: ignore - the axis of the members: each has an order of its own
    order_keys = order_keys[0] if one_order else order_keys

    def feed(key: jax.Array) -> Resident:
        return Resident(data, key, layout, batch_size, crosses=False)

    def start(key: jax.Array) -> Any:
        return feed(key).start(first)

    def member(tx: Any, state: TrainState, batch: Batch) -> tuple[TrainState, jax.Array, jax.Array, dict]:
        new, metrics = TrainStep(step.loss, tx, norms=last_norms)(state, batch)
        norms = {name: metrics[name] for name in ("gradient_norm", "update_norm") if last_norms}
        return new, metrics["loss"], jnp.isfinite(metrics["loss"]) | tx.guards, norms

    def batches(orders: Any, at: jax.Array) -> tuple[Batch, int | None]:
        """The batch of step `at` of each member, or the one that they share."""
        if one_order or layout.stride == layout.n:
            return feed(order_keys).batch(orders, at), None
        return jax.vmap(lambda key, order: feed(key).batch(order, at), in_axes=(0, own))(order_keys, orders), 0

    @jax.jit  # as a unit, so that asking for the shapes of its results does not trace the loss a second time
    def advance(state: TrainState, orders: Any, at: jax.Array) -> tuple[TrainState, jax.Array, jax.Array, dict]:
        batch, axis = batches(orders, at)
        return jax.vmap(member, in_axes=(0, 0, axis))(step.tx, state, batch)

    def once(loop: tuple) -> tuple:
        count, state, going, losses, _ = loop
        new, loss, good, norms = advance(state, orders, first + count)
        losses = losses.at[count].set(jnp.where(going, loss, jnp.nan))
        return count + 1, new, going & good, losses, norms

    orders = start(order_keys) if axis is None else jax.vmap(start, out_axes=own)(order_keys)
    _, loss, _, norms = jax.eval_shape(advance, state, orders, first)
    losses = jnp.full((room, *loss.shape), jnp.nan, loss.dtype)
    norms = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), norms)
    _, state, still, losses, norms = jax.lax.while_loop(
        lambda loop: (loop[0] < steps) & loop[2].any(), once, (jnp.int32(0), state, alive, losses, norms)
    )
    return state, Steps(still, losses, norms)


@jax.jit
def settle(members: Members, new: TrainState, alive: Any, at_once: Any) -> Members:
    """Where the members stand after a chunk that led to `new`, if some are no longer alive.

    A member that has failed goes back to where the chunk began or, if the first loss of the chunk was not finite, which
    is `at_once`, to where the chunk before it began. One that had ended before stays as it was.
    """
    before = choose(at_once, members.good, members.state)
    return Members(choose(alive, new, before), choose(alive, members.state, members.good), members.best)


@jax.jit
def keep_best(tx: Any, members: Members, better: Any) -> Members:
    """`members` with what they are now as the best of those that are `better`."""
    now = _evaluated(tx, members.state), members.state.model_state
    return members._replace(best=choose(better, now, members.best))


@jax.jit
def observe(tx: Any, members: Members, metrics: dict[str, Any], alive: Any) -> Members:
    """`members` whose optimizers have looked at what they watch, those that are `alive`."""
    state = members.state
    seen = jax.vmap(lambda tx, state, metrics: tx.observe(state, metrics))(tx, state.opt_state, metrics)
    return members._replace(state=state.replace(opt_state=choose(alive, seen, state.opt_state)))


@jax.jit
def stacked_state(rule: StopRule, alive: Any) -> Any:
    """The state of a stopping rule before its first test, for each member."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (*alive.shape, *jnp.shape(x))), rule.init())


@jax.jit
def ask(rule: StopRule, progress: Progress, state: Any, alive: Any) -> tuple[jax.Array, Any]:
    """The codes of the members that are to stop now, else 0; and the next states of the rule."""
    code, new = jax.vmap(rule.test)(progress, state)
    return jnp.where(alive, code, 0), choose(alive, new, state)


def choose(which: Any, new: Any, old: Any) -> Any:
    """The tree `new` for the members that are chosen, and `old` for the others."""

    def one(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(jnp.reshape(which, (-1,) + (1,) * (jnp.ndim(a) - 1)), a, b)

    return jax.tree.map(one, new, old)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _SideBySide:
    """The scores of all members as one function of their stacked parameters."""

    scores: Scores  # stacked

    def __call__(self, params: Params, batch: Batch) -> dict[str, Any]:
        packed = partition.pack("sweep", "params", params)
        return jax.vmap(lambda scores, p: scores(partition.unpack(p), batch))(self.scores, packed)


def validate(loss: Callable, metrics: Callable | None, tx: Any, state: TrainState, data: Source) -> dict[str, Any]:
    """The mean loss and metrics of each member over `data`, at the parameters that its optimizer evaluates with."""
    scores = Scores(hold(loss), None if metrics is None else hold(metrics), state.key, state.model_state)
    params = partition.restored(_evaluated(tx, state))
    return means(evaluate(_SideBySide(scores), params, data, evaluation_size(data)))


@jax.jit
def _evaluated(tx: Any, state: TrainState) -> Params:
    """The packed parameters that the optimizers evaluate with, of all members."""
    return jax.vmap(evaluated)(tx, state)
