from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pkcs11 import Attribute, KeyType
from pkcs11 import exceptions as p11

from kms.api.secrets import SecretBytes
from kms.hsm import provision
from kms.hsm.check_value import verify_check_value
from kms.hsm.errors import CredentialRejected
from kms.hsm.interface import RootMisconfigured
from kms.hsm.pkcs11 import PKCS11Root, find_keys
from kms.hsm.provision import (
    MODULE_ENVIRONMENT,
    SOFTHSM_ENVIRONMENT,
    create_softhsm_token,
    find_softhsm,
    provision_root,
    write_softhsm_config,
)
from kms.hsm.tokens import find_token, log_in
from kms.hsm.uri import TokenURI, parse_uri
from tests.kms.hsm.conftest import PIN, SO_PIN, SoftToken, make_token


def test_softhsm_is_found_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libsofthsm2.so").touch()
    monkeypatch.setenv(MODULE_ENVIRONMENT, str(tmp_path / "libsofthsm2.so"))
    assert find_softhsm() == tmp_path / "libsofthsm2.so"
    monkeypatch.setenv(MODULE_ENVIRONMENT, str(tmp_path / "missing.so"))
    assert find_softhsm() is None


def test_softhsm_may_be_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODULE_ENVIRONMENT, raising=False)
    monkeypatch.setattr(provision, "_SOFTHSM_PATHS", (str(tmp_path / "none.so"),))
    assert find_softhsm() is None


def test_config_names_the_directory_and_follows_it_when_written_again(tmp_path: Path) -> None:
    config = write_softhsm_config(tmp_path / "one")
    assert f"directories.tokendir = {tmp_path}/one/tokens\n" in config.read_text()
    (tmp_path / "one").rename(tmp_path / "two")
    config = write_softhsm_config(tmp_path / "two")
    assert config == tmp_path / "two" / "softhsm2.conf"
    text = config.read_text()
    assert f"directories.tokendir = {tmp_path}/two/tokens\n" in text
    assert "objectstore.backend = file\n" in text
    assert "library.reset_on_fork = true\n" in text


def test_directories_and_config_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        config = write_softhsm_config(tmp_path / "hsm")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (config.parent, config.parent / "tokens", config)]
    assert modes == [0o700, 0o700, 0o600]


def test_a_directory_softhsm_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RootMisconfigured, match="cannot name"):
        write_softhsm_config(tmp_path / "a\nb")


@pytest.mark.hsm
def test_token_and_root_from_nothing(softhsm_environment: Path, tmp_path: Path) -> None:
    description = create_softhsm_token(tmp_path / "hsm", "sealgate", SO_PIN, PIN, softhsm_environment)
    assert description.config == tmp_path / "hsm" / "softhsm2.conf"
    assert os.environ[SOFTHSM_ENVIRONMENT] == str(description.config)
    assert len(description.serial) == 16
    with pytest.raises(RootMisconfigured, match="exists already"):
        create_softhsm_token(tmp_path / "hsm", "sealgate", SO_PIN, PIN, softhsm_environment)
    token = make_token_root(description.config.parent, softhsm_environment)
    root = token.open()
    verify_check_value(root, token.root.check_value)
    assert root.token_serial == description.serial
    root.close()


def make_token_root(directory: Path, module: Path) -> SoftToken:
    return SoftToken(directory, provision_root(TokenURI(module, "sealgate"), PIN))


@pytest.mark.hsm
@pytest.mark.parametrize("label", ["", "x" * 33, " padded", "ü" * 17])
def test_a_label_that_does_not_fit_is_refused(softhsm_environment: Path, tmp_path: Path, label: str) -> None:
    with pytest.raises(RootMisconfigured, match="label"):
        create_softhsm_token(tmp_path / "hsm", label, SO_PIN, PIN, softhsm_environment)


@pytest.mark.hsm
@pytest.mark.parametrize("pin", [b"", b"123", b"x" * 256, b"\xff\xff\xff\xff"])
def test_a_pin_the_token_refuses_is_an_error(softhsm_environment: Path, tmp_path: Path, pin: bytes) -> None:
    with pytest.raises(CredentialRejected):
        create_softhsm_token(tmp_path / "hsm", "sealgate", SO_PIN, SecretBytes(pin), softhsm_environment)


@pytest.mark.hsm
def test_a_root_is_never_made_twice(token: SoftToken) -> None:
    with pytest.raises(RootMisconfigured, match="holds a key 'sealgate-root' already"):
        provision_root(token.uri, PIN)
    token.open().close()


@pytest.mark.hsm
def test_a_second_root_under_another_label(token: SoftToken) -> None:
    second = provision_root(replace(token.uri, label="next-root", root_id=None), PIN)
    assert (second.label, second.mac_label) == ("next-root", "next-root-mac")
    assert second.root_id != token.root.root_id
    old, new = token.open(), PKCS11Root.open(parse_uri(second.uri), PIN, second.check_value)
    assert old.mac(b"message") != new.mac(b"message")
    new.close()


@pytest.mark.hsm
def test_provisioning_with_a_wrong_pin(token: SoftToken) -> None:
    with pytest.raises(CredentialRejected):
        provision_root(replace(token.uri, label="next-root"), SecretBytes(b"wrong-pin"))


@pytest.mark.hsm
@pytest.mark.parametrize(("key_type", "suffix"), [(KeyType.AES, ""), (KeyType.GENERIC_SECRET, "-mac")])
def test_a_pin_does_not_suffice_to_read_or_weaken_a_root(token: SoftToken, key_type: KeyType, suffix: str) -> None:
    token.module.ready()
    with token.module.calls():
        session = log_in(find_token(token.module, token.uri), PIN, rw=True)
        (key,) = find_keys(session, key_type, token.root.label + suffix, token.root.root_id)
        with pytest.raises(p11.AttributeSensitive):
            key[Attribute.VALUE]
        assert key[Attribute.LOCAL]
        assert key[Attribute.NEVER_EXTRACTABLE]
        assert key[Attribute.ALWAYS_SENSITIVE]
        for attribute in (Attribute.DECRYPT, Attribute.ENCRYPT, Attribute.EXTRACTABLE, Attribute.DERIVE):
            assert not key[attribute]
            with pytest.raises(p11.PKCS11Error):
                key[attribute] = True
            with pytest.raises(p11.PKCS11Error):
                key.copy({attribute: True})
        session.close()


@pytest.mark.hsm
def test_another_process_opens_the_root_with_the_config_in_its_environment(token: SoftToken) -> None:
    program = (
        "import sys\n"
        "from kms.api.secrets import SecretBytes\n"
        "from kms.hsm.pkcs11 import PKCS11Root\n"
        "from kms.hsm.uri import parse_uri\n"
        "root = PKCS11Root.open(parse_uri(sys.argv[1]), SecretBytes(b'1234-user'), bytes.fromhex(sys.argv[2]))\n"
        "print(root.mac(b'message').hex())\n"
    )
    arguments = [sys.executable, "-W", "error", "-c", program, token.root.uri, token.root.check_value.hex()]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    root = token.open()
    assert done.stdout.strip() == root.mac(b"message").hex()
    assert done.stderr == ""
    root.close()


@pytest.mark.hsm
def test_nothing_on_disk_shows_a_pin(token: SoftToken) -> None:
    for path in token.directory.rglob("*"):
        if path.is_file():
            assert PIN.reveal() not in path.read_bytes()
            assert SO_PIN.reveal() not in path.read_bytes()


@pytest.mark.hsm
def test_a_token_moved_with_its_directory_is_the_same_root(token: SoftToken, tmp_path: Path) -> None:
    shutil.move(token.directory, tmp_path / "moved")
    os.environ[SOFTHSM_ENVIRONMENT] = str(write_softhsm_config(tmp_path / "moved"))
    token.module.suspect(token.module.generation)
    root = token.open()
    assert root.identity.root_id == token.root.root_id
    root.close()


@pytest.mark.hsm
def test_foreign_token_of_the_same_names_is_detected(softhsm_environment: Path, tmp_path: Path) -> None:
    ours = make_token(tmp_path / "ours", softhsm_environment)
    theirs = make_token(tmp_path / "theirs", softhsm_environment)
    with pytest.raises(RootMisconfigured, match=f"{theirs.root.root_id.hex()} is foreign"):
        PKCS11Root.open(theirs.uri, PIN, ours.root.check_value)
