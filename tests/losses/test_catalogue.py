"""What all losses promise: right gradients, float32 from float16, finite at ±10⁴, shapes that are never broadcast."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

RNG = np.random.default_rng(0)
A, B, C = (RNG.standard_normal((3, 4)) for _ in range(3))
P = RNG.dirichlet(np.ones(4), 3)
P[0, 1] = 0
CLASSES, SIGNS, BITS, COUNTS = np.array([0, 3, 1]), np.sign(B), (B > 0) * 1.0, np.floor(3 * abs(B))
HALF = np.abs(B) / 4
PAD, CTC, FRAMES = np.zeros((3, 2)), np.array([[1, 1], [2, 1], [3, 2]]), C[:, None]
young = fg.make_fenchel_young_loss(jax.nn.logsumexp)
CASES = {  # loss of what is trained, where it starts, and whether 10⁴ times that has a finite loss in float32
    "binary_dice_loss": (lambda x: fg.binary_dice_loss(x, BITS), A, True),
    "convex_kl_divergence": (lambda x: fg.convex_kl_divergence(x, P), A, False),
    "cosine_distance": (lambda x: fg.cosine_distance(x, B, epsilon=2.0), A, True),
    "cosine_similarity": (lambda x: fg.cosine_similarity(x, B), A, True),
    "ctc_loss": (
        lambda x: fg.ctc_loss(x[:, :, None] * C[:, None].astype(x.dtype), PAD[:, [0, 0, 0, 1]], CTC, PAD),
        A,
        True,
    ),
    "dice_loss": (lambda x: fg.dice_loss(x, P, axis=0, alpha=0.3, beta=0.6, class_weights=[1, 2, 3, 4]), A, True),
    "fenchel_young_loss": (lambda x: young(x, P), A, True),
    "gaussian_nll_loss": (lambda x: fg.gaussian_nll_loss(x, B, C, full=True), A, True),
    "gaussian_nll_loss of the spread": (lambda x: fg.gaussian_nll_loss(C, B, x), A, False),
    "generalized_kl_divergence": (lambda x: fg.generalized_kl_divergence(x, P), A, False),
    "huber_loss": (lambda x: fg.huber_loss(x, B, delta=0.7), A, True),
    "kl_divergence": (lambda x: fg.kl_divergence(x, P), A, True),
    "kl_divergence_with_log_targets": (lambda x: fg.kl_divergence_with_log_targets(x, B), A, True),
    "log_cosh": (lambda x: fg.log_cosh(x, B), A, True),
    "multiclass_generalized_dice_loss": (lambda x: fg.multiclass_generalized_dice_loss(x[None], P[None]), A, True),
    "multiclass_hinge_loss": (lambda x: fg.multiclass_hinge_loss(x, CLASSES), A, True),
    "multiclass_perceptron_loss": (lambda x: fg.multiclass_perceptron_loss(x, CLASSES), A, True),
    "multiclass_sparsemax_loss": (lambda x: fg.multiclass_sparsemax_loss(x, CLASSES), A, True),
    "ntxent": (lambda x: fg.ntxent(x, np.array([0, 1, 0]), 0.3), A, True),
    "poisson_nll_loss": (lambda x: fg.poisson_nll_loss(x, COUNTS, full=True), A, False),
    "poly_loss_cross_entropy": (lambda x: fg.poly_loss_cross_entropy(x, P), A, True),
    "quantile_loss": (lambda x: fg.quantile_loss(x, B, 0.3), A, True),
    "ranking_softmax_loss": (lambda x: fg.ranking_softmax_loss(x, COUNTS, weights=HALF, where=HALF > 0.1), A, True),
    "sigmoid_focal_loss": (lambda x: fg.sigmoid_focal_loss(x, P, alpha=0.25, gamma=1.5), A, True),
    "sparsemax_loss": (lambda x: fg.sparsemax_loss(x, BITS), A, True),
    "triplet_margin_loss": (lambda x: fg.triplet_margin_loss(x, B, C, norm_degree=3, margin=3.0), A, True),
}
cases = pytest.mark.parametrize("name", CASES)


@cases
def test_gradient(name):
    loss, x, _ = CASES[name]
    assert fg.check_gradient(lambda x: loss(x).sum(), x, order=4, step=1e-4).worst_error < 1e-6


@cases
def test_low_precision_and_extremes(name):
    loss, x, finite = CASES[name]
    derivative = jax.value_and_grad(lambda x: loss(x).sum())
    value, gradient = jax.eval_shape(derivative, jnp.float16(x))
    assert (value.dtype, gradient.dtype) == (jnp.float32, jnp.float16)
    extremes = [1e4 * np.sign(x), -1e4 * np.sign(x), 1e4 * x, np.zeros_like(x), np.full_like(x, -1e4)]
    values, gradients = jax.jit(jax.vmap(derivative))(jnp.float32(extremes))
    assert not np.any(np.isnan(values))
    if finite:
        assert np.all(np.isfinite(values))
        assert np.all(np.isfinite(gradients))


def test_every_loss_refuses_other_shapes():
    two = ("huber_loss", "log_cosh", "quantile_loss", "poisson_nll_loss", "cosine_similarity", "cosine_distance")
    two += ("kl_divergence", "kl_divergence_with_log_targets", "convex_kl_divergence", "generalized_kl_divergence")
    two += ("sparsemax_loss", "sigmoid_focal_loss", "poly_loss_cross_entropy", "ranking_softmax_loss")
    two += ("dice_loss", "binary_dice_loss", "multiclass_generalized_dice_loss")
    for name in two:
        with pytest.raises(ValueError, match=rf"{name}: `.*` must have the shape of `.*`, \(2, 1\), got \(2,\)"):
            getattr(fg, name)(np.ones((2, 1), np.float32), np.ones(2, np.float32))
    for name in ("multiclass_hinge_loss", "multiclass_perceptron_loss", "multiclass_sparsemax_loss"):
        with pytest.raises(ValueError, match=rf"{name}: `labels` must have the shape of `scores` without .*\(3,\)"):
            getattr(fg, name)(A, CLASSES[:2])
        with pytest.raises(TypeError, match=rf"{name}: `labels` must be integers, got dtype float"):
            getattr(fg, name)(A, A[:, 0])
        with pytest.raises(ValueError, match=rf"{name}: `labels` must be in \[0, 4\), got `labels\[1\]` = 4"):
            getattr(fg, name)(A, np.array([0, 4, 1]))
        assert np.isnan(jax.jit(getattr(fg, name))(A, np.array([0, 4, 1]))).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fg.huber_loss(A, delta=0.0), r"huber_loss: `delta` must be in \(0, inf\), got 0"),
        (lambda: fg.huber_loss(A, delta=np.ones(4)), r"huber_loss: `delta` must be one real number"),
        (lambda: fg.quantile_loss(A, B, 1.5), r"quantile_loss: `quantile` must be in \[0, 1\], got 1.5"),
        (lambda: fg.quantile_loss(A, B, float("nan")), r"quantile_loss: `quantile` must be in \[0, 1\], got nan"),
        (lambda: fg.poisson_nll_loss(A, -BITS), r"poisson_nll_loss: `targets` must be in \[0, ∞\), got `targets\["),
        (lambda: fg.kl_divergence(A, -P), r"kl_divergence: `targets` must be in \[0, ∞\), got `targets\[0, 0\]` = -"),
        (lambda: fg.cosine_similarity(A, B, where=BITS), r"cosine_similarity: `where` must be boolean"),
        (lambda: fg.sparsemax_loss(A, SIGNS), r"sparsemax_loss: `labels` must be in {0, 1}, got `labels\["),
        (lambda: fg.sigmoid_focal_loss(A, P, gamma=-1), r"sigmoid_focal_loss: `gamma` must be in \[0, inf\), got -1"),
        (lambda: fg.smooth_labels(P, 2), r"smooth_labels: `alpha` must be in \[0, 1\], got 2"),
        (lambda: fg.dice_loss(A, P, reduction="no"), r'dice_loss: `reduction` must be "mean", "sum" or "none"'),
        (lambda: fg.dice_loss(A, P, axis=-1), r"dice_loss: `axis` must leave out the classes"),
        (lambda: fg.dice_loss(A, P, class_weights=[1, 2]), r"dice_loss: `class_weights` must have the shape \(4,\)"),
        (lambda: fg.ntxent(A, CLASSES, 0), r"ntxent: `temperature` must be in \(0, inf\), got 0"),
        (lambda: fg.ntxent(A[0], CLASSES), r"ntxent: `embeddings` must have the shape \(examples, features\)"),
        (lambda: fg.triplet_margin_loss(A, B, C[:2]), r"triplet_margin_loss: `negatives` must have the shape of"),
        (lambda: fg.triplet_margin_loss(A, B, C, norm_degree=0.5), r"triplet_margin_loss: `norm_degree` must be"),
        (lambda: fg.ranking_softmax_loss(A, -P), r"ranking_softmax_loss: `labels` must be in \[0, ∞\)"),
        (lambda: fg.make_fenchel_young_loss(3), r"make_fenchel_young_loss: `max_fun` must be a function, got 3"),
        (lambda: young(A, P[:2]), r"fenchel_young_loss: `targets` must have the shape of `scores`"),
        (lambda: fg.ctc_loss(A, PAD, CTC, PAD), r"ctc_loss: `logits` must have the shape \(sequences, frames, classes"),
        (lambda: fg.ctc_loss(A[None], PAD[:1], CTC[:1] * 0, PAD[:1]), r"ctc_loss: `logit_paddings` must have"),
        (lambda: fg.ctc_loss(A[None], np.ones((1, 3)), CTC[:1] * 0, PAD[:1]), r"`labels` must be in .* without the bl"),
        (
            lambda: fg.ctc_loss(A[None], np.ones((1, 3)), CTC[:1], np.array([[1, 0]])),
            r"ctc_loss: `label_paddings` must",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
