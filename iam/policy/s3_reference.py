"""What S3's reference says of actions on buckets, and of the condition keys of S3: what each of them goes with.

The actions on objects are `iam.policy.bucket.OBJECT_ACTIONS`. Source: Service Authorization Reference, "Actions,
resources, and condition keys for Amazon S3", as of October 2026; `tests/vectors` has it as data.
"""

from __future__ import annotations

BUCKET_ACTIONS = frozenset(
    {
        "s3:AllowVendedLogDeliveryForResource",
        "s3:CreateBucket",
        "s3:CreateBucketMetadataTableConfiguration",
        "s3:DeleteBucket",
        "s3:DeleteBucketMetadataTableConfiguration",
        "s3:DeleteBucketPolicy",
        "s3:DeleteBucketWebsite",
        "s3:GetAccelerateConfiguration",
        "s3:GetAnalyticsConfiguration",
        "s3:GetBucketAbac",
        "s3:GetBucketAcl",
        "s3:GetBucketCORS",
        "s3:GetBucketLocation",
        "s3:GetBucketLogging",
        "s3:GetBucketMetadataTableConfiguration",
        "s3:GetBucketNotification",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketOwnershipControls",
        "s3:GetBucketPolicy",
        "s3:GetBucketPolicyStatus",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketRequestPayment",
        "s3:GetBucketTagging",
        "s3:GetBucketVersioning",
        "s3:GetBucketWebsite",
        "s3:GetEncryptionConfiguration",
        "s3:GetIntelligentTieringConfiguration",
        "s3:GetInventoryConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:GetMetricsConfiguration",
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:ListBucketVersions",
        "s3:ListTagsForResource",
        "s3:PauseReplication",
        "s3:PutAccelerateConfiguration",
        "s3:PutAnalyticsConfiguration",
        "s3:PutBucketAbac",
        "s3:PutBucketAcl",
        "s3:PutBucketCORS",
        "s3:PutBucketLogging",
        "s3:PutBucketNotification",
        "s3:PutBucketObjectLockConfiguration",
        "s3:PutBucketOwnershipControls",
        "s3:PutBucketPolicy",
        "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketRequestPayment",
        "s3:PutBucketTagging",
        "s3:PutBucketVersioning",
        "s3:PutBucketWebsite",
        "s3:PutEncryptionConfiguration",
        "s3:PutIntelligentTieringConfiguration",
        "s3:PutInventoryConfiguration",
        "s3:PutLifecycleConfiguration",
        "s3:PutMetricsConfiguration",
        "s3:PutReplicationConfiguration",
        "s3:TagResource",
        "s3:UntagResource",
        "s3:UpdateBucketMetadataAnnotationTableConfiguration",
        "s3:UpdateBucketMetadataInventoryTableConfiguration",
        "s3:UpdateBucketMetadataJournalTableConfiguration",
    }
)
"""The actions whose resource is a bucket."""

_GRANTS = frozenset(
    {
        "s3:BypassGovernanceRetention",
        "s3:CreateBucket",
        "s3:PutBucketAcl",
        "s3:PutObject",
        "s3:PutObjectAcl",
        "s3:PutObjectVersionAcl",
    }
)
_WRITES = frozenset({"s3:BypassGovernanceRetention", "s3:PutObject"})
_SEALS = _WRITES | {"s3:ReplicateObject"}
_LISTS = frozenset({"s3:ListBucket", "s3:ListBucketVersions"})
_SETS_TAGS = _WRITES | {"s3:PutObjectTagging", "s3:PutObjectVersionTagging"}
_RETAINS = frozenset({"s3:PutObject", "s3:PutObjectRetention"})
_SEES_TAGS = frozenset(
    {
        "s3:DeleteObjectTagging",
        "s3:DeleteObjectVersionTagging",
        "s3:GetObject",
        "s3:GetObjectAcl",
        "s3:GetObjectAttributes",
        "s3:GetObjectTagging",
        "s3:GetObjectVersion",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionAttributes",
        "s3:GetObjectVersionTagging",
        "s3:PutObjectAcl",
        "s3:PutObjectTagging",
        "s3:PutObjectVersionAcl",
        "s3:PutObjectVersionTagging",
    }
)

OF_EVERY_ACTION = frozenset(
    {
        "s3:accessgrantsinstancearn",
        "s3:accesspointnetworkorigin",
        "s3:accesspointtag/",
        "s3:authtype",
        "s3:buckettag/",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
        "s3:resourceaccount",
        "s3:signatureage",
        "s3:signatureversion",
        "s3:tlsversion",
        "s3:x-amz-content-sha256",
    }
)
"""Keys of S3, in lower case, that go with every action on a bucket or in one; a slash ends the name of a family."""

OF_ACTIONS = {
    "s3:delimiter": _LISTS,
    "s3:destinationregion": frozenset({"s3:PauseReplication"}),
    "s3:existingobjecttag/": _SEES_TAGS,
    "s3:if-match": frozenset({"s3:DeleteObject", "s3:PutObject"}),
    "s3:if-none-match": frozenset({"s3:PutObject"}),
    "s3:inventoryaccessibleoptionalfields": frozenset({"s3:PutInventoryConfiguration"}),
    "s3:isreplicationpauserequest": frozenset({"s3:PutReplicationConfiguration"}),
    "s3:locationconstraint": frozenset({"s3:CreateBucket"}),
    "s3:max-keys": _LISTS,
    "s3:object-lock-legal-hold": frozenset({"s3:PutObject", "s3:PutObjectLegalHold"}),
    "s3:object-lock-mode": _RETAINS,
    "s3:object-lock-remaining-retention-days": _RETAINS,
    "s3:object-lock-retain-until-date": _RETAINS,
    "s3:objectcreationoperation": frozenset({"s3:PutObject"}),
    "s3:prefix": _LISTS,
    "s3:requestobjecttag/": _SETS_TAGS,
    "s3:requestobjecttagkeys": _SETS_TAGS,
    "s3:versionid": frozenset(
        {
            "s3:DeleteObjectVersion",
            "s3:DeleteObjectVersionTagging",
            "s3:GetObjectVersion",
            "s3:GetObjectVersionAcl",
            "s3:GetObjectVersionAttributes",
            "s3:GetObjectVersionTagging",
            "s3:GetObjectVersionTorrent",
            "s3:PutObjectVersionAcl",
            "s3:PutObjectVersionTagging",
        }
    ),
    "s3:x-amz-acl": _GRANTS,
    "s3:x-amz-bucket-namespace": frozenset({"s3:CreateBucket"}),
    "s3:x-amz-copy-source": _WRITES,
    "s3:x-amz-grant-full-control": _GRANTS,
    "s3:x-amz-grant-read": _GRANTS,
    "s3:x-amz-grant-read-acp": _GRANTS,
    "s3:x-amz-grant-write": _GRANTS,
    "s3:x-amz-grant-write-acp": _GRANTS,
    "s3:x-amz-metadata-directive": _WRITES,
    "s3:x-amz-object-ownership": frozenset({"s3:CreateBucket"}),
    "s3:x-amz-server-side-encryption": _SEALS | {"s3:UpdateObjectEncryption"},
    "s3:x-amz-server-side-encryption-aws-kms-key-id": _SEALS | {"s3:UpdateObjectEncryption"},
    "s3:x-amz-server-side-encryption-customer-algorithm": _SEALS,
    "s3:x-amz-storage-class": _WRITES | {"s3:PutObjectAcl", "s3:PutObjectVersionAcl"},
    "s3:x-amz-website-redirect-location": _WRITES,
}
"""The other keys of S3 that a bucket's policy can ask for, each with the actions that know it."""


def actions_of_key(key: str) -> frozenset[str] | None:
    """The actions that know a key of S3 (in lower case), none of them for all. KeyError for what is no key of S3."""
    family = key.partition("/")[0] + "/" if "/" in key else key
    return None if family in OF_EVERY_ACTION else OF_ACTIONS[family]
