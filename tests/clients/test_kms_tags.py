"""Tags and descriptions of KMS keys through boto3."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.checks import error_of, refusal


@pytest.fixture
def key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["Arn"])


def pairs(**tags: str) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in tags.items()]


def test_tags_are_added_replaced_and_removed(kms: Any) -> None:
    key = kms.create_key(Tags=pairs(b="1", a="é"))["KeyMetadata"]["KeyId"]
    assert kms.list_resource_tags(KeyId=key)["Tags"] == pairs(a="é", b="1")
    kms.tag_resource(KeyId=key, Tags=pairs(b="2", c=""))
    assert kms.list_resource_tags(KeyId=key)["Tags"] == pairs(a="é", b="2", c="")
    kms.untag_resource(KeyId=key, TagKeys=["a", "never was"])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == pairs(b="2", c="")


@pytest.mark.parametrize("size", [1, 3, 50])
def test_pages_of_tags_joined_are_all_of_them(kms: Any, size: int) -> None:
    tags = [{"TagKey": f"k{number:02}", "TagValue": str(number)} for number in range(7)]
    key = kms.create_key(Tags=tags)["KeyMetadata"]["KeyId"]
    pages = kms.get_paginator("list_resource_tags").paginate(KeyId=key, PaginationConfig={"PageSize": size})
    assert [tag for page in pages for tag in page["Tags"]] == tags


def test_tags_that_are_refused(kms: Any, key: str) -> None:
    many = [{"TagKey": str(number), "TagValue": ""} for number in range(50)]
    cases = [
        ({"Tags": [*many, {"TagKey": "one more", "TagValue": ""}]}, "TagException", "Too many tags"),
        ({"Tags": [*pairs(a="1"), *pairs(a="2")]}, "TagException", "Duplicate tag keys"),
        ({"Tags": [{"TagKey": "aws:x", "TagValue": ""}]}, "TagException", "Tags beginning with aws: are reserved"),
    ]
    for parameters, code, message in cases:
        error = error_of(kms.tag_resource, KeyId=key, **parameters)["Error"]
        assert (error["Code"], error["Message"]) == (code, message)
        assert refusal(kms.create_key, **parameters) == (400, code)
    assert refusal(kms.untag_resource, KeyId=key, TagKeys=["aws:x"]) == (400, "TagException")
    kms.tag_resource(KeyId=key, Tags=many)
    assert refusal(kms.tag_resource, KeyId=key, Tags=pairs(more="1")) == (400, "LimitExceededException")
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "7", "TagValue": "replaced"}])
    assert refusal(kms.list_resource_tags, KeyId=key, Marker="nonsense") == (400, "InvalidMarkerException")
    assert refusal(kms.list_resource_tags, KeyId=key, Limit=51) == (400, "ValidationException")
    assert refusal(kms.tag_resource, KeyId="alias/a", Tags=pairs(a="1")) == (400, "InvalidArnException")


def test_tags_by_state(kms: Any, key: str) -> None:
    kms.disable_key(KeyId=key)
    kms.tag_resource(KeyId=key, Tags=pairs(a="1"))
    kms.update_key_description(KeyId=key, Description="while disabled")
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert kms.list_resource_tags(KeyId=key)["Tags"] == pairs(a="1")
    for call, parameters in (
        (kms.tag_resource, {"Tags": pairs(a="2")}),
        (kms.untag_resource, {"TagKeys": ["a"]}),
        (kms.update_key_description, {"Description": "no"}),
    ):
        assert refusal(call, KeyId=key, **parameters) == (400, "KMSInvalidStateException")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "while disabled"


def test_descriptions(kms: Any, key: str) -> None:
    for description in ("é" * 8192, ""):
        kms.update_key_description(KeyId=key, Description=description)
        assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == description
    assert refusal(kms.update_key_description, KeyId=key, Description="x" * 8193) == (400, "ValidationException")
