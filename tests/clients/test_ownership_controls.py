"""Ownership controls of buckets: chosen at their creation, put, told and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.checks import refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient
from tests.clients.users import allow, make_user
from tests.harness import Gateway

OWNERSHIPS = ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]


def told(s3: Any, bucket: str) -> str:
    (rule,) = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    return str(rule["ObjectOwnership"])


def put(s3: Any, bucket: str, ownership: str) -> None:
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": ownership}]})


def test_a_new_bucket_enforces_its_owner(s3: Any, bucket: str) -> None:
    assert told(s3, bucket) == "BucketOwnerEnforced"


@pytest.mark.parametrize("ownership", OWNERSHIPS)
def test_ownership_is_chosen_at_creation(s3: Any, ownership: str) -> None:
    name = f"chosen-{ownership.lower()}"
    s3.create_bucket(Bucket=name, ObjectOwnership=ownership)
    assert told(s3, name) == ownership


def test_what_is_no_ownership_makes_no_bucket(s3: Any) -> None:
    assert refusal(s3.create_bucket, Bucket="owned-by-none", ObjectOwnership="Nobody") == (400, "InvalidArgument")
    assert refusal(s3.head_bucket, Bucket="owned-by-none") == (404, "404")


def test_controls_are_put_told_and_deleted(s3: Any, bucket: str) -> None:
    for ownership in reversed(OWNERSHIPS):
        put(s3, bucket, ownership)
        assert told(s3, bucket) == ownership
    for _ in range(2):
        assert s3.delete_bucket_ownership_controls(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.get_bucket_ownership_controls, Bucket=bucket) == (404, "OwnershipControlsNotFoundError")
    put(s3, bucket, "ObjectWriter")
    assert told(s3, bucket) == "ObjectWriter"


RULE = b"<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        RULE * 2,
        b"<Rule/>",
        b"<Rule><ObjectOwnership>Nobody</ObjectOwnership></Rule>",
        b"<Rule><Other>ObjectWriter</Other></Rule>",
        b"<Other><ObjectOwnership>ObjectWriter</ObjectOwnership></Other>",
    ],
)
def test_malformed_documents(raw: RawClient, s3: Any, bucket: str, content: bytes) -> None:
    body = b"<OwnershipControls>" + content + b"</OwnershipControls>"
    assert raw.request("PUT", f"/{bucket}?ownershipControls", {}, body).refusal == (400, "MalformedXML")
    assert told(s3, bucket) == "BucketOwnerEnforced"


def test_choosing_another_ownership_is_a_permission_of_its_own(gateway: Gateway) -> None:
    client = make_user(gateway, allow("s3:CreateBucket")).client("s3")
    refused = {"Bucket": "chosen-by-a-user", "ObjectOwnership": "ObjectWriter"}
    assert refusal(client.create_bucket, **refused) == (403, "AccessDenied")
    make_bucket(client)
