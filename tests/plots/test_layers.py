"""Gradient norms, dead and saturated units, by layer."""

import numpy as np
import pytest

from funcgd import plots


def test_norms_by_layer(given_ax):
    norms = {"first": np.float32(1e-6), "second": 1e-3, "third": 1.0}
    ax = plots.gradient_norms(norms, bound={"first": 0.01, "second": 0.1, "third": 1.0}, ax=given_ax)
    assert ax is given_ax
    bound, measured = ax.lines
    np.testing.assert_allclose(measured.get_ydata(), [1e-6, 1e-3, 1.0], rtol=1e-6)
    np.testing.assert_allclose(bound.get_ydata(), [0.01, 0.1, 1.0])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["first", "second", "third"]
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["bound", "measured"]


def test_what_a_logarithmic_axis_has_no_place_for_is_written():
    ax = plots.gradient_norms({"a": 0.0, "b": 1.0, "c": np.inf, "d": np.nan})
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [np.nan, 1, np.nan, np.nan])
    assert [(text.get_text(), text.get_position()[0]) for text in ax.texts] == [("0", 0), ("∞", 2), ("NaN", 3)]
    ax.figure.canvas.draw()


def test_shares_are_bars(given_ax):
    ax = plots.unit_shares({"a": 0.25, "b": np.nan, "c": 0.0}, {"b": 1.0, "c": 0.5}, ax=given_ax)
    assert ax is given_ax
    bars = {container.get_label(): container for container in ax.containers}
    assert [bar.get_height() for bar in bars["dead"]] == [25, 0]
    assert [bar.get_height() for bar in bars["saturated"]] == [100, 50]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a", "b", "c"]
    centres = [bar.get_x() + bar.get_width() / 2 for bar in [*bars["dead"], *bars["saturated"]]]
    np.testing.assert_allclose(centres, [0, 1.8, 1, 2.2])  # those alone in their layer stand in its middle
    assert plots.unit_shares(saturated={"a": 0.5}).get_ylabel() == "share of saturated units in %"


@pytest.mark.parametrize(
    ("norms", "bound", "message"),
    [
        ([1.0], None, "mapping"),
        ({}, None, "at least one"),
        ({"a": -1.0}, None, "at least 0, got -1"),
        ({"a": [1.0, 2.0]}, None, r"`norms\['a'\]` must have shape"),
        ({"a": 1.0}, {"b": 1.0}, "layers of `norms`, a; got b"),
    ],
)
def test_norms_refuse(norms, bound, message):
    with pytest.raises((TypeError, ValueError), match=message):
        plots.gradient_norms(norms, bound=bound)


def test_shares_refuse():
    with pytest.raises(ValueError, match="neither"):
        plots.unit_shares()
    with pytest.raises(ValueError, match=r"`dead\['a'\]` must be from 0 to 1, got 25"):
        plots.unit_shares({"a": 25.0})
