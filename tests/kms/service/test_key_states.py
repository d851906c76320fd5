"""Every operation that takes a key, asked of a real service with a key in every state that a key can be brought into.

What it answers is AWS's table ("Key states of AWS KMS keys"), as copied out for the test of the table alone; here it is
proven that each operation asks the table, and that one which refuses changes nothing. States are reached by calls of
the API; Creating, Updating and Unavailable, which no call leads to here, are in the test of the table.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.types import KeyState
from kms.epoch import MemoryEpoch
from kms.keys.state import OUTCOMES, Operation
from kms.service.service import EmbeddedKeyService
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import account_caller, encrypt
from tests.kms.keys.test_state import ARN, EXPECTED, FOOTNOTES
from tests.kms.roots import MemoryRoot
from tests.kms.service.conftest import SETTINGS, Clock
from tests.kms.service.material import prepared, put

pytestmark = pytest.mark.usefixtures("one_wrapping_key")

OTHER_REGION = "eu-central-1"
MESSAGE = SecretBytes(b"message")
PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())
PEER = PRIVATE_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
PKCS8 = PRIVATE_KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
async def service(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, clock: Clock
) -> AsyncIterator[EmbeddedKeyService]:
    settings = replace(SETTINGS, other_regions=(OTHER_REGION,))
    async with EmbeddedKeyService(store, root, epoch, settings, clock_us=clock) as service:
        yield service


@pytest.fixture
def caller() -> Caller:
    return account_caller()


@dataclass(frozen=True)
class Scene:
    """A service, and a key that is enabled yet: its id is what requests name."""

    service: EmbeddedKeyService
    caller: Caller
    key: t.KeyMetadata

    async def call(self, request: t.Request[Any]) -> Any:
        return await self.service.call(self.caller, request)

    async def blob(self, key_id: str) -> bytes:
        blob: bytes = (await self.call(encrypt(key_id))).ciphertext_blob
        return blob

    async def other_key(self) -> str:
        return str((await self.call(t.CreateKey())).key_id)

    async def alias(self, key_id: str) -> str:
        await self.call(t.CreateAlias("alias/a", key_id))
        return "alias/a"

    async def grant(self) -> t.NewGrant:
        made: t.NewGrant = await self.call(grant_on(self.key.key_id))
        return made

    @property
    def material(self) -> bytes:
        """What is imported into the key if it takes imports."""
        return PKCS8 if self.key.key_spec.startswith("ECC") else b"m" * 32


def grant_on(key_id: str) -> t.CreateGrant:
    return t.CreateGrant(key_id, "arn:aws:iam::111122223333:role/r", ("DescribeKey",))


MakeRequest = Callable[[Scene], Awaitable[t.Request[Any]]]


def on_key(request: Callable[[str], t.Request[Any]]) -> MakeRequest:
    async def make(scene: Scene) -> t.Request[Any]:
        return request(scene.key.key_id)

    return make


async def decrypt(scene: Scene) -> t.Request[Any]:
    return t.Decrypt(await scene.blob(scene.key.key_id))


async def re_encrypt_from(scene: Scene) -> t.Request[Any]:
    return t.ReEncrypt(await scene.blob(scene.key.key_id), await scene.other_key())


async def re_encrypt_to(scene: Scene) -> t.Request[Any]:
    return t.ReEncrypt(await scene.blob(await scene.other_key()), scene.key.key_id)


async def verify(scene: Scene) -> t.Request[Any]:
    key_id = scene.key.key_id
    signature = (await scene.call(t.Sign(key_id, MESSAGE, "ECDSA_SHA_256"))).signature
    return t.Verify(key_id, MESSAGE, signature, "ECDSA_SHA_256")


async def verify_mac(scene: Scene) -> t.Request[Any]:
    mac = (await scene.call(t.GenerateMac(scene.key.key_id, MESSAGE, "HMAC_SHA_256"))).mac
    return t.VerifyMac(scene.key.key_id, MESSAGE, mac, "HMAC_SHA_256")


async def update_alias(scene: Scene) -> t.Request[Any]:
    return t.UpdateAlias(await scene.alias(await scene.other_key()), scene.key.key_id)


async def delete_alias(scene: Scene) -> t.Request[Any]:
    return t.DeleteAlias(await scene.alias(scene.key.key_id))


async def put_key_policy(scene: Scene) -> t.Request[Any]:
    return t.PutKeyPolicy(scene.key.key_id, (await scene.call(t.GetKeyPolicy(scene.key.key_id))).policy)


async def retire_grant(scene: Scene) -> t.Request[Any]:
    return t.RetireGrant((await scene.grant()).grant_token)


async def revoke_grant(scene: Scene) -> t.Request[Any]:
    return t.RevokeGrant(scene.key.key_id, (await scene.grant()).grant_id)


async def rotate_key_on_demand(scene: Scene) -> t.Request[Any]:
    if scene.key.origin == "EXTERNAL":
        await put(scene.service, scene.caller, scene.key.key_id, b"n" * 32, import_type="NEW_KEY_MATERIAL")
    return t.RotateKeyOnDemand(scene.key.key_id)


async def import_key_material(scene: Scene) -> t.Request[Any]:
    if scene.key.origin == "EXTERNAL":
        return await prepared(scene.service, scene.caller, scene.key.key_id, scene.material)
    return t.ImportKeyMaterial(scene.key.key_id, b"token", b"material", t.DOES_NOT_EXPIRE)


REQUESTS: dict[Operation, MakeRequest] = {
    Operation.CANCEL_KEY_DELETION: on_key(t.CancelKeyDeletion),
    Operation.CREATE_ALIAS: on_key(lambda key: t.CreateAlias("alias/new", key)),
    Operation.CREATE_GRANT: on_key(grant_on),
    Operation.DECRYPT: decrypt,
    Operation.DELETE_ALIAS: delete_alias,
    Operation.DELETE_IMPORTED_KEY_MATERIAL: on_key(t.DeleteImportedKeyMaterial),
    Operation.DERIVE_SHARED_SECRET: on_key(lambda key: t.DeriveSharedSecret(key, "ECDH", PEER)),
    Operation.DESCRIBE_KEY: on_key(t.DescribeKey),
    Operation.DISABLE_KEY: on_key(t.DisableKey),
    Operation.DISABLE_KEY_ROTATION: on_key(t.DisableKeyRotation),
    Operation.ENABLE_KEY: on_key(t.EnableKey),
    Operation.ENABLE_KEY_ROTATION: on_key(t.EnableKeyRotation),
    Operation.ENCRYPT: on_key(encrypt),
    Operation.GENERATE_DATA_KEY: on_key(lambda key: t.GenerateDataKey(key, 32)),
    Operation.GENERATE_DATA_KEY_PAIR: on_key(lambda key: t.GenerateDataKeyPair(key, "ECC_NIST_P256")),
    Operation.GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT: on_key(
        lambda key: t.GenerateDataKeyPairWithoutPlaintext(key, "ECC_NIST_P256")
    ),
    Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT: on_key(lambda key: t.GenerateDataKeyWithoutPlaintext(key, 32)),
    Operation.GENERATE_MAC: on_key(lambda key: t.GenerateMac(key, MESSAGE, "HMAC_SHA_256")),
    Operation.GET_KEY_LAST_USAGE: on_key(t.GetKeyLastUsage),
    Operation.GET_KEY_POLICY: on_key(t.GetKeyPolicy),
    Operation.GET_KEY_ROTATION_STATUS: on_key(t.GetKeyRotationStatus),
    Operation.GET_PARAMETERS_FOR_IMPORT: on_key(
        lambda key: t.GetParametersForImport(key, "RSAES_OAEP_SHA_256", "RSA_2048")
    ),
    Operation.GET_PUBLIC_KEY: on_key(t.GetPublicKey),
    Operation.IMPORT_KEY_MATERIAL: import_key_material,
    Operation.LIST_ALIASES: on_key(t.ListAliases),
    Operation.LIST_GRANTS: on_key(t.ListGrants),
    Operation.LIST_KEY_POLICIES: on_key(t.ListKeyPolicies),
    Operation.LIST_KEY_ROTATIONS: on_key(t.ListKeyRotations),
    Operation.LIST_RESOURCE_TAGS: on_key(t.ListResourceTags),
    Operation.PUT_KEY_POLICY: put_key_policy,
    Operation.RE_ENCRYPT_FROM: re_encrypt_from,
    Operation.RE_ENCRYPT_TO: re_encrypt_to,
    Operation.REPLICATE_KEY: on_key(lambda key: t.ReplicateKey(key, OTHER_REGION)),
    Operation.RETIRE_GRANT: retire_grant,
    Operation.REVOKE_GRANT: revoke_grant,
    Operation.ROTATE_KEY_ON_DEMAND: rotate_key_on_demand,
    Operation.SCHEDULE_KEY_DELETION: on_key(lambda key: t.ScheduleKeyDeletion(key, 7)),
    Operation.SIGN: on_key(lambda key: t.Sign(key, MESSAGE, "ECDSA_SHA_256")),
    Operation.TAG_RESOURCE: on_key(lambda key: t.TagResource(key, (t.Tag("a", "b"),))),
    Operation.UNTAG_RESOURCE: on_key(lambda key: t.UntagResource(key, ("a",))),
    Operation.UPDATE_ALIAS: update_alias,
    Operation.UPDATE_KEY_DESCRIPTION: on_key(lambda key: t.UpdateKeyDescription(key, "d")),
    Operation.UPDATE_PRIMARY_REGION: on_key(lambda key: t.UpdatePrimaryRegion(key, OTHER_REGION)),
    Operation.VERIFY: verify,
    Operation.VERIFY_MAC: verify_mac,
}
"""Made while the key is enabled: what an operation needs of its key (a ciphertext, a grant) is made before."""

SIGNING = t.CreateKey(key_spec="ECC_NIST_P256", key_usage="SIGN_VERIFY")
MAC = t.CreateKey(key_spec="HMAC_256", key_usage="GENERATE_VERIFY_MAC")
MULTI_REGION = t.CreateKey(multi_region=True)
KINDS: dict[Operation, t.CreateKey] = {
    **dict.fromkeys((Operation.SIGN, Operation.VERIFY, Operation.GET_PUBLIC_KEY), SIGNING),
    **dict.fromkeys((Operation.GENERATE_MAC, Operation.VERIFY_MAC), MAC),
    **dict.fromkeys((Operation.REPLICATE_KEY, Operation.UPDATE_PRIMARY_REGION), MULTI_REGION),
    Operation.DERIVE_SHARED_SECRET: t.CreateKey(key_spec="ECC_NIST_P256", key_usage="KEY_AGREEMENT"),
}
"""Of keys for operations that symmetric keys do not serve."""

IMPORTS = {
    Operation.GET_PARAMETERS_FOR_IMPORT,
    Operation.IMPORT_KEY_MATERIAL,
    Operation.DELETE_IMPORTED_KEY_MATERIAL,
}
ROTATES_BY_ITSELF = {Operation.ENABLE_KEY_ROTATION, Operation.DISABLE_KEY_ROTATION}

# What leads a key that is enabled into each state.
REACH: dict[KeyState, Callable[[str], list[t.Request[Any]]]] = {
    KeyState.ENABLED: lambda key: [],
    KeyState.DISABLED: lambda key: [t.DisableKey(key)],
    KeyState.PENDING_DELETION: lambda key: [t.ScheduleKeyDeletion(key, 7)],
    KeyState.PENDING_REPLICA_DELETION: lambda key: [t.ScheduleKeyDeletion(key, 7)],
    KeyState.PENDING_IMPORT: lambda key: [t.DeleteImportedKeyMaterial(key)],
}
ORIGINS = {"AWS_KMS": set(REACH) - {KeyState.PENDING_IMPORT}, "EXTERNAL": set(REACH)}


def expected(operation: Operation, key: t.KeyMetadata, state: KeyState) -> tuple[str, str] | None:
    """AWS's refusal, footnotes 7 and 9 of the table included; None for an operation that is done."""
    by_origin = ROTATES_BY_ITSELF if key.origin == "EXTERNAL" else IMPORTS
    if operation in by_origin:
        ending = f"origin is {key.origin} which is not valid for this operation."
        return "UnsupportedOperationException", f"{key.key_arn} {ending}"
    cell = EXPECTED[operation, state]
    if cell == ".":
        return None
    code, message = FOOTNOTES[cell]
    return code, message.replace(ARN, key.key_arn)


async def outcome(scene: Scene, request: t.Request[Any]) -> tuple[str, str] | None:
    try:
        await scene.call(request)
    except KMSError as error:
        return error.code, error.message
    return None


async def enabled_key(
    service: EmbeddedKeyService, caller: Caller, operation: Operation, origin: str, state: KeyState
) -> Scene:
    """A key of the kind that the operation needs, with a replica where the state or the operation asks for one."""
    kind = replace(KINDS.get(operation, t.CreateKey()), origin=origin)
    waits_for_replicas = state is KeyState.PENDING_REPLICA_DELETION
    if waits_for_replicas:
        kind = replace(kind, multi_region=True)
    scene = Scene(service, caller, await service.call(caller, kind))
    key_id = scene.key.key_id
    if origin == "EXTERNAL":
        await put(service, caller, key_id, scene.material)
    moves = operation is Operation.UPDATE_PRIMARY_REGION and state is not KeyState.PENDING_DELETION
    if waits_for_replicas or moves:
        await scene.call(t.ReplicateKey(key_id, OTHER_REGION))
    return scene


def test_every_operation_on_a_key_is_asked() -> None:
    assert set(REQUESTS) == set(OUTCOMES)


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("operation", REQUESTS, ids=str)
async def test_an_operation_in_every_state(
    service: EmbeddedKeyService, caller: Caller, operation: Operation, origin: str
) -> None:
    for state in ORIGINS[origin]:
        caller = account_caller()
        scene = await enabled_key(service, caller, operation, origin, state)
        key_id = scene.key.key_id
        request = await REQUESTS[operation](scene)
        for step in REACH[state](key_id):
            await scene.call(step)
        assert (await scene.call(t.DescribeKey(key_id))).state is state
        wanted = expected(operation, scene.key, state)
        assert await outcome(scene, request) == wanted, state
        if wanted is not None:
            assert (await scene.call(t.DescribeKey(key_id))).state is state
