"""Transforms that are parts of no optimizer, held to the public contract."""

import pytest

import funcgd as fg
from funcgd.testing import check_transform

CASES = [
    (fg.clip_by_block_rms(1.0), {}),
    (fg.adaptive_grad_clip(0.5), {}),
]


@pytest.mark.parametrize(("tx", "properties"), CASES, ids=[repr(tx)[:70] for tx, _ in CASES])
def test_contract(tx, properties):
    check_transform(tx, **properties)
