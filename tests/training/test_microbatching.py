"""Functions of batches over micro-batches: the same results in less memory, ragged, masked, differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd import AccumulationType, Accumulator, micro_grad, micro_vmap, microbatch, reshape_batch_axis

MEAN, SUM, RUNNING_MEAN, CONCAT = AccumulationType
X = np.random.default_rng(0).standard_normal((12, 3)).astype(np.float32)


def test_micro_batches_are_strided():
    assert reshape_batch_axis({"a": jnp.arange(6)}, 3)["a"].tolist() == [[0, 2, 4], [1, 3, 5]]
    for axis in (1, -1):
        cut = reshape_batch_axis(jnp.arange(12).reshape(2, 6), 3, axis)
        assert cut.tolist() == [[[0, 2, 4], [1, 3, 5]], [[6, 8, 10], [7, 9, 11]]]
    with pytest.raises(ValueError, match=r"reshape_batch_axis: .* divide .* got 4 and 6"):
        reshape_batch_axis(jnp.arange(6), 4)


@pytest.mark.parametrize(
    ("size", "compiled"), [(1, True), (4, True), (7, True), (5, False), (12, False), (100, True), (None, True)]
)
def test_results_are_those_of_the_whole_batch(size, compiled):
    def parts(x, y):
        return {"sum": jnp.sum(x * y, 0), "mean": (jnp.mean(x), jnp.mean(y)), "rows": (x + y, x[:, 0] > 0)}

    kinds = {"sum": SUM, "mean": (MEAN, RUNNING_MEAN), "rows": CONCAT}
    f = microbatch(parts, (0, 1), size, kinds)
    found, expected = (jax.jit(f) if compiled else f)(X, X[::-1]), parts(X, X[::-1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, expected)
    assert jax.tree.map(jnp.result_type, found) == jax.tree.map(jnp.result_type, expected)


def test_what_one_micro_batch_gives_is_seen_by_its_examples():
    seen = microbatch(lambda x: x.max(), 0, 2, CONCAT)(jnp.array([3, 1, 9, 4, 2, 5, 7]))
    assert seen.tolist() == [4, 2, 9, 7]  # of (3, 4), (1, 2), (9, 5), and 7, which is left over


def test_axes_keywords_and_trees():
    batch = {"x": X.T, "y": np.arange(24.0, dtype=np.float32).reshape(2, 12)}

    def f(scale, batch, *, w, unit):
        return scale * unit * jnp.sum(w * batch["x"].sum(0) * batch["y"][0])

    w = np.linspace(0, 1, 12, dtype=np.float32)
    for size in (4, 5):
        g = microbatch(f, 1, size, argnames="w", in_axes=(-1, 0))
        np.testing.assert_allclose(g(2.0, batch, w=w, unit=0.5), f(2.0, batch, w=w, unit=0.5), rtol=1e-5)


@pytest.mark.parametrize("real", [0, 1, 2, 3])
def test_only_the_first_micro_batches_when_asked(real):
    """Traced: one program for every number of them."""
    x = jnp.arange(1.0, 7.0)  # micro-batches (1, 4), (2, 5), (3, 6)
    calls = []

    def f(x):
        calls.append(1)
        return x, jnp.sum(x), jnp.mean(x), jnp.mean(x)

    @jax.jit
    def run(x, n):
        return microbatch(f, 0, 2, (CONCAT, SUM, MEAN, RUNNING_MEAN), num_real_microbatches=n)(x)

    rows, total, mean, running = run(x, real)
    kept = np.array(x) * (np.arange(6) % 3 < real)
    np.testing.assert_array_equal(rows, kept)
    assert total == kept.sum()
    np.testing.assert_allclose(mean, kept.sum() / 6, rtol=1e-6)
    np.testing.assert_allclose(running, kept.sum() / (2 * real) if real else 0.0, rtol=1e-6)
    traced = len(calls)
    run(x, 3)
    assert len(calls) == traced
    slope = jax.jit(jax.grad(lambda x, n: run(x, n)[1]))(x, real)
    np.testing.assert_array_equal(slope, np.arange(6) % 3 < real)


def test_sums_do_not_stop_where_bfloat16_does():
    """1000 · 0.01: in bfloat16 a sum of them stays at 4."""
    x = jnp.full(1000, 0.01, jnp.bfloat16)
    total = microbatch(jnp.sum, 0, 1)(x)
    assert total.dtype == jnp.bfloat16
    assert abs(float(total) - 10.0) < 0.05
    assert abs(float(micro_vmap(lambda x: x, microbatch_size=1, accumulator=SUM)(x)) - 10.0) < 0.02
    huge = jnp.full(8, 3e4, jnp.float16)
    assert microbatch(jnp.mean, 0, 2, MEAN)(huge) == jnp.float16(3e4)


@pytest.mark.parametrize("size", [3, 5])
def test_derivatives_of_first_and_second_order(size):
    def f(w, x):
        return jnp.sum(jnp.sin(x @ w))

    w = jnp.array([0.1, -0.2, 0.3])
    pieces = microbatch(f, 1, size)
    for derive in (jax.jacfwd, jax.hessian, lambda f: jax.grad(f, 1)):
        np.testing.assert_allclose(derive(pieces)(w, X), derive(f)(w, X), rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("size", [4, 5, None])
def test_micro_vmap_is_vmap(size):
    def f(a, x, y):
        return {"s": a * jnp.sum(x), "v": x * y}

    args = (2.0, X.T, X[:, 0])
    expected = jax.vmap(f, (None, 1, 0))(*args)
    found = micro_vmap(f, (None, 1, 0), microbatch_size=size)(*args)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, expected)
    reduced = micro_vmap(f, (None, 1, 0), microbatch_size=size, accumulator={"s": MEAN, "v": SUM})(*args)
    np.testing.assert_allclose(reduced["s"], np.mean(expected["s"]), rtol=1e-5)
    np.testing.assert_allclose(reduced["v"], np.sum(expected["v"], 0), rtol=1e-5, atol=1e-6)
    by_name = micro_vmap(lambda x, *, y: x * y, microbatch_size=size)(X, y=X)
    np.testing.assert_allclose(by_name, X * X, rtol=1e-6)
    keys = jax.random.split(jax.random.key(0), 12)
    draws = micro_vmap(jax.random.normal, microbatch_size=size)(keys)
    np.testing.assert_array_equal(draws, jax.vmap(jax.random.normal)(keys))


def test_micro_vmap_with_another_vmap():
    seen = []

    def spying(f, in_axes, out_axes):
        seen.append((in_axes, out_axes))
        return jax.vmap(f, in_axes, out_axes)

    micro_vmap(lambda x: x, microbatch_size=4, vmap_fn=spying)(X)
    assert seen


LARGEST = Accumulator(
    init=lambda like: (jnp.full(like.shape, -jnp.inf), jnp.int32(-1)),
    update=lambda c, x, i: (jnp.maximum(c[0], x), jnp.where(jnp.max(x) > jnp.max(c[0]), i, c[1])),
    finalize=lambda c: {"largest": c[0], "in": c[1]},
    aggregate=lambda rows: rows.max(0),
)


def test_an_accumulator_of_ones_own():
    x = jnp.array([3.0, 1.0, 9.0, 4.0, 2.0, 5.0, 7.0])
    found = jax.jit(micro_vmap(lambda x: x, microbatch_size=2, accumulator=LARGEST))(x)
    assert (float(found["largest"]), int(found["in"])) == (9.0, 2)
    found = jax.jit(micro_vmap(lambda x: x, microbatch_size=2, accumulator=LARGEST))(x.at[6].set(20))
    assert (float(found["largest"]), int(found["in"])) == (20.0, 3)


def loss(params, batch, scale=1.0):
    error = batch["x"] @ params["w"] - batch["y"]
    return scale * jnp.mean(error**2), {"error": error}


PARAMS = {"w": jnp.array([0.5, -1.0, 2.0])}
BATCH = {"x": X, "y": X[:, 0]}


@pytest.mark.parametrize("size", [4, 5, None])
def test_micro_grad_transforms_each_and_adds_up(size):
    def clip(g):
        return fg.per_example_global_norm_clip(jax.tree.map(lambda x: x[None], g), 1.0)[0]

    f = micro_grad(loss, True, microbatch_size=size, transform_fn=clip, metrics_fn=fg.tree.norm)
    total, aux = jax.jit(f)(PARAMS, BATCH)
    each = jax.vmap(jax.grad(lambda p, e: (e["x"] @ p["w"] - e["y"]) ** 2), (None, 0))(PARAMS, BATCH)
    expected, longer = fg.per_example_global_norm_clip(each, 1.0)
    assert 0 < longer < 12
    np.testing.assert_allclose(total["w"], expected["w"], rtol=1e-5)
    np.testing.assert_allclose(aux.metrics, jnp.linalg.norm(each["w"], axis=1), rtol=1e-5)
    np.testing.assert_allclose(aux.values, (X @ PARAMS["w"] - X[:, 0]) ** 2, rtol=1e-4, atol=1e-6)
    assert aux.aux["error"].shape == (12, 1)


def test_micro_grad_of_single_examples_and_several_arguments():
    def f(w, b, x, y, scale):
        return scale * (x @ w + b - y) ** 2

    w, b, y = PARAMS["w"], jnp.float32(0.3), X[:, 0]
    options = {"argnums": (0, 1), "batch_argnums": (2, 3), "keep_batch_dim": False, "microbatch_size": 5}
    moments = micro_grad(f, **options, accumulator=MEAN, transform_fn=lambda g: (g, jax.tree.map(jnp.square, g)))
    (grads, squares), aux = moments(w, b, X, y, scale=2.0)
    each = jax.vmap(jax.grad(f, (0, 1)), (None, None, 0, 0, None))(w, b, X, y, 2.0)
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e.mean(0), rtol=1e-5), grads, each)
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, (e**2).mean(0), rtol=1e-5), squares, each)
    assert aux.values.shape == (12,)
    assert aux.metrics is aux.aux is None


def test_examples_of_weight_zero_say_nothing():
    """The loss pads by weights; the gradient of a padded example is 0, whatever it holds."""
    one = fg.mean_loss(lambda p, e: (e["x"] @ p["w"] - e["y"]) ** 2, weights="mask")
    padded = {name: jnp.asarray(x).at[10:].set(jnp.nan) for name, x in BATCH.items()} | {"mask": jnp.arange(12) < 10}
    full = {name: x[:10] for name, x in BATCH.items()} | {"mask": jnp.ones(10, bool)}
    found, aux = micro_grad(one, microbatch_size=4)(PARAMS, padded)
    expected, _ = micro_grad(one, microbatch_size=5)(PARAMS, full)
    np.testing.assert_allclose(found["w"], expected["w"], rtol=1e-5)
    assert aux.values[10:].tolist() == [0.0, 0.0]


def test_gradients_of_examples_in_the_memory_of_a_few():
    """256 gradients of 64 · 64 numbers are 4 MiB; four of them are enough at a time."""
    params, x = jnp.eye(64) / 8, jax.random.normal(jax.random.key(0), (256, 64))

    def temporary_bytes(size):
        f = micro_grad(lambda w, x: jnp.sum(jnp.tanh(x @ w) ** 2), microbatch_size=size, transform_fn=jnp.tanh)
        return jax.jit(lambda w, x: f(w, x)[0]).lower(params, x).compile().memory_analysis().temp_size_in_bytes

    assert temporary_bytes(4) < temporary_bytes(None) / 8


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: microbatch(jnp.sum, 0, 0), ValueError, "microbatch: `microbatch_size`: .*at least 1"),
        (lambda: microbatch(jnp.sum, 0, 2.0), TypeError, "integer"),
        (lambda: microbatch(jnp.sum, (0, 1), 2, in_axes=(0,)), ValueError, "microbatch: `in_axes`"),
        (lambda: microbatch(jnp.sum, (), 2), ValueError, "microbatch: `in_axes`"),
        (lambda: microbatch(jnp.sum, 0, None, num_real_microbatches=1), ValueError, "needs a `microbatch_size`"),
        (lambda: microbatch(jnp.sum, 0, 5, num_real_microbatches=1)(X), ValueError, "must divide .* got 5 and 12"),
        (lambda: microbatch(jnp.sum, 3, 2)(X), TypeError, "argument 3 .* 1 arguments"),
        (lambda: microbatch(jnp.sum, (), 2, argnames="x")(X), TypeError, "argument `x`"),
        (lambda: microbatch(jnp.add, (0, 1), 2)(X, X[:5]), ValueError, "argument 0.* has 12 and .*argument 1.* has 5"),
        (lambda: microbatch(jnp.sum, 0, 2)(3.0), ValueError, "argument 0.* axis 0"),
        (lambda: microbatch(jnp.sum, 0, 2, "SUM")(X), TypeError, "AccumulationType .* got 'SUM'"),
        (lambda: microbatch(lambda x: x.sum(0), 0, 4, CONCAT)(X), ValueError, r"leading axis .* here 4; got .*\(3,\)"),
        (lambda: micro_vmap(jnp.sin, out_axes=1), ValueError, "micro_vmap: `out_axes`"),
        (lambda: micro_vmap(jnp.add, (0,))(X, X), ValueError, "micro_vmap: `in_axes`"),
    ],
)
def test_what_is_wrong_is_said(call, error, words):
    with pytest.raises(error, match=words):
        call()
