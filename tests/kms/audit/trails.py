"""Trails for tests: events, signed trails made line by line, and a signer that can be away."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from kms.api.secrets import SecretBytes
from kms.audit.event import API_CALL, EVENT_SOURCE, Event, UserIdentity
from kms.audit.files import file_name
from kms.audit.lines import (
    FORMAT,
    GENESIS,
    Checkpoint,
    FileStart,
    Head,
    Record,
    chain,
    encode_record,
)
from kms.audit.signatures import PublicKeys, format_pem, key_id, load_public_keys
from kms.hsm import software_signing

START = datetime(2026, 1, 1, tzinfo=UTC)
NODE = "0123456789abcdef0123456789abcdef"
IDENTITY = UserIdentity("Root", "111122223333", "arn:aws:iam::111122223333:root", "111122223333")


def event(number: int = 0, name: str = "Decrypt", **fields: object) -> Event:
    made = Event(
        event_type=API_CALL,
        event_time=START + timedelta(seconds=number),
        event_source=EVENT_SOURCE,
        event_name=name,
        event_id=f"00000000-0000-4000-8000-{number:012}",
        aws_region="us-east-1",
        user_identity=IDENTITY,
        request_id=f"REQUEST{number:09}",
    )
    return msgspec.structs.replace(made, **fields)


class SoftSigner:
    """Signs as a root does. Raises `failure` while it is set; waits for `go_on` while `hangs` is set."""

    def __init__(self) -> None:
        self.key: SecretBytes = software_signing.generate_key()
        self.failure: Exception | None = None
        self.hangs = False
        self.go_on = threading.Event()
        self.entered = threading.Event()

    def audit_public_key(self) -> bytes:
        if self.failure is not None:
            raise self.failure
        return software_signing.public_key(self.key)

    def sign(self, digest: bytes) -> bytes:
        self.entered.set()
        if self.hangs:
            assert self.go_on.wait(30)
        if self.failure is not None:
            raise self.failure
        return software_signing.sign(self.key, digest)

    def public_keys(self) -> PublicKeys:
        return load_public_keys([format_pem(software_signing.public_key(self.key))])

    def checkpoint(self, covered: Head, reason: str = "interval", node: str = NODE) -> Checkpoint:
        public_key = software_signing.public_key(self.key)
        unsigned = Checkpoint("2026-01-01T00:00:00+00:00", node, 1, reason, covered.seq, covered.hash, "", b"")
        signature = software_signing.sign(self.key, hashlib.sha256(unsigned.statement()).digest())
        return msgspec.structs.replace(unsigned, key_id=key_id(public_key), signature=signature)


def file_start(node: str = NODE) -> FileStart:
    return FileStart(FORMAT, node, "2026-01-01T00:00:00+00:00")


class TrailMaker:
    """Writes a trail record by record, as a process would, without threads."""

    def __init__(self, directory: Path, signer: SoftSigner) -> None:
        self.directory = directory
        self.signer = signer
        self.head = GENESIS
        self.path = directory
        directory.mkdir(exist_ok=True)

    def begin_file(self) -> None:
        self.path = self.directory / file_name(self.head.seq + 1)
        self.add(file_start())

    def add(self, record: Record) -> None:
        line, self.head = chain(self.head, encode_record(record))
        with self.path.open("ab") as file:
            file.write(line + b"\n")

    def check(self, reason: str = "interval") -> None:
        self.add(self.signer.checkpoint(self.head, reason))


def small_trail(directory: Path, signer: SoftSigner) -> TrailMaker:
    """Three files: start checkpoint, events, checkpoints between, an orderly stop. 16 lines."""
    maker = TrailMaker(directory, signer)
    number = 0
    for file in range(3):
        maker.begin_file()
        maker.check("start" if file == 0 else "rotation")
        for _ in range(3):
            maker.add(event(number))
            number += 1
    maker.check("stop")
    return maker


def lines(directory: Path) -> list[bytes]:
    """All whole lines of a trail, without newlines, in order; one that is being written is not there yet."""
    return [line for path in sorted(directory.glob("audit-*.jsonl")) for line in path.read_bytes().split(b"\n")[:-1]]


def records(directory: Path, kind: str) -> Sequence[dict[str, object]]:
    decoded = [msgspec.json.decode(line) for line in lines(directory)]
    return [record for record in decoded if record["record"] == kind]
