"""Five methods race down Rosenbrock's valley: an animation, and what each step has cost.

The valley is curved and a hundred times steeper across than along. Descent follows its floor in tiny steps, momentum
swings from side to side, Adam keeps a steady pace. Methods that know the curvature turn with the valley: BFGS, which
learns it from gradients, takes some thirty steps, Newton's method not twenty.
"""

import tempfile
from pathlib import Path

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import funcgd as fg
from funcgd import plots

METHODS = {
    "gradient descent": fg.gradient_descent(0.001),
    "momentum": fg.sgd(0.001, momentum=0.9),
    "Adam": fg.adam(0.05),
    "BFGS": fg.BFGS(),
    "Newton": fg.Newton(),
}
rosenbrock = fg.problems.rosenbrock()
start = jnp.array([-1.2, 1.0])


def main(file: Path) -> dict[str, int]:
    runs, steps = {}, {}
    stop = fg.stop.target_value(1e-3)
    for name, method in METHODS.items():
        run = fg.minimize(rosenbrock.fun, start, method, max_steps=20_000, stop=stop)
        steps[name] = int(run.steps)
        runs[name] = fg.minimize(rosenbrock.fun, start, method, max_steps=150, record=True)
        print(f"{name:<17} {steps[name]:>6} steps to f < 0.001; after 150: f = {runs[name].history['value'][-1]:.1e}")

    limits = (-2.4, 1.6), (-0.6, 1.7)
    plots.race(rosenbrock.fun, runs, *limits, file, minimizers=rosenbrock.minimizers, log=True, frames=40)
    values = {name: np.asarray(run.history["value"]) + 1e-16 for name, run in runs.items()}
    longest = max(map(len, values.values()))
    padded = {name: np.pad(v, (0, longest - len(v)), mode="edge") for name, v in values.items()}
    ax = plots.learning_curves(padded, np.arange(longest), xlabel="step")
    ax.set(ylabel="f", ylim=(1e-12, 1e3))
    assert steps["Newton"] < steps["BFGS"] < steps["momentum"] < steps["gradient descent"]
    return steps


if __name__ == "__main__":
    animation = Path(tempfile.mkdtemp()) / "race.gif"
    main(animation)
    print("written:", animation.name)
    plt.show()
