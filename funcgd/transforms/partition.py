"""Different transforms for different groups of parameters."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from funcgd.core.fields import describe, static
from funcgd.core.transform import OptState, Params, Transform, Updates, as_transform
from funcgd.core.values import code, value
from funcgd.transforms import parts
from funcgd.transforms.groups import check_grouped, labels_of
from funcgd.transforms.mask import Fixed


class PartitionState(NamedTuple):
    """The state of `partition`.

    >>> import funcgd as fg
    >>> tx = fg.partition({"w": fg.sgd(0.1, momentum=0.9), "b": fg.set_to_zero()}, {"w": "w", "b": "b"})
    >>> sorted(tx.init({"w": 1.0, "b": 1.0}).inner_states)
    ['b', 'w']
    """

    inner_states: dict[Any, OptState]  # by group; the leaves of other groups are None in each


MultiTransformState = PartitionState  # by its older name


def as_labels(labels: Any) -> Any:
    """`labels` in hashable form."""
    return labels if callable(labels) or isinstance(labels, Fixed) else Fixed(labels)


@value
class Partition(Transform):
    """Each group of leaves by its own transform. Made by `fg.partition`.

    >>> import funcgd as fg
    >>> tx = fg.partition({"fast": fg.sgd(0.1), "slow": fg.sgd(0.01)}, {"w": "fast", "b": "slow"})
    >>> tx.transforms[1].learning_rate
    0.01
    """

    transforms: tuple[Transform, ...]
    groups: tuple[Any, ...] = static()
    param_labels: Any = static(convert=as_labels)
    mask_compatible_extra_args: bool = static(default=False)

    title = "partition"

    def init(self, params: Params) -> PartitionState:
        flags = self._flags(params)
        return PartitionState({group: parts.init_part(tx, params, flags[group]) for group, tx in self._items()})

    def update(
        self, grads: Updates, state: PartitionState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, PartitionState]:
        flags = self._flags(grads if params is None else params)
        updates, new = grads, {}
        for group, tx in self._items():
            part, new[group] = parts.update_part(
                tx, flags[group], grads, state.inner_states[group], params, extra, self.mask_compatible_extra_args
            )
            updates = parts.merge(part, updates, flags[group])
        return updates, PartitionState(new)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset().union(*(tx.needs for tx in self.transforms))

    @property
    def guards(self) -> bool:
        return all(tx.guards for tx in self.transforms)

    @property
    def watches(self) -> frozenset[str]:
        return frozenset().union(*(tx.watches for tx in self.transforms))

    def observe(self, state: PartitionState, metrics: dict[str, Any]) -> PartitionState:
        return PartitionState({g: tx.observe(state.inner_states[g], metrics) for g, tx in self._items()})

    def eval_params(self, state: PartitionState, params: Params) -> Params:
        flags = self._flags(params)
        for group, tx in self._items():
            params = parts.eval_part(tx, flags[group], state.inner_states[group], params)
        return params

    def named_parts(self, state: PartitionState) -> Iterator[tuple[str, Transform, OptState]]:
        """The transforms with their names and states, for `fg.hyperparameters`."""
        for group, tx in self._items():
            yield str(group), tx, state.inner_states[group]

    def _items(self) -> list[tuple[Any, Transform]]:
        return list(zip(self.groups, self.transforms, strict=True))

    def _flags(self, params: Params) -> dict[Any, list[bool]]:
        """For every group which leaves are in it."""
        labels = labels_of("partition", self.param_labels, params)
        known = ", ".join(map(repr, self.groups))
        check_grouped("partition", params, [label in self.groups for label in labels], f"have a label among {known}")
        return {group: [label == group for label in labels] for group in self.groups}

    def __repr__(self) -> str:
        pairs = ", ".join(f"{group!r}: {code(tx)}" for group, tx in self._items())
        more = ", mask_compatible_extra_args=True" if self.mask_compatible_extra_args else ""
        return f"partition({{{pairs}}}, {code(self.param_labels)}{more})"


def partition(
    transforms: Mapping[Any, Any],
    param_labels: Callable[[Params], Any] | Any,
    *,
    mask_compatible_extra_args: bool = False,
) -> Partition:
    """Apply to each group of leaves its own transform.

    Every leaf is in exactly one group, and a transform sees its own leaves only: norms are those of the group, and
    there is no state for others. Give `fg.set_to_zero()` to the group that should stay as it is.

    `print(fg.group_table(params, tx))` shows which leaf is in which group.

    Args:
        transforms: a mapping from groups to transforms, of funcgd or any library with `init` and `update`.
        param_labels: the groups of leaves: a pytree of labels or a prefix of one, or a function params → that, such as
            `fg.path_labels`, which makes it of rules on paths.
        mask_compatible_extra_args: whether extras that are trees like the gradients are reduced to the group, not just
            `grad`.

    Raises:
        TypeError: if a group has no transform but something else.
        ValueError: at init and update, if a leaf has no label, or one without a transform; all such leaves are listed.

    >>> import funcgd as fg
    >>> rules = fg.path_labels({"bias": "*/b", "rest": "*"})
    >>> tx = fg.partition({"bias": fg.sgd(0.5), "rest": fg.set_to_zero()}, rules)
    >>> params = {"layer": {"w": 1.0, "b": 1.0}}
    >>> fg.apply_updates(params, tx.update(params, tx.init(params))[0])["layer"]["b"].item()
    0.5
    """
    if not isinstance(transforms, Mapping):
        raise TypeError(f"partition: `transforms` must be a mapping group → transform, got {describe(transforms)}.")
    values = tuple(as_transform(f"partition: group {group!r}", tx) for group, tx in transforms.items())
    return Partition(values, tuple(transforms), param_labels, mask_compatible_extra_args)


def multi_transform(
    transforms: Mapping[Any, Any],
    param_labels: Callable[[Params], Any] | Any,
    *,
    mask_compatible_extra_args: bool = False,
) -> Partition:
    """`partition` under its older name.

    >>> import funcgd as fg
    >>> fg.multi_transform({"all": fg.sgd(0.1)}, "all")
    partition({'all': sgd(learning_rate=0.1)}, 'all')
    """
    return partition(transforms, param_labels, mask_compatible_extra_args=mask_compatible_extra_args)
