"""Learning curves and schedules."""

import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd import plots


def band(collection):
    """Lower and upper edge of what `fill_between` drew, by the horizontal place."""
    vertices = collection.get_paths()[0].vertices
    places = np.unique(vertices[:, 0])
    edges = [vertices[vertices[:, 0] == x, 1] for x in places]
    return np.array([y.min() for y in edges]), np.array([y.max() for y in edges])


def test_mean_and_band(given_ax):
    rows = np.array([[4.0, 3.0, 2.0], [6.0, 5.0, 1.5], [5.0, 1.0, 1.0]])
    ax = plots.learning_curves({"adam": rows, "one": [3.0, 2.0, 1.0]}, [0, 10, 20], ax=given_ax, xlabel="step")
    assert ax is given_ax
    adam, one = ax.lines
    mean = rows.sum(0) / 3
    deviation = np.sqrt(((rows - mean) ** 2).sum(0) / 2)
    np.testing.assert_allclose(adam.get_xydata(), np.stack([[0, 10, 20], mean], 1))
    np.testing.assert_allclose(one.get_ydata(), [3, 2, 1])
    (drawn,) = ax.collections  # a single seed has no band
    low, high = band(drawn)
    np.testing.assert_allclose(low, mean - deviation)
    np.testing.assert_allclose(high, mean + deviation)
    assert ax.get_yscale() == "log"
    assert "standard deviation" in ax.get_legend().get_title().get_text()


def test_a_band_stays_positive_on_a_logarithmic_axis_only():
    rows = np.array([[0.1, 1.0], [9.0, 1.2]])
    low, _ = band(plots.learning_curves({"a": rows}).collections[0])
    assert low[0] == 0.1
    low, _ = band(plots.learning_curves({"a": rows}, log=False).collections[0])
    assert low[0] < 0


def test_a_curve_ends_with_its_first_seed():
    ax = plots.learning_curves({"a": np.array([[2.0, 1.0, np.nan], [4.0, 3.0, 1.0]])})
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [3, 2, np.nan])
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    ("curves", "options", "message"),
    [
        ({}, {}, "at least one"),
        ([1.0], {}, "mapping"),
        ({"a": [1.0, 0.0]}, {}, "positive, or log=False; got 0"),
        ({"a": np.ones((2, 2, 2))}, {}, "shape"),
        ({"a": [1.0, 2.0]}, {"steps": [1, 2, 3]}, r"`steps` must have shape \(2,\)"),
        ({"a": ["x", "y"]}, {}, "real numbers"),
    ],
)
def test_learning_curves_refuse(curves, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        plots.learning_curves(curves, **options)


def test_schedules_are_drawn_step_by_step(given_ax):
    shown = {
        "constant": 0.5,
        "exponential": fg.exponential_decay(0.1, 1, 0.5),
        "lambda": lambda t: jnp.float32(2) * t.astype(jnp.float32),
    }
    ax = plots.schedules(shown, 4, ax=given_ax)
    assert ax is given_ax
    constant, exponential, own = ax.lines
    assert constant.get_xydata().tolist() == [[0, 0.5], [1, 0.5], [2, 0.5], [3, 0.5]]
    np.testing.assert_allclose(exponential.get_ydata(), [0.1, 0.05, 0.025, 0.0125], rtol=1e-6)
    np.testing.assert_allclose(own.get_ydata(), [0, 2, 4, 6])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step t", "learning rate η")
    assert ax.get_ylim()[0] == 0
    assert plots.schedules({"a": 0.1}, 3, log=True).get_yscale() == "log"


@pytest.mark.parametrize(
    ("given", "steps", "message"),
    [({}, 3, "at least one"), ({"a": "fast"}, 3, "real numbers"), ({"a": 0.1}, 0, "`steps`")],
)
def test_schedules_refuse(given, steps, message):
    with pytest.raises((TypeError, ValueError), match=message):
        plots.schedules(given, steps)
