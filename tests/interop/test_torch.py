"""The optimizers that PyTorch has too, step by step in float64; what differs between both is said beside each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.core.numerics import float64_mode

torch = pytest.importorskip("torch")

STEPS, N = 20, 5
RNG = np.random.default_rng(0)
THETA = RNG.standard_normal(N)
GRADS = RNG.standard_normal((STEPS, N)) * np.array([1e-3, 0.1, 1.0, 10.0, 1e3])


def ours(tx, grads):
    def step(carry, g):
        theta, state = carry
        updates, state = tx.update(g, state, theta)
        return (fg.apply_updates(theta, updates), state), None

    with float64_mode():
        theta = jnp.asarray(THETA)
        return np.asarray(jax.jit(lambda g: jax.lax.scan(step, (theta, tx.init(theta)), g)[0][0])(jnp.asarray(grads)))


def theirs(make, grads):
    theta = torch.nn.Parameter(torch.tensor(THETA))
    optimizer = make([theta])
    for g in grads:
        theta.grad = torch.tensor(g)
        optimizer.step()
    return theta.detach().numpy()


@pytest.fixture(autouse=True)
def float64_there():
    """So that products of decays, too, are float64."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(default)


CASES = {
    "SGD": (fg.sgd(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "SGD, momentum": (fg.sgd(0.1, momentum=0.9), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
    "SGD, Nesterov": (
        fg.sgd(0.1, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    ),
    "SGD, L2 penalty": (
        fg.chain(fg.add_decayed_weights(0.1), fg.sgd(0.1)),
        lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.1),
    ),
    "Adam": (fg.adam(0.1, 0.8, 0.99, 1e-4), lambda p: torch.optim.Adam(p, 0.1, (0.8, 0.99), 1e-4)),
    "Adam, L2 penalty": (
        fg.chain(fg.add_decayed_weights(0.1), fg.adam(0.1)),
        lambda p: torch.optim.Adam(p, 0.1, weight_decay=0.1),
    ),
    "AdamW": (fg.adamw(0.1, weight_decay=0.1), lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.1)),
    # There the momentum grows to b1, as b1(1 − 0.96^(tψ)/2): for large ψ it is b1 at once, which is Dozat's rule.
    "NAdam": (fg.nadam(0.1), lambda p: torch.optim.NAdam(p, 0.1, momentum_decay=1e5)),
    # There eps is added to √v before its bias correction; so here is none.
    "RAdam": (fg.radam(0.1, b2=0.9, eps=0.0), lambda p: torch.optim.RAdam(p, 0.1, (0.9, 0.9), eps=0.0)),
    # There eps is added outside of the root.
    "Adagrad": (
        fg.adagrad(0.1, 0.1, 0.0),
        lambda p: torch.optim.Adagrad(p, 0.1, initial_accumulator_value=0.1, eps=0.0),
    ),
    "Adadelta": (fg.adadelta(0.5, 0.8, 1e-4), lambda p: torch.optim.Adadelta(p, 0.5, 0.8, 1e-4)),
    "RMSprop": (
        fg.rmsprop(0.1, 0.9, 1e-4, eps_in_sqrt=False),
        lambda p: torch.optim.RMSprop(p, 0.1, 0.9, 1e-4),
    ),
    "RMSprop, centred, momentum": (
        fg.rmsprop(0.1, 0.9, 1e-4, eps_in_sqrt=False, centered=True, momentum=0.5),
        lambda p: torch.optim.RMSprop(p, 0.1, 0.9, 1e-4, centered=True, momentum=0.5),
    ),
    "Adamax": (fg.adamax(0.1, 0.8, 0.99, 1e-4), lambda p: torch.optim.Adamax(p, 0.1, (0.8, 0.99), 1e-4)),
    "Rprop": (
        fg.rprop(0.1, 0.4, 1.3, 0.05, 0.3),
        lambda p: torch.optim.Rprop(p, 0.1, (0.4, 1.3), (0.05, 0.3)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_same_rules_same_numbers(case):
    tx, make = CASES[case]
    np.testing.assert_allclose(ours(tx, GRADS), theirs(make, GRADS), rtol=1e-9, atol=1e-12)


def test_amsgrad_takes_the_maximum_before_the_bias_correction_there():
    """The largest v̂ here, the largest v there, divided by 1 − b2ᵗ after: the same while gradients grow, else not."""

    def both(grads):
        return ours(fg.amsgrad(0.1), grads), theirs(lambda p: torch.optim.Adam(p, 0.1, amsgrad=True), grads)

    growing = np.sort(np.abs(GRADS), axis=0)
    np.testing.assert_allclose(*both(growing), rtol=1e-9, atol=1e-12)
    found, other = both(growing[::-1])
    assert np.max(np.abs(found - other)) > 0.01


def test_one_step_of_nadam_with_its_default_there():
    """The momentum schedule of Keras and PyTorch, μₜ = b1(1 − 0.96^(0.004t)/2), makes the first step another one."""
    g = np.ones((1, N))
    b1, mu = 0.9, [0.9 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in (1, 2)]
    direction = (1 - mu[0]) / (1 - mu[0]) + mu[1] * (1 - b1) / (1 - mu[0] * mu[1])
    np.testing.assert_allclose(theirs(lambda p: torch.optim.NAdam(p, 0.1), g), THETA - 0.1 * direction, rtol=1e-5)
    direction = 1 + b1 * (1 - b1) / (1 - b1**2)
    np.testing.assert_allclose(ours(fg.nadam(0.1), g), THETA - 0.1 * direction, rtol=1e-5)
