"""`x-amz-website-redirect-location`: kept with an object by each way to write one, and told again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.checks import refusal
from tests.clients.raw import RawClient
from tests.clients.test_post_object import post, sign

MAX_BYTES = 2048
HEADER = "x-amz-website-redirect-location"


def location(s3: Any, bucket: str, key: str) -> str | None:
    """As HeadObject tells it, and GetObject just so."""
    told = s3.head_object(Bucket=bucket, Key=key).get("WebsiteRedirectLocation")
    assert s3.get_object(Bucket=bucket, Key=key).get("WebsiteRedirectLocation") == told
    return told if told is None else str(told)


@pytest.mark.parametrize("value", ["/other", "http://example.com/a b?c", "https://example.com/", "/" * MAX_BYTES])
def test_put_object_keeps_it(s3: Any, bucket: str, value: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"data", WebsiteRedirectLocation=value)
    assert location(s3, bucket, "k") == value
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data", "there is no website that would redirect"
    s3.put_object(Bucket=bucket, Key="k", Body=b"data")
    assert location(s3, bucket, "k") is None


@pytest.mark.parametrize("value", ["other", "ftp://example.com/", "HTTP://example.com/", "/" * (MAX_BYTES + 1)])
def test_what_is_none_is_refused(s3: Any, bucket: str, value: str) -> None:
    wrong = {"Bucket": bucket, "Key": "k", "WebsiteRedirectLocation": value}
    s3.put_object(Bucket=bucket, Key="source", Body=b"data")
    refused = (400, "InvalidRedirectLocation")
    assert refusal(s3.put_object, **wrong, Body=b"data") == refused
    assert refusal(s3.create_multipart_upload, **wrong) == refused
    assert refusal(s3.copy_object, **wrong, CopySource=f"{bucket}/source") == refused
    assert refusal(s3.head_object, Bucket=bucket, Key="k") == (404, "404")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_multipart_uploads_keep_it(s3: Any, bucket: str) -> None:
    named = {"Bucket": bucket, "Key": "k"}
    upload_id = s3.create_multipart_upload(**named, WebsiteRedirectLocation="/other")["UploadId"]
    etag = s3.upload_part(**named, UploadId=upload_id, PartNumber=1, Body=b"data")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(**named, UploadId=upload_id, MultipartUpload=parts)
    assert location(s3, bucket, "k") == "/other"


@pytest.mark.parametrize("directive", ["COPY", "REPLACE"])
def test_a_copy_has_the_one_that_it_is_given(s3: Any, bucket: str, directive: str) -> None:
    """API_CopyObject: it "is unique to each object and is not copied", whatever the directive says."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"data", WebsiteRedirectLocation="/old", CacheControl="no-store")
    copying = {"Bucket": bucket, "CopySource": f"{bucket}/k", "MetadataDirective": directive}
    s3.copy_object(**copying, Key="without")
    assert location(s3, bucket, "without") is None
    s3.copy_object(**copying, Key="with", WebsiteRedirectLocation="/new")
    assert location(s3, bucket, "with") == "/new"
    kept = s3.head_object(Bucket=bucket, Key="with").get("CacheControl")
    assert kept == ("no-store" if directive == "COPY" else None)


def test_a_copy_onto_itself_may_change_it(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"data")
    itself = {"Bucket": bucket, "Key": "k", "CopySource": f"{bucket}/k"}
    assert refusal(s3.copy_object, **itself) == (400, "InvalidRequest")
    s3.copy_object(**itself, WebsiteRedirectLocation="/new")
    assert location(s3, bucket, "k") == "/new"


def test_forms_keep_it(s3: Any, raw: RawClient, bucket: str) -> None:
    signed = sign(raw, {"bucket": bucket}, ["starts-with", "$key", ""], {HEADER: "/other"})
    assert post(raw, bucket, {"key": "k", HEADER: "/other", **signed}).status == 204
    assert location(s3, bucket, "k") == "/other"
    assert post(raw, bucket, {"key": "k", HEADER: "/else", **signed}).refusal == (403, "AccessDenied")
    wrong = sign(raw, {"bucket": bucket}, ["starts-with", "$key", ""], {HEADER: "other"})
    assert post(raw, bucket, {"key": "k", HEADER: "other", **wrong}).refusal == (400, "InvalidRedirectLocation")
