"""How the eigenvalues of a loss's Hessian are spread, by stochastic Lanczos quadrature."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.core.fields import Interval, as_scalar
from funcgd.core.types import Batch, Params
from funcgd.core.values import hold
from funcgd.diagnostics.hessian_eigenvalues import prepared, tridiagonal
from funcgd.diagnostics.objective import count


class SpectralDensity(NamedTuple):
    """What `fg.spectral_density` returns: a curve, and the points with weights that it was smoothed from.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> found = fg.spectral_density(lambda w, _: w @ w, jnp.ones(3), None, jax.random.key(0), probes=2)
    >>> found.nodes.shape, found.weights.sum(axis=1).round(4).tolist()
    ((2, 3), [1.0, 1.0])
    """

    eigenvalues: jax.Array  # (points,), t, ascending, [loss]/[param]²
    density: jax.Array  # (points,), φ(t): its integral is 1
    nodes: jax.Array  # (probes, steps), eigenvalues of each probe's tridiagonal matrix
    weights: jax.Array  # (probes, steps), ≥ 0, those of a probe add up to 1


def spectral_density(
    loss: Callable,
    params: Params,
    batch: Batch,
    key: jax.Array,
    *,
    steps: int | None = None,
    probes: int = 4,
    points: int = 256,
    width: float = 0.01,
) -> SpectralDensity:
    """The density of all eigenvalues of the Hessian of a loss, without forming it, smoothed by Gaussians.

        φ(t) = 1/n Σᵢ N(t; λᵢ, σ²)  ≈  1/p Σⱼ Σₖ τⱼₖ² N(t; θⱼₖ, σ²)

    Each of p random probes v gives m steps of Lanczos. The eigenvalues θ of its tridiagonal matrix and the squares τ²
    of the first entries of its eigenvectors are the quadrature of vᵀ N(t; H, σ²) v, whose mean over v is the trace.
    Networks show many eigenvalues next to 0 and a few far out.

    Args:
        loss, params, batch: see `hessian_eigenvalues`.
        key: of the probes.
        steps: m, of Lanczos for each probe, at most n; None is 80, or n.
        probes: p; the error falls with √(np).
        points: of the curve.
        width: σ as a share of the range of the eigenvalues.

    Raises:
        TypeError, ValueError: if an argument is not as above.

    Reference: Golub, Meurant, Matrices, moments and quadrature, 1993; Ghorbani, Krishnan, Xiao, An investigation into
    neural net optimization via Hessian eigenvalue density, ICML 2019.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> loss = lambda w, batch: 2 * w[0] ** 2 + w[1] ** 2  # eigenvalues 4 and 2
    >>> found = fg.spectral_density(loss, jnp.ones(2), None, jax.random.key(0), probes=8)
    >>> round(float(jnp.trapezoid(found.density, found.eigenvalues)), 2)
    1.0
    """
    who = "spectral_density"
    packed, n = prepared(who, loss, params, key)
    steps = min(n, 80) if steps is None else count(who, "steps", steps, 1, n)
    probes, points = count(who, "probes", probes), count(who, "points", points, 2)
    width = as_scalar(who, "width", width, Interval("(0, 1]"), False)
    return _density(hold(loss), packed, batch, key, width, who, steps, probes, points)


@functools.partial(jax.jit, static_argnames=("who", "steps", "probes", "points"))
def _density(
    loss: Any, packed: Params, batch: Batch, key: jax.Array, width: Any, who: str, steps: int, probes: int, points: int
) -> SpectralDensity:
    def quadrature(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        nodes, columns = tridiagonal(who, loss, packed, batch, key, steps).eigh()
        return nodes, columns[0] ** 2

    nodes, weights = jax.lax.map(quadrature, jax.random.split(key, probes))  # one after the other: the memory of one
    low, high = jnp.min(nodes), jnp.max(nodes)
    size = jnp.maximum(high - low, jnp.asarray(1e-3, nodes.dtype) * jnp.maximum(jnp.abs(low), jnp.abs(high)))
    sigma = jnp.asarray(width, nodes.dtype) * jnp.where(size > 0, size, 1)
    t = jnp.linspace(low - 5 * sigma, high + 5 * sigma, points, dtype=nodes.dtype)

    def bumps(t: jax.Array) -> jax.Array:
        return jnp.sum(weights * jax.scipy.stats.norm.pdf(t, nodes, sigma)) / probes

    return SpectralDensity(t, jax.lax.map(bumps, t), nodes, weights)
