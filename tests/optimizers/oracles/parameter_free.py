"""Steps whose length is found, in float64 NumPy, each written from its paper."""

import numpy as np


def adam_factor(t, b1, b2, debias):
    return np.sqrt(1 - b2**t) / (1 - b1**t) if debias else 1.0


def prodigy(
    theta, grads, etas, b1=0.9, b2=0.999, eps=1e-8, d=1e-6, c=1.0, b3=None, decay=0.0, safeguard=False, debias=True
):
    """Algorithm 4."""
    b3 = np.sqrt(b2) if b3 is None else b3
    start, m, v, s, r = theta, 0 * theta, 0 * theta, 0 * theta, 0.0
    for t, (g, eta) in enumerate(zip(grads, etas, strict=True), 1):
        gamma = eta * adam_factor(t, b1, b2, debias)
        m = b1 * m + (1 - b1) * d * g
        v = b2 * v + (1 - b2) * d**2 * g**2
        r = b3 * r + gamma * d**2 * np.sum(g * (start - theta))
        s = b3 * s + (1 if safeguard else gamma) * d**2 * g
        theta = theta - gamma * d * (m / (np.sqrt(v) + d * eps) + decay * theta)
        d = max(d, c * r / np.sum(np.abs(s)))
    return theta


def dadapt_adam(theta, grads, etas, b1=0.9, b2=0.999, eps=1e-8, d=1e-6, decay=0.0, debias=True):
    """Of the appendix, for Adam."""
    b = np.sqrt(b2)
    m, v, s, r = 0 * theta, 0 * theta, 0 * theta, 0.0
    for t, (g, eta) in enumerate(zip(grads, etas, strict=True), 1):
        rate = d * eta * adam_factor(t, b1, b2, debias)
        r = b * r + (1 - b) * rate * np.sum(g * s / (np.sqrt(v) + eps))
        s = b * s + (1 - b) * rate * g
        m = b1 * m + (1 - b1) * rate * g
        v = b2 * v + (1 - b2) * g**2
        theta = theta - m / (np.sqrt(v) + eps) - rate * decay * theta
        d = max(d, r / ((1 - b) * np.sum(np.abs(s))))
    return theta
