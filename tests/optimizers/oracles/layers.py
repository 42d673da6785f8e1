"""Steps in proportion to each layer, or with little memory, in float64 NumPy, each written from its paper."""

import numpy as np


def _ratio(a, b):
    return np.sqrt(np.sum(a**2)) / np.sqrt(np.sum(b**2))


def lars(theta, grads, eta, trust, beta, decay=0.0, nesterov=False):
    speed = np.zeros_like(theta)
    for g in grads:
        d = g + decay * theta
        step = -eta * trust * _ratio(theta, d) * d
        speed = beta * speed + step
        theta = theta + (step + beta * speed if nesterov else speed)
    return theta


def lamb(theta, grads, eta, b1, b2, eps, decay=0.0):
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(grads, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        d = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps) + decay * theta
        theta = theta - eta * _ratio(theta, d) * d
    return theta


def fromage(theta, grads, eta):
    for g in grads:
        theta = (theta - eta * _ratio(theta, g) * g) / np.sqrt(1 + eta**2)
    return theta


def novograd(theta, grads, eta, b1, b2, eps, eps_root=0.0, decay=0.0):
    m, v = np.zeros_like(theta), np.sum(grads[0] ** 2)
    for t, g in enumerate(grads):
        v = b2 * v + (1 - b2) * np.sum(g**2) if t else v
        m = b1 * m + g / (np.sqrt(v + eps_root) + eps) + decay * theta
        theta = theta - eta * m
    return theta


def sm3(theta, grads, eta, beta, eps=1e-8):
    """SM3-II with the cover of rows and columns, entry by entry."""
    row, column = np.zeros(theta.shape[0]), np.zeros(theta.shape[1])
    m = np.zeros_like(theta)
    for g in grads:
        new_row, new_column = np.zeros_like(row), np.zeros_like(column)
        for i, j in np.ndindex(*theta.shape):
            v = min(row[i], column[j]) + g[i, j] ** 2
            new_row[i], new_column[j] = max(new_row[i], v), max(new_column[j], v)
            m[i, j] = beta * m[i, j] + (1 - beta) * g[i, j] / np.sqrt(v + eps)
        row, column, theta = new_row, new_column, theta - eta * m
    return theta


def _rms(x):
    return np.sqrt(np.mean(x**2))


def adafactor(theta, grads, eta, gamma=0.8, scale=True, clip=1.0, beta=0.0, decay=0.0, eps=1e-30, offset=0):
    """Algorithms 4 and 5: vectors entry by entry, matrices by rows and columns."""
    row, col, v, m = 0.0, 0.0, 0.0, 0.0
    for t, g in enumerate(grads, start=1):
        b = 1 - max(t - offset, 1) ** -gamma
        square = g**2 + eps
        if theta.ndim == 2:
            row, col = b * row + (1 - b) * square.sum(axis=1), b * col + (1 - b) * square.sum(axis=0)
            v = np.outer(row, col) / row.sum()
        else:
            v = b * v + (1 - b) * square
        u = g / np.sqrt(v)
        step = eta * u / max(1, _rms(u) / clip) * (max(_rms(theta), 1e-3) if scale else 1.0)
        m = beta * m + (1 - beta) * step
        theta = theta - (m + decay * theta)
    return theta
