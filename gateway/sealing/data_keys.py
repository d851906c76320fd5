"""Data keys: made for each object version or multipart upload, and opened again (docs/formats/object.md, "Modes")."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gateway.protocol.modes import Mode, Wrap
from gateway.sealing.bucket_keys import BucketKeys
from gateway.sealing.customer_keys import customer_unwrap, customer_wrap
from gateway.sealing.epochs import BROKEN_CIPHERTEXT, EpochKeys
from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.format import KEY_SIZE, lp
from gateway.sealing.kms_context import S3_MANAGED_KEY_ALIAS, acting_on, kms_context
from gateway.sealing.wraps import local_unwrap, local_wrap
from iam.principals import Caller
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService
from kms.api.types import Decrypt, GenerateDataKey, WrapDataKey


class DataKeys:
    """Makes and opens data keys in the modes that are served: SSE-S3 and SSE-C without the KMS, SSE-KMS with one call
    to it, and with a bucket key one now and then."""

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
    ) -> tuple[SecretBytes, Wrap]:
        """A fresh data key and its wrap, for the row `row_uid`.

        `kms_key_id` is what the client or the bucket named (None: the account's alias/aws/s3) and `context` holds the
        client's own pairs; both are for SSE-KMS. The wrap names the key by its full ARN. `customer_key` is for SSE-C.
        Raises KMSError and KMSUnavailable as the KMS gives them, ValueError for a mode that is not served.
        """
        if mode is Mode.SSE_S3:
            data_key = SecretBytes(os.urandom(KEY_SIZE))
            keys = self._service_keys
            aad = _local_aad(account_id, bucket_id, row_uid)
            return data_key, Wrap(mode, local_wrap(keys.current_key, keys.current, data_key, aad))
        if mode is Mode.SSE_KMS:
            request = GenerateDataKey(kms_key_id or S3_MANAGED_KEY_ALIAS, KEY_SIZE, kms_context(context, object_arn))
            made = await self._kms.call(acting_on(object_arn, caller), request)
            by = made.ciphertext
            return made.plaintext, Wrap(mode, by.ciphertext_blob, by.key_arn, by.key_version)
        if mode is Mode.SSE_KMS_BUCKET_KEY:
            data_key = SecretBytes(os.urandom(KEY_SIZE))
            return data_key, await self._bucket_keys.wrap(
                caller,
                data_key,
                kms_key_id=kms_key_id,
                context=context,
                bucket_id=bucket_id,
                row_uid=row_uid,
                object_arn=object_arn,
            )
        if mode is Mode.SSE_C and customer_key is not None:
            data_key = SecretBytes(os.urandom(KEY_SIZE))
            aad = _local_aad(account_id, bucket_id, row_uid)
            return data_key, Wrap(
                mode, customer_wrap(customer_key, data_key, aad, account_id=account_id, bucket_id=bucket_id)
            )
        raise ValueError(f"{mode.name} is not served")

    async def rewrap(
        self,
        caller: Caller,
        data_key: SecretBytes,
        mode: Mode,
        *,
        kms_key_id: str | None,
        context: Mapping[str, str],
        account_id: str,
        bucket_id: bytes,
        row_uid: bytes,
        object_arn: str,
    ) -> Wrap:
        """An existing data key wrapped for another row (a copy that shares blobs); arguments and errors as `create`.

        The caller needs the same permission as for a fresh one, kms:GenerateDataKey. What a customer's key protects
        shares its data key with nothing, so SSE-C is not served here.
        """
        if mode is Mode.SSE_S3:
            keys = self._service_keys
            aad = _local_aad(account_id, bucket_id, row_uid)
            return Wrap(mode, local_wrap(keys.current_key, keys.current, data_key, aad))
        if mode is Mode.SSE_KMS:
            request = WrapDataKey(kms_key_id or S3_MANAGED_KEY_ALIAS, data_key, kms_context(context, object_arn))
            by = await self._kms.call(acting_on(object_arn, caller), request)
            return Wrap(mode, by.ciphertext_blob, by.key_arn, by.key_version)
        if mode is Mode.SSE_KMS_BUCKET_KEY:
            return await self._bucket_keys.wrap(
                caller,
                data_key,
                kms_key_id=kms_key_id,
                context=context,
                bucket_id=bucket_id,
                row_uid=row_uid,
                object_arn=object_arn,
            )
        raise ValueError(f"{mode.name} is not served")

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
    ) -> SecretBytes:
        """The data key inside `wrap`; the other arguments as given to `create`.

        Raises AuthenticationFailed when the wrap, or what it is bound to, was changed; KMSError when the key's state or
        policy refuses, KMSUnavailable; WrongCustomerKey; ValueError for a mode that is not served, or SSE-C without a
        key.
        """
        if wrap.mode is Mode.SSE_KMS:
            return await self._decrypt(acting_on(object_arn, caller), wrap, kms_context(context, object_arn), row_uid)
        if wrap.mode is Mode.SSE_KMS_BUCKET_KEY:
            return await self._bucket_keys.unwrap(
                caller, wrap, context=context, bucket_id=bucket_id, row_uid=row_uid, object_arn=object_arn
            )
        aad = _local_aad(account_id, bucket_id, row_uid)
        try:
            if wrap.mode is Mode.SSE_S3:
                return local_unwrap(self._service_keys.keys, wrap.wrapped, aad)
            if wrap.mode is Mode.SSE_C and customer_key is not None:
                return customer_unwrap(customer_key, wrap.wrapped, aad, account_id=account_id, bucket_id=bucket_id)
        except AuthenticationFailed as error:
            error.row_uid = row_uid
            raise
        raise ValueError(f"{wrap.mode.name} is not served")

    async def _decrypt(self, caller: Caller, wrap: Wrap, context: Mapping[str, str], row_uid: bytes) -> SecretBytes:
        try:
            opened = await self._kms.call(caller, Decrypt(wrap.wrapped, wrap.key_arn, context))
        except KMSError as error:
            if error.code in BROKEN_CIPHERTEXT:
                raise AuthenticationFailed(row_uid=row_uid) from error
            raise
        if len(opened.plaintext) != KEY_SIZE:
            raise AuthenticationFailed(row_uid=row_uid)
        return opened.plaintext


def _local_aad(account_id: str, bucket_id: bytes, row_uid: bytes) -> bytes:
    return lp((account_id.encode(), bucket_id, row_uid))
