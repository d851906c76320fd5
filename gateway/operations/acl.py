"""ACLs in operations: whose a new object is, which grants a request makes, and who may not make them.

Where the bucket's owner is enforced there are no ACLs: what a request says of one must leave everything to that
owner. S3 User Guide, "Controlling ownership of objects and disabling ACLs for your bucket".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.operations.context import Call, Owner, Services
from gateway.operations.documents import BucketDocument, ListedDocument, ObjectDocument, UploadDocument
from gateway.protocol.acl import (
    BUCKET_OWNER_FULL_CONTROL,
    GROUPS,
    HEADER,
    PRIVATE,
    Grants,
    RequestedACL,
    canned_object_acl,
    is_public,
    private,
)
from gateway.protocol.errors import S3Error, invalid_argument
from gateway.protocol.public_access import ObjectOwnership, Prevented, prevented
from gateway.protocol.xml.documents.acl import AccessControlPolicy, GivenPolicy
from gateway.storage.index.records import BucketRow
from iam.quickly_made import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class Access:
    """Whose a new object is, and what it grants; as `ObjectDocument.owner` and `ObjectDocument.grants`."""

    owner: str | None = None
    grants: Grants | None = None


def access_of_new_object(call: Call, bucket: BucketRow) -> Access:
    """By the headers of the request and the bucket's object ownership.

    Raises S3Error AccessControlListNotSupported, AccessDenied (s3:PutObjectAcl, BlockPublicAcls), InvalidArgument, and
    what `RequestedACL.parse` does.
    """
    requested = RequestedACL.parse(call.request.headers)
    document = call.services.rows.open_bucket(bucket)
    bucket_owner_id = call.services.canonical_id(bucket.account_id)
    if not document.has_acls:
        check_leaves_all_to(bucket_owner_id, requested)
        return Access()
    writer = call.account_id
    is_given_away = (
        document.object_ownership == ObjectOwnership.PREFERRED and requested.canned == BUCKET_OWNER_FULL_CONTROL
    )
    owner = None if is_given_away or writer == bucket.account_id else writer
    if requested.is_absent:
        return Access(owner)
    owner_id = bucket_owner_id if owner is None else call.services.canonical_id(owner)
    if requested.canned is None:
        grants = known_grants(call.services, requested.grants)
    else:
        grants = canned_object_acl(requested.canned, owner_id, bucket_owner_id)
    _require_right(call, owner)
    check_public(call, bucket, grants, "s3:PutObjectAcl", call.object_arn)
    return Access(owner, grants)


def _require_right(call: Call, owner: str | None) -> None:
    """Whoever sets an ACL needs s3:PutObjectAcl: of its own account, if the object is to be that account's."""
    if owner is None:
        call.permissions.require("s3:PutObjectAcl", call.object_arn)
    elif not call.is_anonymous:  # who is nobody may do with nobody's objects what it likes
        call.permissions.require_of_account("s3:PutObjectAcl", call.object_arn)


def check_leaves_all_to(owner_id: str, requested: RequestedACL) -> None:
    """Raises S3Error AccessControlListNotSupported for an ACL that gives anything to others than the bucket's owner."""
    is_canned_alone = requested.canned in {None, PRIVATE, BUCKET_OWNER_FULL_CONTROL}
    if not is_canned_alone or (requested.grants and requested.grants != private(owner_id)):
        raise acls_disabled()


def acls_disabled() -> S3Error:
    """The refusal of an ACL where the bucket's owner is enforced."""
    return S3Error(
        "AccessControlListNotSupported",
        decided_by="object ownership of the bucket, BucketOwnerEnforced",
        reason="refused because ACLs are disabled",
    )


def check_public(call: Call, bucket: BucketRow, grants: Grants, action: str, arn: str) -> None:
    """BlockPublicAcls. Raises S3Error AccessDenied."""
    block = call.services.block_of(bucket.account_id, call.services.rows.open_bucket(bucket))
    if block.block_public_acls:
        refuse_public(call, grants, action, arn, call.services.whose_block(bucket.account_id, "block_public_acls"))


def refuse_public(call: Call, grants: Grants, action: str, arn: str, whose: str) -> None:
    """Raises S3Error AccessDenied for grants to the public; `whose` block it is that prevents them."""
    if is_public(grants):
        by = Prevented("public access control lists (ACLs)", "BlockPublicAcls", whose)
        if call.is_anonymous:
            raise S3Error("AccessDenied", decided_by=by.decided_by, reason=by.reason)
        raise prevented(call.caller.principal.arn, action, arn, by)


def known_grants(services: Services, grants: Grants) -> Grants:
    """The grants, each of whose grantees exists. Raises S3Error InvalidArgument."""
    for grant in grants:
        if grant.grantee not in GROUPS and services.owner_by_id(grant.grantee) is None:
            raise invalid_argument("CanonicalUser/ID", grant.grantee, "Invalid id")
    return grants


async def given_grants(call: Call, owner_id: str, canned: Callable[[str], Grants]) -> Grants:
    """The whole ACL that PutBucketAcl or PutObjectAcl gives, in headers or in its document.

    Raises S3Error MissingSecurityHeader (neither), UnexpectedContent (both), AccessDenied (another owner),
    MalformedACLError, InvalidArgument, and what `RequestedACL.parse` and `canned` do.
    """
    requested = RequestedACL.parse(call.request.headers)
    body = await call.read_document()
    if not requested.is_absent:
        if body:
            raise S3Error("UnexpectedContent")
        return known_grants(call.services, requested.grants) if requested.canned is None else canned(requested.canned)
    if not body:
        raise S3Error("MissingSecurityHeader", fields={"MissingHeaderName": HEADER})
    given = GivenPolicy.parse(body)
    if given.owner_id != owner_id:
        raise S3Error(
            "AccessDenied", decided_by="owner of the ACL", reason="refused because the ACL names another owner"
        )
    return known_grants(call.services, given.grants)


def owner_of_object(
    services: Services,
    bucket: BucketRow,
    document: BucketDocument,
    found: ObjectDocument | ListedDocument | UploadDocument,
) -> Owner:
    """Of an object, or of what an upload will be, in a bucket whose document is `document`."""
    is_writers = document.has_acls and found.owner is not None
    return services.owner_of(found.owner if is_writers and found.owner is not None else bucket.account_id)


def initiator_of(services: Services, bucket: BucketRow, found: UploadDocument) -> tuple[str, str]:
    """Canonical id and display name of the account that began an upload."""
    initiator = services.owner_of(bucket.account_id if found.initiator is None else found.initiator)
    return initiator.canonical_id, initiator.display_name


def told_policy(services: Services, owner: Owner, grants: Grants | None) -> AccessControlPolicy:
    """The ACL as GetBucketAcl and GetObjectAcl tell it; None is the ACL that nobody set."""
    told = private(owner.canonical_id) if grants is None else grants
    names = [services.owner_by_id(grant.grantee) for grant in told]
    return AccessControlPolicy(
        owner.canonical_id,
        owner.display_name,
        [(grant, None if name is None else name.display_name) for grant, name in zip(told, names, strict=True)],
    )
