"""For people who write their own: the contract of transforms, and the check of gradients. Needs the extra `test`."""

from funcgd.testing.contract import check_transform

__all__ = ["check_transform"]
