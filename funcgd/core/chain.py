"""Chains: transforms applied one after the other."""

from typing import Any

from funcgd.core.fields import static
from funcgd.core.transform import OptState, Params, Transform, Updates, as_transform
from funcgd.core.values import code, value


@value
class Chain(Transform):
    """Transforms applied in order; the state is the tuple of their states. Made by `fg.chain`.

    >>> import funcgd as fg
    >>> fg.chain(fg.clip(1.0), fg.sgd(0.1)).transforms[1].learning_rate
    0.1
    """

    transforms: tuple[Transform, ...]
    names: tuple[str, ...] | None = static(default=None)

    title = "chain"

    def __post_init__(self) -> None:
        parts = tuple(as_transform("chain", tx) for tx in self.transforms)
        object.__setattr__(self, "transforms", parts)

    def init(self, params: Params) -> OptState:
        return self._joined([tx.init(params) for tx in self.transforms])

    def update(
        self, grads: Updates, state: OptState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, OptState]:
        new = []
        for tx, part in zip(self.transforms, self._states(state), strict=True):
            grads, part = tx.update(grads, part, params, **extra)
            new.append(part)
        return grads, self._joined(new)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset().union(*(tx.needs for tx in self.transforms))

    @property
    def guards(self) -> bool:
        return any(tx.guards for tx in self.transforms)

    @property
    def per_example(self) -> bool:
        return bool(self.transforms) and self.transforms[0].per_example

    @property
    def watches(self) -> frozenset[str]:
        return frozenset().union(*(tx.watches for tx in self.transforms))

    def observe(self, state: OptState, metrics: dict[str, Any]) -> OptState:
        parts = zip(self.transforms, self._states(state), strict=True)
        return self._joined([tx.observe(part, metrics) for tx, part in parts])

    def eval_params(self, state: OptState, params: Params) -> Params:
        for tx, part in zip(self.transforms, self._states(state), strict=True):
            params = tx.eval_params(part, params)
        return params

    def _states(self, state: OptState) -> Any:
        return state if self.names is None else [state[name] for name in self.names]

    def _joined(self, states: list[Any]) -> OptState:
        return tuple(states) if self.names is None else dict(zip(self.names, states, strict=True))

    def __repr__(self) -> str:
        if self.names is None:
            return f"chain({', '.join(map(code, self.transforms))})"
        return f"named_chain({', '.join(code(pair) for pair in zip(self.names, self.transforms, strict=True))})"


def chain(*transforms: Any) -> Chain:
    """Apply `transforms` in the given order; each receives what the one before it returned.

    Extras reach every part that takes them. Transforms of other libraries (anything with `init` and `update`) are
    welcome and held statically.

    Raises:
        TypeError: if a part is no transform.

    >>> import funcgd as fg
    >>> fg.chain(fg.clip_by_global_norm(1.0), fg.sgd(0.1))
    chain(clip_by_global_norm(max_norm=1.0), sgd(learning_rate=0.1))
    """
    return Chain(tuple(as_transform("chain", tx) for tx in transforms))


def named_chain(*pairs: tuple[str, Any]) -> Chain:
    """`chain` over (name, transform) pairs; its state is a dict by those names.

    Raises:
        ValueError: if a name occurs twice.
        TypeError: if an argument is not such a pair.

    >>> import funcgd as fg
    >>> tx = fg.named_chain(("clip", fg.clip(1.0)), ("step", fg.sgd(0.1)))
    >>> sorted(tx.init({"w": 0.0}))
    ['clip', 'step']
    """
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise TypeError(f"named_chain: expected (name, transform) pairs, got {pair!r}.")
    names = tuple(name for name, _ in pairs)
    if len(set(names)) < len(names):
        raise ValueError(f"named_chain: names must differ, got {', '.join(names)}.")
    return Chain(tuple(as_transform("named_chain", tx) for _, tx in pairs), names)
