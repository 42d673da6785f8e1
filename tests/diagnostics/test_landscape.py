"""Loss landscapes against losses evaluated point by point."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

KEY = jax.random.key(3)
MODEL = fg.multilayer_perceptron([2, 3, 1], "relu")
PARAMS = jax.tree.map(lambda p: p + 0.1, MODEL.init(KEY))
BATCH = {"x": jnp.array([[1.0, 2.0], [-1.0, 0.5]]), "y": jnp.array([[1.0], [0.0]])}


def loss(params, batch):
    return fg.mean_squared_error(MODEL.apply(params, batch["x"]), batch["y"])


def test_landscape_is_the_loss_at_each_point():
    found = fg.loss_landscape(loss, PARAMS, BATCH, KEY, extent=0.5, points=5)
    np.testing.assert_allclose(found.a, [-0.5, -0.25, 0, 0.25, 0.5])
    for i, j in ((2, 2), (0, 4), (3, 1)):
        first, second = (
            fg.tree.scale(float(c[k]), d) for c, k, d in zip(found[:2], (i, j), found.directions, strict=True)
        )
        at = fg.tree.add(PARAMS, fg.tree.add(first, second))
        np.testing.assert_allclose(found.loss[i, j], loss(at, BATCH), rtol=1e-5)


@pytest.mark.parametrize("axis", [0, -1])
def test_directions_have_the_lengths_of_the_filters(axis):
    first, second = fg.loss_landscape(loss, PARAMS, BATCH, KEY, points=2, filter_axis=axis).directions
    for layer, d in zip(PARAMS, first, strict=True):
        sums = 1 if axis == 0 else 0
        np.testing.assert_allclose(np.linalg.norm(d["w"], axis=sums), np.linalg.norm(layer["w"], axis=sums), rtol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(d["b"]), np.linalg.norm(layer["b"]), rtol=1e-5)
    assert abs(fg.tree.vdot(first, second)) < 0.9 * fg.tree.norm(first) * fg.tree.norm(second)


def test_scaling_the_layers_changes_nothing():
    """ReLU: c times layer 1 and 1/c times layer 2 is the same function, and has the same picture."""
    scaled = (fg.tree.scale(10.0, PARAMS[0]), {"w": PARAMS[1]["w"] / 10, "b": PARAMS[1]["b"]})
    before, after = (fg.loss_landscape(loss, p, BATCH, KEY, points=5).loss for p in (PARAMS, scaled))
    np.testing.assert_allclose(before, after, rtol=1e-4)


def test_leaves_of_zeros_and_integers_stay():
    params = {"w": jnp.ones(3), "zero": jnp.zeros((2, 2)), "n": jnp.arange(3)}
    found = fg.loss_landscape(
        lambda p, _: p["w"].sum() * p["n"].shape[0] + p["zero"].sum(), params, None, KEY, points=3
    )
    assert np.all(found.directions[0]["zero"] == 0)
    assert found.directions[0]["n"] is None
    assert found.loss[1, 1] == 9


def test_interpolation_of_a_quadratic():
    """L on the line from θ₀ to θ₁ is ‖(1−α)θ₀ + αθ₁‖², beyond the ends, too."""
    start, end = {"w": jnp.array([1.0, 0.0])}, {"w": jnp.array([0.0, 2.0])}

    def squares(p, batch):
        return jnp.sum(p["w"] ** 2)

    found = fg.interpolate_loss(squares, start, end, None, points=5)
    np.testing.assert_allclose(found.alpha, np.linspace(0, 1, 5))
    np.testing.assert_allclose(found.loss, (1 - found.alpha) ** 2 + 4 * found.alpha**2, rtol=1e-6)
    beyond = fg.interpolate_loss(squares, start, end, None, alpha=[-1.0, 2.0])
    np.testing.assert_allclose(beyond.loss, [8, 17])


def test_bad_arguments():
    with pytest.raises(ValueError, match="`points`: expected at least 2, got 1"):
        fg.loss_landscape(loss, PARAMS, BATCH, KEY, points=1)
    with pytest.raises(ValueError, match=r"`extent` must be in \(0, inf\), got 0"):
        fg.loss_landscape(loss, PARAMS, BATCH, KEY, extent=0)
    with pytest.raises(ValueError, match=r"`filter_axis` is 2, but a leaf has shape \(3, 2\)"):
        fg.loss_landscape(loss, PARAMS, BATCH, KEY, filter_axis=2)
    with pytest.raises(ValueError, match=r"interpolate_loss: `end.*` must be of shape \(3,\), as `start` has it"):
        fg.interpolate_loss(loss, {"w": jnp.ones(3)}, {"w": jnp.ones(2)}, BATCH)
