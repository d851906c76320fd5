from __future__ import annotations

import ctypes
import os
import shutil
import stat
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11 import exceptions as p11

from kms.api.secrets import SecretBytes
from kms.hsm import provision
from kms.hsm.check_value import verify_check_value
from kms.hsm.driver import DEFAULT
from kms.hsm.errors import CredentialRejected
from kms.hsm.interface import NotOffered, Protection, RootIdentity, RootMisconfigured
from kms.hsm.key_plan import KeyPlan, wrapping_plan
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.provision import (
    MODULE_ENVIRONMENT,
    SOFTHSM_ENVIRONMENT,
    create_softhsm_token,
    find_softhsm,
    provision_root,
    write_softhsm_config,
)
from kms.hsm.root_keys import AUDIT_SIGN, ROOT_MAC, find_keys, strict_plan
from kms.hsm.templates import UNWRAPPED_SECRET
from kms.hsm.tokens import find_token, log_in
from kms.hsm.uri import TokenURI, parse_uri
from tests.kms.hsm.conftest import PIN, SO_PIN, SoftToken, make_token

ROOT = wrapping_plan(Mechanism.AES_KEY_WRAP)
ROOT_STRICT = strict_plan(DEFAULT)


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
@pytest.mark.parametrize("plan", [ROOT, ROOT_MAC, ROOT_STRICT, AUDIT_SIGN], ids=lambda plan: plan.suffix or "root")
def test_a_pin_does_not_suffice_to_read_or_weaken_a_root(token: SoftToken, plan: KeyPlan) -> None:
    token.module.ready()
    with token.module.calls():
        session = log_in(find_token(token.module, token.uri), PIN, rw=True)
        (key,) = find_keys(session, plan, token.uri, token.root.root_id)
        with pytest.raises(p11.AttributeSensitive):
            key[Attribute.VALUE]
        assert key[Attribute.LOCAL]
        assert key[Attribute.NEVER_EXTRACTABLE]
        assert key[Attribute.ALWAYS_SENSITIVE]
        changes = [Attribute.DECRYPT, Attribute.EXTRACTABLE, Attribute.DERIVE]
        if plan.object_class is ObjectClass.SECRET_KEY:
            changes.append(Attribute.ENCRYPT)
        for attribute in changes:
            assert not key[attribute]
            with pytest.raises(p11.PKCS11Error):
                key[attribute] = True
            with pytest.raises(p11.PKCS11Error):
                key.copy({attribute: True})
        session.close()


@pytest.mark.hsm
@pytest.mark.parametrize(
    ("key_type", "capabilities", "template"),
    [
        (KeyType.GENERIC_SECRET, MechanismFlag.SIGN, {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}),
        (KeyType.GENERIC_SECRET, MechanismFlag.SIGN, {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: True}),
        (KeyType.GENERIC_SECRET, MechanismFlag.DERIVE, {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}),
        (KeyType.AES, MechanismFlag.ENCRYPT, {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}),
        (KeyType.AES, MechanismFlag.WRAP, {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}),
    ],
)
def test_a_pin_and_a_wrapped_key_do_not_suffice_to_get_it_out_of_root_strict(
    token: SoftToken, key_type: KeyType, capabilities: MechanismFlag, template: dict[Attribute, object]
) -> None:
    root = token.open()
    wrapped = root.generate_wrapped_key(Protection.HSM)
    with token.module.calls():
        session = log_in(find_token(token.module, token.uri), PIN, rw=True)
        (strict,) = find_keys(session, ROOT_STRICT, token.uri, token.root.root_id)
        arguments = {"mechanism": Mechanism.AES_KEY_WRAP, "store": False}
        with pytest.raises(p11.TemplateInconsistent):
            strict.unwrap_key(
                ObjectClass.SECRET_KEY, key_type, wrapped, capabilities=capabilities, template=template, **arguments
            )
        kept = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
        key = strict.unwrap_key(
            ObjectClass.SECRET_KEY,
            KeyType.GENERIC_SECRET,
            wrapped,
            capabilities=MechanismFlag.SIGN,
            template=kept,
            **arguments,
        )
        with pytest.raises(p11.AttributeSensitive):
            key[Attribute.VALUE]
        session.close()
    root.close()


def remove_keys(token: SoftToken, *plans: KeyPlan) -> None:
    """Make the token what an earlier release left."""
    token.module.ready()
    with token.module.calls():
        session = log_in(find_token(token.module, token.uri), PIN, rw=True)
        for plan in plans:
            for object_class in (plan.object_class, ObjectClass.PUBLIC_KEY):
                for key in session.get_objects(
                    {Attribute.CLASS: object_class, Attribute.LABEL: token.uri.label + plan.suffix}
                ):
                    key.destroy()
        session.close()


@pytest.mark.hsm
def test_a_root_of_an_earlier_layout_lacks_keys_until_they_may_be_made(token: SoftToken) -> None:
    remove_keys(token, AUDIT_SIGN, ROOT_STRICT)
    old = token.open()
    with pytest.raises(NotOffered, match="'sealgate-root-audit'"):
        old.sign(bytes(32))
    with pytest.raises(NotOffered, match="'sealgate-root-audit'"):
        old.audit_public_key()
    assert old.strict_identity is None
    with pytest.raises(NotOffered, match="'sealgate-root-strict'"):
        old.generate_wrapped_key(Protection.HSM)
    wrapped = old.generate_wrapped_key()
    key = old.unwrap_key(wrapped)
    old.close()

    new = PKCS11Root.open(token.uri, PIN, token.root.check_value, makes_missing=True)
    assert len(new.sign(bytes(32))) == 64
    assert new.strict_identity == RootIdentity("kw", token.root.root_id, "sealgate-root-strict")
    assert new.unwrap_key(wrapped) == key
    public_key = new.audit_public_key()
    new.close()

    again = PKCS11Root.open(token.uri, PIN, token.root.check_value, makes_missing=True)
    assert again.audit_public_key() == public_key
    again.close()


@pytest.mark.hsm
def test_a_strict_root_that_unwraps_to_anything_is_not_used(token: SoftToken) -> None:
    """As somebody with the PIN may plant one."""
    remove_keys(token, ROOT_STRICT)
    with token.module.calls():
        session = log_in(find_token(token.module, token.uri), PIN, rw=True)
        lax = {key: value for key, value in ROOT_STRICT.templates[0].items() if key is not Attribute.UNWRAP_TEMPLATE}
        session.generate_key(
            KeyType.AES,
            256,
            id=token.root.root_id,
            label=token.uri.label + ROOT_STRICT.suffix,
            store=True,
            capabilities=ROOT_STRICT.capabilities,
            template=lax,
        )
        session.close()
    root = PKCS11Root.open(token.uri, PIN, token.root.check_value, makes_missing=True)
    assert root.strict_identity is None
    with pytest.raises(NotOffered, match="CKA_UNWRAP_TEMPLATE"):
        root.generate_wrapped_key(Protection.HSM)
    root.close()


def test_a_packed_template_points_at_values_that_stay() -> None:
    size = struct.calcsize("LPL")
    found = {}
    for at in range(0, len(UNWRAPPED_SECRET.packed), size):
        kind, address, length = struct.unpack_from("LPL", UNWRAPPED_SECRET.packed, at)
        found[Attribute(kind)] = ctypes.string_at(address, length)
    assert found.pop(Attribute.CLASS) == struct.pack("L", ObjectClass.SECRET_KEY)
    assert found.pop(Attribute.KEY_TYPE) == struct.pack("L", KeyType.GENERIC_SECRET)
    assert found.pop(Attribute.SENSITIVE) == b"\x01"
    assert set(found) == {getattr(Attribute, name) for name in ("EXTRACTABLE", "DERIVE", "WRAP", "ENCRYPT", "DECRYPT")}
    assert set(found.values()) == {b"\x00"}


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
