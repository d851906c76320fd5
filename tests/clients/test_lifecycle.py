"""PutBucketLifecycleConfiguration, GetBucketLifecycleConfiguration, DeleteBucketLifecycle."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import pytest

from tests.clients.checks import content_md5, error_of, headers_of, refusal
from tests.clients.raw import RawClient

MINIMUM_SIZE = "x-amz-transition-default-minimum-object-size"
DAY = {"ID": "day", "Filter": {"Prefix": "logs/"}, "Status": "Enabled", "Expiration": {"Days": 1}}
DOCUMENT = (
    b"<LifecycleConfiguration><Rule><Filter/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>"
    b"</LifecycleConfiguration>"
)


def put(s3: Any, bucket: str, *rules: Any, **parameters: Any) -> Any:
    configuration = {"Rules": list(rules)}
    return s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=configuration, **parameters)


def rules_of(s3: Any, bucket: str) -> Any:
    return s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]


def test_rules_are_told_as_they_were_put(s3: Any, bucket: str) -> None:
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    rules = [
        DAY,
        {"ID": "all", "Filter": {}, "Status": "Disabled", "Expiration": {"ExpiredObjectDeleteMarker": True}},
        {"ID": "tag", "Filter": {"Tag": tags[0]}, "Status": "Enabled", "Expiration": {"Days": 3}},
        {
            "ID": "everything & more",
            "Filter": {
                "And": {"Prefix": "é/", "Tags": tags, "ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 5 * 1024**4}
            },
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 2, "NewerNoncurrentVersions": 100},
        },
        {
            "ID": "uploads",
            "Filter": {"Prefix": ""},
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]
    put(s3, bucket, *rules)
    assert rules_of(s3, bucket) == rules
    put(s3, bucket, DAY)
    assert rules_of(s3, bucket) == [DAY]


def test_rules_of_the_older_form_keep_it(s3: Any, bucket: str) -> None:
    rules = [
        {"ID": "one", "Prefix": "a/", "Status": "Enabled", "Expiration": {"Days": 31}},
        {"ID": "two", "Prefix": "b/", "Status": "Disabled", "Expiration": {"Days": 120}},
    ]
    put(s3, bucket, *rules)
    assert rules_of(s3, bucket) == rules


def test_a_date_is_told_as_midnight(s3: Any, bucket: str) -> None:
    put(s3, bucket, {"Filter": {}, "Status": "Enabled", "Expiration": {"Date": "2030-01-01"}})
    assert rules_of(s3, bucket)[0]["Expiration"]["Date"].isoformat() == "2030-01-01T00:00:00+00:00"


def test_rules_without_an_id_get_one(s3: Any, bucket: str) -> None:
    put(s3, bucket, {key: DAY[key] for key in DAY if key != "ID"}, {**DAY, "ID": ""}, DAY)
    *made, given = [rule["ID"] for rule in rules_of(s3, bucket)]
    assert given == "day"
    assert len(set(made)) == 2
    for rule_id in made:
        assert len(rule_id) == 48
        assert uuid.UUID(base64.b64decode(rule_id).decode()).version == 4
    assert [rule["ID"] for rule in rules_of(s3, bucket)] == [*made, given]


def test_removing_them(s3: Any, bucket: str) -> None:
    put(s3, bucket, DAY)
    for _ in range(2):
        assert s3.delete_bucket_lifecycle(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert error_of(s3.get_bucket_lifecycle_configuration, Bucket=bucket)["Error"] == {
            "Code": "NoSuchLifecycleConfiguration",
            "Message": "The lifecycle configuration does not exist",
            "BucketName": bucket,
            "Resource": f"/{bucket}",
        }


def test_it_leaves_other_configurations_alone(s3: Any, bucket: str) -> None:
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    put(s3, bucket, DAY)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert rules_of(s3, bucket) == [DAY]
    assert len(s3.get_bucket_tagging(Bucket=bucket)["TagSet"]) == 1
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


@pytest.mark.parametrize("asked", [None, "all_storage_classes_128K", "varies_by_storage_class"])
def test_the_smallest_size_of_transitions_is_kept(s3: Any, bucket: str, asked: str | None) -> None:
    expected = asked or "all_storage_classes_128K"
    answer = put(s3, bucket, DAY, **({} if asked is None else {"TransitionDefaultMinimumObjectSize": asked}))
    assert headers_of(answer)[MINIMUM_SIZE] == expected
    assert headers_of(s3.get_bucket_lifecycle_configuration(Bucket=bucket))[MINIMUM_SIZE] == expected


def test_an_unknown_smallest_size(s3: Any, bucket: str) -> None:
    error = error_of(
        s3.put_bucket_lifecycle_configuration,
        Bucket=bucket,
        LifecycleConfiguration={"Rules": [DAY]},
        TransitionDefaultMinimumObjectSize="value",
    )
    assert (error["Error"]["Code"], error["Error"]["Message"]) == (
        "InvalidRequest",
        "Invalid TransitionDefaultMinimumObjectSize found: value",
    )


def test_a_date_that_is_not_midnight(s3: Any, bucket: str) -> None:
    rule = {"Filter": {}, "Status": "Enabled", "Expiration": {"Date": "2030-01-01T01:00:00"}}
    error = error_of(s3.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    assert error["Error"] == {
        "Code": "InvalidArgument",
        "Message": "'Date' must be at midnight GMT",
        "ArgumentName": "Date",
        "ArgumentValue": "2030-01-01T01:00:00Z",
        "Resource": f"/{bucket}",
    }


def test_transitions_are_refused_and_change_nothing(s3: Any, bucket: str) -> None:
    put(s3, bucket, DAY)
    for name, transition in (
        ("Transitions", {"Days": 30, "StorageClass": "GLACIER"}),
        ("NoncurrentVersionTransitions", {"NoncurrentDays": 30, "StorageClass": "STANDARD_IA"}),
    ):
        rule = {**DAY, name: [transition]}
        asked = {"Bucket": bucket, "LifecycleConfiguration": {"Rules": [rule]}}
        assert refusal(s3.put_bucket_lifecycle_configuration, **asked) == (501, "NotImplemented")
    assert rules_of(s3, bucket) == [DAY]


def test_a_thousand_rules(s3: Any, bucket: str) -> None:
    rules = [{**DAY, "ID": f"rule-{number}", "Filter": {"Prefix": "é" * 400}} for number in range(1000)]
    put(s3, bucket, *rules)
    assert rules_of(s3, bucket) == rules
    s3.put_object(Bucket=bucket, Key="k", Body=b"served")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"served"


def test_a_digest_is_asked_for(raw: RawClient, s3: Any, bucket: str) -> None:
    target = f"/{bucket}?lifecycle"
    assert raw.request("PUT", target, body=DOCUMENT).refusal == (400, "InvalidRequest")
    assert raw.request("PUT", target).refusal == (400, "MissingRequestBodyError")
    wrong = {"content-md5": content_md5(b"another")}
    assert raw.request("PUT", target, wrong, DOCUMENT).refusal == (400, "BadDigest")
    assert refusal(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == (404, "NoSuchLifecycleConfiguration")
    assert raw.request("PUT", target, {"content-md5": content_md5(DOCUMENT)}, DOCUMENT).status == 200
    assert len(rules_of(s3, bucket)) == 1


@pytest.mark.parametrize("body", [b"<Other/>", b"<LifecycleConfiguration>", b"{}", b"<a>" * 9000])
def test_what_is_no_document(raw: RawClient, s3: Any, bucket: str, body: bytes) -> None:
    headers = {"content-md5": content_md5(body)}
    assert raw.request("PUT", f"/{bucket}?lifecycle", headers, body).refusal == (400, "MalformedXML")
    assert refusal(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == (404, "NoSuchLifecycleConfiguration")


def test_a_document_without_end(raw: RawClient, bucket: str) -> None:
    body = DOCUMENT.ljust((1 << 20) + 1)
    headers = {"content-md5": content_md5(body)}
    assert raw.request("PUT", f"/{bucket}?lifecycle", headers, body).refusal == (400, "MaxMessageLengthExceeded")


def test_a_bucket_that_is_not_there(s3: Any) -> None:
    name = f"test-{uuid.uuid4()}"
    asked = {"Bucket": name, "LifecycleConfiguration": {"Rules": [DAY]}}
    assert refusal(s3.put_bucket_lifecycle_configuration, **asked) == (404, "NoSuchBucket")
    assert refusal(s3.get_bucket_lifecycle_configuration, Bucket=name) == (404, "NoSuchBucket")
    assert refusal(s3.delete_bucket_lifecycle, Bucket=name) == (404, "NoSuchBucket")
