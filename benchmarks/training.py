"""Training runs on digits-shaped data: fg.fit and fg.train beside loops written by hand with Optax."""

import jax
import jax.numpy as jnp
import optax
from harness import compare

import funcgd as fg

N, EPOCHS = 1280, 10
KEY = jax.random.key(0)
DATA = fg.problems.digits()
DATA = {name: jnp.asarray(x[:N]) for name, x in DATA.items()}


def loss_of(model):
    def loss(params, batch):
        return fg.softmax_cross_entropy_with_integer_labels(model.apply(params, batch["x"]), batch["y"]).mean()

    return loss


def scan_by_hand(loss, make, batch_size, epochs=EPOCHS):
    """One compiled program for the whole run, as an expert writes it; `make(rate)` may hold the rate in its closure."""

    def run(rate, params):
        tx = make(rate)

        def step(carry, indices):
            params, state = carry
            batch = jax.tree.map(lambda x: x[indices], DATA)
            value, grads = jax.value_and_grad(loss)(params, batch)
            updates, state = tx.update(grads, state, params)
            return (optax.apply_updates(params, updates), state), value

        order = jnp.concatenate([jax.random.permutation(jax.random.key(e), N) for e in range(epochs)])
        return jax.lax.scan(step, (params, tx.init(params)), order.reshape(-1, batch_size))

    return run


def python_loop(loss, tx, batch_size):
    """The usual loop: a jitted step, called from Python for each batch."""

    @jax.jit
    def step(params, state, batch):
        value, grads = jax.value_and_grad(loss)(params, batch)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    def run(params):
        state = tx.init(params)
        for epoch in range(EPOCHS):
            order = jax.device_get(jax.random.permutation(jax.random.key(epoch), N)).reshape(-1, batch_size)
            for indices in order:
                batch = jax.tree.map(lambda x, indices=indices: x[indices], DATA)
                params, state, value = step(params, state, batch)
        return params, value

    return run


def fit(loss, params, tx, batch_size, epochs=EPOCHS):
    run = fg.fit(loss, params, tx, DATA, batch_size=batch_size, epochs=epochs, key=KEY, progress=False)
    return run.params


def main() -> None:
    networks = {
        "logistic regression, batch 1": (fg.logistic(64, 10), 1, 0.1),
        "64–32–10, batch 1": (fg.multilayer_perceptron([64, 32, 10]), 1, 0.1),
        "64–128–128–10, batch 64": (fg.multilayer_perceptron([64, 128, 128, 10]), 64, 1e-3),
    }
    for name, (model, batch_size, rate) in networks.items():
        loss, params = loss_of(model), model.init(KEY)
        ours, theirs = (fg.sgd, optax.sgd) if batch_size == 1 else (fg.adam, optax.adam)
        by_hand = jax.jit(scan_by_hand(loss, theirs, batch_size))
        runs = {
            "scan by hand, Optax": lambda by_hand=by_hand, rate=rate, params=params: by_hand(rate, params),
            "fg.fit": lambda loss=loss, params=params, tx=ours(rate), size=batch_size: fit(loss, params, tx, size),
        }
        loop = python_loop(loss, theirs(rate), batch_size)
        runs["Python loop around a jitted step, Optax"] = lambda loop=loop, params=params: loop(params)
        compare(f"{name}, {EPOCHS * N // batch_size} steps", runs, repeats=7, warm_up=1)

    model = fg.multilayer_perceptron([64, 128, 128, 10])
    loss, params, rates = loss_of(model), model.init(KEY), [1e-4 * 1.7**i for i in range(10)]

    def cold(run):
        def measured():
            jax.clear_caches()  # so that each begins like a new process
            return run()

        return measured

    def ten_new_programs():
        run = scan_by_hand(loss, optax.adam, 64, epochs=2)
        return [jax.jit(run, static_argnums=0)(rate, params)[1][-1] for rate in rates]

    def ten_injected():
        injected = optax.inject_hyperparams(optax.adam)
        jitted = jax.jit(scan_by_hand(loss, lambda rate: injected(learning_rate=rate), 64, epochs=2))
        return [jitted(rate, params)[1][-1] for rate in rates]

    def ten_fits():
        return [fit(loss, params, fg.adam(rate), 64, epochs=2) for rate in rates]

    runs = {
        "ten Optax optimizers": cold(ten_new_programs),
        "inject_hyperparams": cold(ten_injected),
        "ten fg.fit": cold(ten_fits),
    }
    compare("ten learning rates one after the other, 2 epochs each, compilation included", runs, repeats=5, warm_up=0)


if __name__ == "__main__":
    main()
