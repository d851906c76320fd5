"""Whose access key is unknown is looked for once more, when there was something to catch up with."""

from __future__ import annotations

import pytest

from gateway.server.door import Door
from iam.authenticator import Authenticator
from iam.credentials import Credential
from iam.errors import AuthenticationError, Reason
from iam.scope import S3
from tests.iam import test_form, test_sigv4
from tests.iam.checks import ACCESS_KEY_ID, CREDENTIAL, NOW

HEAD, FORM = test_sigv4.GOOD, test_form.FIELDS


class Node:
    """Knows nobody until it has caught up, if it can."""

    def __init__(self, credential: Credential | None) -> None:
        self.caught_up = 0
        self._known: dict[str, Credential] = {}
        self._credential = credential
        self.door = Door(Authenticator("us-east-1", self._known.get), self._catch_up)

    async def _catch_up(self) -> bool:
        self.caught_up += 1
        if self._credential is not None:
            self._known[ACCESS_KEY_ID] = self._credential
        return self._credential is not None


async def test_an_access_key_of_another_node_is_let_in() -> None:
    node = Node(CREDENTIAL)
    for _ in range(2):
        authenticated = await node.door.authenticate(HEAD, S3, now=NOW)
        assert authenticated is not None
        assert authenticated.access_key_id == ACCESS_KEY_ID
    assert node.caught_up == 1
    assert node.door.region == "us-east-1"


async def test_a_form_that_it_signed_too() -> None:
    node = Node(test_form.CREDENTIAL)
    assert await node.door.authenticate_form(FORM, S3, now=NOW) is not None
    assert node.caught_up == 1


async def test_who_is_unknown_to_all_is_refused() -> None:
    node = Node(None)
    for call in (node.door.authenticate(HEAD, S3, now=NOW), node.door.authenticate_form(FORM, S3, now=NOW)):
        with pytest.raises(AuthenticationError) as caught:
            await call
        assert caught.value.reason is Reason.UNKNOWN_ACCESS_KEY
    assert node.caught_up == 2


async def test_other_refusals_are_final() -> None:
    node = Node(CREDENTIAL)
    with pytest.raises(AuthenticationError) as caught:
        await node.door.authenticate(test_sigv4.replaced("SignedHeaders=", "Signed="), S3, now=NOW)
    assert caught.value.reason is Reason.MALFORMED_AUTHORIZATION
    assert node.caught_up == 0
    node.door = Door(Authenticator("eu-1", {ACCESS_KEY_ID: CREDENTIAL}.get))
    with pytest.raises(AuthenticationError):
        await node.door.authenticate(HEAD, S3, now=NOW)
