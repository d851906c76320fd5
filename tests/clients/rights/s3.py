"""S3: operations on the service and on buckets. Those on objects stand in `objects`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.clients.access import policy_text, statement
from tests.clients.rights.case import Case, Prepared, method_of, told
from tests.clients.rights.world import World
from tests.harness import REGION, wait_until

Parameters = Mapping[str, Any]

RULE = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
LIFECYCLE = {"ID": "one", "Filter": {}, "Status": "Enabled", "Expiration": {"Days": 9}}
TAGGING = {"TagSet": [{"Key": "a", "Value": "b"}]}
BLOCK = {"BlockPublicAcls": True}
LOG_DELIVERY = 'uri="http://acs.amazonaws.com/groups/s3/LogDelivery"'
"""A grantee of ACLs who is not the public."""
OWNERSHIP = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}


def ask(operation: str, **parameters: Any) -> Any:
    """Sends the request by boto3."""
    return lambda clients: method_of(clients("s3"), operation)(**parameters)


def bucket_arn(bucket: str) -> str:
    return f"arn:aws:s3:::{bucket}"


# What a bucket is set to


def _reading(operation: str, action: str, *, otherwise: str = "", acls: bool = False, **parameters: Any) -> Case:
    def prepare(world: World) -> Prepared:
        bucket = world.bucket(acls=acls)
        return Prepared(
            ask=ask(operation, Bucket=bucket, **parameters),
            needs=[(f"s3:{action}", bucket_arn(bucket))],
            otherwise=otherwise,
        )

    return Case(service="s3", operation=operation, prepare=prepare)


def _changing(
    operation: str,
    action: str,
    *,
    before: Parameters | None = None,
    otherwise: str = "",
    is_idle: bool = False,
    acls: bool = False,
    **parameters: Any,
) -> Case:
    """`before` is what the matching Put is asked for first, so that there is something to delete."""

    def prepare(world: World) -> Prepared:
        bucket = world.bucket(acls=acls)
        if before is not None:
            method_of(world.s3, operation.replace("Delete", "Put", 1))(Bucket=bucket, **before)
        return Prepared(
            ask=ask(operation, Bucket=bucket, **parameters),
            needs=[(f"s3:{action}", bucket_arn(bucket))],
            observe=world.configuration_of(bucket),
            otherwise=otherwise,
            is_idle=is_idle or bool(otherwise),
        )

    return Case(service="s3", operation=operation, prepare=prepare)


def _absent(kind: str, *, action: str = "", otherwise: str) -> list[Case]:
    """A configuration of which a bucket has one, and none here."""
    return [
        _reading(f"Get{kind}", f"Get{action or kind}", otherwise=otherwise),
        _changing(f"Delete{kind}", f"Put{action}" if action else f"Delete{kind}", is_idle=True),
    ]


def _with_lifecycle() -> Case:
    """DeleteBucketLifecycle, whose name is not that of its Put."""

    def prepare(world: World) -> Prepared:
        bucket = world.bucket()
        world.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [LIFECYCLE]})
        return Prepared(
            ask=ask("DeleteBucketLifecycle", Bucket=bucket),
            needs=[("s3:PutLifecycleConfiguration", bucket_arn(bucket))],
            observe=world.configuration_of(bucket),
        )

    return Case(service="s3", operation="DeleteBucketLifecycle", prepare=prepare)


def _absent_by_id(kind: str) -> list[Case]:
    """A configuration of which a bucket has several, and none here."""
    name, missing = f"Bucket{kind}Configuration", "NoSuchConfiguration"
    return [
        _reading(f"Get{name}", f"Get{kind}Configuration", otherwise=missing, Id="id"),
        _changing(f"Delete{name}", f"Put{kind}Configuration", otherwise=missing, Id="id"),
        _reading(f"List{name}s", f"Get{kind}Configuration"),
    ]


def _create(variant: str, *actions: str, **parameters: Any) -> Case:
    def prepare(world: World) -> Prepared:
        name = world.name("bucket")
        return Prepared(
            ask=ask("CreateBucket", Bucket=name, **parameters),
            needs=[(f"s3:{action}", bucket_arn(name)) for action in ("CreateBucket", *actions)],
            observe=world.configuration_of(name),
        )

    return Case(service="s3", operation="CreateBucket", variant=variant, prepare=prepare)


def _list_buckets(world: World) -> Prepared:
    return Prepared(ask=ask("ListBuckets"), needs=[("s3:ListAllMyBuckets", "*")])


def _put_policy(world: World) -> Prepared:
    """It lets the user change the policy again: who would lose that right has to say so."""
    bucket = world.bucket()
    own = statement("Allow", {"AWS": world.account_id}, "s3:*", on=[bucket, f"{bucket}/*"])
    return Prepared(
        ask=ask("PutBucketPolicy", Bucket=bucket, Policy=policy_text(own), ConfirmRemoveSelfBucketAccess=True),
        needs=[("s3:PutBucketPolicy", bucket_arn(bucket))],
        observe=world.configuration_of(bucket),
    )


def _with_policy(operation: str) -> Case:
    def prepare(world: World) -> Prepared:
        bucket = world.bucket()
        # Denies nobody anything that is asked for here, and allows nothing.
        policy = policy_text(statement("Deny", "*", "s3:GetObject", on=f"{bucket}/none"))
        world.s3.put_bucket_policy(Bucket=bucket, Policy=policy)
        return Prepared(
            ask=ask(operation, Bucket=bucket),
            needs=[(f"s3:{operation}", bucket_arn(bucket))],
            observe=world.configuration_of(bucket) if operation.startswith("Delete") else None,
        )

    return Case(service="s3", operation=operation, prepare=prepare)


def _without_block(world: World) -> Prepared:
    bucket = world.bucket()
    world.s3.delete_public_access_block(Bucket=bucket)
    return Prepared(
        ask=ask("PutPublicAccessBlock", Bucket=bucket, PublicAccessBlockConfiguration=BLOCK),
        needs=[("s3:PutBucketPublicAccessBlock", bucket_arn(bucket))],
        observe=world.configuration_of(bucket),
    )


CASES = [
    Case(service="s3", operation="ListBuckets", prepare=_list_buckets),
    _create(""),
    _create("tags", "TagResource", CreateBucketConfiguration={"Tags": TAGGING["TagSet"]}),
    _create("ownership", "PutBucketOwnershipControls", ObjectOwnership="ObjectWriter"),
    _create("owner enforced", "PutBucketOwnershipControls", ObjectOwnership="BucketOwnerEnforced"),
    _create(
        "ACL", "PutBucketOwnershipControls", "PutBucketAcl", ObjectOwnership="ObjectWriter", GrantRead=LOG_DELIVERY
    ),
    _reading("HeadBucket", "ListBucket"),
    _changing("DeleteBucket", "DeleteBucket"),
    _reading("GetBucketLocation", "GetBucketLocation"),
    _reading("GetBucketEncryption", "GetEncryptionConfiguration"),
    _changing("PutBucketEncryption", "PutEncryptionConfiguration", ServerSideEncryptionConfiguration=ENCRYPTION),
    _changing(
        "DeleteBucketEncryption",
        "PutEncryptionConfiguration",
        before={"ServerSideEncryptionConfiguration": ENCRYPTION},
    ),
    _reading("GetBucketCors", "GetBucketCORS", otherwise="NoSuchCORSConfiguration"),
    _changing("PutBucketCors", "PutBucketCORS", CORSConfiguration={"CORSRules": [RULE]}),
    _changing("DeleteBucketCors", "PutBucketCORS", before={"CORSConfiguration": {"CORSRules": [RULE]}}),
    _reading("GetBucketVersioning", "GetBucketVersioning"),
    _changing("PutBucketVersioning", "PutBucketVersioning", VersioningConfiguration={"Status": "Enabled"}),
    _reading("GetBucketTagging", "GetBucketTagging", otherwise="NoSuchTagSet"),
    _changing("PutBucketTagging", "PutBucketTagging", Tagging=TAGGING),
    _changing("DeleteBucketTagging", "PutBucketTagging", before={"Tagging": TAGGING}),
    Case(service="s3", operation="PutBucketPolicy", prepare=_put_policy),
    _with_policy("GetBucketPolicy"),
    _with_policy("GetBucketPolicyStatus"),
    _with_policy("DeleteBucketPolicy"),
    _reading("GetBucketAcl", "GetBucketAcl"),
    _changing("PutBucketAcl", "PutBucketAcl", acls=True, GrantRead=LOG_DELIVERY),
    _reading("GetPublicAccessBlock", "GetBucketPublicAccessBlock"),
    Case(service="s3", operation="PutPublicAccessBlock", prepare=_without_block),
    _changing("DeletePublicAccessBlock", "PutBucketPublicAccessBlock"),
    _reading("GetBucketOwnershipControls", "GetBucketOwnershipControls"),
    _changing("PutBucketOwnershipControls", "PutBucketOwnershipControls", OwnershipControls=OWNERSHIP),
    _changing("DeleteBucketOwnershipControls", "PutBucketOwnershipControls"),
    _reading("GetBucketRequestPayment", "GetBucketRequestPayment"),
    _changing(
        "PutBucketRequestPayment",
        "PutBucketRequestPayment",
        RequestPaymentConfiguration={"Payer": "Requester"},
    ),
    _reading("GetBucketAccelerateConfiguration", "GetAccelerateConfiguration"),
    _changing(
        "PutBucketAccelerateConfiguration",
        "PutAccelerateConfiguration",
        AccelerateConfiguration={"Status": "Enabled"},
    ),
    _reading("GetBucketAbac", "GetBucketAbac"),
    _changing("PutBucketAbac", "PutBucketAbac", is_idle=True, AbacStatus={"Status": "Disabled"}),
    _reading("ListObjects", "ListBucket"),
    _reading("ListObjectsV2", "ListBucket"),
    _reading("ListObjectVersions", "ListBucketVersions"),
    _reading("ListMultipartUploads", "ListBucketMultipartUploads"),
    _reading("GetBucketLifecycleConfiguration", "GetLifecycleConfiguration", otherwise="NoSuchLifecycleConfiguration"),
    _changing(
        "PutBucketLifecycleConfiguration", "PutLifecycleConfiguration", LifecycleConfiguration={"Rules": [LIFECYCLE]}
    ),
    _with_lifecycle(),
    *_absent("BucketReplication", action="ReplicationConfiguration", otherwise="ReplicationConfigurationNotFoundError"),
    *_absent("BucketWebsite", otherwise="NoSuchWebsiteConfiguration"),
    *_absent("BucketMetadataTableConfiguration", otherwise="MetadataConfigurationNotFound"),
    _reading(
        "GetBucketMetadataConfiguration",
        "GetBucketMetadataTableConfiguration",
        otherwise="MetadataConfigurationNotFound",
    ),
    _changing("DeleteBucketMetadataConfiguration", "DeleteBucketMetadataTableConfiguration", is_idle=True),
    *_absent_by_id("Analytics"),
    *_absent_by_id("IntelligentTiering"),
    *_absent_by_id("Inventory"),
    *_absent_by_id("Metrics"),
    _reading("GetBucketLogging", "GetBucketLogging"),
    _changing("PutBucketLogging", "PutBucketLogging", is_idle=True, BucketLoggingStatus={}),
    _reading("GetBucketNotificationConfiguration", "GetBucketNotification"),
    _changing(
        "PutBucketNotificationConfiguration", "PutBucketNotification", is_idle=True, NotificationConfiguration={}
    ),
    _reading(
        "GetObjectLockConfiguration",
        "GetBucketObjectLockConfiguration",
        otherwise="ObjectLockConfigurationNotFoundError",
    ),
]


# S3 Control: what is so for the whole account

CLOSED = {"BlockPublicAcls": True}


def _control(operation: str, action: str, *, before: bool | None = None) -> Case:
    """`before`: whether there is a block; None for what only reads one."""

    def prepare(world: World) -> Prepared:
        account = {"AccountId": world.account_id}
        block = {"PublicAccessBlockConfiguration": CLOSED}
        if before is False:
            world.control.delete_public_access_block(**account)
        else:
            world.control.put_public_access_block(**account, **block)
        more = block if operation.startswith("Put") else {}
        return Prepared(
            ask=lambda clients: method_of(clients("s3control"), operation)(**account, **more),
            needs=[(f"s3:{action}", "*")],
            observe=None if before is None else lambda: told(world.control.get_public_access_block, **account),
        )

    return Case(service="s3control", operation=operation, prepare=prepare)


def _tagging(operation: str, *, before: bool | None = None, **more: Any) -> Case:
    """`before`: whether the bucket has a tag; None for what only reads them."""

    def prepare(world: World) -> Prepared:
        bucket = world.bucket()
        named = {"AccountId": world.account_id, "ResourceArn": bucket_arn(bucket)}
        if before:
            world.control.tag_resource(**named, Tags=TAGGING["TagSet"])
        return Prepared(
            ask=lambda clients: method_of(clients("s3control"), operation)(**named, **more),
            needs=[(f"s3:{operation}", bucket_arn(bucket))],
            observe=None if before is None else world.configuration_of(bucket),
        )

    return Case(service="s3control", operation=operation, prepare=prepare)


def _job(operation: str, *, is_change: bool = True, **more: Any) -> Case:
    """A job that waits to be confirmed, so that what is asked for is all that is done to it."""

    def prepare(world: World) -> Prepared:
        job = {"AccountId": world.account_id, "JobId": world.control.create_job(**_new_job(world))["JobId"]}
        wait_until(lambda: told(world.control.describe_job, **job)["Job"]["Status"] == "Suspended", "it was prepared")
        return Prepared(
            ask=lambda clients: method_of(clients("s3control"), operation)(**job, **more),
            needs=[(f"s3:{operation}", f"arn:aws:s3:{REGION}:{world.account_id}:job/{job['JobId']}")],
            observe=(lambda: told(world.control.describe_job, **job)) if is_change else None,
        )

    return Case(service="s3control", operation=operation, prepare=prepare)


def _new_job(world: World) -> dict[str, Any]:
    generator = {"SourceBucket": bucket_arn(world.bucket()), "EnableManifestOutput": False}
    return {
        "AccountId": world.account_id,
        "ClientRequestToken": world.name("job"),
        "ConfirmationRequired": True,
        "ManifestGenerator": {"S3JobManifestGenerator": generator},
        "Operation": {"S3UpdateObjectEncryption": {"ObjectEncryption": {"SSEKMS": {"KMSKeyArn": world.kms_key}}}},
        "Priority": 1,
        "Report": {"Enabled": False},
        "RoleArn": world.batch_role,
    }


def _create_job(world: World) -> Prepared:
    asked = _new_job(world)
    return Prepared(
        ask=lambda clients: clients("s3control").create_job(**asked),
        needs=[("s3:CreateJob", "*"), ("iam:PassRole", world.batch_role)],
        observe=lambda: [each["JobId"] for each in world.control.list_jobs(AccountId=world.account_id).get("Jobs", ())],
    )


def _list_jobs(world: World) -> Prepared:
    return Prepared(
        ask=lambda clients: clients("s3control").list_jobs(AccountId=world.account_id), needs=[("s3:ListJobs", "*")]
    )


CASES += [
    Case(service="s3control", operation="CreateJob", prepare=_create_job),
    Case(service="s3control", operation="ListJobs", prepare=_list_jobs),
    _job("DescribeJob", is_change=False),
    _job("UpdateJobPriority", Priority=2),
    _job("UpdateJobStatus", RequestedJobStatus="Cancelled"),
    _tagging("ListTagsForResource"),
    _tagging("TagResource", before=False, Tags=TAGGING["TagSet"]),
    _tagging("UntagResource", before=True, TagKeys=["a"]),
    _control("GetPublicAccessBlock", "GetAccountPublicAccessBlock"),
    _control("PutPublicAccessBlock", "PutAccountPublicAccessBlock", before=False),
    _control("DeletePublicAccessBlock", "PutAccountPublicAccessBlock", before=True),
]
