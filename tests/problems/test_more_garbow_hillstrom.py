"""The 35 problems of Moré, Garbow and Hillstrom, against their paper, MINPACK's printed norms, and loops in NumPy."""

from math import atan, cos, exp, log, pi, prod, sin, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.core.numerics import float64_mode
from funcgd.problems import more_garbow_hillstrom

Y8 = [14, 18, 22, 25, 29, 32, 35, 39, 37, 58, 73, 96, 134, 210, 439]
Y9 = [9, 44, 175, 540, 1295, 2420, 3521, 3989, 3521, 2420, 1295, 540, 175, 44, 9]
Y10 = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]
Y15 = [1957, 1947, 1735, 1600, 844, 627, 456, 342, 323, 235, 246]
U15 = [4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]
Y17 = [844, 908, 932, 936, 925, 908, 881, 850, 818, 784, 751, 718, 685, 658, 628, 603, 580]
Y17 += [558, 538, 522, 506, 490, 478, 467, 457, 448, 438, 431, 424, 420, 414, 411, 406]
Y19 = [1366, 1191, 1112, 1013, 991, 885, 831, 847, 786, 725, 746, 679, 608, 655, 616, 606, 602, 626, 651, 724, 649]
Y19 += [649, 694, 644, 624, 661, 612, 558, 533, 495, 500, 423, 395, 375, 372, 391, 396, 405, 428, 429, 523, 562, 607]
Y19 += [653, 672, 708, 633, 668, 645, 632, 591, 559, 597, 625, 739, 710, 729, 720, 636, 581, 428, 292, 162, 98, 54]


def between(m):
    return range(1, m + 1)


def turn(a, b):
    return atan(b / a) / (2 * pi) + (0.5 if a < 0 else 0)


def watson(n, x):
    for i in between(29):
        t = i / 29
        slope = sum((j - 1) * x[j] * t ** (j - 2) for j in range(2, n + 1))
        yield slope - sum(x[j] * t ** (j - 1) for j in between(n)) ** 2 - 1
    yield from (x[1], x[2] - x[1] ** 2 - 1)


def penalty_2(n, x):
    a = sqrt(1e-5)
    yield x[1] - 0.2
    for i in range(2, n + 1):
        yield a * (exp(x[i] / 10) + exp(x[i - 1] / 10) - exp(i / 10) - exp((i - 1) / 10))
    for i in range(n + 1, 2 * n):
        yield a * (exp(x[i - n + 1] / 10) - exp(-1 / 10))
    yield sum((n - j + 1) * x[j] ** 2 for j in between(n)) - 1


def boundary(n, x, i):
    h = 1 / (n + 1)
    return 2 * x[i] - x.get(i - 1, 0) - x.get(i + 1, 0) + h**2 * (x[i] + i * h + 1) ** 3 / 2


def integral(n, x, i):
    h = 1 / (n + 1)
    left = sum(j * h * (x[j] + j * h + 1) ** 3 for j in between(i))
    right = sum((1 - j * h) * (x[j] + j * h + 1) ** 3 for j in range(i + 1, n + 1))
    return x[i] + h * ((1 - i * h) * left + i * h * right) / 2


def banded(n, x, i):
    near = sum(x[j] * (1 + x[j]) for j in range(max(1, i - 5), min(n, i + 1) + 1) if j != i)
    return x[i] * (2 + 5 * x[i] ** 2) + 1 - near


def zero_rank(n, x, i):
    inner = sum(j * x[j] for j in range(2, n))
    return -1 if i in (1, 2 * n) else (i - 1) * inner - 1


def chebyshev(n, x, i):
    """T_i(2x − 1) = cos(i arccos(2x − 1)) for x in [0, 1]."""
    mean = sum(float(np.cos(i * np.arccos(2 * x[j] - 1))) for j in between(n)) / n
    return mean - (0 if i % 2 else -1 / (i**2 - 1))


def wood(x):
    ends = [sqrt(10) * (x[2] + x[4] - 2), (x[2] - x[4]) / sqrt(10)]
    return [10 * (x[2] - x[1] ** 2), 1 - x[1], sqrt(90) * (x[4] - x[3] ** 2), 1 - x[3], *ends]


def powell(a, b, c, d):
    return [a + 10 * b, sqrt(5) * (c - d), (b - 2 * c) ** 2, sqrt(10) * (a - d) ** 2]


def biggs(x, t):
    y = exp(-t) - 5 * exp(-10 * t) + 3 * exp(-4 * t)
    return x[3] * exp(-t * x[1]) - x[4] * exp(-t * x[2]) + x[6] * exp(-t * x[5]) - y


def osborne_2(x, t, y):
    bells = sum(x[k] * exp(-((t - x[k + 7]) ** 2) * x[k + 4]) for k in (2, 3, 4))
    return y - (x[1] * exp(-t * x[5]) + bells)


# number: the residuals as the paper writes them, one by one; x counts from 1
FORMULAS = {
    1: lambda n, x: [10 * (x[2] - x[1] ** 2), 1 - x[1]],
    2: lambda n, x: [
        -13 + x[1] + ((5 - x[2]) * x[2] - 2) * x[2],
        -29 + x[1] + ((x[2] + 1) * x[2] - 14) * x[2],
    ],
    3: lambda n, x: [1e4 * x[1] * x[2] - 1, exp(-x[1]) + exp(-x[2]) - 1.0001],
    4: lambda n, x: [x[1] - 1e6, x[2] - 2e-6, x[1] * x[2] - 2],
    5: lambda n, x: [y - x[1] * (1 - x[2] ** i) for i, y in ((1, 1.5), (2, 2.25), (3, 2.625))],
    6: lambda n, x: [2 + 2 * i - (exp(i * x[1]) + exp(i * x[2])) for i in between(10)],
    7: lambda n, x: [10 * (x[3] - 10 * turn(x[1], x[2])), 10 * (sqrt(x[1] ** 2 + x[2] ** 2) - 1), x[3]],
    8: lambda n, x: [Y8[i - 1] / 100 - (x[1] + i / ((16 - i) * x[2] + min(i, 16 - i) * x[3])) for i in between(15)],
    9: lambda n, x: [x[1] * exp(-x[2] * ((8 - i) / 2 - x[3]) ** 2 / 2) - Y9[i - 1] / 10000 for i in between(15)],
    10: lambda n, x: [x[1] * exp(x[2] / (45 + 5 * i + x[3])) - Y10[i - 1] for i in between(16)],
    11: lambda n, x: [
        exp(-(abs(25 + (-50 * log(i / 100)) ** (2 / 3) - x[2]) ** x[3]) / x[1]) - i / 100 for i in between(99)
    ],
    12: lambda n, x: [exp(-i / 10 * x[1]) - exp(-i / 10 * x[2]) - x[3] * (exp(-i / 10) - exp(-i)) for i in between(10)],
    13: lambda n, x: powell(*x.values()),
    14: lambda n, x: wood(x),
    15: lambda n, x: [
        y / 10000 - x[1] * (u**2 + u * x[2]) / (u**2 + u * x[3] + x[4]) for y, u in zip(Y15, U15, strict=True)
    ],
    16: lambda n, x: [
        (x[1] + i / 5 * x[2] - exp(i / 5)) ** 2 + (x[3] + x[4] * sin(i / 5) - cos(i / 5)) ** 2 for i in between(20)
    ],
    17: lambda n, x: [
        y / 1000 - (x[1] + x[2] * exp(-10 * i * x[4]) + x[3] * exp(-10 * i * x[5])) for i, y in enumerate(Y17)
    ],
    18: lambda n, x: [biggs(x, i / 10) for i in between(13)],
    19: lambda n, x: [osborne_2(x, i / 10, y / 1000) for i, y in enumerate(Y19)],
    20: watson,
    21: lambda n, x: [r for i in range(1, n, 2) for r in (10 * (x[i + 1] - x[i] ** 2), 1 - x[i])],
    22: lambda n, x: [r for i in range(1, n, 4) for r in powell(x[i], x[i + 1], x[i + 2], x[i + 3])],
    23: lambda n, x: [*(sqrt(1e-5) * (x[i] - 1) for i in x), sum(a**2 for a in x.values()) - 1 / 4],
    24: penalty_2,
    25: lambda n, x: [*(x[i] - 1 for i in x), *(sum(j * (x[j] - 1) for j in x) ** k for k in (1, 2))],
    26: lambda n, x: [n - sum(cos(x[j]) for j in x) + i * (1 - cos(x[i])) - sin(x[i]) for i in x],
    27: lambda n, x: [*(x[i] + sum(x.values()) - (n + 1) for i in between(n - 1)), prod(x.values()) - 1],
    28: lambda n, x: [boundary(n, x, i) for i in x],
    29: lambda n, x: [integral(n, x, i) for i in x],
    30: lambda n, x: [(3 - 2 * x[i]) * x[i] - x.get(i - 1, 0) - 2 * x.get(i + 1, 0) + 1 for i in x],
    31: lambda n, x: [banded(n, x, i) for i in x],
    32: lambda n, x: [(x[i] if i <= n else 0) - 2 / (2 * n) * sum(x.values()) - 1 for i in between(2 * n)],
    33: lambda n, x: [i * sum(j * x[j] for j in x) - 1 for i in between(2 * n)],
    34: lambda n, x: [zero_rank(n, x, i) for i in between(2 * n)],
    35: lambda n, x: [chebyshev(n, x, i) for i in between(n)],
}

# (number, n): ‖r(x₀)‖ as the test programs of MINPACK print it
NORMS = {
    (1, 2): 4.9193496,
    (2, 2): 20.012496,
    (3, 2): 1.0654866,
    (6, 2): 64.585650,
    (7, 3): 50.0,
    (8, 3): 6.4561363,
    (10, 3): 41153.467,
    (12, 3): 32.111584,
    (13, 4): 14.662878,
    (15, 4): 0.072891510,
    (16, 4): 2815.4384,
    (17, 5): 0.93756402,
    (19, 11): 1.4468654,
    (20, 6): 5.4772256,
    (20, 9): 5.4772256,
    (26, 10): 0.084117534,
    (27, 10): 16.530216,
    (27, 30): 83.476044,
    (28, 10): 0.028080582,
    (29, 10): 0.25182701,
    (29, 1): 0.12792969,
    (30, 10): 4.5825757,
    (31, 10): 18.973666,
    (32, 5): 5.0,
    (33, 5): 291.52187,
    (34, 5): 126.03968,
    (35, 8): 0.19651386,
    (35, 9): 0.16994993,
    (35, 10): 0.18374783,
}

# (number, n): (a minimum other than 0 in the digits of the paper, a point near it, in those of MINPACK or of a survey)
MINIMA = {
    (2, 2): (48.9842, [11.412484, -0.89682791]),
    (6, 2): (124.362, [0.2578, 0.2578]),
    (8, 3): (8.21487e-3, [0.082410577, 1.1330367, 2.3436946]),
    (9, 3): (1.12793e-8, [0.4, 1, 0]),
    (10, 3): (87.9458, [5.6096365e-3, 6181.3463, 345.22363]),
    (15, 4): (3.07505e-4, [0.19280781, 0.19126265, 0.12305280, 0.13605322]),
    (16, 4): (85822.2, [-11.591245, 13.202486, -0.40357490, 0.23673619]),
    (17, 5): (5.46489e-5, [0.37541005, 1.9358465, -1.4646868, 0.012867534, 0.022122701]),
    (18, 6): (5.65565e-3, [1.711416, 17.6831982, 1.16314366, 5.18656154, 1.711416, 1.16314366]),
    (19, 11): (
        4.01377e-2,
        [
            1.3099766,
            0.43155248,
            0.63366126,
            0.59942856,
            0.75417977,
            0.90430008,
            1.3657995,
            4.8237320,
            2.3986848,
            4.5688755,
            5.6753421,
        ],
    ),
    (20, 6): (2.28767e-3, [-0.015724962, 1.0124349, -0.23299172, 1.2604310, -1.5137303, 0.99299727]),
    (20, 9): (
        1.39976e-6,
        [-1.5307064e-5, 0.99978970, 0.014763963, 0.14634233, 1.0008211, -2.6177311, 4.1044031, -3.1436123, 1.0526264],
    ),
    (20, 12): (
        4.72238e-10,
        [
            -6.6380605e-9,
            1.0000016,
            -5.6393221e-4,
            0.34782054,
            -0.15673150,
            1.0528152,
            -3.2472712,
            7.2884349,
            -10.271848,
            9.0741136,
            -4.5413755,
            1.0120119,
        ],
    ),
    (23, 4): (2.24997e-5, [0.25] * 4),
    (23, 10): (7.08765e-5, [0.158] * 10),
    (24, 4): (9.37629e-6, [0.2, 0.1913, 0.4801, 0.5188]),
    (24, 10): (2.93660e-4, [0.2, 0.0104, 0.0196, 0.0321, 0.0499, 0.0765, 0.1186, 0.1921, 0.3473, 0.3692]),
    (26, 10): (
        2.79506e-5,
        [
            0.055261544,
            0.056957555,
            0.058890667,
            0.061136063,
            0.063778558,
            0.067004825,
            0.20794103,
            0.16426711,
            0.086439479,
            0.091335063,
        ],
    ),
    (35, 8): (3.51687e-3, [0.043153665, 0.19309164, 0.26632859, 0.5, 0.5, 0.73367141, 0.80690836, 0.95684634]),
    (35, 10): (
        6.50395e-3,
        [
            0.059620267,
            0.16670878,
            0.23917102,
            0.39888529,
            0.39888367,
            0.60111633,
            0.60111471,
            0.76082898,
            0.83329122,
            0.94037973,
        ],
    ),
}


ALL = [more_garbow_hillstrom(i) for i in range(1, 36)]
ROOTS = {  # equations whose root the paper does not print, and a point near it
    **{(i, 10): more_garbow_hillstrom(i).x0 for i in (28, 29, 30, 31)},
    (35, 9): [0.0442053, 0.1994907, 0.2356191, 0.4160469, 0.5, 0.5839531, 0.7643809, 0.8005093, 0.9557947],
}


def together(functions, points, on=True):
    """Each function at its points, all in one compiled program."""
    with float64_mode(on):
        points = [jnp.asarray(np.array(x), None if on else jnp.float32) for x in points]
        found = jax.jit(lambda points: [f(x) for f, x in zip(functions, points, strict=True)])(points)
        return jax.tree.map(np.asarray, found)


@pytest.fixture(scope="module")
def compared():
    """number: (two points, the residuals there, those at the first one in float32)."""
    points = {}
    for p in ALL:
        away = 0.2 * (np.abs(p.x0) + 0.1) * np.random.default_rng(p.number).standard_normal(p.dimension)
        points[p.number] = np.array([p.x0, np.clip(p.x0 + away, 0.01, 0.99) if p.name == "chebyquad" else p.x0 + away])
    exact = together([jax.vmap(p.residuals) for p in ALL], points.values())
    single = together([p.residuals for p in ALL], [x[0] for x in points.values()], on=False)
    return dict(zip(points, zip(points.values(), exact, single, strict=True), strict=True))


@pytest.mark.parametrize("number", range(1, 36))
def test_residuals_are_those_of_the_paper(compared, number):
    points, found, single = compared[number]
    n = points.shape[1]
    for x, r in zip(points, found, strict=True):
        expected = np.array(list(FORMULAS[number](n, dict(zip(between(n), x.tolist(), strict=True)))))
        assert len(expected) == len(r) >= n
        if number in (21, 22):  # the same residuals in another order
            r, expected = np.sort(r), np.sort(expected)
        np.testing.assert_allclose(r, expected, rtol=1e-12, atol=1e-13 * max(1, np.abs(expected).max()))
    assert (single.dtype, found.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(single, found[0], rtol=1e-3, atol=2e-4 * max(1, np.abs(found[0]).max()))


def test_norms_at_the_start():
    problems = [more_garbow_hillstrom(*which) for which in NORMS]
    values = together([p.fun for p in problems], [p.x0 for p in problems])
    np.testing.assert_allclose(np.sqrt(values), list(NORMS.values()), rtol=1e-7)


def test_minimizers():
    known = [p for p in ALL if len(p.minimizers)]
    assert len(known) == 20
    points = [np.concatenate([p.minimizers, p.x0[None]]) for p in known]
    for p, (values, gradients) in zip(
        known, together([jax.vmap(jax.value_and_grad(p.fun)) for p in known], points), strict=True
    ):
        np.testing.assert_allclose(values[:-1], p.minimum, rtol=1e-12, atol=1e-15, err_msg=p.name)
        assert np.abs(gradients[:-1]).max() <= 1e-11 * (1 + np.abs(gradients[-1]).max()), p.name
        assert values[-1] > p.minimum


def test_published_minima():
    """Newton's method from near the published minimisers: with the pseudo-inverse, as some Hessians are singular."""
    problems = [more_garbow_hillstrom(*which) for which in MINIMA]
    points = [np.array(near, float) for _, near in MINIMA.values()]

    def expand(fun):
        return lambda x: (*jax.value_and_grad(fun)(x), jax.hessian(fun)(x))

    with float64_mode():
        program = jax.jit(lambda points: [expand(p.fun)(x) for p, x in zip(problems, points, strict=True)])
        for _ in range(6):
            found = jax.tree.map(np.asarray, program(points))
            scales = [1 / np.sqrt(np.diag(hessian)) for _, _, hessian in found]
            steps = [
                d * np.linalg.lstsq(d * hessian * d[:, None], d * slope, rcond=1e-13)[0]
                for d, (_, slope, hessian) in zip(scales, found, strict=True)
            ]
            points = [x - step for x, step in zip(points, steps, strict=True)]
        found = jax.tree.map(np.asarray, program(points))
    for p, d, (value, slope, _), (published, _) in zip(problems, scales, found, MINIMA.values(), strict=True):
        assert abs(value - published) < 1e-5 * published, p.name  # the paper cuts digits off
        np.testing.assert_allclose(d * slope, 0, atol=1e-5 * np.sqrt(value) + 1e-9, err_msg=p.name)
        assert min(abs(value - known) for known in (p.minimum, *p.local_minima)) < 1e-6 * value, p.name


def test_roots():
    problems, points = [more_garbow_hillstrom(*which) for which in ROOTS], list(ROOTS.values())

    @jax.jit
    def program(points):
        return [(p.residuals(x), jax.jacfwd(p.residuals)(x)) for p, x in zip(problems, points, strict=True)]

    for _ in range(8):
        with float64_mode():
            found = jax.tree.map(np.asarray, program([jnp.asarray(x) for x in map(np.array, points)]))
        points = [x - np.linalg.solve(slopes, r) for x, (r, slopes) in zip(points, found, strict=True)]
    np.testing.assert_allclose([np.sum(r**2) for r, _ in found], 0, atol=1e-28)
    assert all(p.minimum == 0 for p in problems)


@pytest.mark.parametrize("number", [7, 11, 19])
def test_gradients(number):
    problem = more_garbow_hillstrom(number)
    assert fg.check_gradient(problem.fun, problem.x0 + 0.01, order=4).worst_error < 1e-6


def test_what_is_not_known_is_nan_and_equal_functions_share_programs():
    assert np.isnan(more_garbow_hillstrom(20, 7).minimum)
    assert not len(more_garbow_hillstrom(20, 7).minimizers)
    first, second = more_garbow_hillstrom(21, 4), more_garbow_hillstrom(21, 6)
    assert first.fun == second.fun
    assert hash(first.fun) == hash(second.fun)
    assert more_garbow_hillstrom(22, 8).dimension == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), r"more_garbow_hillstrom: `number`: expected at least 1, got 0"),
        ((36,), r"more_garbow_hillstrom: `number` must be in 1 … 35, got 36"),
        (("bard",), r"more_garbow_hillstrom: `number`: expected an integer, got 'bard'"),
        ((8, 4), r"more_garbow_hillstrom: `dimension` of problem 8 \(bard\) must be 3, got 4"),
        ((20, 32), r"`dimension` of problem 20 \(watson\) must be at least 2 to 31, got 32"),
        ((22, 6), r"`dimension` of problem 22 \(.*\) must be at least 4, a multiple of 4, got 6"),
        ((25, 0), r"more_garbow_hillstrom: `dimension`: expected at least 1, got 0"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        more_garbow_hillstrom(*arguments)


def test_a_minimizer_that_is_not_known():
    with pytest.raises(ValueError, match=r"Problem: `minimizers` of bard are not known"):
        _ = more_garbow_hillstrom(8).minimizer
