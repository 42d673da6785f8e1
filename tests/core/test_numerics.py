"""Safe numerics against closed forms in float64 and at the ends of the range of floats."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from funcgd.core import numerics
from funcgd.core.tree import norm

MAX = float(np.finfo(np.float32).max)


# --- dtypes ---


@pytest.mark.parametrize(
    ("dtypes", "wide"),
    [
        ((), np.float32),
        (("float16",), np.float32),
        (("bfloat16", "float32"), np.float32),
        (("complex64",), np.float32),
        (("float32", "float64"), np.float64),
        (("complex128",), np.float64),
        (("int32",), np.float32),
        (("int64", "float16"), np.float32),
    ],
)
def test_wide_dtype(dtypes, wide):
    assert numerics.wide_dtype(*map(jnp.dtype, dtypes)) == wide


@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        (jnp.ones(2, jnp.bfloat16), jnp.float32),
        (jnp.ones(2, jnp.float16), jnp.float32),
        (jnp.ones(2), jnp.float32),
        (jnp.ones(2, jnp.complex64), jnp.complex64),
        (jnp.arange(2), jnp.float32),
        (1.5, jnp.float32),
        (np.float16(1.5), jnp.float32),
        (3, jnp.float32),
    ],
    ids=str,
)
def test_widen(x, dtype):
    wide = numerics.widen(x)
    assert wide.dtype == dtype
    np.testing.assert_array_equal(wide, x)


def test_widen_does_not_copy_what_is_wide_enough():
    x = jnp.ones(2)
    assert numerics.widen(x) is x


def test_widen_in_double_precision(x64):
    assert numerics.widen(jnp.ones(2, jnp.float32)).dtype == jnp.float32
    assert numerics.widen(jnp.ones(2, jnp.float32), jnp.float64).dtype == jnp.float64
    assert numerics.widen(jnp.ones(2, jnp.complex64), jnp.float64).dtype == jnp.complex128
    assert numerics.widen(jnp.ones(2)).dtype == jnp.float64


# --- norm ---


def test_norm_of_three_and_four_is_exactly_five():
    for scale in (1.0, 2.0**-60, 2.0**60, 2.0**-120, 2.0**120):
        assert norm([jnp.float32(3 * scale), jnp.float32(4 * scale)]) == np.float32(5 * scale)


def test_norm_is_the_plain_formula_where_that_is_in_range():
    plain = jax.jit(lambda x: jnp.sqrt(jnp.sum(x * x)))  # compiled too, so that it adds in the same order
    for seed in range(20):
        key = jax.random.key(seed)
        x = jax.random.normal(key, (17,)) * 10.0 ** float(jax.random.uniform(key, (), minval=-11, maxval=12))
        assert norm(x) == plain(x), seed


@pytest.mark.parametrize("size", [1e30, 3e38, 1e-30, 5e-38, 1e19, 1e-19])
def test_norm_at_the_ends_of_the_range(size):
    x = np.array([size, -size / 2, 0], np.float32)
    np.testing.assert_allclose(norm({"a": jnp.asarray(x)}), np.linalg.norm(x.astype(np.float64)), rtol=3e-7)


def test_norm_overflows_only_where_the_result_does():
    assert norm(jnp.full(4, 1e38)) == np.float32(2e38)
    assert norm(jnp.full(4, 3e38)) == np.inf


def test_norm_of_many_half_precision_entries():
    """The squares of 300 overflow float16 and their sum, 1.1e11, overflows it too."""
    x = jnp.full((300, 4096), 300.0, jnp.float16)
    assert norm(x).dtype == jnp.float32
    np.testing.assert_allclose(norm(x), 300 * math.sqrt(300 * 4096), rtol=1e-6)


def test_norm_of_small_half_precision_entries():
    smallest = float(np.finfo(np.float16).smallest_subnormal)  # its square is far below the range of float16
    np.testing.assert_allclose(norm(jnp.full(4, smallest, jnp.float16)), 2 * smallest, rtol=1e-6)


def test_norm_of_subnormal_numbers_is_accurate_or_flushed_to_zero():
    """Processors may treat subnormal numbers as zero; nothing else may come out."""
    n = float(norm(jnp.full(4, 1e-40, jnp.float32)))
    assert n == 0 or abs(n / 2e-40 - 1) < 1e-4
    assert norm(jnp.array([1.0, 1e-40])) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_norm_of_what_is_not_finite(bad):
    n = norm([jnp.array([1.0, bad]), jnp.ones(2)])
    assert np.isnan(n) if np.isnan(bad) else n == np.inf
    assert np.isnan(norm(jnp.array([np.nan, np.inf])))


@pytest.mark.parametrize(
    "nothing", [{}, (), None, jnp.zeros((0, 4)), {"a": None, "b": jnp.zeros(0)}, [jnp.zeros(0, jnp.bfloat16)]], ids=str
)
def test_norm_of_nothing_is_zero(nothing):
    assert norm(nothing) == 0
    assert norm(nothing).dtype == jnp.float32
    assert norm(nothing).shape == ()


def test_norm_skips_empty_leaves_and_takes_scalars_and_complex_numbers():
    tree = {"a": jnp.zeros((0, 4)), "b": jnp.float32(2), "c": jnp.array([1 + 2j]), "d": None, "e": jnp.full(3, 4.0)}
    assert norm(tree) == np.float32(math.sqrt(4 + 5 + 48))
    assert norm(tree).dtype == jnp.float32
    np.testing.assert_allclose(norm(jnp.array([3e30 + 4e30j])), 5e30, rtol=2e-7)
    assert norm(jnp.array([0j])) == 0


def test_norm_of_mixed_precisions(x64):
    tree = (jnp.full(1, 3e200), jnp.full(1, 2.0, jnp.float32), jnp.full(1, 4e200))
    assert norm(tree).dtype == jnp.float64
    np.testing.assert_allclose(norm(tree), 5e200, rtol=1e-15)
    np.testing.assert_allclose(norm(jnp.full(4, 1e-200)), 2e-200, rtol=1e-15)


def test_gradient_of_the_norm():
    assert jax.grad(norm)(jnp.zeros(3)).tolist() == [0, 0, 0]
    np.testing.assert_allclose(jax.grad(norm)(jnp.array([3.0, 4.0])), [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(jax.grad(norm)(jnp.array([3e30, 4e30])), [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(jax.grad(norm)(jnp.array([3e-30, 4e-30])), [0.6, 0.8], rtol=1e-6)
    gradient = jax.grad(norm)((jnp.zeros(0), jnp.zeros(()), jnp.full(1, 2.0)))
    assert [g.tolist() for g in gradient] == [[], 0, [1]]


def test_norm_under_jit_and_vmap():
    x = jnp.array([[3.0, 4.0], [0, 0], [3e30, 4e30], [np.inf, 1]])
    np.testing.assert_allclose(jax.jit(jax.vmap(norm))(x), [5, 0, 5e30, np.inf], rtol=2e-7)


def test_split_norm_has_a_power_of_two_and_a_moderate_rest():
    for size in (1e30, 1e-30, 1.0, 3e38, 2e-38, 0.0):
        scale, r = numerics.split_norm([jnp.full(5, size)])
        assert math.frexp(float(scale))[0] == 0.5
        assert r == 0 if size == 0 else 1e-18 <= r <= 1e18
        np.testing.assert_allclose(float(scale) * float(r), size * math.sqrt(5), rtol=1e-6)


# --- division and roots ---


def derivative(f, x):
    """The derivative of f at each entry of x."""
    return jax.vmap(jax.grad(f))(jnp.asarray(x, jnp.float32))


def test_divide():
    x, y = jnp.array([6.0, 0, 1, -1, np.inf]), jnp.array([3.0, 0, 0, -0.0, 0])
    assert numerics.divide(x, y).tolist() == [2, 0, 0, 0, 0]
    assert np.isnan(numerics.divide(jnp.float32(np.nan), jnp.float32(2)))
    assert np.isnan(numerics.divide(jnp.float32(1), jnp.float32(np.nan)))
    assert numerics.divide(jnp.float32(1), 0.0) == 0
    assert numerics.divide(jnp.float32(1), 4.0) == 0.25
    assert numerics.divide(jnp.array(2 + 4j), 2.0) == 1 + 2j
    assert numerics.divide(jnp.array(2 + 4j), 0.0) == 0


def test_derivatives_of_divide():
    by = jnp.array([2.0, 0.0])
    assert jax.vmap(jax.grad(numerics.divide, argnums=0))(jnp.ones(2), by).tolist() == [0.5, 0]
    assert jax.vmap(jax.grad(numerics.divide, argnums=1))(jnp.ones(2), by).tolist() == [-0.25, 0]
    assert jax.vmap(jax.grad(numerics.divide, argnums=1))(jnp.zeros(2), by).tolist() == [0, 0]


def test_sqrt_and_its_derivative():
    x = [0.0, 4.0, 1e-30, 1e30, np.inf]
    np.testing.assert_allclose(numerics.sqrt(jnp.array(x)), np.sqrt(x), rtol=1e-6)
    assert numerics.sqrt(jnp.float32(0)) == 0
    assert numerics.sqrt(jnp.array([-0.0])).tolist() == [0]
    assert np.isnan(numerics.sqrt(jnp.array([-1.0, np.nan]))).all()
    assert derivative(numerics.sqrt, [0, 4]).tolist() == [0, 0.25]


def test_root_is_a_divisor():
    np.testing.assert_allclose(numerics.root(jnp.array([4, 1e-30, 1e30])), [2, 1e-15, 1e15], rtol=1e-6)
    assert 0 < numerics.root(jnp.array(0.0)) < 1e-18
    assert np.isnan(numerics.root(jnp.array(np.nan)))
    assert derivative(numerics.root, [0, 4]).tolist() == [0, 0.25]


def test_square():
    assert numerics.square(jnp.array([-3.0, 0])).tolist() == [9, 0]
    assert numerics.square(jnp.array([3 + 4j])).tolist() == [25]
    assert numerics.square(jnp.array([3 + 4j])).dtype == jnp.float32
    assert derivative(numerics.square, [-3, 0, 3]).tolist() == [-6, 0, 6]
    assert np.isnan(numerics.square(jnp.array([np.nan, complex(np.nan, 0)]))).all()


def test_saturate_leaves_room_for_squares():
    """Sixteen times the largest square is still finite, so that sums with room to spare exist."""
    huge = numerics.saturate(jnp.array([1e19, 1e30, MAX, -MAX]))
    np.testing.assert_allclose(huge**2, MAX / 16, rtol=1e-6)
    assert np.sign(huge).tolist() == [1, 1, 1, -1]
    assert np.isfinite(numerics.square(numerics.saturate(jnp.array([MAX + MAX * 1j])))).all()
    within = jnp.array([1e18, -1e-30, 0.0, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(numerics.saturate(within), within)


# --- averages ---


def test_ema_at_the_ends_of_decay():
    a, x = jnp.array([1.0, -2.0]), jnp.array([5.0, 7.0])
    assert numerics.ema(a, x, 0.0).tolist() == [5, 7]
    assert numerics.ema(a, x, 0.5).tolist() == [3, 2.5]
    assert numerics.ema(a, x, jnp.float32(0.5)).tolist() == [3, 2.5]
    assert numerics.ema(a, a, 0.9).tolist() == a.tolist()  # a constant stays


def test_ema_with_a_decay_next_to_one():
    """float32 rounds 1 − 1e-7 to 1 − 1.19e-7; formed from the Python float, the rate keeps its digits."""
    rate = 1e-7
    average = numerics.ema(jnp.zeros(()), jnp.float32(3), 1 - rate)
    np.testing.assert_allclose(average, 3 * rate, rtol=1e-6)
    decay = np.float32(1 - rate)
    traced = jax.jit(numerics.ema)(jnp.zeros(()), jnp.float32(3), decay)
    np.testing.assert_allclose(traced, 3 * (1 - float(decay)), rtol=1e-6)


@pytest.mark.parametrize("decay", [0.999, 1 - 1e-6])
def test_ema_shrinks_by_the_decay_and_not_by_its_rounding(decay):
    """float32 rounds these decays by 1.3e-8. Over many averages rounding of the result cancels; that bias does not."""
    averages = np.random.default_rng(0).uniform(1, 2, 2**14).astype(np.float32)
    shrunk = np.asarray(numerics.ema(jnp.asarray(averages), jnp.zeros(()), decay), np.float64)
    assert abs(np.mean(shrunk / averages) - decay) < 3e-9


DECAYS = [0.0, 1e-3, 0.3, 0.5, 0.9, 0.999, 1 - 1e-6, 1 - 1e-7]
COUNTS = [1, 2, 10, 10**4, 10**6, 2**24 + 1, 2**31 - 1]


def correction_oracle(rate, t):
    """1 − (1 − rate)ᵗ in float64."""
    return 1.0 if rate == 1 else -math.expm1(t * math.log1p(-rate))


@pytest.mark.parametrize("decay", DECAYS)
def test_bias_correction_of_a_python_float(decay):
    counts = jnp.array(COUNTS, jnp.int32)
    found = jax.vmap(lambda t: numerics.bias_correction(decay, t))(counts)
    np.testing.assert_allclose(found, [correction_oracle(1 - decay, t) for t in COUNTS], rtol=1e-6)


def test_bias_correction_of_a_traced_decay():
    """Compared with the oracle at the decay that float32 can hold."""
    decays = np.array(DECAYS, np.float32)
    over_counts = jax.vmap(numerics.bias_correction, in_axes=(None, 0))
    found = jax.jit(jax.vmap(over_counts, in_axes=(0, None)))(decays, jnp.array(COUNTS, jnp.int32))
    expected = [[correction_oracle(1 - float(d), t) for t in COUNTS] for d in decays]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_bias_correction_in_double_precision(x64):
    for decay in (0.3, 0.9, 1 - 1e-12):
        for t in (1, 1000):
            np.testing.assert_allclose(numerics.bias_correction(decay, t), correction_oracle(1 - decay, t), rtol=1e-14)


def test_bias_correction_of_one_step_is_the_rate():
    for decay in (0.9, 0.999, 1 - 1e-7):
        np.testing.assert_allclose(numerics.bias_correction(decay, jnp.int32(1)), 1 - decay, rtol=1e-7)
    assert numerics.bias_correction(0.0, jnp.int32(1)) == 1


def test_derivative_of_bias_correction():
    """d(1 − βᵗ)/dβ = −t βᵗ⁻¹, finite also at 0."""
    betas, counts = [0.0, 0.3, 0.5, 0.9, 0.999], [1, 2, 10]
    slope = jax.grad(numerics.bias_correction)
    found = jax.vmap(jax.vmap(slope, in_axes=(None, 0)), in_axes=(0, None))(jnp.array(betas), jnp.array(counts))
    expected = [[-t * float(np.float32(b)) ** (t - 1) for t in counts] for b in betas]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    huge = jax.grad(numerics.bias_correction)(jnp.float32(0.9), jnp.int32(2**31 - 1))
    assert huge == 0


def test_increment_saturates():
    assert [int(numerics.increment(jnp.int32(n))) for n in (0, 5, 2**31 - 2, 2**31 - 1)] == [1, 6, 2**31 - 1, 2**31 - 1]
    assert numerics.increment(jnp.int32(0)).dtype == jnp.int32
    assert not numerics.increment(jnp.int32(0)).weak_type
