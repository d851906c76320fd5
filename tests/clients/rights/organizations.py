"""Organizations, asked by a user of the management account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.clients.rights.case import Case, Prepared, method_of, told
from tests.clients.rights.world import World

CASES: list[Case] = []


def _add(operation: str, prepare: Callable[[World], Prepared]) -> None:
    CASES.append(Case(service="organizations", operation=operation, prepare=prepare))


def _client(world: World) -> Any:
    return world.gateway.client("organizations")


def _email(world: World) -> dict[str, Any]:
    name = world.name("account")
    return {"AccountName": name, "Email": f"{name[-20:]}@example.com"}


def _account(world: World) -> str:
    return str(_client(world).create_account(**_email(world))["CreateAccountStatus"]["AccountId"])


def on_account(operation: str, member: str, *, changes: bool = False) -> None:
    def prepare(world: World) -> Prepared:
        account_id, organizations = _account(world), _client(world)
        arn = organizations.describe_account(AccountId=account_id)["Account"]["Arn"]
        return Prepared(
            ask=lambda clients: method_of(clients("organizations"), operation)(**{member: account_id}),
            needs=[(f"organizations:{operation}", arn)],
            observe=(lambda: told(organizations.describe_account, AccountId=account_id)) if changes else None,
        )

    _add(operation, prepare)


def on_all(
    operation: str, before: Callable[[World], Mapping[str, Any]] = lambda world: {}, *, changes: bool = False
) -> None:
    def prepare(world: World) -> Prepared:
        given, organizations = before(world), _client(world)
        return Prepared(
            ask=lambda clients: method_of(clients("organizations"), operation)(**given),
            needs=[(f"organizations:{operation}", "*")],
            observe=(lambda: _account_ids(organizations)) if changes else None,
        )

    _add(operation, prepare)


def _account_ids(organizations: Any) -> list[str]:
    pages = organizations.get_paginator("list_accounts").paginate()
    return sorted(each["Id"] for page in pages for each in page["Accounts"])


def _request(world: World) -> dict[str, Any]:
    return {"CreateAccountRequestId": _client(world).create_account(**_email(world))["CreateAccountStatus"]["Id"]}


on_all("CreateAccount", _email, changes=True)
on_all("DescribeCreateAccountStatus", _request)
on_all("DescribeOrganization")
on_all("ListAccounts")
on_all("ListRoots")
on_account("CloseAccount", "AccountId", changes=True)
on_account("DescribeAccount", "AccountId")
on_account("ListParents", "ChildId")
on_account("ListTagsForResource", "ResourceId")
