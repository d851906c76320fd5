"""`sealgate init`: make a data directory."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.commands.failures import Failure
from gateway.config import CONFIG_NAME
from gateway.config_reader import format_address, next_port, parse_address
from gateway.first_contents import InitialisationError, Made, Plan, initialise
from gateway.private_files import DEV_ENV
from gateway.storage.errors import StorageError
from iam.store.interface import IdentityStoreError
from kms.api.errors import KMSError
from kms.hsm.interface import RootError
from kms.hsm.provision import find_softhsm
from kms.store.interface import StoreError

FILE_ROOT_WARNING = (
    "WARNING: the root of all keys is a FILE, not a token. Whoever copies the data directory can open everything in "
    "it, for good. Use it for trying out, never for data that matters."
)


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value is None else format_address(*parse_address(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("data", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--root",
    type=click.Choice(["auto", "softhsm", "pkcs11", "file"]),
    default="auto",
    show_default=True,
    help="Where the root keys live: a new SoftHSM2 token in DATA, an existing PKCS#11 token, or a sealed file (for "
    "trying out only). auto takes SoftHSM2 where it is installed, else the file.",
)
@click.option("--pkcs11-uri", default="", help="For --root pkcs11: the token, as RFC 7512 URI with module-path.")
@click.option(
    "--pin-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="For --root pkcs11: a file of mode 0600 with the token's PIN. It is read at each start, and not copied.",
)
@click.option(
    "--driver",
    "driver_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="For --root pkcs11: the token's driver profile, as `sealgate hsm probe --write` makes it. It is copied.",
)
@click.option(
    "--listen", default="127.0.0.1:9000", show_default=True, callback=_address, help="Address of the endpoint."
)
@click.option("--admin", callback=_address, help="Address of health and metrics.  [default: the endpoint's port + 1]")
@click.option(
    "--workers", type=click.IntRange(0, 256), default=0, help="Worker processes.  [default: one for each core]"
)
@click.option("--region", default="us-east-1", show_default=True, help="The AWS region to answer for.")
@click.option(
    "--index",
    default="sqlite",
    show_default=True,
    help="Where the index is: in DATA, or postgresql://USER@HOST:PORT/DATABASE?sslmode=MODE, without a password.",
)
@click.option(
    "--kms-store",
    default="sqlite",
    show_default=True,
    help="Where KMS keys are, wrapped by the root: in DATA, or as --index, for all gateways that share this root.",
)
@click.option("--index-schema", help="For what is on PostgreSQL: its schema, of ours alone.  [default: sealgate]")
@click.option(
    "--index-password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="For what is on PostgreSQL: a file of mode 0600 with the password. It is read at each start, and not copied.",
)
@click.option(
    "--identities",
    type=click.Choice(["sqlite", "postgresql"]),
    help="Where accounts, users and roles are: in DATA, or in the database of the index, for all its gateways.  "
    "[default: with the index]",
)
@click.option("--account-name", default="main", show_default=True, help="Display name of the first account.")
@click.option("--if-needed", is_flag=True, help="Do nothing, and succeed, if DATA is a data directory already.")
def init(
    *,
    data: Path,
    root: str,
    pkcs11_uri: str,
    pin_file: Path | None,
    driver_file: Path | None,
    listen: str,
    admin: str | None,
    workers: int,
    region: str,
    index: str,
    kms_store: str,
    index_schema: str | None,
    index_password_file: Path | None,
    identities: str | None,
    account_name: str,
    if_needed: bool,
) -> None:
    """Make DATA: root keys, key store, one account with an access key, and the configuration.

    Never overwrites: DATA must not exist, or be empty. Everything is private to you (mode 0700), and the access key
    is written to DATA/dev.env (mode 0600) for a shell to read.
    """
    if if_needed and (data / CONFIG_NAME).exists():
        return
    if identities == "postgresql" and index == "sqlite":
        raise click.UsageError("--identities postgresql are where the index is: --index names no database")
    if root == "auto":
        root = "softhsm" if find_softhsm() is not None else "file"
    plan = Plan(
        data_directory=data,
        root=root,
        listen=listen,
        admin=admin or next_port(listen),
        region=region,
        display_name=account_name,
        uri=pkcs11_uri,
        pin_file=pin_file,
        driver_file=driver_file,
        workers=workers,
        index=index,
        kms_store=kms_store,
        index_schema=index_schema,
        index_password_file=index_password_file,
        identities=identities or ("sqlite" if index == "sqlite" else "postgresql"),
    )
    try:
        made = initialise(plan)
    except (
        InitialisationError,
        RootError,
        StoreError,
        StorageError,
        IdentityStoreError,
        KMSError,
        ValueError,
    ) as error:
        raise Failure(f"nothing was made: {error}") from error
    except OSError as error:
        raise Failure(f"nothing was made: {error.filename or data}: {error.strerror}") from error
    _tell(plan, made)


def _tell(plan: Plan, made: Made) -> None:
    if plan.root == "file":
        click.secho(FILE_ROOT_WARNING, fg="red", err=True)
    click.echo(f"{plan.data_directory} is ready: account {made.account_id}, access key {made.access_key_id}.")
    click.echo(f"Its secret is in {plan.data_directory / DEV_ENV}. Next: sealgate serve {plan.data_directory}")
