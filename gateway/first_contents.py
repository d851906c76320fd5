"""The first contents of a data directory: layout, root, key store, service keys, one account, configuration.

Everything is made in a sibling of the data directory, which is renamed at the end: there is never half a one. (Root
keys made in a token that existed before are the exception: they stay there if a later step fails, and the error says
so.) Blocks; runs before any process of the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.config import CONFIG_NAME, Settings, format_settings, load
from gateway.identities import opened_identities
from gateway.identity_seals import require_identity_seals
from gateway.index_notes import NoteKeeper
from gateway.index_stores import open_index
from gateway.key_stores import open_keys
from gateway.private_files import DEV_ENV, format_dev_env, sync_directory, write_private
from gateway.sealing.epochs import INDEX_KEY, SERVICE_KEY
from gateway.service_keys import IndexKeySecretSealer, open_service_keys
from gateway.storage.index.interface import KeyEpochIndex
from iam.credentials import Account, Credential, new_access_key_id, new_account_id, new_canonical_id, new_secret
from iam.principals import root_principal
from iam.store.sqlite import SQLiteIdentityStore
from kms.api.secrets import SecretBytes
from kms.epoch import SharedEpoch
from kms.hsm.description import RootDescription
from kms.hsm.driver import DEFAULT, Wrapping, format_driver, read_driver
from kms.hsm.file_root import FileRoot
from kms.hsm.interface import Root
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.provision import create_softhsm_token, find_softhsm, provision_root, write_softhsm_config
from kms.hsm.tokens import read_pin
from kms.hsm.uri import TokenURI, parse_uri
from kms.service.core import ServiceSettings
from kms.service.initialise import initialise_key_store
from kms.service.service import EmbeddedKeyService

TOKEN_LABEL = "sealgate"  # noqa: S105  # the label of a token, not a secret
DRIVER_NAME = "driver.toml"
_PRIVATE_DIRECTORIES = ("index", "iam", "kms", "run", "store")


class InitialisationError(Exception):
    """Nothing was made, and the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to make. `root` is "softhsm" (a new token of ours), "pkcs11" (`uri` and `pin_file` name one) or "file"."""

    data_directory: Path
    root: str
    listen: str
    admin: str
    region: str
    display_name: str
    uri: str = ""
    pin_file: Path | None = None
    driver_file: Path | None = None
    workers: int = 0
    index: str = "sqlite"
    kms_store: str = "sqlite"
    index_schema: str | None = None
    index_password_file: Path | None = None
    identities: str = "sqlite"


@dataclass(frozen=True, slots=True)
class Made:
    """What the operator is told. `secret_access_key` is shown once, and stands in DATA/dev.env."""

    account_id: str
    access_key_id: str
    secret_access_key: SecretBytes


def initialise(plan: Plan) -> Made:
    """Make the data directory. Raises InitialisationError, RootError, StoreError, StorageUnavailable, OSError."""
    target = plan.data_directory.absolute()
    _refuse_contents(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name(f".{target.name}.init-{secrets.token_hex(4)}")
    staging.mkdir(mode=0o700)
    try:
        made = _fill(plan, staging)
        if target.exists():
            target.rmdir()
        staging.rename(target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    if plan.root == "softhsm":
        write_softhsm_config(target / "softhsm")
    sync_directory(target.parent)
    return made


def _refuse_contents(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InitialisationError(f"{target} exists and is not empty; nothing is ever overwritten")


def _fill(plan: Plan, staging: Path) -> Made:
    for name in _PRIVATE_DIRECTORIES:
        (staging / name).mkdir(mode=0o700)
    values, description, root = _make_root(plan, staging)
    try:
        write_private(staging / CONFIG_NAME, _config(plan, values))
        settings = load(staging / CONFIG_NAME, {})
        initialise_key_store(
            settings.keys_path,
            root,
            region=settings.region,
            check_value=description.check_value,
            database=settings.key_database,
        )
        return asyncio.run(_make_account(plan, settings, root))
    finally:
        root.close()


def _make_root(plan: Plan, staging: Path) -> tuple[dict[str, object], RootDescription, Root]:
    """The root's settings, its description, and the root itself, open."""
    if plan.root == "pkcs11":
        return _root_in_token(plan, staging)
    pin = SecretBytes(secrets.token_urlsafe(24).encode("ascii"))
    write_private(staging / "pin", pin.reveal().decode("ascii") + "\n")
    if plan.root == "file":
        path = staging / "kms" / "root"
        description = FileRoot.create(path, passphrase=pin)
        return {"root": "file"}, description, FileRoot.open(path, passphrase=pin)
    module = find_softhsm()
    if module is None:
        raise InitialisationError("SoftHSM2 is not installed: install it, or choose --root file (for trying out only)")
    # Nobody needs the security officer's PIN again: with it gone, the user's PIN cannot be reset by reading a file.
    officer_pin = SecretBytes(secrets.token_urlsafe(24).encode("ascii"))
    token = create_softhsm_token(staging / "softhsm", TOKEN_LABEL, officer_pin, pin, module)
    description = provision_root(TokenURI(module, token.label, token.serial), pin)
    root = PKCS11Root.open(parse_uri(description.uri), pin, description.check_value)
    return {"root": "pkcs11", "uri": description.uri, "softhsm_conf": "softhsm/softhsm2.conf"}, description, root


def _root_in_token(plan: Plan, staging: Path) -> tuple[dict[str, object], RootDescription, Root]:
    """Make a root in an existing token, and pin how it wraps in a driver profile of the data directory's own."""
    if plan.pin_file is None or not plan.uri:
        raise InitialisationError("a root in an existing token needs --pkcs11-uri and --pin-file")
    pin = read_pin(plan.pin_file)
    driver = DEFAULT if plan.driver_file is None else read_driver(plan.driver_file)
    description = provision_root(parse_uri(plan.uri), pin, driver)
    driver = replace(driver, wrapping=Wrapping(description.profile))
    write_private(staging / DRIVER_NAME, format_driver(driver))
    root = PKCS11Root.open(parse_uri(description.uri), pin, description.check_value, driver=driver)
    values: dict[str, object] = {
        "root": "pkcs11",
        "uri": description.uri,
        "pin_file": plan.pin_file.absolute(),
        "driver_file": DRIVER_NAME,
    }
    return values, description, root


def _config(plan: Plan, kms: dict[str, object]) -> str:
    heading = "# Written by sealgate init. conf/sealgate.example.toml lists every setting.\n\n"
    listen: dict[str, object] = {"address": plan.listen, "workers": plan.workers or None}
    settings: dict[str, dict[str, object]] = {
        "": {"region": plan.region},
        "listen": listen,
        "admin": {"address": plan.admin},
        "kms": kms,
    }
    if plan.kms_store != "sqlite":
        kms["store"] = plan.kms_store
    if plan.index != "sqlite":
        settings["storage"] = {"index": plan.index, "identities": plan.identities}
    if {plan.index, plan.kms_store} != {"sqlite"}:
        password_file = plan.index_password_file and plan.index_password_file.absolute()
        settings["database"] = {"schema": plan.index_schema, "password_file": password_file}
    return heading + format_settings(settings)


async def _make_account(plan: Plan, settings: Settings, root: Root) -> Made:
    account = Account(new_account_id(), new_canonical_id(), plan.display_name, time.time_ns() // 1000)
    credential = Credential(new_access_key_id(), new_secret(), root_principal(account.account_id))
    async with _identities(settings, root) as identities:
        identities.create_account(account)
        identities.create_access_key(credential, account.created_us)
    secret = SecretBytes(credential.secret.reveal())
    write_private(
        settings.data_directory / DEV_ENV,
        format_dev_env(f"http://{plan.listen}", credential.access_key_id, secret.reveal().decode("ascii"), plan.region),
    )
    return Made(account.account_id, credential.access_key_id, secret)


@contextlib.asynccontextmanager
async def _identities(settings: Settings, root: Root) -> AsyncIterator[SQLiteIdentityStore]:
    """The identity store, sealed under the service's keys, which the KMS in this process makes."""
    epoch = SharedEpoch.open_writer(settings.epoch_path)
    store = open_keys(settings)
    index = await open_index(settings)
    try:
        await _refuse_keys(index, settings)
        async with EmbeddedKeyService(store, root, epoch, ServiceSettings(region=settings.region)) as service:
            keys = await open_service_keys(service, index, request_id="init", make=True)
            await NoteKeeper(settings.notes_path, index).keep()
            await require_identity_seals(service, _no_older_rows, request_id="init")
            with opened_identities(settings, IndexKeySecretSealer(keys.rows, keys.identities)) as identities:
                yield identities
    finally:
        await index.close()
        store.close()
        epoch.close()


async def _no_older_rows() -> None:
    """A new data directory has none."""


async def _refuse_keys(index: KeyEpochIndex, settings: Settings) -> None:
    """An index that is not in the data directory may belong to another one, whose root wrapped its keys."""
    if await index.key_epochs(INDEX_KEY) or await index.key_epochs(SERVICE_KEY):
        raise InitialisationError(
            f"the schema {settings.database.schema} of the database is that of another data directory: name another one"
        )
