"""Statements about destroyed keys: what the root signs, and the two lines of a statement's file.

    statement   JSON, one line: what became unreadable, and by which lines of the audit trail that is known
    signature   JSON, one line: the audit key's, over the key's ARN, the time of its destruction and the first line

The signature is over bytes as they lie there. Format: docs/formats/destruction-statement.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from kms.audit.signatures import PublicKeys, is_signature

FORMAT: Final = 1
KIND: Final = "sealgate/key-destruction"
MAX_STATEMENT_BYTES: Final = 64 << 20
"""Of the first line. A bucket takes some 400 bytes of it."""

MAX_SIGNATURE_BYTES: Final = 4096
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BadStatement(Exception):
    """The file is no statement, or none that a trusted key signed; the message says why."""


class Signature(msgspec.Struct, frozen=True, rename="camel"):
    """`key_id` is the SHA-256 of the public key (SPKI, DER), hex; `signature` r ‖ s."""

    key_id: str
    signature: bytes


class AuditLine(msgspec.Struct, frozen=True, rename="camel"):
    """A line that the statement names: its number, and its hash as the next line holds it."""

    line: int
    hash: str


class _Key(msgspec.Struct, frozen=True):
    arn: str
    destroyed: str


class _Backups(msgspec.Struct, frozen=True):
    listed: list[AuditLine]


class _Audit(msgspec.Struct, frozen=True):
    node: str
    deleted: AuditLine
    checkpoint: AuditLine
    scheduled: AuditLine | None
    backups: _Backups


class _List(msgspec.Struct, frozen=True):
    sha256: str
    lines: int


class _Statement(msgspec.Struct, frozen=True, tag_field="kind", tag=KIND):
    """What a verifier compares; the rest is for people."""

    format: int
    key: _Key
    audit: _Audit
    versions_list: _List = msgspec.field(name="list")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as it was read: nothing of it is to be believed before `require_signed`.

    `document` is all that it says, `node` the audit trail and `lines` those of its lines that it names, `list_sha256`
    the digest of the list of object versions that belongs to it.
    """

    document: dict[str, Any]
    node: str
    lines: tuple[AuditLine, ...]
    list_sha256: str
    message: bytes
    signature: Signature


def format_time(us: int) -> str:
    """As statements write times: UTC, with microseconds."""
    return (_EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def attestation(key_arn: str, destroyed_us: int, statement_sha256: str) -> bytes:
    """The bytes that the root signs. None of the parts has a newline."""
    return _attestation(key_arn, format_time(destroyed_us), statement_sha256)


def digest(statement: bytes) -> str:
    """Of a statement's line, without the newline."""
    return hashlib.sha256(statement).hexdigest()


def format_file(statement: bytes, signature: Signature) -> bytes:
    return b"%b\n%b\n" % (statement, msgspec.json.encode(signature))


def parse(content: bytes) -> Statement:
    """What a statement's file says. Raises BadStatement for bytes that are none."""
    try:
        text, signed, rest = content.split(b"\n")
    except ValueError:
        raise BadStatement("it does not have two lines") from None
    if rest or len(text) > MAX_STATEMENT_BYTES or len(signed) > MAX_SIGNATURE_BYTES:
        raise BadStatement("its lines are longer than a statement's")
    try:
        parsed = msgspec.json.decode(text, type=_Statement)
        document = msgspec.json.decode(text, type=dict[str, Any])
        signature = msgspec.json.decode(signed, type=Signature)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadStatement(f"it is no statement about a destroyed key: {error}") from None
    if msgspec.json.encode(signature) != signed:
        raise BadStatement("its signature is not written as one")
    if parsed.format != FORMAT:
        raise BadStatement(f"format {parsed.format} is not known here")
    message = _attestation(parsed.key.arn, parsed.key.destroyed, digest(text))
    audit = parsed.audit
    lines = [audit.scheduled, audit.deleted, audit.checkpoint, *audit.backups.listed]
    named = tuple(each for each in lines if each is not None)
    return Statement(document, audit.node, named, parsed.versions_list.sha256, message, signature)


def require_signed(statement: Statement, keys: PublicKeys) -> None:
    """Raises BadStatement unless one of `keys` signed it."""
    key = keys.get(statement.signature.key_id)
    if key is None:
        raise BadStatement(f"it is signed by another key ({statement.signature.key_id})")
    if not is_signature(statement.signature.signature, statement.message, key):
        raise BadStatement("its signature is wrong: it was changed, or was never signed")


def _attestation(key_arn: str, destroyed: str, statement_sha256: str) -> bytes:
    return f"sealgate/v1/key-destruction\n{key_arn}\n{destroyed}\n{statement_sha256}\n".encode()
