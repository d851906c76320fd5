"""IAM and STS over a store in a file, asked as a client asks, each answer held against botocore's model of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session
from botocore.model import ListShape, OperationModel, Shape, StructureShape
from botocore.serialize import create_serializer

from iam.credentials import Account
from iam.face.query import find_operation
from iam.face.service import IdentityService
from iam.key_uses import AccessKeyUses
from iam.principals import Caller, IdentityPolicies, Principal, root_principal
from iam.store import SQLiteIdentityStore
from tests.iam.store.test_sqlite import AESGCMSecretSealer

ACCOUNT = Account("123456789012", "a" * 64, "owner", 1_500_000_000_000_000)
OTHER_ACCOUNT = Account("210987654321", "b" * 64, "other", 2)

_MODELS = {name: botocore.session.get_session().get_service_model(name) for name in ("iam", "sts")}
_UNNAMED = {"UserName", "Path"}
"""Members that the model calls required and the root user does not have."""


class Client:
    """One caller. Parameters are written as botocore writes them; answers come back as the service made them."""

    def __init__(self, service: IdentityService, store: SQLiteIdentityStore, uses: AccessKeyUses) -> None:
        self.store = store
        self.uses = uses
        self._service = service
        self.principal: Principal = root_principal(ACCOUNT.account_id)
        self.policies = IdentityPolicies()

    def sign_in(self, name: str) -> None:
        """Be this user from here on, with the policies that it has now."""
        user = self.store.user(ACCOUNT.account_id, name)
        self.principal = user.principal
        self.policies = IdentityPolicies(tuple(self.store.user_policies(ACCOUNT.account_id, name)))

    def sign_in_as_root(self, account: Account = ACCOUNT) -> None:
        self.principal, self.policies = root_principal(account.account_id), IdentityPolicies()

    def ask(self, operation: str, **parameters: Any) -> Any:
        """Raises IAMError."""
        service = "sts" if operation == "GetCallerIdentity" else "iam"
        model = _MODELS[service].operation_model(operation)
        serialized = create_serializer("query").serialize_to_request(parameters, model)
        body = {name: str(value) for name, value in serialized["body"].items()}
        caller = Caller(self.principal, "request-id", "127.0.0.1", policies=self.policies)
        answer = asyncio.run(self._service.call(caller, find_operation(body), body))
        _check_answer(answer, model)
        return answer


def _check_answer(answer: Any, model: OperationModel) -> None:
    if model.output_shape is None:
        assert answer is None
    else:
        _check(answer, model.output_shape)


def _check(value: Any, shape: Shape) -> None:
    """Every member is one that the model knows, and those that it wants are there."""
    if isinstance(shape, StructureShape):
        assert set(value) <= set(shape.members), shape.name
        assert set(shape.required_members) - _UNNAMED <= set(value), shape.name
        for name, member in value.items():
            _check(member, shape.members[name])
    elif isinstance(shape, ListShape):
        assert isinstance(value, list)
        for each in value:
            _check(each, shape.member)
    else:
        kind = {"boolean": bool, "integer": int}.get(shape.type_name, str)
        assert type(value) is kind, shape.name


@contextmanager
def identity_client(directory: Path) -> Iterator[Client]:
    def open_store() -> SQLiteIdentityStore:
        return SQLiteIdentityStore(directory / "identities.sqlite", AESGCMSecretSealer(bytes(32)))

    store = open_store()
    store.create_account(ACCOUNT)
    store.create_account(OTHER_ACCOUNT)
    uses = AccessKeyUses()
    service = IdentityService(open_store, uses)
    yield Client(service, store, uses)
    asyncio.run(service.close())
    store.close()
