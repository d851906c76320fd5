from __future__ import annotations

import hmac
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from kms.api.secrets import SecretBytes
from kms.hsm import sealed_file
from kms.hsm.check_value import make_check_value
from kms.hsm.errors import CredentialRejected, RootLost
from kms.hsm.file_root import FileRoot, create_key_file
from kms.hsm.interface import NotOffered, Root, RootMisconfigured
from tests.conformance.root import RootContract

PASSPHRASE = SecretBytes(b"correct horse battery staple")


@pytest.fixture(autouse=True)
def cheap_argon2(monkeypatch: pytest.MonkeyPatch) -> None:
    """The costs are stored in the file; the real ones are for `test_real_costs`."""
    monkeypatch.setattr(sealed_file, "MEMORY_KIB", 64)
    monkeypatch.setattr(sealed_file, "ITERATIONS", 1)


def by_passphrase(directory: Path) -> FileRoot:
    FileRoot.create(directory / "root", passphrase=PASSPHRASE)
    return FileRoot.open(directory / "root", passphrase=PASSPHRASE)


def by_key_file(directory: Path) -> FileRoot:
    create_key_file(directory / "key")
    FileRoot.create(directory / "root", key_file=directory / "key")
    return FileRoot.open(directory / "root", key_file=directory / "key")


class TestContract(RootContract):
    @pytest.fixture(params=[by_passphrase, by_key_file])
    def root(self, request: pytest.FixtureRequest, tmp_path: Path) -> Root:
        (tmp_path / "one").mkdir()
        root: Root = request.param(tmp_path / "one")
        return root

    @pytest.fixture
    def another_root(self, tmp_path: Path) -> Root:
        (tmp_path / "two").mkdir()
        return by_passphrase(tmp_path / "two")


def test_it_is_the_same_root_after_opening_again(tmp_path: Path) -> None:
    description = FileRoot.create(tmp_path / "root", passphrase=PASSPHRASE)
    first = FileRoot.open(tmp_path / "root", passphrase=PASSPHRASE, expected_check_value=description.check_value)
    wrapped, tag = first.generate_wrapped_key(), first.mac(b"message")
    again = FileRoot.open(tmp_path / "root", passphrase=PASSPHRASE, expected_check_value=description.check_value)
    assert again.unwrap_key(wrapped) == first.unwrap_key(wrapped)
    assert again.mac(b"message") == tag
    assert again.identity.root_id == description.root_id


def test_files_are_the_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_key_file(tmp_path / "key")
        FileRoot.create(tmp_path / "root", key_file=tmp_path / "key")
    finally:
        os.umask(before)
    for name in ("key", "root"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["key", "root"])
def test_lax_permissions_are_refused(tmp_path: Path, name: str) -> None:
    by_key_file(tmp_path)
    (tmp_path / name).chmod(0o640)
    with pytest.raises(RootMisconfigured, match="chmod 600"):
        FileRoot.open(tmp_path / "root", key_file=tmp_path / "key")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    by_key_file(tmp_path)
    before = (tmp_path / "root").read_bytes(), (tmp_path / "key").read_bytes()
    with pytest.raises(RootMisconfigured, match="exists already"):
        FileRoot.create(tmp_path / "root", passphrase=PASSPHRASE)
    with pytest.raises(RootMisconfigured, match="exists already"):
        create_key_file(tmp_path / "key")
    assert ((tmp_path / "root").read_bytes(), (tmp_path / "key").read_bytes()) == before


def test_wrong_passphrase_is_refused(tmp_path: Path) -> None:
    by_passphrase(tmp_path)
    with pytest.raises(CredentialRejected) as caught:
        FileRoot.open(tmp_path / "root", passphrase=SecretBytes(b"incorrect horse"))
    assert "incorrect horse" not in str(caught.value)


def test_another_key_file_is_refused(tmp_path: Path) -> None:
    by_key_file(tmp_path)
    create_key_file(tmp_path / "other")
    with pytest.raises(CredentialRejected):
        FileRoot.open(tmp_path / "root", key_file=tmp_path / "other")


def test_the_kind_of_secret_must_match(tmp_path: Path) -> None:
    by_key_file(tmp_path)
    with pytest.raises(RootMisconfigured, match="sealed by a key file"):
        FileRoot.open(tmp_path / "root", passphrase=PASSPHRASE)


@pytest.mark.parametrize("size", [0, 31, 33, 4096])
def test_a_key_file_has_32_bytes(tmp_path: Path, size: int) -> None:
    by_key_file(tmp_path)
    (tmp_path / "key").write_bytes(bytes(size))
    with pytest.raises(RootMisconfigured, match="32 bytes"):
        FileRoot.open(tmp_path / "root", key_file=tmp_path / "key")


@pytest.mark.parametrize("passphrase", [b"", b"short12", b"x" * 1025])
def test_passphrase_out_of_bounds_is_refused(tmp_path: Path, passphrase: bytes) -> None:
    with pytest.raises(RootMisconfigured, match="8 to 1024"):
        FileRoot.create(tmp_path / "root", passphrase=SecretBytes(passphrase))
    assert not (tmp_path / "root").exists()


def write_format_1(directory: Path) -> FileRoot:
    """A root file as the first release made it, built from the format's page with nothing of ours."""
    create_key_file(directory / "key")
    salt, nonce = b"s" * 16, b"n" * 12
    header = b"SGFR\x01\x02" + b"i" * 16 + bytes(9) + salt + nonce
    sealing_key = HKDF(SHA256(), 32, salt, b"sealgate/v1/file-root").derive((directory / "key").read_bytes())
    (directory / "root").write_bytes(header + AESGCM(sealing_key).encrypt(nonce, b"r" * 32 + b"m" * 32, header))
    (directory / "root").chmod(0o600)
    return FileRoot.open(directory / "root", key_file=directory / "key")


def test_format_1_opens_and_lacks_the_signing_key(tmp_path: Path) -> None:
    root = write_format_1(tmp_path)
    assert (tmp_path / "root").stat().st_size == 139
    assert root.identity.root_id == b"i" * 16
    assert root.mac(b"message") == hmac.digest(b"m" * 32, b"message", "sha256")
    assert aes_key_unwrap(b"r" * 32, root.generate_wrapped_key())
    for call in (root.audit_public_key, lambda: root.sign(bytes(32))):
        with pytest.raises(NotOffered, match="format 1"):
            call()


def test_format_1_is_replaced_when_missing_keys_may_be_made(tmp_path: Path) -> None:
    old = write_format_1(tmp_path)
    wrapped, check_value = old.generate_wrapped_key(), make_check_value(old)
    (tmp_path / "root.new").write_bytes(b"left by a crash")
    new = FileRoot.open(tmp_path / "root", key_file=tmp_path / "key", makes_missing=True)
    again = FileRoot.open(tmp_path / "root", key_file=tmp_path / "key", expected_check_value=check_value)
    assert again.audit_public_key() == new.audit_public_key()
    assert again.unwrap_key(wrapped) == old.unwrap_key(wrapped)
    assert stat.S_IMODE((tmp_path / "root").stat().st_mode) == 0o600
    assert not (tmp_path / "root.new").exists()


def test_format_1_that_cannot_be_replaced_serves_without(tmp_path: Path) -> None:
    write_format_1(tmp_path)
    (tmp_path / "root.new").mkdir()
    root = FileRoot.open(tmp_path / "root", key_file=tmp_path / "key", makes_missing=True)
    root.check()
    with pytest.raises(NotOffered):
        root.audit_public_key()
    assert (tmp_path / "root").stat().st_size == 139


def test_a_foreign_root_is_not_replaced(tmp_path: Path) -> None:
    write_format_1(tmp_path)
    with pytest.raises(RootMisconfigured, match="foreign"):
        FileRoot.open(tmp_path / "root", key_file=tmp_path / "key", expected_check_value=bytes(72), makes_missing=True)
    assert (tmp_path / "root").stat().st_size == 139


def test_exactly_one_secret(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one of them"):
        FileRoot.create(tmp_path / "root")
    with pytest.raises(ValueError, match="one of them"):
        FileRoot.open(tmp_path / "root", passphrase=PASSPHRASE, key_file=tmp_path / "key")


def test_an_absent_file_may_come_later(tmp_path: Path) -> None:
    with pytest.raises(RootLost, match="absent"):
        FileRoot.open(tmp_path / "root", passphrase=PASSPHRASE)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "root", 0o600)
    with pytest.raises(RootMisconfigured, match="regular file"):
        FileRoot.open(tmp_path / "root", passphrase=PASSPHRASE)


def test_every_changed_byte_is_refused(tmp_path: Path) -> None:
    by_key_file(tmp_path)
    content = (tmp_path / "root").read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 0x80
        (tmp_path / "root").write_bytes(changed)
        with pytest.raises(RootMisconfigured):
            FileRoot.open(tmp_path / "root", key_file=tmp_path / "key")


@pytest.mark.parametrize("size", [0, 1, 58, 59, 139, 170, 172])
def test_another_length_is_refused(tmp_path: Path, size: int) -> None:
    by_passphrase(tmp_path)
    content = (tmp_path / "root").read_bytes() + b"\0"
    assert len(content) == sealed_file.FILE_SIZE + 1
    (tmp_path / "root").write_bytes(content[:size])
    with pytest.raises(RootMisconfigured, match="file root"):
        FileRoot.open(tmp_path / "root", passphrase=PASSPHRASE)


@pytest.mark.parametrize(
    ("offset", "value"),
    [(22, 2**32 - 1), (22, 7), (26, 0), (26, 2**31), (30, 0)],
    ids=["memory-huge", "memory-tiny", "iterations-0", "iterations-huge", "lanes-0"],
)
def test_costs_out_of_bounds_are_refused_before_they_are_paid(tmp_path: Path, offset: int, value: int) -> None:
    by_passphrase(tmp_path)
    content = bytearray((tmp_path / "root").read_bytes())
    size = 1 if offset == 30 else 4
    content[offset : offset + size] = value.to_bytes(size, "big")
    (tmp_path / "root").write_bytes(content)
    with pytest.raises(RootMisconfigured, match="out of bounds"):
        FileRoot.open(tmp_path / "root", passphrase=PASSPHRASE)


def test_real_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    by_passphrase(tmp_path).check()
    header = (tmp_path / "root").read_bytes()
    assert [int.from_bytes(header[a:b], "big") for a, b in ((22, 26), (26, 30), (30, 31))] == [65536, 3, 4]


def test_the_file_shows_no_key(tmp_path: Path) -> None:
    root = by_passphrase(tmp_path)
    content = (tmp_path / "root").read_bytes()
    assert root._keys.audit_sign is not None
    for key in (root._keys.root, root._keys.root_mac, root._keys.audit_sign):
        assert key.reveal() not in content
        assert key.reveal().hex() not in repr(root._keys)
