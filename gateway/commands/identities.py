"""`sealgate user`, `access-key`: identities of a data directory, also while it is served.

What they change is in force for every request that comes after, in every worker. To change anything takes the root, or
a serving gateway, whose key process opens what seals rows and secrets.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import click

from gateway.commands.failures import Failure, load_settings
from gateway.commands.identity_store import (
    JSON,
    PLACE,
    change,
    format_time,
    now_us,
    opened_store,
    store_to_change,
    tell,
    told_act,
)
from iam.credentials import AccessKey, AccessKeyUse, Credential, new_access_key_id, new_secret
from iam.entities import EntityKind, User, new_entity_id
from iam.principals import PolicyText, root_principal
from iam.store.sqlite import SQLiteIdentityStore

MAX_DOCUMENT_BYTES = 64 * 1024

ACCOUNT = click.option("--account", metavar="ID", help="The account.  [default: the only one]")
_NAME = click.argument("name")
_POLICY = click.argument("policy_name", metavar="POLICY")
_ACCESS_KEY = click.argument("access_key_id", metavar="ACCESS-KEY-ID")


@click.group()
def user() -> None:
    """Make, list and delete users, and their policies."""


@user.group("policy")
def policy() -> None:
    """Put, show, list and delete a user's inline policies."""


@click.group("access-key")
def access_key() -> None:
    """Make, list, disable, enable and delete access keys."""


def account_id(store: SQLiteIdentityStore, named: str | None) -> str:
    """The account that is named, or the only one.

    Raises Failure where none is named and there are several, IdentityStoreError for one that does not exist.
    """
    if named is not None:
        return store.account(named).account_id
    ids = [each.account_id for each in store.accounts()]
    if len(ids) != 1:
        raise Failure(f"there are {len(ids)} accounts: name one with --account")
    return ids[0]


def _user_row(each: User) -> dict[str, str]:
    return {"UserName": each.name, "UserId": each.user_id, "Created": format_time(each.created_us), "Arn": each.arn}


def _key_row(each: AccessKey, use: AccessKeyUse | None) -> dict[str, str]:
    return {
        "AccessKeyId": each.access_key_id,
        "Status": "Active" if each.is_active else "Inactive",
        "Created": format_time(each.created_us),
        "LastUsed": "-" if use is None else format_time(use.used_us),
        "LastUsedFor": "-" if use is None else use.service,
        "UserName": each.user_name or "<root_account>",  # as IAM's credential report calls the root user
    }


@user.command("create")
@PLACE
@_NAME
@ACCOUNT
@click.option("--path", default="/", show_default=True, help="The path in its ARN.")
@JSON
def create_user(*, place: Path, name: str, account: str | None, path: str, as_json: bool) -> None:
    """Make the user NAME, who may do nothing until a policy allows it."""
    settings = load_settings(place)
    with store_to_change(settings) as store:
        made = User(new_entity_id(EntityKind.USER), account_id(store, account), name, path, now_us())
        with told_act(settings, "CreateUser", userArn=made.arn):
            store.create_user(made)
    tell(_user_row(made), as_json)


@user.command("list")
@PLACE
@ACCOUNT
@JSON
def list_users(place: Path, account: str | None, as_json: bool) -> None:
    """List the users of an account."""
    with opened_store(load_settings(place)) as store:
        tell([_user_row(each) for each in store.users(account_id(store, account))], as_json)


@user.command("delete")
@PLACE
@_NAME
@ACCOUNT
def delete_user(place: Path, name: str, account: str | None) -> None:
    """Delete the user NAME, who must have no access keys and no policies left."""
    settings = load_settings(place)
    with store_to_change(settings) as store:
        user = store.user(account_id(store, account), name)
        with told_act(settings, "DeleteUser", userArn=user.arn):
            store.delete_entity(user)


@policy.command("put")
@PLACE
@_NAME
@_POLICY
@click.argument("document", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@ACCOUNT
def put_policy(*, place: Path, name: str, policy_name: str, document: Path, account: str | None) -> None:
    """Keep the policy in the file DOCUMENT ("-": standard input) as POLICY of the user NAME."""
    settings = load_settings(place)
    with store_to_change(settings) as store:
        text = _read(document)
        user = store.user(account_id(store, account), name)
        digest = hashlib.sha256(text.encode()).hexdigest()
        with told_act(settings, "PutUserPolicy", userArn=user.arn, policyName=policy_name, policySha256=digest):
            store.put_inline_policy(user, PolicyText(policy_name, text))


def _read(path: Path) -> str:
    """Bounded. Raises OSError and ValueError."""
    with contextlib.ExitStack() as closing:
        file = sys.stdin.buffer if str(path) == "-" else closing.enter_context(path.open("rb"))
        data = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"a policy document has at most {MAX_DOCUMENT_BYTES} bytes")
    return data.decode("utf-8")


@policy.command("get")
@PLACE
@_NAME
@_POLICY
@ACCOUNT
def get_policy(place: Path, name: str, policy_name: str, account: str | None) -> None:
    """Print the document of POLICY as it was given."""
    with opened_store(load_settings(place)) as store:
        for each in store.inline_policies(store.user(account_id(store, account), name)):
            if each.name == policy_name:
                click.echo(each.text)
                return
    raise Failure(f"user {name} has no policy {policy_name}")


@policy.command("list")
@PLACE
@_NAME
@ACCOUNT
@JSON
def list_policies(*, place: Path, name: str, account: str | None, as_json: bool) -> None:
    """List the names of the user's inline policies."""
    with opened_store(load_settings(place)) as store:
        policies = store.inline_policies(store.user(account_id(store, account), name))
    tell([{"PolicyName": each.name} for each in policies], as_json)


@policy.command("delete")
@PLACE
@_NAME
@_POLICY
@ACCOUNT
def delete_policy(place: Path, name: str, policy_name: str, account: str | None) -> None:
    """Delete POLICY of the user NAME."""
    settings = load_settings(place)
    with store_to_change(settings) as store:
        user = store.user(account_id(store, account), name)
        with told_act(settings, "DeleteUserPolicy", userArn=user.arn, policyName=policy_name):
            store.delete_inline_policy(user, policy_name)


@access_key.command("create")
@PLACE
@ACCOUNT
@click.option("--user", "name", metavar="NAME", help="Whose key.  [default: the account's root user]")
@JSON
def create_access_key(place: Path, account: str | None, name: str | None, as_json: bool) -> None:
    """Make an access key, and print it with its secret, this once."""
    settings = load_settings(place)
    with store_to_change(settings) as store:
        owner = account_id(store, account)
        principal = root_principal(owner) if name is None else store.user(owner, name).principal
        made = Credential(new_access_key_id(), new_secret(), principal)
        named = {"principal": principal.arn, "accessKeyId": made.access_key_id}
        with told_act(settings, "CreateAccessKey", **named):
            store.create_access_key(made, now_us())
    tell({"AccessKeyId": made.access_key_id, "SecretAccessKey": made.secret.reveal().decode("ascii")}, as_json)


@access_key.command("list")
@PLACE
@ACCOUNT
@JSON
def list_access_keys(place: Path, account: str | None, as_json: bool) -> None:
    """List the access keys of an account and its users, oldest first.

    A serving gateway writes down once a minute which were used.
    """
    with opened_store(load_settings(place)) as store:
        keys = store.access_keys(account_id(store, account))
        tell([_key_row(each, store.access_key_use(each.access_key_id)) for each in keys], as_json)


def _change(name: str, summary: str, act: str, do: Callable[[SQLiteIdentityStore, str], None]) -> None:
    @access_key.command(name, help=summary)
    @PLACE
    @_ACCESS_KEY
    def command(place: Path, access_key_id: str) -> None:
        with change(load_settings(place), act, accessKeyId=access_key_id) as store:
            do(store, access_key_id)


_change(
    "disable", "Refuse an access key.", "DisableAccessKey", lambda store, key: store.set_access_key_active(key, False)
)
_change(
    "enable",
    "Accept a disabled access key again.",
    "EnableAccessKey",
    lambda store, key: store.set_access_key_active(key, True),
)
_change("delete", "Delete an access key.", "DeleteAccessKey", lambda store, key: store.delete_access_key(key))
