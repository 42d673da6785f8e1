"""Schedules: pure functions of the step, as values, so that their numbers, lengths and boundaries are data.

All of them take the step as any integer (or an array of them, elementwise) and return float32, or float64 where that is
enabled. Steps below 0 count as 0; lengths and boundaries are rounded to whole steps and exact up to 2³¹ − 1.
"""

from funcgd.schedules.constant import constant_schedule
from funcgd.schedules.cosine import cosine_decay_schedule
from funcgd.schedules.cyclical import exp_range_schedule, triangular2_schedule, triangular_schedule
from funcgd.schedules.exponential import exponential_decay
from funcgd.schedules.interpolate import piecewise_interpolate_schedule
from funcgd.schedules.join import join_schedules
from funcgd.schedules.onecycle import cosine_onecycle_schedule, linear_onecycle_schedule
from funcgd.schedules.piecewise import piecewise_constant_schedule
from funcgd.schedules.polynomial import linear_schedule, polynomial_schedule
from funcgd.schedules.restarts import cosine_decay_restarts_schedule, sgdr_schedule
from funcgd.schedules.warmup import warmup_constant_schedule, warmup_cosine_decay_schedule
from funcgd.schedules.warmup_decay import (
    inverse_sqrt_schedule,
    warmup_exponential_decay_schedule,
    warmup_stable_decay_schedule,
)

__all__ = [
    "constant_schedule",
    "cosine_decay_restarts_schedule",
    "cosine_decay_schedule",
    "cosine_onecycle_schedule",
    "exp_range_schedule",
    "exponential_decay",
    "inverse_sqrt_schedule",
    "join_schedules",
    "linear_onecycle_schedule",
    "linear_schedule",
    "piecewise_constant_schedule",
    "piecewise_interpolate_schedule",
    "polynomial_schedule",
    "sgdr_schedule",
    "triangular2_schedule",
    "triangular_schedule",
    "warmup_constant_schedule",
    "warmup_cosine_decay_schedule",
    "warmup_exponential_decay_schedule",
    "warmup_stable_decay_schedule",
]
