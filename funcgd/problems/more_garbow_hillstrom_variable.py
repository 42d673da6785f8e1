"""The residuals of Moré, Garbow and Hillstrom that are defined for any number of variables."""

import jax
import jax.numpy as jnp
import numpy as np

from funcgd.problems.more_garbow_hillstrom_fixed import on_array, one_to


def _times(matrix: np.ndarray, x: jax.Array) -> jax.Array:
    return jnp.matmul(jnp.asarray(matrix, x.dtype), x, precision="highest")


def _grid(n: int) -> np.ndarray:
    """The inner points of [0, 1] in n + 1 equal parts."""
    return np.arange(1, n + 1) / (n + 1)


@on_array
def watson(x: jax.Array) -> jax.Array:
    """20, Kowalik and Osborne 1968: a polynomial that solves a differential equation, ill-conditioned. (n,) → (31,)."""
    n = x.size
    powers = np.vander(np.arange(1, 30) / 29, n, increasing=True)
    slopes = np.pad(powers[:, :-1] * np.arange(1, n), ((0, 0), (1, 0)))
    points = _times(slopes, x) - _times(powers, x) ** 2 - 1
    return jnp.append(points, jnp.stack([x[0], x[1] - x[0] ** 2 - 1]))


@on_array
def extended_rosenbrock(x: jax.Array) -> jax.Array:
    """21, Spedicato 1975: n/2 of Rosenbrock's valleys side by side. (n,) → (n,)."""
    odd, even = x[::2], x[1::2]
    return jnp.append(10 * (even - odd**2), 1 - odd)


@on_array
def extended_powell_singular(x: jax.Array) -> jax.Array:
    """22, Spedicato 1975: n/4 of Powell's singular functions side by side. (n,) → (n,)."""
    x1, x2, x3, x4 = x.reshape(-1, 4).T
    return jnp.concatenate([x1 + 10 * x2, 5**0.5 * (x3 - x4), (x2 - 2 * x3) ** 2, 10**0.5 * (x1 - x4) ** 2])


@on_array
def penalty_1(x: jax.Array) -> jax.Array:
    """23, Gill, Murray and Pitfield 1972: a penalty for leaving a sphere. (n,) → (n + 1,)."""
    return jnp.append(1e-5**0.5 * (x - 1), jnp.sum(x**2) - 0.25)


@on_array
def penalty_2(x: jax.Array) -> jax.Array:
    """24, Gill, Murray and Pitfield 1972: a penalty among exponentials. (n,) → (2n,)."""
    i = one_to(x.size, x)
    e, goal = jnp.exp(x / 10), jnp.exp(i / 10)
    pairs = e[1:] + e[:-1] - goal[1:] - goal[:-1]
    return jnp.concatenate(
        [x[:1] - 0.2, 1e-5**0.5 * pairs, 1e-5**0.5 * (e[1:] - np.exp(-0.1).item()), jnp.sum(i[::-1] * x**2)[None] - 1]
    )


@on_array
def variably_dimensioned(x: jax.Array) -> jax.Array:
    """25: one direction is far steeper than the others. (n,) → (n + 2,)."""
    total = jnp.sum(one_to(x.size, x) * (x - 1))
    return jnp.append(x - 1, jnp.stack([total, total**2]))


@on_array
def trigonometric(x: jax.Array) -> jax.Array:
    """26, Spedicato 1975: every variable is in every residual, with local minima. (n,) → (n,)."""
    return x.size - jnp.sum(jnp.cos(x)) + one_to(x.size, x) * (1 - jnp.cos(x)) - jnp.sin(x)


@on_array
def brown_almost_linear(x: jax.Array) -> jax.Array:
    """27, Brown 1969: all residuals are linear but one, a product. (n,) → (n,)."""
    return jnp.append(x[:-1] + jnp.sum(x) - (x.size + 1), jnp.prod(x) - 1)


@on_array
def discrete_boundary_value(x: jax.Array) -> jax.Array:
    """28, Moré and Cosnard 1979: a boundary value problem on a grid. (n,) → (n,)."""
    h, t, padded = 1 / (x.size + 1), jnp.asarray(_grid(x.size), x.dtype), jnp.pad(x, 1)
    return 2 * x - padded[:-2] - padded[2:] + h**2 * (x + t + 1) ** 3 / 2


@on_array
def discrete_integral_equation(x: jax.Array) -> jax.Array:
    """29, Moré and Cosnard 1979: an integral equation on a grid. (n,) → (n,)."""
    t = _grid(x.size)
    kernel = np.minimum(t[:, None], t) * (1 - np.maximum(t[:, None], t))
    return x + _times(kernel, (x + jnp.asarray(t, x.dtype) + 1) ** 3) / (2 * (x.size + 1))


@on_array
def broyden_tridiagonal(x: jax.Array) -> jax.Array:
    """30, Broyden 1965: each residual has its variable and the two beside it. (n,) → (n,)."""
    padded = jnp.pad(x, 1)
    return (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1


@on_array
def broyden_banded(x: jax.Array) -> jax.Array:
    """31, Broyden 1971: each residual has its variable, five before it and one after. (n,) → (n,)."""
    n = x.size
    band = np.tri(n, k=1) - np.tri(n, k=-6) - np.eye(n)
    return x * (2 + 5 * x**2) + 1 - _times(band, x * (1 + x))


@on_array
def linear_full_rank(x: jax.Array) -> jax.Array:
    """32: linear residuals. (n,) → (2n,)."""
    return jnp.append(x, jnp.zeros_like(x)) - jnp.sum(x) / x.size - 1


@on_array
def linear_rank_1(x: jax.Array) -> jax.Array:
    """33: linear residuals of one combination of the variables, so minima are a hyperplane. (n,) → (2n,)."""
    return one_to(2 * x.size, x) * jnp.sum(one_to(x.size, x) * x) - 1


@on_array
def linear_rank_1_zeros(x: jax.Array) -> jax.Array:
    """34: the same without the first and the last variable and residual. (n,) → (2n,)."""
    n = x.size
    rows = jnp.pad(jnp.arange(1, 2 * n - 1, dtype=x.dtype), 1)
    return rows * jnp.sum(one_to(n, x)[1:-1] * x[1:-1]) - 1


@on_array
def chebyquad(x: jax.Array) -> jax.Array:
    """35, Fletcher 1965: the points of Chebyshev's quadrature. (n,) → (n,)."""
    n, y = x.size, 2 * x - 1
    before, polynomial, rows = jnp.ones_like(x), y, []
    for i in range(1, n + 1):
        integral = 0.0 if i % 2 else -1 / (i**2 - 1)  # of Tᵢ(2x − 1) from 0 to 1
        rows.append(jnp.sum(polynomial) / n - integral)
        before, polynomial = polynomial, 2 * y * polynomial - before
    return jnp.stack(rows)
