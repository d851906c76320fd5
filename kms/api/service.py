"""`KeyService`: the KMS verbs and nothing else.

Answered in process by `kms.service`, over kmsd's socket by `kms.client`, and by fakes in tests; all pass the same
conformance suite. Every method authorises `caller` first, then checks the key's state, then acts; a change of state
is durable and effective for every later call, of every worker, before the method returns.

All methods raise `kms.api.errors.KMSError` with AWS's code, and `kms.api.errors.KMSUnavailable` when the HSM or the
key process cannot be reached (retry after the seconds it names). Nothing else. Every call has a deadline.
"""

from __future__ import annotations

from typing import Protocol

from iam.principals import Caller
from kms.api import types as t
from kms.api.secrets import SecretBytes


class KeyService(Protocol):
    async def create_key(self, caller: Caller, request: t.CreateKey) -> t.KeyMetadata:
        """Make a key and its first version; not idempotent."""
        ...

    async def describe_key(self, caller: Caller, key_id: str) -> t.KeyMetadata: ...

    async def list_keys(self, caller: Caller, *, limit: int, marker: str | None) -> t.KeyPage:
        """Keys of the caller's account in order of creation."""
        ...

    async def create_alias(self, caller: Caller, name: str, target_key_id: str) -> None: ...

    async def update_alias(self, caller: Caller, name: str, target_key_id: str) -> None: ...

    async def delete_alias(self, caller: Caller, name: str) -> None: ...

    async def list_aliases(
        self, caller: Caller, *, key_id: str | None, limit: int, marker: str | None
    ) -> t.AliasPage: ...

    async def enable_key(self, caller: Caller, key_id: str) -> None: ...

    async def disable_key(self, caller: Caller, key_id: str) -> None: ...

    async def schedule_key_deletion(self, caller: Caller, key_id: str, pending_window_days: int) -> t.KeyMetadata: ...

    async def cancel_key_deletion(self, caller: Caller, key_id: str) -> t.KeyMetadata: ...

    async def encrypt(self, caller: Caller, request: t.Encrypt) -> t.Ciphertext: ...

    async def decrypt(self, caller: Caller, request: t.Decrypt) -> t.Plaintext: ...

    async def re_encrypt(self, caller: Caller, request: t.ReEncrypt) -> t.ReEncrypted: ...

    async def generate_data_key(self, caller: Caller, request: t.GenerateDataKey) -> t.DataKey:
        """A fresh data key under `request.key_id`.

        `alias/aws/s3` with `caller.via_service` set creates the account's AWS-managed key at its first use.
        """
        ...

    async def generate_data_key_without_plaintext(self, caller: Caller, request: t.GenerateDataKey) -> t.Ciphertext: ...

    async def generate_random(self, caller: Caller, number_of_bytes: int) -> SecretBytes: ...

    async def health(self) -> t.Health:
        """State of the root and the key store; answers within a second, also while the HSM hangs."""
        ...
