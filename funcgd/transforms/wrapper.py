"""The base of transforms around another one."""

from typing import Any

from funcgd.core.transform import OptState, Params, Transform, as_transform


class Wrapper(Transform):
    """The base of transforms with one `inner`, whose state is the field `inner_state` of theirs."""

    inner: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "inner", as_transform(type(self).__name__, self.inner))

    @property
    def needs(self) -> frozenset[str]:
        return self.inner.needs

    @property
    def guards(self) -> bool:
        return self.inner.guards

    @property
    def watches(self) -> frozenset[str]:
        return self.inner.watches

    def observe(self, state: Any, metrics: dict[str, Any]) -> OptState:
        return state._replace(inner_state=self.inner.observe(state.inner_state, metrics))

    def eval_params(self, state: Any, params: Params) -> Params:
        return self.inner.eval_params(state.inner_state, params)


def with_extra_args_support(tx: Any) -> Transform:
    """`tx` as a transform that takes and ignores extra arguments, as all of funcgd do.

    Raises:
        TypeError: if it is no transform.

    >>> import funcgd as fg
    >>> fg.with_extra_args_support(fg.sgd(0.1))
    sgd(learning_rate=0.1)
    """
    return as_transform("with_extra_args_support", tx)
