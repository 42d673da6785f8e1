"""The base of transforms around another one."""

from typing import Any

from funcgd.core.transform import OptState, Params, Transform, as_transform


class Wrapper(Transform):
    """The base of transforms with another one inside.

    `part` names the field that holds it, `part_state` the field of their state with its state; None where that is all.
    """

    part: str = "inner"
    part_state: str | None = "inner_state"

    def __post_init__(self) -> None:
        object.__setattr__(self, self.part, as_transform(type(self).__name__, self.inside))

    @property
    def inside(self) -> Transform:
        """The transform inside."""
        return getattr(self, self.part)

    def state_inside(self, state: Any) -> OptState:
        """Its state."""
        return state if self.part_state is None else getattr(state, self.part_state)

    @property
    def needs(self) -> frozenset[str]:
        return self.inside.needs

    @property
    def guards(self) -> bool:
        return self.inside.guards

    @property
    def watches(self) -> frozenset[str]:
        return self.inside.watches

    def observe(self, state: Any, metrics: dict[str, Any]) -> OptState:
        observed = self.inside.observe(self.state_inside(state), metrics)
        return observed if self.part_state is None else state._replace(**{self.part_state: observed})

    def eval_params(self, state: Any, params: Params) -> Params:
        return self.inside.eval_params(self.state_inside(state), params)


class Follower(Wrapper):
    """The base of wrappers that watch where the optimizer inside goes, whatever it makes of gradients."""

    @property
    def needs(self) -> frozenset[str]:
        return self.inside.needs | {"params"}

    @property
    def per_example(self) -> bool:
        return self.inside.per_example


def with_extra_args_support(tx: Any) -> Transform:
    """`tx` as a transform that takes and ignores extra arguments, as all of funcgd do.

    Raises:
        TypeError: if it is no transform.

    >>> import funcgd as fg
    >>> fg.with_extra_args_support(fg.sgd(0.1))
    sgd(learning_rate=0.1)
    """
    return as_transform("with_extra_args_support", tx)
