"""Statements about destroyed keys: signed, changed, and what the trail tells of a key's end."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms.audit.destruction import (
    FORMAT,
    KIND,
    MAX_SIGNATURE_BYTES,
    BadStatement,
    Signature,
    attestation,
    digest,
    format_file,
    format_time,
    parse,
    require_signed,
)
from kms.audit.event import SERVICE_EVENT, Event, Resource
from kms.audit.evidence import MAX_BACKUPS, Evidence
from kms.audit.lines import Head
from kms.audit.signatures import key_id, load_public_keys
from kms.audit.verify import Verifier
from tests.kms.audit.trails import NODE, START, SoftSigner, TrailMaker, event

SIGNER, OTHER = SoftSigner(), SoftSigner()
ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
DESTROYED_US = 1_767_225_600_123_456
LINE = {"line": 7, "hash": "ab" * 32}
DOCUMENT: dict[str, Any] = {
    "kind": KIND,
    "format": FORMAT,
    "key": {"arn": ARN, "destroyed": format_time(DESTROYED_US), "versions": 2},
    "audit": {
        "node": NODE,
        "scheduled": None,
        "deleted": LINE,
        "checkpoint": {"line": 8, "hash": "cd" * 32},
        "backups": {"number": 0, "listed": []},
    },
    "list": {"sha256": "ef" * 32, "lines": 0},
}


def statement(document: Any = DOCUMENT, signer: SoftSigner = SIGNER) -> bytes:
    text = msgspec.json.encode(document)
    message = attestation(ARN, DESTROYED_US, digest(text))
    signature = signer.sign(hashlib.sha256(message).digest())
    return format_file(text, Signature(key_id(signer.audit_public_key()), signature))


def test_times_have_microseconds() -> None:
    assert format_time(DESTROYED_US) == "2026-01-01T00:00:00.123456Z"
    assert format_time(1_000_000) == "1970-01-01T00:00:01.000000Z"


def test_a_statement_that_was_signed() -> None:
    read = parse(statement())
    require_signed(read, SIGNER.public_keys())
    assert read.document == DOCUMENT
    assert (read.node, read.list_sha256) == (NODE, "ef" * 32)
    assert [(each.line, each.hash[:2]) for each in read.lines] == [(7, "ab"), (8, "cd")]


def test_by_another_key_or_none() -> None:
    with pytest.raises(BadStatement, match="another key"):
        require_signed(parse(statement(signer=OTHER)), SIGNER.public_keys())
    forged = parse(
        statement(signer=OTHER).replace(*(key_id(each.audit_public_key()).encode() for each in (OTHER, SIGNER)))
    )
    with pytest.raises(BadStatement, match="signature is wrong"):
        require_signed(forged, SIGNER.public_keys())


SIGNED = statement()
BITS = range(8 * len(SIGNED))
BITS_OF_SIGNATURE = range(8 * (SIGNED.index(b"\n") + 1), 8 * len(SIGNED))


@given(bit=st.sampled_from(BITS))
def test_no_bit_can_be_changed(bit: int) -> None:
    refuse_changed(bit)


def test_no_bit_of_the_signature_can_be_changed() -> None:
    """Nor of how it is written, in which Base64 has bits that say nothing."""
    for bit in BITS_OF_SIGNATURE:
        refuse_changed(bit)


def refuse_changed(bit: int) -> None:
    content = bytearray(SIGNED)
    content[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadStatement):
        require_signed(parse(bytes(content)), SIGNER.public_keys())


def test_what_kmsd_said_is_what_the_document_must_say() -> None:
    """The signature is about this key and this time: another statement's digest with them is nothing."""
    for name, value in (("arn", ARN[:-1] + "0"), ("destroyed", format_time(DESTROYED_US + 1))):
        wrong = statement({**DOCUMENT, "key": {**DOCUMENT["key"], name: value}})
        with pytest.raises(BadStatement, match="signature is wrong"):
            require_signed(parse(wrong), SIGNER.public_keys())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\n\n",
        b"{}\n{}\n",
        statement()[:-1],
        statement() + b"\n",
        statement() + statement(),
        statement({**DOCUMENT, "format": 2}),
        statement({**DOCUMENT, "kind": "another"}),
        statement({name: value for name, value in DOCUMENT.items() if name != "list"}),
        statement().split(b"\n")[0] + b"\n" + b" " * (MAX_SIGNATURE_BYTES + 1) + b"\n",
        b"[" * 100_000 + b"\n{}\n",
        b"\xff\xfe\n{}\n",
    ],
    ids=range(13),
)
def test_what_is_no_statement(content: bytes) -> None:
    with pytest.raises(BadStatement):
        parse(content)


# What the trail tells


def about(number: int, name: str, arn: str = ARN, **fields: object) -> Event:
    return event(number, name, resources=(Resource(arn, "111122223333"),), **fields)


def evidence(maker: TrailMaker) -> Evidence:
    """Of a key that was there from second 100 to second 200."""
    found = Evidence(ARN, START + timedelta(seconds=100), START + timedelta(seconds=200))
    report = Verifier(SIGNER.public_keys(), on_record=found.take).verify(maker.directory)
    assert report.problems == []
    return found


@pytest.fixture
def maker(tmp_path: Path) -> TrailMaker:
    made = TrailMaker(tmp_path, SIGNER)
    made.begin_file()
    return made


def test_the_lines_of_a_keys_end(maker: TrailMaker) -> None:
    def add(record: Event) -> Head:
        maker.add(record)
        return maker.head

    add(about(101, "ScheduleKeyDeletion"))
    add(about(102, "CancelKeyDeletion"))
    scheduled = add(about(103, "ScheduleKeyDeletion"))
    add(about(104, "ScheduleKeyDeletion", error_code="KMSInvalidStateException"))
    add(about(105, "ScheduleKeyDeletion", ARN[:-1] + "0"))
    add(about(106, "ScheduleKeyDeletion", event_source="s3.amazonaws.com"))
    backup = add(event(150, "BackUpKeyStore", event_type=SERVICE_EVENT))
    for number in (99, 201):
        add(event(number, "BackUpKeyStore", event_type=SERVICE_EVENT))
    add(event(160, "BackUpKeyStore"))
    add(about(199, "DeleteKey", event_type=SERVICE_EVENT))
    maker.check()
    add(about(200, "DeleteKey"))
    add(about(200, "DeleteKey", ARN[:-1] + "0", event_type=SERVICE_EVENT))
    late = maker.signer.checkpoint(maker.head)
    deleted = add(about(200, "DeleteKey", event_type=SERVICE_EVENT))
    maker.add(late)
    assert evidence(maker).checkpoint is None  # those that are there cover less
    maker.check()
    checkpoint = maker.head
    maker.check()
    found = evidence(maker)
    assert [each and each[0] for each in (found.scheduled, found.deleted)] == [scheduled, deleted]
    assert found.checkpoint is not None
    assert found.checkpoint[0] == checkpoint
    assert [head for head, _ in found.backups] == [backup]
    assert (found.backup_count, found.node) == (1, NODE)


def test_of_many_backups_the_last_are_kept(maker: TrailMaker) -> None:
    for _ in range(MAX_BACKUPS + 5):
        maker.add(event(150, "BackUpKeyStore", event_type=SERVICE_EVENT))
    found = evidence(maker)
    assert (found.backup_count, len(found.backups)) == (MAX_BACKUPS + 5, MAX_BACKUPS)
    assert found.backups[-1][0] == maker.head


# The format's page

PAGE = Path(__file__).parents[3] / "docs" / "formats" / "destruction-statement.md"


def test_the_worked_example_verifies() -> None:
    _, example, _, listed, _ = PAGE.read_text("utf-8").split("## Worked example")[1].split("```")
    text, signature, key = example.removeprefix("\n").split("\n", 2)
    read = parse(f"{text}\n{signature}\n".encode())
    require_signed(read, load_public_keys([key]))
    assert hashlib.sha256(listed.removeprefix("\n").encode()).hexdigest() == read.list_sha256
    assert read.document["total"]["unreadable"]["versions"] == {"number": 1, "bytes": 5}
