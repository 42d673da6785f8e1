"""The optimizers' rules in float64 NumPy, each written from its paper: parameters and gradients in, parameters out."""

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


def optimistic(theta, grads, eta, alpha, beta):
    before = grads[0]
    for g in grads:
        theta, before = theta - eta * ((alpha + beta) * g - beta * before), g
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
