"""A training loop of one's own, from the pieces that `fit` is made of: it draws hard examples more often.

`fg.fit` visits every example once in each epoch. Here the latest loss of each is kept beside the training state, and
batches are drawn in proportion to it, weighted so that the gradient is right on average. There are compiled chunks of
steps, a schedule, evaluation and stopping rules. Counted are the steps until the loss on scikit-learn's digits is 0.03.
"""

from functools import partial

import jax
import jax.numpy as jnp

import funcgd as fg

N, BATCH, CHUNK = 1078, 16, 50  # training examples, examples in a step, steps between two evaluations
SPLIT, INIT, DRAWS = jax.random.split(jax.random.key(0), 3)
RULE = fg.stop.target_value(0.03) | fg.stop.patience(10, metric="validation loss") | fg.stop.max_steps(4000)
model = fg.multilayer_perceptron([64, 64, 10], "relu", initializer="he_normal")
training, validation, test = fg.problems.split(fg.problems.digits(), SPLIT, (N, 359, 360))
tx = fg.adam(fg.warmup_cosine_decay_schedule(0.0, 3e-3, 100, 4000))


def losses(params, batch):
    return fg.softmax_cross_entropy_with_integer_labels(model.apply(params, batch["x"]), batch["y"])


def loss(params, batch):
    """The weighted mean of a batch; the loss of each example goes along as a metric, which may have any shape."""
    each = losses(params, batch)
    return jnp.mean(batch["weight"] * each), fg.Aux(metrics={"each": each})


def scores(params, batch):
    accuracy = (model.apply(params, batch["x"]).argmax(-1) == batch["y"]).mean()
    return {"loss": losses(params, batch).mean(), "accuracy": accuracy}


@partial(jax.jit, donate_argnums=(1, 2))  # the old state and losses are overwritten
def run_chunk(step, state, latest, hardness):
    """Some steps on batches in which an example comes with probability p ∝ (its latest loss)^hardness."""

    def body(carry, _):
        state, latest = carry
        p = jax.nn.softmax(hardness * jnp.log(latest + 0.01))
        rows = jax.random.choice(jax.random.fold_in(DRAWS, state.step), N, (BATCH,), p=p)
        batch = {"x": training["x"][rows], "y": training["y"][rows], "weight": 1 / (N * p[rows])}
        state, metrics = step(state, batch)
        return (state, latest.at[rows].set(metrics["each"])), None

    return jax.lax.scan(body, (state, latest), length=CHUNK)[0]


def train(hardness):
    """The steps that it took; prints the accuracy on test data where the validation loss was lowest."""
    step = fg.make_step(loss, tx)  # a value: another rate would be another argument of the same program
    state, latest = fg.TrainState.create(model.init(INIT), tx), jnp.full(N, 2.3)  # about log 10, as by guessing
    best, lowest, rule_state = None, float("inf"), RULE.init()
    while True:
        state, latest = run_chunk(step, state, latest, hardness)
        found, held_out = (fg.evaluate(scores, state.params, data) for data in (training, validation))
        if held_out["loss"] < lowest:
            best, lowest = jax.tree.map(jnp.copy, state.params), held_out["loss"]  # a copy, as the state is donated
        now = fg.Progress(state.step, found["loss"], metrics={"validation loss": held_out["loss"]})
        code, rule_state = RULE.test(now, rule_state)
        if code:
            break
    steps, reason, accuracy = int(state.step), fg.StopReason(int(code)), fg.evaluate(scores, best, test)["accuracy"]
    print(f"{hardness:>8}{steps:>7}{found['loss']:>15.4f}{lowest:>24.4f}{accuracy:>15.3f}   {reason}")
    return steps


def main() -> dict[float, int]:
    print("hardness  steps  training loss  lowest validation loss  test accuracy   stopped by")
    steps = {hardness: train(hardness) for hardness in (0.0, 1.0)}
    assert steps[1.0] <= 0.9 * steps[0.0], "drawing hard examples must save a tenth of the steps or more"
    return steps


if __name__ == "__main__":
    main()
