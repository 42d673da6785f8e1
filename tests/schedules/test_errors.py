"""What schedules refuse, and what they say."""

import jax.numpy as jnp
import pytest

from funcgd import schedules as fs

ERRORS = [
    (
        lambda: fs.linear_schedule(1.0, 0.0, -1),
        ValueError,
        r"linear_schedule: `transition_steps` must be in \[0, inf\)",
    ),
    (lambda: fs.linear_schedule(1.0, 0.0, 4, -1), ValueError, r"linear_schedule: `transition_begin` must be in"),
    (lambda: fs.linear_schedule(1.0, "x", 4), TypeError, r"linear_schedule: `end_value` must be a number, got 'x'"),
    (lambda: fs.linear_schedule(lambda t: t, 0.0, 4), TypeError, r"`init_value` must be a number, and cannot be a sch"),
    (lambda: fs.polynomial_schedule(1.0, 0.0, -1, 4), ValueError, r"polynomial_schedule: `power` must be in"),
    (lambda: fs.cosine_decay_schedule(1.0, float("nan")), ValueError, r"cosine_decay_schedule: `decay_steps` must be"),
    (lambda: fs.exponential_decay(1.0, 0, 0.5), ValueError, r"exponential_decay: `transition_steps` must be in \[1,"),
    (lambda: fs.exponential_decay(1.0, 4, 0.0), ValueError, r"exponential_decay: `decay_rate` must be in \(0, inf\)"),
    (
        lambda: fs.warmup_cosine_decay_schedule(0.0, 1.0, 10, 5),
        ValueError,
        r"warmup_cosine_decay_schedule: `decay_steps` includes the warmup, so it .* `warmup_steps`, 10.0; got 5.0",
    ),
    (
        lambda: fs.piecewise_constant_schedule(1.0, ([8, 5], [1, 1])),
        ValueError,
        r"must be ≥ 0 and ascending, got \[8.0,",
    ),
    (lambda: fs.piecewise_constant_schedule(1.0, ([5, 5], [1, 1])), ValueError, r"must be ≥ 0 and ascending"),
    (lambda: fs.piecewise_constant_schedule(1.0, {-1: 0.5}), ValueError, r"must be ≥ 0 and ascending, got \[-1.0\]"),
    (
        lambda: fs.piecewise_constant_schedule(1.0, {1: -0.5}),
        ValueError,
        r"scales .* must be in \[0, inf\), got \[-0.5\]",
    ),
    (
        lambda: fs.piecewise_constant_schedule(1.0, ([5], [1, 1])),
        ValueError,
        r"one scale for each boundary, got 1 b.* 2 s",
    ),
    (lambda: fs.piecewise_constant_schedule(1.0, 5), TypeError, r"must be a dict \{boundary: scale\} or a pair"),
    (lambda: fs.piecewise_constant_schedule(1.0, {5: "x"}), TypeError, r"`boundaries_and_scales\[1\]` must be a seq"),
    (
        lambda: fs.join_schedules([1.0, 2.0], []),
        ValueError,
        r"join_schedules: `boundaries` must have one entry less .* 0 f",
    ),
    (
        lambda: fs.join_schedules([1.0, 2.0, 3.0], [5, 4]),
        ValueError,
        r"join_schedules: `boundaries` must be ≥ 0 and asc",
    ),
    (
        lambda: fs.join_schedules([1.0, 2.0], [-1]),
        ValueError,
        r"join_schedules: `boundaries` must be ≥ 0 and ascending",
    ),
    (
        lambda: fs.join_schedules(fs.constant_schedule(1.0), []),
        TypeError,
        r"join_schedules: `schedules` must be a list",
    ),
    (
        lambda: fs.join_schedules([1.0, None], [4]),
        TypeError,
        r"join_schedules: `schedules\[1\]` must be a schedule or a n",
    ),
    (
        lambda: fs.triangular_schedule(0.0, 1.0, 0),
        ValueError,
        r"triangular_schedule: `half_cycle_steps` must be in",
    ),
    (
        lambda: fs.exp_range_schedule(0.0, 1.0, 2, 1.5),
        ValueError,
        r"exp_range_schedule: `decay_rate` must be in \(0,",
    ),
    (lambda: fs.cosine_onecycle_schedule(9, 1.0, 1.5), ValueError, r"cosine_onecycle_schedule: `pct_start` must be in"),
    (
        lambda: fs.linear_onecycle_schedule(9, 1.0, 0.5, 0.4),
        ValueError,
        r"linear_onecycle_schedule: `pct_final` must be at least `pct_start`, 0.5; got 0.4",
    ),
    (lambda: fs.cosine_decay_restarts_schedule(1.0, 4, 1.5), TypeError, r"`t_mul`: expected an integer, got 1.5"),
    (lambda: fs.sgdr_schedule([]), ValueError, r"sgdr_schedule: `cosine_kwargs` must have at least one cycle"),
    (lambda: fs.sgdr_schedule([{"init_value": 0.0}]), TypeError, r"sgdr_schedule: `cosine_kwargs\[0\]` must be a dict"),
    (
        lambda: fs.warmup_stable_decay_schedule(0.0, 1.0, 1, 1, 1, decay_type="sqrt"),
        ValueError,
        r"`decay_type` must be one of 'linear', 'cosine', '1-sqrt', got 'sqrt'",
    ),
    (lambda: fs.inverse_sqrt_schedule(0.0, 1.0, 4, 0.0), ValueError, r"inverse_sqrt_schedule: `timescale` must be in"),
    (
        lambda: fs.join_schedules([lambda t: jnp.ones(2), 1.0], [4])(3),
        ValueError,
        r"`schedules\[0\]` must return a scalar",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors_name_the_field_and_the_value(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
