"""Steps along the gradient, its sign or its momentum, in float64 NumPy, each written from its paper."""

import numpy as np


def gradient_descent(theta, grads, eta):
    for g in grads:
        theta = theta - eta * g
    return theta


def normalized_gradient_descent(theta, grads, alpha):
    for g in grads:
        theta = theta - alpha * g / np.sqrt(np.sum(g**2))
    return theta


def leaky_sum(theta, grads, eta, beta, nesterov=False):
    v = np.zeros_like(theta)
    for g in grads:
        v = beta * v + g
        theta = theta - eta * (g + beta * v if nesterov else v)
    return theta


def velocity(theta, grads, etas, m, nesterov=False):
    speed = np.zeros_like(theta)
    for g, eta in zip(grads, etas, strict=True):
        speed = m * speed - eta * g
        theta = theta + (m * speed - eta * g if nesterov else speed)
    return theta


def lbfgs(theta, gradient, eta, m, steps, scaled=True):
    """Algorithm 7.4 of Nocedal and Wright, with steps of length eta; `gradient` is a function of the parameters."""
    pairs, before = [], None
    for _ in range(steps):
        g = gradient(theta)
        if before is not None:
            pairs = [*pairs, (theta - before[0], g - before[1])][-m:]
        q, alphas = g.copy(), []
        for s, y in reversed(pairs):
            alphas.append(s @ q / (y @ s))
            q = q - alphas[-1] * y
        gamma = 1 / max(1, np.sqrt(g @ g))
        if pairs:
            s, y = pairs[-1]
            gamma = s @ y / (y @ y)
        r = gamma * q if scaled else q
        for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
            r = r + s * (alpha - y @ r / (y @ s))
        before, theta = (theta, g), theta - eta * r
    return theta


def noisy(theta, grads, alpha, eta, gamma, normal):
    """Neelakantan and others, equations 1 and 2, with the standard normal numbers of each step."""
    for t, (g, xi) in enumerate(zip(grads, normal, strict=True)):
        theta = theta - alpha * (g + np.sqrt(eta / (1 + t) ** gamma) * xi)
    return theta


def sign_descent(theta, grads, eta):
    for g in grads:
        theta = theta - eta * np.sign(g)
    return theta


def signum(theta, grads, eta, beta):
    m = np.zeros_like(theta)
    for g in grads:
        m = beta * m + (1 - beta) * g
        theta = theta - eta * np.sign(m)
    return theta


def lion(theta, grads, eta, b1, b2, decay):
    m = np.zeros_like(theta)
    for g in grads:
        theta = theta - eta * (np.sign(b1 * m + (1 - b1) * g) + decay * theta)
        m = b2 * m + (1 - b2) * g
    return theta


def rprop(theta, grads, step, minus=0.5, plus=1.2, least=1e-6, most=50.0):
    """Igel and Hüsken's iRprop⁻, coordinate by coordinate."""
    theta = theta.copy()
    for i in range(theta.size):
        delta, before = step, 0.0
        for g in grads[:, i]:
            if g * before > 0:
                delta = min(plus * delta, most)
            elif g * before < 0:
                delta, g = max(minus * delta, least), 0.0
            theta[i], before = theta[i] - np.sign(g) * delta, g
    return theta


def optimistic(theta, grads, eta, alpha, beta):
    before = grads[0]
    for g in grads:
        theta, before = theta - eta * ((alpha + beta) * g - beta * before), g
    return theta


def dpsgd(theta, grads, eta, c, beta=0.0):
    """Algorithm 1 of Abadi et al. without its noise, and momentum; `grads` has axes (step, example, entry)."""
    v = np.zeros_like(theta)
    for g in grads:
        clipped = [row / max(1, np.linalg.norm(row) / c) for row in g]
        v = beta * v + sum(clipped) / len(clipped)
        theta = theta - eta * v
    return theta
