"""A key service that records what it was asked and answers fixed values."""

from __future__ import annotations

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


class FakeKeyService:
    """`calls` holds what came, as (verb, arguments); `error` is raised by every verb when set."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.error: BaseException | None = None
        self.next_marker: str | None = None

    def _record(self, *call: object) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise self.error

    async def create_key(self, caller: Caller, request: t.CreateKey) -> t.KeyMetadata:
        self._record("create_key", request)
        return metadata()

    async def describe_key(self, caller: Caller, key_id: str) -> t.KeyMetadata:
        self._record("describe_key", key_id)
        return metadata(t.KeyState.PENDING_DELETION, DELETION_US)

    async def list_keys(self, caller: Caller, *, limit: int, marker: str | None) -> t.KeyPage:
        self._record("list_keys", limit, marker)
        return t.KeyPage((t.KeyListEntry(KEY_ID, KEY_ARN),), self.next_marker)

    async def create_alias(self, caller: Caller, name: str, target_key_id: str) -> None:
        self._record("create_alias", name, target_key_id)

    async def update_alias(self, caller: Caller, name: str, target_key_id: str) -> None:
        self._record("update_alias", name, target_key_id)

    async def delete_alias(self, caller: Caller, name: str) -> None:
        self._record("delete_alias", name)

    async def list_aliases(self, caller: Caller, *, key_id: str | None, limit: int, marker: str | None) -> t.AliasPage:
        self._record("list_aliases", key_id, limit, marker)
        aliases = (
            t.Alias("alias/a", ALIAS_ARN, KEY_ID, CREATED_US, CREATED_US + 1_000_000),
            t.Alias("alias/aws/s3", ALIAS_ARN + "ws/s3", None, None, None),
        )
        return t.AliasPage(aliases, self.next_marker)

    async def enable_key(self, caller: Caller, key_id: str) -> None:
        self._record("enable_key", key_id)

    async def disable_key(self, caller: Caller, key_id: str) -> None:
        self._record("disable_key", key_id)

    async def schedule_key_deletion(self, caller: Caller, key_id: str, pending_window_days: int) -> t.KeyMetadata:
        self._record("schedule_key_deletion", key_id, pending_window_days)
        return metadata(t.KeyState.PENDING_DELETION, DELETION_US)

    async def cancel_key_deletion(self, caller: Caller, key_id: str) -> t.KeyMetadata:
        self._record("cancel_key_deletion", key_id)
        return metadata(t.KeyState.DISABLED)

    async def encrypt(self, caller: Caller, request: t.Encrypt) -> t.Ciphertext:
        self._record("encrypt", request)
        return CIPHERTEXT

    async def decrypt(self, caller: Caller, request: t.Decrypt) -> t.Plaintext:
        self._record("decrypt", request)
        return t.Plaintext(SecretBytes(b"plain"), KEY_ARN, 1, MATERIAL)

    async def re_encrypt(self, caller: Caller, request: t.ReEncrypt) -> t.ReEncrypted:
        self._record("re_encrypt", request)
        return t.ReEncrypted(CIPHERTEXT, OTHER_ARN, "cd" * 32)

    async def generate_data_key(self, caller: Caller, request: t.GenerateDataKey) -> t.DataKey:
        self._record("generate_data_key", request)
        return t.DataKey(SecretBytes(bytes(request.number_of_bytes)), CIPHERTEXT)

    async def generate_data_key_without_plaintext(self, caller: Caller, request: t.GenerateDataKey) -> t.Ciphertext:
        self._record("generate_data_key_without_plaintext", request)
        return CIPHERTEXT

    async def generate_random(self, caller: Caller, number_of_bytes: int) -> SecretBytes:
        self._record("generate_random", number_of_bytes)
        return SecretBytes(bytes(number_of_bytes))

    async def health(self) -> t.Health:
        raise KMSError("UnsupportedOperationException", "the face does not ask for it")
