"""A game in which descent runs in circles: x wants xᵀAy + bᵀx + cᵀy small, y wants it large; optimism lets them meet.

Only words that funcgd and Optax share: with `import optax as fg` this script runs as it stands, to the same losses.

At the equilibrium Ay = −b and Aᵀx = −c. The field of both players, F = (∂x, −∂y), is a rotation about it: for each
singular value σ of A, descent multiplies the distance by √(1 + η²σ²), and leaves. Optimistic descent steps along
2Fₜ − Fₜ₋₁ instead, where F is about to be, and the distance shrinks by the larger root of λ² − (1 − 2iησ)λ − iησ, which
lies within the unit circle for ησ < 1/√3 (Daskalakis, Ilyas, Syrgkanis, Zeng, 2018).
"""

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg

STEPS, RATE = 200, 0.5


def game(players, A, b, c):
    return players["x"] @ A @ players["y"] + b @ players["x"] + c @ players["y"]


def play(tx, A, b, c):
    """The distance from the equilibrium after each step."""
    solution = {"x": jnp.linalg.solve(A.T, -c), "y": jnp.linalg.solve(A, -b)}

    def step(carry, _):
        players, state = carry
        field = jax.grad(game)(players, A, b, c)
        field = {"x": field["x"], "y": -field["y"]}  # y climbs
        updates, state = tx.update(field, state, players)
        players = fg.apply_updates(players, updates)
        return (players, state), fg.tree.norm(fg.tree.sub(players, solution))

    start = {"x": jnp.ones(3), "y": jnp.ones(3)}
    return jax.lax.scan(step, (start, tx.init(start)), length=STEPS)[1]


def main() -> dict[str, float]:
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(2))
    sigma = np.array([1.0, 0.7, 0.4])  # singular values of A
    A, b, c = (jnp.asarray(a) for a in (left * sigma @ right, rng.normal(size=3), rng.normal(size=3)))
    plans = {
        "descent": fg.sgd(RATE),
        "descent with momentum": fg.sgd(RATE, momentum=0.2),
        "optimistic descent": fg.optimistic_gradient_descent(RATE),
        "Adam": fg.adam(RATE / 10),
    }
    print(f"{'distance after':<22}" + "".join(f"{k:>11}" for k in (1, 10, 50, 100, STEPS)))
    ends, factors = {}, {}
    for name, tx in plans.items():
        distance = jax.jit(lambda tx=tx: play(tx, A, b, c))()
        print(f"{name:<22}" + "".join(f"{distance[k - 1]:>11.2g}" for k in (1, 10, 50, 100, STEPS)))
        ends[name], factors[name] = float(distance[-1]), float(distance[-1] / distance[-51]) ** (1 / 50)
    roots = [np.abs(np.roots([1, -(1 - 2j * RATE * s), -1j * RATE * s])).max() for s in sigma]
    theory = {"descent": np.sqrt(1 + (RATE * sigma[0]) ** 2), "optimistic descent": max(roots)}
    for name, factor in theory.items():
        print(f"{name}: times {factors[name]:.4f} in each step; in theory {factor:.4f}")
        assert abs(factors[name] - factor) < 1e-3
    return ends


if __name__ == "__main__":
    main()
