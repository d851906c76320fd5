from __future__ import annotations

import hmac
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from hypothesis import given, settings
from hypothesis import strategies as st

from kms.api.secrets import SecretBytes
from kms.hsm.file_root import FileRoot
from kms.hsm.interface import NotOffered, Protection, RootIdentity, UnwrapFailed
from kms.hsm.sealed_file import RootKeys
from kms.keys.record_format import (
    KEY_SPECS,
    MAX_KEY_VERSION,
    MAX_LABEL_SIZE,
    MAX_MATERIAL_SIZE,
    MAX_RECORD_SIZE,
    MIN_RECORD_SIZE,
    ORIGINS,
    RecordHeader,
    parse_header,
)
from kms.keys.wrapping import hold_record, make_record, open_record
from tests.kms.roots import MemoryRoot

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


class StrictRoot(SpyRoot):
    """A root that also wraps keys nobody can read."""

    @property
    def strict_identity(self) -> RootIdentity:
        return RootIdentity("kw", self.identity.root_id, "strict")

    def wrap_key(self, key: SecretBytes, protection: Protection = Protection.SOFTWARE) -> bytes:
        return aes_key_wrap((b"s" if protection is Protection.HSM else b"r") * 32, key.reveal())


IDENTITY = RootIdentity("kw", b"i" * 16, "sealgate-root")
HMAC_KEY = SecretBytes(bytes(range(28)))


def a_root(identity: RootIdentity = IDENTITY) -> SpyRoot:
    return SpyRoot(b"r" * 32, b"m" * 32, identity)


def a_record(root: SpyRoot) -> bytes:
    return make_record(root, KEY_ID, 3, created_us=CREATED_US)


def a_sealed_record(root: SpyRoot, material: SecretBytes = HMAC_KEY) -> bytes:
    record = make_record(root, KEY_ID, 3, created_us=CREATED_US, key_spec="HMAC_224", material=material)
    root.unwraps = 0
    return record


def a_format_1_record(root: SpyRoot) -> bytes:
    header = b"\x01\x01" + struct.pack(">I", 0x2109) + IDENTITY.root_id + KEY_ID.bytes + struct.pack(">I", 3)
    header += b"\x01\x01" + struct.pack(">QB", CREATED_US, 13) + b"sealgate-root" + b"\x00\x28"
    authenticated = header + root.generate_wrapped_key()
    return authenticated + root.mac(b"sealgate/v1/cmk-record" + authenticated)


RECORDS = pytest.mark.parametrize("make", [a_record, a_sealed_record, a_format_1_record])
MakeRecord = Callable[[SpyRoot], bytes]


def worked_example() -> dict[str, bytes]:
    block = PAGE.read_text().rpartition("## Worked examples")[2].split("```")[1]
    return {
        name.strip(): bytes.fromhex(value) for name, value in re.findall(r"^([\w -]+?) *= ([0-9a-f]+)$", block, re.M)
    }


def root_of(example: dict[str, bytes]) -> SpyRoot:
    return SpyRoot(example["root key"], example["root-mac"], RootIdentity("kw", example["root id"], "sealgate-root"))


def layout(example: dict[str, bytes], key_spec: int, sealed_size: int) -> bytes:
    """A header built from the page's table with nothing of ours."""
    return b"".join(
        [
            b"\x02",
            b"\x01",
            bytes.fromhex("00002109"),
            b"\x01",
            example["root id"],
            KEY_ID.bytes,
            struct.pack(">I", 3),
            bytes([key_spec]),
            b"\x01",
            struct.pack(">Q", CREATED_US),
            bytes([len("sealgate-root")]),
            b"sealgate-root",
            struct.pack(">HH", 40, sealed_size),
        ]
    )


def record_of(example: dict[str, bytes], prefix: str) -> bytes:
    return b"".join(example.get(prefix + part, b"") for part in ("header", "wrapped", "sealed", "tag"))


@pytest.mark.parametrize(
    ("prefix", "key_spec", "holds"),
    [
        ("", "SYMMETRIC_DEFAULT", "key bytes"),
        ("hmac ", "HMAC_224", "material"),
        ("format 1 ", "SYMMETRIC_DEFAULT", "key bytes"),
    ],
)
def test_worked_examples_open(prefix: str, key_spec: str, holds: str) -> None:
    example = worked_example()
    root, record = root_of(example), record_of(example, prefix)
    assert open_record(root, record, KEY_ID, 3).reveal() == example[holds]
    assert parse_header(record) == RecordHeader(root.identity, KEY_ID, 3, key_spec, "AWS_KMS", CREATED_US)


def test_worked_example_is_what_the_layout_says() -> None:
    example = worked_example()
    header = layout(example, 1, 0)
    wrapped = aes_key_wrap(example["root key"], example["key bytes"])
    tag = hmac.digest(example["root-mac"], b"sealgate/v1/cmk-record" + header + wrapped, "sha256")
    assert (example["header"], example["wrapped"], example["tag"]) == (header, wrapped, tag)


def test_sealed_worked_example_is_what_the_page_says() -> None:
    example = worked_example()
    header = layout(example, 2, 28 + 48)
    wrapped = aes_key_wrap(example["root key"], example["record key"])
    expanded = HKDFExpand(SHA256(), 64, b"sealgate/v1/cmk-record/material").derive(example["record key"])
    sealed = expanded[32:] + AESGCM(expanded[:32]).encrypt(bytes(12), example["material"], header + wrapped)
    tag = hmac.digest(example["root-mac"], b"sealgate/v1/cmk-record" + header + wrapped + sealed, "sha256")
    assert record_of(example, "hmac ") == header + wrapped + sealed + tag


def test_make_record_writes_what_the_examples_have(monkeypatch: pytest.MonkeyPatch) -> None:
    example = worked_example()
    root = root_of(example)
    monkeypatch.setattr(root, "generate_wrapped_key", lambda *_: example["wrapped"])
    assert a_record(root) == record_of(example, "")
    key = SecretBytes(example["key bytes"])
    assert make_record(root, KEY_ID, 3, created_us=CREATED_US, material=key) == record_of(example, "")
    monkeypatch.setattr(root, "generate_wrapped_key", lambda *_: example["hmac wrapped"])
    assert a_sealed_record(root, SecretBytes(example["material"])) == record_of(example, "hmac ")


def test_sizes_of_the_page_are_those_of_the_code() -> None:
    assert (MIN_RECORD_SIZE, MAX_RECORD_SIZE) == (128, 12490)
    assert "at\nmost 12490 bytes" in PAGE.read_text()
    assert "128 to 191 bytes" in PAGE.read_text()


def test_numbers_of_the_page_are_those_of_the_code() -> None:
    listed = re.search(r"^Key specs: (.*?)\.\n\n", PAGE.read_text(), re.M | re.S)
    assert listed
    assert {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", listed[1])} == KEY_SPECS


def test_a_record_opens_to_the_same_32_bytes() -> None:
    root = a_root()
    record = a_record(root)
    key = open_record(root, record, KEY_ID, 3)
    assert len(key) == 32
    assert open_record(root, record, KEY_ID, 3) == key
    assert open_record(root, a_record(root), KEY_ID, 3) != key


@RECORDS
def test_every_flipped_bit_is_refused_before_the_unwrap(make: MakeRecord) -> None:
    root = a_root()
    record = make(root)
    assert root.unwraps == 0
    for bit in range(len(record) * 8):
        changed = bytearray(record)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(UnwrapFailed):
            open_record(root, bytes(changed), KEY_ID, 3)
    assert root.unwraps == 0


@RECORDS
def test_every_truncation_and_extension_is_refused(make: MakeRecord) -> None:
    root = a_root()
    record = make(root)
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


@RECORDS
def test_another_root_under_the_same_id_is_refused(make: MakeRecord) -> None:
    record = make(a_root())
    other = SpyRoot(b"r" * 32, b"M" * 32, a_root().identity)
    with pytest.raises(UnwrapFailed, match="authentication code"):
        open_record(other, record, KEY_ID, 3)
    assert other.unwraps == 0


@RECORDS
def test_a_changed_label_of_the_root_does_not_lock_records_out(make: MakeRecord) -> None:
    root = a_root()
    record = make(root)
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


@pytest.mark.parametrize("size", [1, 28, 64, 1217, MAX_MATERIAL_SIZE])
def test_material_of_any_size_comes_back(size: int) -> None:
    root, material = a_root(), SecretBytes(bytes(range(256)) * 32)
    material = SecretBytes(material.reveal()[:size])
    record = a_sealed_record(root, material)
    assert open_record(root, record, KEY_ID, 3) == material
    assert root.unwraps == 1
    assert material.reveal() not in record or size == 1


def test_no_two_records_share_a_record_key() -> None:
    root = a_root()
    records = {a_sealed_record(root)[71:111] for _ in range(16)}
    assert len(records) == 16


def test_imported_symmetric_material_is_wrapped_directly() -> None:
    root, key = a_root(), SecretBytes(bytes(range(32)))
    record = make_record(root, KEY_ID, 3, created_us=CREATED_US, origin="EXTERNAL", material=key)
    assert len(record) == len(a_record(root))
    assert open_record(root, record, KEY_ID, 3) == key


@pytest.mark.parametrize("size", [0, MAX_MATERIAL_SIZE + 1])
def test_material_out_of_bounds_is_a_mistake_of_the_caller(size: int) -> None:
    with pytest.raises(ValueError, match="8192"):
        a_sealed_record(a_root(), SecretBytes(bytes(size)))


def test_only_symmetric_keys_are_made_by_the_root() -> None:
    with pytest.raises(ValueError, match="RSA_2048"):
        make_record(a_root(), KEY_ID, 1, created_us=CREATED_US, key_spec="RSA_2048")


@pytest.mark.parametrize("swapped", ["wrapped", "sealed"])
def test_bodies_of_two_records_cannot_be_mixed_even_under_a_right_tag(swapped: str) -> None:
    """Not reachable without root-mac; the commitment and the associated data hold by themselves."""
    root = a_root()
    one, two = a_sealed_record(root), a_sealed_record(root)
    middle = 54 + 13 + 4 + 40
    mixed = one[:71] + two[71:middle] + one[middle:-32] if swapped == "wrapped" else one[:middle] + two[middle:-32]
    with pytest.raises(UnwrapFailed, match="does not fit"):
        open_record(root, mixed + root.mac(b"sealgate/v1/cmk-record" + mixed), KEY_ID, 3)


@pytest.mark.parametrize("position", [-1, -28])
def test_a_changed_sealed_body_is_refused_even_under_a_right_tag(position: int) -> None:
    root = a_root()
    authenticated = bytearray(a_sealed_record(root)[:-32])
    authenticated[position] ^= 1
    with pytest.raises(UnwrapFailed, match="was changed"):
        open_record(root, bytes(authenticated) + root.mac(b"sealgate/v1/cmk-record" + bytes(authenticated)), KEY_ID, 3)


def test_a_record_of_protection_hsm_is_never_opened() -> None:
    root = StrictRoot(b"r" * 32, b"m" * 32, IDENTITY)
    record = make_record(
        root, KEY_ID, 3, created_us=CREATED_US, protection=Protection.HSM, material=SecretBytes(bytes(64)),
        key_spec="HMAC_512",
    )  # fmt: skip
    header = parse_header(record)
    assert (header.protection, header.root, header.is_direct) == (Protection.HSM, root.strict_identity, True)
    with pytest.raises(NotOffered, match="never leaves"):
        open_record(root, record, KEY_ID, 3)
    with pytest.raises(NotOffered, match="never leaves"):
        open_record(a_root(), record, KEY_ID, 3)
    changed = record[:6] + b"\x01" + record[7:]
    with pytest.raises(UnwrapFailed):
        open_record(root, changed, KEY_ID, 3)
    assert root.unwraps == 0


@pytest.mark.parametrize(
    ("key_spec", "size", "hash_name"),
    [("HMAC_224", 28, "sha224"), ("HMAC_256", 32, "sha256"), ("HMAC_384", 48, "sha384"), ("HMAC_512", 64, "sha512")],
)
def test_a_held_hmac_key_is_the_same_key(key_spec: str, size: int, hash_name: str) -> None:
    root = MemoryRoot()
    root.offer_hsm()
    material = SecretBytes(bytes(range(1, size + 1)))
    record = make_record(
        root, KEY_ID, 3, created_us=CREATED_US, protection=Protection.HSM, key_spec=key_spec, material=material
    )
    held = hold_record(root, record, KEY_ID, 3)
    assert held.mac(b"message", hash_name) == hmac.digest(material.reveal(), b"message", hash_name)
    for key_id, version in ((UUID(int=1), 3), (KEY_ID, 2)):
        with pytest.raises(UnwrapFailed, match="belongs to version 3"):
            hold_record(root, record, key_id, version)


def test_a_record_of_protection_software_is_not_held() -> None:
    with pytest.raises(ValueError, match="to be held"):
        hold_record(a_root(), a_record(a_root()), KEY_ID, 3)


def test_a_root_without_that_protection_makes_no_record_of_it() -> None:
    with pytest.raises(NotOffered):
        make_record(a_root(), KEY_ID, 3, created_us=CREATED_US, protection=Protection.HSM)


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
    material = SecretBytes(bytes(32))
    record = make_record(
        root, key_id, key_version, created_us=created_us, key_spec=key_spec, origin=origin, material=material
    )
    assert MIN_RECORD_SIZE <= len(record) <= MAX_RECORD_SIZE
    assert parse_header(record) == RecordHeader(root.identity, key_id, key_version, key_spec, origin, created_us)
    assert open_record(root, record, key_id, key_version) == material


@settings(max_examples=150)
@given(st.sampled_from([b"\x01\x01", b"\x02\x01", b""]), st.binary(min_size=MIN_RECORD_SIZE, max_size=400))
def test_any_bytes_are_refused_with_one_error(start: bytes, rest: bytes) -> None:
    record = start + rest
    with pytest.raises(UnwrapFailed):
        open_record(a_root(), record, KEY_ID, 3)


@settings(max_examples=150)
@given(st.sampled_from([a_record, a_sealed_record, a_format_1_record]), st.integers(0, 200), st.integers(0, 255))
def test_any_header_under_a_right_tag_is_parsed_or_refused(make: MakeRecord, position: int, value: int) -> None:
    """Not reachable without root-mac; still the parser must not stumble."""
    root = a_root()
    authenticated = bytearray(make(root)[:-32])
    authenticated[min(position, len(authenticated) - 1)] = value
    record = bytes(authenticated) + root.mac(b"sealgate/v1/cmk-record" + bytes(authenticated))
    try:
        open_record(root, record, KEY_ID, 3)
    except UnwrapFailed:
        return
