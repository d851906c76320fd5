from __future__ import annotations

import hmac
import re
import struct
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from hypothesis import given, settings
from hypothesis import strategies as st

from kms.api.secrets import SecretBytes
from kms.hsm.file_root import FileRoot
from kms.hsm.interface import RootIdentity, UnwrapFailed
from kms.hsm.sealed_file import RootKeys
from kms.keys.wrapping import (
    KEY_SPECS,
    MAX_KEY_VERSION,
    MAX_LABEL_SIZE,
    MAX_RECORD_SIZE,
    MIN_RECORD_SIZE,
    ORIGINS,
    RecordHeader,
    make_record,
    open_record,
    parse_header,
)

PAGE = Path(__file__).parents[3] / "docs" / "formats" / "cmk-record.md"
KEY_ID = UUID("1234abcd-12ab-34cd-56ef-1234567890ab")
CREATED_US = 1_767_225_600_000_000


class SpyRoot(FileRoot):
    """A root of known keys under any identity, that counts what reaches its unwrap function."""

    def __init__(self, root: bytes, root_mac: bytes, identity: RootIdentity) -> None:
        super().__init__(RootKeys(identity.root_id, SecretBytes(root), SecretBytes(root_mac), None))
        self._identity = identity
        self.unwraps = 0

    def unwrap_key(self, wrapped: bytes) -> SecretBytes:
        self.unwraps += 1
        return super().unwrap_key(wrapped)


IDENTITY = RootIdentity("kw", b"i" * 16, "sealgate-root")


def a_root(identity: RootIdentity = IDENTITY) -> SpyRoot:
    return SpyRoot(b"r" * 32, b"m" * 32, identity)


def a_record(root: SpyRoot) -> bytes:
    return make_record(root, KEY_ID, 3, created_us=CREATED_US)


def worked_example() -> dict[str, bytes]:
    block = PAGE.read_text().rpartition("## Worked example")[2].split("```")[1]
    return {
        name.strip(): bytes.fromhex(value) for name, value in re.findall(r"^([\w -]+?) *= ([0-9a-f]+)$", block, re.M)
    }


def test_worked_example_opens() -> None:
    example = worked_example()
    root = SpyRoot(example["root key"], example["root-mac"], RootIdentity("kw", example["root id"], "sealgate-root"))
    record = example["header"] + example["wrapped"] + example["tag"]
    assert open_record(root, record, KEY_ID, 3).reveal() == example["key bytes"]
    assert parse_header(record) == RecordHeader(root.identity, KEY_ID, 3, "SYMMETRIC_DEFAULT", "AWS_KMS", CREATED_US)


def test_worked_example_is_what_the_layout_says() -> None:
    """Built from the page's table with nothing of ours."""
    example = worked_example()
    header = b"".join(
        [
            b"\x01",
            b"\x01",
            bytes.fromhex("00002109"),
            example["root id"],
            KEY_ID.bytes,
            struct.pack(">I", 3),
            b"\x01",
            b"\x01",
            struct.pack(">Q", CREATED_US),
            bytes([len("sealgate-root")]),
            b"sealgate-root",
            struct.pack(">H", 40),
        ]
    )
    wrapped = aes_key_wrap(example["root key"], example["key bytes"])
    tag = hmac.digest(example["root-mac"], b"sealgate/v1/cmk-record" + header + wrapped, "sha256")
    assert (example["header"], example["wrapped"], example["tag"]) == (header, wrapped, tag)


def test_make_record_writes_what_the_example_has(monkeypatch: pytest.MonkeyPatch) -> None:
    example = worked_example()
    root = SpyRoot(example["root key"], example["root-mac"], RootIdentity("kw", example["root id"], "sealgate-root"))
    monkeypatch.setattr(root, "generate_wrapped_key", lambda: example["wrapped"])
    assert a_record(root) == example["header"] + example["wrapped"] + example["tag"]


def test_sizes_of_the_page_are_those_of_the_code() -> None:
    assert (MIN_RECORD_SIZE, MAX_RECORD_SIZE) == (128, 191)
    assert "128 to 191 bytes" in PAGE.read_text()


def test_a_record_opens_to_the_same_32_bytes() -> None:
    root = a_root()
    record = a_record(root)
    key = open_record(root, record, KEY_ID, 3)
    assert len(key) == 32
    assert open_record(root, record, KEY_ID, 3) == key
    assert open_record(root, a_record(root), KEY_ID, 3) != key


def test_every_flipped_bit_is_refused_before_the_unwrap() -> None:
    root = a_root()
    record = a_record(root)
    for bit in range(len(record) * 8):
        changed = bytearray(record)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(UnwrapFailed):
            open_record(root, bytes(changed), KEY_ID, 3)
    assert root.unwraps == 0


def test_every_truncation_and_extension_is_refused() -> None:
    root = a_root()
    record = a_record(root)
    for size in range(len(record)):
        with pytest.raises(UnwrapFailed):
            open_record(root, record[:size], KEY_ID, 3)
    for extra in (b"\0", bytes(64), bytes(100_000)):
        with pytest.raises(UnwrapFailed):
            open_record(root, record + extra, KEY_ID, 3)
    assert root.unwraps == 0


@pytest.mark.parametrize(
    ("key_id", "key_version"), [(UUID(int=KEY_ID.int ^ 1), 3), (KEY_ID, 2), (KEY_ID, 4), (UUID(int=0), 0)]
)
def test_a_record_of_another_key_or_version_is_refused(key_id: UUID, key_version: int) -> None:
    root = a_root()
    with pytest.raises(UnwrapFailed, match="belongs to version 3"):
        open_record(root, a_record(root), key_id, key_version)
    assert root.unwraps == 0


@pytest.mark.parametrize(
    "identity", [RootIdentity("kw", b"j" * 16, "sealgate-root"), RootIdentity("file", b"i" * 16, "sealgate-root")]
)
def test_a_record_of_another_root_is_refused_and_the_root_named(identity: RootIdentity) -> None:
    record = a_record(a_root())
    with pytest.raises(UnwrapFailed, match=(b"i" * 16).hex()):
        open_record(a_root(identity), record, KEY_ID, 3)


def test_another_root_under_the_same_id_is_refused() -> None:
    record = a_record(a_root())
    other = SpyRoot(b"r" * 32, b"M" * 32, a_root().identity)
    with pytest.raises(UnwrapFailed, match="authentication code"):
        open_record(other, record, KEY_ID, 3)
    assert other.unwraps == 0


def test_a_changed_label_of_the_root_does_not_lock_records_out() -> None:
    root = a_root()
    record = a_record(root)
    renamed = a_root(replace(root.identity, label="renamed"))
    assert open_record(renamed, record, KEY_ID, 3) == open_record(root, record, KEY_ID, 3)


@pytest.mark.parametrize("key_version", [0, -1, MAX_KEY_VERSION + 1])
def test_versions_out_of_bounds_are_a_mistake_of_the_caller(key_version: int) -> None:
    with pytest.raises(ValueError, match="key_version"):
        make_record(a_root(), KEY_ID, key_version, created_us=CREATED_US)


@pytest.mark.parametrize("identity", [RootIdentity("kw", b"i" * 15, "x"), RootIdentity("kw", b"i" * 16, "x" * 65)])
def test_an_identity_the_format_cannot_hold_is_refused(identity: RootIdentity) -> None:
    with pytest.raises(ValueError, match="16-byte id"):
        make_record(a_root(identity), KEY_ID, 1, created_us=CREATED_US)


labels = st.text(st.characters(codec="utf-8"), min_size=1, max_size=MAX_LABEL_SIZE).filter(
    lambda label: len(label.encode()) <= MAX_LABEL_SIZE
)


@settings(max_examples=60)
@given(
    profile=st.sampled_from(["kw", "file"]),
    root_id=st.binary(min_size=16, max_size=16),
    label=labels,
    key_id=st.uuids(),
    key_version=st.integers(1, MAX_KEY_VERSION),
    created_us=st.integers(0, 2**64 - 1),
    key_spec=st.sampled_from(sorted(KEY_SPECS)),
    origin=st.sampled_from(sorted(ORIGINS)),
)
def test_header_comes_back_as_written(
    *,
    profile: str,
    root_id: bytes,
    label: str,
    key_id: UUID,
    key_version: int,
    created_us: int,
    key_spec: str,
    origin: str,
) -> None:
    root = a_root(RootIdentity(profile, root_id, label))
    record = make_record(root, key_id, key_version, created_us=created_us, key_spec=key_spec, origin=origin)
    assert MIN_RECORD_SIZE <= len(record) <= MAX_RECORD_SIZE
    assert parse_header(record) == RecordHeader(root.identity, key_id, key_version, key_spec, origin, created_us)
    assert len(open_record(root, record, key_id, key_version)) == 32


@settings(max_examples=150)
@given(st.binary(min_size=MIN_RECORD_SIZE, max_size=MAX_RECORD_SIZE))
def test_any_bytes_are_refused_with_one_error(record: bytes) -> None:
    with pytest.raises(UnwrapFailed):
        open_record(a_root(), record, KEY_ID, 3)


@settings(max_examples=150)
@given(st.integers(0, 95 + 13), st.integers(0, 255))
def test_any_header_under_a_right_tag_is_parsed_or_refused(position: int, value: int) -> None:
    """Not reachable without root-mac; still the parser must not stumble."""
    root = a_root()
    authenticated = bytearray(a_record(root)[:-32])
    authenticated[min(position, len(authenticated) - 1)] = value
    record = bytes(authenticated) + root.mac(b"sealgate/v1/cmk-record" + bytes(authenticated))
    try:
        open_record(root, record, KEY_ID, 3)
    except UnwrapFailed:
        return
