"""The largest eigenvalues of a loss's Hessian, and the learning rate that they allow."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from funcgd.calculus.hessian import hessian_operator
from funcgd.core.coordinates import from_vector, to_vector
from funcgd.core.fields import Interval, as_scalar
from funcgd.core.types import Batch, Params
from funcgd.core.validate import check_key
from funcgd.core.values import hold
from funcgd.diagnostics.lanczos import Tridiagonal, lanczos
from funcgd.diagnostics.objective import check_loss, count, trained_objective
from funcgd.training import partition

STEPS = 40  # of Lanczos: the top eigenvalue to some four digits where it stands out, as those of trained networks do


class HessianEigenvalues(NamedTuple):
    """What `fg.hessian_eigenvalues` returns, the largest eigenvalue first.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> loss, c = lambda w, c: c @ w**2, jnp.array([1.0, 2.0, 3.0])
    >>> top = fg.hessian_eigenvalues(loss, jnp.ones(3), c, 2, jax.random.key(0))
    >>> top.values.round(3).tolist(), jnp.abs(top.vectors).round(3).tolist()
    ([6.0, 4.0], [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    """

    values: jax.Array  # (k,), λ₁ ≥ … ≥ λ_k, [loss]/[param]²
    errors: jax.Array  # (k,), ‖Hv − λv‖: an eigenvalue of H lies no farther from λ than that
    vectors: Params  # like what trains of the parameters, with a leading axis k: v, of length 1


def hessian_eigenvalues(
    loss: Callable, params: Params, batch: Batch, k: int, key: jax.Array, *, steps: int | None = None
) -> HessianEigenvalues:
    """The k largest eigenvalues of the Hessian of a loss, and their eigenvectors, without forming it.

        H vᵢ = λᵢ vᵢ,    H = ∇²L(θ)

    By Lanczos with full orthogonalisation: as many Hessian-vector products as steps, in one compiled scan, and memory
    for that many vectors like the parameters. With n steps, for n parameters, all is exact. The largest come first with
    their sign, so the loss turns down along what is negative; for the smallest ones, negate the loss.

    Args:
        loss: `loss(params, batch)` → a real scalar, or a pair of that and anything, as in `fg.fit`.
        params: a pytree; its floating arrays count, complex ones as their real and imaginary parts.
        batch: the data of the loss.
        k: how many, at most n.
        key: of the random direction that Lanczos starts from.
        steps: of Lanczos, from k to n; None is 40 + 2k, at most n. Look at `errors`.

    Raises:
        TypeError, ValueError: if an argument is not as above.

    Reference: Lanczos, see `fg.diagnostics.lanczos`; of networks: Sagun, Bottou, LeCun, Eigenvalues of the Hessian in
    deep learning, arXiv:1611.07476, 2016.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> loss = lambda w, batch: 9 * w["x"] ** 2 + w["y"] ** 2
    >>> params = {"x": jnp.array(1.0), "y": jnp.array(2.0)}
    >>> fg.hessian_eigenvalues(loss, params, None, 2, jax.random.key(0)).values.round(4).tolist()
    [18.0, 2.0]
    """
    who = "hessian_eigenvalues"
    packed, n = prepared(who, loss, params, key)
    k = count(who, "k", k, 1, n)
    steps = min(n, STEPS + 2 * k) if steps is None else count(who, "steps", steps, k, n)
    return _eigenvalues(hold(loss), packed, batch, key, who, k, steps)


def largest_stable_learning_rate(
    loss: Callable, params: Params, batch: Batch, key: jax.Array, *, momentum: float = 0.0, steps: int | None = None
) -> jax.Array:
    """The learning rate above which gradient descent leaves the quadratic that the loss looks like here.

        η = 2(1 + m) / λ_max(∇²L(θ)),   m the momentum;   ∞ where nothing curves up

    Below it, steps along every direction of positive curvature shrink; above, they grow along the steepest one. It is
    the bound for full-batch steps at this point: the best constant rate is less, the noise of small batches asks
    for less too, and curvature changes as training goes on. The momentum is that of `fg.sgd` without `nesterov`.

    Args:
        loss, params, batch, key, steps: see `hessian_eigenvalues`.
        momentum: m in [0, 1).

    Returns:
        (), [param]²/[loss].

    Reference: Polyak, Some methods of speeding up the convergence of iteration methods, USSR Comput. Math. Math. Phys.
    4, 1964; Cohen, Kaur, Li, Kolter, Talwalkar, Gradient descent on neural networks typically occurs at the edge of
    stability, ICLR 2021.

    >>> import funcgd as fg, jax, jax.numpy as jnp
    >>> loss = lambda w, batch: 9 * w[0] ** 2 + w[1] ** 2
    >>> fg.largest_stable_learning_rate(loss, jnp.ones(2), None, jax.random.key(0)).item()  # 1/9
    0.11111
    """
    who = "largest_stable_learning_rate"
    packed, n = prepared(who, loss, params, key)
    m = as_scalar(who, "momentum", momentum, Interval("[0, 1)"), False)
    steps = min(n, STEPS) if steps is None else count(who, "steps", steps, 1, n)
    top = _eigenvalues(hold(loss), packed, batch, key, who, 1, steps).values[0]
    return jnp.where(top > 0, 2 * (1 + m) / jnp.where(top > 0, top, 1), jnp.where(jnp.isnan(top), jnp.nan, jnp.inf))


def prepared(who: str, loss: Any, params: Params, key: Any) -> tuple[Params, int]:
    """The parameters packed, and how many real numbers train."""
    check_loss(who, loss)
    check_key(who, key)
    packed = partition.pack(who, "params", params)
    return packed, jax.eval_shape(to_vector, partition.split(packed)[0]).size


def tridiagonal(who: str, loss: Any, packed: Params, batch: Batch, key: jax.Array, steps: int) -> Tridiagonal:
    """Lanczos with the Hessian of a loss."""
    f, x = trained_objective(who, loss, packed, batch)
    product = hessian_operator(f, x)
    return lanczos(lambda v: to_vector(product(from_vector(v, x))), to_vector(x).size, steps, key)


@functools.partial(jax.jit, static_argnames=("who", "k", "steps"))
def _eigenvalues(
    loss: Any, packed: Params, batch: Batch, key: jax.Array, who: str, k: int, steps: int
) -> HessianEigenvalues:
    found = tridiagonal(who, loss, packed, batch, key, steps)
    values, columns = found.eigh()
    top = columns[:, ::-1][:, :k]
    trained = partition.split(packed)[0]
    vectors = jax.vmap(lambda v: from_vector(v, trained))(jnp.matmul(top.T, found.basis, precision="highest"))
    return HessianEigenvalues(values[::-1][:k], found.left * jnp.abs(top[-1]), vectors)
