"""L-BFGS: a logistic regression to its minimum, in a loop of one's own that ends where the gradient is small.

Only words that funcgd and Optax share: with `import optax as fg` this script runs as it stands, to the same losses.
A search along each direction evaluates the loss, so `update` takes the function, its value and its gradient; and
`value_and_grad_from_state` uses those that the search has left in the state, where they would be computed once more.
In funcgd alone all of it is `fg.minimize(loss, start, fg.LBFGS(), max_steps=500, stop=fg.stop.gradient_norm(1e-4))`.
"""

import jax
import jax.numpy as jnp
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

import funcgd as fg

DECAY, TOLERANCE, MOST = 0.01, 1e-4, 1000  # the weight of ‖w‖²/2; a norm of the gradient; steps


def minimize(loss, tx, start):
    """Parameters, the norm of the gradient, steps, and evaluations of the loss by the searches."""
    value_and_grad = fg.value_and_grad_from_state(loss)

    def step(carry):
        params, state, _, steps, evaluations = carry
        value, grad = value_and_grad(params, state=state)
        updates, state = tx.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        params = fg.apply_updates(params, updates)
        norm = fg.tree.norm(fg.tree.get(state, "grad"))  # that of the new parameters, from the search
        return params, state, norm, steps + 1, evaluations + fg.tree.get(state, "num_linesearch_steps")

    def going(carry):
        return (carry[2] > TOLERANCE) & (carry[3] < MOST)

    carry = start, tx.init(start), jnp.array(jnp.inf), jnp.array(0), jnp.array(0)
    params, _, norm, steps, evaluations = jax.jit(lambda carry: jax.lax.while_loop(going, step, carry))(carry)
    return params, float(norm), int(steps), int(evaluations)


def main() -> dict[str, float]:
    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)

    def loss(params):
        each = fg.sigmoid_binary_cross_entropy(jnp.asarray(x) @ params["w"] + params["b"], jnp.asarray(y))
        return each.mean() + DECAY / 2 * params["w"] @ params["w"]

    backtracking = fg.scale_by_backtracking_linesearch(max_backtracking_steps=20, store_grad=True)
    plans = {
        "L-BFGS": fg.lbfgs(),
        "L-BFGS, backtracking": fg.lbfgs(linesearch=backtracking),
        "descent, backtracking": fg.chain(fg.sgd(1.0), backtracking),
    }
    start = {"w": jnp.zeros(30), "b": jnp.zeros(())}
    losses = {}
    print(f"{'':<23}steps   evaluations      loss   gradient")
    for name, tx in plans.items():
        params, norm, steps, evaluations = minimize(loss, tx, start)
        losses[name] = float(loss(params))
        print(f"{name:<22}{steps:>6}{evaluations:>14}{losses[name]:>10.6f}{norm:>11.0e}")

    peer = LogisticRegression(C=1 / (len(y) * DECAY), tol=1e-8, max_iter=1000).fit(x, y)  # the same problem
    known = float(loss({"w": jnp.asarray(peer.coef_[0]), "b": jnp.asarray(peer.intercept_[0])}))
    assert all(abs(losses[name] - known) < 1e-6 for name in plans if name.startswith("L-BFGS")), "not at the minimum"
    return losses


if __name__ == "__main__":
    main()
