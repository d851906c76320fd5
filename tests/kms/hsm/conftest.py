"""Real SoftHSM2 tokens, each test in a directory of its own.

The module is one for the whole process and reads SOFTHSM2_CONF when it is initialised; so each token is made once and
copied, and the module is initialised anew for each test.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kms.api.secrets import SecretBytes
from kms.hsm.description import RootDescription
from kms.hsm.driver import Driver, StrictRoot
from kms.hsm.module import Module, load
from kms.hsm.nss import create_nss_token, find_nss, nss_parameters
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.provision import (
    SOFTHSM_ENVIRONMENT,
    create_softhsm_token,
    find_softhsm,
    provision_root,
    write_softhsm_config,
)
from kms.hsm.uri import TokenURI, parse_uri

PIN = SecretBytes(b"1234-user")
SO_PIN = SecretBytes(b"5678-officer")


def softhsm_or_skip() -> Path:
    module = find_softhsm()
    if module is None:
        pytest.skip("SoftHSM2 is not installed")
    return module


KINDS = ("softhsm", "nss")


def nss_or_skip() -> Path:
    module = find_nss()
    if module is None:
        pytest.skip("NSS softokn (libnss3) is not installed")
    return module


@dataclass(frozen=True)
class AnyToken:
    """A token without root keys. One module serves one of them at a time: `use` before each test."""

    directory: Path
    path: Path
    driver: Driver

    @property
    def uri(self) -> TokenURI:
        return TokenURI(self.path, "sealgate")

    def use(self) -> None:
        if not self.driver.library_parameters:
            os.environ[SOFTHSM_ENVIRONMENT] = str(self.directory / "softhsm2.conf")
        load(self.path).finalize()
        load(self.path, self.driver)


def make_softhsm(directory: Path) -> AnyToken:
    path = softhsm_or_skip()
    create_softhsm_token(directory, "sealgate", SO_PIN, PIN, path)
    return AnyToken(directory, path, Driver())


def make_nss(directory: Path) -> AnyToken:
    path = nss_or_skip()
    load(path).finalize()
    # softokn does not know CKA_UNWRAP_TEMPLATE, so that root-strict holds as far as the PIN's holders are trusted.
    driver = Driver(library_parameters=nss_parameters(directory, "sealgate"), strict_root=StrictRoot.UNENFORCED)
    create_nss_token(directory, "sealgate", PIN, path, driver)
    return AnyToken(directory, path, driver)


@pytest.fixture(scope="session", params=KINDS)
def made_token(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AnyToken:
    directory = tmp_path_factory.mktemp(request.param) / "hsm"
    before = os.environ.get(SOFTHSM_ENVIRONMENT)
    try:
        return make_softhsm(directory) if request.param == "softhsm" else make_nss(directory)
    finally:
        _restore(before)


@pytest.fixture
def any_token(made_token: AnyToken) -> Iterator[AnyToken]:
    before = os.environ.get(SOFTHSM_ENVIRONMENT)
    made_token.use()
    yield made_token
    load(made_token.path).finalize()
    _restore(before)


def _restore(environment: str | None) -> None:
    if environment is None:
        os.environ.pop(SOFTHSM_ENVIRONMENT, None)
    else:
        os.environ[SOFTHSM_ENVIRONMENT] = environment


@dataclass(frozen=True)
class SoftToken:
    """A token with root keys, in `directory`/tokens; moving that directory away is pulling the token."""

    directory: Path
    root: RootDescription

    @property
    def uri(self) -> TokenURI:
        return parse_uri(self.root.uri)

    @property
    def module(self) -> Module:
        return load(self.uri.module_path)

    def open(self, pin: SecretBytes = PIN) -> PKCS11Root:
        return PKCS11Root.open(self.uri, pin, self.root.check_value)

    def pull(self) -> None:
        (self.directory / "tokens").rename(self.directory / "away")

    def put_back(self) -> None:
        (self.directory / "away").rename(self.directory / "tokens")


def make_token(directory: Path, module: Path) -> SoftToken:
    token = create_softhsm_token(directory, "sealgate", SO_PIN, PIN, module)
    return SoftToken(directory, provision_root(TokenURI(module, token.label), PIN))


@pytest.fixture
def softhsm_environment() -> Iterator[Path]:
    """The module's path; afterwards the environment is as before and the module at rest."""
    path, before = softhsm_or_skip(), os.environ.get(SOFTHSM_ENVIRONMENT)
    yield path
    load(path).finalize()
    if before is None:
        os.environ.pop(SOFTHSM_ENVIRONMENT, None)
    else:
        os.environ[SOFTHSM_ENVIRONMENT] = before


@pytest.fixture(scope="session")
def softhsm_template(tmp_path_factory: pytest.TempPathFactory) -> SoftToken:
    return make_token(tmp_path_factory.mktemp("softhsm") / "hsm", softhsm_or_skip())


@pytest.fixture
def token(softhsm_environment: Path, softhsm_template: SoftToken, tmp_path: Path) -> SoftToken:
    directory = tmp_path / "hsm"
    shutil.copytree(softhsm_template.directory, directory)
    os.environ[SOFTHSM_ENVIRONMENT] = str(write_softhsm_config(directory))
    copy = SoftToken(directory, softhsm_template.root)
    copy.module.finalize()
    return copy


@pytest.fixture
def opened(token: SoftToken) -> Iterator[Callable[[], PKCS11Root]]:
    """Opens roots and closes them when the test is over."""
    roots: list[PKCS11Root] = []

    def open_one() -> PKCS11Root:
        roots.append(token.open())
        return roots[-1]

    yield open_one
    for root in roots:
        root.close()
