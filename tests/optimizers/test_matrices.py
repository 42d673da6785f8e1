"""Rules for matrices as wholes: against their oracles, and where matrices are zero, thin, many or of low rank."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.testing.fixtures import precision
from tests.optimizers.along import follow
from tests.optimizers.oracles import matrices

STEPS = 20
RNG = np.random.default_rng(0)
THETA = RNG.standard_normal(
    (4, 5)
)  # one column more: SOAP's first basis is determined, its null space of dimension one
GRADS = RNG.standard_normal((STEPS, 4, 5))
DION = [
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
]

CASES = {
    "muon": (fg.muon(0.1), matrices.muon, (0.1, 0.95)),
    "muon, all": (
        fg.muon(0.1, "dion", 3, 0.8, weight_decay=0.3, nesterov=False, consistent_rms=0.2),
        matrices.muon,
        (0.1, 0.8, False, DION, 0.2, 0.3),
    ),
    "normuon": (
        fg.muon(0.1, beta=0.9, weight_decay=0.3, nesterov=False, consistent_rms=0.2, normuon_b2=0.95),
        matrices.normuon,
        (0.1, 0.9, 0.95, 0.3),
    ),
    "shampoo": (fg.shampoo(0.1), matrices.shampoo, (0.1, 1e-6)),
    "shampoo, all": (
        fg.shampoo(0.1, 0.9, 0.1, 0.8, 0.3, precondition_frequency=3),
        matrices.shampoo,
        (0.1, 0.1, 0.9, 0.8, 3, (), 0.3),
    ),
    "soap": (fg.soap(0.1), matrices.soap, (0.1, 0.95, 0.95, 1e-8, 10, None, 0.01)),
    "soap, all": (
        fg.soap(0.1, 0.8, 0.9, 1e-3, 0.7, 0.3, precondition_frequency=2),
        matrices.soap,
        (0.1, 0.8, 0.9, 1e-3, 2, 0.7, 0.3),
    ),
    "galore": (fg.galore(0.1, 2, 6), matrices.galore, (0.1, 2, 6)),
    "galore, all": (
        fg.galore(0.1, 3, 5, 0.25, fg.scale_by_adam(0.8, 0.9, 1e-3), 0.3),
        matrices.galore,
        (0.1, 3, 5, 0.25, 0.3, 0.8, 0.9, 1e-3),
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("wide", [True, False], ids=["wide", "tall"])
@pytest.mark.parametrize("case", CASES)
def test_rules_are_those_of_their_papers(case, wide, dtype):
    tx, oracle, args = CASES[case]
    theta, grads = (THETA, GRADS) if wide else (THETA.T, GRADS.swapaxes(1, 2))
    with precision(dtype):
        found = follow(tx, jnp.asarray(theta, dtype), jnp.asarray(grads, dtype))
    tolerance = 1e-11 if dtype == "float64" else 1e-4 if "soap" in case else 5e-5
    np.testing.assert_allclose(found, oracle(theta, grads, *args), rtol=tolerance, atol=tolerance)


TENSORS = RNG.standard_normal((STEPS, 3, 4, 2))


@pytest.mark.parametrize(
    ("tx", "oracle", "args"),
    [
        (fg.shampoo(0.1), matrices.shampoo, (0.1, 1e-6)),
        (fg.shampoo(0.1, max_precond_dim=3), matrices.shampoo, (0.1, 1e-6, None, 0.0, 1, (1,))),
        (fg.soap(0.1, max_precond_dim=3), matrices.soap, (0.1, 0.95, 0.95, 1e-8, 10, None, 0.01, (1,))),
    ],
    ids=["shampoo", "shampoo, a long axis", "soap, a long axis"],
)
def test_tensors_along_each_axis(tx, oracle, args, x64):
    found = follow(tx, jnp.asarray(TENSORS[0]), jnp.asarray(TENSORS))
    np.testing.assert_allclose(found, oracle(TENSORS[0], TENSORS, *args), rtol=1e-10, atol=1e-10)
    with_axis = follow(tx, jnp.asarray(TENSORS[0])[:, None], jnp.asarray(TENSORS)[:, :, None])  # of length 1
    np.testing.assert_allclose(with_axis[:, 0], found, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
@pytest.mark.parametrize("tx", [fg.muon(0.1, eps=0.0), fg.shampoo(0.1, eps=0.0), fg.soap(0.1, eps=0.0)], ids=repr)
def test_units_a_scaled_loss_changes_no_step(tx, scale):
    theta, grads = jnp.asarray(THETA, jnp.float32), jnp.asarray(GRADS, jnp.float32)
    np.testing.assert_allclose(follow(tx, theta, scale * grads), follow(tx, theta, grads), rtol=1e-4, atol=1e-4)


def orthogonalized(x, **options):
    tx = fg.scale_by_muon(weight_dimension_numbers=fg.MuonDimensionNumbers(-2, -1), **options)
    return np.asarray(jax.jit(lambda x: tx.update(x, tx.init(x))[0])(x))


WELL = jnp.asarray(np.linalg.qr(RNG.standard_normal((8, 8)))[0] @ np.diag(np.linspace(0.2, 1, 8)), jnp.float32)


@pytest.mark.parametrize("preconditioning", ["frobenius", "spectral", "schatten", "aol"])
@pytest.mark.parametrize("coefficients", ["standard", "dion"])
def test_edge_29_singular_values_end_near_one(coefficients, preconditioning):
    options = {"ns_coeffs": coefficients, "preconditioning": preconditioning}
    for x in (WELL, WELL[:3], WELL[:, :3]):
        s = np.linalg.svd(orthogonalized(x, **options), compute_uv=False)
        assert s.min() > 0.65
        assert s.max() < 1.25


def test_edge_29_singular_vectors_stay():
    u, s, vt = np.linalg.svd(WELL)
    around = u.T @ orthogonalized(WELL) @ vt.T
    assert np.max(np.abs(around - np.diag(np.diag(around)))) < 1e-5
    assert np.ptp(s) > 0.5


def test_edge_29_zero_thin_and_low_rank_matrices():
    assert (orthogonalized(jnp.zeros((3, 4))) == 0).all()
    assert orthogonalized(jnp.zeros((0, 4))).shape == (0, 4)
    v = jnp.array([[3.0, 0.0, -4.0]])
    for x in (v, v.T):
        found = orthogonalized(x)
        np.testing.assert_allclose(found / np.linalg.norm(found), x / 5, atol=1e-6)
        assert 0.65 < np.linalg.norm(found) < 1.25
    low = v.T @ jnp.array([[1.0, 2.0, 3.0, 4.0]])
    s = np.linalg.svd(orthogonalized(low), compute_uv=False)
    assert 0.65 < s[0] < 1.25
    assert s[1] < 1e-3  # what is zero but for rounding is amplified 500 times at most


def test_edge_29_tall_is_the_transpose_of_wide():
    np.testing.assert_allclose(orthogonalized(WELL[:3]).T, orthogonalized(WELL[:3].T), rtol=1e-4, atol=2e-6)


def test_edge_29_complex_matrices_keep_their_singular_vectors():
    x = RNG.standard_normal((3, 5)) + 1j * RNG.standard_normal((3, 5))
    found = orthogonalized(jnp.asarray(x, jnp.complex64))
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    around = u.conj().T @ found @ vh.conj().T
    assert np.max(np.abs(around - np.diag(np.diag(around)))) < 1e-4
    assert np.max(np.abs(np.diag(around).imag)) < 1e-4
    assert s[-1] > 0.3


def test_edge_29_low_precision():
    low = WELL.astype(jnp.bfloat16)
    found, exact = orthogonalized(low), orthogonalized(low.astype(jnp.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, atol=1e-6)
    rough = orthogonalized(low, ns_dtype="bfloat16")
    assert 0.01 < np.linalg.norm(rough - exact) / np.linalg.norm(exact) < 0.2
    s = np.linalg.svd(rough, compute_uv=False)
    assert s.min() > 0.6
    assert s.max() < 1.3


@pytest.mark.parametrize("size", [1e-30, 1e30, 3e38])
def test_edge_29_range(size):
    """Neither squares nor fourth powers leave the range of float32."""
    for preconditioning in ("frobenius", "spectral", "schatten", "aol"):
        options = {"eps": 0.0, "preconditioning": preconditioning}
        found = orthogonalized(size * WELL, **options)
        np.testing.assert_allclose(found, orthogonalized(WELL, **options), atol=1e-3)


def test_matrices_in_a_batch_are_those_alone():
    batch = jnp.stack([WELL[:3], 10 * WELL[3:6], jnp.zeros((3, 8))])
    found = orthogonalized(batch, normuon_b2=0.9)
    for one, alone in zip(found, batch, strict=True):
        np.testing.assert_allclose(one, orthogonalized(alone, normuon_b2=0.9), atol=1e-6)
    spoilt = orthogonalized(batch.at[0].set(jnp.nan))
    assert np.isfinite(spoilt[1:]).all()


@jax.jit
def first_step(tx, params):
    """The update where the gradient is like the parameters."""
    return tx.update(params, tx.init(params), params)[0]


def test_convolutions_are_matrices_of_window_and_channels():
    kernels = jnp.asarray(RNG.standard_normal((2, 3, 2, 5)), jnp.float32)
    for numbers, flat in (
        (fg.MuonDimensionNumbers((0, 1, 2), 3), kernels.reshape(12, 5)),
        (fg.MuonDimensionNumbers(-1, (0, 1, 2)), kernels.reshape(12, 5).T),
    ):
        one, other = fg.muon(0.1, muon_weight_dimension_numbers=numbers), fg.muon(0.1)
        found, expected = first_step(one, kernels), first_step(other, flat)
        np.testing.assert_allclose(found.reshape(12, 5), expected if flat.shape == (12, 5) else expected.T, atol=1e-6)
    heads = fg.muon(0.1, muon_weight_dimension_numbers=fg.MuonDimensionNumbers(2, 3))  # in a batch of 2 × 3
    np.testing.assert_allclose(first_step(heads, kernels)[1, 2], first_step(other, kernels[1, 2]), atol=1e-6)


def test_normuon_gives_neurons_equal_shares_and_keeps_the_length():
    skewed = WELL * jnp.logspace(-2, 2, 8)
    found = orthogonalized(skewed[:3], normuon_b2=0.0)
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), np.sqrt(3 / 8), rtol=1e-5)
    assert np.ptp(np.linalg.norm(orthogonalized(skewed[:3]), axis=0)) > 0.1


def test_adaptive_steps_have_the_unit_of_the_gradient():
    once, twice = (orthogonalized(c * WELL, adaptive=True) for c in (1.0, 2.0))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-4, atol=1e-5)
    direction = orthogonalized(WELL)
    np.testing.assert_allclose(once, np.sum(WELL * direction) * direction, rtol=1e-4, atol=1e-5)


def test_root_mean_square_of_the_step_is_as_told():
    shapes = [WELL, WELL[:3], WELL[:, :3]]
    for step in first_step(fg.muon(1.0, normuon_b2=0.9, consistent_rms=0.2), shapes):
        assert float(jnp.sqrt(jnp.mean(step**2))) == pytest.approx(0.2, rel=1e-5)


PARAMS = {
    "embed": jnp.ones((5, 4)),
    "layers": [{"w": jnp.ones((4, 4)), "b": jnp.ones(4)}, {"w": jnp.ones((2, 4, 4)), "b": jnp.ones(4)}],
    "frozen": None,
}
RULES = {"embed": None, "layers/1/w": fg.MuonDimensionNumbers(1, 2), lambda path, leaf: leaf.ndim == 2: True}
PAIR = fg.MuonDimensionNumbers(1, 2)
TREE = {"embed": None, "layers": [{"w": True, "b": None}, {"w": PAIR, "b": False}], "frozen": None}


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (None, {"embed", "layers/0/w"}),
        ("layers/*w", {"layers/0/w", "layers/1/w"}),
        (["embed", re.compile(r"layers/\d/w")], {"embed", "layers/0/w", "layers/1/w"}),
        (fg.path_mask(lambda path, leaf: leaf.ndim > 2), {"layers/1/w"}),
        (fg.path_dimension_numbers(RULES), {"layers/0/w", "layers/1/w"}),
        (lambda params: jax.tree.map(lambda x: True if x.ndim == 2 else None, params), {"embed", "layers/0/w"}),
        (TREE, {"layers/0/w", "layers/1/w"}),
        ({"embed": fg.MuonDimensionNumbers(), "layers": None, "frozen": None}, {"embed"}),
    ],
    ids=["all", "glob", "list", "predicate", "rules", "function", "tree", "prefix"],
)
def test_who_is_a_matrix(numbers, expected):
    tx = fg.muon(0.1, muon_weight_dimension_numbers=numbers, adam_learning_rate=0.01, weight_decay_mask="*w")
    state = tx.init(PARAMS)
    mu = state.inner_states["muon"][0].mu
    paths = jax.tree_util.tree_leaves_with_path(mu)
    assert {jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths} == expected
    updates = first_step(tx, PARAMS)
    chosen = [path for path, label in zip(PATHS, jax.tree.leaves(tx.labels(PARAMS)), strict=True) if label == "muon"]
    assert set(chosen) == expected
    for path, u in zip(PATHS, jax.tree.leaves(updates), strict=True):
        np.testing.assert_allclose(u, -0.01 if path not in expected else u, rtol=1e-5)  # the first step of Adam


PATHS = ["embed", "layers/0/b", "layers/0/w", "layers/1/b", "layers/1/w"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: fg.muon(0.1, "cubic"), "muon: `ns_coeffs`: expected one of 'standard', 'dion'"),
        (lambda: fg.muon(0.1, (1.0, 2.0)), "expected three numbers"),
        (lambda: fg.muon(0.1, preconditioning="none"), "`preconditioning` must be one of"),
        (lambda: fg.muon(0.1, muon_weight_dimension_numbers="head").init(PARAMS), "'head' does not; there are 'embed'"),
        (
            lambda: fg.muon(0.1, muon_weight_dimension_numbers=fg.MuonDimensionNumbers()).init(PARAMS),
            r"muon: `weight_dimension_numbers` of 'layers/0/b' must be different axes of an array of shape \(4,\)",
        ),
        (lambda: fg.muon(0.1, muon_weight_dimension_numbers={"embed": 3}).init({"embed": 1.0}), "got 3"),
        (lambda: fg.scale_by_muon().init(PARAMS), r"scale_by_muon: .* 'layers/0/b' has shape \(4,\)"),
        (lambda: fg.path_dimension_numbers({"w": 2}), "mapping where → dimension numbers"),
    ],
)
def test_errors_name_the_place(make, said):
    with pytest.raises((ValueError, TypeError), match=said):
        make()


def test_equal_shapes_are_traced_once():
    """The work of tracing and compiling one more layer is that of a call, not of its iterations."""
    tx = fg.scale_by_muon()

    def calls(n):
        params = {f"layer {i}": jnp.ones((3, 4)) for i in range(n)}
        jaxpr = jax.make_jaxpr(lambda g, s: tx.update(g, s))(params, tx.init(params))
        return [e.params["jaxpr"].jaxpr for e in equations(jaxpr.jaxpr) if e.params.get("name") == "_polynomial"]

    assert len(calls(7)) == 7
    assert len({id(body) for body in calls(7)}) == 1


def equations(jaxpr):
    for e in jaxpr.eqns:
        yield e
        if e.primitive.name in ("jit", "pjit", "scan") and e.params.get("name") != "_polynomial":
            yield from equations(e.params["jaxpr"].jaxpr)
