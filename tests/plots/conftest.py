"""Pictures are drawn without a screen, and closed after each test."""

import matplotlib
import matplotlib.pyplot as plt
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    plt.close("all")


@pytest.fixture
def given_ax():
    """An `ax` of the caller, with one beside it."""
    return plt.figure(figsize=(6, 3)).subplots(1, 2)[0]
