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
from kms.hsm.module import Module, load
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
