"""Who may do what with tags: actions of their own, and policies that ask for the tags of objects and of requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clients.access import put_policy, statement
from tests.clients.raw import RawClient
from tests.clients.users import TestUser, allow, make_user
from tests.harness import Gateway

DENIED = "AccessDenied"
TAG_SET = {"TagSet": [{"Key": "team", "Value": "a"}]}
READS = ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectAttributes")


@pytest.fixture(scope="module")
def user(gateway: Gateway) -> TestUser:
    """Without policies of its own: what it may do, the policies of buckets say."""
    return make_user(gateway)


@pytest.fixture
def another(gateway: Gateway) -> TestUser:
    """For the tests that give it policies."""
    return make_user(gateway)


def code(call: Callable[..., Any], **parameters: Any) -> str:
    """The error's code, "" if there was none; of a HEAD AccessDenied too."""
    try:
        call(**parameters)
    except ClientError as error:
        found = str(error.response["Error"]["Code"])
        return DENIED if found == "403" else found
    return ""


def grant(s3: Any, bucket: str, user: TestUser, *statements: dict[str, Any]) -> None:
    """To the user by the bucket's policy, for the bucket and everything in it; quicker than a policy of the user's."""
    to_user = {"Principal": {"AWS": user.arn}, "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}
    put_policy(s3, bucket, *({**each, **to_user} for each in statements))


def when(made: dict[str, Any], **condition: Any) -> dict[str, Any]:
    return {**made, "Condition": condition}


def existing(key: str, value: str) -> dict[str, dict[str, str]]:
    return {"StringEquals": {f"s3:ExistingObjectTag/{key}": value}}


def requested(key: str, value: str) -> dict[str, dict[str, str]]:
    return {"StringEquals": {f"s3:RequestObjectTag/{key}": value}}


@pytest.fixture
def objects(s3: Any, bucket: str) -> str:
    """A bucket with an object of team a, one of team b, and one without tags."""
    s3.put_object(Bucket=bucket, Key="a", Body=b"of a", Tagging="team=a")
    s3.put_object(Bucket=bucket, Key="b", Body=b"of b", Tagging="team=b")
    s3.put_object(Bucket=bucket, Key="none", Body=b"of nobody")
    return bucket


# Actions of their own


@pytest.mark.parametrize(
    ("operation", "action", "parameters"),
    [
        ("get_object_tagging", "s3:GetObjectTagging", {}),
        ("put_object_tagging", "s3:PutObjectTagging", {"Tagging": TAG_SET}),
        ("delete_object_tagging", "s3:DeleteObjectTagging", {}),
    ],
)
def test_tags_have_actions_of_their_own_and_those_of_a_version_others(
    s3: Any, user: TestUser, objects: str, operation: str, action: str, parameters: Any
) -> None:
    call, where = getattr(user.client("s3"), operation), {"Bucket": objects, "Key": "a", **parameters}
    of_a_version = action.replace("Object", "ObjectVersion")
    for allowed, newest, named in ((action, "", DENIED), (of_a_version, DENIED, ""), ("s3:GetObject", DENIED, DENIED)):
        grant(s3, objects, user, allow(allowed))
        assert code(call, **where) == newest
        assert code(call, **where, VersionId="null") == named


def test_writes_that_bring_tags_need_the_right_to_set_them(s3: Any, user: TestUser, objects: str) -> None:
    client = user.client("s3")
    put = {"Bucket": objects, "Key": "new"}
    grant(s3, objects, user, allow("s3:PutObject"))
    assert code(client.put_object, **put, Body=b"1") == ""
    assert code(client.put_object, **put, Body=b"1", Tagging="") == ""
    assert code(client.put_object, **put, Body=b"1", Tagging="team=a") == DENIED
    assert code(client.create_multipart_upload, **put) == ""
    assert code(client.create_multipart_upload, **put, Tagging="team=a") == DENIED
    grant(s3, objects, user, allow("s3:PutObject", "s3:PutObjectTagging"))
    assert code(client.put_object, **put, Body=b"1", Tagging="team=a") == ""
    assert code(client.create_multipart_upload, **put, Tagging="team=a") == ""


def test_copies_need_the_right_to_read_and_to_set_tags(s3: Any, user: TestUser, objects: str) -> None:
    s3.put_bucket_versioning(Bucket=objects, VersioningConfiguration={"Status": "Enabled"})
    version_id = s3.put_object(Bucket=objects, Key="a", Body=b"of a", Tagging="team=a")["VersionId"]
    client, plain = user.client("s3"), ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"]
    of_a = {"Bucket": objects, "Key": "copy", "CopySource": {"Bucket": objects, "Key": "a"}}
    untagged = {**of_a, "CopySource": {"Bucket": objects, "Key": "none"}}
    version = {**of_a, "CopySource": {"Bucket": objects, "Key": "a", "VersionId": version_id}}
    replaced = {"TaggingDirective": "REPLACE", "Tagging": "x=y"}
    grant(s3, objects, user, allow(*plain))
    assert code(client.copy_object, **of_a) == DENIED
    assert code(client.copy_object, **untagged) == ""
    assert code(client.copy_object, **of_a, TaggingDirective="REPLACE") == "", "without tags"
    assert code(client.copy_object, **of_a, **replaced) == DENIED
    grant(s3, objects, user, allow(*plain, "s3:PutObjectTagging"))
    assert code(client.copy_object, **of_a) == DENIED
    assert code(client.copy_object, **of_a, **replaced) == ""
    grant(s3, objects, user, allow(*plain, "s3:GetObjectTagging"))
    assert code(client.copy_object, **of_a) == DENIED
    grant(s3, objects, user, allow(*plain, "s3:GetObjectTagging", "s3:PutObjectTagging"))
    assert code(client.copy_object, **of_a) == ""
    assert code(client.copy_object, **version) == DENIED
    grant(s3, objects, user, allow(*plain, "s3:GetObjectVersionTagging", "s3:PutObjectTagging"))
    assert code(client.copy_object, **version) == ""


def test_the_number_of_tags_is_told_to_those_who_may_read_them(s3: Any, user: TestUser, objects: str) -> None:
    client = user.client("s3")
    grant(s3, objects, user, allow("s3:GetObject"))
    assert "TagCount" not in client.get_object(Bucket=objects, Key="a")
    assert "TagCount" not in client.head_object(Bucket=objects, Key="a")
    grant(s3, objects, user, allow("s3:GetObject", "s3:GetObjectTagging"))
    assert client.get_object(Bucket=objects, Key="a")["TagCount"] == 1
    assert client.head_object(Bucket=objects, Key="a")["TagCount"] == 1


def test_tags_of_buckets(s3: Any, another: TestUser, bucket: str) -> None:
    client = another.client("s3")
    another.put_policy(allow("s3:GetBucketTagging"))
    assert code(client.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"
    assert code(client.put_bucket_tagging, Bucket=bucket, Tagging=TAG_SET) == DENIED
    assert code(client.delete_bucket_tagging, Bucket=bucket) == DENIED
    another.put_policy(allow("s3:PutBucketTagging"))
    assert code(client.put_bucket_tagging, Bucket=bucket, Tagging=TAG_SET) == ""
    assert code(client.get_bucket_tagging, Bucket=bucket) == DENIED
    assert code(client.delete_bucket_tagging, Bucket=bucket) == ""
    with_tags = {"Bucket": f"{bucket[:40]}-tagged", "CreateBucketConfiguration": {"Tags": TAG_SET["TagSet"]}}
    another.put_policy(allow("s3:CreateBucket"))
    assert code(client.create_bucket, **with_tags) == DENIED
    another.put_policy(allow("s3:CreateBucket", "s3:TagResource"))
    assert code(client.create_bucket, **with_tags) == ""


# s3:ExistingObjectTag


def test_reads_by_the_tags_of_the_object(another: TestUser, objects: str) -> None:
    """Measured on AWS: a tag of one's own, another's, none, no object."""
    client = another.client("s3")
    another.put_policy(when(allow(*READS), **existing("team", "a")))
    for call, extra in (
        (client.get_object, {}),
        (client.head_object, {}),
        (client.get_object_tagging, {}),
        (client.get_object_attributes, {"ObjectAttributes": ["ETag"]}),
    ):
        codes = [code(call, Bucket=objects, Key=key, **extra) for key in ("a", "b", "none", "absent")]
        assert codes == ["", DENIED, DENIED, DENIED]
    another.put_policy(when(allow(*READS), **existing("team", "a")), allow("s3:ListBucket"))
    assert code(client.get_object, Bucket=objects, Key="absent") == DENIED


def test_a_new_tag_counts_at_once(s3: Any, user: TestUser, objects: str) -> None:
    client = user.client("s3")
    grant(s3, objects, user, when(allow(*READS), **existing("team", "a")))
    assert code(client.get_object, Bucket=objects, Key="none") == DENIED
    s3.put_object_tagging(Bucket=objects, Key="none", Tagging=TAG_SET)
    assert code(client.get_object, Bucket=objects, Key="none") == ""
    s3.delete_object_tagging(Bucket=objects, Key="none")
    assert code(client.get_object, Bucket=objects, Key="none") == DENIED


def test_each_version_is_decided_by_its_own_tags(s3: Any, user: TestUser, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ours = s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging="team=a")["VersionId"]
    theirs = s3.put_object(Bucket=bucket, Key="k", Body=b"2", Tagging="team=b")["VersionId"]
    client, where = user.client("s3"), {"Bucket": bucket, "Key": "k"}
    grant(s3, bucket, user, when(allow(*READS, "s3:GetObjectVersionTagging"), **existing("team", "a")))
    assert code(client.get_object, **where) == DENIED
    assert code(client.get_object, **where, VersionId=theirs) == DENIED
    assert client.get_object(**where, VersionId=ours)["Body"].read() == b"1"
    assert code(client.get_object_tagging, **where, VersionId=ours) == ""
    marker = s3.delete_object(**where)["VersionId"]
    assert code(client.get_object, **where, VersionId=marker) == DENIED


def test_a_deny_by_the_tags_of_the_object(s3: Any, user: TestUser, objects: str) -> None:
    client = user.client("s3")
    refused = {"Effect": "Deny", "Action": ["s3:GetObject"], "Resource": "*"}
    grant(s3, objects, user, allow("s3:*"), when(refused, **existing("team", "b")))
    assert [code(client.get_object, Bucket=objects, Key=key) for key in ("a", "b", "none")] == ["", DENIED, ""]
    copy = {"Bucket": objects, "Key": "copy"}
    assert code(client.copy_object, **copy, CopySource={"Bucket": objects, "Key": "a"}) == ""
    assert code(client.copy_object, **copy, CopySource={"Bucket": objects, "Key": "b"}) == DENIED
    upload = client.create_multipart_upload(**copy)["UploadId"]
    part = {**copy, "UploadId": upload, "PartNumber": 1}
    assert code(client.upload_part_copy, **part, CopySource={"Bucket": objects, "Key": "a"}) == ""
    assert code(client.upload_part_copy, **part, CopySource={"Bucket": objects, "Key": "b"}) == DENIED


def test_writing_and_deleting_do_not_know_the_tags(s3: Any, another: TestUser, objects: str) -> None:
    """User Guide, "Tagging and access control policies"; measured on AWS."""
    client = another.client("s3")
    another.put_policy(when(allow("s3:DeleteObject", "s3:PutObject"), **existing("team", "a")))
    assert code(client.delete_object, Bucket=objects, Key="a") == DENIED
    assert code(client.put_object, Bucket=objects, Key="a", Body=b"1") == DENIED
    refused = {"Effect": "Deny", "Action": ["s3:DeleteObject", "s3:PutObject"], "Resource": "*"}
    another.put_policy(allow("s3:DeleteObject", "s3:PutObject"), when(refused, **existing("team", "b")))
    assert code(client.put_object, Bucket=objects, Key="b", Body=b"1") == ""
    assert code(client.delete_object, Bucket=objects, Key="b") == ""


@pytest.mark.parametrize("action", ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"])
def test_a_bucket_policy_asks_for_no_tags_that_an_action_does_not_know(
    s3: Any, user: TestUser, objects: str, action: str
) -> None:
    """Measured on AWS; one such action among others is enough."""
    with pytest.raises(ClientError) as refused:
        grant(s3, objects, user, when(allow("s3:GetObject", action), **existing("team", "a")))
    assert refused.value.response["Error"]["Code"] == "MalformedPolicy"


def test_who_changes_tags_by_the_tags_there_are(s3: Any, user: TestUser, objects: str) -> None:
    client = user.client("s3")
    grant(s3, objects, user, when(allow("s3:PutObjectTagging", "s3:DeleteObjectTagging"), **existing("team", "a")))
    other = {"Tagging": {"TagSet": [{"Key": "team", "Value": "b"}]}}
    assert [code(client.put_object_tagging, Bucket=objects, Key=key, **other) for key in ("b", "none")] == [DENIED] * 2
    assert code(client.put_object_tagging, Bucket=objects, Key="a", **other) == ""
    assert code(client.delete_object_tagging, Bucket=objects, Key="a") == DENIED, "it is of team b by now"


@pytest.mark.parametrize("key", ["team", "TEAM"])
def test_a_key_in_a_policy_knows_no_case(s3: Any, user: TestUser, objects: str, key: str) -> None:
    grant(s3, objects, user, when(allow("s3:GetObject"), **existing(key, "a")))
    assert code(user.client("s3").get_object, Bucket=objects, Key="a") == ""


def test_a_tag_in_a_variable(another: TestUser, objects: str) -> None:
    another.put_policy(allow("s3:GetObject", on=f"arn:aws:s3:::{objects}/${{s3:ExistingObjectTag/team}}"))
    client = another.client("s3")
    assert [code(client.get_object, Bucket=objects, Key=key) for key in ("a", "b", "none")] == ["", "", DENIED]


def test_a_bucket_policy_asks_for_tags(s3: Any, another: TestUser, objects: str) -> None:
    client = another.client("s3")
    another.put_policy(allow("s3:ListAllMyBuckets"))
    put_policy(
        s3,
        objects,
        statement("Allow", {"AWS": another.arn}, "s3:GetObject", on=f"{objects}/*", **existing("team", "a")),
    )
    assert [code(client.get_object, Bucket=objects, Key=key) for key in ("a", "b", "none")] == ["", DENIED, DENIED]
    put_policy(
        s3,
        objects,
        statement("Deny", {"AWS": "*"}, "s3:GetObject", on=f"{objects}/*", **existing("team", "b")),
    )
    assert [code(s3.get_object, Bucket=objects, Key=key) for key in ("a", "b", "none")] == ["", DENIED, ""], "also root"


# s3:RequestObjectTag and s3:RequestObjectTagKeys


def test_writes_by_the_tags_that_they_bring(s3: Any, user: TestUser, objects: str) -> None:
    """Measured on AWS: both s3:PutObject and s3:PutObjectTagging know them."""
    client = user.client("s3")
    grant(s3, objects, user, when(allow("s3:PutObject", "s3:PutObjectTagging"), **requested("team", "a")))
    put = {"Bucket": objects, "Key": "new"}
    for tags, expected in (("team=a", ""), ("team=a&more=x", ""), ("team=b", DENIED), ("", DENIED)):
        assert code(client.put_object, **put, Body=b"1", Tagging=tags) == expected
        assert code(client.create_multipart_upload, **put, Tagging=tags) == expected
    assert code(client.put_object, **put, Body=b"1") == DENIED


def test_copies_by_the_tags_that_they_bring(s3: Any, user: TestUser, objects: str) -> None:
    client = user.client("s3")
    grant(
        s3,
        objects,
        user,
        allow("s3:GetObject", "s3:GetObjectTagging"),
        when(allow("s3:PutObject", "s3:PutObjectTagging"), **requested("team", "a")),
    )
    copy = {"Bucket": objects, "Key": "copy", "CopySource": {"Bucket": objects, "Key": "none"}}
    assert code(client.copy_object, **copy, TaggingDirective="REPLACE", Tagging="team=a") == ""
    assert code(client.copy_object, **copy, TaggingDirective="REPLACE", Tagging="team=b") == DENIED
    assert code(client.copy_object, **copy, Tagging="team=a") == DENIED, "they do not count"


def test_tags_that_a_copy_takes_over_are_set_like_others(s3: Any, user: TestUser, objects: str) -> None:
    client, plain = user.client("s3"), ("s3:GetObject", "s3:GetObjectTagging", "s3:PutObject")
    grant(s3, objects, user, allow(*plain), when(allow("s3:PutObjectTagging"), **requested("team", "a")))
    copy = {"Bucket": objects, "Key": "copy"}
    codes = [code(client.copy_object, **copy, CopySource={"Bucket": objects, "Key": key}) for key in ("a", "b", "none")]
    assert codes == ["", DENIED, ""]


def test_put_object_tagging_by_its_document(s3: Any, user: TestUser, objects: str) -> None:
    client, where = user.client("s3"), {"Bucket": objects, "Key": "none"}

    def put(*pairs: tuple[str, str]) -> str:
        tags = [{"Key": key, "Value": value} for key, value in pairs]
        return code(client.put_object_tagging, **where, Tagging={"TagSet": tags})

    grant(s3, objects, user, when(allow("s3:PutObjectTagging"), **requested("team", "a")))
    assert (put(("team", "a")), put(("team", "b")), put()) == ("", DENIED, DENIED)
    keys = {"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["team", "size"]}}
    grant(s3, objects, user, when(allow("s3:PutObjectTagging"), **keys))
    assert (put(("team", "x"), ("size", "")), put(("team", "x"), ("other", "")), put()) == ("", DENIED, "")
    grant(
        s3,
        objects,
        user,
        when(allow("s3:PutObjectTagging"), **{"ForAnyValue:StringEquals": keys["ForAllValues:StringEquals"]}),
    )
    assert (put(("other", ""), ("size", "")), put(("other", "")), put()) == ("", DENIED, DENIED)
    grant(
        s3,
        objects,
        user,
        allow("s3:PutObjectTagging"),
        when({**allow("s3:PutObjectTagging"), "Effect": "Deny"}, **keys),
    )
    assert (put(("other", "")), put(("team", ""))) == ("", DENIED)


def test_what_was_and_what_comes_in_one_policy(s3: Any, user: TestUser, objects: str) -> None:
    client = user.client("s3")
    both = {"StringEquals": {"s3:ExistingObjectTag/team": "a", "s3:RequestObjectTag/team": "b"}}
    grant(s3, objects, user, when(allow("s3:PutObjectTagging"), **both))
    to_b = {"Tagging": {"TagSet": [{"Key": "team", "Value": "b"}]}}
    assert code(client.put_object_tagging, Bucket=objects, Key="b", **to_b) == DENIED
    assert code(client.put_object_tagging, Bucket=objects, Key="a", Tagging=TAG_SET) == DENIED
    assert code(client.put_object_tagging, Bucket=objects, Key="a", **to_b) == ""


def test_a_document_is_not_read_from_who_may_not_write_it(another: TestUser, gateway: Gateway, objects: str) -> None:
    raw = RawClient(gateway, another.access_key_id, another.secret_access_key)
    another.put_policy(allow("s3:GetObject"))
    started = time.monotonic()
    signed = raw.sign("PUT", f"/{objects}/a?tagging", {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="})
    with raw.connect() as connection:
        connection.send(
            f"PUT /{objects}/a?tagging HTTP/1.1\r\n".encode()
            + "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items()).encode()
            + b"content-length: 1000\r\n\r\n"
        )
        assert connection.answer("PUT").refusal == (403, DENIED)
    assert time.monotonic() - started < 30
