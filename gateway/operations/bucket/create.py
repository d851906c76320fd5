"""CreateBucket (API reference: API_CreateBucket)."""

from __future__ import annotations

from gateway.operations.acl import known_grants, refuse_public
from gateway.operations.bucket.location import OLD_NAMES, check_location
from gateway.operations.condition_keys import tags_of_resource
from gateway.operations.context import Call
from gateway.operations.documents import BucketDocument
from gateway.protocol.acl import BUCKET_OWNER_FULL_CONTROL, PRIVATE, Grants, RequestedACL, canned_bucket_acl
from gateway.protocol.errors import S3Error, invalid_argument
from gateway.protocol.messages import Response
from gateway.protocol.names import BucketName, InvalidName, account_regional_suffix, bucket_arn, parse_bucket_name
from gateway.protocol.public_access import ALL_BLOCKED, ObjectOwnership, requested_ownership
from gateway.protocol.xml.documents.buckets import CreateBucketConfiguration
from gateway.sealing.ids import new_id
from gateway.storage.errors import BucketExists
from gateway.storage.index.records import BucketRow


async def handle(call: Call) -> Response:
    """In us-east-1, creating one's own bucket again answers 200 (as AWS does there, and only there) unless tags come
    with the request (recorded)."""
    name = _name(call)
    region = call.services.region
    document = await call.read_document()
    wanted = CreateBucketConfiguration.parse(document) if document else CreateBucketConfiguration()
    constraint = wanted.location_constraint
    tagged = tags_of_resource(wanted.tags)
    asked = tagged if constraint is None else {**tagged, "s3:locationconstraint": (constraint,)}
    call.permissions.require_of_account("s3:CreateBucket", bucket_arn(name), asked)
    check_location(constraint, region)
    if wanted.tags:
        call.permissions.require_of_account("s3:TagResource", bucket_arn(name), tagged)
    ownership = requested_ownership(call.request.headers)
    if ownership is not None:  # API_CreateBucket, "Permissions": whatever it is to be
        call.permissions.require_of_account("s3:PutBucketOwnershipControls", bucket_arn(name))
    defaults = call.services.public_access
    ownership = ownership or defaults.new_buckets_ownership
    contents = BucketDocument(
        tags=dict(wanted.tags),
        object_ownership=ownership.value,
        grants=_requested_grants(call, name, ownership),
        public_access_block=ALL_BLOCKED if defaults.new_buckets_block else None,
        location=constraint if constraint in OLD_NAMES else None,
        takes_customer_keys=call.services.new_buckets_take_customer_keys,
    )
    row = BucketRow(
        bucket_id=new_id(),
        account_id=call.account_id,
        name=name,
        region=region,
        created_us=call.now_us,
        revision=0,
        sealed=b"",
    )
    try:
        await call.services.index.create_bucket(
            call.services.rows.seal_bucket(row, contents), most=call.services.buckets_per_account
        )
    except BucketExists as exists:
        if exists.account_id != call.account_id:
            raise S3Error("BucketAlreadyExists", fields={"BucketName": name}) from None
        if region != "us-east-1" or wanted.tags:
            raise S3Error("BucketAlreadyOwnedByYou", fields={"BucketName": name}) from None
    return Response(headers={"Location": f"/{name}", "x-amz-bucket-arn": bucket_arn(name)})


def _name(call: Call) -> BucketName:
    """The name, legal in the namespace that the request names. Raises S3Error InvalidBucketName, InvalidArgument."""
    namespace = call.request.headers.get("x-amz-bucket-namespace", "global")
    if namespace not in ("global", "account-regional"):
        raise invalid_argument("x-amz-bucket-namespace", namespace)
    is_global = namespace == "global"
    suffix = None if is_global else account_regional_suffix(call.account_id, call.services.region)
    try:
        return parse_bucket_name(call.bucket_name, suffix=suffix)
    except InvalidName:
        raise S3Error("InvalidBucketName", fields={"BucketName": call.bucket_name[:255]}) from None


def _requested_grants(call: Call, name: BucketName, ownership: ObjectOwnership) -> Grants | None:
    """The ACL that the headers ask for; None for that of the owner alone.

    Raises S3Error InvalidBucketAclWithObjectOwnership, AccessDenied (s3:PutBucketAcl, BlockPublicAcls), and what
    `known_grants` and `RequestedACL.parse` do.
    """
    requested = RequestedACL.parse(call.request.headers)
    if not requested.grants and requested.canned in {None, PRIVATE, BUCKET_OWNER_FULL_CONTROL}:
        return None
    if ownership is ObjectOwnership.ENFORCED:
        raise S3Error("InvalidBucketAclWithObjectOwnership")
    call.permissions.require_of_account("s3:PutBucketAcl", bucket_arn(name))
    if requested.canned is None:
        grants = known_grants(call.services, requested.grants)
    else:
        grants = canned_bucket_acl(requested.canned, call.services.canonical_id(call.account_id))
    block = call.services.block_of(call.account_id)
    if call.services.public_access.new_buckets_block or block.block_public_acls:
        whose = (
            call.services.whose_block(call.account_id, "block_public_acls")
            if block.block_public_acls
            else "new buckets"
        )
        refuse_public(call, grants, "s3:CreateBucket", bucket_arn(name), whose)
    return grants
