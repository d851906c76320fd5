"""The operations of the S3 model that are not served: recognised, authenticated, and answered NotImplemented."""

from __future__ import annotations

from gateway.operations.table import Operation, Target

BUCKET, OBJECT = Target.BUCKET, Target.OBJECT


def _unserved(
    name: str, method: str, target: Target, *query: str, action: str | None = None, header: str | None = None
) -> Operation:
    """`action` is named where it differs from the operation's name."""
    return Operation(name, method, target, action or f"s3:{name}", query=query, header=header)


UNSERVED = (
    _unserved(
        "CreateBucketMetadataConfiguration",
        "POST",
        BUCKET,
        "metadataConfiguration",
        action="s3:CreateBucketMetadataTableConfiguration",
    ),
    _unserved("CreateBucketMetadataTableConfiguration", "POST", BUCKET, "metadataTable"),
    _unserved("CreateSession", "GET", BUCKET, "session", action="s3express:CreateSession"),
    _unserved("DeleteObjectAnnotation", "DELETE", OBJECT, "annotation", "annotationName"),
    _unserved("GetObjectAnnotation", "GET", OBJECT, "annotation", "annotationName"),
    _unserved("GetObjectTorrent", "GET", OBJECT, "torrent"),
    _unserved("ListObjectAnnotations", "GET", OBJECT, "annotation"),
    _unserved(
        "PutBucketAnalyticsConfiguration", "PUT", BUCKET, "analytics", "id", action="s3:PutAnalyticsConfiguration"
    ),
    _unserved(
        "PutBucketIntelligentTieringConfiguration",
        "PUT",
        BUCKET,
        "intelligent-tiering",
        "id",
        action="s3:PutIntelligentTieringConfiguration",
    ),
    _unserved(
        "PutBucketInventoryConfiguration", "PUT", BUCKET, "inventory", "id", action="s3:PutInventoryConfiguration"
    ),
    _unserved("PutBucketMetricsConfiguration", "PUT", BUCKET, "metrics", "id", action="s3:PutMetricsConfiguration"),
    _unserved("PutBucketReplication", "PUT", BUCKET, "replication", action="s3:PutReplicationConfiguration"),
    _unserved("PutBucketWebsite", "PUT", BUCKET, "website"),
    _unserved("PutObjectAnnotation", "PUT", OBJECT, "annotation", "annotationName"),
    _unserved("PutObjectLegalHold", "PUT", OBJECT, "legal-hold"),
    _unserved("PutObjectLockConfiguration", "PUT", BUCKET, "object-lock", action="s3:PutBucketObjectLockConfiguration"),
    _unserved("PutObjectRetention", "PUT", OBJECT, "retention"),
    _unserved("UpdateBucketMetadataAnnotationTableConfiguration", "PUT", BUCKET, "metadataAnnotationTable"),
    _unserved("UpdateBucketMetadataInventoryTableConfiguration", "PUT", BUCKET, "metadataInventoryTable"),
    _unserved("UpdateBucketMetadataJournalTableConfiguration", "PUT", BUCKET, "metadataJournalTable"),
)
