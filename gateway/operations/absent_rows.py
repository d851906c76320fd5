"""Rows of the configurations that no bucket has here: asked for, listed, removed as on AWS. To put one is unserved."""

from __future__ import annotations

from gateway.operations.bucket.absent import (
    LOGGING,
    NOTIFICATION,
    delete,
    empty,
    empty_list,
    missing,
    no_such_configuration,
    put_empty,
    without_object_lock,
)
from gateway.operations.table import VERSION_ID, Body, Operation, Target

BUCKET, OBJECT = Target.BUCKET, Target.OBJECT


def _one(name: str, parameter: str, code: str, *, action: str | None = None) -> list[Operation]:
    """The Get and Delete of a kind of which a bucket has at most one. `action` is named where it is not `name`'s."""
    removes = f"s3:Put{action}" if action else f"s3:Delete{name}"
    return [
        Operation(f"Get{name}", "GET", BUCKET, f"s3:Get{action or name}", (parameter,), handler=missing(code)),
        Operation(f"Delete{name}", "DELETE", BUCKET, removes, (parameter,), handler=delete),
    ]


def _many(kind: str, parameter: str, root: str) -> list[Operation]:
    """Get, Delete and List of a kind of which a bucket has several, each with an id."""
    reads, writes = f"s3:Get{kind}Configuration", f"s3:Put{kind}Configuration"
    name, one = f"Bucket{kind}Configuration", (parameter, "id")
    return [
        Operation(f"Get{name}", "GET", BUCKET, reads, one, handler=no_such_configuration),
        Operation(f"Delete{name}", "DELETE", BUCKET, writes, one, handler=no_such_configuration),
        Operation(f"List{name}s", "GET", BUCKET, reads, (parameter,), handler=empty_list(root)),
    ]


def _switched_off(name: str, parameter: str, action: str, root: str) -> list[Operation]:
    """Get, and Put of the document that asks for nothing."""
    return [
        Operation(f"Get{name}", "GET", BUCKET, f"s3:Get{action}", (parameter,), handler=empty(root)),
        Operation(
            f"Put{name}", "PUT", BUCKET, f"s3:Put{action}", (parameter,), body=Body.DOCUMENT, handler=put_empty(root)
        ),
    ]


ABSENT = (
    *_one(
        "BucketReplication",
        "replication",
        "ReplicationConfigurationNotFoundError",
        action="ReplicationConfiguration",
    ),
    *_one("BucketWebsite", "website", "NoSuchWebsiteConfiguration"),
    *_one("BucketMetadataTableConfiguration", "metadataTable", "MetadataConfigurationNotFound"),
    # The actions of the older two name the newer ones as well (API_GetBucketMetadataConfiguration, "Permissions").
    Operation(
        "GetBucketMetadataConfiguration",
        "GET",
        BUCKET,
        "s3:GetBucketMetadataTableConfiguration",
        ("metadataConfiguration",),
        handler=missing("MetadataConfigurationNotFound"),
    ),
    Operation(
        "DeleteBucketMetadataConfiguration",
        "DELETE",
        BUCKET,
        "s3:DeleteBucketMetadataTableConfiguration",
        ("metadataConfiguration",),
        handler=delete,
    ),
    *_many("Analytics", "analytics", "ListBucketAnalyticsConfigurationResult"),
    *_many("IntelligentTiering", "intelligent-tiering", "ListBucketIntelligentTieringConfigurationsOutput"),
    *_many("Inventory", "inventory", "ListInventoryConfigurationsResult"),
    *_many("Metrics", "metrics", "ListMetricsConfigurationsResult"),
    *_switched_off("BucketLogging", "logging", "BucketLogging", LOGGING),
    *_switched_off("BucketNotificationConfiguration", "notification", "BucketNotification", NOTIFICATION),
    Operation(
        "GetObjectLockConfiguration",
        "GET",
        BUCKET,
        "s3:GetBucketObjectLockConfiguration",
        ("object-lock",),
        handler=missing("ObjectLockConfigurationNotFoundError"),
    ),
    Operation(
        "GetObjectRetention",
        "GET",
        OBJECT,
        "s3:GetObjectRetention",
        ("retention",),
        accepts=(VERSION_ID,),
        handler=without_object_lock,
    ),
    Operation(
        "GetObjectLegalHold",
        "GET",
        OBJECT,
        "s3:GetObjectLegalHold",
        ("legal-hold",),
        accepts=(VERSION_ID,),
        handler=without_object_lock,
    ),
)
