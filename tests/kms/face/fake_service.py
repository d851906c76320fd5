"""A key service that records what it was asked and answers fixed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from iam.policy.decisions import Decided
from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes

KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
KEY_ARN = f"arn:aws:kms:us-east-1:123456789012:key/{KEY_ID}"
OTHER_ARN = "arn:aws:kms:us-east-1:123456789012:key/ffffffff-12ab-34cd-56ef-1234567890ab"
MATERIAL = "ab" * 32
ALIAS_ARN = "arn:aws:kms:us-east-1:123456789012:alias/a"
CREATED_US = 1_700_000_000_123_456
DELETION_US = 1_702_592_000_999_999
ALIASES = (
    t.Alias("alias/a", ALIAS_ARN, KEY_ID, CREATED_US, CREATED_US + 1_000_000),
    t.Alias("alias/aws/s3", ALIAS_ARN + "ws/s3", None, None, None),
)
USER_ARN = "arn:aws:iam::123456789012:user/u"
GRANT = t.Grant(
    grant_id="ab" * 32,
    key_arn=KEY_ARN,
    grantee_principal=USER_ARN,
    retiring_principal=USER_ARN,
    issuing_account_id="123456789012",
    name="g",
    operations=("Decrypt",),
    constraints=t.GrantConstraints(
        encryption_context_equals={"a": "b"}, source_arn="arn:aws:logs:us-east-1:123456789012:log-group:g"
    ),
    created_us=CREATED_US,
)
CIPHERTEXT = t.Ciphertext(b"\x00blob\xff", KEY_ARN, 1, MATERIAL)


def metadata(state: t.KeyState = t.KeyState.ENABLED, deletion_us: int | None = None) -> t.KeyMetadata:
    return t.KeyMetadata(
        account_id="123456789012",
        region="us-east-1",
        key_id=KEY_ID,
        key_arn=KEY_ARN,
        created_us=CREATED_US,
        state=state,
        description="a key",
        manager=t.KeyManager.CUSTOMER,
        deletion_us=deletion_us,
        key_material_id=MATERIAL,
    )


ANSWERS: Mapping[type[t.Request[Any]], object] = {
    t.CancelKeyDeletion: metadata(t.KeyState.DISABLED),
    t.CreateAlias: None,
    t.CreateKey: metadata(),
    t.Decrypt: t.Plaintext(SecretBytes(b"plain"), KEY_ARN, 1, MATERIAL),
    t.DeleteAlias: None,
    t.DeriveSharedSecret: t.SharedSecret(SecretBytes(b"secret"), metadata()),
    t.GenerateDataKeyPair: t.DataKeyPair(SecretBytes(b"private"), b"public", CIPHERTEXT),
    t.GenerateDataKeyPairWithoutPlaintext: t.SealedDataKeyPair(b"public", CIPHERTEXT),
    t.GenerateMac: t.Mac(b"mac", KEY_ARN),
    t.GetPublicKey: t.PublicKey(replace(metadata(), key_spec="RSA_2048"), b"public"),
    t.Sign: t.Signature(b"signature", KEY_ARN),
    t.Verify: KEY_ARN,
    t.VerifyMac: KEY_ARN,
    t.DescribeKey: metadata(t.KeyState.PENDING_DELETION, DELETION_US),
    t.DisableKey: None,
    t.DisableKeyRotation: None,
    t.EnableKeyRotation: None,
    t.DeleteImportedKeyMaterial: t.ImportedMaterial(KEY_ARN, None),
    t.GetParametersForImport: t.ImportParameters(KEY_ARN, b"token", b"public", DELETION_US),
    t.ImportKeyMaterial: t.ImportedMaterial(KEY_ARN, MATERIAL),
    t.GetKeyLastUsage: t.KeyLastUsage(KEY_ID, CREATED_US, CREATED_US, "Decrypt", DELETION_US, "R"),
    t.GetKeyRotationStatus: t.RotationStatus(KEY_ARN, 100, DELETION_US),
    t.ListKeyRotations: t.MaterialPage(
        (
            t.KeyMaterial(KEY_ID, MATERIAL, "NON_CURRENT"),
            t.KeyMaterial(KEY_ID, MATERIAL, "CURRENT", DELETION_US, "ON_DEMAND", True, DELETION_US, "mine"),
        ),
        None,
    ),
    t.ListResourceTags: t.TagPage((t.Tag("a", "b"),), "next"),
    t.ReplicateKey: t.Replica(
        replace(metadata(), multi_region=True, primary_region="eu-west-1", replica_regions=("us-east-1",)),
        "{}",
        (t.Tag("a", "b"),),
    ),
    t.RotateKeyOnDemand: KEY_ARN,
    t.TagResource: None,
    t.UntagResource: None,
    t.UpdateKeyDescription: None,
    t.UpdatePrimaryRegion: None,
    t.EnableKey: None,
    t.Encrypt: CIPHERTEXT,
    t.GenerateDataKeyWithoutPlaintext: CIPHERTEXT,
    t.ReEncrypt: t.ReEncrypted(CIPHERTEXT, OTHER_ARN, "cd" * 32),
    t.ScheduleKeyDeletion: metadata(t.KeyState.PENDING_DELETION, DELETION_US),
    t.UpdateAlias: None,
    t.CreateGrant: t.NewGrant("ab" * 32, "token"),
    t.ListGrants: t.GrantPage((GRANT,), "next"),
    t.ListRetirableGrants: t.GrantPage((GRANT,), None),
    t.RetireGrant: None,
    t.RevokeGrant: None,
    t.GetKeyPolicy: t.KeyPolicy("{}", "default"),
    t.PutKeyPolicy: None,
    t.ListKeyPolicies: t.PolicyNames(("default",)),
}
"""What each request is answered, apart from those whose answer depends on the request."""


class FakeKeyService:
    """`calls` holds the requests that came; `error` is raised by every call when set."""

    def __init__(self) -> None:
        self.calls: list[t.Request[Any]] = []
        self.error: BaseException | None = None
        self.next_marker: str | None = None

    async def call(self, caller: Caller, request: t.Request[Any], decisions: list[Decided] | None = None) -> Any:
        self.calls.append(request)
        if self.error is not None:
            raise self.error
        match request:
            case t.ListKeys():
                return t.KeyPage((t.KeyListEntry(KEY_ID, KEY_ARN),), self.next_marker)
            case t.ListAliases():
                return t.AliasPage(ALIASES, self.next_marker)
            case t.GenerateDataKey(_, number_of_bytes):
                return t.DataKey(SecretBytes(bytes(number_of_bytes)), CIPHERTEXT)
            case t.GenerateRandom(number_of_bytes):
                return SecretBytes(bytes(number_of_bytes))
        return ANSWERS[type(request)]

    async def health(self) -> t.Health:
        raise KMSError("UnsupportedOperationException", "the face does not ask for it")
