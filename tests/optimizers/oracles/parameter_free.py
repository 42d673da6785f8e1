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


def dog(theta, grads, first, eps=1e-8, decay=0.0, eta=1.0):
    """Algorithm 1, from a first distance, or from a first rate where that is "rate"."""
    start, total, r = theta, 0.0, 0.0 if first[0] == "rate" else first[1]
    for g in grads:
        g = g + decay * theta
        total = total + np.sum(g**2)
        r = max(r, np.sqrt(np.sum((theta - start) ** 2)))
        theta = theta - eta * (r / np.sqrt(total + eps) if r > 0 else first[1]) * g
    return theta


def dowg(theta, grads, square=1e-4, eps=1e-4, decay=0.0, eta=1.0):
    """Algorithm 1, with the squared distance it begins with."""
    start, v = theta, 0.0
    for g in grads:
        g = g + decay * theta
        square = max(square, np.sum((theta - start) ** 2))
        v = v + square * np.sum(g**2)
        theta = theta - eta * square / (np.sqrt(v) + eps) * g
    return theta


def cocob(theta, grads, alpha=100.0, first=1e-8, decay=0.0, etas=None):
    """Algorithm 2, of weighted gradients, with the first L."""
    w1, w, largest = theta, theta, np.full_like(theta, first)
    total, reward, theta = 0 * w, 0 * w, 0 * w
    for g, eta in zip(grads, np.ones(len(grads)) if etas is None else etas, strict=True):
        g = -eta * (g + decay * w)
        largest = np.maximum(largest, np.abs(g))
        total = total + np.abs(g)
        reward = np.maximum(reward + (w - w1) * g, 0)
        theta = theta + g
        w = w1 + theta / (largest * np.maximum(total + largest, alpha * largest)) * (largest + reward)
    return w


def mechanic(theta, grads, etas, n=6, decay=0.01, first=1e-6, eps=1e-8):
    """Algorithm 1 with the bounds of the authors' program, around gradient descent with the rates etas."""
    start, delta, beta = theta, 0 * theta, 1 - 0.1 ** np.arange(1, n + 1)
    r, m, v, s = np.zeros(n), np.zeros(n), np.zeros(n), np.full(n, first / n)
    for g, eta in zip(grads, etas, strict=True):
        pull = decay * np.sum(s) * np.linalg.norm(g) / np.linalg.norm(theta) * theta
        h = np.sum(delta * (g + pull))
        r = beta * r - s * np.clip(h, -m, m)
        m = np.maximum(beta * m, np.abs(h) + eps)
        v = beta**2 * v + h**2
        s = (first / n * m + np.maximum(r, 0)) / (np.sqrt(v) + eps)
        delta = delta - eta * g
        theta = start + np.sum(s) * delta
    return theta


def polyak(theta, grads, values, f_min=0.0, longest=1.0, c=1.0, eps=0.0, positive=False):
    for g, f in zip(grads, values, strict=True):
        gap = max(f - f_min, 0) if positive else f - f_min
        theta = theta - c * min(gap / (np.sum(g**2) + eps), longest) * g
    return theta


def bounded(model, shrink, rho, bound, given, adapt):
    """The lower bound of MoMo before a step."""
    return max(model / (2 * shrink * rho), given) if adapt and model < shrink * rho * bound else bound


def momo(theta, grads, values, etas, beta=0.9, bound=0.0, decay=0.0, adapt=False):
    """Algorithm 1, with weight decay and the estimate of the bound."""
    given, d, f, gamma = bound, None, 0.0, 0.0
    for g, value, eta in zip(grads, values, etas, strict=True):
        b, d = (0.0, g) if d is None else (beta, beta * d + (1 - beta) * g)
        f, gamma = b * f + (1 - b) * value, b * gamma + (1 - b) * np.sum(g * theta)
        shrink, inner, square = 1 + eta * decay, np.sum(d * theta), np.sum(d**2)
        bound = bounded(shrink * (f - gamma) + inner, shrink, 1.0, bound, given, adapt)
        tau = min(eta, max(shrink * (f - gamma - bound) + inner, 0) / square)
        theta = (theta - tau * d) / shrink
        bound = max(f + inner - gamma - tau * square / 2, given) if adapt else bound
    return theta


def momo_adam(theta, grads, values, etas, b1=0.9, b2=0.999, eps=1e-8, bound=0.0, decay=0.0, adapt=False):
    """Algorithm 2, with weight decay and the estimate of the bound."""
    given, d, v, f, gamma = bound, 0 * theta, 0 * theta, 0.0, 0.0
    for t, (g, value, eta) in enumerate(zip(grads, values, etas, strict=True), 1):
        d, v = b1 * d + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        f, gamma = b1 * f + (1 - b1) * value, b1 * gamma + (1 - b1) * np.sum(g * theta)
        rho, scale = 1 - b1**t, eps + np.sqrt(v / (1 - b2**t))
        shrink, inner, square = 1 + eta * decay, np.sum(d * theta), np.sum(d**2 / scale)
        bound = bounded(shrink * (f - gamma) + inner, shrink, rho, bound, given, adapt)
        tau = min(eta / rho, max(shrink * (f - gamma - rho * bound) + inner, 0) / square)
        theta = (theta - tau * d / scale) / shrink
        bound = max((f + inner - gamma - tau * square / 2) / rho, given) if adapt else bound
    return theta
