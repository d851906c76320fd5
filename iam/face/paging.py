"""Pages of a listing: MaxItems of them, and a Marker that says where the next page goes on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import TypeVar

from iam.face.call import Document, Value
from iam.face.errors import IAMError
from iam.face.request import ParsedRequest

DEFAULT_ITEMS = 100

T = TypeVar("T")


def page(
    request: ParsedRequest,
    name: str,
    items: Iterable[T],
    position: Callable[[T], str],
    shape: Callable[[T], Value],
) -> Document:
    """The part of `items` that the request asks for, as the list `name`. See `part`."""
    told, more = part(request, items, position)
    return {name: [shape(each) for each in told], **more}


def part(
    request: ParsedRequest,
    items: Iterable[T],
    position: Callable[[T], str],
    *,
    marker_member: str = "Marker",
    limit_member: str = "MaxItems",
    default: int = DEFAULT_ITEMS,
) -> tuple[list[T], Document]:
    """Those of `items` that the request asks for, and what the answer says of the others (IsTruncated, Marker).

    Services differ in what the members are called that ask for a page, and in how long one is by default. `position`
    gives the text that items are ordered by; each has one of its own, which no change of others moves. Raises
    IAMError(ValidationError) for a marker that is not one of ours.
    """
    after = _parse_marker(request.text_or_none(marker_member))
    limit = request.integer_or_none(limit_member) or default
    waiting = sorted((each for each in items if after is None or position(each) > after), key=position)
    told = waiting[:limit]
    more: dict[str, Value] = {"IsTruncated": len(waiting) > limit}
    if len(waiting) > limit:
        more["Marker"] = _format_marker(position(told[-1]))
    return told, more


def _format_marker(position: str) -> str:
    return base64.urlsafe_b64encode(position.encode()).decode("ascii")


def _parse_marker(marker: str | None) -> str | None:
    if marker is None:
        return None
    try:
        return base64.b64decode(marker.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise IAMError("ValidationError", "Invalid Marker.") from None
