"""The residuals of Moré, Garbow and Hillstrom whose number of variables is fixed."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

_BARD = (0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39)
_GAUSSIAN = (0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989)
_MEYER = (34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872)
_KOWALIK = (0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246)
_KOWALIK_AT = (4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625)
_OSBORNE_1 = (
    *(0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603),
    *(0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411),
    0.406,
)
_OSBORNE_2 = (
    *(1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616, 0.606),
    *(0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423),
    *(0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668),
    *(0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098),
    0.054,
)


def on_array(r: Callable[[jax.Array], jax.Array]) -> Callable[[Any], jax.Array]:
    """The residuals r, also of lists and NumPy arrays."""

    @functools.wraps(r)
    def residuals(x: Any) -> jax.Array:
        return r(jnp.asarray(x))

    return residuals


def one_to(m: int, x: jax.Array) -> jax.Array:
    """1, …, m in the dtype of x."""
    return jnp.arange(1, m + 1, dtype=x.dtype)


@on_array
def rosenbrock(x: jax.Array) -> jax.Array:
    """1, Rosenbrock 1960: a curved valley. (2,) → (2,)."""
    x1, x2 = x
    return jnp.stack([10 * (x2 - x1**2), 1 - x1])


@on_array
def freudenstein_roth(x: jax.Array) -> jax.Array:
    """2, Freudenstein and Roth 1963: cubics, with a local minimum beside the global one. (2,) → (2,)."""
    x1, x2 = x
    return jnp.stack([x1 - 13 + ((5 - x2) * x2 - 2) * x2, x1 - 29 + ((x2 + 1) * x2 - 14) * x2])


@on_array
def powell_badly_scaled(x: jax.Array) -> jax.Array:
    """3, Powell 1970: the two variables of the minimum differ by six orders of magnitude. (2,) → (2,)."""
    x1, x2 = x
    return jnp.stack([1e4 * x1 * x2 - 1, jnp.exp(-x1) + jnp.exp(-x2) - 1.0001])


@on_array
def brown_badly_scaled(x: jax.Array) -> jax.Array:
    """4, Brown: the two variables of the minimum differ by twelve orders of magnitude. (2,) → (3,)."""
    x1, x2 = x
    return jnp.stack([x1 - 1e6, x2 - 2e-6, x1 * x2 - 2])


@on_array
def beale(x: jax.Array) -> jax.Array:
    """5, Beale 1958: products with powers. (2,) → (3,)."""
    x1, x2 = x
    return jnp.asarray((1.5, 2.25, 2.625), x.dtype) - x1 * (1 - jnp.stack([x2, x2**2, x2**3]))


@on_array
def jennrich_sampson(x: jax.Array) -> jax.Array:
    """6, Jennrich and Sampson 1968: exponentials, whose residuals stay large. (2,) → (10,)."""
    i = one_to(10, x)
    return 2 + 2 * i - jnp.exp(i * x[0]) - jnp.exp(i * x[1])


@on_array
def helical_valley(x: jax.Array) -> jax.Array:
    """7, Fletcher and Powell 1963: a valley along a helix. (3,) → (3,)."""
    x1, x2, x3 = x
    right = x1 >= 0
    sign = jnp.where(right, 1, -1).astype(x.dtype)
    turns = jnp.arctan2(sign * x2, sign * x1) / (2 * jnp.pi) + jnp.where(right, 0, 0.5).astype(x.dtype)
    return jnp.stack([10 * (x3 - 10 * turns), 10 * (jnp.sqrt(x1**2 + x2**2) - 1), x3])


@on_array
def bard(x: jax.Array) -> jax.Array:
    """8, Bard 1970: a rational curve through 15 points. (3,) → (15,)."""
    u = one_to(15, x)
    v = 16 - u
    return jnp.asarray(_BARD, x.dtype) - (x[0] + u / (v * x[1] + jnp.minimum(u, v) * x[2]))


@on_array
def gaussian(x: jax.Array) -> jax.Array:
    """9: a normal density through 15 points. (3,) → (15,)."""
    x1, x2, x3 = x
    t = (8 - one_to(15, x)) / 2
    return x1 * jnp.exp(-x2 * (t - x3) ** 2 / 2) - jnp.asarray(_GAUSSIAN + _GAUSSIAN[-2::-1], x.dtype)


@on_array
def meyer(x: jax.Array) -> jax.Array:
    """10, Meyer 1970: a thermistor's resistance at 16 temperatures, very ill-conditioned. (3,) → (16,)."""
    t = 45 + 5 * one_to(16, x)
    return x[0] * jnp.exp(x[1] / (t + x[2])) - jnp.asarray(_MEYER, x.dtype)


@on_array
def gulf(x: jax.Array) -> jax.Array:
    """11, Gulf research and development, Cox 1969: exponentials of powers. (3,) → (99,)."""
    x1, x2, x3 = x
    t = one_to(99, x) / 100
    y = 25 + (-50 * jnp.log(t)) ** (2 / 3)
    return jnp.exp(-(jnp.abs(y - x2) ** x3) / x1) - t


@on_array
def box(x: jax.Array) -> jax.Array:
    """12, Box 1966: sums of exponentials, with a line of minima besides. (3,) → (10,)."""
    x1, x2, x3 = x
    t = one_to(10, x) / 10
    return jnp.exp(-t * x1) - jnp.exp(-t * x2) - x3 * (jnp.exp(-t) - jnp.exp(-10 * t))


@on_array
def powell_singular(x: jax.Array) -> jax.Array:
    """13, Powell 1962: the Hessian is singular at the minimum. (4,) → (4,)."""
    x1, x2, x3, x4 = x
    return jnp.stack([x1 + 10 * x2, 5**0.5 * (x3 - x4), (x2 - 2 * x3) ** 2, 10**0.5 * (x1 - x4) ** 2])


@on_array
def wood(x: jax.Array) -> jax.Array:
    """14, Wood, by Colville 1968: two valleys, coupled. (4,) → (6,)."""
    x1, x2, x3, x4 = x
    sides = [10 * (x2 - x1**2), 1 - x1, 90**0.5 * (x4 - x3**2), 1 - x3]
    return jnp.stack([*sides, 10**0.5 * (x2 + x4 - 2), (x2 - x4) / 10**0.5])


@on_array
def kowalik_osborne(x: jax.Array) -> jax.Array:
    """15, Kowalik and Osborne 1968: an enzyme's reaction, a rational curve through 11 points. (4,) → (11,)."""
    x1, x2, x3, x4 = x
    u = jnp.asarray(_KOWALIK_AT, x.dtype)
    return jnp.asarray(_KOWALIK, x.dtype) - x1 * (u**2 + u * x2) / (u**2 + u * x3 + x4)


@on_array
def brown_dennis(x: jax.Array) -> jax.Array:
    """16, Brown and Dennis 1971: residuals that stay large. (4,) → (20,)."""
    x1, x2, x3, x4 = x
    t = one_to(20, x) / 5
    return (x1 + t * x2 - jnp.exp(t)) ** 2 + (x3 + x4 * jnp.sin(t) - jnp.cos(t)) ** 2


@on_array
def osborne_1(x: jax.Array) -> jax.Array:
    """17, Osborne 1972: two exponentials and a constant through 33 points. (5,) → (33,)."""
    x1, x2, x3, x4, x5 = x
    t = 10 * (one_to(33, x) - 1)
    return jnp.asarray(_OSBORNE_1, x.dtype) - (x1 + x2 * jnp.exp(-t * x4) + x3 * jnp.exp(-t * x5))


@on_array
def biggs(x: jax.Array) -> jax.Array:
    """18, Biggs 1971: sums of exponentials with their weights. (6,) → (13,)."""
    x1, x2, x3, x4, x5, x6 = x
    t = one_to(13, x) / 10
    y = jnp.exp(-t) - 5 * jnp.exp(-10 * t) + 3 * jnp.exp(-4 * t)
    return x3 * jnp.exp(-t * x1) - x4 * jnp.exp(-t * x2) + x6 * jnp.exp(-t * x5) - y


@on_array
def osborne_2(x: jax.Array) -> jax.Array:
    """19, Osborne 1972: an exponential and three bells through 65 points. (11,) → (65,)."""
    t = (one_to(65, x) - 1) / 10
    bells = jnp.sum(x[1:4] * jnp.exp(-((t[:, None] - x[8:]) ** 2) * x[5:8]), 1)
    return jnp.asarray(_OSBORNE_2, x.dtype) - (x[0] * jnp.exp(-t * x[4]) + bells)
