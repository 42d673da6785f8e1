"""Steps scaled entry by entry, in float64 NumPy, each written from its paper."""

import numpy as np


def adagrad(theta, grads, eta, initial, eps):
    total = np.full_like(theta, initial)
    for g in grads:
        total = total + g * g
        theta = theta - eta * g / np.sqrt(total + eps)
    return theta


def rmsprop(
    theta, grads, eta, rho, eps, initial=0.0, inside=True, centred=False, beta=0.0, nesterov=False, debias=False
):
    m, v, s = np.zeros_like(theta), np.full_like(theta, initial), np.zeros_like(theta)
    for t, g in enumerate(grads, start=1):
        m, v = rho * m + (1 - rho) * g, rho * v + (1 - rho) * g**2
        c = 1 - rho**t if debias else 1.0
        variance = v / c - (m / c) ** 2 if centred else v / c
        scale = np.sqrt(variance + eps) if inside else np.sqrt(variance) + eps
        step = -eta * g / scale
        s = beta * s + step
        theta = theta + (step + beta * s if nesterov else s)
    return theta


def adam(theta, grads, eta, b1, b2, eps, eps_root=0.0, nesterov=False, decay=0.0):
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(grads, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        # b2 may be so near 1 that 1 − b2ᵗ in float64 loses half of its digits
        c1, c2 = 1 - b1**t, float(1 - np.longdouble(b2) ** t)
        m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / c1 if nesterov else m / c1
        theta = theta - eta * (m_hat / (np.sqrt(v / c2 + eps_root) + eps) + decay * theta)
    return theta


def adadelta(theta, grads, eta, rho, eps, decay=0.0):
    e_g, e_x = np.zeros_like(theta), np.zeros_like(theta)
    for g in grads:
        g = g + decay * theta
        e_g = rho * e_g + (1 - rho) * g**2
        u = np.sqrt(e_x + eps) / np.sqrt(e_g + eps) * g
        e_x = rho * e_x + (1 - rho) * u**2
        theta = theta - eta * u
    return theta


def adamax(theta, grads, eta, b1, b2, eps, decay=0.0):
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(grads, start=1):
        m, v = b1 * m + (1 - b1) * g, np.maximum(b2 * v, np.abs(g) + eps)
        theta = theta - eta * (m / ((1 - b1**t) * v) + decay * theta)
    return theta


def amsgrad(theta, grads, eta, b1, b2, eps, eps_root=0.0, debias=(True, True)):
    m, v, top = np.zeros_like(theta), np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(grads, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        c1, c2 = (1 - b**t if on else 1.0 for b, on in zip((b1, b2), debias, strict=True))
        top = np.maximum(top, v / c2)
        theta = theta - eta * m / c1 / (np.sqrt(top + eps_root) + eps)
    return theta


def adabelief(theta, grads, eta, b1, b2, eps, eps_root, nesterov=False):
    m, s = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(grads, start=1):
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps_root
        m_hat = m / (1 - b1**t)
        if nesterov:
            m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        theta = theta - eta * m_hat / (np.sqrt(s / (1 - b2**t)) + eps)
    return theta


def adan(theta, grads, eta, betas, eps, eps_root=0.0, decay=0.0):
    """In the paper's own decays, which are one minus ours."""
    b1, b2, b3 = (1 - b for b in betas)
    m, v, n, before = np.zeros_like(theta), np.zeros_like(theta), np.zeros_like(theta), grads[0]
    for t, g in enumerate(grads, start=1):
        m = (1 - b1) * m + b1 * g
        v = (1 - b2) * v + b2 * (g - before)
        n = (1 - b3) * n + b3 * (g + (1 - b2) * (g - before)) ** 2
        c1, c2, c3 = (1 - (1 - b) ** t for b in (b1, b2, b3))
        step = (m / c1 + (1 - b2) * v / c2) / (np.sqrt(n / c3 + eps_root) + eps)
        theta, before = theta - eta * (step + decay * theta), g
    return theta


def radam(theta, grads, eta, b1, b2, eps, eps_root=0.0, threshold=5.0, nesterov=False):
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    longest = 2 / (1 - b2) - 1
    for t, g in enumerate(grads, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1**t)
        if nesterov:
            m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        rho = longest - 2 * t * b2**t / (1 - b2**t)
        if rho >= threshold:
            r = np.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
            m_hat = r * m_hat / (np.sqrt(v / (1 - b2**t) + eps_root) + eps)
        theta = theta - eta * m_hat
    return theta


def yogi(theta, grads, eta, b1, b2, eps, initial=1e-6):
    m, v = np.zeros_like(theta), np.full_like(theta, initial)
    for t, g in enumerate(grads, start=1):
        m, v = b1 * m + (1 - b1) * g, v - (1 - b2) * np.sign(v - g**2) * g**2
        theta = theta - eta * m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
    return theta


def adopt(theta, grads, eta, b1, b2, eps, bound=lambda t: t**0.25, nesterov=False):
    m, v = np.zeros_like(theta), grads[0] ** 2
    for t, g in enumerate(grads[1:], start=1):
        n = np.clip(g / np.maximum(np.sqrt(v), eps), -bound(t), bound(t))
        m = b1 * m + (1 - b1) * n
        v = b2 * v + (1 - b2) * g**2
        theta = theta - eta * (b1 * m + (1 - b1) * n if nesterov else m)
    return theta


def ademamix(theta, grads, eta, b1, b2, b3, alphas, eps, eps_root=0.0, decay=0.0):
    m1, m2, v = np.zeros_like(theta), np.zeros_like(theta), np.zeros_like(theta)
    for t, (g, alpha) in enumerate(zip(grads, alphas, strict=True), start=1):
        m1, m2, v = b1 * m1 + (1 - b1) * g, b3 * m2 + (1 - b3) * g, b2 * v + (1 - b2) * g**2
        step = (m1 / (1 - b1**t) + alpha * m2) / (np.sqrt(v / (1 - b2**t) + eps_root) + eps)
        theta = theta - eta * (step + decay * theta)
    return theta


def simplified_ademamix(theta, grads, eta, b1, b2, alpha, eps, eps_root=0.0, decay=0.0):
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(grads, start=1):
        m, v = b1 * m + g, b2 * v + (1 - b2) * g**2
        theta = theta - eta * ((m + alpha * g) / (np.sqrt(v / (1 - b2**t) + eps_root) + eps) + decay * theta)
    return theta


def acprop(theta, grads, eta, b1, b2, eps, eps_root, decay=0.0):
    m, s = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(grads, start=1):
        step = g / (np.sqrt(s / (1 - b2 ** (t - 1))) + eps) if t > 1 else 0.0
        theta = theta - eta * (step + decay * theta)
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps_root
    return theta


def optimistic_adam(theta, grads, eta, optimism, b1, b2, eps):
    m, v, before = np.zeros_like(theta), np.zeros_like(theta), None
    for t, g in enumerate(grads, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        d = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
        theta = theta - eta * d - (0.0 if before is None else optimism * (d - before))
        before = d
    return theta


def madgrad(theta, grads, eta, beta, eps, decay=0.0):
    start, s, v = theta.copy(), np.zeros_like(theta), np.zeros_like(theta)
    for k, g in enumerate(grads):
        weight, g = eta * np.sqrt(k + 1), g + decay * theta
        s, v = s + weight * g, v + weight * g**2
        theta = beta * theta + (1 - beta) * (start - s / (np.cbrt(v) + eps))
    return theta


def sophia(theta, gradients, curvatures, eta, b1, b2, eps, gamma, k, rho, decay=0.0):
    """Gradients and diagonals of the Hessian, one function for each step."""
    m, h = np.zeros_like(theta), np.zeros_like(theta)
    for t, (gradient, curvature) in enumerate(zip(gradients, curvatures, strict=True), start=1):
        m = b1 * m + (1 - b1) * gradient(theta)
        if k == 1 or t % k == 1:
            h = b2 * h + (1 - b2) * curvature(theta)
        theta = theta - eta * (np.clip(m / np.maximum(gamma * h, eps), -rho, rho) + decay * theta)
    return theta
