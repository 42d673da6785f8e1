"""Cross-entropies against float64 NumPy, their gradients, their extremes, masks and errors."""

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import funcgd as fg
from funcgd.losses import (
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)

INF = np.inf
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4)).astype(np.float32) * 3
CLASSES = np.array([0, 1, 2, 3, 0, 2])
ONE_HOT = np.eye(4, dtype=np.float32)[CLASSES]
SOFT = RNG.dirichlet(np.ones(4), size=6).astype(np.float32)

softmax_loss, integer_loss = jax.jit(softmax_cross_entropy), jax.jit(softmax_cross_entropy_with_integer_labels)
sigmoid_loss = jax.jit(sigmoid_binary_cross_entropy)
softmax_slope = jax.jit(jax.grad(lambda a, y: softmax_cross_entropy(a, y).sum(), argnums=(0, 1)))
integer_slope = jax.jit(jax.grad(lambda a, y: softmax_cross_entropy_with_integer_labels(a, y).sum()))
sigmoid_slope = jax.jit(jax.grad(lambda a, y: sigmoid_binary_cross_entropy(a, y).sum(), argnums=(0, 1)))


def softmax(a):
    e = np.exp(np.float64(a) - np.max(a, axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def entropy(a, y):
    """−Σ y log ŷ, of finite logits."""
    a, top = np.float64(a), np.max(a, axis=-1, keepdims=True)
    return (y * (np.log(np.exp(a - top).sum(-1, keepdims=True)) - (a - top))).sum(-1)


# --- softmax ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [ONE_HOT, SOFT], ids=["one-hot", "soft"])
def test_softmax_formula_and_gradient(labels):
    np.testing.assert_allclose(softmax_loss(LOGITS, labels), entropy(LOGITS, labels), rtol=1e-5)
    by_logits, by_labels = softmax_slope(LOGITS, labels)
    np.testing.assert_allclose(by_logits, softmax(LOGITS) - labels, atol=1e-6)
    np.testing.assert_allclose(by_labels, -np.log(softmax(LOGITS)), rtol=1e-5)


def test_integer_labels_are_one_hot_labels():
    np.testing.assert_allclose(integer_loss(LOGITS, CLASSES), softmax_loss(LOGITS, ONE_HOT), rtol=1e-6)
    np.testing.assert_allclose(integer_slope(LOGITS, CLASSES), softmax(LOGITS) - ONE_HOT, atol=1e-6)
    for dtype in (np.uint8, np.int16, np.uint32):
        np.testing.assert_array_equal(integer_loss(LOGITS, CLASSES.astype(dtype)), integer_loss(LOGITS, CLASSES))


def test_four_equal_logits_cost_log_4():
    assert float(softmax_cross_entropy(np.zeros(4), np.full(4, 0.25))) == pytest.approx(np.log(4))
    assert integer_slope(np.zeros((6, 4), np.float32), CLASSES)[1].tolist() == [0.25, -0.75, 0.25, 0.25]


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.float32, (6, 4), elements=st.floats(-1e4, 1e4, width=32)),
    hnp.arrays(np.int32, 6, elements=st.integers(0, 3)),
)
def test_softmax_over_the_whole_range(logits, classes):
    """To relative precision, also where the loss is tiny or huge; ties included."""
    labels = np.eye(4, dtype=np.float32)[classes]
    top = logits.max(-1, keepdims=True)
    first = logits.argmax(-1)[:, None]
    others = np.where(np.arange(4) == first, 0, np.exp(np.float64(logits) - top)).sum(-1)
    expected = np.log1p(others) + (top[:, 0] - np.float64(logits)[np.arange(6), classes])
    for loss in (softmax_loss(logits, labels), integer_loss(logits, classes)):
        np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-37)
    slope = softmax_slope(logits, labels)[0]
    np.testing.assert_allclose(slope, softmax(logits) - labels, atol=1e-6)
    np.testing.assert_allclose(slope.sum(-1), 0, atol=1e-6)
    np.testing.assert_allclose(integer_slope(logits, classes), slope, atol=1e-6)


def test_an_almost_certain_class_keeps_its_digits():
    logits, label = np.resize(np.float32([40, 0, 0, 0]), (6, 4)), np.zeros(6, int)
    tiny = 3 * np.exp(-40.0)
    np.testing.assert_allclose(integer_loss(logits, label), tiny, rtol=1e-5)
    np.testing.assert_allclose(integer_slope(logits, label)[0], np.array([-3, 1, 1, 1]) * np.exp(-40.0), rtol=1e-5)


EXTREME = [  # logits, labels, loss
    ([1e4, -1e4, 0, 0], [1, 0, 0, 0], 0),
    ([1e4, -1e4, 0, 0], [0, 1, 0, 0], 2e4),
    ([0, -INF, 0, 0], [1, 0, 0, 0], np.log(3)),
    ([0, -INF, -INF, -INF], [1, 0, 0, 0], 0),
    ([0, -INF, 0, 0], [0, 1, 0, 0], INF),
    ([INF, 0, 0, 0], [1, 0, 0, 0], 0),
    ([INF, 0, -INF, 0], [0, 1, 0, 0], INF),
    ([-INF, 0, 0, -INF], [0, 0.5, 0.5, 0], np.log(2)),
    ([3e38, -3e38, 0, 0], [1, 0, 0, 0], 0),
    ([-INF] * 4, [1, 0, 0, 0], np.nan),
]


def test_softmax_at_its_extremes():
    logits, labels, expected = (np.float32([row[i] for row in EXTREME]) for i in range(3))
    np.testing.assert_allclose(softmax_loss(logits, labels), expected, rtol=1e-6)
    hard = np.all((labels == 0) | (labels == 1), axis=-1)
    np.testing.assert_allclose(integer_loss(logits, labels.argmax(-1))[hard], expected[hard], rtol=1e-6)
    by_logits, by_labels = softmax_slope(logits, labels)
    defined = ~np.isnan(expected)
    assert np.all(np.isfinite(by_logits[defined]))
    assert np.all(np.isfinite(by_labels[np.isfinite(expected)]))
    np.testing.assert_allclose(by_logits[2], [1 / 3 - 1, 0, 1 / 3, 1 / 3], rtol=1e-6)


def test_a_nan_logit_is_not_hidden():
    logits = LOGITS.copy()
    logits[1, 2] = np.nan
    for loss in (softmax_loss(logits, ONE_HOT), integer_loss(logits, CLASSES)):
        assert np.isnan(loss).tolist() == [False, True, False, False, False, False]
    assert np.isnan(softmax_cross_entropy(np.full(1, np.nan), np.ones(1)))


def test_low_precision_is_computed_in_float32():
    logits, labels = jnp.asarray(LOGITS, jnp.float16), jnp.asarray(SOFT, jnp.bfloat16)
    wide = np.float32(logits), np.float32(labels)
    for loss in (softmax_loss, sigmoid_loss):
        assert loss(logits, labels).dtype == jnp.float32
        np.testing.assert_allclose(loss(logits, labels), loss(*wide), rtol=1e-6)
    assert integer_loss(logits, CLASSES).dtype == jnp.float32
    assert integer_slope(logits, CLASSES).dtype == jnp.float16


def test_labels_of_any_kind():
    expected = softmax_cross_entropy(LOGITS, ONE_HOT)
    for labels in (ONE_HOT.astype(bool), ONE_HOT.astype(np.int8), ONE_HOT.tolist()):
        np.testing.assert_array_equal(softmax_cross_entropy(LOGITS, labels), expected)


@pytest.mark.parametrize(
    "logits", [[0.3, -1.0, 2.0, 0.5], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 1.0], [40.0, 0.0, 1.0, -3.0]]
)
def test_second_derivatives(logits, x64):
    """diag ŷ − ŷŷᵀ where logits are equal, and with all digits where the right class is almost certain."""
    y_hat = np.exp(np.array(logits) - max(logits))
    y_hat /= y_hat.sum()
    expected = np.diag(y_hat) - np.outer(y_hat, y_hat)
    sums = np.array([y_hat[np.arange(4) != j].sum() for j in range(4)])
    np.fill_diagonal(expected, y_hat * sums)  # ŷ(1 − ŷ)
    for label in range(4):
        one_hot = np.eye(4)[label]
        for loss in (
            lambda a, label=label: fg.softmax_cross_entropy_with_integer_labels(a, label),
            lambda a, one_hot=one_hot: fg.softmax_cross_entropy(a, one_hot),
        ):
            found = jax.hessian(loss)(jnp.array(logits))
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-30 if label == np.argmax(logits) else 1e-16)


@pytest.mark.parametrize(
    "loss",
    [
        lambda a: fg.softmax_cross_entropy_with_integer_labels(a, jnp.argmin(a, -1)),
        lambda a: fg.softmax_cross_entropy(a, jnp.cos(a) ** 2),
        lambda a: fg.poly_loss_cross_entropy(a, jnp.cos(a) ** 2),
        lambda a: fg.kl_divergence(a, jnp.cos(a) ** 2),
        lambda a: fg.ranking_softmax_loss(a, jnp.cos(a) ** 2),
        lambda a: fg.cosine_similarity(a, jnp.cos(a)),
        lambda a: fg.smooth_labels(jnp.cos(a) ** 2, 0.1),
    ],
)
def test_programs_hold_no_constants_as_large_as_the_logits(loss):
    """A language model has a billion logits: a mask of them in the program would be folded, copied and read."""
    consts = jax.make_jaxpr(loss)(jnp.zeros((50, 70))).consts
    assert sum(np.size(c) for c in consts) < 50


def test_axes():
    logits, labels = LOGITS.reshape(3, 2, 2, 2), SOFT.reshape(3, 2, 2, 2)
    expected = entropy(LOGITS, SOFT).reshape(3, 2)
    loss = jax.jit(softmax_cross_entropy, static_argnames="axis")
    np.testing.assert_allclose(loss(logits, labels, axis=(2, -1)), expected, rtol=1e-5)
    np.testing.assert_allclose(loss(LOGITS.T, SOFT.T, axis=0), expected.ravel(), rtol=1e-5)
    np.testing.assert_allclose(loss(LOGITS, SOFT / 6, axis=None), entropy(LOGITS.ravel(), SOFT.ravel() / 6), rtol=1e-5)
    chosen = entropy(LOGITS, ONE_HOT)
    integer = jax.jit(softmax_cross_entropy_with_integer_labels, static_argnames="axis")
    np.testing.assert_allclose(integer(LOGITS.T, CLASSES, axis=0), chosen, rtol=1e-5)
    np.testing.assert_allclose(integer(logits, CLASSES.reshape(3, 2), axis=(2, 3)), chosen.reshape(3, 2), rtol=1e-5)
    swapped = np.array([0, 2, 1, 3])[CLASSES].reshape(3, 2)  # the flat index in the order (3, 2)
    np.testing.assert_allclose(integer(logits, swapped, axis=(3, 2)), chosen.reshape(3, 2), rtol=1e-5)


# --- masks --------------------------------------------------------------------------------------------------------

WHERE = np.array([[1, 1, 1, 0], [0, 1, 1, 0], [1, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)


def test_a_mask_leaves_classes_out():
    expected = [
        entropy(a[w], y[w]) if w.any() else 0.0 for a, y, w in zip(LOGITS, ONE_HOT, WHERE, strict=True)
    ]  # the softmax over what is included alone
    garbage = np.where(WHERE, LOGITS, np.float32(1e30))
    run = jax.jit(lambda loss, a, y, w: loss(a, y, where=w), static_argnums=0)
    for loss, labels in ((softmax_cross_entropy, ONE_HOT), (softmax_cross_entropy_with_integer_labels, CLASSES)):
        for logits in (LOGITS, garbage):
            np.testing.assert_allclose(loss(logits, labels, where=WHERE), expected, rtol=1e-5)
            np.testing.assert_allclose(run(loss, logits, labels, WHERE), expected, rtol=1e-5)
        slope = jax.grad(lambda a, loss=loss, y=labels: loss(a, y, where=WHERE).sum())(np.where(WHERE, LOGITS, INF))
        assert np.all(slope[~WHERE] == 0)
        assert np.all(np.isfinite(slope))


def test_a_mask_leaves_examples_out():
    where = np.array([1, 1, 0, 1, 0, 1], bool)
    padded = np.where(where, CLASSES, -100)  # the label of what is left out may be anything
    expected = np.where(where, entropy(LOGITS, ONE_HOT), 0)
    integer = softmax_cross_entropy_with_integer_labels
    np.testing.assert_allclose(integer(LOGITS, padded, where=where), expected, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(lambda w: integer(LOGITS, padded, where=w))(where), expected, rtol=1e-5)
    np.testing.assert_allclose(softmax_cross_entropy(LOGITS, ONE_HOT, where=where), expected, rtol=1e-5)
    np.testing.assert_allclose(softmax_cross_entropy(LOGITS.T, ONE_HOT.T, 0, where), expected, rtol=1e-5)


# --- sigmoid ------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.float32, (6, 4), elements=st.floats(-1e4, 1e4, width=32)),
    hnp.arrays(np.float32, (6, 4), elements=st.sampled_from([0.0, 1.0, 0.25, 0.9])),
)
def test_sigmoid_over_the_whole_range(logits, labels):
    a, y = np.float64(logits), np.float64(labels)
    expected = y * np.logaddexp(0, -a) + (1 - y) * np.logaddexp(0, a)
    np.testing.assert_allclose(sigmoid_loss(logits, labels), expected, rtol=1e-5, atol=1e-37)
    by_logits, by_labels = sigmoid_slope(logits, labels)
    np.testing.assert_allclose(by_logits, 0.5 * (1 + np.tanh(a / 2)) - y, atol=1e-6)
    np.testing.assert_allclose(by_labels, -a, rtol=1e-5, atol=1e-6)


def test_sigmoid_at_its_extremes():
    logits = np.resize(np.float32([INF, INF, -INF, -INF, 1e4, -1e4, 3e38, 0]), (6, 4))
    labels = np.resize(np.float32([1, 0, 0, 1, 1, 0, 1, 1]), (6, 4))
    expected = np.resize([0, INF, 0, INF, 0, 0, 0, np.log(2)], (6, 4))
    np.testing.assert_allclose(sigmoid_loss(logits, labels), expected, rtol=1e-6)
    np.testing.assert_allclose(
        sigmoid_slope(logits, labels)[0], np.resize([0, 1, 0, -1, 0, 0, 0, -0.5], (6, 4)), atol=1e-7
    )


def test_sigmoid_is_the_softmax_of_two_classes():
    a = LOGITS.ravel()
    both = np.stack([np.zeros_like(a), a], -1)
    labels = (np.arange(24) % 2).astype(np.float32)
    np.testing.assert_allclose(
        jax.jit(sigmoid_binary_cross_entropy)(a, labels),
        jax.jit(softmax_cross_entropy_with_integer_labels)(both, labels.astype(int)),
        rtol=1e-5,
    )


# --- errors -------------------------------------------------------------------------------------------------------

binary, integer = sigmoid_binary_cross_entropy, softmax_cross_entropy_with_integer_labels
Z = np.zeros((3, 4), np.float32)
ERRORS = [
    (
        lambda: binary(np.zeros(5), np.zeros((5, 1))),
        ValueError,
        r"sigm.*: `labels` must have the shape of `logits`, \(5,",
    ),
    (lambda: binary(np.zeros(2), np.array([1, -1])), ValueError, r"sigm.* must be in \[0, 1\], got `labels\[1\]` = -1"),
    (lambda: binary(0.0, np.nan), ValueError, r"sigm.*: `labels` must be in \[0, 1\], got `labels` = nan"),
    (lambda: binary(1j, 0.0), TypeError, r"sigmoid_binary_cross_entropy: `logits` must be real, got dtype complex64"),
    (lambda: softmax_cross_entropy(Z, np.zeros(3)), ValueError, r"softmax_cross_entropy: `labels` must have the shape"),
    (
        lambda: softmax_cross_entropy(Z, Z[:1]),
        ValueError,
        r"`labels` must have the shape of `logits`, \(3, 4\), got \(1,",
    ),
    (lambda: softmax_cross_entropy(Z, Z + 2), ValueError, r"softmax_cr.* in \[0, 1\], got `labels\[0, 0\]` = 2.0"),
    (
        lambda: softmax_cross_entropy(Z, Z, axis=2),
        ValueError,
        r"`axis` must name axes of `logits`, which has 2, .* got 2",
    ),
    (lambda: softmax_cross_entropy(Z, Z, axis=(1, -1)), ValueError, r"each once; got \(1, -1\)"),
    (lambda: softmax_cross_entropy(0.0, 1.0), ValueError, r"`axis` must name axes of `logits`, which has 0"),
    (
        lambda: softmax_cross_entropy(Z[:, :0], Z[:, :0]),
        ValueError,
        r"`logits` must have at least one class, got shape",
    ),
    (
        lambda: softmax_cross_entropy(Z, Z, where=np.ones(4, bool)),
        ValueError,
        r"`where` must .* \(3, 4\), or .* \(3,\); got",
    ),
    (lambda: softmax_cross_entropy(Z, Z, where=np.ones(3)), TypeError, r"`where` must be boolean, got dtype float"),
    (
        lambda: integer(Z, np.zeros(3)),
        TypeError,
        r"labels: `labels` must be integers, got dtype float.*softmax_cross_ent",
    ),
    (lambda: integer(Z, np.zeros(3, bool)), TypeError, r"`labels` must be integers, got dtype bool"),
    (
        lambda: integer(Z, np.zeros((3, 1), int)),
        ValueError,
        r"`labels` must have .* of the classes, \(3,\), got \(3, 1\)",
    ),
    (lambda: integer(Z, np.zeros(4, int)), ValueError, r"`labels` must have .* of the classes, \(3,\), got \(4,\)"),
    (
        lambda: integer(Z, np.array([0, 4, -1])),
        ValueError,
        r"labels: `labels` must be in \[0, 4\), got `labels\[1\]` = 4",
    ),
    (
        lambda: integer(Z, np.array([0, 3, -1])),
        ValueError,
        r"labels: `labels` must be in \[0, 4\), got `labels\[2\]` = -1",
    ),
    (
        lambda: integer(Z, np.zeros(3, int), where=-np.arange(4) + 2 < Z),
        ValueError,
        r"and among the classes that `where` inc",
    ),
    (lambda: integer(Z[:, :0], np.zeros(3, int)), ValueError, r"`logits` must have at least one class"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors_name_the_argument_and_the_value(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_known_labels_are_checked_while_logits_are_traced():
    for labels in (np.array([0, 4, 1]), jnp.array([0, 4, 1])):
        with pytest.raises(ValueError, match=r"got `labels\[1\]` = 4"):
            jax.jit(lambda a, y=labels: integer(a, y))(Z)
        with pytest.raises(ValueError, match=r"got `labels\[1\]` = 4"):
            jax.jit(jax.grad(lambda a, y=labels: integer(a, y, where=np.ones(3, bool)).sum()))(Z)
    with pytest.raises(ValueError, match=r"got `labels\[0, 0\]` = -1"):
        jax.jit(lambda a: binary(a, Z - 1))(Z)


def test_traced_labels_out_of_range_give_nan_and_never_another_class():
    labels = np.array([0, 1, 4, -1, 100, 2])
    assert np.isnan(integer_loss(LOGITS, labels)).tolist() == [False, False, True, True, True, False]


def test_probabilities_may_be_rounded():
    assert np.isfinite(softmax_cross_entropy(np.zeros(2), np.float32([1.0000001, -1e-7])))


def test_vmap_of_one_example_is_the_batch():
    np.testing.assert_allclose(
        jax.jit(jax.vmap(softmax_cross_entropy))(LOGITS, SOFT), softmax_loss(LOGITS, SOFT), rtol=1e-6
    )
    np.testing.assert_allclose(jax.jit(jax.vmap(integer))(LOGITS, CLASSES), integer_loss(LOGITS, CLASSES), rtol=1e-6)
