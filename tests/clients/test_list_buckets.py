"""ListBuckets."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clients.checks import refusal
from tests.clients.raw import RawClient


@pytest.fixture(scope="module")
def names(s3: Any) -> list[str]:
    found = [f"listed-{number:02}" for number in (7, 3, 5, 1, 9)]
    for name in found:
        s3.create_bucket(Bucket=name)
    return sorted(found)


def test_list_buckets_tells_name_time_region_and_owner(s3: Any, names: list[str]) -> None:
    answer = s3.list_buckets()
    found = {bucket["Name"]: bucket for bucket in answer["Buckets"]}
    assert set(names) <= set(found)
    assert datetime.now(UTC) - found[names[0]]["CreationDate"] < timedelta(hours=1)
    assert re.fullmatch("[0-9a-f]{64}", answer["Owner"]["ID"])


def test_list_buckets_comes_in_the_order_of_names(s3: Any, names: list[str]) -> None:
    found = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert found == sorted(found)


def test_list_buckets_by_prefix(s3: Any, names: list[str]) -> None:
    answer = s3.list_buckets(Prefix="listed-0")
    assert [bucket["Name"] for bucket in answer["Buckets"]] == names
    assert answer["Prefix"] == "listed-0"


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_list_buckets_pages_joined_are_the_whole(s3: Any, names: list[str], size: int) -> None:
    pages = s3.get_paginator("list_buckets").paginate(Prefix="listed-", PaginationConfig={"PageSize": size})
    found = [[bucket["Name"] for bucket in page["Buckets"]] for page in pages]
    assert [name for page in found for name in page] == names
    assert all(len(page) == size for page in found[:-1])


def test_list_buckets_of_another_region_is_empty(s3: Any, names: list[str]) -> None:
    assert s3.list_buckets(BucketRegion="eu-west-1")["Buckets"] == []
    assert len(s3.list_buckets(BucketRegion="us-east-1", Prefix="listed-")["Buckets"]) == len(names)


def test_list_buckets_tells_arns(s3: Any, names: list[str]) -> None:
    answer = s3.list_buckets(Prefix=names[0])["Buckets"]
    assert [bucket["BucketArn"] for bucket in answer] == [f"arn:aws:s3:::{names[0]}"]


@pytest.mark.parametrize("region", ["nowhere", "EU", "us_east_1", "us-east-1%00", "-"])
def test_list_buckets_of_what_is_no_region(raw: RawClient, region: str) -> None:
    answer = raw.request("GET", f"/?bucket-region={region}")
    assert (answer.refusal, answer.element("ArgumentName")) == ((400, "InvalidArgument"), "bucket-region")
    assert answer.message.endswith("is not a valid AWS Region")


def test_list_buckets_from_the_start_with_an_empty_token(s3: Any, names: list[str]) -> None:
    first = s3.list_buckets(Prefix="listed-", ContinuationToken="", MaxBuckets=1)
    assert [bucket["Name"] for bucket in first["Buckets"]] == names[:1]
    rest = s3.list_buckets(Prefix="listed-", ContinuationToken=first["ContinuationToken"])
    assert [bucket["Name"] for bucket in rest["Buckets"]] == names[1:]
    assert "ContinuationToken" not in rest


@pytest.mark.parametrize("token", ["x", "AAAA", "not base64 at all", "%00", "A" * 2000])
def test_list_buckets_refuses_tokens_that_it_did_not_give(raw: RawClient, token: str) -> None:
    target = f"/?continuation-token={token.replace(' ', '%20')}"
    assert raw.request("GET", target).refusal == (400, "InvalidArgument")


@pytest.mark.parametrize("maximum", ["0", "10001", "-1", "x"])
def test_list_buckets_refuses_page_sizes_out_of_range(raw: RawClient, maximum: str) -> None:
    assert raw.request("GET", f"/?max-buckets={maximum}").refusal == (400, "InvalidArgument")


def test_list_buckets_of_nobody_is_denied(raw: RawClient) -> None:
    assert raw.send("GET", "/", {"host": raw.host}).refusal == (403, "AccessDenied")


def test_a_token_of_another_listing_is_refused(s3: Any, names: list[str], shared_bucket: str) -> None:
    for key in ("a", "b"):
        s3.put_object(Bucket=shared_bucket, Key=key)
    token = s3.list_objects_v2(Bucket=shared_bucket, MaxKeys=1)["NextContinuationToken"]
    assert refusal(s3.list_buckets, ContinuationToken=token, MaxBuckets=1) == (400, "InvalidArgument")
