"""What the sealed columns of the index say, and the blob footers' descriptors with them.

Storage keeps these documents as opaque bytes, sealing encrypts and authenticates bytes; here they get their meaning.
They are JSON written by msgspec, members left out where they hold their default. A member is never renamed and never
changes meaning: every release reads what each earlier one wrote.
"""

from __future__ import annotations

import msgspec

from gateway.protocol.acl import Grants
from gateway.protocol.lifecycle import Lifecycle
from gateway.protocol.public_access import ObjectOwnership, PublicAccessBlock


class BucketDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """Configuration of a bucket.

    `encryption` is the ServerSideEncryptionConfiguration and `cors` the CORSConfiguration as stored XML text;
    `versioning` and `acceleration` are "Enabled" or "Suspended", `payer` is "Requester" or None for the bucket's owner;
    `tags` are in the order in which they came; `policy` is the bucket policy as its owner wrote it.
    `object_ownership` is that of OwnershipControls, "" where they were deleted; `public_access_block` None: there is no
    configuration. `location` is the location constraint, if it was not the region's name. `grants` are the ACL's, None
    where nobody set one. `takes_customer_keys` says whether objects may be written by SSE-C; None: nobody has said so
    since there is SSE-C, and `encryption` may have before (`gateway.operations.customer_keys`). `copy` says whether
    copies from and to the bucket may share ciphertext (`gateway.operations.copy_sharing`), None: as the installation.
    `lifecycle` are its rules, each with an id, None where there is no such configuration.
    """

    encryption: str | None = None
    versioning: str | None = None
    cors: str | None = None
    tags: dict[str, str] = {}
    payer: str | None = None
    acceleration: str | None = None
    policy: str | None = None
    object_ownership: str = ObjectOwnership.ENFORCED.value
    public_access_block: PublicAccessBlock | None = None
    location: str | None = None
    grants: Grants | None = None
    takes_customer_keys: bool | None = None
    copy: str | None = None
    lifecycle: Lifecycle | None = None

    @property
    def has_acls(self) -> bool:
        """ACLs count, and objects belong to whoever wrote them."""
        return self.object_ownership != ObjectOwnership.ENFORCED.value


class ObjectDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a client is told of an object, beyond the clear columns of its row.

    `etag` is without quotes. `commitment` is that of a single-body object's blob; empty where `sealed_parts` holds the
    commitment of each blob. `checksums` maps an algorithm's name to its Base64 value. `context` is the encryption
    context that the caller gave, without the `aws:s3:arn` that the gateway adds. `upload_id` is that of the multipart
    upload it came from, so that a repeated CompleteMultipartUpload finds it. `owner` is the account that owns the
    object while the bucket's owner is not enforced: None for the bucket's own, "" for nobody's (an anonymous upload);
    `grants` are the ACL's, None where nobody set one. `first_key` is the ARN of the KMS key that the data key was first
    wrapped by, or "AES256", where that is another than the row's (`gateway.operations.first_wrap`).
    """

    etag: str
    commitment: bytes = b""
    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    checksums: dict[str, str] = {}
    checksum_type: str = "FULL_OBJECT"
    storage_class: str = "STANDARD"
    context: dict[str, str] | None = None
    upload_id: bytes = b""
    tags: dict[str, str] = {}
    owner: str | None = None
    grants: Grants | None = None
    first_key: str | None = None


class ListedDocument(msgspec.Struct, frozen=True, gc=False):
    """What listings tell of an ObjectDocument: read from the same bytes, a thousand times a page, without the rest."""

    etag: str
    checksums: dict[str, str] = {}
    checksum_type: str = "FULL_OBJECT"
    storage_class: str = "STANDARD"
    owner: str | None = None

    @classmethod
    def of(cls, document: ObjectDocument) -> ListedDocument:
        return cls(**{name: getattr(document, name) for name in cls.__struct_fields__})


class UploadDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """What CreateMultipartUpload said about the object to come. `initiator` is the account that began the upload, None
    for the bucket's own; `asked_encryption` what its headers said of encryption (`condition_keys.asked_encryption`),
    None for one begun before that was kept."""

    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    checksum_algorithm: str | None = None
    checksum_type: str | None = None
    storage_class: str = "STANDARD"
    context: dict[str, str] | None = None
    tags: dict[str, str] = {}
    owner: str | None = None
    grants: Grants | None = None
    initiator: str | None = None
    asked_encryption: dict[str, str] | None = None


class PartDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    etag: str
    commitment: bytes
    checksums: dict[str, str] = {}


class PartEntry(msgspec.Struct, frozen=True, array_like=True):
    """One blob of an object made of several, in order of the object's bytes.

    A completed multipart upload has one for each part; a copy of it keeps them.
    """

    number: int
    size: int
    commitment: bytes
    etag: str
    checksum: str | None = None


class ObjectDescriptor(msgspec.Struct, frozen=True, omit_defaults=True):
    """The encrypted half of the footer of an object's or a manifest's blob: enough to write the index row again, as it
    was when the object was written (its tags may have been changed since)."""

    key: str
    row_uid: bytes
    version_id: str
    modified_us: int
    size: int
    document: ObjectDocument
    parts: list[PartEntry] = []
    blob_ids: list[bytes] = []


class PartDescriptor(msgspec.Struct, frozen=True, omit_defaults=True):
    """The same for the blob of one uploaded part."""

    key: str
    modified_us: int
    size: int
    document: PartDocument


encode = msgspec.json.Encoder().encode
"""Any of these documents, or a list of part entries, as JSON."""
