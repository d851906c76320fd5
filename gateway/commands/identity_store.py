"""What the commands that manage identities share: their options, the store that they work on, and how they tell."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.commands.failures import Failure, quiet_logs
from gateway.config import Settings
from gateway.identities import identities_to_change, identities_without_secrets
from gateway.key_stores import open_keys
from gateway.sealing.errors import SealingError
from gateway.storage.errors import StorageError
from iam.policy.errors import PolicyError
from iam.store.interface import IdentityStoreError
from iam.store.sqlite import SQLiteIdentityStore
from kms.api.errors import KMSError
from kms.hsm.interface import RootError
from kms.store.interface import StoreError
from kms.store.records import new_act

MAX_WAITING_ACTS = 10_000
"""Acts that wait for kmsd, which tells them within seconds while it runs."""

PLACE = click.argument("place", metavar="DATA", type=click.Path(exists=True, path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@contextlib.contextmanager
def opened_store(settings: Settings) -> Iterator[SQLiteIdentityStore]:
    """The store, to be read; what fails inside ends the command with its reason."""
    with told_failures(), identities_without_secrets(settings) as store:
        yield store


@contextlib.contextmanager
def store_to_change(settings: Settings) -> Iterator[SQLiteIdentityStore]:
    """The store, to be changed, which needs the root or a serving gateway; otherwise like `opened_store`."""
    with told_failures(), identities_to_change(settings) as store:
        yield store


@contextlib.contextmanager
def change(settings: Settings, name: str, **details: str) -> Iterator[SQLiteIdentityStore]:
    """`store_to_change` for a change, which the audit trail is told as the act `name` with these details."""
    with store_to_change(settings) as store, told_act(settings, name, **details):
        yield store


@contextlib.contextmanager
def told_act(settings: Settings, name: str, **details: str) -> Iterator[None]:
    """What is done inside is told to the audit trail, by way of the key store; `name` is one of `kms.service.acts`.

    First, so that nothing is changed that the trail will not know of; taken back if it fails. Should kmsd have told it
    meanwhile, a second act says that it failed. Raises StoreError.
    """
    act = new_act(name, now_us(), **details)
    with contextlib.closing(open_keys(settings)) as keys:
        keys.add_acts([act])
        try:
            yield
        except BaseException:
            if any(each.event_id == act.event_id for each in keys.acts(MAX_WAITING_ACTS)):
                keys.remove_acts([act])
            else:
                keys.add_acts([new_act(name, now_us(), **details, outcome="failed")])
            raise


@contextlib.contextmanager
def told_failures() -> Iterator[None]:
    """Raises Failure in place of what the store, the KMS and its root refuse."""
    try:
        with quiet_logs():
            yield
    except PolicyError as error:
        raise Failure(f"this is no policy: {error.message}") from error
    except (IdentityStoreError, StorageError, SealingError, KMSError, RootError, StoreError, ValueError) as error:
        raise Failure(str(error) or type(error).__name__) from error
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}") from error


def now_us() -> int:
    return time.time_ns() // 1000


def format_time(us: int) -> str:
    return datetime.fromtimestamp(us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tell(rows: Sequence[Mapping[str, str]] | Mapping[str, str], as_json: bool) -> None:
    """A row, or some, as JSON or as columns."""
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in [rows] if isinstance(rows, Mapping) else rows:
        click.echo("  ".join(row.values()))
