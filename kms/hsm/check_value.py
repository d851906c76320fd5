"""The check value: a known answer that proves, at every opening, that both root keys are the expected ones.

    check value = wrapped ‖ HMAC-SHA256(root-mac, "sealgate/v2/root-check" ‖ root id (16) ‖ wrapped)

`wrapped` is a key nobody uses, wrapped when the root was made. A foreign root-mac fails the HMAC; a foreign root key
fails to unwrap (RFC 3394, §2.2.3: 64 bits of integrity). Made once, kept beside the keys, not secret.

It says one thing more, which nobody can make it say without the root: of version 2, that the rows of its key store
have seals (kms/service/row_seals.py); of version 1, with "sealgate/v1/root-check", that a release made it that knew of
none.
"""

from __future__ import annotations

import hmac

from kms.hsm.interface import Root, RootMisconfigured, UnwrapFailed

MAC_SIZE = 32
MIN_CHECK_VALUE_SIZE = 40 + MAC_SIZE
"""With profile `kw` and in a file root; other profiles wrap to more."""
MAX_CHECK_VALUE_SIZE = 1024

_LABEL = b"sealgate/v2/root-check"
_LABEL_WITHOUT_SEALS = b"sealgate/v1/root-check"


def make_check_value(root: Root) -> bytes:
    """The check value of `root`, 72 bytes with profile `kw`."""
    wrapped = root.generate_wrapped_key()
    return wrapped + root.mac(_message(root, _LABEL, wrapped))


def verify_check_value(root: Root, expected: bytes) -> None:
    """Raises RootMisconfigured when `expected` was not made by this very root; other RootErrors pass through."""
    tells_of_seals(root, expected)
    try:
        root.unwrap_key(expected[:-MAC_SIZE])
    except UnwrapFailed as error:
        raise RootMisconfigured(f"{_name(root)} is foreign: it did not wrap the stored check value") from error


def tells_of_seals(root: Root, check_value: bytes) -> bool:
    """Whether it says that the rows of its key store have seals. Otherwise like `verify_check_value`."""
    if not MIN_CHECK_VALUE_SIZE <= len(check_value) <= MAX_CHECK_VALUE_SIZE:
        raise RootMisconfigured(f"the stored check value has {len(check_value)} bytes, which no check value has")
    wrapped, tag = check_value[:-MAC_SIZE], check_value[-MAC_SIZE:]
    for label in (_LABEL, _LABEL_WITHOUT_SEALS):
        if hmac.compare_digest(root.mac(_message(root, label, wrapped)), tag):
            return label == _LABEL
    raise RootMisconfigured(f"{_name(root)} is foreign: its root-mac did not make the stored check value")


def _message(root: Root, label: bytes, wrapped: bytes) -> bytes:
    return label + root.identity.root_id + wrapped


def _name(root: Root) -> str:
    return f"the root key {root.identity.label!r} with id {root.identity.root_id.hex()}"
