"""The rows of the operation table: what is served; `gateway.operations.unserved` has the rest of the S3 model.

`gateway.operations.absent_rows` has the rows of configurations that no bucket has here.

Names, methods and parameters are those of the service model (botocore `s3`), actions those of the Service
Authorization Reference; `tests/gateway/operations/test_rows.py` holds both against the installed model.
"""

from __future__ import annotations

from gateway.operations import rights
from gateway.operations.absent_rows import ABSENT
from gateway.operations.bucket import (
    acl,
    cors,
    create,
    delete,
    delete_objects,
    encryption,
    head,
    lifecycle,
    list_objects,
    list_versions,
    location,
    policy,
    public_access,
    settings,
    tagging,
    versioning,
)
from gateway.operations.multipart import abort, complete, list_parts, list_uploads, upload_part, upload_part_copy
from gateway.operations.multipart import create as create_upload
from gateway.operations.object import acl as object_acl
from gateway.operations.object import attributes, copy, get, post, put, rename, restore, select, update_encryption
from gateway.operations.object import delete as delete_object
from gateway.operations.object import tagging as object_tagging
from gateway.operations.service import list_buckets
from gateway.operations.table import VERSION_ID, Body, Operation, OperationTable, Target
from gateway.operations.unserved import UNSERVED

SERVICE, BUCKET, OBJECT = Target.SERVICE, Target.BUCKET, Target.OBJECT


UPDATE_OBJECT_ENCRYPTION = Operation(
    "UpdateObjectEncryption",
    "PUT",
    OBJECT,
    update_encryption.ACTION,
    ("encryption",),
    body=Body.DOCUMENT,
    authorises_each=True,
    accepts=(VERSION_ID,),
    also=rights.REWRAPS,
    handler=update_encryption.handle,
)

SERVED = (
    Operation("ListBuckets", "GET", SERVICE, "s3:ListAllMyBuckets", handler=list_buckets.handle),
    Operation(
        "CreateBucket",
        "PUT",
        BUCKET,
        "s3:CreateBucket",
        body=Body.DOCUMENT,
        also=rights.MAKES_BUCKET,
        handler=create.handle,
    ),
    Operation("HeadBucket", "HEAD", BUCKET, "s3:ListBucket", handler=head.handle),
    Operation("DeleteBucket", "DELETE", BUCKET, "s3:DeleteBucket", handler=delete.handle),
    Operation("GetBucketLocation", "GET", BUCKET, "s3:GetBucketLocation", ("location",), handler=location.handle),
    Operation(
        "PutBucketEncryption",
        "PUT",
        BUCKET,
        "s3:PutEncryptionConfiguration",
        ("encryption",),
        body=Body.DOCUMENT,
        handler=encryption.put,
    ),
    Operation(
        "GetBucketEncryption", "GET", BUCKET, "s3:GetEncryptionConfiguration", ("encryption",), handler=encryption.get
    ),
    Operation(
        "DeleteBucketEncryption",
        "DELETE",
        BUCKET,
        "s3:PutEncryptionConfiguration",
        ("encryption",),
        handler=encryption.delete,
    ),
    Operation("PutBucketCors", "PUT", BUCKET, "s3:PutBucketCORS", ("cors",), body=Body.DOCUMENT, handler=cors.put),
    Operation("GetBucketCors", "GET", BUCKET, "s3:GetBucketCORS", ("cors",), handler=cors.get),
    Operation("DeleteBucketCors", "DELETE", BUCKET, "s3:PutBucketCORS", ("cors",), handler=cors.delete),
    Operation(
        "PutBucketLifecycleConfiguration",
        "PUT",
        BUCKET,
        "s3:PutLifecycleConfiguration",
        ("lifecycle",),
        body=Body.DOCUMENT,
        handler=lifecycle.put,
    ),
    Operation(
        "GetBucketLifecycleConfiguration",
        "GET",
        BUCKET,
        "s3:GetLifecycleConfiguration",
        ("lifecycle",),
        handler=lifecycle.get,
    ),
    Operation(
        "DeleteBucketLifecycle",
        "DELETE",
        BUCKET,
        "s3:PutLifecycleConfiguration",
        ("lifecycle",),
        handler=lifecycle.delete,
    ),
    Operation("GetBucketVersioning", "GET", BUCKET, "s3:GetBucketVersioning", ("versioning",), handler=versioning.get),
    Operation(
        "PutBucketVersioning",
        "PUT",
        BUCKET,
        "s3:PutBucketVersioning",
        ("versioning",),
        body=Body.DOCUMENT,
        handler=versioning.put,
    ),
    Operation("GetBucketTagging", "GET", BUCKET, "s3:GetBucketTagging", ("tagging",), handler=tagging.get),
    Operation(
        "PutBucketTagging",
        "PUT",
        BUCKET,
        "s3:PutBucketTagging",
        ("tagging",),
        body=Body.DOCUMENT,
        handler=tagging.put,
    ),
    Operation("DeleteBucketTagging", "DELETE", BUCKET, "s3:PutBucketTagging", ("tagging",), handler=tagging.delete),
    Operation(
        "PutBucketPolicy", "PUT", BUCKET, "s3:PutBucketPolicy", ("policy",), body=Body.DOCUMENT, handler=policy.put
    ),
    Operation("GetBucketPolicy", "GET", BUCKET, "s3:GetBucketPolicy", ("policy",), handler=policy.get),
    Operation("DeleteBucketPolicy", "DELETE", BUCKET, "s3:DeleteBucketPolicy", ("policy",), handler=policy.delete),
    Operation(
        "GetBucketPolicyStatus",
        "GET",
        BUCKET,
        "s3:GetBucketPolicyStatus",
        ("policyStatus",),
        handler=policy.get_status,
    ),
    Operation("PutBucketAcl", "PUT", BUCKET, "s3:PutBucketAcl", ("acl",), body=Body.DOCUMENT, handler=acl.put),
    Operation("GetBucketAcl", "GET", BUCKET, "s3:GetBucketAcl", ("acl",), handler=acl.get),
    Operation(
        "PutObjectAcl",
        "PUT",
        OBJECT,
        "s3:PutObjectAcl",
        ("acl",),
        body=Body.DOCUMENT,
        accepts=(VERSION_ID,),
        handler=object_acl.put,
    ),
    Operation(
        "GetObjectAcl", "GET", OBJECT, "s3:GetObjectAcl", ("acl",), accepts=(VERSION_ID,), handler=object_acl.get
    ),
    Operation(
        "PutPublicAccessBlock",
        "PUT",
        BUCKET,
        "s3:PutBucketPublicAccessBlock",
        ("publicAccessBlock",),
        body=Body.DOCUMENT,
        handler=public_access.put_block,
    ),
    Operation(
        "GetPublicAccessBlock",
        "GET",
        BUCKET,
        "s3:GetBucketPublicAccessBlock",
        ("publicAccessBlock",),
        handler=public_access.get_block,
    ),
    Operation(
        "DeletePublicAccessBlock",
        "DELETE",
        BUCKET,
        "s3:PutBucketPublicAccessBlock",
        ("publicAccessBlock",),
        handler=public_access.delete_block,
    ),
    Operation(
        "PutBucketOwnershipControls",
        "PUT",
        BUCKET,
        "s3:PutBucketOwnershipControls",
        ("ownershipControls",),
        body=Body.DOCUMENT,
        handler=public_access.put_ownership,
    ),
    Operation(
        "GetBucketOwnershipControls",
        "GET",
        BUCKET,
        "s3:GetBucketOwnershipControls",
        ("ownershipControls",),
        handler=public_access.get_ownership,
    ),
    Operation(
        "DeleteBucketOwnershipControls",
        "DELETE",
        BUCKET,
        "s3:PutBucketOwnershipControls",
        ("ownershipControls",),
        handler=public_access.delete_ownership,
    ),
    Operation(
        "PutBucketRequestPayment",
        "PUT",
        BUCKET,
        "s3:PutBucketRequestPayment",
        ("requestPayment",),
        body=Body.DOCUMENT,
        handler=settings.put_request_payment,
    ),
    Operation(
        "GetBucketRequestPayment",
        "GET",
        BUCKET,
        "s3:GetBucketRequestPayment",
        ("requestPayment",),
        handler=settings.get_request_payment,
    ),
    Operation(
        "PutBucketAccelerateConfiguration",
        "PUT",
        BUCKET,
        "s3:PutAccelerateConfiguration",
        ("accelerate",),
        body=Body.DOCUMENT,
        handler=settings.put_acceleration,
    ),
    Operation(
        "GetBucketAccelerateConfiguration",
        "GET",
        BUCKET,
        "s3:GetAccelerateConfiguration",
        ("accelerate",),
        handler=settings.get_acceleration,
    ),
    Operation(
        "PutBucketAbac", "PUT", BUCKET, "s3:PutBucketAbac", ("abac",), body=Body.DOCUMENT, handler=settings.put_abac
    ),
    Operation("GetBucketAbac", "GET", BUCKET, "s3:GetBucketAbac", ("abac",), handler=settings.get_abac),
    Operation(
        "ListObjectVersions", "GET", BUCKET, "s3:ListBucketVersions", ("versions",), handler=list_versions.handle
    ),
    Operation("ListObjects", "GET", BUCKET, "s3:ListBucket", handler=list_objects.handle_v1),
    Operation("ListObjectsV2", "GET", BUCKET, "s3:ListBucket", ("list-type=2",), handler=list_objects.handle_v2),
    Operation(
        "DeleteObjects",
        "POST",
        BUCKET,
        "s3:DeleteObject",
        ("delete",),
        body=Body.DOCUMENT,
        authorises_each=True,
        also=(rights.COMPARES,),
        handler=delete_objects.handle,
    ),
    Operation(
        "ListMultipartUploads",
        "GET",
        BUCKET,
        "s3:ListBucketMultipartUploads",
        ("uploads",),
        handler=list_uploads.handle,
    ),
    Operation(
        "GetObject",
        "GET",
        OBJECT,
        "s3:GetObject",
        accepts=("partNumber", VERSION_ID),
        also=(rights.DECRYPTS, *rights.TELLS_TAG_COUNT),
        handler=get.handle_get,
    ),
    Operation(
        "HeadObject",
        "HEAD",
        OBJECT,
        "s3:GetObject",
        accepts=("partNumber", VERSION_ID),
        also=rights.TELLS_TAG_COUNT,
        handler=get.handle_head,
    ),
    Operation(
        "GetObjectAttributes",
        "GET",
        OBJECT,
        "s3:GetObjectAttributes",
        ("attributes",),
        accepts=(VERSION_ID,),
        also=rights.READS_ATTRIBUTES,
        handler=attributes.handle,
    ),
    Operation("PutObject", "PUT", OBJECT, "s3:PutObject", body=Body.STREAM, also=rights.WRITES, handler=put.handle),
    # Told apart from other POSTs on a bucket by having no parameter of its own.
    Operation(
        "PostObject", "POST", BUCKET, "s3:PutObject", body=Body.FORM, also=rights.BEGINS_UPLOAD, handler=post.handle
    ),
    Operation(
        "CopyObject",
        "PUT",
        OBJECT,
        "s3:PutObject",
        header="x-amz-copy-source",
        also=(*rights.READS_SOURCE, *rights.COPIES_TAGS, *rights.WRITES),
        handler=copy.handle,
    ),
    Operation(
        "RestoreObject",
        "POST",
        OBJECT,
        "s3:RestoreObject",
        ("restore",),
        body=Body.DOCUMENT,
        accepts=(VERSION_ID,),
        handler=restore.handle,
    ),
    Operation(
        "SelectObjectContent", "POST", OBJECT, "s3:GetObject", ("select", "select-type=2"), handler=select.handle
    ),
    Operation(
        "RenameObject", "PUT", OBJECT, "s3:PutObject", ("renameObject",), also=rights.RENAMES, handler=rename.handle
    ),
    UPDATE_OBJECT_ENCRYPTION,
    Operation(
        "DeleteObject",
        "DELETE",
        OBJECT,
        "s3:DeleteObject",
        accepts=(VERSION_ID,),
        also=(rights.COMPARES,),
        handler=delete_object.handle,
    ),
    Operation(
        "GetObjectTagging",
        "GET",
        OBJECT,
        "s3:GetObjectTagging",
        ("tagging",),
        accepts=(VERSION_ID,),
        handler=object_tagging.get,
    ),
    Operation(
        "PutObjectTagging",
        "PUT",
        OBJECT,
        object_tagging.PUT_ACTION,
        ("tagging",),
        body=Body.DOCUMENT,
        authorises_each=True,
        accepts=(VERSION_ID,),
        handler=object_tagging.put,
    ),
    Operation(
        "DeleteObjectTagging",
        "DELETE",
        OBJECT,
        "s3:DeleteObjectTagging",
        ("tagging",),
        accepts=(VERSION_ID,),
        handler=object_tagging.delete,
    ),
    Operation(
        "CreateMultipartUpload",
        "POST",
        OBJECT,
        "s3:PutObject",
        ("uploads",),
        also=rights.BEGINS_UPLOAD,
        handler=create_upload.handle,
    ),
    Operation(
        "UploadPart",
        "PUT",
        OBJECT,
        "s3:PutObject",
        ("partNumber", "uploadId"),
        body=Body.STREAM,
        also=(rights.DECRYPTS,),
        handler=upload_part.handle,
    ),
    Operation(
        "UploadPartCopy",
        "PUT",
        OBJECT,
        "s3:PutObject",
        ("partNumber", "uploadId"),
        header="x-amz-copy-source",
        also=(*rights.READS_SOURCE, rights.DECRYPTS),
        handler=upload_part_copy.handle,
    ),
    Operation(
        "CompleteMultipartUpload",
        "POST",
        OBJECT,
        "s3:PutObject",
        ("uploadId",),
        body=Body.DOCUMENT,
        also=(rights.COMPARES, rights.DECRYPTS),
        handler=complete.handle,
    ),
    Operation("AbortMultipartUpload", "DELETE", OBJECT, "s3:AbortMultipartUpload", ("uploadId",), handler=abort.handle),
    Operation("ListParts", "GET", OBJECT, "s3:ListMultipartUploadParts", ("uploadId",), handler=list_parts.handle),
    *ABSENT,
)

OPERATIONS = OperationTable((*SERVED, *UNSERVED))
