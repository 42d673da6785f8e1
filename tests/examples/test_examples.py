"""The examples run, and their own checks at the end hold."""

import functools
import importlib.util
import types
from pathlib import Path

import jax
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_digits(tmp_path, monkeypatch, capsys):
    """With fewer optimizers, and Adam as it is: its accuracy is the claim."""
    with jax.numpy_dtype_promotion("standard"):
        example = load("digits")
        chosen = {"Adam": example.RUNS["Adam"], "SGD": (example.RUNS["SGD"][0], 1, 2)}
        monkeypatch.setattr(example, "RUNS", chosen)
        means = example.main(tmp_path / "figure.png")
    assert means["Adam"] >= 0.96
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    shown = capsys.readouterr()
    assert "SGD" in shown.out
    assert str(tmp_path / "figure.png") in shown.out
    assert "100%" in shown.err


def check_model(name, library, capsys, *, least, shown):
    """A model of another library: its held-out accuracy in inference mode is the claim."""
    pytest.importorskip(library)
    with jax.numpy_dtype_promotion("standard"):
        assert load(name).main() >= least
    assert shown in capsys.readouterr().out


def test_equinox_model(capsys):
    check_model("equinox_model", "equinox", capsys, least=0.95, shown="training mode")


def test_flax_linen(capsys):
    check_model("flax_linen", "flax.linen", capsys, least=0.94, shown="least sure quarter")


def test_flax_nnx(capsys):
    check_model("flax_nnx", "flax.nnx", capsys, least=0.97, shown="read as")


def test_hypergradient(capsys):
    """The learnt schedule lowers the validation loss tenfold, below that of any run drawn by chance."""
    with jax.numpy_dtype_promotion("standard"):
        losses = load("hypergradient").main()
    assert losses["hypergradient"] == min(losses.values())
    assert losses["hypergradient"] < 0.1 * losses["start"]
    assert "learning rates in 7 parts" in capsys.readouterr().out


def test_own_loop(capsys):
    """Drawing hard examples saves steps, and both runs end because they reached the training loss."""
    with jax.numpy_dtype_promotion("standard"):
        steps = load("own_loop").main()
    assert steps[1.0] <= 0.9 * steps[0.0] < 2000
    assert capsys.readouterr().out.count("TARGET_VALUE") == 2


def test_privacy(monkeypatch, capsys):
    """With fewer runs: the attacker succeeds without noise, and with it no more than theory allows."""
    with jax.numpy_dtype_promotion("standard"):
        example = load("privacy")
        monkeypatch.setattr(example, "RUNS", 60)
        # It computes for long, and deserves better code than tests are compiled to.
        well = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 2})
        monkeypatch.setattr(example, "jax", types.SimpleNamespace(**{**vars(jax), "jit": well}))
        rows = example.main()
    assert rows[0.0][0] > 0.92
    for sigma in (1.0, 2.0, 4.0):
        accuracy, advantage, most = rows[sigma]
        assert accuracy > 0.65
        assert advantage < most
        assert rows[0.0][1] - advantage > 0.25
    assert "2.72" in capsys.readouterr().out  # ε at σ = 2


def test_larger_than_memory(capsys):
    """Memory grows by the buffers and little more, and the network has seen enough to read digits held out."""
    with jax.numpy_dtype_promotion("standard"):
        grown, accuracy = load("larger_than_memory").main()
    assert grown < 0.25
    assert accuracy >= 0.95
    assert "68.2 MB" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:.*unfinished:RuntimeWarning")  # the kill may come while a checkpoint is written
def test_resume_after_kill(capsys):
    """It goes on from a checkpoint, not from the start, and its own check compares every bit."""
    pytest.importorskip("orbax.checkpoint")
    with jax.numpy_dtype_promotion("standard"):
        first = load("resume_after_kill").main()
    assert 30 < first < 240
    assert "exit status -9" in capsys.readouterr().out


def test_sweep(capsys):
    """The best pair of the table, trained by itself, is what it was in the sweep, and reads the digits."""
    with jax.numpy_dtype_promotion("standard"):
        assert load("sweep").main() >= 0.95
    shown = capsys.readouterr().out
    assert "Sweep of 63 members" in shown
    assert "The best: sgd(learning_rate=0.3, momentum=0.9)" in shown


def test_language_model(capsys):
    """Smaller: what is learnt in so few steps is more than how often each letter comes, and more by Muon."""
    with jax.numpy_dtype_promotion("standard"):
        example = load("language_model")
        ends = example.main(width=32, layers=1, context=32, count=60_000, batch_size=8)
    shares = np.unique(example.text(60_000), return_counts=True)[1] / 60_000
    assert ends["Muon"] < ends["AdamW"] < -np.sum(shares * np.log2(shares))
    assert "layers/attend  muon" in capsys.readouterr().out


def test_race(tmp_path, capsys):
    """Methods that know the curvature need a hundredth of the steps."""
    with jax.numpy_dtype_promotion("standard"):
        steps = load("race").main(tmp_path / "race.gif")
    assert 20 * steps["Newton"] < 20 * steps["BFGS"] < 2 * steps["momentum"] < steps["gradient descent"]
    assert (tmp_path / "race.gif").stat().st_size > 10_000
    assert "Newton" in capsys.readouterr().out


def test_landscape(capsys):
    """Below the limit that the largest eigenvalue sets, descent stays at the minimum; above it, it leaves."""
    with jax.numpy_dtype_promotion("standard"):
        limit, below, above = load("landscape").main()
    assert 0.1 < limit < 10
    assert below < above
    assert "largest eigenvalues" in capsys.readouterr().out


def test_diagnose(capsys):
    with jax.numpy_dtype_promotion("standard"):
        ends = load("diagnose").main()
    assert ends["usual weights"] < 1 < 2.2 < ends["weights too small"]
    shown = capsys.readouterr().out
    assert "The gradient vanishes in layer 1" in shown
    assert "No layer's gradient vanishes or explodes." in shown


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    pytest.importorskip("matplotlib.pyplot").close("all")


def test_every_example_has_its_test():
    """Those in Optax's words have theirs in tests/interop."""
    named = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == named - {"every_example_has_its_test"}
