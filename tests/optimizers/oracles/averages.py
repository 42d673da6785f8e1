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
