import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.protocol.errors import S3Error
from gateway.protocol.forms.policy import FormPolicy
from tests.vectors import browser_form

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = "2026-01-01T00:00:01.000Z"


def encode(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def policy(*conditions: object, expiration: str = LATER) -> FormPolicy:
    return FormPolicy.parse(encode({"expiration": expiration, "conditions": list(conditions)}))


def refusal(made: FormPolicy, now: datetime = NOW, **fields: str) -> str | None:
    """What a form with these fields is refused with; None if it is not."""
    try:
        made.check({name.replace("_", "-"): value for name, value in fields.items()}, "sigv4examplebucket", now)
    except S3Error as error:
        assert error.code == "AccessDenied"
        return error.message.removeprefix("Invalid according to Policy: ")
    return None


def test_the_example_of_the_documentation() -> None:
    made = FormPolicy.parse(browser_form.POLICY)
    assert made.expiration == datetime(2015, 12, 30, 12, tzinfo=UTC)
    assert len(made.conditions) == 11 and made.length is None
    fields = {
        "key": "user/user1/photo.jpg",
        "acl": "public-read",
        "success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
        "content-type": "image/jpeg",
        "x-amz-meta-uuid": "14365123651274",
        "x-amz-server-side-encryption": "AES256",
        "x-amz-credential": browser_form.CREDENTIAL,
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-date": browser_form.DATE,
        "x-amz-meta-tag": "",
        "policy": browser_form.POLICY,
        "x-amz-signature": "…",
    }
    made.check(fields, "sigv4examplebucket", datetime(2015, 12, 29, tzinfo=UTC))
    with pytest.raises(S3Error):
        made.check(fields | {"key": "user/user2/photo.jpg"}, "sigv4examplebucket", datetime(2015, 12, 29, tzinfo=UTC))


def test_equality_both_ways_of_writing_it() -> None:
    for condition in ({"key": "a"}, ["eq", "$key", "a"], ["EQ", "$Key", "a"]):
        assert refusal(policy(condition), key="a") is None
        assert refusal(policy(condition), key="b") == 'Policy Condition failed: ["eq", "$key", "a"]'
        assert refusal(policy(condition)) == 'Policy Condition failed: ["eq", "$key", "a"]'


def test_starts_with() -> None:
    made = policy(["starts-with", "$key", "user/"])
    assert refusal(made, key="user/x") is None
    assert refusal(made, key="use") == 'Policy Condition failed: ["starts-with", "$key", "user/"]'
    assert refusal(policy(["starts-with", "$key", ""]), key="anything") is None


def test_starts_with_holds_for_every_content_type_of_a_list() -> None:
    made = policy(["starts-with", "$Content-Type", "image/"])
    assert refusal(made, content_type="image/jpeg, image/gif") is None
    assert refusal(made, content_type="image/jpeg,text/html") is not None


def test_the_bucket_is_the_one_that_the_form_is_sent_to() -> None:
    assert refusal(policy({"bucket": "sigv4examplebucket"})) is None
    assert refusal(policy({"bucket": "another"})) == 'Policy Condition failed: ["eq", "$bucket", "another"]'
    # A field of that name changes nothing.
    with pytest.raises(S3Error):
        policy({"bucket": "another"}).check({"bucket": "another"}, "sigv4examplebucket", NOW)


def test_every_field_needs_a_condition() -> None:
    made = policy({"key": "a"})
    assert (
        refusal(made, key="a", policy="", x_amz_signature="", x_ignore_this="", x_amz_checksum_sha256="", file="")
        is None
    )
    assert refusal(made, key="a", acl="public-read", x_amz_meta_b="") == "Extra input fields: acl, x-amz-meta-b"


def test_it_expires_to_the_second() -> None:
    made = policy({"key": "a"})
    assert refusal(made, NOW, key="a") is None
    assert refusal(made, made.expiration, key="a") == "Policy expired."


def test_several_ranges_narrow_each_other() -> None:
    assert policy(["content-length-range", 1, 10]).length == (1, 10)
    assert policy(["content-length-range", "1", 10], ["content-length-range", 5, 20]).length == (5, 10)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"conditions": []},
        {"expiration": LATER},
        {"expiration": LATER, "conditions": {}},
        {"expiration": LATER, "conditions": [], "more": 1},
        {"expiration": "tomorrow", "conditions": []},
        {"expiration": "2026-13-01T00:00:00Z", "conditions": []},
        {"expiration": "2026-01-01 00:00:00", "conditions": []},
        {"expiration": 1, "conditions": []},
        {"expiration": LATER, "conditions": [{}]},
        {"expiration": LATER, "conditions": [{"key": 1}]},
        {"expiration": LATER, "conditions": ["key"]},
        {"expiration": LATER, "conditions": [["eq", "$key"]]},
        {"expiration": LATER, "conditions": [["eq", "key", "a"]]},
        {"expiration": LATER, "conditions": [["ends-with", "$key", "a"]]},
        {"expiration": LATER, "conditions": [["content-length-range", 1]]},
        {"expiration": LATER, "conditions": [["content-length-range", -1, 10]]},
        {"expiration": LATER, "conditions": [["content-length-range", True, 10]]},
        {"expiration": LATER, "conditions": [["content-length-range", 1, "many"]]},
        {"expiration": LATER, "conditions": [{"a": "b"}] * 257},
    ],
)
def test_what_is_no_policy(document: Any) -> None:
    with pytest.raises(S3Error) as caught:
        FormPolicy.parse(encode(document))
    assert caught.value.code == "InvalidPolicyDocument"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b"[" * 10_000, b'{"expiration": "x", "expiration": "y", "conditions": []}', b'{"a": NaN'],
)
def test_what_is_no_json(data: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        FormPolicy.parse(base64.b64encode(data).decode())
    assert caught.value.code == "InvalidPolicyDocument"


@pytest.mark.parametrize("text", ["not Base64!", "YQ", "ü"])
def test_what_is_no_base64(text: str) -> None:
    with pytest.raises(S3Error) as caught:
        FormPolicy.parse(text)
    assert caught.value.code == "InvalidPolicyDocument"
