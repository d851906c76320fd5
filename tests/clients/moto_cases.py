"""The calls that `test_against_moto` makes: by case, each on a bucket of its own.

A value with a dollar is filled in: $Bucket is the case's bucket, $ETag, $UploadId, $KeyId and $CiphertextBlob are those
of the last answer that had one, $Parts what was uploaded so far, $V1, $V2, … the versions in the order they were made.
"""

from __future__ import annotations

import json
from typing import Any

Calls = list[tuple[str, dict[str, Any]]]

MIB = 1 << 20
BODY = {"Body": b"0123456789"}

POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::$Bucket/*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}
OWNED_BY_WRITER = {"OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}}

S3_CASES: dict[str, Calls] = {
    "put and get": [("put_object", {"Key": "k", **BODY}), ("get_object", {"Key": "k"}), ("head_object", {"Key": "k"})],
    "put with headers": [
        (
            "put_object",
            {"Key": "k", **BODY, "ContentType": "text/x", "CacheControl": "no-cache", "Metadata": {"a": "b"}},
        ),
        ("head_object", {"Key": "k"}),
    ],
    "get what is not there": [("get_object", {"Key": "k"}), ("head_object", {"Key": "k"})],
    "delete twice": [
        ("put_object", {"Key": "k", **BODY}),
        ("delete_object", {"Key": "k"}),
        ("delete_object", {"Key": "k"}),
        ("get_object", {"Key": "k"}),
    ],
    "ranges": [
        ("put_object", {"Key": "k", **BODY}),
        *(("get_object", {"Key": "k", "Range": f"bytes={asked}"}) for asked in ("0-0", "2-5", "5-", "-3", "5-99")),
        ("get_object", {"Key": "k", "Range": "bytes=10-"}),
        ("get_object", {"Key": "k", "Range": "bytes=5-2"}),
    ],
    "conditions": [
        ("put_object", {"Key": "k", **BODY}),
        ("get_object", {"Key": "k", "IfMatch": "$ETag"}),
        ("get_object", {"Key": "k", "IfMatch": '"x"'}),
        ("get_object", {"Key": "k", "IfNoneMatch": "$ETag"}),
        ("get_object", {"Key": "k", "IfNoneMatch": '"x"'}),
        ("put_object", {"Key": "k", "IfNoneMatch": "*", **BODY}),
        ("put_object", {"Key": "new", "IfNoneMatch": "*", **BODY}),
    ],
    "create a bucket again": [("create_bucket", {})],
    "delete a bucket": [("delete_bucket", {}), ("head_bucket", {}), ("delete_bucket", {}), ("list_objects_v2", {})],
    "delete a bucket with objects": [("put_object", {"Key": "k", **BODY}), ("delete_bucket", {})],
    "location": [("get_bucket_location", {}), ("head_bucket", {})],
    "encryption": [
        ("get_bucket_encryption", {}),
        (
            "put_bucket_encryption",
            {
                "ServerSideEncryptionConfiguration": {
                    "Rules": [
                        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}}
                    ]
                }
            },
        ),
        ("get_bucket_encryption", {}),
        ("delete_bucket_encryption", {}),
    ],
    "listing": [
        *(("put_object", {"Key": key, **BODY}) for key in ("a", "a/1", "a/2", "b c", "b+d", "é/x", "z")),
        ("list_objects_v2", {}),
        ("list_objects_v2", {"Prefix": "a"}),
        ("list_objects_v2", {"Delimiter": "/"}),
        ("list_objects_v2", {"Prefix": "a/", "Delimiter": "/"}),
        ("list_objects_v2", {"StartAfter": "a/1"}),
        ("list_objects_v2", {"MaxKeys": 2}),
        ("list_objects", {}),
        ("list_objects", {"Marker": "a/2"}),
        ("list_objects", {"Delimiter": "/", "Prefix": "é"}),
    ],
    "delete many": [
        ("put_object", {"Key": "a", **BODY}),
        ("delete_objects", {"Delete": {"Objects": [{"Key": "a"}, {"Key": "absent"}]}}),
        ("delete_objects", {"Delete": {"Objects": [{"Key": "a"}], "Quiet": True}}),
        ("list_objects_v2", {}),
    ],
    "copy": [
        ("put_object", {"Key": "k", **BODY, "Metadata": {"a": "b"}, "ContentType": "text/x"}),
        ("copy_object", {"Key": "copy", "CopySource": "$Bucket/k"}),
        ("head_object", {"Key": "copy"}),
        ("copy_object", {"Key": "k", "CopySource": "$Bucket/k"}),
        ("copy_object", {"Key": "other", "CopySource": "$Bucket/k", "MetadataDirective": "REPLACE", "Metadata": {}}),
        ("head_object", {"Key": "other"}),
        ("copy_object", {"Key": "none", "CopySource": "$Bucket/absent"}),
        ("copy_object", {"Key": "none", "CopySource": "never-created-anywhere/k"}),
    ],
    "multipart": [
        ("create_multipart_upload", {"Key": "k"}),
        ("upload_part", {"Key": "k", "UploadId": "$UploadId", "PartNumber": 1, "Body": b"x" * (5 * MIB)}),
        ("upload_part", {"Key": "k", "UploadId": "$UploadId", "PartNumber": 2, "Body": b"tail"}),
        ("list_parts", {"Key": "k", "UploadId": "$UploadId"}),
        ("list_multipart_uploads", {}),
        ("complete_multipart_upload", {"Key": "k", "UploadId": "$UploadId", "MultipartUpload": {"Parts": "$Parts"}}),
        ("head_object", {"Key": "k"}),
        ("get_object", {"Key": "k", "Range": f"bytes={5 * MIB - 2}-{5 * MIB + 1}"}),
        ("list_multipart_uploads", {}),
    ],
    "multipart gone wrong": [
        ("create_multipart_upload", {"Key": "k"}),
        ("upload_part", {"Key": "k", "UploadId": "$UploadId", "PartNumber": 1, "Body": b"small"}),
        ("upload_part", {"Key": "k", "UploadId": "$UploadId", "PartNumber": 2, "Body": b"tail"}),
        ("complete_multipart_upload", {"Key": "k", "UploadId": "$UploadId", "MultipartUpload": {"Parts": "$Parts"}}),
        (
            "complete_multipart_upload",
            {"Key": "k", "UploadId": "$UploadId", "MultipartUpload": {"Parts": [{"PartNumber": 9, "ETag": '"x"'}]}},
        ),
        ("abort_multipart_upload", {"Key": "k", "UploadId": "$UploadId"}),
        ("abort_multipart_upload", {"Key": "k", "UploadId": "$UploadId"}),
        ("upload_part", {"Key": "k", "UploadId": "$UploadId", "PartNumber": 1, "Body": b"late"}),
        ("list_parts", {"Key": "k", "UploadId": "$UploadId"}),
    ],
    "part numbers out of range": [
        ("create_multipart_upload", {"Key": "k"}),
        ("upload_part", {"Key": "k", "UploadId": "$UploadId", "PartNumber": 10_001, "Body": b"x"}),
    ],
    "checksums": [
        ("put_object", {"Key": "k", **BODY, "ChecksumAlgorithm": "SHA256"}),
        ("head_object", {"Key": "k", "ChecksumMode": "ENABLED"}),
    ],
    "content-md5": [
        ("put_object", {"Key": "k", **BODY, "ContentMD5": "eB5eJF1ptWaXm4bijSPyxw=="}),
        ("put_object", {"Key": "k", **BODY, "ContentMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}),
        ("put_object", {"Key": "k", **BODY, "ContentMD5": "nonsense"}),
    ],
    "object tags": [
        ("put_object", {"Key": "k", **BODY, "Tagging": "a=1&b=2"}),
        ("get_object_tagging", {"Key": "k"}),
        ("head_object", {"Key": "k"}),
        (
            "put_object_tagging",
            {"Key": "k", "Tagging": {"TagSet": [{"Key": "z", "Value": ""}, {"Key": "c", "Value": "d"}]}},
        ),
        ("get_object_tagging", {"Key": "k"}),
        ("get_object", {"Key": "k"}),
        ("copy_object", {"Key": "copy", "CopySource": "$Bucket/k"}),
        ("get_object_tagging", {"Key": "copy"}),
        ("copy_object", {"Key": "other", "CopySource": "$Bucket/k", "TaggingDirective": "REPLACE", "Tagging": "x=y"}),
        ("get_object_tagging", {"Key": "other"}),
        ("delete_object_tagging", {"Key": "k"}),
        ("get_object_tagging", {"Key": "k"}),
        ("get_object_tagging", {"Key": "absent"}),
        ("put_object_tagging", {"Key": "absent", "Tagging": {"TagSet": []}}),
        ("delete_object_tagging", {"Key": "absent"}),
    ],
    "object tags that are none": [
        ("put_object", {"Key": "k", **BODY}),
        *(
            ("put_object_tagging", {"Key": "k", "Tagging": {"TagSet": [{"Key": key, "Value": value}]}})
            for key, value in (("aws:x", ""), ("k" * 129, ""), ("k", "v" * 257), ("a,b", ""), ("k", "a;b"))
        ),
        ("put_object_tagging", {"Key": "k", "Tagging": {"TagSet": [{"Key": "a", "Value": "1"}] * 2}}),
        ("put_object_tagging", {"Key": "k", "Tagging": {"TagSet": [{"Key": str(n), "Value": ""} for n in range(11)]}}),
        ("put_object", {"Key": "k", **BODY, "Tagging": "a=1&a=2"}),
        ("get_object_tagging", {"Key": "k"}),
    ],
    "bucket tags": [
        ("get_bucket_tagging", {}),
        ("put_bucket_tagging", {"Tagging": {"TagSet": [{"Key": "z", "Value": ""}, {"Key": "c", "Value": "d"}]}}),
        ("get_bucket_tagging", {}),
        ("put_bucket_tagging", {"Tagging": {"TagSet": [{"Key": "a", "Value": "1"}] * 2}}),
        ("put_bucket_tagging", {"Tagging": {"TagSet": [{"Key": "aws:x", "Value": ""}]}}),
        ("delete_bucket_tagging", {}),
        ("get_bucket_tagging", {}),
        ("delete_bucket_tagging", {}),
    ],
    "storage classes": [
        ("put_object", {"Key": "k", **BODY, "StorageClass": "STANDARD_IA"}),
        ("head_object", {"Key": "k"}),
        ("put_object", {"Key": "k", **BODY, "StorageClass": "SHELF"}),
    ],
    "keys": [
        ("put_object", {"Key": "k" * 1024, **BODY}),
        ("put_object", {"Key": "k" * 1025, **BODY}),
        *(("put_object", {"Key": key, **BODY}) for key in ("//", "a b+c%20", "<&>", "../x")),
        ("list_objects_v2", {}),
    ],
    "no bucket": [
        ("get_object", {"Bucket": "never-created-anywhere", "Key": "k"}),
        ("put_object", {"Bucket": "never-created-anywhere", "Key": "k", **BODY}),
        ("list_objects_v2", {"Bucket": "never-created-anywhere"}),
        ("create_multipart_upload", {"Bucket": "never-created-anywhere", "Key": "k"}),
    ],
    "versions": [
        ("get_bucket_versioning", {}),
        ("put_object", {"Key": "k", "Body": b"before"}),
        ("list_object_versions", {}),
        ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}}),
        ("get_bucket_versioning", {}),
        ("put_object", {"Key": "k", "Body": b"first"}),
        ("put_object", {"Key": "k", "Body": b"second"}),
        ("get_object", {"Key": "k"}),
        ("get_object", {"Key": "k", "VersionId": "$V1"}),
        ("get_object", {"Key": "k", "VersionId": "null"}),
        ("head_object", {"Key": "k", "VersionId": "$V2"}),
        ("get_object", {"Key": "k", "VersionId": "x" * 32}),
        ("list_object_versions", {}),
        ("list_object_versions", {"MaxKeys": 1}),
        ("list_object_versions", {"Prefix": "none"}),
        ("delete_object", {"Key": "k"}),
        ("get_object", {"Key": "k"}),
        ("head_object", {"Key": "k"}),
        ("get_object", {"Key": "k", "VersionId": "$V3"}),
        ("list_object_versions", {}),
        ("list_objects_v2", {}),
        ("delete_object", {"Key": "k", "VersionId": "$V3"}),
        ("get_object", {"Key": "k"}),
        ("delete_object", {"Key": "k", "VersionId": "$V2"}),
        ("get_object", {"Key": "k"}),
        ("delete_object", {"Key": "k", "VersionId": "null"}),
        ("list_object_versions", {}),
        ("delete_bucket", {}),
        ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Suspended"}}),
        ("get_bucket_versioning", {}),
        ("put_object", {"Key": "k", "Body": b"suspended"}),
        ("list_object_versions", {}),
        ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Sideways"}}),
    ],
    "copies and deletions of versions": [
        ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}}),
        ("put_object", {"Key": "k", "Body": b"first", "Metadata": {"a": "1"}}),
        ("put_object", {"Key": "k", "Body": b"second"}),
        ("copy_object", {"Key": "copy", "CopySource": "$Bucket/k?versionId=$V1"}),
        ("get_object", {"Key": "copy"}),
        ("copy_object", {"Key": "k", "CopySource": "$Bucket/k?versionId=$V1"}),
        ("get_object", {"Key": "k"}),
        ("copy_object", {"Key": "copy", "CopySource": "$Bucket/k?versionId=xyz"}),
        ("get_object_tagging", {"Key": "k", "VersionId": "$V1"}),
        ("put_object_tagging", {"Key": "k", "VersionId": "$V1", "Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}}),
        ("get_object_tagging", {"Key": "k", "VersionId": "$V1"}),
        ("get_object_tagging", {"Key": "k"}),
        ("delete_objects", {"Delete": {"Objects": [{"Key": "k", "VersionId": "$V1"}, {"Key": "copy"}]}}),
        ("list_object_versions", {"KeyMarker": "copy"}),
        ("list_object_versions", {"Delimiter": "p"}),
        ("get_object", {"Key": "copy"}),
        ("create_multipart_upload", {"Key": "m"}),
        ("upload_part", {"Key": "m", "UploadId": "$UploadId", "PartNumber": 1, "Body": b"part"}),
        ("complete_multipart_upload", {"Key": "m", "UploadId": "$UploadId", "MultipartUpload": {"Parts": "$Parts"}}),
        ("head_object", {"Key": "m"}),
    ],
    "attributes": [
        ("put_object", {"Key": "k", **BODY, "ChecksumAlgorithm": "SHA256"}),
        (
            "get_object_attributes",
            {"Key": "k", "ObjectAttributes": ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]},
        ),
        *(("get_object_attributes", {"Key": "k", "ObjectAttributes": [name]}) for name in ("ETag", "ObjectSize")),
        ("get_object_attributes", {"Key": "absent", "ObjectAttributes": ["ETag"]}),
    ],
    "parts that are copied": [
        ("put_object", {"Key": "source", "Body": b"x" * (5 * MIB + 7)}),
        ("create_multipart_upload", {"Key": "k"}),
        *(
            (
                "upload_part_copy",
                {
                    "Key": "k",
                    "UploadId": "$UploadId",
                    "PartNumber": number,
                    "CopySource": "$Bucket/source",
                    "CopySourceRange": asked,
                },
            )
            for number, asked in ((1, f"bytes=0-{5 * MIB - 1}"), (2, f"bytes={5 * MIB}-{5 * MIB + 6}"))
        ),
        ("list_parts", {"Key": "k", "UploadId": "$UploadId"}),
        ("complete_multipart_upload", {"Key": "k", "UploadId": "$UploadId", "MultipartUpload": {"Parts": "$Parts"}}),
        ("head_object", {"Key": "k"}),
        ("get_object", {"Key": "k", "Range": "bytes=-9"}),
    ],
    "parts that cannot be copied": [
        ("put_object", {"Key": "source", **BODY}),
        ("create_multipart_upload", {"Key": "k"}),
        *(
            (
                "upload_part_copy",
                {"Key": "k", "UploadId": "$UploadId", "PartNumber": 1, "CopySource": "$Bucket/source", **wrong},
            )
            for wrong in (
                {"CopySource": "$Bucket/absent"},
                {"CopySource": "never-created-anywhere/k"},
                {"CopySourceRange": "bytes=0-10"},
                {"UploadId": "none"},
            )
        ),
        ("list_parts", {"Key": "k", "UploadId": "$UploadId"}),
    ],
    "list buckets": [
        ("list_buckets", {"Bucket": None, "Prefix": "$Bucket"}),
        ("list_buckets", {"Bucket": None, "Prefix": "$Bucket", "MaxBuckets": 1}),
        ("list_buckets", {"Bucket": None, "Prefix": "no-bucket-begins-so"}),
    ],
    "bucket policy": [
        ("get_bucket_policy", {}),
        ("get_bucket_policy_status", {}),
        ("put_bucket_policy", {"Policy": json.dumps(POLICY)}),
        ("get_bucket_policy", {}),
        ("get_bucket_policy_status", {}),
        ("put_bucket_policy", {"Policy": "no policy"}),
        ("put_bucket_policy", {"Policy": "{}"}),
        ("get_bucket_policy", {}),
        ("delete_bucket_policy", {}),
        ("get_bucket_policy", {}),
        ("delete_bucket_policy", {}),
    ],
    "public access block": [
        ("get_public_access_block", {}),
        ("put_public_access_block", {"PublicAccessBlockConfiguration": {"BlockPublicPolicy": True}}),
        ("get_public_access_block", {}),
        ("delete_public_access_block", {}),
        ("get_public_access_block", {}),
        ("delete_public_access_block", {}),
    ],
    "ownership controls": [
        ("get_bucket_ownership_controls", {}),
        ("put_bucket_ownership_controls", OWNED_BY_WRITER),
        ("get_bucket_ownership_controls", {}),
        ("put_bucket_ownership_controls", {"OwnershipControls": {"Rules": [{"ObjectOwnership": "Nobody"}]}}),
        ("delete_bucket_ownership_controls", {}),
        ("get_bucket_ownership_controls", {}),
    ],
    "access control lists": [
        ("delete_public_access_block", {}),
        ("put_bucket_ownership_controls", OWNED_BY_WRITER),
        ("get_bucket_acl", {}),
        ("put_bucket_acl", {"ACL": "public-read"}),
        ("get_bucket_acl", {}),
        ("put_bucket_acl", {"ACL": "private"}),
        ("get_bucket_acl", {}),
        ("put_bucket_acl", {"ACL": "secret"}),
        ("put_object", {"Key": "k", **BODY}),
        ("get_object_acl", {"Key": "k"}),
        ("put_object_acl", {"Key": "k", "ACL": "public-read"}),
        ("get_object_acl", {"Key": "k"}),
        ("put_object_acl", {"Key": "k", "GrantRead": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'}),
        ("get_object_acl", {"Key": "k"}),
        ("put_object", {"Key": "open", "ACL": "authenticated-read", **BODY}),
        ("get_object_acl", {"Key": "open"}),
        ("get_object_acl", {"Key": "absent"}),
        ("put_object_acl", {"Key": "absent", "ACL": "private"}),
    ],
    "redirections": [
        ("put_object", {"Key": "k", **BODY, "WebsiteRedirectLocation": "/elsewhere"}),
        ("head_object", {"Key": "k"}),
        ("get_object", {"Key": "k"}),
        ("copy_object", {"Key": "copy", "CopySource": "$Bucket/k"}),
        ("head_object", {"Key": "copy"}),
        ("put_object", {"Key": "k", **BODY, "WebsiteRedirectLocation": "elsewhere"}),
    ],
}

KMS_CASES: dict[str, Calls] = {
    "make and describe": [
        ("create_key", {"Description": "a key"}),
        ("describe_key", {"KeyId": "$KeyId"}),
        ("describe_key", {"KeyId": "00000000-0000-4000-8000-000000000000"}),
        ("describe_key", {"KeyId": "alias/absent"}),
    ],
    "encrypt and decrypt": [
        ("create_key", {}),
        ("encrypt", {"KeyId": "$KeyId", "Plaintext": b"secret", "EncryptionContext": {"a": "b"}}),
        ("decrypt", {"CiphertextBlob": "$CiphertextBlob", "EncryptionContext": {"a": "b"}}),
        ("decrypt", {"CiphertextBlob": "$CiphertextBlob"}),
        ("decrypt", {"CiphertextBlob": b"nonsense"}),
        ("encrypt", {"KeyId": "$KeyId", "Plaintext": b"x" * 4097}),
    ],
    "disable and enable": [
        ("create_key", {}),
        ("encrypt", {"KeyId": "$KeyId", "Plaintext": b"secret"}),
        ("disable_key", {"KeyId": "$KeyId"}),
        ("encrypt", {"KeyId": "$KeyId", "Plaintext": b"secret"}),
        ("decrypt", {"CiphertextBlob": "$CiphertextBlob"}),
        ("enable_key", {"KeyId": "$KeyId"}),
        ("decrypt", {"CiphertextBlob": "$CiphertextBlob"}),
    ],
    "schedule and cancel deletion": [
        ("create_key", {}),
        ("schedule_key_deletion", {"KeyId": "$KeyId", "PendingWindowInDays": 7}),
        ("describe_key", {"KeyId": "$KeyId"}),
        ("cancel_key_deletion", {"KeyId": "$KeyId"}),
        ("describe_key", {"KeyId": "$KeyId"}),
    ],
    "aliases": [
        ("create_key", {}),
        ("create_alias", {"AliasName": "alias/$Unique", "TargetKeyId": "$KeyId"}),
        ("create_alias", {"AliasName": "alias/$Unique", "TargetKeyId": "$KeyId"}),
        ("describe_key", {"KeyId": "alias/$Unique"}),
        ("create_alias", {"AliasName": "no-prefix", "TargetKeyId": "$KeyId"}),
        ("create_alias", {"AliasName": "alias/aws/mine", "TargetKeyId": "$KeyId"}),
        ("list_aliases", {"KeyId": "$KeyId"}),
        ("delete_alias", {"AliasName": "alias/$Unique"}),
        ("delete_alias", {"AliasName": "alias/$Unique"}),
    ],
    "data keys": [
        ("create_key", {}),
        ("generate_data_key", {"KeyId": "$KeyId", "KeySpec": "AES_128"}),
        ("generate_data_key", {"KeyId": "$KeyId", "NumberOfBytes": 64}),
        ("generate_data_key", {"KeyId": "$KeyId"}),
        ("generate_data_key", {"KeyId": "$KeyId", "KeySpec": "AES_256", "NumberOfBytes": 32}),
        ("generate_data_key_without_plaintext", {"KeyId": "$KeyId", "KeySpec": "AES_256"}),
        ("generate_random", {"NumberOfBytes": 32}),
        ("generate_random", {"NumberOfBytes": 1025}),
    ],
    "re-encrypt": [
        ("create_key", {}),
        ("encrypt", {"KeyId": "$KeyId", "Plaintext": b"secret"}),
        ("create_key", {}),
        ("re_encrypt", {"CiphertextBlob": "$CiphertextBlob", "DestinationKeyId": "$KeyId"}),
        ("decrypt", {"CiphertextBlob": "$CiphertextBlob", "KeyId": "$KeyId"}),
    ],
}
