"""Derivatives of training: through minimize unrolled and train by segments, against other ways to compute them."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

A = np.array([[3.0, 1.0], [1.0, 2.0]])
CENTRE, START = np.array([1.0, -2.0]), np.array([0.5, 4.0])


def quadratic(x, centre):
    return (x - centre) @ jnp.asarray(A) @ (x - centre) / 2


GD = fg.gradient_descent(0.2)


def solve(x0=START, centre=CENTRE, tx=GD, max_steps=11, differentiate="unroll", **options):
    x0, centre = jnp.asarray(x0), jnp.asarray(centre)
    return fg.minimize(quadratic, x0, tx, args=(centre,), max_steps=max_steps, differentiate=differentiate, **options)


def test_gradient_descent_on_a_quadratic_is_linear_in_its_arguments(x64):
    """x_K = c + Mᴷ(x₀ − c) with M = I − ηA; so every derivative is known. K = 11 is no multiple of its segment."""
    k, rate, away = 11, 0.2, START - CENTRE

    def solution(x0, centre, rate):
        run = solve(x0, centre, fg.gradient_descent(rate), k)
        return run.params, run.value

    params, value = jax.jit(jax.jacrev(solution, (0, 1, 2)))(START, CENTRE, rate)
    before = np.linalg.matrix_power(np.eye(2) - rate * A, k - 1)
    m = before @ (np.eye(2) - rate * A)
    np.testing.assert_allclose(params[0], m, atol=1e-14)
    np.testing.assert_allclose(params[1], np.eye(2) - m, atol=1e-14)
    np.testing.assert_allclose(params[2], -k * A @ before @ away, rtol=1e-12)
    slope = m.T @ A @ m @ away  # f(x_K) = ½(Mᴷ(x₀ − c))ᵀA(Mᴷ(x₀ − c))
    np.testing.assert_allclose(value[0], slope, rtol=1e-12)
    np.testing.assert_allclose(value[1], -slope, rtol=1e-12)
    np.testing.assert_allclose(value[2], away @ m.T @ A @ (-k * A @ before @ away), rtol=1e-12)


@pytest.mark.parametrize("max_steps", [0, 9])
def test_derivatives_are_those_of_a_loop_in_python(x64, max_steps):
    rate, decay = 0.1, 0.7

    def by_hand(x, centre, rate, decay):
        velocity, values = jnp.zeros(2), []
        for _ in range(max_steps):
            values.append(quadratic(x, centre))
            velocity = decay * velocity + jax.grad(quadratic)(x, centre)
            x = x - rate * velocity
        return x.sum(), sum(values, quadratic(x, centre))

    def unrolled(x, centre, rate, decay):
        run = solve(x, centre, fg.sgd(rate, momentum=decay), max_steps, record=True)
        return run.params.sum(), run.history["value"].sum()

    at = (jnp.asarray(START), jnp.asarray(CENTRE), rate, decay)
    for ours, expected in zip(*(jax.jit(jax.jacrev(f, (0, 1, 2, 3)))(*at) for f in (unrolled, by_hand)), strict=True):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13), ours, expected)


def test_after_convergence_derivatives_are_those_of_the_steps_taken(x64):
    stop = fg.stop.gradient_norm(0.05)
    run, plain = (solve(max_steps=60, stop=stop, differentiate=d, record=True) for d in ("unroll", None))
    k = int(run.steps)
    assert run.reason is plain.reason is fg.StopReason.GRADIENT_NORM
    assert k == int(plain.steps) < 40
    for ours, theirs in zip(jax.tree.leaves(run._replace(aux=None)), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-14, atol=1e-16)
    m = np.linalg.matrix_power(np.eye(2) - 0.2 * A, k)
    slopes = jax.jit(jax.jacrev(lambda x: solve(x0=x, max_steps=60, stop=stop).params))(START)
    np.testing.assert_allclose(slopes, m, atol=1e-14)


def logarithm(x0, rate, max_steps=6):
    """x ← x − η/x; where x < 0 the logarithm is NaN, and the point before it is the result."""
    return fg.minimize(jnp.log, x0, fg.sgd(rate), max_steps=max_steps, differentiate="unroll")


def test_steps_that_are_not_taken_leave_no_nan(x64):
    """From 1 by 0.4: 0.6, then NaN, so x₁ = x₀ − η/x₀ is returned. From 3 all six steps are taken."""
    failed = logarithm(1.0, 0.4)
    assert (int(failed.steps), failed.reason) == (1, fg.StopReason.NON_FINITE)
    slopes = jax.grad(lambda *at: logarithm(*at).params, (0, 1))(1.0, 0.4)
    np.testing.assert_allclose(slopes, (1.4, -1.0), rtol=1e-14)

    starts = np.array([1.0, 3.0])
    x, slope = starts[1], 1.0
    for _ in range(6):
        x, slope = x - 0.4 / x, slope * (1 + 0.4 / x**2)
    expected = [1.4, slope]
    each = jax.vmap(jax.grad(lambda x: logarithm(x, 0.4).params))(starts)
    np.testing.assert_allclose(each, expected, rtol=1e-13)
    together = jax.grad(lambda xs: jax.vmap(lambda x: logarithm(x, 0.4).params)(xs).sum())(jnp.asarray(starts))
    np.testing.assert_allclose(together, expected, rtol=1e-13)


def test_best_and_what_fun_closes_over_are_differentiable(x64):
    """Steps of 1.5 go up, from 3 to −3: the best point is the first one."""

    def best(x0, centre):
        run = fg.minimize(lambda x: (x - centre) ** 2, x0, fg.sgd(1.5), max_steps=3, differentiate="unroll")
        return run.best, run.value, run.params

    slopes = jax.jacrev(best, (0, 1))(3.0, 1.0)
    np.testing.assert_allclose(slopes, [(1, 0), (4, -4), (-8, 9)])


def test_trees_aux_and_what_is_carried_are_those_of_the_plain_loop():
    """In half precision, with integers, names and keys in the tree and in the arguments."""

    def fun(x, key, order):
        noise = jax.random.normal(key, (3,))
        residual = x["w"].astype(jnp.float32) - noise[order]
        return jnp.sum(residual**2), {"residual": residual, "order": x["order"]}

    def run(differentiate, scale=1.0):
        x0 = {"w": scale * jnp.ones(3, jnp.bfloat16), "label": "w", "order": jnp.arange(2)}
        args, stop = (jax.random.key(0), jnp.array([2, 0, 1])), fg.stop.step_size(0.1)
        return fg.minimize(
            fun, x0, fg.adam(0.3), args=args, max_steps=30, stop=stop, has_aux=True, differentiate=differentiate
        )

    plain, ours = run(None), run("unroll")
    assert jax.tree.structure(plain) == jax.tree.structure(ours)
    assert ours.params["label"] == "w"
    assert 0 < int(ours.steps) == int(plain.steps) < 30
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(ours), strict=True):
        if not isinstance(a, str):
            np.testing.assert_allclose(np.asarray(a, np.float32), np.asarray(b, np.float32), rtol=1e-2, atol=1e-2)
    assert ours.params["w"].dtype == jnp.bfloat16
    slope = jax.grad(lambda scale: run("unroll", scale).value)(jnp.bfloat16(1.0))
    assert np.isfinite(float(slope))


SCHEDULED_ADAM = fg.adam(fg.exponential_decay(0.3, 10, 0.5), b1=0.8, b2=0.95, eps=0.01, eps_root=0.01)


def check(function, tx, h=1e-6):
    """The gradient of `function` at `tx`, against difference quotients in each of its numbers but lengths."""
    both = jax.jit(jax.value_and_grad(function))
    slopes = both(tx)[1]
    assert jax.tree.structure(slopes) == jax.tree.structure(tx)
    leaves, structure = jax.tree.flatten(tx)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tx)]
    for i, (path, slope) in enumerate(zip(paths, jax.tree.leaves(slopes), strict=True)):
        if not path.endswith("steps") and not path.endswith("begin"):  # they are rounded to whole steps
            moved = ([x + d * (i == j) for j, x in enumerate(leaves)] for d in (h, -h))
            up, down = (both(structure.unflatten(x))[0] for x in moved)
            assert abs(up - down) > 1e-12, path
            np.testing.assert_allclose(slope, (up - down) / (2 * h), rtol=1e-6, atol=1e-9, err_msg=path)
    return slopes


def test_numbers_of_the_method_against_difference_quotients(x64):
    check(lambda tx: solve(tx=tx, max_steps=10).value, SCHEDULED_ADAM)


WIDTH = 2048


def compiled_memory(function, *args):
    return jax.jit(jax.grad(function)).lower(*args).compile().memory_analysis().temp_size_in_bytes


def test_memory_of_unrolling_grows_like_the_root():
    def last(x0, steps):
        tx = fg.sgd(0.1, momentum=0.9)
        return fg.minimize(lambda x: jnp.sum(jnp.cos(x)), x0, tx, max_steps=steps, differentiate="unroll").value

    sizes = [compiled_memory(lambda x, k=k: last(x, k), jnp.ones(WIDTH)) for k in (64, 256, 1024)]
    assert all(more < 3 * less for less, more in pairwise(sizes)), sizes


def noisy_loss(w, batch, key):
    return jnp.sum((w - jax.random.normal(key, w.shape) - batch) ** 4) / w.size, fg.Aux(metrics={"batch": batch})


@pytest.mark.parametrize("segment", [1, 4, 5, 100])
def test_segments_change_no_digit(segment):
    tx = fg.adam(0.1)
    state = fg.TrainState.create(jnp.ones(3), tx, key=jax.random.key(1))
    batches = jnp.linspace(-1, 1, 12)
    plain, ours = (fg.train(noisy_loss, tx, state, batches, segment=s) for s in (None, segment))
    assert jax.tree.structure(plain) == jax.tree.structure(ours)
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(ours), strict=True):
        a, b = (jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x for x in (a, b))
        np.testing.assert_array_equal(a, b)


def training_loss(segment, batches):
    """The mean loss over a run of noisy steps, as a function of the optimizer; differentiable."""

    def run(tx):
        state = fg.TrainState.create(jnp.ones(3), tx, key=jax.random.key(1))
        return fg.train(noisy_loss, tx, state, batches, segment=segment)[1]["loss"].mean()

    return run


def test_hypergradients_by_segments_against_difference_quotients(x64):
    batches = jnp.linspace(-1, 1, 10)
    check(training_loss(4, batches), fg.sgd(0.01, momentum=0.8))
    slopes = check(training_loss(4, batches), SCHEDULED_ADAM)
    plain = jax.jit(jax.grad(training_loss(None, batches)))(SCHEDULED_ADAM)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11), slopes, plain)


def test_the_hypergradient_of_sgd_is_the_recursion_written_by_hand(x64):
    """For f_t = ½(w − b_t)ᵀA(w − b_t):  w' = w − ηA(w − b_t),  ∂w' = ∂w − A(w − b_t) − ηA∂w  for ∂ = d/dη."""
    rate, b = 0.15, np.random.default_rng(0).standard_normal((13, 2))
    w, slope = np.zeros(2), np.zeros(2)
    for t in range(len(b)):
        g = A @ (w - b[t])
        w, slope = w - rate * g, slope - g - rate * A @ slope

    def final(rate):
        tx = fg.sgd(rate)
        return fg.train(quadratic, tx, fg.TrainState.create(jnp.zeros(2), tx), b, segment=4)[0].params

    np.testing.assert_allclose(final(rate), w, rtol=1e-12)
    np.testing.assert_allclose(jax.jacrev(final)(rate), slope, rtol=1e-12)


def wave(w, batch):
    return jnp.mean(jnp.cos(w * batch))


def test_memory_of_segments_grows_like_the_root_and_plainly_like_the_number_of_steps():
    def final(tx, batches, segment):
        state = fg.TrainState.create(jnp.ones(WIDTH), tx)
        return jnp.sum(fg.train(wave, tx, state, batches, segment=segment)[0].params)

    tx, steps = fg.sgd(0.1, momentum=0.9), (64, 256, 1024)
    plain = [compiled_memory(lambda tx, b: final(tx, b, None), tx, jnp.ones(k)) for k in steps]
    ours = [compiled_memory(lambda tx, b, k=k: final(tx, b, int(k**0.5)), tx, jnp.ones(k)) for k in steps]
    assert all(3.8 < more / less < 4.2 for less, more in pairwise(plain)), plain
    assert all(more / less < 3 for less, more in pairwise(ours)), ours
    assert ours[-1] < plain[-1] / 8


@pytest.mark.parametrize("segment", [0, -1, 2.5, True, "all"])
def test_segments_are_positive_integers(segment):
    state = fg.TrainState.create(jnp.ones(3), fg.sgd(0.1))
    with pytest.raises((TypeError, ValueError), match=r"train: `segment`"):
        fg.train(noisy_loss, fg.sgd(0.1), state, jnp.ones(4), segment=segment)
