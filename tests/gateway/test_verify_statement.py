"""`sealgate keys verify-statement` beside a trail: missing lines, other keys, handovers, what is no statement."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from gateway.commands.verify_statement import verify_statement
from kms.audit.destruction import FORMAT, KIND, Signature, attestation, digest, format_file, format_time
from kms.audit.event import SERVICE_EVENT
from kms.audit.files import PUBLIC_KEYS_NAME
from kms.audit.handover import SWITCH, hand_over
from kms.audit.lines import Head
from kms.audit.signatures import format_pem, key_id
from tests.kms.audit.trails import NODE, SoftSigner, TrailMaker, event

SIGNER, SUCCESSOR = SoftSigner(), SoftSigner()
ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
DESTROYED_US = 1_767_225_600_000_000
COUNTS = {"number": 1, "bytes": 5}
TOTAL = {
    "unreadable": {"versions": COUNTS, "uploads": COUNTS, "parts": 1, "bucketKeys": 0},
    "otherWraps": {"versions": COUNTS},
}


@pytest.fixture
def maker(tmp_path: Path) -> TrailMaker:
    made = TrailMaker(tmp_path / "trail", SIGNER)
    made.begin_file()
    made.add(event(1, "DeleteKey", event_type=SERVICE_EVENT))
    (made.directory / PUBLIC_KEYS_NAME).write_text(format_pem(SIGNER.audit_public_key()))
    return made


def write(path: Path, deleted: Head, checkpoint: Head, *, signer: SoftSigner = SIGNER, **more: Any) -> Path:
    lines = [{"line": head.seq, "hash": head.hash} for head in (deleted, checkpoint)]
    document = {
        "kind": KIND,
        "format": FORMAT,
        "key": {"arn": ARN, "destroyed": format_time(DESTROYED_US), "versions": 1},
        "audit": {
            "node": NODE,
            "scheduled": None,
            "deleted": lines[0],
            "checkpoint": lines[1],
            "backups": {"number": 0, "listed": []},
        },
        "total": TOTAL,
        "damagedRows": 2,
        "buckets": {"ledger": TOTAL},
        "list": {"sha256": hashlib.sha256(b"list\n").hexdigest(), "lines": 1},
        "limits": ["It cannot\x1b[2Jsay."],
        **more,
    }
    text = msgspec.json.encode(document)
    signature = signer.sign(hashlib.sha256(attestation(ARN, DESTROYED_US, digest(text))).digest())
    path.write_bytes(format_file(text, Signature(key_id(signer.audit_public_key()), signature)))
    return path


def run(path: Path, *options: object) -> Result:
    return CliRunner().invoke(verify_statement, [str(path), *map(str, options)])


def finished(maker: TrailMaker) -> tuple[Head, Head]:
    """The line about the deletion, which is the last, and the checkpoint that is made to cover it."""
    deleted = maker.head
    maker.check("stop")
    return deleted, maker.head


def test_with_its_trail_and_list(tmp_path: Path, maker: TrailMaker) -> None:
    path, listed = write(tmp_path / "statement", *finished(maker)), tmp_path / "list"
    listed.write_bytes(b"list\n")
    found = run(path, "--trail", maker.directory, "--list", listed)
    assert (found.exit_code, found.stderr) == (0, "")
    for told in ("1 object versions (5 B) in 1 buckets", "2 rows", "cannot\\x1b[2Jsay", "The statement is valid."):
        assert told in found.stdout
    document = json.loads(run(path, "--trail", maker.directory, "--json").stdout)
    assert document["total"] == TOTAL
    listed.write_bytes(b"list")
    assert "is not the list" in run(path, "--trail", maker.directory, "--list", listed).stderr


def test_lines_that_the_trail_does_not_have(tmp_path: Path, maker: TrailMaker) -> None:
    deleted, checkpoint = finished(maker)
    for lines in ((Head(deleted.seq, "ab" * 32), checkpoint), (deleted, Head(checkpoint.seq + 1, checkpoint.hash))):
        found = run(write(tmp_path / "statement", *lines), "--trail", maker.directory)
        assert found.exit_code == 1
        assert "has no line" in found.stderr


def test_of_another_trail(tmp_path: Path, maker: TrailMaker) -> None:
    audit = {"node": "00" * 16, "scheduled": None, "backups": {"number": 0, "listed": []}}
    lines = [{"line": head.seq, "hash": head.hash} for head in finished(maker)]
    more = {**audit, "deleted": lines[0], "checkpoint": lines[1]}
    found = run(write(tmp_path / "statement", maker.head, maker.head, audit=more), "--trail", maker.directory)
    assert "is another audit trail" in found.stderr


def test_by_the_key_of_a_later_root(tmp_path: Path, maker: TrailMaker) -> None:
    kept = tmp_path / "kept.pem"
    kept.write_text(format_pem(SIGNER.audit_public_key()))
    lines = finished(maker)
    path = write(tmp_path / "statement", *lines, signer=SUCCESSOR)
    assert "signed by another key" in run(path, "--public-key", kept, "--trail", maker.directory).stderr
    handover = hand_over(SIGNER, SUCCESSOR.audit_public_key())
    maker.add(event(2, SWITCH, event_type=SERVICE_EVENT, details=handover))
    maker.check()
    assert run(path, "--public-key", kept, "--trail", maker.directory).exit_code == 0
    assert run(path, "--public-key", kept).exit_code == 1


def test_signed_and_without_what_a_statement_says(tmp_path: Path, maker: TrailMaker) -> None:
    path = write(tmp_path / "statement", *finished(maker), total={})
    found = run(path, "--trail", maker.directory)
    assert found.exit_code == 1
    assert "does not say what a statement says" in found.stderr


@pytest.mark.parametrize("content", [b"", b"\xff\xff", b"{}\n{}\n", bytes(100)], ids=range(4))
def test_what_is_no_statement(tmp_path: Path, maker: TrailMaker, content: bytes) -> None:
    path = tmp_path / "statement"
    path.write_bytes(content)
    found = run(path, "--trail", maker.directory)
    assert (found.exit_code, found.stdout) == (1, "")
    assert "is NOT a valid statement" in found.stderr
