"""Keys, ids and blobs for the tests of sealing, and fakes of what sealing asks others for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from gateway.protocol.modes import BlobKind, Mode, Wrap
from gateway.sealing.bucket_keys import BucketKey, BucketKeyLimits, BucketKeys
from gateway.sealing.footer import Envelope
from gateway.sealing.format import SegmentSpan
from gateway.sealing.ids import new_id
from gateway.sealing.stream import BlobOpener, BlobSealer
from iam.policy.decisions import Decided
from iam.principals import Caller, root_principal, service_caller
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService
from kms.api.types import (
    Ciphertext,
    DataKey,
    Decrypt,
    GenerateDataKey,
    Plaintext,
    RecordCall,
    Request,
    UnwrapDataKey,
    WrapDataKey,
)

SMALL = 1 << 14
"""The smallest legal segment."""
ACCOUNT = "123456789012"
CALLER = Caller(root_principal(ACCOUNT), "REQUEST", via_service="s3.us-east-1.amazonaws.com")


def key() -> SecretBytes:
    return SecretBytes(os.urandom(32))


def body(length: int, label: str = "") -> bytes:
    return hashlib.shake_128(f"body {label}".encode()).digest(length)


def envelope(**changes: object) -> Envelope:
    fields: dict[str, object] = {
        "account_id": ACCOUNT,
        "bucket_id": bytes(16),
        "row_uid": bytes(range(16)),
        "kind": BlobKind.OBJECT,
        "mode": Mode.SSE_S3,
        "wraps": (Wrap(Mode.SSE_S3, b"wrapped"),),
    }
    return Envelope(**{**fields, **changes})  # type: ignore[arg-type]


@dataclass(frozen=True)
class SealedBlob:
    """A body, sealed at once, with what a row would know of it."""

    plaintext: bytes
    data_key: SecretBytes
    second_key: SecretBytes | None
    blob_id: bytes
    commitment: bytes
    header: bytes
    segments: bytes
    footer: bytes

    @property
    def stored(self) -> bytes:
        return self.header + self.segments + self.footer

    def opener(
        self, *, header: bytes | None = None, data_key: SecretBytes | None = None, plain_length: int | None = None
    ) -> BlobOpener:
        return BlobOpener(
            data_key or self.data_key,
            self.header if header is None else header,
            blob_id=self.blob_id,
            commitment=self.commitment,
            plain_length=len(self.plaintext) if plain_length is None else plain_length,
            second_key=self.second_key,
        )

    def read(self, span: SegmentSpan) -> bytes:
        """What a reader does with a span: read, open, cut."""
        stored = self.stored[span.stored_offset : span.stored_offset + span.stored_length]
        opened = self.opener().open(span.first_segment, stored)
        return opened[span.skip_bytes : span.skip_bytes + span.take_bytes]


def sealed_blob(length: int, *, two_layers: bool = False, seg_log2: int = 14, label: str = "") -> SealedBlob:
    plaintext, data_key, second_key, blob_id = body(length, label), key(), key() if two_layers else None, new_id()
    sealer = BlobSealer(data_key, blob_id, second_key=second_key, seg_log2=seg_log2)
    segments = sealer.seal(plaintext)
    footer = sealer.footer(envelope(), b'{"key":"x"}')
    return SealedBlob(plaintext, data_key, second_key, blob_id, sealer.commitment, sealer.header, segments, footer)


class FakeKMS:
    """The verbs that sealing uses, with context and key bound, state kept in memory, and a log of calls and lines."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Caller, str | None, Mapping[str, str]]] = []
        self.lines: list[tuple[Caller, RecordCall]] = []
        self.refusal: KMSError | None = None
        self.key_bytes = 32
        self.key_version = 3
        self._wrapped: dict[bytes, tuple[SecretBytes, str, dict[str, str]]] = {}

    @property
    def service(self) -> KeyService:
        return cast(KeyService, self)

    async def call(self, caller: Caller, request: Request[Any], decisions: list[Decided] | None = None) -> Any:
        match request:
            case GenerateDataKey():
                answer = self._generate_data_key(caller, request)
            case Decrypt():
                answer = self._decrypt(caller, request)
            case WrapDataKey():
                answer = self._wrap_data_key(caller, request)
            case UnwrapDataKey():
                answer = self._unwrap_data_key(caller, request)
            case RecordCall():
                self.lines.append((caller, request))
                return None
            case _:
                raise AssertionError(f"{request.operation_name()} is not faked")
        if decisions is not None:
            decisions.append(Decided(f"kms:{request.operation_name()}", "arn", True, "the fake"))
        return answer

    def knows(self, blob: bytes, plaintext: bytes, key_arn: str, context: Mapping[str, str]) -> SecretBytes:
        """A ciphertext blob that was made elsewhere; the key in it."""
        secret = SecretBytes(plaintext)
        self._wrapped[blob] = secret, key_arn, dict(context)
        return secret

    def _generate_data_key(self, caller: Caller, request: GenerateDataKey) -> DataKey:
        self._enter("GenerateDataKey", caller, request.key_id, request.encryption_context)
        plaintext = SecretBytes(os.urandom(request.number_of_bytes))
        arn = f"arn:aws:kms:us-east-1:{caller.principal.account_id}:key/{request.key_id}"
        blob = os.urandom(40)
        self._wrapped[blob] = plaintext, arn, dict(request.encryption_context)
        return DataKey(plaintext, Ciphertext(blob, arn, self.key_version, "m" * 64))

    def _wrap_data_key(self, caller: Caller, request: WrapDataKey) -> Ciphertext:
        self._enter("WrapDataKey", caller, request.key_id, request.encryption_context)
        arn = f"arn:aws:kms:us-east-1:{caller.principal.account_id}:key/{request.key_id}"
        blob = os.urandom(40)
        self._wrapped[blob] = request.plaintext, arn, dict(request.encryption_context)
        return Ciphertext(blob, arn, self.key_version, "m" * 64)

    def _decrypt(self, caller: Caller, request: Decrypt) -> Plaintext:
        self._enter("Decrypt", caller, request.key_id, request.encryption_context)
        known = self._wrapped.get(request.ciphertext_blob)
        if known is None or known[2] != dict(request.encryption_context):
            raise KMSError("InvalidCiphertextException")
        if request.key_id not in {None, known[1]}:
            raise KMSError("IncorrectKeyException")
        return Plaintext(SecretBytes(known[0].reveal()[: self.key_bytes]), known[1], 3, "m" * 64)

    def _unwrap_data_key(self, caller: Caller, request: UnwrapDataKey) -> Plaintext:
        self._enter("UnwrapDataKey", caller, request.key_id, request.encryption_context)
        plaintext, arn, context = self._wrapped[request.ciphertext_blob]
        if context != dict(request.encryption_context):
            raise KMSError("InvalidCiphertextException")
        if not arn.endswith(f"/{request.key_id}") or self.key_version != 3:
            raise KMSError("IncorrectKeyException")
        return Plaintext(plaintext, arn, 3, "m" * 64)

    def _enter(self, verb: str, caller: Caller, key_id: str | None, context: Mapping[str, str]) -> None:
        self.calls.append((verb, caller, key_id, dict(context)))
        if self.refusal is not None:
            raise self.refusal


class FakeBucketKeyStore:
    """Bucket keys in memory, for several workers; a clock of seconds that all of them share, and the KMS's epoch."""

    def __init__(self) -> None:
        self.rows: dict[tuple[bytes, bytes], BucketKey] = {}
        self.seconds = 1000.0
        self.epoch = 1

    async def find(self, bucket_id: bytes, requester: bytes) -> BucketKey | None:
        return self.rows.get((bucket_id, requester))

    async def keep(self, bucket_id: bytes, requester: bytes, made: BucketKey, *, forget_before_us: int) -> None:
        self.rows[bucket_id, requester] = made

    def worker(self, kms: FakeKMS, **limits: Any) -> BucketKeys:
        return BucketKeys(
            kms.service,
            self,
            lambda: self.epoch,
            BucketKeyLimits(**limits),
            clock=lambda: self.seconds,
            now_us=lambda: int(self.seconds * 1_000_000),
        )


class FakeEpochStore:
    """Epoch rows in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[int, bytes]] = {}

    async def load(self, purpose: str) -> Sequence[tuple[int, bytes]]:
        return sorted(self.rows.get(purpose, {}).items(), reverse=True)

    async def add(self, purpose: str, epoch: int, wrapped: bytes) -> bool:
        return self.rows.setdefault(purpose, {}).setdefault(epoch, wrapped) is wrapped


SERVICE = service_caller("START")
