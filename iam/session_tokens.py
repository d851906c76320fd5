"""Session tokens: everything about temporary credentials, sealed, in the hands of whoever uses them.

No process keeps a list of sessions: a token that opens is one that this installation made, for the access key that it
is shown with. It carries the secret instead of a salt to derive it from: what opens tokens is then the same interface
that opens the secrets of other access keys, and no further key has to be anywhere. What the principal may do is not in
it, but for session policies: that is looked up when the token is used (`iam.sessions`).
Format: docs/formats/session-token.md.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from iam.secrets import Secret
from iam.store.interface import SecretSealer
from iam.tags import Tags

VERSION: Final = 1

MAX_PACKED_BYTES: Final = 4096
"""Of session policies and tags, compressed. AWS has such a limit and does not tell it; this one leaves a token room in
a URL beside the longest key, within the 16 KiB that the head of a request may have."""

MAX_TOKEN_LENGTH: Final = 8192
"""Characters. Of a token that is full, some 7 500: packed, with the longest names and claims."""

MAX_UNPACKED_BYTES: Final = 131_072
"""What MAX_PACKED_BYTES may unfold to: above the largest policy, ten ARNs and fifty tags together."""

_PURPOSE = b"sealgate/v1/sts/session-token/"
_COMPRESSION_LEVEL = 9


class SessionKind(StrEnum):
    """What made the credentials: they differ in whom they act as, and in what that is limited by."""

    SAME = "same"
    """GetSessionToken: the user, or the root user, itself."""
    ROLE = "role"
    """AssumeRole and its like."""
    FEDERATED_USER = "federated"
    """GetFederationToken."""


class NotASessionToken(Exception):
    """The text is no token, or none of this access key, or none that was made here."""


class TooLarge(Exception):
    """Session policies and tags do not fit; `percent` is how much of the room they would take."""

    def __init__(self, percent: int) -> None:
        super().__init__(f"packed session policies and tags take {percent}% of their room")
        self.percent = percent


@dataclass(frozen=True, slots=True)
class PassedSession:
    """What a caller passed for the session: policies that limit it, and tags.

    `policy_arns` are managed policies; `transitive` are keys of `tags` that go on to the roles assumed next.
    """

    policy: str | None = None
    policy_arns: tuple[str, ...] = ()
    tags: Tags = ()
    transitive: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self == _NOTHING_PASSED

    @property
    def has_policies(self) -> bool:
        return self.policy is not None or bool(self.policy_arns)


_NOTHING_PASSED = PassedSession()


@dataclass(frozen=True, slots=True)
class SessionToken:
    """What a token says.

    `principal_id` is the unique id of the user or role, or the account's id for the root user; `name` the session's or
    the federated user's, "" for SAME. Times in microseconds. See `iam.principals.Session` for the others.
    """

    kind: SessionKind
    secret: Secret
    issued_us: int
    expires_us: int
    account_id: str
    principal_id: str
    name: str = ""
    passed: PassedSession = field(default=_NOTHING_PASSED)
    source_identity: str | None = None
    provider: str | None = None
    claims: tuple[tuple[str, tuple[str, ...]], ...] = ()


_Fields = tuple[
    str, bytes, int, int, str, str, str, str | None, str | None, tuple[tuple[str, tuple[str, ...]], ...], bytes
]
_Passed = tuple[str | None, tuple[str, ...], Tags, tuple[str, ...]]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Fields)
_passed_decoder = msgspec.msgpack.Decoder(_Passed)


class SessionTokens:
    """Makes tokens and opens them, under the key that `sealer` has. Threads may share it if they may share that."""

    def __init__(self, sealer: SecretSealer) -> None:
        self._sealer = sealer

    def seal(self, access_key_id: str, token: SessionToken) -> str:
        """The token's text, at most MAX_TOKEN_LENGTH characters of base64url. Raises TooLarge."""
        packed = _pack(token.passed)
        document = _encoder.encode(
            (
                token.kind.value,
                token.secret.reveal(),
                token.issued_us,
                token.expires_us,
                token.account_id,
                token.principal_id,
                token.name,
                token.source_identity,
                token.provider,
                token.claims,
                packed,
            )
        )
        text = _encode(bytes([VERSION]) + self._sealer.seal(_purpose(access_key_id), document))
        if len(text) > MAX_TOKEN_LENGTH:
            raise TooLarge(_percent(len(text), MAX_TOKEN_LENGTH))
        return text

    def open(self, access_key_id: str, text: str) -> SessionToken:
        """What a token says that was shown with this access key. Its expiry is the caller's to check.

        Raises NotASessionToken, and nothing else whatever the text is.
        """
        sealed = _decode(text)
        try:
            document = self._sealer.open(_purpose(access_key_id), sealed)
        except Exception:  # "any exception" is what a sealer promises for what it did not seal
            raise NotASessionToken from None
        try:
            return _parse(document)
        except (msgspec.DecodeError, ValueError, zlib.error):  # sealed here, but by no version that this one knows
            raise NotASessionToken from None


def packed_percent(passed: PassedSession) -> int | None:
    """How much of its room it takes; None where nothing was passed. Raises TooLarge."""
    return None if passed.is_empty else _percent(len(_pack(passed)), MAX_PACKED_BYTES)


def _pack(passed: PassedSession) -> bytes:
    """Compressed alone, so that the length of a token tells nothing about what else is in it."""
    if passed.is_empty:
        return b""
    document = _encoder.encode((passed.policy, passed.policy_arns, passed.tags, passed.transitive))
    packed = zlib.compress(document, _COMPRESSION_LEVEL)
    if len(packed) > MAX_PACKED_BYTES or len(document) > MAX_UNPACKED_BYTES:
        raise TooLarge(max(_percent(len(packed), MAX_PACKED_BYTES), _percent(len(document), MAX_UNPACKED_BYTES)))
    return packed


def _unpack(packed: bytes) -> PassedSession:
    if not packed:
        return _NOTHING_PASSED
    unfolding = zlib.decompressobj()
    document = unfolding.decompress(packed, MAX_UNPACKED_BYTES)
    if not unfolding.eof:
        raise ValueError("more than can have been packed")
    policy, policy_arns, tags, transitive = _passed_decoder.decode(document)
    return PassedSession(policy, policy_arns, tags, transitive)


def _parse(document: bytes) -> SessionToken:
    (
        kind,
        secret,
        issued_us,
        expires_us,
        account_id,
        principal_id,
        name,
        source_identity,
        provider,
        claims,
        packed,
    ) = _decoder.decode(document)
    return SessionToken(
        SessionKind(kind),
        Secret(secret),
        issued_us,
        expires_us,
        account_id,
        principal_id,
        name,
        _unpack(packed),
        source_identity,
        provider,
        claims,
    )


def _percent(size: int, room: int) -> int:
    """Rounded up."""
    return -(-100 * size // room)


def _purpose(access_key_id: str) -> bytes:
    """What a token is bound to: it opens beside its own access key and nowhere else."""
    return _PURPOSE + access_key_id.encode("utf-8", "surrogateescape")


def _encode(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    """The sealed part of a token in its one spelling. Raises NotASessionToken."""
    if not 0 < len(text) <= MAX_TOKEN_LENGTH or not text.isascii():
        raise NotASessionToken
    try:
        token = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise NotASessionToken from None
    if token[0] != VERSION or _encode(token) != text:
        raise NotASessionToken
    return token[1:]
