"""`sealgate account`, `user`, `access-key`: identities of a data directory, also while it is served.

What they change is in force for every request that comes after, in every worker.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.commands.failures import Failure, load_settings
from gateway.config import Settings
from gateway.identities import identities_without_secrets, keep_access_key
from gateway.sealing.errors import SealingError
from gateway.storage.errors import StorageError
from iam.credentials import (
    AccessKey,
    Account,
    Credential,
    new_access_key_id,
    new_account_id,
    new_canonical_id,
    new_secret,
)
from iam.policy.errors import PolicyError
from iam.principals import PolicyText, root_principal
from iam.store.interface import IdentityStoreError
from iam.store.sqlite import SQLiteIdentityStore
from iam.users import User, new_user_id
from kms.api.errors import KMSError
from kms.hsm.interface import RootError
from kms.store.interface import StoreError

MAX_DOCUMENT_BYTES = 64 * 1024

_PLACE = click.argument("place", metavar="DATA", type=click.Path(exists=True, path_type=Path))
_ACCOUNT = click.option("--account", metavar="ID", help="The account.  [default: the only one]")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_NAME = click.argument("name")
_POLICY = click.argument("policy_name", metavar="POLICY")
_ACCESS_KEY = click.argument("access_key_id", metavar="ACCESS-KEY-ID")


@click.group()
def account() -> None:
    """Make and list accounts."""


@click.group()
def user() -> None:
    """Make, list and delete users, and their policies."""


@user.group("policy")
def policy() -> None:
    """Put, show, list and delete a user's inline policies."""


@click.group("access-key")
def access_key() -> None:
    """Make, list, disable, enable and delete access keys."""


@contextlib.contextmanager
def _store(settings: Settings) -> Iterator[SQLiteIdentityStore]:
    with _told_failures(), identities_without_secrets(settings) as store:
        yield store


@contextlib.contextmanager
def _told_failures() -> Iterator[None]:
    logging.disable(logging.WARNING)
    try:
        yield
    except PolicyError as error:
        raise Failure(f"this is no policy: {error.message}") from error
    except (IdentityStoreError, StorageError, SealingError, KMSError, RootError, StoreError, ValueError) as error:
        raise Failure(str(error) or type(error).__name__) from error
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}") from error
    finally:
        logging.disable(logging.NOTSET)


def _account_id(store: SQLiteIdentityStore, named: str | None) -> str:
    """Raises Failure where none is named and there are several, IdentityStoreError for one that does not exist."""
    if named is not None:
        return store.account(named).account_id
    ids = [each.account_id for each in store.accounts()]
    if len(ids) != 1:
        raise Failure(f"there are {len(ids)} accounts: name one with --account")
    return ids[0]


def _now_us() -> int:
    return time.time_ns() // 1000


def _time(us: int) -> str:
    return datetime.fromtimestamp(us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _tell(rows: Sequence[Mapping[str, str]] | Mapping[str, str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in [rows] if isinstance(rows, Mapping) else rows:
        click.echo("  ".join(row.values()))


def _account_row(each: Account) -> dict[str, str]:
    return {
        "AccountId": each.account_id,
        "CanonicalId": each.canonical_id,
        "Created": _time(each.created_us),
        "Name": each.display_name,
    }


def _user_row(each: User) -> dict[str, str]:
    return {"UserName": each.name, "UserId": each.user_id, "Created": _time(each.created_us), "Arn": each.arn}


def _key_row(each: AccessKey) -> dict[str, str]:
    return {
        "AccessKeyId": each.access_key_id,
        "Status": "Active" if each.is_active else "Inactive",
        "Created": _time(each.created_us),
        "UserName": each.user_name or "<root_account>",  # as IAM's credential report calls the root user
    }


@account.command("create")
@_PLACE
@click.argument("name")
@_JSON
def create_account(place: Path, name: str, as_json: bool) -> None:
    """Make an account called NAME, with nobody in it: `sealgate access-key create` makes its first key."""
    made = Account(new_account_id(), new_canonical_id(), name, _now_us())
    with _store(load_settings(place)) as store:
        store.create_account(made)
    _tell(_account_row(made), as_json)


@account.command("list")
@_PLACE
@_JSON
def list_accounts(place: Path, as_json: bool) -> None:
    """List the accounts."""
    with _store(load_settings(place)) as store:
        _tell([_account_row(each) for each in store.accounts()], as_json)


@user.command("create")
@_PLACE
@_NAME
@_ACCOUNT
@click.option("--path", default="/", show_default=True, help="The path in its ARN.")
@_JSON
def create_user(*, place: Path, name: str, account: str | None, path: str, as_json: bool) -> None:
    """Make the user NAME, who may do nothing until a policy allows it."""
    with _store(load_settings(place)) as store:
        made = User(new_user_id(), _account_id(store, account), name, path, _now_us())
        store.create_user(made)
    _tell(_user_row(made), as_json)


@user.command("list")
@_PLACE
@_ACCOUNT
@_JSON
def list_users(place: Path, account: str | None, as_json: bool) -> None:
    """List the users of an account."""
    with _store(load_settings(place)) as store:
        _tell([_user_row(each) for each in store.users(_account_id(store, account))], as_json)


@user.command("delete")
@_PLACE
@_NAME
@_ACCOUNT
def delete_user(place: Path, name: str, account: str | None) -> None:
    """Delete the user NAME, who must have no access keys and no policies left."""
    with _store(load_settings(place)) as store:
        store.delete_user(_account_id(store, account), name)


@policy.command("put")
@_PLACE
@_NAME
@_POLICY
@click.argument("document", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@_ACCOUNT
def put_policy(*, place: Path, name: str, policy_name: str, document: Path, account: str | None) -> None:
    """Keep the policy in the file DOCUMENT ("-": standard input) as POLICY of the user NAME."""
    with _store(load_settings(place)) as store:
        text = _read(document)
        store.put_user_policy(_account_id(store, account), name, PolicyText(policy_name, text))


def _read(path: Path) -> str:
    """Bounded. Raises OSError and ValueError."""
    with contextlib.ExitStack() as closing:
        file = sys.stdin.buffer if str(path) == "-" else closing.enter_context(path.open("rb"))
        data = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"a policy document has at most {MAX_DOCUMENT_BYTES} bytes")
    return data.decode("utf-8")


@policy.command("get")
@_PLACE
@_NAME
@_POLICY
@_ACCOUNT
def get_policy(place: Path, name: str, policy_name: str, account: str | None) -> None:
    """Print the document of POLICY as it was given."""
    with _store(load_settings(place)) as store:
        for each in store.user_policies(_account_id(store, account), name):
            if each.name == policy_name:
                click.echo(each.text)
                return
    raise Failure(f"user {name} has no policy {policy_name}")


@policy.command("list")
@_PLACE
@_NAME
@_ACCOUNT
@_JSON
def list_policies(*, place: Path, name: str, account: str | None, as_json: bool) -> None:
    """List the names of the user's inline policies."""
    with _store(load_settings(place)) as store:
        policies = store.user_policies(_account_id(store, account), name)
    _tell([{"PolicyName": each.name} for each in policies], as_json)


@policy.command("delete")
@_PLACE
@_NAME
@_POLICY
@_ACCOUNT
def delete_policy(place: Path, name: str, policy_name: str, account: str | None) -> None:
    """Delete POLICY of the user NAME."""
    with _store(load_settings(place)) as store:
        store.delete_user_policy(_account_id(store, account), name, policy_name)


@access_key.command("create")
@_PLACE
@_ACCOUNT
@click.option("--user", "name", metavar="NAME", help="Whose key.  [default: the account's root user]")
@_JSON
def create_access_key(place: Path, account: str | None, name: str | None, as_json: bool) -> None:
    """Make an access key, and print it with its secret, this once. Needs the root, or a serving gateway."""
    settings = load_settings(place)
    with _store(settings) as store:
        account_id = _account_id(store, account)
        principal = root_principal(account_id) if name is None else store.user(account_id, name).principal
    made = Credential(new_access_key_id(), new_secret(), principal)
    with _told_failures():
        keep_access_key(settings, made, _now_us())
    _tell({"AccessKeyId": made.access_key_id, "SecretAccessKey": made.secret.reveal().decode("ascii")}, as_json)


@access_key.command("list")
@_PLACE
@_ACCOUNT
@_JSON
def list_access_keys(place: Path, account: str | None, as_json: bool) -> None:
    """List the access keys of an account and its users, oldest first."""
    with _store(load_settings(place)) as store:
        _tell([_key_row(each) for each in store.access_keys(_account_id(store, account))], as_json)


def _change(name: str, summary: str, change: Callable[[SQLiteIdentityStore, str], None]) -> None:
    @access_key.command(name, help=summary)
    @_PLACE
    @_ACCESS_KEY
    def command(place: Path, access_key_id: str) -> None:
        with _store(load_settings(place)) as store:
            change(store, access_key_id)


_change("disable", "Refuse an access key.", lambda store, key: store.set_access_key_active(key, False))
_change("enable", "Accept a disabled access key again.", lambda store, key: store.set_access_key_active(key, True))
_change("delete", "Delete an access key.", lambda store, key: store.delete_access_key(key))
