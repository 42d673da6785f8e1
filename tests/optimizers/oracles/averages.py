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
