"""Limits that the service holds itself, whoever calls it, refused in the words of AWS's validation.

The face checks the model's own constraints; what stands here is narrower than the model, or is also reached without it.
"""

from __future__ import annotations

from kms.api.errors import KMSError


def check_range(member: str, value: int, minimum: int, maximum: int) -> None:
    """`value` within `minimum`..`maximum`. Raises ValidationException."""
    if not minimum <= value <= maximum:
        raise _broken(f"Value '{value}'", member, f"value {_bound(value, minimum, maximum)}")


def check_length(member: str, length: int, minimum: int, maximum: int, shown: str | None = None) -> None:
    """The length of a member; `shown` is its value, left out for sensitive ones. Raises ValidationException."""
    if not minimum <= length <= maximum:
        value = "Value" if shown is None else f"Value '{shown[:maximum]}'"
        raise _broken(value, member, f"length {_bound(length, minimum, maximum)}")


def dry_run_succeeded() -> KMSError:
    """What DryRun answers when everything but the act itself was done."""
    return KMSError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")


def _bound(measured: int, minimum: int, maximum: int) -> str:
    return f"greater than or equal to {minimum}" if measured < minimum else f"less than or equal to {maximum}"


def _broken(value: str, member: str, bound: str) -> KMSError:
    return KMSError(
        "ValidationException",
        f"1 validation error detected: {value} at '{member}' failed to satisfy constraint: Member must have {bound}",
    )
