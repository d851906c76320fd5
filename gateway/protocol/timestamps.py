"""Times as S3 writes and reads them. Inside, a time is integer microseconds since the epoch, UTC.

S3's times have whole seconds, in headers and in XML alike (there with ".000"): a client that compares the two finds
them equal. Conditions on times compare whole seconds for the same reason.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

SECOND_US = 1_000_000

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTES = tuple(f"{minute // 60:02}:{minute % 60:02}:" for minute in range(1440))
_SECONDS = tuple(f"{second:02}" for second in range(60))
_MONTH = "|".join(_MONTHS)
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMS = (  # RFC 9110, section 5.6.7: IMF-fixdate and the two obsolete forms that a recipient must accept
    re.compile(rf"[A-Z][a-z]{{2}}, (?P<day>[0-9]{{2}}) (?P<month>{_MONTH}) (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"[A-Z][a-z]{{5,8}}, (?P<day>[0-9]{{2}})-(?P<month>{_MONTH})-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"[A-Z][a-z]{{2}} (?P<month>{_MONTH}) (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)


def format_iso8601(time_us: int) -> str:
    """As in S3's XML: 2009-10-12T17:50:30.000Z."""
    return _iso8601_second(time_us // SECOND_US)


@lru_cache(maxsize=4096)  # what was written together is listed together
def _iso8601_second(second: int) -> str:
    day, seconds = divmod(second, 86_400)
    return _iso8601_day(day) + _MINUTES[seconds // 60] + _SECONDS[seconds % 60] + ".000Z"


def format_http_date(time_us: int) -> str:
    """IMF-fixdate, as in Last-Modified: Mon, 12 Oct 2009 17:50:30 GMT."""
    day, seconds = divmod(time_us // SECOND_US, 86_400)
    return _http_day(day) + _MINUTES[seconds // 60] + _SECONDS[seconds % 60] + " GMT"


def parse_http_date_or_none(text: str) -> int | None:
    """Microseconds for any of the three forms of HTTP dates; None for anything else.

    A two-digit year below 70 means 20xx: the rule of RFC 9110 needs a clock, which this package has not.
    """
    for form in _FORMS:
        match = form.fullmatch(text)
        if match:
            return _time_us(match)
    return None


def _time_us(match: re.Match[str]) -> int | None:
    year = int(match["year"])
    if len(match["year"]) == 2:
        year += 2000 if year < 70 else 1900
    try:
        moment = datetime(
            year,
            _MONTHS.index(match["month"]) + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            min(int(match["second"]), 59),  # a leap second
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return int(moment.timestamp()) * SECOND_US


# A listing writes a thousand times, most of them of few days: the day is looked up, the rest is arithmetic.


@lru_cache(maxsize=4096)
def _iso8601_day(day: int) -> str:
    t = datetime.fromtimestamp(day * 86_400, UTC)
    return f"{t.year:04}-{t.month:02}-{t.day:02}T"


@lru_cache(maxsize=4096)
def _http_day(day: int) -> str:
    t = datetime.fromtimestamp(day * 86_400, UTC)
    return f"{_DAYS[t.weekday()]}, {t.day:02} {_MONTHS[t.month - 1]} {t.year:04} "
