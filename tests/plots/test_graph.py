"""Computational graphs, drawn: what is written where, and that nothing hides anything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import funcgd as fg
from funcgd import plots


def inside(ax, box):
    """The texts in a node, from top to bottom."""
    low, high = box.get_bbox().min, box.get_bbox().max
    texts = [t for t in ax.texts if np.all(low < t.get_position()) and np.all(t.get_position() < high)]
    return [t.get_text() for t in sorted(texts, key=lambda t: -t.get_position()[1])]


def nodes(ax):
    return {inside(ax, box)[0]: box for box in ax.patches if isinstance(box, FancyBboxPatch)}


def arrows(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def test_the_first_example(given_ax):
    drawn = fg.computational_graph(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0)
    ax = plots.graph(drawn, ax=given_ax)
    assert ax is given_ax
    boxes = nodes(ax)
    assert {name: inside(ax, box)[1:] for name, box in boxes.items()} == {
        "x": ["→ −2", "← −4"],
        "y": ["→ 5", "← −4"],
        "z": ["→ −4", "← 3"],
        "v1 = add": ["→ 3", "← −4"],
        "v2 = mul": ["→ −12", "← 1"],
    }
    ends = {(arrow.patchA, arrow.patchB) for arrow in arrows(ax)}
    pairs = [("x", "v1 = add"), ("y", "v1 = add"), ("v1 = add", "v2 = mul"), ("z", "v2 = mul")]
    assert ends == {(boxes[a], boxes[b]) for a, b in pairs}
    assert sorted(t.get_text() for t in ax.texts[-4:]) == ["1", "1", "3", "−4"]
    assert boxes["v2 = mul"].get_linewidth() > boxes["v1 = add"].get_linewidth()
    assert boxes["x"].get_x() < boxes["v1 = add"].get_x() < boxes["v2 = mul"].get_x()


def test_arrays_by_shape_and_norm_and_constants_in_grey():
    ax = plots.graph(fg.computational_graph(lambda x: 2.0 * jnp.sum(x), jnp.array([3.0, 4.0])))
    assert inside(ax, nodes(ax)["x"]) == ["x", "→ (2) ‖5‖", "← (2) ‖2.83‖"]
    assert nodes(ax)["2"].get_facecolor()[:3] == pytest.approx((0.93, 0.93, 0.93))
    assert len(inside(ax, nodes(ax)["2"])) == 2  # a constant has no gradient


def test_two_uses_are_two_arrows_that_bend_apart():
    ax = plots.graph(fg.computational_graph(lambda x: x * x, 3.0))
    first, second = [arrow.get_connectionstyle().rad for arrow in arrows(ax)]
    assert first == -second != 0


def test_edges_lead_around_nodes_and_labels_stand_free():
    w, x = jnp.array([2.0, -3.0]), jnp.array([-1.0, -2.0])
    neuron = lambda w, x, b: jax.nn.sigmoid(w[0] * x[0] + w[1] * x[1] + b)  # noqa: E731
    drawn = fg.computational_graph(neuron, w, x, -3.0)
    ax = plots.graph(drawn)
    ax.figure.canvas.draw()
    boxes = list(nodes(ax).values())
    for arrow in arrows(ax):
        curve = arrow.get_path().interpolated(50).vertices
        for box in boxes:
            if box not in (arrow.patchA, arrow.patchB):
                low, high = box.get_bbox().min, box.get_bbox().max
                assert not np.any(np.all((low < curve) & (curve < high), axis=1))
    labels = [t.get_window_extent() for t in ax.texts if t.get_bbox_patch() is not None]
    assert len(labels) == len(drawn.edges)
    for i, label in enumerate(labels):
        assert not any(label.overlaps(other) for other in labels[:i])
        assert not any(label.overlaps(box.get_window_extent()) for box in boxes)


def test_refuses_what_is_no_graph():
    with pytest.raises(TypeError, match="graph: `drawn` must be"):
        plots.graph(lambda x: x)
