"""Every optimizer on the problems that its row claims to solve, with the best of some learning rates.

Each is compiled once: the problem is a branch, chosen by a number, and the members of a vmap are rates.
All have as many variables as the largest problem; on the others the small ones do not depend.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.optimizers.registry import ROWS
from funcgd.testing.common import given, renewed

STEPS = 1000
FACTORS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 50.0)  # times the learning rates of the example
TUMOURS = {name: x[::4] for name, x in fg.problems.breast_cancer().items()}
WIDTH = 1 + TUMOURS["x"].shape[1]
PENALTY = 0.01


def tumours(theta):
    """Logistic regression with a penalty, on a fourth of the tumours."""
    logits = jnp.asarray(TUMOURS["x"]) @ theta[1:] + theta[0]
    losses = fg.sigmoid_binary_cross_entropy(logits, jnp.asarray(TUMOURS["y"], jnp.float32))
    return jnp.mean(losses) + PENALTY / 2 * jnp.sum(theta**2)


def tumours_minimum():
    """By Newton's method in float64."""
    x, y = np.pad(TUMOURS["x"].astype(np.float64), ((0, 0), (1, 0)), constant_values=1), TUMOURS["y"]
    theta = np.zeros(WIDTH)
    for _ in range(20):
        p = 1 / (1 + np.exp(-x @ theta))
        hessian = (x.T * (p * (1 - p))) @ x / len(y) + PENALTY * np.eye(WIDTH)
        theta -= np.linalg.solve(hessian, x.T @ (p - y) / len(y) + PENALTY * theta)
    p = 1 / (1 + np.exp(-x @ theta))
    return -np.mean(np.where(y, np.log(p), np.log1p(-p))) + PENALTY / 2 * theta @ theta


QUADRATICS = {
    "quadratic": fg.problems.quadratic(kappa=100),
    "booth": fg.problems.booth(),
    "matyas": fg.problems.matyas(),
}
CLASSICS = {**QUADRATICS, "rosenbrock": fg.problems.rosenbrock(), "beale": fg.problems.beale()}
NAMES = [*CLASSICS, "breast_cancer"]
STARTS = np.array([*(np.pad(p.x0, (0, WIDTH - 2)) for p in CLASSICS.values()), np.zeros(WIDTH)], np.float32)
HESSIANS = np.array([jax.hessian(p.fun)(p.minimizer) for p in QUADRATICS.values()])
CENTERS = np.array([p.minimizer for p in QUADRATICS.values()], np.float32)
FUNCTIONS = [CLASSICS["rosenbrock"].fun, CLASSICS["beale"].fun]


def function(which):
    """That of NAMES[which]; all quadratics are one branch, since each branch is compiled for each optimizer."""
    quadratic = jnp.minimum(which, len(QUADRATICS) - 1)
    hessian, center = jnp.asarray(HESSIANS)[quadratic], jnp.asarray(CENTERS)[quadratic]
    branches = [
        lambda theta: (theta[:2] - center) @ hessian @ (theta[:2] - center) / 2,
        *(lambda theta, f=f: f(theta[:2]) for f in FUNCTIONS),
        tumours,
    ]
    return lambda theta: jax.lax.switch(which - quadratic, branches, theta)


MINIMA = np.array([*(p.minimum for p in CLASSICS.values()), tumours_minimum()])
AT_START = np.array([function(i)(jnp.asarray(start)) for i, start in enumerate(STARTS)])


@jax.jit
def final_values(txs):
    """(problem, member): the value after all steps, at the parameters that one would evaluate."""
    problems = jnp.asarray(STARTS), jnp.arange(len(NAMES))
    return jax.lax.map(lambda problem: jax.vmap(lambda tx: final_value(tx, *problem))(txs), problems)


def final_value(tx, start, which):
    fun = function(which)

    def step(carry, _):
        theta, state = carry
        value, grad = jax.value_and_grad(fun)(theta)
        grads = given(tx, grad)
        updates, state = tx.update(grads, state, theta, value=value, grad=grads, value_fn=fun)
        return (fg.apply_updates(theta, updates), state), None

    (theta, state), _ = jax.lax.scan(step, (start, tx.init(start)), length=STEPS)
    return fun(tx.eval_params(state, theta))


def with_rates(tx, factor):
    """`tx` with its learning rates, and those of what is in it, times `factor`; falling, if they may."""
    changes = {}
    for name, x in ((f.name, getattr(tx, f.name)) for f in dataclasses.fields(tx)):
        if name.endswith("learning_rate") and isinstance(x, float):
            falling = fg.cosine_decay_schedule(factor * x, STEPS)
            changes[name] = factor * x if renewed(tx, **{name: falling}) is None else falling
        elif isinstance(x, fg.Transform):
            changes[name] = with_rates(x, factor)
    return dataclasses.replace(tx, **changes)


def gaps(tx):
    """For each problem the share of f(start) − f* that is left, for the best member."""
    members = fg.stack(list(dict.fromkeys(with_rates(tx, factor) for factor in FACTORS)))
    found = np.nan_to_num(np.asarray(final_values(members), np.float64), nan=np.inf).min(1)
    return dict(zip(NAMES, (found - MINIMA) / (AT_START - MINIMA), strict=True))


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
def test_it_solves_what_its_row_claims(row):
    assert row.solves, "a row must claim to solve something"
    assert set(row.solves) <= set(NAMES)
    left = gaps(row.example)
    missed = {name: (left[name], wanted) for name, wanted in row.solves.items() if not left[name] <= wanted}
    assert not missed, f"left of f(start) − f*, and what `solves` in its row claims: {missed}"


def test_the_minimum_of_the_regression_is_one():
    minimum = tumours_minimum()
    run = fg.minimize(tumours, jnp.zeros(WIDTH), fg.LBFGS(), max_steps=200)
    assert float(run.value) == pytest.approx(minimum, rel=1e-5)


def test_the_functions_are_those_of_the_problems():
    theta = jnp.linspace(-1.0, 1.0, WIDTH)
    for which, problem in enumerate(CLASSICS.values()):
        np.testing.assert_allclose(function(which)(theta), problem.fun(theta[:2]), rtol=1e-5)
