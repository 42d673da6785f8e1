"""The leaky sum, against its recurrence in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

STEPS = 20
GRADS = np.random.default_rng(0).normal(size=(STEPS, 3)).astype(np.float32)


def run(tx, grads):
    """All updates, and the last state."""

    def body(state, g):
        updates, state = tx.update({"w": g}, state)
        return state, updates["w"]

    state, updates = jax.lax.scan(body, tx.init({"w": grads[0]}), jnp.asarray(grads))
    return updates, state


def oracle(grads, decays, nesterov):
    """v ← βv + g; u = v, or u = g + βv looking ahead."""
    v, updates = np.zeros_like(grads[0], np.float64), []
    for g, beta in zip(grads.astype(np.float64), decays, strict=True):
        v = beta * v + g
        updates.append(g + beta * v if nesterov else v)
    return np.array(updates), v


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_both_forms(decay, nesterov):
    updates, state = run(fg.trace(decay, nesterov), GRADS)
    expected, v = oracle(GRADS, [decay] * STEPS, nesterov)
    np.testing.assert_allclose(updates, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state.trace["w"], v, rtol=1e-5, atol=1e-6)
    assert state.count is None


@pytest.mark.parametrize("nesterov", [False, True])
def test_scheduled_decay_starts_with_the_schedule_at_zero(nesterov):
    updates, state = run(fg.trace(lambda step: 1 - 1 / (2 + step.astype(jnp.float32)), nesterov), GRADS)
    expected, _ = oracle(GRADS, [1 - 1 / (2 + t) for t in range(STEPS)], nesterov)
    np.testing.assert_allclose(updates, expected, rtol=1e-5, atol=1e-6)
    assert state.count == STEPS


def test_a_constant_gradient_adds_up():
    """To g/(1 − β)."""
    updates, _ = run(fg.trace(0.5), np.full((STEPS, 1), 3.0, np.float32))
    np.testing.assert_allclose(updates[-1], 6, rtol=1e-5)
    updates, _ = run(fg.trace(0.5, nesterov=True), np.full((STEPS, 1), 3.0, np.float32))
    np.testing.assert_allclose(updates[-1], 6, rtol=1e-5)


def test_complex_gradients():
    grads = (GRADS + 1j * GRADS[:, ::-1]).astype(np.complex64)
    updates, state = run(fg.trace(0.9), grads)
    expected, _ = oracle(grads.real, [0.9] * STEPS, False)
    imaginary, _ = oracle(grads.imag, [0.9] * STEPS, False)
    np.testing.assert_allclose(updates, expected + 1j * imaginary, rtol=1e-5, atol=1e-5)
    assert state.trace["w"].dtype == jnp.complex64


@pytest.mark.parametrize(
    ("params_dtype", "accumulator_dtype", "stored"),
    [
        ("float32", None, "float32"),
        ("bfloat16", None, "float32"),
        ("float16", None, "float32"),
        ("float32", "bfloat16", "bfloat16"),
        ("float32", jnp.float16, "float16"),
        ("bfloat16", jnp.bfloat16, "bfloat16"),
        ("complex64", "bfloat16", "complex64"),
    ],
)
def test_where_the_sum_is_stored(params_dtype, accumulator_dtype, stored):
    tx = fg.trace(0.9, accumulator_dtype=accumulator_dtype)
    params = {"w": jnp.ones(2, params_dtype)}
    state = tx.init(params)
    updates, new = tx.update(params, state)
    assert state.trace["w"].dtype == new.trace["w"].dtype == stored
    assert state.trace["w"].tolist() == [0, 0]
    assert updates["w"].dtype == ("complex64" if params_dtype == "complex64" else "float32")


def test_double_sums(x64):
    assert fg.trace(0.9).init(jnp.ones(2)).trace.dtype == jnp.float64
    assert fg.trace(0.9, accumulator_dtype="float32").init(jnp.ones(2)).trace.dtype == jnp.float32


def test_a_bfloat16_sum_is_rounded_when_stored_and_not_before():
    """1 + 2⁻⁹ is no bfloat16."""
    tx = fg.trace(0.5, accumulator_dtype="bfloat16")
    updates, state = tx.update(jnp.float32(2**-9), fg.TraceState(jnp.bfloat16(2)))
    assert updates == 1 + 2**-9
    assert float(state.trace) == 1


def test_a_float32_sum_of_bfloat16_gradients_does_not_stall():
    """In bfloat16 the sum 0.99·v + 1 would stop at half of its limit 100, where its spacing exceeds the increment."""
    updates, _ = run(fg.trace(0.99), np.ones((600, 1), jnp.bfloat16))
    np.testing.assert_allclose(updates[-1], 100 * (1 - 0.99**600), rtol=1e-4)


def test_the_name_of_the_dtype_is_code():
    assert repr(fg.trace(0.9, accumulator_dtype=jnp.bfloat16)) == "trace(decay=0.9, accumulator_dtype='bfloat16')"
    assert fg.trace(0.9, accumulator_dtype=jnp.bfloat16) == fg.trace(0.9, accumulator_dtype="bfloat16")


def test_refuses():
    with pytest.raises(ValueError, match=r"^trace: `decay` must be in \[0, 1\), got 1\.0\.$"):
        fg.trace(1)
    with pytest.raises(TypeError, match=r"^trace: `accumulator_dtype`: expected a floating dtype, got .*int32"):
        fg.trace(0.9, accumulator_dtype=jnp.int32)
    with pytest.raises(TypeError, match=r"^trace: `accumulator_dtype`: "):
        fg.trace(0.9, accumulator_dtype="nothing")


def test_derivative_with_respect_to_the_decay_at_zero_gradients():
    gradient = jax.grad(lambda tx: run(tx, np.zeros((3, 2), np.float32))[0].sum())(fg.trace(0.0, nesterov=True))
    assert gradient == fg.trace(0.0, nesterov=True)


def test_population_of_decays():
    updates, _ = jax.vmap(lambda tx: run(tx, GRADS))(fg.grid(fg.trace, decay=[0.0, 0.9]))
    for found, decay in zip(updates, (0.0, 0.9), strict=True):
        np.testing.assert_allclose(found, oracle(GRADS, [decay] * STEPS, False)[0], rtol=1e-5, atol=1e-6)
