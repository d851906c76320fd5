"""The check value: a known answer that proves, at every opening, that both root keys are the expected ones.

    check value = wrapped ‖ HMAC-SHA256(root-mac, "sealgate/v1/root-check" ‖ root id (16) ‖ wrapped)

`wrapped` is a key nobody uses, wrapped when the root was made. A foreign root-mac fails the HMAC; a foreign root key
fails to unwrap (RFC 3394, §2.2.3: 64 bits of integrity). Made once, kept beside the keys, not secret.
"""

from __future__ import annotations

import hmac

from kms.hsm.interface import Root, RootMisconfigured, UnwrapFailed

MAC_SIZE = 32
MIN_CHECK_VALUE_SIZE = 40 + MAC_SIZE
"""With profile `kw` and in a file root; other profiles wrap to more."""
MAX_CHECK_VALUE_SIZE = 1024

_LABEL = b"sealgate/v1/root-check"


def make_check_value(root: Root) -> bytes:
    """The check value of `root`, 72 bytes with profile `kw`."""
    wrapped = root.generate_wrapped_key()
    return wrapped + root.mac(_message(root, wrapped))


def verify_check_value(root: Root, expected: bytes) -> None:
    """Raises RootMisconfigured when `expected` was not made by this very root; other RootErrors pass through."""
    if not MIN_CHECK_VALUE_SIZE <= len(expected) <= MAX_CHECK_VALUE_SIZE:
        raise RootMisconfigured(f"the stored check value has {len(expected)} bytes, which no check value has")
    wrapped, tag = expected[:-MAC_SIZE], expected[-MAC_SIZE:]
    if not hmac.compare_digest(root.mac(_message(root, wrapped)), tag):
        raise RootMisconfigured(f"{_name(root)} is foreign: its root-mac did not make the stored check value")
    try:
        root.unwrap_key(wrapped)
    except UnwrapFailed as error:
        raise RootMisconfigured(f"{_name(root)} is foreign: it did not wrap the stored check value") from error


def _message(root: Root, wrapped: bytes) -> bytes:
    return _LABEL + root.identity.root_id + wrapped


def _name(root: Root) -> str:
    return f"the root key {root.identity.label!r} with id {root.identity.root_id.hex()}"
