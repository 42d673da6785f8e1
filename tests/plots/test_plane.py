"""Maps of the plane: contour maps with paths, level curves with gradient and tangent, and the race."""

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.quiver import Quiver
from PIL import Image

import funcgd as fg
from funcgd import plots

SQUARE = (-3.0, 3.0)


def bowl(x):
    return 9 * x[0] ** 2 + x[1] ** 2


def path_by_hand(rate, steps, start=(2.0, 2.0)):
    return np.array([[(1 - 18 * rate) ** k * start[0], (1 - 2 * rate) ** k * start[1]] for k in range(steps + 1)])


def line(ax, label):
    (found,) = [line for line in ax.lines if line.get_label() == label]
    return found


def test_paths_are_those_of_the_optimizers():
    run = fg.minimize(bowl, jnp.array([2.0, 2.0]), fg.sgd(0.05), max_steps=8, record=True)
    assert run.history is not None
    paths = {"result": run, "history": run.history, "array": path_by_hand(0.01, 50)}
    ax = plots.contour(bowl, SQUARE, SQUARE, paths=paths, minimizers=[0, 0])
    np.testing.assert_allclose(line(ax, "result").get_xydata(), path_by_hand(0.05, 8), rtol=1e-5)
    np.testing.assert_array_equal(line(ax, "history").get_xydata(), line(ax, "result").get_xydata())
    np.testing.assert_array_equal(line(ax, "array").get_xydata(), path_by_hand(0.01, 50))
    assert [len(line(ax, name).get_markevery()) for name in ("result", "array")] == [9, 1]
    assert len({line(ax, name).get_color() for name in paths}) == 3
    stars = [line for line in ax.lines if line.get_marker() == "*"]
    assert stars[0].get_xydata().tolist() == [[0, 0]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["result", "history", "array"]


def test_points_in_a_tree_and_points_that_are_not_finite():
    history = {"params": {"a": np.array([1.0, 2.0, np.inf]), "b": np.array([[3.0], [4.0], [5.0]])}}
    ax = plots.contour(bowl, SQUARE, SQUARE, paths={"tree": history})
    np.testing.assert_array_equal(line(ax, "tree").get_xydata(), [[1, 3], [2, 4], [np.nan, 5]])


def test_curves_lie_at_their_levels():
    ax = plots.contour(bowl, SQUARE, SQUARE, levels=[1.0, 4.0, 9.0])
    curves = ax.collections[-1]
    for level, path in zip((1.0, 4.0, 9.0), curves.get_paths(), strict=True):
        np.testing.assert_allclose(bowl(path.vertices.T), level, atol=0.05)
    assert ax.get_xlim() == ax.get_ylim() == SQUARE
    assert ax.get_aspect() == 1


def test_levels_at_equal_ratios():
    ax = plots.contour(fg.problems.rosenbrock().fun, (-2, 2), (-1, 3), levels=8, log=True)
    levels = ax.collections[-1].levels
    steps = np.diff(np.log(levels))  # the lowest value on the grid is almost 0
    assert len(levels) == 8
    np.testing.assert_allclose(steps, steps[0], rtol=0.01)
    assert levels[-1] / levels[0] > 1000


def test_holes_where_the_function_is_not_finite():
    ax = plots.contour(lambda x: jnp.log(x[0]) + x[1], (-1, 1), (-1, 1), levels=[0.0])
    assert ax.collections[-1].get_paths()[0].vertices[:, 0].min() > 0


def test_the_gradient_is_perpendicular_to_the_tangent_and_the_curve_goes_through_the_point():
    ax = plots.level_curves(bowl, (1.0, 2.0), (-2, 3), (-1, 4))
    gradient, tangent = [np.array([q.U[0], q.V[0]]) for q in ax.collections if isinstance(q, Quiver)]
    np.testing.assert_allclose(gradient / np.linalg.norm(gradient), np.array([18, 4]) / np.sqrt(340), rtol=1e-6)
    assert abs(gradient @ tangent) < 1e-6
    np.testing.assert_allclose(np.linalg.norm(gradient), np.linalg.norm(tangent), rtol=1e-6)
    own = [c for c in ax.collections if not isinstance(c, Quiver)][-1].get_paths()[0].vertices
    np.testing.assert_allclose(bowl(own.T), 13, atol=0.1)
    assert np.linalg.norm(own - [1, 2], axis=1).min() < 0.05
    assert "‖∇f‖ = 18.44" in ax.get_legend().get_texts()[1].get_text()


def test_the_race_is_a_moving_picture(tmp_path, given_ax):
    paths = {"slow": path_by_hand(0.01, 6), "short": path_by_hand(0.05, 2)}
    ax = plots.race(bowl, paths, SQUARE, SQUARE, tmp_path / "race.gif", frames=4, frames_per_second=10, ax=given_ax)
    with Image.open(tmp_path / "race.gif") as movie:
        assert movie.n_frames == 4  # the last one, held for a second, is one picture
        first = np.asarray(movie.convert("RGB"))
        movie.seek(3)
        assert np.any(np.asarray(movie.convert("RGB")) != first)
        assert movie.info["duration"] >= 1000
    np.testing.assert_array_equal(line(ax, "slow").get_xydata(), paths["slow"])
    assert line(ax, "short").get_markevery() == [2]
    assert ax is given_ax
    assert ax.get_title() == "step 6"


def test_the_race_in_a_part_of_a_figure(tmp_path):
    ax = plt.figure(figsize=(2, 1)).subfigures(1, 2)[0].subplots()
    plots.race(bowl, {"a": path_by_hand(0.01, 1)}, SQUARE, SQUARE, tmp_path / "race.gif", ax=ax)
    with Image.open(tmp_path / "race.gif") as movie:
        assert (movie.n_frames, movie.size) == (2, (160, 80))


def test_maps_go_where_they_are_asked(given_ax):
    before = plt.get_fignums()
    assert plots.contour(bowl, SQUARE, SQUARE, ax=given_ax) is given_ax
    assert plots.level_curves(bowl, (1.0, 1.0), SQUARE, SQUARE, ax=given_ax) is given_ax
    assert plt.get_fignums() == before
    assert len(given_ax.figure.axes) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xlim": (1, 1)}, "contour: `xlim` must be (low, high)"),
        ({"ylim": (0, np.inf)}, "contour: `ylim` must be (low, high)"),
        ({"fun": lambda x: x}, "contour: `fun` must return one real floating number"),
        ({"fun": lambda x: 0 * x[0]}, "contour: `fun` must vary"),
        ({"fun": lambda x: jnp.nan * x[0]}, "contour: `fun` must be finite somewhere"),
        ({"levels": 0}, "contour: `levels` must be at least 1"),
        ({"levels": [2.0, 1.0]}, "contour: `levels` must rise"),
        ({"paths": {"a": np.ones((4, 3))}}, "contour: `paths['a']` must have shape (steps, 2), got (4, 3)"),
        ({"paths": {"a": {"loss": [1.0]}}}, "contour: `paths['a']` must have \"params\" in its history, got loss"),
        ({"paths": [1.0]}, "contour: `paths` must be a mapping"),
        ({"minimizers": [1.0, 2.0, 3.0]}, "contour: `minimizers` must have shape (2,) or (k, 2)"),
    ],
)
def test_maps_refuse(change, message):
    options = {"fun": bowl, "xlim": SQUARE, "ylim": SQUARE} | change
    with pytest.raises((TypeError, ValueError)) as error:
        plots.contour(**options)
    assert message in str(error.value)
    assert not plt.get_fignums(), "an error leaves no figure behind"


def test_a_path_without_history():
    run = fg.minimize(bowl, jnp.array([2.0, 2.0]), fg.sgd(0.05), max_steps=8)
    with pytest.raises(ValueError, match="record=True"):
        plots.contour(bowl, SQUARE, SQUARE, paths={"run": run})


@pytest.mark.parametrize(
    ("x", "message"),
    [((0.0, 0.0), "∇f is finite and not 0"), ((4.0, 0.0), "inside"), ((1.0,), "inside"), ("ab", "real numbers")],
)
def test_level_curves_refuse(x, message):
    with pytest.raises((TypeError, ValueError), match=message):
        plots.level_curves(bowl, x, SQUARE, SQUARE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "race.mp4"}, 'must end in ".gif"'),
        ({"file": "no such folder/race.gif"}, "folder that exists"),
        ({"paths": {}}, "at least one"),
        ({"frames": 1}, "race: `frames`"),
        ({"frames_per_second": 100}, "at most 50"),
    ],
)
def test_the_race_refuses(change, message):
    options = {"paths": {"a": path_by_hand(0.01, 2)}, "file": "race.gif"} | change
    with pytest.raises((TypeError, ValueError), match=message):
        plots.race(bowl, xlim=SQUARE, ylim=SQUARE, **options)
