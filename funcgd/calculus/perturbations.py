"""Derivatives of functions that have none: of their means under noise."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.core import numerics
from funcgd.core.fields import as_count, describe, is_number, is_traced
from funcgd.core.validate import check_leaves
from funcgd.core.values import value

__all__ = ["Gumbel", "Normal", "make_perturbed_fun"]


class Noise(Protocol):
    """What noise must have, to be used in `make_perturbed_fun`."""

    def sample(self, key: Any, sample_shape: Sequence[int] = (), dtype: Any = float) -> jax.Array:
        """Independent draws."""
        ...

    def log_prob(self, inputs: jax.Array) -> jax.Array:
        """log p(z) of each entry; differentiable."""
        ...


@value
class Gumbel:
    """The standard Gumbel distribution: p(z) = exp(−z − e⁻ᶻ), with mean 0.5772 and variance π²/6.

    The place of the largest of xᵢ + σzᵢ is i with probability softmax(x/σ)ᵢ.

    Reference: Gumbel, Statistical theory of extreme values, 1954; Papandreou, Yuille, Perturb-and-MAP random fields,
    ICCV 2011.

    >>> import funcgd as fg
    >>> float(fg.perturbations.Gumbel().log_prob(0.0))
    -1.0
    """

    def sample(self, key: Any, sample_shape: Sequence[int] = (), dtype: Any = float) -> jax.Array:
        """Independent draws."""
        return jax.random.gumbel(key, tuple(sample_shape), dtype)

    def log_prob(self, inputs: Any) -> jax.Array:
        """log p(z) of each entry."""
        return -inputs - jnp.exp(-inputs)


@value
class Normal:
    """The standard normal distribution.

    >>> import funcgd as fg
    >>> float(fg.perturbations.Normal().log_prob(0.0))  # doctest: +NUMBER
    -0.9189
    """

    def sample(self, key: Any, sample_shape: Sequence[int] = (), dtype: Any = float) -> jax.Array:
        """Independent draws."""
        return jax.random.normal(key, tuple(sample_shape), dtype)

    def log_prob(self, inputs: Any) -> jax.Array:
        """log p(z) of each entry."""
        return -0.5 * inputs**2 - 0.5 * float(np.log(2 * np.pi))


def make_perturbed_fun(
    fun: Callable[[Any], Any],
    num_samples: int = 1000,
    sigma: Any = 0.1,
    noise: Noise = Gumbel(),  # noqa: B008 - a value
    use_baseline: bool = True,
) -> Callable[[Any, Any], Any]:
    """The mean of `fun` under noise, which has derivatives where `fun` has none, estimated from its values alone.

        F(x) = E f(x + σz),   ∂F(x)v = E[f(x + σz) ⟨s(z), v⟩] / σ   with s = −∇ log p

    Both are means over M draws: unbiased, with an error of order 1/√M. JAX differentiates in reverse and forward mode,
    with respect to x and σ, as often as one likes: the draws y = x + σz are held, and each is weighed by
    p((y − x)/σ)/σᵈ, relative to what it is now. So `fun` may be a sort, a ranking, an assignment, a shortest path. What
    it closes over has the derivatives that f gives it.

    Args:
        fun: f, tree → tree of arrays; integers and booleans among its results become float32.
        num_samples: M, at least 1; all draws are computed at once.
        sigma: σ > 0, unit of x: small is close to f, large has less variance.
        noise: `Gumbel()`, `Normal()`, or anything with their two methods.
        use_baseline: take f(x) from f in derivatives; unbiased as before, and mostly of far less variance.

    Returns:
        A function (key, x) → the estimate of F(x), in at least float32. The same key gives the same draws.

    Raises:
        TypeError, ValueError: if an argument is out of range; when called, if x has leaves that are no real numbers.

    References: Berthet, Blondel, Teboul, Cuturi, Vert, Bach, Learning with differentiable perturbed optimizers, NeurIPS
    2020, arXiv:2002.08676; Foerster et al., DiCE: the infinitely differentiable Monte Carlo estimator, ICML 2018.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> best = lambda x: jax.nn.one_hot(jnp.argmax(x), 3)
    >>> soft = fg.make_perturbed_fun(best, num_samples=10_000, sigma=1.0)
    >>> x, key = jnp.array([0.0, 1.0, 2.0]), jax.random.key(0)
    >>> bool(jnp.allclose(soft(key, x), jax.nn.softmax(x), atol=0.02))
    True
    >>> slope = jax.jacobian(soft, argnums=1)(key, x)
    >>> bool(jnp.allclose(slope, jax.jacobian(jax.nn.softmax)(x), atol=0.05))
    True
    """
    who = "make_perturbed_fun"
    try:
        m = as_count(num_samples)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{who}: `num_samples`: {error}") from error
    if not is_number(sigma) or np.shape(sigma):
        raise TypeError(f"{who}: `sigma` must be a number, got {describe(sigma)}.")
    if not is_traced(sigma) and not 0 < float(sigma) < np.inf:
        raise ValueError(f"{who}: `sigma` must be in (0, inf), got {sigma}.")
    if not (hasattr(noise, "sample") and hasattr(noise, "log_prob")):
        raise TypeError(f"{who}: `noise` must have the methods `sample` and `log_prob`, got {describe(noise)}.")

    def perturbed(key: Any, x: Any) -> Any:
        check_leaves(who, "x", x)
        leaves, structure = jax.tree.flatten(x)
        if any(map(jnp.iscomplexobj, leaves)):
            raise TypeError(f"{who}: `x` must be real.")
        leaves = [jnp.asarray(leaf) for leaf in leaves]
        held = jax.lax.stop_gradient

        def one(key: Any) -> tuple[Any, jax.Array]:
            """f at one draw, and the logarithm of its density less what it is now: 0, with derivatives."""
            drawn, weight = [], jnp.zeros((), numerics.wide_dtype(*(leaf.dtype for leaf in leaves)))
            for i, leaf in enumerate(leaves):
                wide = numerics.widen(leaf)
                scale = jnp.asarray(sigma, wide.dtype)
                z = noise.sample(jax.random.fold_in(key, i), leaf.shape, wide.dtype)
                drawn.append(jnp.asarray(held(wide + scale * z), leaf.dtype))
                back = z * (held(scale) / scale) + (held(wide) - wide) / scale  # (y − x)/σ without its rounding errors
                density = jnp.sum(noise.log_prob(back)) - leaf.size * jnp.log(scale)
                weight += jnp.asarray(density - held(density), weight.dtype)
            return fun(structure.unflatten(drawn)), weight

        results, weights = jax.vmap(one)(jax.random.split(key, m))
        weights = jnp.exp(weights)
        base = fun(jax.tree.map(held, x)) if use_baseline else None

        def mean(results: jax.Array, base: Any = None) -> jax.Array:
            results = numerics.widen(results)
            base = jnp.zeros((), results.dtype) if base is None else numerics.widen(base)
            w = jnp.asarray(weights, results.dtype).reshape(m, *(1,) * (results.ndim - 1))
            return base + jnp.mean(w * (results - base), axis=0)

        return jax.tree.map(mean, results) if base is None else jax.tree.map(mean, results, base)

    return perturbed
