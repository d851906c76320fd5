"""The archive's bytes, and the worked example of docs/formats/kms-backup.md."""

from __future__ import annotations

import hashlib
import hmac
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms.store.archive import (
    MAX_DATABASE_SIZE,
    ArchiveHeader,
    BadArchive,
    ReadArchive,
    authenticated_message,
    read_archive,
    write_archive,
)

DOCUMENT = Path(__file__).parents[3] / "docs/formats/kms-backup.md"
HEADER = ArchiveHeader(1, 4, b"r" * 16, "sealgate-root", b"c" * 72)
MAC = b"m" * 32


def archive(database: bytes = b"database", header: ArchiveHeader = HEADER) -> bytes:
    target = io.BytesIO()
    write_archive(target, header, io.BytesIO(database), len(database))
    return target.getvalue() + MAC


def read(data: bytes) -> tuple[ReadArchive, bytes]:
    database = io.BytesIO()
    return read_archive(io.BytesIO(data), database), database.getvalue()


@given(
    st.builds(
        ArchiveHeader,
        created_us=st.integers(0, 2**64 - 1),
        schema=st.integers(0, 2**32 - 1),
        root_id=st.binary(min_size=16, max_size=16),
        label=st.text(st.characters(codec="utf-8"), min_size=1, max_size=16),
        check_value=st.binary(min_size=72, max_size=1024),
    ),
    st.binary(),
)
def test_what_was_written_is_read(header: ArchiveHeader, database: bytes) -> None:
    found, content = read(archive(database, header))
    assert (found.header, found.mac, content) == (header, MAC, database)


def test_a_database_of_several_pieces() -> None:
    database = bytes(range(256)) * 10_000
    assert read(archive(database))[1] == database


def test_every_changed_byte_before_the_mac_is_found() -> None:
    whole = archive()
    for at in range(len(whole) - len(MAC)):
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(BadArchive):
            read(bytes(changed))


def test_the_mac_is_what_the_root_compares() -> None:
    changed = archive()[:-1] + b"x"
    assert read(changed)[0].mac == changed[-32:] != MAC


def test_every_cut_is_found() -> None:
    whole = archive()
    for size in range(len(whole)):
        with pytest.raises(BadArchive, match="cut off"):
            read(whole[:size])


def test_what_follows_the_end_is_found() -> None:
    with pytest.raises(BadArchive, match="follow the end"):
        read(archive() + b"\0")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (b"SQLite format 3\0" + bytes(200), "no backup of a key store"),
        (b"SGKB\x02" + archive()[5:], "format 2"),
        (archive()[:33] + b"\0" + archive()[34:], "label"),
        (archive()[:33] + b"\x41" + archive()[34:], "label"),
        (archive()[:34] + b"\xff" + archive()[35:], "label"),
        (archive(header=replace(HEADER, check_value=b"c" * 71)), "check value"),
    ],
)
def test_a_header_that_no_archive_has(changed: bytes, says: str) -> None:
    with pytest.raises(BadArchive, match=says):
        read(changed)


def test_a_claimed_size_is_bounded() -> None:
    whole = archive()
    at = 44 + len(HEADER.label) + len(HEADER.check_value) - 8
    assert whole[at : at + 8] == (8).to_bytes(8)
    with pytest.raises(BadArchive, match="that large"):
        read(whole[:at] + (MAX_DATABASE_SIZE + 1).to_bytes(8) + whole[at + 8 :])


@pytest.mark.parametrize("size", [7, 9])
def test_a_database_of_another_size_is_not_archived(size: int) -> None:
    with pytest.raises(BadArchive, match="changed its size"):
        write_archive(io.BytesIO(), HEADER, io.BytesIO(b"database"), size)


def test_the_worked_example() -> None:
    block = DOCUMENT.read_text("utf-8").rsplit("```", 2)[1]
    example = {name: bytes.fromhex(value) for name, value in re.findall(r"^(.+?) *= ([0-9a-f]+)$", block, re.MULTILINE)}
    root_id, root_mac, check_value = example["root id"], example["root-mac"], example["check value"]
    wrapped, tag = check_value[:-32], check_value[-32:]
    assert hmac.digest(root_mac, b"sealgate/v1/root-check" + root_id + wrapped, "sha256") == tag
    found, database = read(b"".join(example[name] for name in ("header", "database", "digest", "mac")))
    assert found.header == ArchiveHeader(1_767_225_600_000_000, 4, root_id, "sealgate-root", check_value)
    assert database == b"database"
    assert hashlib.sha256(example["header"] + database).digest() == found.digest
    assert hmac.digest(root_mac, authenticated_message(found.digest), "sha256") == found.mac
    assert archive(database, found.header)[:-32] == b"".join(example[name] for name in ("header", "database", "digest"))
