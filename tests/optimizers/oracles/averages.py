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
