"""What answers tell of lifecycle rules: `x-amz-expiration`, `x-amz-abort-date`, `x-amz-abort-rule-id`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from tests.clients.checks import headers_of
from tests.clients.test_lifecycle import put

NAMES = ("x-amz-expiration", "x-amz-abort-date", "x-amz-abort-rule-id")
DAY = {"ID": "after a day", "Filter": {"Prefix": "logs/"}, "Status": "Enabled", "Expiration": {"Days": 1}}
UPLOADS = {
    "ID": "uploads",
    "Filter": {"Prefix": "logs/"},
    "Status": "Enabled",
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
}
DATE = {"ID": 'far "away"', "Filter": {}, "Status": "Enabled", "Expiration": {"Date": "2101-02-03"}}
FAR = {"x-amz-expiration": 'expiry-date="Thu, 03 Feb 2101 00:00:00 GMT", rule-id="far %22away%22"'}


def told(answer: Any) -> dict[str, str]:
    return {name: value for name, value in headers_of(answer).items() if name in NAMES}


def midnight(modified: datetime, days: int) -> str:
    """The first one that is more than so many days later."""
    day = (modified.astimezone(UTC) + timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
    return format_datetime(day + timedelta(days=1), usegmt=True)


def test_an_object_of_a_rule(s3: Any, bucket: str) -> None:
    put(s3, bucket, UPLOADS, DAY)
    where = {"Bucket": bucket, "Key": "logs/1"}
    written = s3.put_object(**where, Body=b"x")
    modified = s3.head_object(**where)["LastModified"]
    expected = {"x-amz-expiration": f'expiry-date="{midnight(modified, 1)}", rule-id="after a day"'}
    assert told(written) == expected
    assert told(s3.head_object(**where)) == expected
    assert told(s3.get_object(**where)) == expected
    assert told(s3.get_object(**where, Range="bytes=0-0")) == expected
    assert told(s3.get_object_tagging(**where)) == {}
    for key in ("other", "logs"):
        assert told(s3.put_object(Bucket=bucket, Key=key, Body=b"x")) == {}
        assert told(s3.head_object(Bucket=bucket, Key=key)) == {}
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert told(s3.head_object(**where)) == {}


def test_copies(s3: Any, bucket: str) -> None:
    put(s3, bucket, DATE)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    source = {"Bucket": bucket, "Key": "k"}
    assert told(s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)) == FAR
    anew = s3.copy_object(Bucket=bucket, Key="dsse", CopySource=source, ServerSideEncryption="aws:kms:dsse")
    assert told(anew) == FAR


def test_uploads(s3: Any, bucket: str) -> None:
    put(s3, bucket, UPLOADS, DATE)
    where = {"Bucket": bucket, "Key": "logs/1"}
    created = s3.create_multipart_upload(**where)
    initiated = s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["Initiated"]
    expected = {"x-amz-abort-date": midnight(initiated, 3), "x-amz-abort-rule-id": "uploads"}
    assert told(created) == expected
    upload = {**where, "UploadId": created["UploadId"]}
    assert told(s3.list_parts(**upload)) == expected
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    for _ in range(2):  # the second one is the answer again
        assert told(s3.complete_multipart_upload(**upload, MultipartUpload=parts)) == FAR
    elsewhere = {"Bucket": bucket, "Key": "other"}
    assert told(s3.create_multipart_upload(**elsewhere)) == {}


def test_the_current_version_alone_is_told_of(s3: Any, bucket: str) -> None:
    """Recorded from S3: a version that is named is not, even where it is the current one."""
    put(s3, bucket, DATE)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    where = {"Bucket": bucket, "Key": "k"}
    versions = [s3.put_object(**where, Body=b"x") for _ in range(2)]
    assert [told(version) for version in versions] == [FAR, FAR]
    assert told(s3.head_object(**where)) == FAR
    for version in versions:
        assert told(s3.head_object(**where, VersionId=version["VersionId"])) == {}


def test_rules_with_tags(s3: Any, bucket: str) -> None:
    put(s3, bucket, {**DATE, "Filter": {"Tag": {"Key": "keep", "Value": "no"}}})
    where = {"Bucket": bucket, "Key": "k"}
    assert told(s3.put_object(**where, Body=b"x")) == {}
    s3.put_object_tagging(**where, Tagging={"TagSet": [{"Key": "keep", "Value": "no"}]})
    assert told(s3.head_object(**where)) == FAR
    assert told(s3.put_object(**where, Body=b"x", Tagging="keep=no")) == FAR
    assert told(s3.put_object(**where, Body=b"x", Tagging="keep=yes")) == {}


def test_the_first_to_come_is_told(s3: Any, bucket: str) -> None:
    rules = [{"ID": f"{days}", "Filter": {}, "Status": "Enabled", "Expiration": {"Days": days}} for days in (9, 2, 5)]
    put(s3, bucket, {**rules[0], "ID": "off", "Status": "Disabled", "Expiration": {"Days": 1}}, *rules)
    header = told(s3.put_object(Bucket=bucket, Key="k", Body=b"x"))["x-amz-expiration"]
    assert header.endswith('rule-id="2"')
    date = parsedate_to_datetime(header.split('"')[1])
    assert (date.hour, date.minute, date.second) == (0, 0, 0)


def test_rules_without_expiration(s3: Any, bucket: str) -> None:
    put(
        s3,
        bucket,
        {"Filter": {}, "Status": "Enabled", "Expiration": {"ExpiredObjectDeleteMarker": True}},
        {"Filter": {}, "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
    )
    assert told(s3.put_object(Bucket=bucket, Key="k", Body=b"x")) == {}
