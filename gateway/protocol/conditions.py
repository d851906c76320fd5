"""Conditional requests: If-Match and its kin on reads, writes, deletes and copy sources.

RFC 9110, section 13; Amazon S3 User Guide, "Conditional requests". ETags are given and compared without their quotes;
a client may leave the quotes out. A date that cannot be read counts as absent (RFC 9110, section 13.1.3).
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.protocol.errors import S3Error
from gateway.protocol.timestamps import SECOND_US, format_http_date, parse_http_date_or_none

CONDITIONS = frozenset({"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"})


def check_read(headers: Mapping[str, str], *, etag: str, modified_us: int, now_us: int) -> None:
    """Conditions of GetObject and HeadObject on the object found.

    Raises S3Error PreconditionFailed (412), or NotModified (304, without a body, with ETag and Last-Modified).
    """
    if CONDITIONS.isdisjoint(headers):  # as of most requests
        return
    failed = _failed_condition(headers, "", etag, modified_us, now_us)
    if failed in ("If-Match", "If-Unmodified-Since"):
        raise _precondition_failed(failed)
    if failed is not None:
        raise S3Error("NotModified", headers={"ETag": f'"{etag}"', "Last-Modified": format_http_date(modified_us)})


def check_source(headers: Mapping[str, str], prefix: str, *, etag: str, modified_us: int, now_us: int) -> None:
    """The four conditions on what a copy or a rename reads, with `prefix` before their names.

    Raises S3Error PreconditionFailed for each.
    """
    failed = _failed_condition(headers, prefix, etag, modified_us, now_us)
    if failed is not None:
        raise _precondition_failed(f"{prefix}{failed}")


def check_write_headers(headers: Mapping[str, str]) -> None:
    """Refuse forms of If-Match and If-None-Match that S3 does not take on a write. Raises S3Error NotImplemented."""
    if_match, if_none_match = headers.get("if-match"), headers.get("if-none-match")
    if if_match is not None and if_none_match is not None:
        raise _unsupported("If-Match,If-None-Match", "Multiple conditional request headers present in the request")
    _check_values(headers)


def _check_values(headers: Mapping[str, str]) -> None:
    if_match, if_none_match = headers.get("if-match"), headers.get("if-none-match")
    if if_none_match is not None and if_none_match.strip() != "*":
        raise _unsupported("If-None-Match", "We don't accept the provided value of If-None-Match header for this API")
    if if_match is not None and if_match.strip() == "*":
        raise _unsupported("If-Match", "We don't accept the provided value of If-Match header for this API")


def check_rename(headers: Mapping[str, str], *, etag: str | None, modified_us: int, now_us: int) -> None:
    """Conditions of RenameObject on the object of the new name; `etag` None: there is none, `modified_us` is nothing.

    API_RenameObject: If-Match and If-Modified-Since ask for an object that is there. Raises S3Error PreconditionFailed,
    and NotImplemented as `check_rename_headers`.
    """
    check_rename_headers(headers)
    if etag is not None:
        failed = _failed_condition(headers, "", etag, modified_us, now_us)
    else:
        wanted = (("if-match", "If-Match"), ("if-modified-since", "If-Modified-Since"))
        failed = next((shown for name, shown in wanted if name in headers), None)
    if failed is not None:
        raise _precondition_failed(failed)


def check_rename_headers(headers: Mapping[str, str]) -> None:
    """RenameObject takes "*" in If-None-Match alone, and nothing but an entity tag in If-Match."""
    _check_values(headers)


def check_write(headers: Mapping[str, str], key: str, current_etag: str | None) -> None:
    """Conditions of PutObject, CopyObject and CompleteMultipartUpload on the key's object (None: there is none).

    Raises S3Error PreconditionFailed; NoSuchKey for If-Match without an object; what `check_write_headers` raises.
    """
    if "if-match" not in headers and "if-none-match" not in headers:
        return
    check_write_headers(headers)
    if_match = headers.get("if-match")
    if if_match is None:
        if current_etag is not None:
            raise _precondition_failed("If-None-Match")
    else:
        _check_match(if_match, key, current_etag)


def check_unchanged(headers: Mapping[str, str], key: str, *, is_changed: bool) -> None:
    """What a conditional CompleteMultipartUpload asks beside `check_write`: nobody wrote or deleted the key meanwhile.

    Raises S3Error ConditionalRequestConflict if the key changed since the upload was begun, even if the condition holds
    again (recorded from S3): the client is to begin anew.
    """
    for name, shown in (("if-match", "If-Match"), ("if-none-match", "If-None-Match")):
        if is_changed and name in headers:
            raise S3Error("ConditionalRequestConflict", fields={"Condition": shown, "Key": key})


def check_delete(if_match: str, key: str, current_etag: str | None) -> None:
    """If-Match of DeleteObject, ETag of an entry of DeleteObjects: an entity tag, or "*" for any object.

    Raises S3Error PreconditionFailed; NoSuchKey without an object, also where a delete marker is the newest version
    (recorded from S3; the User Guide says 412 of the latter).
    """
    _check_match(if_match, key, current_etag)


def _check_match(if_match: str, key: str, current_etag: str | None) -> None:
    if current_etag is None:
        raise S3Error("NoSuchKey", fields={"Key": key})
    if not _matches(if_match, current_etag, weak=False):
        raise _precondition_failed("If-Match")


def range_applies(headers: Mapping[str, str], *, etag: str, modified_us: int) -> bool:
    """Whether If-Range lets a Range count (RFC 9110, section 13.1.5); True without the header."""
    value = headers.get("if-range")
    if value is None:
        return True
    date_us = parse_http_date_or_none(value.strip())
    if date_us is not None:
        return modified_us // SECOND_US * SECOND_US == date_us
    return value.strip() != "*" and _matches(value, etag, weak=False)


def _failed_condition(headers: Mapping[str, str], prefix: str, etag: str, modified_us: int, now_us: int) -> str | None:
    """The condition that does not hold, in the order of RFC 9110, section 13.2.2.

    An If-Modified-Since that is still to come counts as absent (RFC 7232, section 3.3; recorded from S3).
    """
    if_match = headers.get(f"{prefix}if-match")
    if if_match is not None:
        if not _matches(if_match, etag, weak=False):
            return "If-Match"
    else:
        since_us = _date(headers, f"{prefix}if-unmodified-since")
        if since_us is not None and modified_us // SECOND_US * SECOND_US > since_us:
            return "If-Unmodified-Since"
    if_none_match = headers.get(f"{prefix}if-none-match")
    if if_none_match is not None:
        if _matches(if_none_match, etag, weak=True):
            return "If-None-Match"
    else:
        since_us = _date(headers, f"{prefix}if-modified-since")
        if since_us is not None and modified_us // SECOND_US * SECOND_US <= since_us <= now_us:
            return "If-Modified-Since"
    return None


def _matches(field: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags, or "*", covers `etag`. Our tags hold no comma: splitting at commas is safe."""
    for item in field.split(","):
        tag = item.strip()
        if tag == "*":
            return True
        if tag.startswith("W/"):
            if not weak:
                continue
            tag = tag[2:]
        if tag.strip('"') == etag:
            return True
    return False


def _date(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(name)
    return None if value is None else parse_http_date_or_none(value.strip())


def _precondition_failed(condition: str) -> S3Error:
    return S3Error("PreconditionFailed", fields={"Condition": condition})


def _unsupported(header: str, detail: str) -> S3Error:
    return S3Error("NotImplemented", fields={"Header": header, "additionalMessage": detail})
