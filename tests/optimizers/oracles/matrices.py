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


def _unfold(g, axis):
    return np.moveaxis(g, axis, 0).reshape(g.shape[axis], -1)


def _multiply(matrix, g, axis):
    return np.moveaxis(np.tensordot(matrix, g, (1, axis)), 0, axis)


def _inverse_root(h, k):
    values, vectors = np.linalg.eigh(h)
    return (vectors * values ** (-1 / (2 * k))) @ vectors.T


def shampoo(theta, grads, eta, eps, b2=None, momentum=0.0, every=1, diagonal=(), decay=0.0):
    """Algorithm 2, on tensors of order k, with εI in each H from the beginning."""
    k, v = theta.ndim, np.zeros_like(theta)
    h = [np.zeros((n, n)) for n in theta.shape]
    for t, g in enumerate(grads):
        seen = [_unfold(g, i) @ _unfold(g, i).T for i in range(k)]
        h = [a + b if b2 is None else b2 * a + (1 - b2) * b for a, b in zip(h, seen, strict=True)]
        known = [a / (1 if b2 is None else 1 - b2 ** (t + 1)) + eps * np.eye(len(a)) for a in h]
        fresh = [_inverse_root(np.diag(np.diag(a)) if i in diagonal else a, k) for i, a in enumerate(known)]
        if t % every == 0:
            roots = fresh
        u = g
        for i in range(k):
            u = _multiply(fresh[i] if i in diagonal else roots[i], u, i)
        v = momentum * v + u
        theta = theta - eta * (v + decay * theta)
    return theta


def soap(theta, grads, eta, b1, b2, eps, every, beta=None, decay=0.0, fixed=()):
    """Algorithms 3 and 4 and, as in the authors' code, a first step that makes bases only, sorted columns, √V + ε."""
    beta = b2 if beta is None else beta
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    axes = [i for i in range(theta.ndim) if i not in fixed]
    h = [np.zeros((theta.shape[i],) * 2) for i in axes]
    q = [np.eye(theta.shape[i]) for i in axes]

    def turn(x, back=False):
        for i, basis in zip(axes, q, strict=True):
            x = _multiply(basis if back else basis.T, x, i)
        return x

    for t, g in enumerate(grads):
        u = np.zeros_like(theta)
        if t:
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * turn(g) ** 2
            u = turn(turn(m) / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps), back=True)
        theta = theta - eta * (u + decay * theta)
        h = [beta * a + (1 - beta) * _unfold(g, i) @ _unfold(g, i).T for a, i in zip(h, axes, strict=True)]
        if t == 0:
            q = [np.linalg.eigh(a)[1][:, ::-1] for a in h]
        elif t % every == 0:
            for j, (a, i) in enumerate(zip(h, axes, strict=True)):
                order = np.argsort(-np.diag(q[j].T @ a @ q[j]))
                v, q[j] = np.take(v, order, i), np.linalg.qr(a @ q[j][:, order])[0]
    return theta


def galore(theta, grads, eta, rank, gap, alpha=1.0, decay=0.0, b1=0.9, b2=0.999, eps=1e-8):
    """Algorithm 2 for m ≤ n, singular vectors turned towards those before; for others, the same of the transpose."""
    w = theta if theta.shape[0] <= theta.shape[1] else theta.T
    m, v, p = np.zeros((rank, w.shape[1])), np.zeros((rank, w.shape[1])), np.ones((len(w), rank))
    for t, g in enumerate(grads):
        g = g if theta.shape[0] <= theta.shape[1] else g.T
        if t % gap == 0:
            new = np.linalg.svd(g)[0][:, :rank]
            p = new * np.sign(np.sum(new * p, axis=0))
        r = p.T @ g
        m, v = b1 * m + (1 - b1) * r, b2 * v + (1 - b2) * r**2
        n = m / (1 - b1 ** (t + 1)) / (np.sqrt(v / (1 - b2 ** (t + 1))) + eps)
        w = w - eta * (alpha * p @ n + decay * w)
    return w if theta.shape[0] <= theta.shape[1] else w.T
