"""IAM and STS over a store in a file, asked as a client asks, each answer held against botocore's model of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.serialize import create_serializer

from iam.credentials import Account, Credential, new_access_key_id, new_secret
from iam.face.errors import IAMError
from iam.face.models.sts import STS
from iam.face.query import find_operation
from iam.face.service import IdentityService
from iam.key_uses import AccessKeyUses
from iam.principals import Caller, IdentityPolicies, PolicyText, Principal, Session, root_principal
from iam.session_tokens import SessionTokens
from iam.store import SQLiteIdentityStore
from iam.web_identity import KeySource
from tests.iam.store.test_sqlite import AESGCMSecretSealer

ACCOUNT = Account("123456789012", "a" * 64, "owner", 1_500_000_000_000_000)
OTHER_ACCOUNT = Account("210987654321", "b" * 64, "other", 2)
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}'

_MODELS = {name: botocore.session.get_session().get_service_model(name) for name in ("iam", "sts")}
_UNNAMED = {"UserName", "Path"}
"""Members that the model calls required and the root user does not have."""


class Client:
    """One caller. Parameters are written as botocore writes them; answers come back as the service made them."""

    def __init__(
        self, service: IdentityService, store: SQLiteIdentityStore, uses: AccessKeyUses, tokens: SessionTokens
    ) -> None:
        self.store = store
        self.uses = uses
        self.tokens = tokens
        self._service = service
        self.principal: Principal = root_principal(ACCOUNT.account_id)
        self.policies = IdentityPolicies()
        self.session: Session | None = None

    def set_policy(self, text: str) -> None:
        """Have this one policy from here on."""
        self.policies = IdentityPolicies((PolicyText("p", text),))

    def sign_in(self, name: str) -> None:
        """Be this user from here on, with the policies that it has now."""
        user = self.store.user(ACCOUNT.account_id, name)
        made = Credential(new_access_key_id(), new_secret(), user.principal)
        self.store.create_access_key(made, 1)
        found = self.store.find_credential(made.access_key_id)
        assert found is not None
        self.principal, self.policies = found.principal, found.policies
        self.store.delete_access_key(made.access_key_id)

    def sign_in_as_root(self, account: Account = ACCOUNT) -> None:
        self.principal, self.policies = root_principal(account.account_id), IdentityPolicies()

    def ask(self, operation: str, **parameters: Any) -> Any:
        """Raises IAMError."""
        service = "sts" if operation in STS.operations else "iam"
        model = _MODELS[service].operation_model(operation)
        serialized = create_serializer("query", include_validation=False).serialize_to_request(parameters, model)
        body = {name: str(value) for name, value in serialized["body"].items()}
        caller = Caller(self.principal, "request-id", "127.0.0.1", policies=self.policies, session=self.session)
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
    elif isinstance(shape, MapShape):
        assert isinstance(value, tuple)
        for key, each in value:
            _check(key, shape.key)
            _check(each, shape.value)
    else:
        kind = {"boolean": bool, "integer": int}.get(shape.type_name, str)
        assert type(value) is kind, shape.name


@contextmanager
def identity_client(directory: Path, provider_keys: KeySource | None = None) -> Iterator[Client]:
    def open_store() -> SQLiteIdentityStore:
        return SQLiteIdentityStore(directory / "identities.sqlite", AESGCMSecretSealer(bytes(32)))

    store = open_store()
    store.create_account(ACCOUNT)
    store.create_account(OTHER_ACCOUNT)
    uses = AccessKeyUses()
    tokens = SessionTokens(AESGCMSecretSealer(bytes(32)))
    service = IdentityService(open_store, uses, tokens, provider_keys=provider_keys)
    yield Client(service, store, uses, tokens)
    asyncio.run(service.close())
    store.close()


def refusal(call: Callable[..., Any], *arguments: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(IAMError) as caught:
        call(*arguments, **parameters)
    return caught.value.code, caught.value.message


def allow(client: Client, name: str, *actions: str, on: str = "*", **condition: Any) -> None:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": on}
    if condition:
        statement["Condition"] = condition
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client.store.put_inline_policy(client.store.user(ACCOUNT.account_id, name), PolicyText("allowed", text))
    client.sign_in(name)
