"""Cycles, restarts, one-cycle and warm-up schedules: oracles in float64, and what is exact; used by test_schedules.

The oracles take lengths that need not be whole, so that they can be differentiated.
"""

import numpy as np

from funcgd import schedules as fs

LAST = 2**31 - 1


def triangle(t, s):
    """Smith's formulas: cycle = ⌊1 + t/2s⌋, x = |t/s − 2·cycle + 1|, height 1 − x."""
    cycle = np.floor(1 + t / (2 * s))
    return cycle, np.maximum(0, 1 - np.abs(t / s - 2 * cycle + 1))


def triangular(t, init_value, peak_value, half_cycle_steps):
    return init_value + (peak_value - init_value) * triangle(t, half_cycle_steps)[1]


def triangular2(t, init_value, peak_value, half_cycle_steps):
    cycle, height = triangle(t, half_cycle_steps)
    return init_value + (peak_value - init_value) * height / 2 ** (cycle - 1)


def exp_range(t, init_value, peak_value, half_cycle_steps, decay_rate):
    return init_value + (peak_value - init_value) * triangle(t, half_cycle_steps)[1] * decay_rate**t


def along(t, times, values, wave=False):
    """Through points, by lines or half waves, one segment after another."""
    result = np.full(np.shape(t), float(values[-1]))
    for t0, t1, a, b in reversed(list(zip(times, times[1:], values, values[1:], strict=False))):
        x = np.clip((t - t0) / (t1 - t0), 0, 1)
        result = np.where(t < t1, a + (b - a) * ((1 - np.cos(np.pi * x)) / 2 if wave else x), result)
    return result


def cosine_onecycle(t, transition_steps, peak_value, pct_start, div_factor, final_div_factor):
    low, end = peak_value / div_factor, transition_steps
    return along(t, [0, pct_start * end, end], [low, peak_value, low / final_div_factor], wave=True)


def linear_onecycle(t, transition_steps, peak_value, pct_start, pct_final, div_factor, final_div_factor):
    low, end = peak_value / div_factor, transition_steps
    return along(t, [0, pct_start * end, pct_final * end, end], [low, peak_value, low, low / final_div_factor])


def restarts(t, init_value, first_decay_steps, m_mul, alpha, t_mul):
    result = np.empty(np.shape(t))
    begin, length, high = 0.0, first_decay_steps, init_value
    while begin <= np.max(t):
        here = (t >= begin) & (t < begin + length)
        x = (t[here] - begin) / length
        result[here] = high * ((1 - alpha) * 0.5 * (1 + np.cos(np.pi * x)) + alpha)
        begin, length, high = begin + length, length * t_mul, high * m_mul
    return result


def warmup(t, a, b, steps):
    return a + (b - a) * t / steps


def warmup_exponential(
    t, init_value, peak_value, warmup_steps, transition_steps, decay_rate, transition_begin, end_value=None
):
    down = peak_value * decay_rate ** (np.maximum(t - warmup_steps - transition_begin, 0) / transition_steps)
    down = down if end_value is None else np.maximum(down, end_value)
    return np.where(t < warmup_steps, warmup(t, init_value, peak_value, warmup_steps), down)


def warmup_stable_decay(
    t, init_value, peak_value, warmup_steps, stable_steps, decay_steps, end_value, decay_type="linear"
):
    x = np.clip((t - warmup_steps - stable_steps) / decay_steps, 0, 1)
    d = {"linear": 1 - x, "1-sqrt": 1 - np.sqrt(x), "cosine": (1 + np.cos(np.pi * x)) / 2}[decay_type]
    down = end_value + (peak_value - end_value) * d
    return np.where(t < warmup_steps, warmup(t, init_value, peak_value, warmup_steps), down)


def inverse_sqrt(t, init_value, peak_value, warmup_steps, timescale=None):
    s = warmup_steps if timescale is None else timescale
    down = peak_value * np.sqrt(s / (np.maximum(t - warmup_steps, 0) + s))
    return np.where(t < warmup_steps, warmup(t, init_value, peak_value, warmup_steps), down)


def vaswani(t, model, warmup_steps):
    """Attention is all you need, formula 3."""
    return model**-0.5 * np.minimum(t**-0.5, t * warmup_steps**-1.5)


SMOOTH = {
    "triangular": (fs.triangular_schedule(0.1, 0.7, 9), triangular),
    "triangular2": (fs.triangular2_schedule(0.1, 0.7, 5), triangular2),
    "exp_range": (fs.exp_range_schedule(0.1, 0.7, 9, 0.98), exp_range),
    "cosine onecycle": (fs.cosine_onecycle_schedule(30, 0.5, 0.3, 10, 50), cosine_onecycle),
    "linear onecycle": (fs.linear_onecycle_schedule(30, 0.5, 0.3, 0.7, 10, 50), linear_onecycle),
    "restarts": (fs.cosine_decay_restarts_schedule(0.5, 10, 2, 0.7, 0.1), restarts),
    "equal restarts": (fs.cosine_decay_restarts_schedule(0.5, 9, 1, 0.7, 0.1), restarts),
    "warmup exponential": (fs.warmup_exponential_decay_schedule(0.1, 1.0, 9, 5, 0.7, 1), warmup_exponential),
    "stable": (fs.warmup_stable_decay_schedule(0.1, 1.0, 9, 5, 20, 0.2), warmup_stable_decay),
    "stable root": (fs.warmup_stable_decay_schedule(0.1, 1.0, 9, 1, 20, 0.2, "1-sqrt"), warmup_stable_decay),
    "stable cosine": (fs.warmup_stable_decay_schedule(0.1, 1.0, 9, 5, 20, 0.2, "cosine"), warmup_stable_decay),
    "inverse sqrt": (fs.inverse_sqrt_schedule(0.1, 1.0, 9), inverse_sqrt),
    "inverse sqrt in its own time": (fs.inverse_sqrt_schedule(0.1, 1.0, 9, 4), inverse_sqrt),
}
VARIANTS = {"stable root", "stable cosine", "inverse sqrt in its own time", "equal restarts"}  # of those beside them

CYCLE = {"init_value": 0.1, "peak_value": 0.5, "warmup_steps": 2, "decay_steps": 6, "end_value": 0.1}
OTHERS = {
    "interpolate": fs.piecewise_interpolate_schedule("linear", 1.0, {5: 2.0, 9: 0.25}),
    "interpolate waves": fs.piecewise_interpolate_schedule("cosine", 1.0, {5: 2.0, 9: 0.25}),
    "sgdr": fs.sgdr_schedule([CYCLE, {**CYCLE, "peak_value": 0.25, "decay_steps": 12}]),
}

T, R, WSD = fs.triangular_schedule, fs.cosine_decay_restarts_schedule, fs.warmup_stable_decay_schedule
HALF = 2**30
EXACT = {  # what is at each step, exactly
    "feet and tops": (T(0.1, 0.3, 4), {0: 0.1, 4: 0.3, 8: 0.1, 12: 0.3, 16: 0.1, 8 * 10**6: 0.1, 8 * 10**6 + 4: 0.3}),
    "half a cycle of one step": (T(0.1, 0.3, 1), {0: 0.1, 1: 0.3, 2: 0.1, LAST - 1: 0.1, LAST: 0.3}),
    "half a cycle as long as it can be": (T(0.0, 1.0, LAST), {0: 0.0, HALF: 0.5, LAST: 1.0}),
    "halved tops": (fs.triangular2_schedule(0.0, 0.5, 2), {0: 0, 2: 0.5, 4: 0, 6: 0.25, 8: 0, 10: 0.125, LAST - 1: 0}),
    "feet of a decaying wave": (fs.exp_range_schedule(0.1, 0.5, 2, 0.5), {0: 0.1, 4: 0.1, 8: 0.1, LAST: 0.1}),
    "no decay": (fs.exp_range_schedule(0.1, 0.5, 2, 1.0), {0: 0.1, 2: 0.5, 4: 0.1, 6: 0.5}),
    "one cycle": (
        fs.cosine_onecycle_schedule(10, 0.5, 0.3, 2, 4),
        {0: 0.25, 3: 0.5, 10: 0.0625, 11: 0.0625, LAST: 0.0625},
    ),
    "one cycle of length 0": (fs.cosine_onecycle_schedule(0, 0.5, 0.3, 2, 4), {0: 0.0625, 1: 0.0625}),
    "one cycle of length 1": (fs.cosine_onecycle_schedule(1, 0.5, 0.3, 2, 4), {0: 0.5, 1: 0.0625}),
    "peak at once": (fs.linear_onecycle_schedule(8, 0.5, 0.0, 0.5, 2, 4), {0: 0.5, 2: 0.375, 4: 0.25, 8: 0.0625}),
    "peak at the end": (fs.linear_onecycle_schedule(8, 0.5, 1.0, 1.0, 2, 4), {0: 0.25, 4: 0.375, 8: 0.0625}),
    "restarts": (R(0.3, 4), {0: 0.3, 4: 0.3, 12: 0.3, 28: 0.3, 4 * (2**20 - 1): 0.3, 4 * (2**29 - 1): 0.3}),
    "equal restarts of one step": (R(0.3, 1, 1), {0: 0.3, 1: 0.3, LAST: 0.3}),
    "lower restarts": (R(1.0, 1, 1000, m_mul=1.0, alpha=0.5), {0: 1.0, 1: 1.0, 501: 0.75, 1001: 1.0, 1002001: 1.0}),
    "sgdr": (OTHERS["sgdr"], {0: 0.1, 2: 0.5, 6: 0.1, 8: 0.25, 18: 0.1, LAST: 0.1}),
    "through points": (OTHERS["interpolate"], {0: 1.0, 5: 2.0, 7: 1.25, 9: 0.5, LAST: 0.5}),
    "no points": (fs.piecewise_interpolate_schedule("cosine", 0.3), {0: 0.3, LAST: 0.3}),
    "three stages": (WSD(0.1, 0.3, 2, 3, 4, 0.2), {0: 0.1, 2: 0.3, 5: 0.3, 9: 0.2, LAST: 0.2}),
    "two stages": (WSD(0.1, 0.3, 0, 3, 4), {0: 0.3, 3: 0.3, 7: 0.0}),
    "no plateau": (WSD(0.1, 0.3, 2, 0, 4, decay_type="cosine"), {0: 0.1, 2: 0.3, 6: 0.0}),
    "sudden end": (WSD(0.1, 0.3, 2, 3, 0, decay_type="1-sqrt"), {0: 0.1, 2: 0.3, 4: 0.3, 5: 0.0}),
    "no stage": (WSD(0.1, 0.3, 0, 0, 0, 0.2), {0: 0.2, LAST: 0.2}),
    "root of a quarter": (WSD(0.0, 1.0, 0, 0, 16, decay_type="1-sqrt"), {0: 1.0, 4: 0.5, 16: 0.0}),
    "square root": (fs.inverse_sqrt_schedule(0.0, 1.0, 4), {0: 0.0, 2: 0.5, 4: 1.0, 16: 0.5, 64: 0.25}),
    "square root at once": (fs.inverse_sqrt_schedule(0.0, 1.0, 0), {0: 1.0, 3: 0.5, 15: 0.25}),
    "exponential at once": (fs.warmup_exponential_decay_schedule(0.1, 0.5, 0, 1, 0.5), {0: 0.5, 1: 0.25, 2: 0.125}),
    "exponential late": (
        fs.warmup_exponential_decay_schedule(0.0, 0.5, 2, 4, 0.5, 3, staircase=True),
        {0: 0.0, 1: 0.25, 2: 0.5, 8: 0.5, 9: 0.25, 12: 0.25, 13: 0.125},
    ),
    "bound below the peak": (
        fs.warmup_exponential_decay_schedule(0.0, 0.5, 2, 1, 0.5, end_value=0.25),
        {0: 0.0, 2: 0.5, 3: 0.25, 9: 0.25},
    ),
}
