"""STS: sessions of users and roles, and what is told of access keys and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.clients.rights.case import Case, Need, Prepared, method_of
from tests.clients.rights.world import World

TAGS = [{"Key": "a", "Value": "b"}]
ROLE_ACTIONS = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]


def _case(operation: str, prepare: Callable[[World], Prepared], variant: str = "") -> Case:
    return Case(service="sts", operation=operation, variant=variant, prepare=prepare)


def _ask(operation: str, **parameters: Any) -> Callable[..., Any]:
    return lambda clients: method_of(clients("sts"), operation)(**parameters)


def _federation(variant: str, *actions: str, **parameters: Any) -> Case:
    def prepare(world: World) -> Prepared:
        arn = f"arn:aws:sts::{world.account_id}:federated-user/guest"
        needs: list[Need] = [(f"sts:{action}", arn) for action in ("GetFederationToken", *actions)]
        return Prepared(ask=_ask("GetFederationToken", Name="guest", **parameters), needs=needs)

    return _case("GetFederationToken", prepare, variant)


def _role(variant: str, *actions: str, **parameters: Any) -> Case:
    """A role that trusts its account, so that the caller's policies decide."""

    def prepare(world: World) -> Prepared:
        name = world.entity("role")
        trusted = {"AWS": f"arn:aws:iam::{world.account_id}:root"}
        statement = {"Effect": "Allow", "Principal": trusted, "Action": ROLE_ACTIONS}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        world.iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)
        arn = world.entity_arn("role", name)
        needs: list[Need] = [(f"sts:{action}", arn) for action in ("AssumeRole", *actions)]
        return Prepared(ask=_ask("AssumeRole", RoleArn=arn, RoleSessionName="session", **parameters), needs=needs)

    return _case("AssumeRole", prepare, variant)


def _access_key_info(world: World) -> Prepared:
    key = world.gateway.credentials["AWS_ACCESS_KEY_ID"]
    return Prepared(ask=_ask("GetAccessKeyInfo", AccessKeyId=key), needs=[("sts:GetAccessKeyInfo", "*")])


def _encoded_message(world: World) -> Prepared:
    return Prepared(
        ask=_ask("DecodeAuthorizationMessage", EncodedMessage="message"),
        needs=[("sts:DecodeAuthorizationMessage", "*")],
        otherwise="InvalidAuthorizationMessageException",
    )


CASES = [
    _role(""),
    _role("tags", "TagSession", Tags=TAGS),
    _role("a source identity", "SetSourceIdentity", SourceIdentity="me"),
    _case("DecodeAuthorizationMessage", _encoded_message),
    _case("GetAccessKeyInfo", _access_key_info),
    _federation(""),
    _federation("tags", "TagSession", Tags=TAGS),
]
