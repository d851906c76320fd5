from __future__ import annotations

import pytest

from iam.policy.bucket import parse_bucket_policy
from iam.policy.errors import Fault, PolicyError
from tests.iam.policy.checks import document, statement

BUCKET = "arn:aws:s3:::bucket"
OBJECTS = "arn:aws:s3:::bucket/*"


def policy(action: object, resource: object, **more: object) -> str:
    return document({**statement(action=action, resource=resource), "Principal": "*", **more})


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", OBJECTS),
        ("S3:getobject", OBJECTS),
        ("s3:ListBucket", BUCKET),
        (["s3:ListBucket", "s3:GetObject"], [BUCKET, OBJECTS]),
        ("s3:*", BUCKET),
        ("s3:*", OBJECTS),
        ("s3:Get*", OBJECTS),
        ("*", OBJECTS),
        ("s3:GetObject", "arn:aws:s3:::bucket*"),
        ("s3:GetObject", "arn:aws:s3:::buck?t/a"),
        ("s3:GetObject", "arn:aws:s3:::bucket/${aws:username}/*"),
    ],
)
def test_policies_of_a_bucket(action: object, resource: object) -> None:
    assert len(parse_bucket_policy(policy(action, resource), "bucket").allows) == 1


@pytest.mark.parametrize(
    ("action", "resource", "fault", "message"),
    [
        ("s3:GetObject", "arn:aws:s3:::other/*", Fault.INVALID_RESOURCE, "Policy has invalid resource"),
        ("s3:GetObject", "arn:aws:s3:::bucket2/*", Fault.INVALID_RESOURCE, "Policy has invalid resource"),
        ("s3:GetObject", [OBJECTS, "arn:aws:sqs:::bucket/*"], Fault.INVALID_RESOURCE, "Policy has invalid resource"),
        ("kms:Decrypt", OBJECTS, Fault.INVALID_ACTION, "Policy has invalid action"),
        (
            "s3:GetObject",
            BUCKET,
            Fault.ACTION_RESOURCE,
            "Action does not apply to any resource(s) in statement",
        ),
        (
            ["s3:GetObject", "s3:ListBucket"],
            OBJECTS,
            Fault.ACTION_RESOURCE,
            "Action does not apply to any resource(s) in statement",
        ),
    ],
)
def test_what_no_policy_of_the_bucket_says(action: object, resource: object, fault: Fault, message: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_bucket_policy(policy(action, resource), "bucket")
    assert (refused.value.fault, refused.value.message) == (fault, message)


def test_left_out_resources_lie_in_the_bucket_too() -> None:
    whole = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject"}
    assert parse_bucket_policy(document({**whole, "NotResource": OBJECTS}), "bucket").denies
    with pytest.raises(PolicyError) as refused:
        parse_bucket_policy(document({**whole, "NotResource": "arn:aws:s3:::other/*"}), "bucket")
    assert refused.value.fault is Fault.INVALID_RESOURCE


ON_BOTH = [BUCKET, OBJECTS]


@pytest.mark.parametrize(
    ("action", "key"),
    [
        ("s3:ListBucket", "s3:prefix"),
        ("S3:LISTBUCKET", "S3:Prefix"),
        ("s3:*", "s3:prefix"),
        ("*", "s3:prefix"),
        ("s3:List*", "s3:max-keys"),
        (["s3:ListBucket", "s3:ListBucketVersions"], "s3:delimiter"),
        ("s3:PutObject", "s3:x-amz-acl"),
        ("s3:PutObject", "s3:RequestObjectTag/team"),
        ("s3:GetObject", "s3:ExistingObjectTag/team"),
        ("s3:GetObject", "s3:TlsVersion"),
        ("s3:GetObject", "s3:BucketTag/team"),
        ("*", "s3:DataAccessPointAccount"),
        ("s3:GetObject", "aws:Anything"),
        ("s3:GetObject", "ec2:InstanceType"),
    ],
)
def test_keys_that_go_with_actions(action: object, key: str) -> None:
    text = policy(action, ON_BOTH, Condition={"StringEquals": {key: "x"}})
    assert parse_bucket_policy(text, "bucket").condition_keys == {key.lower()}


@pytest.mark.parametrize(
    ("action", "resource", "key", "fault"),
    [
        ("s3:GetObject", ON_BOTH, "s3:prefix", Fault.CONDITION_ACTION),
        (["s3:ListBucket", "s3:GetBucketLocation"], ON_BOTH, "s3:prefix", Fault.CONDITION_ACTION),
        ("s3:ListBucketMultipartUploads", ON_BOTH, "s3:prefix", Fault.CONDITION_ACTION),
        ("s3:*", OBJECTS, "s3:prefix", Fault.CONDITION_ACTION),
        ("s3:Get*", ON_BOTH, "s3:x-amz-acl", Fault.CONDITION_ACTION),
        (["s3:GetObject", "s3:PutObject"], ON_BOTH, "s3:x-amz-copy-source", Fault.CONDITION_ACTION),
        (["s3:PutObjectAcl", "s3:PutObjectTagging"], ON_BOTH, "s3:RequestObjectTag/a", Fault.CONDITION_ACTION),
        ("s3:GetObjectRetention", ON_BOTH, "s3:ExistingObjectTag/a", Fault.CONDITION_ACTION),
        ("s3:GetObject", ON_BOTH, "s3:prefixes", Fault.CONDITION_KEY),
        ("s3:GetObject", ON_BOTH, "s3:ExistingObjectTag", Fault.CONDITION_KEY),
        ("s3:GetObject", ON_BOTH, "s3:", Fault.CONDITION_KEY),
        ("s3:GetObjects", ON_BOTH, "aws:userid", Fault.INVALID_ACTION),
        ("s3:Fetch*", ON_BOTH, "aws:userid", Fault.INVALID_ACTION),
        ("s3:ListAllMyBuckets", ON_BOTH, "aws:userid", Fault.ACTION_RESOURCE),
    ],
)
def test_keys_and_actions_that_do_not_go_together(action: object, resource: object, key: str, fault: Fault) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_bucket_policy(policy(action, resource, Condition={"Null": {key: "true"}}), "bucket")
    assert refused.value.fault is fault
