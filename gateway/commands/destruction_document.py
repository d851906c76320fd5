"""What a statement about a destroyed key says, in its document and in short.

Format: docs/formats/destruction-statement.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from gateway.commands.terminal import size_text
from gateway.commands.version_list import VersionList
from gateway.operations.key_usage import Count, KeyUsage, Opened
from kms.api.types import Destruction
from kms.audit.destruction import FORMAT, KIND, format_time
from kms.audit.event import Event
from kms.audit.evidence import Evidence
from kms.audit.lines import Head

LIMITS: Final = (
    "It counts what the index has when the statement is made: what was deleted before is not in it.",
    "Backups of the key store (archives of `sealgate kms backup`, copies of its files, of the disk or of the machine) "
    "hold the wrapped key, and open it as long as the root that wrapped it, or a backup of that root, exists. The "
    "archives that the audit trail knows of are listed; other copies cannot be known here.",
    "A backup that the HSM's maker provides, or a copy of the file root, is such a backup of the root; where the root "
    "was rotated since, of the one before as well.",
    "Whoever imported key material may have kept it.",
    "Data keys, bucket keys and whatever else the key decrypted while it was there may be kept by those who asked for "
    "it, and so may objects that were downloaded.",
    "A copy of the index or of the blobs that was made before may have rows and manifests that are gone here: of "
    "copies that shared a data key and were deleted since, or of objects while they were under another key. Their "
    "wraps open the same data keys.",
    "Versions with other wraps share their data key with a copy under another key, or were first written under one. "
    "They are not claimed to be unreadable; whether those other keys still exist is not told.",
    "The key store's file was overwritten where the wrapped key lay. File systems that keep older blocks, snapshots "
    "and flash memory may have kept it.",
)
"""What a statement cannot say, in each of them."""


def document(found: Destruction, evidence: Evidence, usage: KeyUsage, versions: VersionList) -> dict[str, Any]:
    """Of a destruction that the trail has a line and a checkpoint for."""
    list_digest, lines = versions.digest()
    return {
        "kind": KIND,
        "format": FORMAT,
        "time": format_time(time.time_ns() // 1000),
        "key": {
            "arn": found.key_arn,
            "created": format_time(found.created_us),
            "destroyed": format_time(found.destroyed_us),
            "versions": _versions(found, evidence),
        },
        "audit": _audit(evidence),
        "total": _opened(usage.total),
        "damagedRows": usage.damaged,
        "buckets": {name: _opened(opened) for name, opened in sorted(usage.by_bucket.items())},
        "keyVersions": {str(version): _opened(opened) for version, opened in sorted(usage.by_version.items())},
        "list": {"sha256": list_digest, "lines": lines},
        "limits": LIMITS,
    }


def _versions(found: Destruction, evidence: Evidence) -> int:
    """Of the material: imported material that waited for its rotation is known to the trail alone."""
    assert evidence.deleted is not None
    told = evidence.deleted[1].details.get("keyVersions")
    return max(found.versions, told) if isinstance(told, int) else found.versions


def _audit(evidence: Evidence) -> dict[str, Any]:
    assert evidence.deleted is not None
    assert evidence.checkpoint is not None
    checkpoint_line, checkpoint = evidence.checkpoint
    scheduled = None
    if evidence.scheduled is not None:
        head, event = evidence.scheduled
        usage = event.request_parameters.get("usage")
        scheduled = {**_line(head, event), "principal": event.user_identity.arn, "usage": usage}
    backups = [
        {**_line(head, event), "archiveSha256": event.details.get("archiveSha256")} for head, event in evidence.backups
    ]
    return {
        "node": evidence.node,
        "scheduled": scheduled,
        "deleted": _line(*evidence.deleted),
        "checkpoint": {
            "line": checkpoint_line.seq,
            "hash": checkpoint_line.hash,
            "time": checkpoint.time,
            "covers": checkpoint.covers,
            "keyId": checkpoint.key_id,
        },
        "backups": {"number": evidence.backup_count, "listed": backups},
    }


def _line(head: Head, event: Event) -> dict[str, Any]:
    return {"line": head.seq, "hash": head.hash, "time": event.event_time.isoformat()}


def _opened(opened: Opened) -> dict[str, Any]:
    versions, only = opened.versions, opened.only
    others = Count(versions.number - only.number, versions.bytes - only.bytes)
    return {
        "unreadable": {
            "versions": _count(only),
            "uploads": _count(opened.uploads),
            "parts": opened.parts,
            "bucketKeys": opened.bucket_keys,
        },
        "otherWraps": {"versions": _count(others)},
    }


def _count(count: Count) -> dict[str, int]:
    return {"number": count.number, "bytes": count.bytes}


def summary(statement: dict[str, Any]) -> Iterator[str]:
    """A statement in short, for people. Raises KeyError or TypeError for what is no statement."""
    key, audit, total = statement["key"], statement["audit"], statement["total"]
    unreadable, others = total["unreadable"], total["otherWraps"]["versions"]
    yield f"{key['arn']}, with {key['versions']} versions of its material, was destroyed {key['destroyed']}."
    yield f"Line {audit['deleted']['line']} of the audit trail says so; line {audit['checkpoint']['line']} signs it."
    yield (
        f"Unreadable: {_told(unreadable['versions'])} in {len(statement['buckets'])} buckets, "
        f"{unreadable['uploads']['number']} uploads with {unreadable['parts']} parts, "
        f"{unreadable['bucketKeys']} bucket keys."
    )
    yield f"Perhaps readable by other keys: {_told(others)}."
    if statement["damagedRows"]:
        yield f"{statement['damagedRows']} rows that name the key are damaged."
    yield f"Backups of the key store that the audit trail knows of and that may hold it: {audit['backups']['number']}."


def _told(count: dict[str, int]) -> str:
    return f"{count['number']} object versions ({size_text(count['bytes'])})"
