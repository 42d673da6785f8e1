"""What is made of single examples, as in Optax: private aggregation, micro-batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

optax = pytest.importorskip("optax")

PARAMS = {"w": jnp.ones((3, 2)), "b": jnp.zeros(2)}
EACH = [{"w": jnp.sin(jnp.arange(24.0) + i).reshape(4, 3, 2), "b": jnp.ones((4, 2)) * i} for i in range(5)]


def same(a, b, rtol=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-6), a, b)


def run(tx):
    params, state = PARAMS, tx.init(PARAMS)
    for grads in EACH:
        updates, state = tx.update(grads, state, params)
        params = jax.tree.map(lambda p, u: p + u, params, updates)
    return params


@pytest.mark.filterwarnings("ignore:.seed. is deprecated:DeprecationWarning")  # of their own argument
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}])
def test_same_private_descent_without_noise(options):
    same(run(fg.dpsgd(0.1, 1.5, 0.0, 0, **options)), run(optax.contrib.dpsgd(0.1, 1.5, 0.0, 0, **options)))


def test_same_scale_of_noise():
    zeros = jnp.zeros((4, 20_000))
    ours = fg.differentially_private_aggregate(2.0, 1.5, 0)
    theirs = optax.contrib.differentially_private_aggregate(2.0, 1.5, 0)
    found = [float(jnp.std(tx.update(zeros, tx.init(zeros[0]), zeros[0])[0])) for tx in (ours, theirs)]
    np.testing.assert_allclose(found, 0.75, rtol=5 / 40_000**0.5)


X, Y = jnp.sin(jnp.arange(24.0)).reshape(8, 3), jnp.cos(jnp.arange(8.0))


@pytest.mark.parametrize("kind", ["MEAN", "SUM", "RUNNING_MEAN", "CONCAT"])
@pytest.mark.parametrize("real", [None, 2])
def test_same_microbatch_and_micro_vmap(kind, real):
    def both(library):
        micro, kind_ = library.microbatching, library.microbatching.AccumulationType[kind]
        of_batch = micro.microbatch(lambda x, *, y: (x * y[:, None], y.mean()), 0, 2, kind_, argnames="y")
        of_some = micro.microbatch(lambda x: x, 0, 2, kind_, num_real_microbatches=real)
        each = micro.micro_vmap(lambda a, x: a * x, (None, 0), microbatch_size=4, accumulator=kind_)
        return of_batch(X, y=Y), of_some(X), each(2.0, X)

    same(both(fg), both(optax))


def test_same_reshape():
    for axis in (0, 1):
        x = jnp.arange(24).reshape(4, 6)
        np.testing.assert_array_equal(
            fg.microbatching.reshape_batch_axis(x, 2, axis), optax.microbatching.reshape_batch_axis(x, 2, axis)
        )


@pytest.mark.parametrize("keep", [True, False])
def test_same_micro_grad(keep):
    def loss(w, x, y):
        return jnp.mean((x @ w - y) ** 2), {"x": x}

    def of(library):
        micro = library.microbatching
        return micro.micro_grad(
            loss,
            True,
            batch_argnums=(1, 2),
            keep_batch_dim=keep,
            microbatch_size=2,
            accumulator=micro.AccumulationType.MEAN,
            transform_fn=lambda g: (g, g**2),
            metrics_fn=jnp.linalg.norm,
        )(jnp.ones(3), X, Y)

    ours, theirs = of(fg), of(optax)
    same(ours[0], theirs[0])
    same(tuple(ours[1]), tuple(theirs[1]))
    assert ours[1]._fields == theirs[1]._fields
