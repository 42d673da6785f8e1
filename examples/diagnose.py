"""Why does it not learn? A deep network is asked layer by layer, before training and during it.

Twelve layers of tanh should read handwritten digits. With weights that are too small they learn nothing. The network is
a plain function that tags its layers by `checkpoint_name`, so any model may be asked like this. `fg.diagnose` finds
where the gradient is lost; with the initial weights that it proposes the same network learns. The same numbers,
evaluated at each epoch inside the compiled run, show how the gradients go on.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax.ad_checkpoint import checkpoint_name

import funcgd as fg
from funcgd import plots

LAYERS, WIDTH = 12, 32
KEYS = jax.random.split(jax.random.key(0), 4)
training, test, _ = fg.problems.split(fg.problems.digits(), KEYS[0], (1024, 256, 517))


def init(key, scale):
    sizes = [64, *[WIDTH] * LAYERS, 10]
    keys = jax.random.split(key, LAYERS + 1)
    return [scale * jax.random.normal(k, (n, m)) / jnp.sqrt(n) for k, n, m in zip(keys, sizes, sizes[1:], strict=False)]


def apply(params, x):
    for i, w in enumerate(params[:-1]):
        x = checkpoint_name(jnp.tanh(x @ w), f"layer {i + 1}")
    return x @ params[-1]


def loss(params, batch):
    return fg.softmax_cross_entropy_with_integer_labels(apply(params, batch["x"]), batch["y"]).mean()


def train(params):
    """The run, with the diagnosis of each epoch among its metrics."""
    ask = fg.diagnostics_metrics(None, loss, layers=["layer 1", "layer 6", "layer 12"])
    options = {"batch_size": 64, "epochs": 8, "validation": test, "metrics": ask, "progress": False}
    return fg.fit(loss, params, fg.sgd(0.05, momentum=0.9), training, key=KEYS[2], **options)


def main() -> dict[str, float]:
    ends, scores, axes = {}, {}, plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")[1]
    for ax, (name, scale) in zip(axes, {"weights too small": 0.4, "usual weights": 1.0}.items(), strict=True):
        params = init(KEYS[1], scale)
        found = fg.diagnose(None, params, training, loss)
        print(f"{name}\n{found}\n")
        plots.gradient_norms(found.gradient_norm, ylabel="‖δ‖", ax=ax).set_title(name)
        scores = train(params).history["validation"]
        ends[name] = float(scores["loss"][-1])
    norms = {name: np.asarray(x) for name, x in scores.items() if name.endswith("/gradient_norm")}
    plots.learning_curves(norms).set(ylabel="‖δ‖, the usual weights")
    print({name: f"validation loss {value:.3f}" for name, value in ends.items()})
    assert ends["usual weights"] < 1 < 2.2 < ends["weights too small"]
    return ends


if __name__ == "__main__":
    main()
    plt.show()
