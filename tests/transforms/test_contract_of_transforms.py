"""Transforms that are parts of no optimizer, held to the public contract."""

import pytest

import funcgd as fg
from funcgd.testing import check_transform

CASES = [
    (fg.clip_by_block_rms(1.0), {"elementwise": False}),
    (fg.adaptive_grad_clip(0.5), {"elementwise": False}),
    (fg.scale_by_param_block_norm(), {"dtypes": ("float32", "bfloat16"), "elementwise": False}),
    (fg.add_noise(0.0, 0.5, 0), {"dtypes": ("float32",)}),  # without noise, so that zero stays zero
    (fg.ema(0.9), {}),
    (fg.ema(0.9, accumulator_dtype="bfloat16"), {"dtypes": ("float32",)}),
    (fg.centralize(), {"elementwise": False}),
    (fg.add_decayed_weights(0.1, cautious=True), {"dtypes": ("bfloat16",)}),
    (fg.mars_correction(gamma=1.0, exact=True), {"dtypes": ("float16",)}),
    (fg.zero_nans(), {}),
    (fg.keep_params_nonnegative(), {"complex_ok": False}),
]


@pytest.mark.parametrize(("tx", "properties"), CASES, ids=[repr(tx)[:70] for tx, _ in CASES])
def test_contract(tx, properties):
    check_transform(tx, **properties)
