"""Keys of protection hsm as session objects, on SoftHSM2 and NSS softokn."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11 import exceptions as p11

from kms.api.secrets import SecretBytes
from kms.hsm.description import RootDescription
from kms.hsm.file_root import FileRoot, create_key_file
from kms.hsm.held_key import TokenKey
from kms.hsm.interface import HeldKey, KeyLetGo, NotOffered, Protection, RootUnavailable, UnwrapFailed
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.profiles.interface import RootSession
from kms.hsm.provision import provision_root
from kms.hsm.recovery import RecoveringRoot
from kms.hsm.uri import parse_uri
from kms.keys.ciphertext import derivation_of, derive, new_derivation, open_blob, open_derived, seal_blob, seal_derived
from kms.keys.record_format import parse_record
from kms.keys.wrapping import hold_record, make_record, open_record
from tests.kms.hsm.conftest import PIN, AnyToken, SoftToken

pytestmark = pytest.mark.hsm

KEY = SecretBytes(bytes(range(32)))
KEY_ID = UUID("1234abcd-12ab-34cd-56ef-1234567890ab")
CONTEXT = b"\0\0"
Made = dict[Path, RootDescription]


@pytest.fixture(scope="session")
def made() -> Made:
    return {}


@pytest.fixture
def root(any_token: AnyToken, made: Made) -> Iterator[PKCS11Root]:
    if any_token.directory not in made:
        made[any_token.directory] = provision_root(replace(any_token.uri, label="held-keys"), PIN, any_token.driver)
    root = PKCS11Root.open(parse_uri(made[any_token.directory].uri), PIN, driver=any_token.driver)
    yield root
    root.close()


def hold(root: PKCS11Root, key: SecretBytes = KEY) -> HeldKey:
    return root.hold_key(root.wrap_key(key, Protection.HSM))


def session_secrets(root: PKCS11Root) -> int:
    """How many session objects there are among the secret keys that this process sees."""
    found = 0

    def count(at: RootSession) -> bytes:
        nonlocal found
        keys = at.session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.TOKEN: False})
        found = len(list(keys))
        return b""

    root._call("counting", count)
    return found


@pytest.mark.parametrize("hash_name", ["sha224", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("size", [0, 1, 64, 140, 4096])
def test_the_hsm_computes_what_software_computes(root: PKCS11Root, hash_name: str, size: int) -> None:
    key = SecretBytes(bytes(range(64)))
    held, message = hold(root, key), bytes(size)
    assert held.mac(message, hash_name) == hmac.digest(key.reveal(), message, hash_name)
    held.close()


@pytest.mark.parametrize(("key_spec", "size"), [("HMAC_224", 32), ("HMAC_256", 32), ("HMAC_384", 48), ("HMAC_512", 64)])
def test_hmac_keys_are_made_inside(root: PKCS11Root, key_spec: str, size: int) -> None:
    records = [
        make_record(root, KEY_ID, 1, created_us=1, key_spec=key_spec, protection=Protection.HSM) for _ in range(2)
    ]
    hash_name = key_spec.lower().replace("hmac_", "sha")
    macs = []
    for record in records:
        assert len(parse_record(record).wrapped) == size + 8
        held = hold_record(root, record, KEY_ID, 1)
        macs.append(held.mac(b"message", hash_name))
        held.close()
    assert len(set(macs)) == 2


def test_an_imported_hmac_key_is_the_same_key(root: PKCS11Root) -> None:
    material = SecretBytes(bytes(range(28)))
    record = make_record(
        root, KEY_ID, 1, created_us=1, key_spec="HMAC_224", protection=Protection.HSM, material=material
    )
    held = hold_record(root, record, KEY_ID, 1)
    assert held.mac(b"message", "sha224") == hmac.digest(material.reveal(), b"message", "sha224")
    held.close()


@pytest.mark.parametrize("size", [0, 24, 31, 33, 136])
def test_no_other_lengths_are_made_or_wrapped(root: PKCS11Root, size: int) -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        root.generate_wrapped_key(Protection.HSM, size)
    with pytest.raises(ValueError, match="32 bytes"):
        root.generate_wrapped_key(Protection.SOFTWARE, size)


def test_one_blob_opens_under_both_levels(root: PKCS11Root) -> None:
    """The same material under both: what one level sealed, the other opens, byte for byte."""
    by_hsm = make_record(root, KEY_ID, 1, created_us=1, protection=Protection.HSM, material=KEY)
    in_software = make_record(root, KEY_ID, 1, created_us=1, material=KEY)
    held, key = hold_record(root, by_hsm, KEY_ID, 1), open_record(root, in_software, KEY_ID, 1).reveal()
    derivation = new_derivation(KEY_ID.bytes, 1, b"s" * 32)
    secret = held.mac(derivation)
    assert secret == derive(key, derivation)
    blob = seal_derived(secret, derivation, plaintext=b"plaintext", context=CONTEXT)
    assert blob == seal_blob(key, KEY_ID.bytes, 1, salt=b"s" * 32, plaintext=b"plaintext", context=CONTEXT)
    assert open_blob(key, blob, context=CONTEXT) == b"plaintext"
    assert open_derived(held.mac(derivation_of(blob)), blob, context=CONTEXT) == b"plaintext"
    held.close()


def test_a_held_key_cannot_be_read_exported_or_changed(root: PKCS11Root, any_token: AnyToken) -> None:
    is_soft = not any_token.driver.library_parameters
    before = session_secrets(root)
    held = hold(root)
    assert session_secrets(root) == before + 1

    def look(at: RootSession) -> bytes:
        keys = at.session.get_objects(
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.TOKEN: False,
                Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
            }
        )
        for key in keys:
            assert key[Attribute.SENSITIVE] and not key[Attribute.EXTRACTABLE]
            with pytest.raises(p11.AttributeSensitive):
                key[Attribute.VALUE]
            for attribute, value in ((Attribute.EXTRACTABLE, True), (Attribute.SENSITIVE, False)):
                with pytest.raises(p11.PKCS11Error):
                    key[attribute] = value
            if is_soft:
                with pytest.raises(p11.KeyUnextractable):
                    at.root.wrap_key(key, mechanism=root._holder._mechanism)
            else:
                # softokn wraps whatever it is asked to: on NSS protection hsm holds against kmsd, not against the PIN.
                assert at.root.wrap_key(key, mechanism=root._holder._mechanism)
        return b""

    root._call("looking", look)
    held.close()


def test_closing_destroys_the_object_and_ends_the_use(root: PKCS11Root) -> None:
    before = session_secrets(root)
    held = [hold(root) for _ in range(8)]
    assert session_secrets(root) == before + 8
    for one in held:
        one.close()
        one.close()
        with pytest.raises(KeyLetGo):
            one.mac(b"message")
    assert session_secrets(root) == before


def test_a_key_is_used_from_every_session_at_once(root: PKCS11Root) -> None:
    held = hold(root)
    expected = hmac.digest(KEY.reveal(), b"message", "sha256")
    with ThreadPoolExecutor(12) as threads:
        assert set(threads.map(lambda _: held.mac(b"message"), range(400))) == {expected}
    held.close()


def test_closing_waits_for_the_calls_under_way() -> None:
    """A handle that goes under a call looks like a token that is gone."""
    entered, go_on, destroyed = threading.Event(), threading.Event(), threading.Event()

    def run(_doing: str, _operation: Callable[[RootSession], bytes]) -> bytes:
        entered.set()
        assert go_on.wait(60)
        assert not destroyed.is_set()
        return b"tag"

    key = TokenKey(1, run, destroyed.set)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(key.mac, b"message")
        assert entered.wait(60)
        key.close()
        assert not destroyed.is_set()
        go_on.set()
        assert call.result(10) == b"tag"
    assert destroyed.is_set()


def test_every_changed_byte_is_refused_and_costs_nothing(root: PKCS11Root) -> None:
    wrapped = root.wrap_key(KEY, Protection.HSM)
    before = session_secrets(root)
    for position in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[position] ^= 0x01
        with pytest.raises(UnwrapFailed):
            root.hold_key(bytes(changed))
    for other in (b"", wrapped[:-8], wrapped[:-1], wrapped + bytes(8), root.generate_wrapped_key(), bytes(4096)):
        with pytest.raises(UnwrapFailed):
            root.hold_key(other)
    assert session_secrets(root) == before
    root.hold_key(wrapped).close()


def test_held_keys_go_with_the_root(root: PKCS11Root) -> None:
    held = hold(root)
    root.close()
    with pytest.raises(RootUnavailable):
        held.mac(b"message")
    held.close()
    with pytest.raises(RootUnavailable):
        root.hold_key(bytes(40))


def test_nothing_shows_a_key(root: PKCS11Root) -> None:
    held = hold(root)
    assert repr(held) == "TokenKey()"
    held.close()


def test_a_file_root_holds_none(tmp_path: Path) -> None:
    create_key_file(tmp_path / "key")
    FileRoot.create(tmp_path / "root", key_file=tmp_path / "key")
    with pytest.raises(NotOffered, match="protection hsm"):
        FileRoot.open(tmp_path / "root", key_file=tmp_path / "key").hold_key(bytes(40))


def test_a_lost_token_that_is_back_holds_its_keys_anew(token: SoftToken) -> None:
    root = RecoveringRoot(token.open, first_delay_seconds=0.0, max_delay_seconds=0.0)
    held = root.hold_key(root.wrap_key(KEY, Protection.HSM))
    expected = hmac.digest(KEY.reveal(), b"message", "sha256")
    assert held.mac(b"message") == expected
    token.pull()
    token.module.suspect(token.module.generation)
    token.module.finalize()
    with pytest.raises(RootUnavailable):
        held.mac(b"message")
    token.put_back()
    assert held.mac(b"message") == expected
    held.close()
    with pytest.raises(KeyLetGo):
        held.mac(b"message")
    root.close()


def test_sessions_that_were_closed_under_it_are_recovered(token: SoftToken) -> None:
    root = RecoveringRoot(token.open, first_delay_seconds=0.0, max_delay_seconds=0.0)
    held = root.hold_key(root.wrap_key(KEY, Protection.HSM))
    token.module.suspect(token.module.generation)
    assert held.mac(b"message") == hmac.digest(KEY.reveal(), b"message", "sha256")
    opened = root._root
    assert isinstance(opened, PKCS11Root) and opened._owner is not None
    opened._owner.session.close()  # and with it all keys that it owns
    assert held.mac(b"message") == hmac.digest(KEY.reveal(), b"message", "sha256")
    root.close()
