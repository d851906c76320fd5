"""`sealgate account`: accounts of a data directory, also while it is served.

What they change is in force for every request that comes after, in every worker. An account is never deleted: what it
owns names it for good, and its ids are never another's. It is suspended instead.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from gateway.commands.failures import load_settings
from gateway.commands.identity_store import JSON, PLACE, change, format_time, now_us, opened_store, tell
from iam.credentials import Account, new_account_id, new_canonical_id
from iam.store.sqlite import SQLiteIdentityStore

_ID = click.argument("account_id", metavar="ID")


@click.group()
def account() -> None:
    """Make, list, rename and suspend accounts."""


def _row(each: Account) -> dict[str, str]:
    return {
        "AccountId": each.account_id,
        "CanonicalId": each.canonical_id,
        "Created": format_time(each.created_us),
        "Status": "Active" if each.is_active else "Suspended",
        "Email": each.email or "-",
        "Name": each.display_name,
    }


@account.command("create")
@PLACE
@click.argument("name")
@click.option("--email", metavar="ADDRESS", help="Its e-mail address, which no other account has.")
@click.option("--id", "account_id", metavar="ID", help="Its 12 digits.  [default: random ones]")
@click.option("--canonical-id", metavar="ID", help="Its 64 hex digits, S3's name of it.  [default: random ones]")
@JSON
def create_account(
    *, place: Path, name: str, email: str | None, account_id: str | None, canonical_id: str | None, as_json: bool
) -> None:
    """Make an account called NAME, with nobody in it: `sealgate access-key create` makes its first key."""
    made = Account(account_id or new_account_id(), canonical_id or new_canonical_id(), name, now_us(), email)
    with change(load_settings(place), "CreateAccount", accountId=made.account_id, accountName=name) as store:
        store.create_account(made)
    tell(_row(made), as_json)


@account.command("list")
@PLACE
@JSON
def list_accounts(place: Path, as_json: bool) -> None:
    """List the accounts."""
    with opened_store(load_settings(place)) as store:
        tell([_row(each) for each in store.accounts()], as_json)


@account.command("show")
@PLACE
@_ID
@JSON
def show_account(place: Path, account_id: str, as_json: bool) -> None:
    """Show one account."""
    with opened_store(load_settings(place)) as store:
        tell(_row(store.account(account_id)), as_json)


@account.command("update")
@PLACE
@_ID
@click.option("--name", help="What it is called from now on.")
@click.option("--email", metavar="ADDRESS", help="Its e-mail address from now on.")
def update_account(place: Path, account_id: str, name: str | None, email: str | None) -> None:
    """Change the name or the e-mail address of an account; its ids never change."""
    if name is None and email is None:
        raise click.UsageError("say what to change: --name, --email, or both")
    given = {key: value for key, value in (("accountName", name), ("email", email)) if value is not None}
    with change(load_settings(place), "UpdateAccount", accountId=account_id, **given) as store:
        store.update_account(account_id, display_name=name, email=email)


def _change(name: str, summary: str, act: str, do: Callable[[SQLiteIdentityStore, str], None]) -> None:
    @account.command(name, help=summary)
    @PLACE
    @_ID
    def command(place: Path, account_id: str) -> None:
        with change(load_settings(place), act, accountId=account_id) as store:
            do(store, account_id)


_change(
    "suspend",
    "Refuse every access key of the account, and every request to its buckets. Everything it has is kept.",
    "SuspendAccount",
    lambda store, account_id: store.set_account_active(account_id, False),
)
_change(
    "activate",
    "Make a suspended account what it was before.",
    "ActivateAccount",
    lambda store, account_id: store.set_account_active(account_id, True),
)
