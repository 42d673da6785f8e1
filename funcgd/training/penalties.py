"""Penalties: losses plus a price on the size of the parameters."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from funcgd.core import numerics
from funcgd.core.fields import field, number, static
from funcgd.core.schedule import check_single
from funcgd.core.signature import instance_signature
from funcgd.core.types import Batch, Params, Scalar
from funcgd.core.values import value
from funcgd.training import objective
from funcgd.training.objective import check_scalar, parted
from funcgd.training.partition import split
from funcgd.training.per_example import as_loss
from funcgd.transforms.mask import Mask, as_mask, flags_of


class Penalty:
    """A loss plus `strength` times the sum of `_entry` over the parameters that train."""

    loss: Callable
    strength: Any
    mask: Any

    @instance_signature
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.loss)

    def init_model_state(self) -> Any:
        """That of the loss inside, if it has one."""
        return objective.initial_model_state(self.loss)

    def total_weight(self, batch: Batch) -> Any:
        """That of the loss inside."""
        return objective.total_weight(self.loss, batch)

    def __call__(self, params: Params, *args: Any, **extra: Any) -> Any:
        who = type(self).__name__
        check_single(self)
        f, aux = parted(self.loss(params, *args, **extra))
        check_scalar(who, "the loss", f)
        chosen = jax.tree.map(jnp.asarray, split(params)[0])  # as the optimizer sees them: None where nothing trains
        if self.mask is not None:
            flags = flags_of(who, self.mask, chosen)
            chosen = jax.tree.map(lambda flag, x: x if flag else None, flags, chosen)
        leaves = jax.tree.leaves(chosen)
        dtype = numerics.wide_dtype(jnp.result_type(f), *(x.dtype for x in leaves))
        total = jnp.zeros((), dtype)
        for x in leaves:
            total = total + jnp.sum(self._entry(numerics.widen(x, dtype)))
        penalized = jnp.asarray(f, dtype) + jnp.asarray(self.strength, dtype) * total
        return penalized if aux is None else (penalized, aux)

    def _entry(self, x: jax.Array) -> jax.Array:
        raise NotImplementedError


@value
class l2_penalty(Penalty):
    """A loss plus half the squared norm of the parameters: ridge regression, a Gaussian prior.

        L(θ) + (λ/2) Σᵢ |θᵢ|²

    Its gradient is that of L plus λθ, so before plain gradient descent it is the same as `fg.add_decayed_weights`;
    adaptive methods rescale it with the gradient, which is what `fg.adamw` avoids. A value: another strength does not
    recompile. It takes and returns what the loss does, so it wraps other wrappers and is wrapped by them; one for
    `fg.minimize` may have any arguments after the parameters.

    Args:
        loss: `loss(params, batch)` → a real scalar, or (scalar, `fg.Aux`).
        strength: λ in [0, ∞), [loss]/[param]².
        mask: which leaves are penalised: a pytree of booleans or a prefix of one, or a function params → that; None is
            all. Only floating and complex leaves are.

    Raises:
        ValueError: when called, if the mask does not fit the parameters.

    Reference: Hoerl, Kennard, Ridge regression: biased estimation for nonorthogonal problems, Technometrics 12, 1970.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> loss = fg.l2_penalty(lambda w, batch: jnp.mean(w["a"] * batch), 0.5, mask={"a": True, "b": False})
    >>> jax.grad(loss)({"a": 4.0, "b": 4.0}, jnp.ones(3))["a"].item()
    3.0
    """

    loss: Callable = field("plain", as_loss)
    strength: Scalar = number("[0, inf)", schedule=False)
    mask: Mask = static(default=None, convert=as_mask)

    def _entry(self, x: jax.Array) -> jax.Array:
        return numerics.square(x) * 0.5


@value
class l1_penalty(Penalty):
    """A loss plus the sum of the absolute parameters, which drives many of them to 0: the lasso.

        L(θ) + λ Σᵢ |θᵢ|

    Its gradient is that of L plus λ sign(θ), and 0 where θ is 0; of complex numbers |θ| is the modulus. Gradient
    methods come near 0 and step across it. Otherwise like `l2_penalty`.

    Args:
        loss: `loss(params, batch)` → a real scalar, or (scalar, `fg.Aux`).
        strength: λ in [0, ∞), [loss]/[param].
        mask: which leaves are penalised, as in `l2_penalty`.

    Reference: Tibshirani, Regression shrinkage and selection via the lasso, J. R. Stat. Soc. B 58, 1996.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> loss = fg.l1_penalty(lambda w, batch: jnp.mean(batch), 0.5)
    >>> jax.grad(loss)(jnp.array([-2.0, 0.0, 3.0]), jnp.ones(3)).tolist()
    [-0.5, 0.0, 0.5]
    """

    loss: Callable = field("plain", as_loss)
    strength: Scalar = number("[0, inf)", schedule=False)
    mask: Mask = static(default=None, convert=as_mask)

    def _entry(self, x: jax.Array) -> jax.Array:
        return jnp.where(x == 0, 0, jnp.abs(jnp.where(x == 0, 1, x)))
