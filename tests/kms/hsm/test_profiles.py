"""Every wrapping profile on every token at hand: SoftHSM2 and NSS softokn, through the same code."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pkcs11 import Attribute, Mechanism

from kms.hsm.cryptoki import GCMParameters, RawMechanism
from kms.hsm.description import RootDescription
from kms.hsm.driver import Driver, IVMode, Wrapping
from kms.hsm.file_root import FileRoot, create_key_file
from kms.hsm.interface import Root, RootMisconfigured, UnwrapFailed
from kms.hsm.module import load
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.profiles.choice import profiles
from kms.hsm.profiles.gcm import GCMProfile
from kms.hsm.profiles.interface import RootSession
from kms.hsm.profiles.key_wrap import as_mechanism
from kms.hsm.provision import provision_root
from kms.hsm.rehearsal import rehearse
from kms.hsm.tokens import find_token, log_in
from kms.hsm.uri import parse_uri
from kms.keys.record_format import PROFILES
from tests.conformance.root import RootContract
from tests.kms.hsm.conftest import PIN, AnyToken

Made = dict[tuple[Path, Wrapping], RootDescription]


@pytest.fixture(scope="session")
def made_roots() -> Made:
    return {}


@pytest.mark.hsm
class TestContract(RootContract):
    @pytest.fixture(params=list(Wrapping))
    def root(self, request: pytest.FixtureRequest, any_token: AnyToken, made_roots: Made) -> Iterator[Root]:
        driver = replace(any_token.driver, wrapping=request.param)
        name = (any_token.directory, request.param)
        if name not in made_roots:
            made_roots[name] = provision_root(replace(any_token.uri, label=f"root-{request.param}"), PIN, driver)
        description = made_roots[name]
        assert description.profile == request.param
        root = PKCS11Root.open(parse_uri(description.uri), PIN, description.check_value, driver=driver)
        yield root
        root.close()

    @pytest.fixture
    def another_root(self, tmp_path: Path) -> Root:
        create_key_file(tmp_path / "key")
        FileRoot.create(tmp_path / "root", key_file=tmp_path / "key")
        return FileRoot.open(tmp_path / "root", key_file=tmp_path / "key")

    def test_threads_may_share_it(self, root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        # softokn derives its database key anew for each use of a stored private key.
        self.shared_calls = 24 if root.identity.profile == "rsa-oaep" else 300
        super().test_threads_may_share_it(root, monkeypatch)

    def test_records_name_profile_and_mechanism(self, root: Root) -> None:
        expected = {"kw": 0x2109, "gcm": 0x1087, "cbc+hmac": 0x1082, "rsa-oaep": 0x9}
        assert root.identity.mechanism == expected[root.identity.profile]
        assert root.strict_identity is not None
        assert (root.strict_identity.profile, root.strict_identity.mechanism) == ("kw", 0x2109)


_BOTH = {"kw", "gcm/caller", "cbc+hmac", "oaep/1"}
WORKING = {"softhsm": _BOTH, "nss": _BOTH | {"oaep/2"}}  # SoftHSM2 has OAEP with SHA-1 only


@pytest.mark.hsm
def test_which_profiles_work_is_found_by_doing_and_nothing_is_left_behind(any_token: AnyToken) -> None:
    module = load(any_token.path)
    module.ready()
    with module.calls():
        session = log_in(find_token(module, any_token.uri), PIN)
        before = len(list(session.get_objects()))
        found = set()
        for profile in profiles(any_token.driver):
            variant = getattr(profile, "iv_mode", getattr(profile, "hash_number", None))
            name = profile.name.removeprefix("rsa-") + (f"/{variant}" if variant else "")
            if rehearse(session, module.cryptoki, profile) is None:
                found.add(name)
        assert len(list(session.get_objects())) == before
        session.close()
    assert found == WORKING["nss" if any_token.driver.library_parameters else "softhsm"]


@pytest.mark.hsm
def test_the_best_profile_is_taken_when_the_driver_leaves_it_open(any_token: AnyToken) -> None:
    description = provision_root(replace(any_token.uri, label="open"), PIN, any_token.driver)
    assert description.profile == "kw"


@pytest.mark.hsm
def test_a_root_of_another_profile_than_the_drivers_is_refused(any_token: AnyToken) -> None:
    driver = replace(any_token.driver, wrapping=Wrapping.CBC_HMAC)
    description = provision_root(replace(any_token.uri, label="pinned"), PIN, driver)
    for wrapping in (Wrapping.KEY_WRAP, Wrapping.RSA_OAEP):
        with pytest.raises(RootMisconfigured, match="driver profile"):
            PKCS11Root.open(parse_uri(description.uri), PIN, driver=replace(driver, wrapping=wrapping))
    PKCS11Root.open(parse_uri(description.uri), PIN, description.check_value, driver=driver).close()


@pytest.mark.hsm
def test_a_profile_that_the_token_lacks_is_named_and_nothing_is_made(any_token: AnyToken) -> None:
    driver = replace(any_token.driver, wrapping=Wrapping.GCM, gcm_iv=IVMode.ZERO_WRITEBACK)
    with pytest.raises(RootMisconfigured, match="IV of zeros"):
        provision_root(replace(any_token.uri, label="lacking"), PIN, driver)
    provision_root(replace(any_token.uri, label="lacking"), PIN, any_token.driver)


@pytest.mark.hsm
def test_a_vendors_mechanism_that_the_token_does_not_know_is_said(any_token: AnyToken) -> None:
    driver = replace(any_token.driver, wrapping=Wrapping.KEY_WRAP, key_wrap_mechanism=0x80000123)
    with pytest.raises(RootMisconfigured, match="kw: MechanismInvalid"):
        provision_root(replace(any_token.uri, label="vendor"), PIN, driver)


@pytest.mark.hsm
def test_a_module_without_locks_serves_one_thread_at_a_time(
    any_token: AnyToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    if any_token.driver.library_parameters:
        pytest.skip("softokn cannot be initialised without OS locking")
    driver = replace(any_token.driver, os_locking=False)
    description = provision_root(replace(any_token.uri, label="unlocked"), PIN, driver)
    root = PKCS11Root.open(parse_uri(description.uri), PIN, description.check_value, driver=driver)
    RootContract().test_threads_may_share_it(root, monkeypatch)
    root.close()


def test_a_module_in_use_takes_no_other_parameters(any_token: AnyToken) -> None:
    load(any_token.path).ready()
    with pytest.raises(RootMisconfigured, match="another driver profile"):
        load(any_token.path, replace(any_token.driver, library_parameters="configdir='sql:/elsewhere'"))


def test_every_profile_has_a_number_in_the_record() -> None:
    assert {profile.name for profile in profiles(Driver())} | {"file"} == set(PROFILES)


def test_a_vendors_number_is_a_mechanism() -> None:
    assert as_mechanism(0x2109) is Mechanism.AES_KEY_WRAP
    vendor = as_mechanism(0x80000123)
    assert isinstance(vendor, Mechanism)
    assert int(vendor) == 0x80000123


def associated_data(parameters: GCMParameters) -> bytes:
    return ctypes.string_at(parameters.associated_data, parameters.associated_data_length)


class FakeGCM:
    """C_Encrypt and C_Decrypt of a device with its own idea of who chooses the IV."""

    def __init__(self, mode: IVMode, *, is_lazy: bool = False) -> None:
        self.mode, self.is_lazy, self.key = mode, is_lazy, AESGCM(bytes(32))
        self.ivs: list[bytes] = []

    def encrypt(self, _session: int, mechanism: RawMechanism, _key: int, data: bytes, max_size: int) -> bytes:
        parameters = GCMParameters.from_address(mechanism.parameter)
        given = ctypes.string_at(parameters.iv, parameters.iv_length) if parameters.iv else b""
        if self.mode is IVMode.APPENDED:
            assert given == b""
            iv = os.urandom(16)
        elif self.mode is IVMode.ZERO_WRITEBACK:
            assert given == bytes(12)
            iv = given if self.is_lazy else os.urandom(12)
            ctypes.memmove(parameters.iv, iv, 12)
        else:
            iv = given
        self.ivs.append(iv)
        sealed = self.key.encrypt(
            iv, data, ctypes.string_at(parameters.associated_data, parameters.associated_data_length)
        )
        sealed += iv if self.mode is IVMode.APPENDED else b""
        assert len(sealed) <= max_size
        return sealed[:48] if self.is_lazy and self.mode is IVMode.APPENDED else sealed

    def decrypt(self, _session: int, mechanism: RawMechanism, _key: int, data: bytes, _max_size: int) -> bytes:
        parameters = GCMParameters.from_address(mechanism.parameter)
        iv = ctypes.string_at(parameters.iv, parameters.iv_length)
        return self.key.decrypt(
            iv, data, ctypes.string_at(parameters.associated_data, parameters.associated_data_length)
        )


class FakeSession:
    handle = 1

    def generate_random(self, bits: int) -> bytes:
        return os.urandom(bits // 8)


def gcm_session(device: FakeGCM) -> RootSession:
    anything: Any = FakeSession()
    cryptoki: Any = device
    return RootSession(anything, cryptoki, anything, anything)


@pytest.mark.parametrize("mode", IVMode)
def test_gcm_with_each_kind_of_iv(mode: IVMode) -> None:
    device, profile, key = FakeGCM(mode), GCMProfile(0x1087, mode), bytes(range(32))
    at = gcm_session(device)
    wrapped = [profile.wrap(at, key) for _ in range(4)]
    assert {profile.unwrap(at, one) for one in wrapped} == {key}
    assert len(set(device.ivs)) == 4
    assert {len(one) for one in wrapped} == {64 if mode is IVMode.APPENDED else 60}
    for iv, one in zip(device.ivs, wrapped, strict=True):
        assert (one.endswith if mode is IVMode.APPENDED else one.startswith)(iv)
    for other in (b"", wrapped[0][:-1], wrapped[0] + b"\0"):
        with pytest.raises(UnwrapFailed):
            profile.unwrap(at, other)


@pytest.mark.parametrize(
    ("mode", "names"), [(IVMode.ZERO_WRITEBACK, "IV of zeros"), (IVMode.APPENDED, "appended no IV")]
)
def test_an_iv_that_the_token_did_not_choose_is_never_stored(mode: IVMode, names: str) -> None:
    """It would be the same for every key."""
    with pytest.raises(RootMisconfigured, match=names):
        GCMProfile(0x1087, mode).wrap(gcm_session(FakeGCM(mode, is_lazy=True)), bytes(32))


@pytest.mark.parametrize("profile", profiles(Driver()), ids=lambda profile: profile.name)
def test_plans_keep_keys_inside(profile: Any) -> None:
    for template in profile.plan.templates:
        assert template[Attribute.SENSITIVE] is True
        assert template[Attribute.EXTRACTABLE] is False
