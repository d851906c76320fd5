"""Whether rows of identities must have seals: the key service says so, from the first time on."""

from __future__ import annotations

import hmac

import pytest

from gateway.identity_seals import IDENTITY_SEALS, must_have_seals, require_identity_seals
from gateway.sealing.epochs import EpochKeys
from gateway.service_keys import identity_row_key
from iam.principals import Caller, root_principal, service_caller
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.types import SERVICE_KEY_ALIAS, DescribeKey, TagResource, UntagResource
from tests.gateway.gateway_in_process import InProcessGateway


async def test_older_rows_are_sealed_once(gateway: InProcessGateway) -> None:
    sealed = []

    async def fail() -> None:
        raise OSError("killed")

    async def seal() -> None:
        sealed.append(await must_have_seals(gateway.kms, request_id="test"))

    with pytest.raises(OSError, match="killed"):
        await require_identity_seals(gateway.kms, fail, request_id="test")
    for _ in range(2):
        await require_identity_seals(gateway.kms, seal, request_id="test")
    assert sealed == [False]  # it is noted only once it was done
    assert await must_have_seals(gateway.kms, request_id="test")


async def test_the_tag_cannot_be_taken_away(gateway: InProcessGateway) -> None:
    key_id = (await gateway.kms.call(service_caller("test"), DescribeKey(SERVICE_KEY_ALIAS))).key_id
    somebody = Caller(root_principal("111122223333"), "test")
    for caller, request in (
        (service_caller("test"), UntagResource(key_id, (IDENTITY_SEALS.key,))),
        (somebody, UntagResource(key_id, (IDENTITY_SEALS.key,))),
        (somebody, TagResource(key_id, (IDENTITY_SEALS,))),
    ):
        with pytest.raises(KMSError):
            await gateway.kms.call(caller, request)


def test_the_key_of_seals_stays_whatever_epochs_come() -> None:
    first, second = SecretBytes(bytes(32)), SecretBytes(bytes(range(32)))
    key = identity_row_key(EpochKeys({1: first}, 1))
    assert identity_row_key(EpochKeys({1: first, 2: second}, 2)) == key
    # HKDF-SHA256 (RFC 5869) by hand: one block each of extract and expand.
    extracted = hmac.digest(bytes(32), bytes(32), "sha256")
    assert key.reveal() == hmac.digest(extracted, b"sealgate/v1/identity-row-key\x01", "sha256")
