"""Learn a schedule: seven learning rates and the momentum of a training run, by descent on its validation loss.

The run trains a perceptron on scikit-learn's handwritten digits for 196 steps. Its validation loss is a differentiable
function of the optimizer, so one optimizer tunes another. As many runs with numbers drawn by chance stand beside it.
"""

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg

STEPS, BATCH, PARTS, OUTER = 196, 64, 7, 30
SPLIT, INIT = jax.random.split(jax.random.key(0))

model = fg.multilayer_perceptron([64, 32, 10], "tanh")
training, validation, test = fg.problems.split(fg.problems.digits(), SPLIT, (1280, 256, 261))
order = np.concatenate([np.random.default_rng(epoch).permutation(1280) for epoch in range(10)])[: STEPS * BATCH]
batches = jax.tree.map(lambda x: np.asarray(x)[order].reshape(STEPS, BATCH, *x.shape[1:]), training)


@fg.value
class steps_of:
    """The k-th of some numbers during the k-th part of the run."""

    numbers: jax.Array = fg.vector()

    def __call__(self, step):
        return jnp.asarray(self.numbers)[jnp.minimum(step * PARTS // STEPS, PARTS - 1)]


def optimizer(h):
    """The optimizer that eight unbounded numbers stand for."""
    return fg.sgd(steps_of(jnp.exp(h["log_rates"])), momentum=jax.nn.sigmoid(h["momentum"]))


def loss(params, batch):
    return fg.softmax_cross_entropy_with_integer_labels(model.apply(params, batch["x"]), batch["y"]).mean()


def train(h):
    tx = optimizer(h)
    state = fg.TrainState.create(model.init(INIT), tx)
    return fg.train(loss, tx, state, batches, segment=14)[0].params  # 2 · 14 states in memory, instead of 14 · 14


def score(h):
    """Validation loss, test loss and test accuracy of a run."""
    params = train(h)
    return loss(params, validation), loss(params, test), (model.apply(params, test["x"]).argmax(-1) == test["y"]).mean()


def main() -> dict[str, float]:
    start = {"log_rates": np.full(PARTS, np.log(0.01), np.float32), "momentum": np.float32(0)}
    descent = fg.chain(
        fg.clip_by_global_norm(1.0), fg.adam(0.2)
    )  # the gradient explodes where training nearly diverges
    learnt = fg.minimize(lambda h: loss(train(h), validation), start, descent, max_steps=OUTER, record=True)
    learnt = jax.device_get(learnt)
    uniform = np.random.default_rng(0).uniform(size=(OUTER, PARTS + 1)).astype(np.float32)
    drawn = {"log_rates": np.log(1e-3) * uniform[:, :-1], "momentum": 6 * uniform[:, -1] - 1}  # 0.001 … 1; 0.27 … 0.993
    candidates = jax.tree.map(lambda a, b, c: np.concatenate([[a], [b], c]), start, learnt.best, drawn)
    scores = np.stack(jax.lax.map(score, candidates), axis=1)

    print(f"outer step   validation loss   momentum   learning rates in {PARTS} parts of the run")
    for k in range(0, OUTER + 1, 5):
        rates = " ".join(f"{rate:.3f}" for rate in np.exp(learnt.history["params"]["log_rates"][k]))
        momentum = 1 / (1 + np.exp(-learnt.history["params"]["momentum"][k]))
        print(f"{k:>10}{learnt.history['value'][k]:>18.4f}{momentum:>11.3f}   {rates}")
    print(f"\n{'hyperparameters':<22}{'validation loss':>16}{'test loss':>12}{'test accuracy':>15}")
    lucky = scores[2:][np.nanargmin(scores[2:, 0])]
    rows = {"start": scores[0], "hypergradient": scores[1], f"best of {OUTER} by chance": lucky}
    for name, (v, t, accuracy) in rows.items():
        print(f"{name:<22}{v:>16.4f}{t:>12.4f}{accuracy:>15.3f}")
    assert rows["hypergradient"][0] < 0.1 * rows["start"][0], "the validation loss must fall to a tenth"
    return {name: float(v) for name, (v, _, _) in rows.items()}


if __name__ == "__main__":
    main()
