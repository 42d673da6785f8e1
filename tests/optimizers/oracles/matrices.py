"""Steps for matrices as wholes, in float64 NumPy, each written from its paper."""

import numpy as np

JORDAN = [(3.4445, -4.775, 2.0315)] * 5


def nearly_orthogonal(x, coefficients=JORDAN, eps=1e-8):
    """Newton–Schulz as what it does to singular values: an odd polynomial of each."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    s = s / (np.linalg.norm(x) + eps)
    for a, b, c in coefficients:
        s = a * s + b * s**3 + c * s**5
    return (u * s) @ vt


def muon(theta, grads, eta, beta, nesterov=True, coefficients=JORDAN, rms=None, decay=0.0):
    """Jordan's momentum is a sum of gradients, here (1 − β) times it; then ε means the same."""
    rows, columns = theta.shape
    scale = np.sqrt(max(1, columns / rows)) if rms is None else rms * np.sqrt(max(rows, columns))
    total = np.zeros_like(theta)
    for g in grads:
        total = beta * total + g
        ahead = g + beta * total if nesterov else total
        theta = theta - eta * (scale * nearly_orthogonal((1 - beta) * ahead, coefficients) + decay * theta)
    return theta


def normuon(theta, grads, eta, b1, b2, decay=0.0):
    """Algorithm 1, whose matrices are (out, in): its rows are our columns."""
    w, m, v = theta.T, np.zeros_like(theta.T), np.zeros(theta.shape[1])
    for g in grads:
        m = b1 * m + (1 - b1) * g.T
        o = nearly_orthogonal(m)
        v = b2 * v + (1 - b2) * np.mean(o * o, axis=1)
        equal = o / np.sqrt(v)[:, None]
        rate = 0.2 * eta * np.sqrt(w.size) / np.linalg.norm(equal)
        w = w - eta * decay * w - rate * equal
    return w.T
