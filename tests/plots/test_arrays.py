"""The heat map of a sweep, and landscapes."""

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest

import funcgd as fg
from funcgd import plots

RATES, MOMENTA = [0.01, 0.1, 1.0], [0.0, 0.9]


def table(values):
    """Three rates × two momenta × two keys, in the order of `fg.sweep`."""
    rate, momentum, key = np.meshgrid(RATES, MOMENTA, [0, 1], indexing="ij")
    return {"learning_rate": rate.ravel(), "momentum": momentum.ravel(), "key": key.ravel(), "value": values}


def test_cells_are_means_over_the_keys(given_ax):
    values = np.arange(12.0) ** 2 + 2
    ax = plots.sweep_map(table(values), "learning_rate", "momentum", ax=given_ax)
    assert ax is given_ax
    np.testing.assert_allclose(ax.images[0].get_array(), values.reshape(3, 2, 2).mean(-1).T)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.01", "0.1", "1"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["0", "0.9"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("learning rate", "momentum")
    assert ax.figure.axes[-1].get_ylabel() == "mean value"
    (frame,) = ax.patches
    assert (frame.get_x() + 0.5, frame.get_y() + 0.5) == (0, 0)
    assert [text.get_text() for text in ax.texts] == ["2.5", "22.5", "74.5", "8.5", "44.5", "112"]


def test_failed_members_and_pairs_that_are_missing():
    values = np.ones(12)
    values[[0, 5]] = np.inf, np.nan
    columns = {name: column[:10] for name, column in table(values).items()}
    ax = plots.sweep_map(columns, "learning_rate", "momentum", log=True)
    assert ax.images[0].get_array().mask.tolist() == [[True, True, False], [False, False, True]]
    assert [text.get_position() for text in ax.texts if text.get_text() == "×"] == [(0, 0), (1, 0)]
    ax.figure.canvas.draw()


def test_colours_at_equal_ratios():
    ax = plots.sweep_map(table(np.geomspace(0.01, 10, 12)), "learning_rate", "momentum", log=True)
    ticks = ax.figure.axes[-1].get_yticks()
    assert [f"{tick:g}" for tick in ticks] == ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5"]
    middle = ax.images[0].norm(np.sqrt(np.prod(ax.images[0].get_clim())))
    np.testing.assert_allclose(middle, 0.5)


def test_a_real_sweep():
    x = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    loss = lambda params, batch: ((batch["x"] @ params - batch["y"]) ** 2).mean()  # noqa: E731
    population = fg.grid(fg.sgd, learning_rate=[0.1, 0.2], momentum=[0.0, 0.5])
    found = fg.sweep(
        loss,
        np.zeros(1, np.float32),
        population,
        {"x": x, "y": 2 * x[:, 0]},
        keys=jax.random.key(0)[None],
        batch_size=8,
        epochs=2,
        progress=False,
    )
    ax = plots.sweep_map(found, "learning_rate", "momentum", column="loss")
    np.testing.assert_allclose(ax.images[0].get_array(), found.table["loss"].reshape(2, 2).T)
    assert ax.figure.axes[-1].get_ylabel() == "loss"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"found": table(np.full(12, np.inf))}, "must be finite for some pair"),
        ({"x": "b1"}, "`b1` must be a column, one of learning_rate, momentum, key, value"),
        ({"found": 3.0}, "mapping"),
        ({"log": True}, "positive, or log=False; got -1"),
        ({"found": {"learning_rate": [1.0], "momentum": [1.0, 2.0], "value": [1.0]}}, "same length"),
        ({"column": "reason", "found": table(np.ones(12)) | {"reason": ["A"] * 12}}, "real numbers"),
    ],
)
def test_sweep_map_refuses(change, message):
    options = {"found": table(-np.ones(12)), "x": "learning_rate", "y": "momentum"} | change
    with pytest.raises((TypeError, ValueError), match=message):
        plots.sweep_map(**options)


def heights(ax):
    """The mean height of each facet of the surface."""
    return ax.collections[0].get_array()


def test_the_surface_has_the_heights_of_the_array():
    x, y = np.linspace(-1, 1, 5), np.linspace(0, 4, 3)
    values = x[:, None] ** 3 + 10 * y
    ax = plots.landscape(x, y, values)
    corners = np.stack([values[:-1, :-1], values[1:, :-1], values[:-1, 1:], values[1:, 1:]])
    np.testing.assert_allclose(heights(ax), corners.mean(0).ravel())
    assert ax.get_xlim()[1] < ax.get_ylim()[1]
    own = plt.figure().add_subplot(projection="3d")
    assert plots.landscape(x, y, np.exp(values), log=True, ax=own) is own
    np.testing.assert_allclose(heights(own), corners.mean(0).ravel() / np.log(10))
    assert own.get_zlabel() == "log₁₀ loss"


def test_landscape_refuses(given_ax):
    x = np.arange(3.0)
    for arguments, options, message in [
        ((x, x, np.ones((3, 2))), {}, r"must have shape \(3, 3\)"),
        ((x[::-1], x, np.ones((3, 3))), {}, "must rise"),
        ((x, x, np.zeros((3, 3))), {"log": True}, "positive"),
        ((x, x, np.ones((3, 3))), {"ax": given_ax}, 'projection="3d"'),
    ]:
        with pytest.raises(ValueError, match=message):
            plots.landscape(*arguments, **options)
