"""Users of a gateway with two workers, through boto3: what policies allow, and when changes take effect."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clients.users import allow, deny, make_user
from tests.harness import Gateway, running_gateway

REQUESTS = 12
"""Each over a new connection, so that with two workers one that is left behind is all but sure to be asked."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("users"), root="file", workers=2) as made:
        yield made


@pytest.fixture(scope="module")
def s3(gateway: Gateway) -> Any:
    client = gateway.client("s3")
    client.create_bucket(Bucket="data")
    client.create_bucket(Bucket="other")
    for bucket in ("data", "other"):
        client.put_object(Bucket=bucket, Key="k", Body=b"body")
    return client


def code(call: Callable[[], Any]) -> str:
    """The error's code; "" if there was none."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_a_user_without_policies_may_do_nothing(gateway: Gateway, s3: Any) -> None:
    user = make_user(gateway)
    client = user.client("s3")
    calls: list[tuple[str, Callable[[], Any]]] = [
        ("ListAllMyBuckets", client.list_buckets),
        ("CreateBucket", lambda: client.create_bucket(Bucket="new")),
        ("ListBucket", lambda: client.list_objects_v2(Bucket="data")),
        ("GetObject", lambda: client.get_object(Bucket="data", Key="k")),
        ("PutObject", lambda: client.put_object(Bucket="data", Key="k", Body=b"x")),
        ("DeleteObject", lambda: client.delete_object(Bucket="data", Key="k")),
        ("PutObject", lambda: client.create_multipart_upload(Bucket="data", Key="k")),
        ("DeleteBucket", lambda: client.delete_bucket(Bucket="data")),
    ]
    for action, call in calls:
        with pytest.raises(ClientError) as caught:
            call()
        error = caught.value.response["Error"]
        assert error["Code"] == "AccessDenied"
        assert error["Message"].startswith(f"User: {user.arn} is not authorized to perform: s3:{action} on resource:")
    assert s3.get_object(Bucket="data", Key="k")["Body"].read() == b"body"


def test_a_user_may_do_what_its_policy_allows_and_no_more(gateway: Gateway, s3: Any) -> None:
    client = make_user(gateway, allow("s3:GetObject", on="arn:aws:s3:::data/*")).client("s3")
    assert client.get_object(Bucket="data", Key="k")["Body"].read() == b"body"
    assert code(lambda: client.get_object(Bucket="other", Key="k")) == "AccessDenied"
    assert code(lambda: client.put_object(Bucket="data", Key="k", Body=b"x")) == "AccessDenied"


def test_where_a_bucket_may_be_made_is_asked_for_before_it_is_refused(gateway: Gateway, s3: Any) -> None:
    there = {"StringEquals": {"s3:LocationConstraint": "eu-west-1"}}
    client = make_user(gateway, {**allow("s3:CreateBucket"), "Condition": there}).client("s3")
    assert code(lambda: client.create_bucket(Bucket="made-here")) == "AccessDenied"
    made = {"Bucket": "made-there", "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    assert code(lambda: client.create_bucket(**made)) == "IllegalLocationConstraintException"


def test_a_copy_needs_the_right_to_read_its_source(gateway: Gateway, s3: Any) -> None:
    user = make_user(gateway, allow("s3:PutObject", on="arn:aws:s3:::data/*"))
    client = user.client("s3")
    source = {"Bucket": "other", "Key": "k"}
    assert code(lambda: client.copy_object(Bucket="data", Key="stolen", CopySource=source)) == "AccessDenied"
    upload = client.create_multipart_upload(Bucket="data", Key="stolen")["UploadId"]
    part = {"Bucket": "data", "Key": "stolen", "UploadId": upload, "PartNumber": 1, "CopySource": source}
    assert code(lambda: client.upload_part_copy(**part)) == "AccessDenied"
    assert code(lambda: s3.head_object(Bucket="data", Key="stolen")) == "404"
    user.put_policy(allow("s3:PutObject", on="arn:aws:s3:::data/*"), allow("s3:GetObject", on="arn:aws:s3:::other/k"))
    assert code(lambda: client.copy_object(Bucket="data", Key="copied", CopySource=source)) == ""


def test_each_object_of_a_bulk_delete_is_asked_for(gateway: Gateway, s3: Any) -> None:
    for key in ("mine/a", "theirs/a"):
        s3.put_object(Bucket="data", Key=key, Body=b"x")
    client = make_user(gateway, allow("s3:DeleteObject", on="arn:aws:s3:::data/mine/*")).client("s3")
    objects = [{"Key": "mine/a"}, {"Key": "theirs/a"}, {"Key": "mine/a", "VersionId": "null"}]
    answer = client.delete_objects(Bucket="data", Delete={"Objects": objects})
    assert [each["Key"] for each in answer["Deleted"]] == ["mine/a"]
    assert {(each["Key"], each["Code"]) for each in answer["Errors"]} == {
        ("theirs/a", "AccessDenied"),
        ("mine/a", "AccessDenied"),
    }
    assert code(lambda: s3.head_object(Bucket="data", Key="theirs/a")) == ""


def test_a_missing_key_is_told_to_those_who_may_list(gateway: Gateway, s3: Any) -> None:
    user = make_user(gateway, allow("s3:GetObject"))
    client = user.client("s3")
    assert code(lambda: client.get_object(Bucket="data", Key="none")) == "AccessDenied"
    assert code(lambda: client.head_object(Bucket="data", Key="none")) == "403"
    user.put_policy(allow("s3:GetObject", "s3:ListBucket"))
    assert code(lambda: client.get_object(Bucket="data", Key="none")) == "NoSuchKey"


def test_a_presigned_url_has_its_signers_rights(gateway: Gateway, s3: Any) -> None:
    user = make_user(gateway, allow("s3:GetObject"))
    url = user.client("s3", signature_version="s3v4").generate_presigned_url(
        "get_object", Params={"Bucket": "data", "Key": "k"}
    )
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == b"body"
    user.put_policy(deny("s3:GetObject"))
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, timeout=30)
    with caught.value as answer:
        assert answer.code == 403


def test_changes_are_in_force_in_every_worker_when_the_command_ends(gateway: Gateway, s3: Any) -> None:
    user = make_user(gateway, allow("s3:GetObject"))

    def codes() -> set[str]:
        found = set()
        for _ in range(REQUESTS):
            client = user.client("s3")
            found.add(code(lambda: client.get_object(Bucket="data", Key="k")))  # noqa: B023  # called at once
            client.close()
        return found

    data = str(gateway.data)
    assert codes() == {""}
    user.put_policy(allow("s3:GetObject"), deny("s3:*"))
    assert codes() == {"AccessDenied"}
    user.put_policy(allow("s3:GetObject"))
    assert codes() == {""}
    gateway.sealgate("access-key", "disable", data, user.access_key_id)
    assert codes() == {"InvalidAccessKeyId"}
    gateway.sealgate("access-key", "enable", data, user.access_key_id)
    assert codes() == {""}
    user.delete_policy()
    assert codes() == {"AccessDenied"}
    gateway.sealgate("access-key", "delete", data, user.access_key_id)
    assert codes() == {"InvalidAccessKeyId"}
    gateway.sealgate("user", "delete", data, user.name)
