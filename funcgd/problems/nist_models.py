"""The models of NIST's nonlinear regressions, as their files state them: b, x → y. In its order, easy ones first."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax.numpy import exp


def _saturation(b: Any, x: Any) -> Any:
    return b[0] * (1 - exp(-b[1] * x))


def _chwirut(b: Any, x: Any) -> Any:
    return exp(-b[0] * x) / (b[1] + b[2] * x)


def _lanczos(b: Any, x: Any) -> Any:
    return b[0] * exp(-b[1] * x) + b[2] * exp(-b[3] * x) + b[4] * exp(-b[5] * x)


def _gauss(b: Any, x: Any) -> Any:
    return (
        b[0] * exp(-b[1] * x) + b[2] * exp(-((x - b[3]) ** 2) / b[4] ** 2) + b[5] * exp(-((x - b[6]) ** 2) / b[7] ** 2)
    )


def _danwood(b: Any, x: Any) -> Any:
    return b[0] * x ** b[1]


def _misra1b(b: Any, x: Any) -> Any:
    return b[0] * (1 - (1 + b[1] * x / 2) ** -2)


def _kirby2(b: Any, x: Any) -> Any:
    return (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2)


def _cubic(b: Any, x: Any) -> Any:
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def _nelson(b: Any, x: Any) -> Any:  # of log y
    return b[0] - b[1] * x[:, 0] * exp(-b[2] * x[:, 1])


def _mgh17(b: Any, x: Any) -> Any:
    return b[0] + b[1] * exp(-x * b[3]) + b[2] * exp(-x * b[4])


def _misra1c(b: Any, x: Any) -> Any:
    return b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5)


def _misra1d(b: Any, x: Any) -> Any:
    return b[0] * b[1] * x / (1 + b[1] * x)


def _roszman1(b: Any, x: Any) -> Any:
    return b[0] - b[1] * x - jnp.arctan(b[2] / (x - b[3])) / jnp.pi


def _enso(b: Any, x: Any) -> Any:
    turn = 2 * jnp.pi * x
    year = b[1] * jnp.cos(turn / 12) + b[2] * jnp.sin(turn / 12)
    first = b[4] * jnp.cos(turn / b[3]) + b[5] * jnp.sin(turn / b[3])
    second = b[7] * jnp.cos(turn / b[6]) + b[8] * jnp.sin(turn / b[6])
    return b[0] + year + first + second


def _mgh09(b: Any, x: Any) -> Any:
    return b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3])


def _rat42(b: Any, x: Any) -> Any:
    return b[0] / (1 + exp(b[1] - b[2] * x))


def _mgh10(b: Any, x: Any) -> Any:
    return b[0] * exp(b[1] / (x + b[2]))


def _eckerle4(b: Any, x: Any) -> Any:
    return b[0] / b[1] * exp(-(((x - b[2]) / b[1]) ** 2) / 2)


def _rat43(b: Any, x: Any) -> Any:
    return b[0] / (1 + exp(b[1] - b[2] * x)) ** (1 / b[3])


def _bennett5(b: Any, x: Any) -> Any:
    return b[0] * (b[1] + x) ** (-1 / b[2])


MODELS: dict[str, Callable[[Any, Any], Any]] = {
    "Misra1a": _saturation,
    "Chwirut2": _chwirut,
    "Chwirut1": _chwirut,
    "Lanczos3": _lanczos,
    "Gauss1": _gauss,
    "Gauss2": _gauss,
    "DanWood": _danwood,
    "Misra1b": _misra1b,
    "Kirby2": _kirby2,
    "Hahn1": _cubic,
    "Nelson": _nelson,
    "MGH17": _mgh17,
    "Lanczos1": _lanczos,
    "Lanczos2": _lanczos,
    "Gauss3": _gauss,
    "Misra1c": _misra1c,
    "Misra1d": _misra1d,
    "Roszman1": _roszman1,
    "ENSO": _enso,
    "MGH09": _mgh09,
    "Thurber": _cubic,
    "BoxBOD": _saturation,
    "Rat42": _rat42,
    "MGH10": _mgh10,
    "Eckerle4": _eckerle4,
    "Rat43": _rat43,
    "Bennett5": _bennett5,
}
