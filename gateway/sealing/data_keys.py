"""Data keys: made for each object version or multipart upload, and opened again (docs/formats/object.md, "Modes")."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gateway.protocol.modes import Mode, Wrap
from gateway.sealing.body_key import BodyKey
from gateway.sealing.bucket_keys import BucketKeys
from gateway.sealing.customer_keys import customer_unwrap, customer_wrap
from gateway.sealing.epochs import BROKEN_CIPHERTEXT, EpochKeys
from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.format import KEY_SIZE, lp
from gateway.sealing.kms_context import S3_MANAGED_KEY_ALIAS, acting_on, kms_context
from gateway.sealing.wraps import join_kms_wrap, local_unwrap, local_wrap, split_kms_wrap
from iam.principals import Caller
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService
from kms.api.types import Decrypt, GenerateDataKey, WrapDataKey


class DataKeys:
    """Makes and opens data keys in every mode: SSE-S3 and SSE-C without the KMS, SSE-KMS and DSSE-KMS with one call to
    it, and with a bucket key one now and then."""

    def __init__(self, kms: KeyService, service_keys: EpochKeys, bucket_keys: BucketKeys) -> None:
        self._kms = kms
        self._service_keys = service_keys
        self._bucket_keys = bucket_keys

    async def create(
        self,
        caller: Caller,
        mode: Mode,
        *,
        kms_key_id: str | None,
        context: Mapping[str, str],
        account_id: str,
        bucket_id: bytes,
        row_uid: bytes,
        object_arn: str,
        customer_key: SecretBytes | None = None,
    ) -> tuple[BodyKey, Wrap]:
        """A fresh data key and its wrap, for the row `row_uid`.

        `kms_key_id` is what the client or the bucket named (None: the account's alias/aws/s3) and `context` holds the
        client's own pairs; both are for the modes of the KMS. The wrap names the key by its full ARN. `customer_key` is
        for SSE-C. Raises KMSError and KMSUnavailable as the KMS gives them, ValueError for SSE-C without a key.
        """
        if mode in {Mode.SSE_KMS, Mode.DSSE_KMS}:
            request = GenerateDataKey(kms_key_id or S3_MANAGED_KEY_ALIAS, KEY_SIZE, kms_context(context, object_arn))
            made = await self._kms.call(acting_on(object_arn, caller), request)
            by = made.ciphertext
            if mode is Mode.SSE_KMS:
                return BodyKey(made.plaintext), Wrap(mode, by.ciphertext_blob, by.key_arn, by.key_version)
            second = SecretBytes(os.urandom(KEY_SIZE))
            wrapped = self._two_wraps(by.ciphertext_blob, second, account_id, bucket_id, row_uid)
            return BodyKey(made.plaintext, second), Wrap(mode, wrapped, by.key_arn, by.key_version)
        data_key = SecretBytes(os.urandom(KEY_SIZE))
        if mode is Mode.SSE_C:
            if customer_key is None:
                raise ValueError("SSE-C needs the customer's key")
            aad = _local_aad(account_id, bucket_id, row_uid)
            wrapped = customer_wrap(customer_key, data_key, aad, account_id=account_id, bucket_id=bucket_id)
            return BodyKey(data_key), Wrap(mode, wrapped)
        return BodyKey(data_key), await self.rewrap(
            caller,
            BodyKey(data_key),
            mode,
            kms_key_id=kms_key_id,
            context=context,
            account_id=account_id,
            bucket_id=bucket_id,
            row_uid=row_uid,
            object_arn=object_arn,
        )

    async def rewrap(
        self,
        caller: Caller,
        data_key: BodyKey,
        mode: Mode,
        *,
        kms_key_id: str | None,
        context: Mapping[str, str],
        account_id: str,
        bucket_id: bytes,
        row_uid: bytes,
        object_arn: str,
    ) -> Wrap:
        """An existing data key wrapped for another row or name, or by another key; arguments and errors as `create`.

        The caller needs the same permission as for a fresh one, kms:GenerateDataKey. Raises ValueError for SSE-C, since
        what a customer's key protects shares its data key with nothing, and where the number of layers would change.
        """
        if mode is Mode.SSE_C or (mode is Mode.DSSE_KMS) != (data_key.second is not None):
            raise ValueError(f"no data key can be wrapped anew for {mode.name}")
        if mode is Mode.SSE_S3:
            aad = _local_aad(account_id, bucket_id, row_uid)
            return Wrap(mode, self._local_wrap(data_key.first, aad))
        if mode is Mode.SSE_KMS_BUCKET_KEY:
            return await self._bucket_keys.wrap(
                caller,
                data_key.first,
                kms_key_id=kms_key_id,
                context=context,
                bucket_id=bucket_id,
                row_uid=row_uid,
                object_arn=object_arn,
            )
        request = WrapDataKey(kms_key_id or S3_MANAGED_KEY_ALIAS, data_key.first, kms_context(context, object_arn))
        by = await self._kms.call(acting_on(object_arn, caller), request)
        wrapped = by.ciphertext_blob
        if data_key.second is not None:
            wrapped = self._two_wraps(wrapped, data_key.second, account_id, bucket_id, row_uid)
        return Wrap(mode, wrapped, by.key_arn, by.key_version)

    async def open(
        self,
        caller: Caller,
        wrap: Wrap,
        *,
        context: Mapping[str, str],
        account_id: str,
        bucket_id: bytes,
        row_uid: bytes,
        object_arn: str,
        customer_key: SecretBytes | None = None,
    ) -> BodyKey:
        """The data key inside `wrap`; the other arguments as given to `create`.

        Raises AuthenticationFailed when the wrap, or what it is bound to, was changed; KMSError when the key's state or
        policy refuses, KMSUnavailable; WrongCustomerKey; ValueError for SSE-C without a key.
        """
        if wrap.mode is Mode.SSE_KMS_BUCKET_KEY:
            return BodyKey(
                await self._bucket_keys.unwrap(
                    caller, wrap, context=context, bucket_id=bucket_id, row_uid=row_uid, object_arn=object_arn
                )
            )
        aad = _local_aad(account_id, bucket_id, row_uid)
        try:
            if wrap.mode is Mode.SSE_S3:
                return BodyKey(local_unwrap(self._service_keys.keys, wrap.wrapped, aad))
            if wrap.mode is Mode.SSE_C:
                if customer_key is None:
                    raise ValueError("SSE-C needs the customer's key")
                secret = customer_unwrap(customer_key, wrap.wrapped, aad, account_id=account_id, bucket_id=bucket_id)
                return BodyKey(secret)
            blob, second = wrap.wrapped, None
            if wrap.mode is Mode.DSSE_KMS:
                blob, local = split_kms_wrap(wrap.wrapped)
                second = local_unwrap(self._service_keys.keys, local, _second_aad(account_id, bucket_id, row_uid))
            context = kms_context(context, object_arn)
            return BodyKey(await self._decrypt(acting_on(object_arn, caller), blob, wrap.key_arn, context), second)
        except AuthenticationFailed as error:
            error.row_uid = row_uid
            raise

    async def _decrypt(
        self, caller: Caller, blob: bytes, key_arn: str | None, context: Mapping[str, str]
    ) -> SecretBytes:
        try:
            opened = await self._kms.call(caller, Decrypt(blob, key_arn, context))
        except KMSError as error:
            if error.code in BROKEN_CIPHERTEXT:
                raise AuthenticationFailed from error
            raise
        if len(opened.plaintext) != KEY_SIZE:
            raise AuthenticationFailed
        return opened.plaintext

    def _two_wraps(self, blob: bytes, second: SecretBytes, account_id: str, bucket_id: bytes, row_uid: bytes) -> bytes:
        return join_kms_wrap(blob, self._local_wrap(second, _second_aad(account_id, bucket_id, row_uid)))

    def _local_wrap(self, data_key: SecretBytes, aad: bytes) -> bytes:
        keys = self._service_keys
        return local_wrap(keys.current_key, keys.current, data_key, aad)


def _local_aad(account_id: str, bucket_id: bytes, row_uid: bytes) -> bytes:
    return lp((account_id.encode(), bucket_id, row_uid))


def _second_aad(account_id: str, bucket_id: bytes, row_uid: bytes) -> bytes:
    """Of the second layer's key: what opens it must open nothing in the place of a first one."""
    return lp((account_id.encode(), bucket_id, row_uid, b"\1"))
