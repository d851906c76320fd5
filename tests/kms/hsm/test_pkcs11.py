from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pkcs11 import Attribute, KeyType, MechanismFlag
from pkcs11 import exceptions as p11

from kms.api.secrets import SecretBytes
from kms.hsm import pkcs11
from kms.hsm.driver import MAX_SESSIONS
from kms.hsm.errors import CredentialRejected, RootLost
from kms.hsm.file_root import FileRoot, create_key_file
from kms.hsm.interface import Root, RootError, RootMisconfigured
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.profiles.interface import RootSession
from kms.hsm.tokens import find_token, log_in
from tests.conformance.root import RootContract
from tests.kms.hsm.conftest import PIN, SoftToken

pytestmark = pytest.mark.hsm

Opened = Callable[[], PKCS11Root]


class TestContract(RootContract):
    @pytest.fixture
    def root(self, opened: Opened) -> Root:
        return opened()

    @pytest.fixture
    def another_root(self, tmp_path: Path) -> Root:
        create_key_file(tmp_path / "key")
        FileRoot.create(tmp_path / "root", key_file=tmp_path / "key")
        return FileRoot.open(tmp_path / "root", key_file=tmp_path / "key")


def test_identity_is_that_of_provisioning(token: SoftToken, opened: Opened) -> None:
    root = opened()
    assert root.identity.profile == "kw"
    assert (root.identity.root_id, root.identity.label) == (token.root.root_id, "sealgate-root")
    assert root.token_serial == token.root.serial


def test_label_alone_finds_a_unique_token_and_root(token: SoftToken) -> None:
    root = PKCS11Root.open(replace(token.uri, serial=None, root_id=None), PIN, token.root.check_value)
    assert root.identity.root_id == token.root.root_id
    root.close()


@pytest.mark.parametrize("pin", [b"wrong-pin", b"\xff\xfe\xfd\xfc", b"9"])
def test_wrong_pin_is_refused_and_said_to_be_the_pin(token: SoftToken, pin: bytes) -> None:
    with pytest.raises(CredentialRejected) as caught:
        token.open(SecretBytes(pin))
    assert pin.decode("latin-1") not in str(caught.value)


@pytest.mark.parametrize("change", [{"token": "other"}, {"serial": "0000000000000000"}, {"token": "sealgat"}], ids=str)
def test_absent_token_is_a_loss_that_names_what_is_there(token: SoftToken, change: dict[str, str]) -> None:
    with pytest.raises(RootLost, match=f"'sealgate' \\(serial {token.root.serial}\\)"):
        PKCS11Root.open(replace(token.uri, **change), PIN)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"root_id": bytes(16)}, {"label": "other"}], ids=["id", "label"])
def test_absent_root_key_is_a_misconfiguration(token: SoftToken, change: dict[str, str]) -> None:
    with pytest.raises(RootMisconfigured, match="holds no keys"):
        PKCS11Root.open(replace(token.uri, **change), PIN)  # type: ignore[arg-type]


def test_stored_check_value_of_another_root_is_refused(token: SoftToken, opened: Opened) -> None:
    good = opened()
    foreign = bytes([token.root.check_value[0] ^ 1]) + token.root.check_value[1:]
    with pytest.raises(RootMisconfigured, match="foreign"):
        PKCS11Root.open(token.uri, PIN, foreign)
    good.close()


def plant_keys(token: SoftToken, label: str, **differing: bool) -> None:
    """Root keys made by somebody careless."""
    module = token.module
    module.ready()
    with module.calls():
        session = log_in(find_token(module, token.uri), PIN, rw=True)
        template = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
        template |= {Attribute[name.upper()]: value for name, value in differing.items()}
        session.generate_key(
            KeyType.AES, 256, id=b"r" * 16, label=label, store=True,
            capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP, template=template,
        )  # fmt: skip
        session.generate_key(
            KeyType.GENERIC_SECRET, 256, id=b"r" * 16, label=label + "-mac", store=True,
            capabilities=MechanismFlag.SIGN, template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
        )  # fmt: skip
        session.close()


def test_a_root_made_elsewhere_serves(token: SoftToken) -> None:
    plant_keys(token, "vendor")
    root = PKCS11Root.open(replace(token.uri, label="vendor", root_id=None), PIN)
    assert root.identity.root_id == b"r" * 16
    assert len(root.unwrap_key(root.generate_wrapped_key())) == 32
    root.close()


@pytest.mark.parametrize(
    "differing", [{"extractable": True}, {"sensitive": False}, {"decrypt": True}, {"unwrap": False}], ids=str
)
def test_a_root_that_protects_nothing_is_refused(token: SoftToken, differing: dict[str, bool]) -> None:
    plant_keys(token, "careless", **differing)
    with pytest.raises(RootMisconfigured, match=f"CKA_{next(iter(differing)).upper()}"):
        PKCS11Root.open(replace(token.uri, label="careless", root_id=None), PIN)


def test_two_roots_of_one_label_are_told_apart_by_id_only(token: SoftToken) -> None:
    plant_keys(token, token.uri.label)
    with pytest.raises(RootMisconfigured, match="2 keys"):
        PKCS11Root.open(replace(token.uri, root_id=None), PIN)
    root = token.open()
    assert root.identity.root_id == token.root.root_id
    root.close()


def test_a_token_that_is_back_serves_only_a_root_opened_anew(token: SoftToken, opened: Opened) -> None:
    root = opened()
    wrapped = root.generate_wrapped_key()
    key = root.unwrap_key(wrapped)
    token.pull()
    with pytest.raises(RootLost):
        root.unwrap_key(wrapped)
    with pytest.raises(RootLost):
        opened()
    token.put_back()
    with pytest.raises(RootLost):
        root.unwrap_key(wrapped)
    assert opened().unwrap_key(wrapped) == key


def test_a_token_that_comes_after_the_start_is_found(token: SoftToken, opened: Opened) -> None:
    token.pull()
    for _ in range(2):
        with pytest.raises(RootLost):
            opened()
    (token.directory / "tokens").mkdir()
    with pytest.raises(RootLost, match="absent; present: none"):
        opened()
    (token.directory / "tokens").rmdir()
    token.put_back()
    opened().check()


def test_handles_of_an_old_generation_are_never_used(token: SoftToken, opened: Opened) -> None:
    old, other = opened(), opened()
    token.module.suspect(token.module.generation)
    new = opened()
    for stale in (old, other):
        with pytest.raises(RootLost, match="initialised anew"):
            stale.mac(b"message")
        stale.close()  # must not log out the new one, whose session numbers are the same
    assert len(new.mac(b"message")) == 32


def test_an_error_costs_one_session_and_the_pool_refills(opened: Opened) -> None:
    root = opened()

    def fail(_: object) -> bytes:
        raise p11.KeyUnextractable

    for _ in range(3 * MAX_SESSIONS):
        with pytest.raises(RootMisconfigured, match="KeyUnextractable"):
            root._call("testing", fail)
    assert len(root.mac(b"message")) == 32


class FewSessions:
    """A token that allows `limit` further sessions."""

    def __init__(self, token: Any, limit: int) -> None:
        self._token, self._limit, self.refusals, self.refused = token, limit, 0, threading.Event()

    def open(self, **arguments: object) -> object:
        if self._limit == 0:
            self.refusals += 1
            self.refused.set()
            raise p11.SessionCount
        self._limit -= 1
        return self._token.open(**arguments)


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_a_token_with_few_sessions_is_shared_and_not_lost(token: SoftToken, opened: Opened, limit: int) -> None:
    root = opened()
    few: Any = FewSessions(root._token, limit)
    root._token = few
    generation, tags = token.module.generation, set[bytes]()

    def use(at: RootSession) -> bytes:
        few.refused.wait(60)  # hold on to this session until somebody was refused another
        return at.mac(b"message")

    threads = [threading.Thread(target=lambda: tags.add(root._call("testing", use))) for _ in range(4 * (limit + 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tags) == 1
    assert 0 < few.refusals < MAX_SESSIONS
    token.module.ready()
    assert token.module.generation == generation


def test_hanging_sessions_are_a_loss_and_the_module_waits_for_them(
    token: SoftToken, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pkcs11, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr("kms.hsm.module.DRAIN_SECONDS", 0.01)
    root, entered, release = opened(), threading.Semaphore(0), threading.Event()

    def hang(_: object) -> bytes:
        entered.release()
        release.wait(60)
        return b""

    threads = [threading.Thread(target=root._call, args=("hanging", hang)) for _ in range(MAX_SESSIONS)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert entered.acquire(timeout=60)
    with pytest.raises(RootLost, match="sessions of token 'sealgate' hang"):
        root.mac(b"message")
    with pytest.raises(RootLost, match=r"calls into .* hang"):
        opened()
    release.set()
    for thread in threads:
        thread.join()
    opened().check()


def test_restarts_under_load_crash_nothing(token: SoftToken) -> None:
    """Four threads use roots while the module is initialised anew under them: losses, and nothing but losses."""
    expected = token.open()
    tag = expected.mac(b"message")
    unexpected: list[BaseException] = []
    served = 0

    def use() -> None:
        nonlocal served
        for _ in range(25):
            try:
                root = token.open()
                for _ in range(4):
                    assert root.mac(b"message") == tag
                    served += 1
            except RootLost:
                continue
            except (RootError, AssertionError) as error:
                unexpected.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        token.module.suspect(token.module.generation)
        threads[0].join(0.002)
        threads = [thread for thread in threads if thread.is_alive()] or threads[:1]
    assert not unexpected
    assert served
