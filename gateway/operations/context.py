"""What a handler is given: the services of the gateway, and one call in progress."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from gateway.operations.authorisation import Permissions
from gateway.operations.browser_form import BrowserForm
from gateway.operations.documents import BucketDocument
from gateway.operations.key_watch import KeyInUse, KeyWatch, Stream
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.addressing import Address
from gateway.protocol.aws_chunked import ChunkVerifier
from gateway.protocol.checksums import ChecksumExpectation
from gateway.protocol.content_sha256 import ContentSHA256, length_is_missing
from gateway.protocol.errors import S3Error
from gateway.protocol.lifecycle import REAL_DAYS, LifecycleDays
from gateway.protocol.messages import Request
from gateway.protocol.modes import Wrap
from gateway.protocol.names import MAX_KEY_BYTES, BucketName, InvalidName, ObjectKey, object_arn, parse_object_key
from gateway.protocol.public_access import ALL_BLOCKED, NOTHING_BLOCKED, ObjectOwnership, PublicAccessBlock
from gateway.protocol.query import Query
from gateway.protocol.request_headers import expected_owner
from gateway.sealing.data_keys import DataKeys
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import NoSuchKey, NoSuchVersion, RowDamaged, StorageError
from gateway.storage.index.interface import NO_BODY, Index
from gateway.storage.index.records import BucketRow, ObjectRow
from iam.credentials import AccountAccess
from iam.principals import Caller, PrincipalKind
from iam.quickly_made import quickly_made
from iam.store.interface import CatchUp, nothing_to_catch_up

MAX_DOCUMENT_BYTES = 3 << 20
"""A CompleteMultipartUpload of 10 000 parts with SHA-512 checksums has 2.2 MB, a Delete of 1 000 long keys 1.1 MB."""


@dataclass(frozen=True, slots=True)
class PublicAccess:
    """What the installation says about buckets' access: what new ones begin with, and whether all are kept private."""

    new_buckets_block: bool = True
    new_buckets_ownership: ObjectOwnership = ObjectOwnership.ENFORCED
    is_blocked_for_all: bool = False


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that operations ask: wired once in `gateway.app`.

    `could_be_principal` is False of who a policy names under "AWS" and is known not to be there; `catch_up` is asked
    before anybody is refused for somebody's not being there, whom another node may have made. `owner_of` names an
    account ("" is nobody's), `owner_by_id` the one of a canonical user id, None if there is none. `account_access`
    tells what holds for all that an account owns (`IdentityStore` says what its flag is), and `put_account_block`
    changes it: the settings of `PublicAccessBlock` that are on. It has taken effect, in every process, when it
    returns. `copies_share` is what holds for buckets that say nothing of it themselves. `key_watch` breaks off those
    requests that move data under a KMS key which is disabled; None: they end.
    """

    index: Index
    blobs: BlobStore
    rows: SealedRows
    data_keys: DataKeys
    region: str
    inline_limit_bytes: int
    owner_of: Callable[[str], Owner]
    owner_by_id: Callable[[str], Owner | None]
    account_access: Callable[[str, bool], AccountAccess]
    put_account_block: Callable[[Caller, frozenset[str] | None], Awaitable[None]]
    integrity_event: Callable[[str, str], None]
    could_be_principal: Callable[[str], bool] = lambda _name: True
    catch_up: CatchUp = nothing_to_catch_up
    public_access: PublicAccess = PublicAccess()
    new_buckets_take_customer_keys: bool = False
    copies_share: bool = True
    key_watch: KeyWatch | None = None
    buckets_per_account: int = 10_000
    lifecycle_days: LifecycleDays = REAL_DAYS

    def canonical_id(self, account_id: str) -> str:
        return self.owner_of(account_id).canonical_id

    def account_block(self, account_id: str) -> PublicAccessBlock | None:
        """The account's own public access block, if it has one."""
        return account_block(self.account_access(account_id, False))

    def whose_block(self, account_id: str, setting: str) -> str:
        """See `whose_block`."""
        return whose_block(self.public_access, self.account_access(account_id, False), setting)

    def block_of(self, account_id: str, document: BucketDocument | None = None) -> PublicAccessBlock:
        """What is in force for a bucket: the strictest of its own, its account's and the installation's configuration.

        Without `document`, for one that is not there yet.
        """
        return strictest_block(self.public_access, self.account_access(account_id, False), document)


def account_block(access: AccountAccess) -> PublicAccessBlock | None:
    """An account's own public access block, if it has one."""
    settings = access.public_access_block
    return None if settings is None else PublicAccessBlock(**dict.fromkeys(settings, True))


def whose_block(installation: PublicAccess, account: AccountAccess, setting: str) -> str:
    """Who has `setting` (`block_public_policy`) of a bucket's block on, the widest first: for the access log."""
    if installation.is_blocked_for_all:
        return "the installation (access.block_public)"
    of_account = account_block(account)
    return "the account" if of_account is not None and getattr(of_account, setting) else "the bucket"


def strictest_block(
    installation: PublicAccess, account: AccountAccess, document: BucketDocument | None
) -> PublicAccessBlock:
    """See `Services.block_of`."""
    if installation.is_blocked_for_all:
        return ALL_BLOCKED
    own = None if document is None else document.public_access_block
    of_account = account_block(account)
    if own is None or of_account is None:
        return own or of_account or NOTHING_BLOCKED
    return own | of_account


@dataclass(frozen=True, slots=True)
class Owner:
    """How S3 names an account in XML: canonical user id (64 hex digits) and display name."""

    canonical_id: str
    display_name: str


@quickly_made
@dataclass(frozen=True, slots=True)
class Authentication:
    """What authentication found out that handlers need: who calls, and how the body was signed."""

    caller: Caller
    content_sha256: ContentSHA256
    chunk_verifier: ChunkVerifier | None


GET_OBJECT: Final = "GetObject"
_READS = frozenset({GET_OBJECT, "HeadObject"})
"""What asks for a version right after its bucket, and nothing else of the index."""


@quickly_made
@dataclass(slots=True)
class Call:
    """One authenticated and authorised call of one operation.

    `form` is there for an upload from a browser form: `request` is then the PUT that it stands for, whose content
    length is only a bound.
    """

    services: Services
    request: Request
    operation_name: str
    address: Address
    query: Query
    authentication: Authentication
    permissions: Permissions
    form: BrowserForm | None = None
    now_us: int = field(default_factory=lambda: time.time_ns() // 1000)
    is_requester_charged: bool = False
    _key: ObjectKey | None = None
    _object_arn: str | None = None
    _keys_in_use: list[KeyInUse] = field(default_factory=list)
    _bucket: BucketRow | None = None
    _buckets: dict[str, BucketRow] = field(default_factory=dict)
    body_at_hand: tuple[bytes, bytes] | None = None
    """The id of a blob and the whole of it, if it came with the row: only where GetObject reads from the index."""
    _found: tuple[bytes, str, ObjectRow | None] | None = None
    _versions: dict[tuple[bytes, str, str | None], ObjectRow | StorageError] = field(default_factory=dict)

    @property
    def caller(self) -> Caller:
        return self.authentication.caller

    @property
    def account_id(self) -> str:
        return self.caller.principal.account_id

    @property
    def bucket_name(self) -> str:
        assert self.address.bucket is not None
        return self.address.bucket

    @property
    def key(self) -> ObjectKey:
        """The key of the request. Raises S3Error KeyTooLongError or InvalidURI."""
        if self._key is None:
            self._key = checked_key(self.address.key or "")
        return self._key

    @property
    def object_arn(self) -> str:
        if self._object_arn is None:
            self._object_arn = object_arn(BucketName(self.bucket_name), self.key)
        return self._object_arn

    @property
    def object_url(self) -> str:
        """Where the object is, in the style in which the request addressed it."""
        scheme = "https" if self.request.is_secure else "http"
        return f"{scheme}://{self.request.headers.get('host', '')}{self.request.target_path}"

    @property
    def is_anonymous(self) -> bool:
        """Nobody signed the request."""
        return self.caller.principal.kind is PrincipalKind.ANONYMOUS

    async def bucket(self) -> BucketRow:
        """The bucket of the request, as it was when the request was authorised.

        Raises storage's NoSuchBucket, AuthenticationFailed, or S3Error AccessDenied if the request expects another
        owner (InvalidBucketOwnerAWSAccountID for what is no account).
        """
        row = self._bucket
        if row is None:
            owner = expected_owner(self.request.headers, "x-amz-expected-bucket-owner")
            row = await self.bucket_named(self.bucket_name)
            if owner not in (None, row.account_id):
                raise another_owner(row)
            self._bucket = row
        return row

    async def bucket_named(self, name: str) -> BucketRow:
        """Any bucket, whoever owns it: what may be done to it, and in it, can be asked from here on.

        Raises storage's NoSuchBucket, AuthenticationFailed, and S3Error AllAccessDisabled if its account is suspended.
        """
        row = self._buckets.get(name)
        if row is None:
            row = await self._bucket_row(name)
            document = self.services.rows.open_bucket(row)  # before its account is believed
            # Whoever signed the request was looked up for it: what was changed before it came is known since.
            access = self.services.account_access(row.account_id, not self.is_anonymous)
            if not access.is_active:
                raise S3Error(
                    "AllAccessDisabled",
                    decided_by="suspended account",
                    reason=f"refused because account {row.account_id}, which owns bucket {name}, is suspended",
                )
            self._buckets[name] = row
            block = strictest_block(self.services.public_access, access, document)
            whose = partial(whose_block, self.services.public_access, access)
            self.permissions.introduce(row, document, block, whose)
        return row

    async def _bucket_row(self, name: str) -> BucketRow:
        """With it comes the object that the request is about, if it is to read one: `version` will be asked for it."""
        key = self.address.key
        if self.operation_name in _READS and key is not None and not self.query.has("versionId"):
            wanted = key.encode()
            if len(wanted) <= MAX_KEY_BYTES:
                inline_bytes = self.services.inline_limit_bytes if self.operation_name == GET_OBJECT else NO_BODY
                try:
                    row, found, body = await self.services.index.get_bucket_and_object(
                        name, wanted, inline_bytes=inline_bytes
                    )
                except RowDamaged:
                    pass  # told to those alone who may read it
                else:
                    self._found = row.bucket_id, key, found
                    if body is not None and found is not None:
                        self.body_at_hand = found.blob_ids[0], body
                    return row
        return await self.services.index.get_bucket(name)

    async def version(self, bucket: BucketRow, key: str, version_id: str | None, *, keep: bool = False) -> ObjectRow:
        """The row that was kept, else what the index has now; with `keep` it is kept.

        Kept is what something was decided by: the same request must not read another object then. Raises storage's
        NoSuchKey and NoSuchVersion.
        """
        found = self.kept_version(bucket, key, version_id)
        if found is not None:
            return found
        name = bucket.bucket_id, key, version_id
        try:
            row = await self._look(bucket, key, version_id)
        except (NoSuchKey, NoSuchVersion) as missing:
            if keep:
                self._versions[name] = missing
            raise
        if keep:
            self._versions[name] = row
        return row

    async def _look(self, bucket: BucketRow, key: str, version_id: str | None) -> ObjectRow:
        came, self._found = self._found, None  # for once: who asks again wants what is there then
        if came is None or came[:2] != (bucket.bucket_id, key) or version_id is not None:
            return await self.services.index.get_object(bucket.bucket_id, key.encode(), version_id)
        if came[2] is None:
            raise NoSuchKey
        return came[2]

    def look_again(self) -> None:
        """Forget what was kept, to decide anew about what is there now."""
        self._versions.clear()
        self._found = None
        self._keys_in_use.clear()

    def key_epoch(self) -> int:
        """To be read before a key is opened, for `note_key`."""
        watch = self.services.key_watch
        return 0 if watch is None else watch.epoch()

    def note_key(self, wrap: Wrap, epoch: int) -> None:
        """The call moves data under the key of `wrap`, from here on."""
        if wrap.key_arn is not None:
            self._keys_in_use.append(KeyInUse(wrap.key_arn, epoch))

    def watched(self, stream: Stream) -> Stream:
        """`stream`, broken off when a KMS key that was noted is no more to be used, where the installation says so."""
        watch, keys = self.services.key_watch, self._keys_in_use
        return stream if watch is None or not keys else watch.watched(stream, keys, self.request.request_id)

    def watching(self) -> AbstractContextManager[None]:
        """The same for a block that moves data."""
        watch, keys = self.services.key_watch, self._keys_in_use
        return nullcontext() if watch is None or not keys else watch.watching(keys, self.request.request_id)

    def kept_version(self, bucket: BucketRow, key: str, version_id: str | None) -> ObjectRow | None:
        """What `version` keeps, None if nothing. Raises as it does, where it keeps that there is no such version."""
        found = self._versions.get((bucket.bucket_id, key, version_id))
        if isinstance(found, StorageError):
            raise found
        return found

    async def read_checked_document(self, limit: int = MAX_DOCUMENT_BYTES) -> bytes:
        """The whole body, for the operations that AWS refuses where no header declares a digest of it.

        Raises S3Error MissingRequestBodyError, InvalidRequest, and what `read_document` raises.
        """
        if self.request.content_length == 0:
            raise S3Error("MissingRequestBodyError")
        expectation = ChecksumExpectation.parse(self.request.headers)
        if expectation.algorithm is None and expectation.content_md5 is None:
            raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
        return await self.read_document(expectation, limit)

    async def read_document(
        self, expectation: ChecksumExpectation | None = None, limit: int = MAX_DOCUMENT_BYTES
    ) -> bytes:
        """The whole body, of `limit` bytes at most, with its length and every declared digest verified (`expectation`
        if given)."""
        request = self.request
        if request.content_length is None:
            raise length_is_missing(request.headers)
        if request.content_length > limit:
            raise S3Error("MaxMessageLengthExceeded", fields={"MaxMessageLengthBytes": str(limit)})
        pieces = []
        received = 0
        while piece := await request.body.read():
            received += len(piece)
            pieces.append(piece)
        if received != request.content_length:
            raise S3Error("IncompleteBody")
        body = b"".join(pieces)
        if self.authentication.content_sha256.is_streaming:
            raise S3Error("NotImplemented", "This operation takes its document in one piece, not in aws-chunked form.")
        self.authentication.content_sha256.verify(hashlib.sha256(body).digest)
        expectation = expectation or ChecksumExpectation.parse(request.headers)
        expectation.verify_body(body)
        return body


def another_owner(bucket: BucketRow) -> S3Error:
    """The refusal of a request that expects a bucket to be another account's."""
    return S3Error(
        "AccessDenied",
        decided_by="expected bucket owner",
        reason=f"refused because bucket {bucket.name} is of account {bucket.account_id}, not of the one expected",
    )


def checked_key(text: str) -> ObjectKey:
    try:
        return parse_object_key(text)
    except InvalidName:
        size = len(text.encode(errors="replace"))
        raise S3Error("KeyTooLongError", fields={"Size": str(size), "MaxSizeAllowed": "1024"}) from None
