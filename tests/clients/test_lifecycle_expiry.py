"""Lifecycle rules at work, on a gateway whose days are short: what they cover goes, by itself; all else stays."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.checks import faults, refusal, unexplained
from tests.clients.conftest import make_bucket
from tests.clients.test_lifecycle import put
from tests.harness import Gateway, running_gateway, wait_until

SHORT = {
    "SEALGATE_LIFECYCLE_EVERY_SECONDS": "0.2",
    "SEALGATE_LIFECYCLE_DAY_SECONDS": "0.5",
    "SEALGATE_LIFECYCLE_REMOVALS_PER_SECOND": "0",
}
PAST = {"Date": "2020-01-01"}
NEVER = {"Days": 1_000_000}


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, index_url: str | None, backing: dict[str, str]
) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("lifecycle")
    with running_gateway(directory, workers=2, index=index_url, environment={**backing, **SHORT}) as made:
        yield made
    assert faults(made) == []
    assert unexplained(made) == []


@pytest.fixture(scope="module")
def s3(gateway: Gateway) -> Any:
    return gateway.client("s3")


def rule(prefix: str = "", **actions: Any) -> dict[str, Any]:
    return {"Filter": {"Prefix": prefix}, "Status": "Enabled", **actions}


def keys(s3: Any, bucket: str) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]


def versions(s3: Any, bucket: str) -> tuple[int, int]:
    """How many objects and delete markers."""
    listed = s3.list_object_versions(Bucket=bucket)
    return len(listed.get("Versions", ())), len(listed.get("DeleteMarkers", ()))


def enable_versioning(s3: Any, bucket: str, status: str = "Enabled") -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def test_objects_go_after_days_and_by_date(s3: Any, gateway: Gateway) -> None:
    bucket = make_bucket(s3)
    names = ("days/1", "date/1", "never/1", "other", "tagged/1", "tagged/2", "days/2")
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=b"x", Tagging="go=yes" if name in ("tagged/1", "other") else "")
    tagged = {"And": {"Prefix": "tagged/", "Tags": [{"Key": "go", "Value": "yes"}], "ObjectSizeLessThan": 10}}
    put(
        s3,
        bucket,
        {**rule("days/", Expiration={"Days": 1}), "ID": "short days"},
        rule("date/", Expiration=PAST),
        rule("never/", Expiration=NEVER),
        {"Filter": tagged, "Status": "Enabled", "Expiration": {"Days": 1}},
    )
    wait_until(lambda: keys(s3, bucket) == ["never/1", "other", "tagged/2"], "what the rules cover has gone")
    assert versions(s3, bucket) == (3, 0)
    assert refusal(s3.get_object, Bucket=bucket, Key="days/1") == (404, "NoSuchKey")
    assert s3.get_object(Bucket=bucket, Key="never/1")["Body"].read() == b"x"
    log = gateway.log_path.read_text()
    assert f"lifecycle: expired current '{bucket}/days/1', null, by rule 'short days'" in log
    assert "lifecycle: a pass over" in log


def test_versions_markers_and_null_versions(s3: Any) -> None:
    bucket = make_bucket(s3)
    enable_versioning(s3, bucket)
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="k", Body=body)
    put(s3, bucket, rule(Expiration={"Days": 1}))
    wait_until(lambda: versions(s3, bucket) == (2, 1), "a delete marker is above the versions")
    error = refusal(s3.get_object, Bucket=bucket, Key="k")
    assert error == (404, "NoSuchKey")
    put(s3, bucket, rule(NoncurrentVersionExpiration={"NoncurrentDays": 1}))
    wait_until(lambda: versions(s3, bucket) == (0, 1), "the versions below it are gone")
    put(s3, bucket, rule(Expiration={"ExpiredObjectDeleteMarker": True}))
    wait_until(lambda: versions(s3, bucket) == (0, 0), "the marker is gone, as it was alone")
    enable_versioning(s3, bucket, "Suspended")
    s3.put_object(Bucket=bucket, Key="k", Body=b"null")
    put(s3, bucket, rule(Expiration={"Days": 1}))
    wait_until(lambda: versions(s3, bucket) == (0, 0), "a null version went, and then its marker")
    s3.delete_bucket(Bucket=bucket)


def test_newer_noncurrent_versions_stay(s3: Any) -> None:
    bucket = make_bucket(s3)
    enable_versioning(s3, bucket)
    made = [s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"] for _ in range(10)]
    kept = {"NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 5}}
    put(s3, bucket, rule(**kept))
    wait_until(lambda: versions(s3, bucket) == (6, 0), "all but the current one and five others are gone")
    left = [each["VersionId"] for each in s3.list_object_versions(Bucket=bucket)["Versions"]]
    assert left == made[:3:-1]


def test_uploads_are_aborted(s3: Any) -> None:
    bucket = make_bucket(s3)
    upload_ids = {key: s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in ("a/1", "a/2", "b")}
    gone = {"Bucket": bucket, "Key": "a/1", "UploadId": upload_ids["a/1"]}
    s3.upload_part(**gone, PartNumber=1, Body=b"x")
    put(s3, bucket, rule("a/", AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}))

    def uploads() -> list[str]:
        return [each["Key"] for each in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]

    wait_until(lambda: uploads() == ["b"], "the uploads of the rule are aborted")
    assert refusal(s3.upload_part, **gone, PartNumber=2, Body=b"x") == (404, "NoSuchUpload")


def test_metrics(s3: Any, gateway: Gateway) -> None:
    bucket = make_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    put(s3, bucket, rule(Expiration=PAST))
    wait_until(lambda: keys(s3, bucket) == [], "the object is gone")
    with urllib.request.urlopen(f"{gateway.admin_url}/metrics", timeout=60) as reply:
        assert 'sealgate_lifecycle_expirations_total{action="current"}' in reply.read().decode()
