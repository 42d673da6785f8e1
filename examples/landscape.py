"""Where did training end? The loss around the weights of a small network, and the curvature there.

The surface is the loss of a perceptron on scikit-learn's handwritten digits, along two random directions scaled like
the weights; the line goes from the initial weights to those found. The Hessian of all 2,410 weights is never formed:
its largest eigenvalues, and the density of all of them, come from products with vectors. Gradient descent that starts
next to the minimum stays there with a learning rate a little below 2/λ, and leaves it with one a little above.
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

import funcgd as fg
from funcgd import plots

KEYS = jax.random.split(jax.random.key(0), 6)
model = fg.multilayer_perceptron([64, 32, 10], "tanh")
training, test, _ = fg.problems.split(fg.problems.digits(), KEYS[0], (512, 256, 1029))


def data_loss(params, batch):
    return fg.softmax_cross_entropy_with_integer_labels(model.apply(params, batch["x"]), batch["y"]).mean()


loss = fg.l2_penalty(data_loss, 0.01)


def after(params, learning_rate):
    """The loss after 100 steps of gradient descent, from a place nearby."""
    nearby = fg.tree.add_scale(params, 1e-3, model.init(KEYS[1]))
    run = fg.minimize(loss, nearby, fg.gradient_descent(learning_rate), args=(training,), max_steps=100, record=True)
    return float(run.history["value"][-1])


def main() -> tuple[float, float, float]:
    first = model.init(KEYS[1])
    run = fg.minimize(loss, first, fg.LBFGS(), args=(training,), max_steps=500, stop=fg.stop.gradient_norm(1e-3))
    found = float(run.value)
    print(f"loss {loss(first, training):.3f} → {found:.4f} in {run.steps} steps; ", end="")
    print(f"without the penalty {data_loss(run.params, training):.3f}, test digits {data_loss(run.params, test):.3f}")

    top = fg.hessian_eigenvalues(loss, run.params, training, 3, KEYS[3])
    limit = 2 / float(top.values[0])
    below, above = after(run.params, 0.9 * limit), after(run.params, 1.1 * limit)
    print("largest eigenvalues of the Hessian:", np.round(top.values, 2))
    print(f"2/λ = {limit:.2f}; loss after 100 steps with 0.9 of it {below:.4f}, with 1.1 of it {above:.4f}")
    assert below < found + 1e-3 < above, "the largest eigenvalue sets the limit"

    surface = fg.loss_landscape(loss, run.params, training, KEYS[4], points=25)
    plots.landscape(surface.a, surface.b, surface.loss)
    line = fg.interpolate_loss(loss, first, run.params, training, alpha=np.linspace(-0.25, 1.5, 36))
    ends = {"training": line.loss}
    ends["test"] = fg.interpolate_loss(loss, first, run.params, test, alpha=line.alpha).loss
    plots.learning_curves(ends, line.alpha, xlabel="α: 0 are the initial weights, 1 those found")

    density = fg.spectral_density(loss, run.params, training, KEYS[5], steps=40, probes=2)
    shown = {"all eigenvalues": np.maximum(density.density, 1e-6)}
    plots.learning_curves(shown, density.eigenvalues, xlabel="eigenvalue of the Hessian").set(
        ylabel="density", ylim=(1e-4, 50)
    )
    return limit, below, above


if __name__ == "__main__":
    main()
    plt.show()
