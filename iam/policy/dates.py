"""Dates of conditions: the forms of ISO 8601 that W3C's profile has, and seconds of the epoch.

Sources: IAM User Guide, "Date condition operators"; https://www.w3.org/TR/NOTE-datetime; years of any size, and a date
without its day or month, as IAM takes them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

MAX_DATE_LENGTH = 64
_SECONDS = re.compile(r"\+?[0-9]+(?:\.[0-9]+)?")
_DATE = re.compile(
    r"(?P<year>-?[0-9]{1,9})(?:-(?P<month>[0-9]{1,2}))?(?:-(?P<day>[0-9]{1,2}))?"
    r"(?:[Tt ](?:(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{1,2})"
    r"(?::(?P<second>[0-9]{1,2})(?P<fraction>\.[0-9]{0,9})?)?)?)?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_SECONDS = 2**63 - 1
_BEYOND_US = 2**80
"""Farther from the epoch than any time that can be counted."""


def parse_date(text: str) -> int:
    """Microseconds since the epoch; UTC unless the text says otherwise. Raises ValueError."""
    if len(text) > MAX_DATE_LENGTH:
        raise ValueError("a date is in ISO 8601 form")
    if _SECONDS.fullmatch(text):
        seconds = Decimal(text)
        if seconds > _MAX_SECONDS:
            raise ValueError("seconds of the epoch have 64 bits")
        return int(seconds * 1_000_000)
    parts = _DATE.fullmatch(text)
    if parts is None:
        raise ValueError("a date is in ISO 8601 form")
    year = int(parts["year"])
    if not 1 < year < 9999:  # not quite what datetime has, so that no zone leads beyond it
        return _BEYOND_US if year > 0 else -_BEYOND_US
    month, day = (int(parts[name] or "1") for name in ("month", "day"))
    hour, minute, second = (int(parts[name] or "0") for name in ("hour", "minute", "second"))
    moment = datetime(year, month, day, hour, minute, second, tzinfo=_zone(parts["zone"]))
    fraction_us = int(Decimal(f"0{parts['fraction'] or ''}0") * 1_000_000) if parts["fraction"] else 0
    return (moment - _EPOCH) // timedelta(microseconds=1) + fraction_us


def _zone(text: str | None) -> timezone:
    if text is None or text in {"Z", "z"}:
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or "0"))
    return timezone(-offset if text[0] == "-" else offset)
