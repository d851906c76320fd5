"""AttestDestruction: what the root signs about keys that are no more, and about no other."""

from __future__ import annotations

import pytest

from iam.principals import Caller, Principal, PrincipalKind, root_principal
from kms.api import types as t
from kms.api.errors import KMSError
from kms.audit.destruction import attestation
from kms.audit.signatures import is_signature, load_public_key
from kms.epoch import MemoryEpoch
from kms.hsm.interface import RootUnavailable
from kms.service import states
from kms.service.core import ServiceSettings
from kms.service.service import EmbeddedKeyService
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import REGION
from tests.kms.roots import MemoryRoot
from tests.kms.service.conftest import Clock

ACCOUNT = "111122223333"
DIGEST = "ab" * 32
CALLER = Caller(root_principal(ACCOUNT), "REQ")


async def refusal(service: EmbeddedKeyService, key_id: str, digest: str = DIGEST, caller: Caller = CALLER) -> str:
    with pytest.raises(KMSError) as caught:
        await service.call(caller, t.AttestDestruction(key_id, digest))
    return caught.value.code


async def destroy(service: EmbeddedKeyService, clock: Clock, key_id: str, caller: Caller = CALLER) -> None:
    await service.call(caller, t.ScheduleKeyDeletion(key_id, 7))
    clock.pass_days(7)
    assert await states.destroy_expired_keys(service._core) == 1


async def test_only_once_the_key_is_destroyed(service: EmbeddedKeyService, clock: Clock) -> None:
    key = await service.call(CALLER, t.CreateKey())
    await service.call(CALLER, t.RotateKeyOnDemand(key.key_id))
    assert await refusal(service, key.key_id) == "KMSInvalidStateException"
    await service.call(CALLER, t.ScheduleKeyDeletion(key.key_id, 7))
    for digest in ("", DIGEST):
        assert await refusal(service, key.key_arn, digest) == "KMSInvalidStateException"
    clock.pass_days(7)  # refused everything by now, and not destroyed yet
    assert await refusal(service, key.key_id) == "KMSInvalidStateException"
    assert await states.destroy_expired_keys(service._core) == 1
    told = await service.call(CALLER, t.AttestDestruction(key.key_id))
    assert told == t.Destruction(key.key_arn, key.created_us, clock(), 2)
    signed = await service.call(CALLER, t.AttestDestruction(key.key_arn, DIGEST))
    message = attestation(key.key_arn, clock(), DIGEST)
    public_key = load_public_key(signed.public_key)
    assert is_signature(signed.signature, message, public_key)
    for other in (attestation(key.key_arn, clock() + 1, DIGEST), attestation(key.key_arn, clock(), "ac" * 32)):
        assert not is_signature(signed.signature, other, public_key)


async def test_for_the_root_user_of_the_keys_account_alone(service: EmbeddedKeyService, clock: Clock) -> None:
    key = await service.call(CALLER, t.CreateKey())
    await destroy(service, clock, key.key_id)
    user = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ann", "AIDAANN")
    stranger = root_principal("444455556666")
    for principal in (user, stranger):
        assert await refusal(service, key.key_arn, caller=Caller(principal, "REQ")) == "AccessDeniedException"
    assert await refusal(service, key.key_id, caller=Caller(stranger, "REQ")) == "NotFoundException"


@pytest.mark.parametrize(
    ("key_id", "digest", "code"),
    [
        ("1234abcd-12ab-34cd-56ef-1234567890ab", DIGEST, "NotFoundException"),
        ("alias/any", DIGEST, "InvalidArnException"),
        ("no key", DIGEST, "NotFoundException"),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", "ab" * 31, "ValidationException"),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", "AB" * 32, "ValidationException"),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", DIGEST + "\n", "ValidationException"),
    ],
)
async def test_what_names_no_destroyed_key(service: EmbeddedKeyService, key_id: str, digest: str, code: str) -> None:
    assert await refusal(service, key_id, digest) == code


async def test_not_while_another_region_has_the_material(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, clock: Clock
) -> None:
    settings = ServiceSettings(REGION, other_regions=("eu-central-1",))
    async with EmbeddedKeyService(store, root, epoch, settings, clock_us=clock) as service:
        abroad = Caller(root_principal(ACCOUNT), "REQ", region="eu-central-1")
        key = await service.call(CALLER, t.CreateKey(multi_region=True))
        replica = (await service.call(CALLER, t.ReplicateKey(key.key_id, "eu-central-1"))).metadata
        await destroy(service, clock, replica.key_id, abroad)
        assert await refusal(service, replica.key_arn, caller=abroad) == "KMSInvalidStateException"
        await destroy(service, clock, key.key_id)
        for caller, arn in ((abroad, replica.key_arn), (CALLER, key.key_arn)):
            assert (await service.call(caller, t.AttestDestruction(arn))).key_arn == arn


async def test_while_the_root_is_away(service: EmbeddedKeyService, root: MemoryRoot, clock: Clock) -> None:
    key = await service.call(CALLER, t.CreateKey())
    await destroy(service, clock, key.key_id)
    root.failure = RootUnavailable("away")
    assert await refusal(service, key.key_id) == "KeyUnavailableException"
