"""What is known of activations: how steep they are, where they saturate, which units can die."""

import math

# The largest slope max |σ′|, of softmax the largest norm of its Jacobian. Numbers without a closed form are rounded up.
STEEPEST = {
    "celu": 1.0,
    "elu": 1.0,
    "gelu": 1.129,  # by tanh, as jax.nn.gelu
    "hard_sigmoid": 1 / 6,
    "hard_tanh": 1.0,
    "identity": 1.0,
    "leaky_relu": 1.0,
    "log_sigmoid": 1.0,
    "mish": 1.08851,
    "relu": 1.0,
    "relu6": 1.0,
    "selu": 1.0507009873554805 * 1.6732632423543772,  # λα, left of 0
    "sigmoid": 1 / 4,
    "silu": 1.09984,
    "soft_sign": 1.0,
    "softmax": 1 / 2,
    "softplus": 1.0,
    "step": 0.0,
    "tanh": 1.0,
}

# The values that they come near to as z → ±∞.
LIMITS = {
    "hard_sigmoid": (0.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "soft_sign": (-1.0, 1.0),
    "tanh": (-1.0, 1.0),
}

NEAR = 0.01  # of the range: there σ′ of sigmoid and tanh is below 4 % of its largest value, 4·0.01·0.99

RECTIFIERS = ("relu", "relu6")  # 0, with slope 0, for z ≤ 0


def steepest(activation: str | None) -> float:
    """max |σ′|; NaN if it is not known."""
    return math.nan if activation is None else STEEPEST.get(activation, math.nan)
