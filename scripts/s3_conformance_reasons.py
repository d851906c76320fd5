"""Why tests of ceph/s3-tests fail here that AWS is said to pass, by their names."""

from __future__ import annotations

import re

REASONS = (
    (
        r"test_assume_role_(allow|deny)_head_nonexistent",
        "The suite's policy of a role has a Principal: MalformedPolicyDocument, as on IAM",
    ),
    (
        r"test_assume_role_with_web_identity_for_all_values_deny",
        "A tag of a session has one value on AWS; the suite's token of a user has two of one key",
    ),
    (
        r"test_assume_role_with_web_identity_tag_keys_role_policy",
        "aws:TagKeys are those of a request, as on AWS; the suite takes them for those of the session",
    ),
    (
        r"test_assume_role_with_web_identity_(role_)?resource_tag$",
        "The suite gives a bucket two tags of one key: InvalidTag, as on S3",
    ),
    (
        r"test_assume_role_with_web_identity_resource_tag_(princ_tag|copy_obj)",
        "s3:ResourceTag is a condition key of Ceph's, and an object has one tag of a key",
    ),
    (
        r"test_get_session_token$",
        "sts:authentication is a condition key of Ceph's; without it the policy denies all of S3, as on AWS",
    ),
    (r"test_allow_tagging_actions_in_user_policy", "PutBucketTagging answers 204, as recorded from S3"),
    (r"test_verify_allow_iam_actions", "The suite's policy names a user by an ARN without an account: it names nobody"),
    (
        r"test_(same|cross)_account_role_policy_allow|test_account_role_policy_allow_(create_bucket|get_role)",
        "A user of another account needs a policy of its own, besides the role's trust, to assume a role, as on AWS",
    ),
    (
        r"test_account_oidc_provider|test_verify_.*_oidc",
        "The URL of an OpenID Connect provider begins with https://, as IAM demands; the suite's does not",
    ),
    (
        r"test_bucket_policy_deny_self_denied_policy_confirm_header",
        "The root user of the owning account may always read, put and delete the bucket's policy, as on S3",
    ),
    (r"test_.*_grant_account_email", "S3 has not taken grants by e-mail address since October 2025"),
    (
        r"test_(bucket|object|versioned_object)_acl|test_put_bucket_acl_grant_group_read|test_.*_acl_grants",
        "The suite depends on Ceph's order of grants, groups first; the order means nothing, and here is the ACL's",
    ),
    (r"test_bucket_listv2_continuationtoken_empty", "S3 refuses an empty continuation token"),
    (r"test_object_write_with_chunked", "S3 answers Transfer-Encoding: chunked by NotImplemented, too"),
    (r"test_expected_bucket_owner", "What is no account id is InvalidBucketOwnerAWSAccountID (400), as on S3"),
    (
        r"test_object_set_get_unicode_metadata",
        "S3 tells metadata beyond ASCII as RFC 2047 encoded words; the suite expects raw bytes",
    ),
    (
        r"test_object_raw_get_x_amz_expires_out|test_object_raw_put_authenticated_expired",
        "An impossible X-Amz-Expires is AuthorizationQueryParametersError (400), as on S3; the suite expects 403",
    ),
    (r"test_bucket_recreate_", "In us-east-1 the owner may create a bucket again (200), as on S3"),
    (r"test_multipart_upload_empty", "Completing nothing is InvalidRequest, as on S3; the suite expects MalformedXML"),
    (r"test_multipart_copy_invalid_range", "A range beyond the source is InvalidArgument (400), as recorded from S3"),
    (
        r"test_encryption_sse_c_(other_key|multipart_bad_download)",
        "Another key than the object's is AccessDenied (403), as recorded from S3; the suite expects 400",
    ),
    (
        r"test_copy_part_enc\[.*-sse-c-STANDARD",
        "An upload by SSE-C that was begun without a checksum is completed without its key, as recorded from S3",
    ),
    (
        r"test_multipart_sse_c_get_part",
        "A part sent again has another ETag by SSE-C, as recorded from S3; the suite completes with the first one's",
    ),
    (
        r"test_(multipart|multipart_single|non_multipart)(_sse_c)?_get_part",
        "A part that does not exist is InvalidPartNumber (416), as recorded from S3; the suite wants InvalidPart (400)",
    ),
    (r"test_sse_kms_no_key", "Without a key the account's own (aws/s3) is used, as on S3; Ceph has none"),
    (r"test_bucket_policy_multipart", "A policy whose action fits none of its resources is MalformedPolicy, as on S3"),
    (r"test_bucket_policy_(different_tenant|tenanted_bucket)|test_bucketv2_policy_.*tenant", "Tenants are Ceph's"),
    (
        r"test_bucket_policy_set_condition_operator_end_with_IfExists",
        "A condition that does not hold denies nothing to the bucket's owner, who needs no policy",
    ),
    (
        r"test_bucket_policy_put_obj_request_obj_tag",
        "The suite adds its tags to requests of another client than the one it then expects to be let in",
    ),
    (r"test_put_excess_tags", "Too many tags are BadRequest, as recorded from S3; the suite expects InvalidTag"),
    (
        r"test_multipart_resend_first_finishes_last",
        "Depends on how often the SDK reads a body; today's reads otherwise",
    ),
    (r"test_post_object_tags_anonymous_request", "An ACL lets nobody set tags (s3:PutObjectTagging)"),
    (r"test_(get|delete)_bucket_encryption", "A bucket always has a default encryption, as on S3 since 2023"),
    (r"test_object_read_unreadable", "The key is well-formed UTF-8; an object of that name does not exist"),
    (
        r"test_get_(public_acl_|authpublic_acl_)?bucket_policy_status|test_get_(non)?publicpolicy_acl_bucket_policy_status",
        "Without a policy there is no policy status (NoSuchBucketPolicy), as on S3",
    ),
    (
        r"test_get_nonpublicpolicy_principal_bucket_policy_status|test_block_public_policy_with_principal",
        "The suite's principal is no ARN of an account: MalformedPolicy, as on S3",
    ),
    (r"test_get_object_torrent", "NotImplemented: S3 has withdrawn it"),
    (
        r"test_delete_marker_expiration",
        "Days of lifecycle rules are days, as on S3; the suite takes them to last ten seconds",
    ),
    (
        r"test_object_checksum_|test_multipart_checksum_sha256",
        "A value that can be no checksum is InvalidRequest, as on S3; the suite expects BadDigest",
    ),
    (
        r"test_multipart_use_cksum_helper_",
        "GetObjectAttributes tells a composite checksum without its number of parts, and a part of an object with a "
        "full-object checksum carries none: recorded from S3",
    ),
    (r"test_get_.*multipart.*object_attributes", "Parts are told for composite checksums alone, as recorded from S3"),
    (
        r"test_(create_bucket|put_bucket_ownership)_bucket_owner_enforced",
        "The canned ACL private is taken where ACLs are disabled: it asks for what is so anyway; many tools send it",
    ),
    (r"test_head_object_404_with_policy_prefix", "Who may not read an object is told nothing about missing ones"),
    (r"test_delete_marker_nonversioned", "S3 sends no x-amz-delete-marker where there is none"),
    (
        r"test_.*put_.*_if_(none_)?match|test_put_object_if_match",
        "If-None-Match of a write takes * alone, and If-Match an ETag; the rest is NotImplemented, as on S3",
    ),
    (
        r"test_(object|bucket)_create_bad_(authorization|date|contentlength)",
        "The suite removes or changes a header before today's SDK adds it: the request is a good one",
    ),
)


def reason_of(name: str) -> str:
    return next((reason for pattern, reason in REASONS if re.match(pattern, name)), "Not examined yet")
