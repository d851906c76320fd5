"""Times that the index gives in its own transactions, so that no seal of the gateway's can cover them.

They are told in steps of an odd number of microseconds: a multiple of it with one bit changed is none any more (no
power of two is divisible by it), which `self_check` finds without anything else to compare with.
"""

from __future__ import annotations

from typing import Final

STEP_US: Final = 1009


def checked_time(us: int) -> int:
    """`us`, or up to a millisecond before it."""
    return us - us % STEP_US
