"""The canonical form of a request, over which Signature Version 4 is computed.

IAM User Guide, "Create a signed AWS API request" (the general form) and Amazon S3 API Reference, "Signature
Calculations for the Authorization Header" (S3's: the path is encoded once and never normalised).

Text is treated as the bytes that came over the wire. Percent-encoding is undone and applied again, so that a client
that encodes more or less than the rules ask for is understood, as AWS understands it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote_to_bytes

_UNRESERVED = re.compile(r"[A-Za-z0-9\-._~]*")
_UNRESERVED_PATH = re.compile(r"[A-Za-z0-9\-._~/]*")
_BLANKS = re.compile(r"[ \t]+")


Pairs = list[tuple[str, str]]
"""Query parameters: encoded names and values, in canonical order."""


def to_wire(text: str) -> bytes:
    """The bytes of text that was read from the wire (UTF-8, anything else as surrogate escapes)."""
    return text.encode("utf-8", "surrogateescape")


def encode_path_once(target_path: str) -> str:
    """S3's canonical path: every byte of the decoded path encoded once, "/" and unreserved characters left alone."""
    if _UNRESERVED_PATH.fullmatch(target_path):
        return target_path or "/"
    return quote(unquote_to_bytes(to_wire(target_path)), safe="/-._~")


def encode_path_twice(target_path: str) -> str:
    """Every other service's: RFC 3986 §5.2.4 normalised without empty segments, and the received encoding encoded."""
    if target_path in {"/", ""}:
        return "/"
    return quote(to_wire(_normalise(target_path)), safe="/-._~")


def _normalise(path: str) -> str:
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    ends_open = bool(segments) and path.endswith(("/", "/.", "/.."))
    return "/" + "/".join(segments) + ("/" if ends_open else "")


def query_pairs(target_query: str) -> Pairs:
    """Name and value of each parameter, both canonically encoded, in canonical order.

    A parameter without "=" has the value "". "+" is a blank, as it is for whoever reads the parameters later: one
    signature must not fit two meanings.
    """
    if not target_query:
        return []
    pairs = []
    for piece in target_query.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            pairs.append((_encode_query(name), _encode_query(value)))
    pairs.sort()
    return pairs


def _encode_query(text: str) -> str:
    if _UNRESERVED.fullmatch(text):
        return text
    return quote(unquote_to_bytes(to_wire(text.replace("+", " "))), safe="-._~")


def join_query(pairs: Pairs) -> str:
    """The canonical query string of encoded and sorted pairs."""
    return "&".join([f"{name}={value}" for name, value in pairs])


def canonical_headers(headers: Mapping[str, str], signed_headers: Sequence[str]) -> str:
    """`name:value` and a newline for each signed header; values trimmed, runs of blanks inside them made one.

    A header that is named but absent counts as empty: some proxies drop such headers, and the signature then fails.
    """
    block = "".join([f"{name}:{headers.get(name, '')}\n" for name in signed_headers])
    if "  " not in block and ": " not in block and " \n" not in block and "\t" not in block:
        return block
    values = {name: _BLANKS.sub(" ", headers.get(name, "").strip(" \t")) for name in signed_headers}
    return "".join([f"{name}:{values[name]}\n" for name in signed_headers])


def canonical_request(
    *,
    method: str,
    path: str,
    pairs: Pairs,
    headers: Mapping[str, str],
    signed_headers: Sequence[str],
    payload_hash: str,
) -> str:
    """The whole: `path` and `pairs` are encoded already; `signed_headers` keep the order in which they were signed."""
    block = canonical_headers(headers, signed_headers)
    return "\n".join((method, path, join_query(pairs), block, ";".join(signed_headers), payload_hash))
