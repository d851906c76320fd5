"""Two gateways whose identities are in one database: what is changed on one is so on the other within seconds."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.clients.checks import error_of, faults
from tests.clients.conftest import make_bucket
from tests.clients.users import allow, client_of
from tests.harness import Gateway, wait_until
from tests.postgresql import MISSING, find_postgresql, shared_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Gateway]]:
    """The second one has the keys of the first."""
    directory = tmp_path_factory.mktemp("nodes")
    one = Gateway(directory / "one", root="file", workers=2, index=shared_postgresql().url).init()
    other = Gateway(directory / "other", root="file")
    shutil.copytree(one.data, other.data)
    try:
        one.start()
        other.start()
        yield one, other
    finally:
        one.stop()
        other.stop()
    assert faults(one) == faults(other) == []
    for gateway in (one, other):
        assert not (gateway.data / "iam" / "identities.sqlite").exists()


@pytest.fixture
def user(gateways: tuple[Gateway, Gateway]) -> dict[str, str]:
    """One that may list buckets, made on the first gateway; its name and access key."""
    iam, name = gateways[0].client("iam"), f"user-{uuid.uuid4()}"
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:ListAllMyBuckets")]})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    return iam.create_access_key(UserName=name)["AccessKey"]  # type: ignore[no-any-return]


def answer(gateway: Gateway, key: dict[str, str]) -> str:
    """Of ListBuckets by that key: the code of its error, or "" for none."""
    try:
        client_of(gateway, "s3", key["AccessKeyId"], key["SecretAccessKey"]).list_buckets()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def lines(gateway: Gateway, text: str) -> list[str]:
    """The names of the events in the audit trail with this text in them."""
    [path] = (gateway.data / "audit").glob("audit-*.jsonl")
    return [json.loads(line)["eventName"] for line in path.read_text().splitlines() if text in line]


def test_who_lost_a_right_on_one_gateway_has_lost_it_on_the_other(
    gateways: tuple[Gateway, Gateway], user: dict[str, str]
) -> None:
    one, other = gateways
    iam, name, key_id = one.client("iam"), user["UserName"], user["AccessKeyId"]
    assert [answer(gateway, user) for gateway in gateways] == ["", ""], "known to both at once"
    iam.delete_user_policy(UserName=name, PolicyName="p")
    assert {answer(one, user) for _ in range(4)} == {"AccessDenied"}  # by either worker, at once
    wait_until(lambda: answer(other, user) == "AccessDenied", "the right is gone")
    other.client("iam").update_access_key(UserName=name, AccessKeyId=key_id, Status="Inactive")
    assert answer(other, user) == "InvalidAccessKeyId"
    wait_until(lambda: answer(one, user) == "InvalidAccessKeyId", "the key is inactive")
    iam.delete_access_key(UserName=name, AccessKeyId=key_id)
    iam.delete_user(UserName=name)
    assert error_of(one.client("iam").get_user, UserName=name)["Error"]["Code"] == "NoSuchEntity"
    wait_until(lambda: answer(other, user) == "InvalidAccessKeyId", "the user is gone")


def test_a_policy_may_name_a_user_that_the_other_gateway_just_made(gateways: tuple[Gateway, Gateway]) -> None:
    one, other = gateways
    s3 = other.client("s3")
    bucket = make_bucket(s3)
    for number in range(3):
        made = one.client("iam").create_user(UserName=f"named-{uuid.uuid4()}-{number}")["User"]
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": made["Arn"]},
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    unknown = policy.replace(made["UserName"], "nobody")
    assert error_of(s3.put_bucket_policy, Bucket=bucket, Policy=unknown)["Error"]["Code"] == "MalformedPolicy"


def test_exactly_one_gateway_tells_of_a_change(gateways: tuple[Gateway, Gateway], user: dict[str, str]) -> None:
    one, other = gateways
    name = user["UserName"]
    other.client("iam").tag_user(UserName=name, Tags=[{"Key": "a", "Value": "b"}])
    assert lines(one, name) == ["CreateUser", "PutUserPolicy", "CreateAccessKey"]
    assert lines(other, name) == ["TagUser"]


def test_commands_change_what_all_gateways_have(gateways: tuple[Gateway, Gateway]) -> None:
    one, other = gateways
    name = f"user-{uuid.uuid4()}"
    one.sealgate("user", "create", str(one.data), name)
    assert name in other.sealgate("user", "list", str(other.data)).stdout
    made = other.sealgate("access-key", "create", str(other.data), "--user", name, "--json").stdout
    assert json.loads(made)


def test_doctor_looks_at_them(gateways: tuple[Gateway, Gateway]) -> None:
    found = gateways[0].sealgate("doctor", str(gateways[0].data), check=False)
    assert "identities: they are in schema" in found.stdout
