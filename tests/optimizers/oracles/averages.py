"""Averages of parameters, in float64 NumPy, each written from its paper: what is trained, and what is evaluated."""

import numpy as np


def lookahead(theta, grads, eta, beta, k, alpha, reset=False):
    phi, v = theta, np.zeros_like(theta)
    for t, g in enumerate(grads, start=1):
        v = beta * v + g
        theta = theta - eta * v
        if t % k == 0:
            theta = phi = phi + alpha * (theta - phi)
            v = 0 * v if reset else v
    return theta, phi


def visited(theta, grads, eta, beta):
    v, path = np.zeros_like(theta), [theta]
    for g in grads:
        v = beta * v + g
        path.append(path[-1] - eta * v)
    return np.array(path)


def params_ema(theta, grads, eta, beta, decay, debias=True):
    path = visited(theta, grads, eta, beta)
    weights = decay ** np.arange(len(grads), -1.0, -1.0)
    weights[0] *= 0 if debias else 1 / (1 - decay)
    return path[-1], weights @ path / weights.sum()


def swa(theta, grads, eta, beta, start, period):
    path = visited(theta, grads, eta, beta)
    chosen = path[start::period]
    return path[-1], chosen.mean(axis=0) if len(chosen) else path[-1]


def schedule_free(theta, grads, gammas, beta, power=2.0, b2=None, eps=1e-8, decay=0.0):
    """Algorithm 1 of the paper; without b2 of gradient descent."""
    x, y, z, v, weights = theta, theta, theta, np.zeros_like(theta), []
    for t, (g, gamma) in enumerate(zip(grads, gammas, strict=False), start=1):
        if b2 is not None:
            v = b2 * v + (1 - b2) * g**2
            g = g / (np.sqrt(v / (1 - b2**t)) + eps)
        z = z - gamma * (g + decay * y)
        weights.append(np.max(gammas[:t]) ** power)
        x = x + weights[-1] / sum(weights) * (z - x) if weights[-1] else x
        y = (1 - beta) * z + beta * x
    return y, x


def sam(theta, gradients, eta, beta, rho, k=2, decay=0.0):
    """Gradients of f are those that are given, one function for each step; k − 1 steps uphill."""
    v = np.zeros_like(theta)
    for gradient in gradients:
        w = theta
        for _ in range(k - 1):
            g = gradient(w)
            w = w + rho * g / np.linalg.norm(g)
        v = beta * v + gradient(w) + decay * theta
        theta = theta - eta * v
    return theta


def cautious(theta, grads, eta, beta, xi=1.0):
    v = np.zeros_like(theta)
    for g in grads:
        v = beta * v + g
        phi = v * g > 0
        theta = theta - eta * theta.size / (phi.sum() + xi) * phi * v
    return theta


def cautious_adamw(theta, grads, eta, b1, b2, eps, decay):
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(grads, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        u = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
        phi = u * g > 0
        theta = theta - eta * (theta.size / (phi.sum() + 1) * phi * u + decay * theta)
    return theta


def adamw_with_cautious_decay(theta, grads, eta, b1, b2, eps, decay):
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(grads, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        u = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
        theta = theta - eta * (u + decay * (u * theta >= 0) * theta)
    return theta


def mars(theta, gradients, eta, b1, b2, eps, gamma, max_norm, decay, exact):
    """The gradients, one function for each step, because the exact rule asks each of them twice."""
    m, v, theta_before, g_before = np.zeros_like(theta), np.zeros_like(theta), theta, None
    for t, gradient in enumerate(gradients, start=1):
        g = gradient(theta)
        if exact:
            g_before = gradient(theta_before)
        c = g if t == 1 else g + gamma * b1 / (1 - b1) * (g - g_before)
        c = c / max(1, np.linalg.norm(c) / max_norm)
        m, v = b1 * m + (1 - b1) * c, b2 * v + (1 - b2) * c**2
        theta_before, g_before = theta, g
        u = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
        theta = theta - eta * (u + decay * theta)
    return theta
