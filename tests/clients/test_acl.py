"""ACLs of buckets and objects, where they are enabled: canned, in headers, in documents, and in force."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.clients.access import EVERYONE, anonymous_client, put_policy, statement
from tests.clients.checks import error_of, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient
from tests.clients.users import TestAccount, accounts, allow, make_account, make_user, told
from tests.harness import Gateway

DENIED = (403, "AccessDenied")
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
SIGNED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
ANONYMOUS_ID = "65a011a29cdf8ec533ec3d1ccaae921c"


@pytest.fixture(scope="module")
def other(gateway: Gateway) -> TestAccount:
    return make_account(gateway)


@pytest.fixture(scope="module")
def owner_id(gateway: Gateway) -> str:
    """The canonical id of the first account."""
    first = accounts(gateway)[0]
    rows = told(gateway, "account", "list", str(gateway.data))
    return str(next(row["CanonicalId"] for row in rows if row["AccountId"] == first))


@pytest.fixture(scope="module")
def nobody(gateway: Gateway) -> Any:
    return anonymous_client(gateway)


def acl_bucket(s3: Any, ownership: str = "ObjectWriter", **parameters: Any) -> str:
    """A bucket in which ACLs count, and that blocks nothing."""
    name = f"acl-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name, ObjectOwnership=ownership, **parameters)
    s3.delete_public_access_block(Bucket=name)
    return name


@pytest.fixture
def bucket(s3: Any) -> str:
    name = acl_bucket(s3)
    s3.put_object(Bucket=name, Key="k", Body=b"body")
    return name


def grants(answer: Any) -> set[tuple[str, str]]:
    """(grantee, permission)"""
    return {(each["Grantee"].get("URI") or each["Grantee"]["ID"], each["Permission"]) for each in answer["Grants"]}


def of_bucket(s3: Any, bucket: str) -> set[tuple[str, str]]:
    return grants(s3.get_bucket_acl(Bucket=bucket))


def of_object(s3: Any, bucket: str, key: str = "k", **named: Any) -> set[tuple[str, str]]:
    return grants(s3.get_object_acl(Bucket=bucket, Key=key, **named))


def user_grant(canonical_id: str, permission: str) -> dict[str, Any]:
    return {"Grantee": {"Type": "CanonicalUser", "ID": canonical_id}, "Permission": permission}


# What is told


CANNED_OF_BOTH = [
    ("private", set()),
    ("public-read", {(ALL_USERS, "READ")}),
    ("public-read-write", {(ALL_USERS, "READ"), (ALL_USERS, "WRITE")}),
    ("authenticated-read", {(SIGNED_USERS, "READ")}),
]


@pytest.mark.parametrize(("canned", "extra"), CANNED_OF_BOTH)
def test_canned_acls_are_told_as_grants(
    s3: Any, bucket: str, owner_id: str, canned: str, extra: set[tuple[str, str]]
) -> None:
    own = {(owner_id, "FULL_CONTROL")}
    assert of_bucket(s3, bucket) == of_object(s3, bucket) == own
    s3.put_bucket_acl(Bucket=bucket, ACL=canned)
    s3.put_object_acl(Bucket=bucket, Key="k", ACL=canned)
    assert of_bucket(s3, bucket) == of_object(s3, bucket) == own | extra
    s3.put_object(Bucket=bucket, Key="put", Body=b"x", ACL=canned)
    assert of_object(s3, bucket, "put") == own | extra
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "put"})
    assert of_object(s3, bucket, "copy") == own, "a copy's ACL is its own"
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "put"}, ACL=canned)
    assert of_object(s3, bucket, "copy") == own | extra


def test_the_owner_is_told(s3: Any, bucket: str, owner_id: str) -> None:
    for answer in (s3.get_bucket_acl(Bucket=bucket), s3.get_object_acl(Bucket=bucket, Key="k")):
        assert answer["Owner"]["ID"] == owner_id
        (grant,) = answer["Grants"]
        assert grant["Grantee"]["Type"] == "CanonicalUser"


def test_log_delivery_is_for_buckets(raw: RawClient, s3: Any, bucket: str, owner_id: str) -> None:
    headers = {"x-amz-acl": "log-delivery-write"}
    assert raw.request("PUT", f"/{bucket}?acl", headers).status == 200
    assert of_bucket(s3, bucket) == {
        (owner_id, "FULL_CONTROL"),
        (LOG_DELIVERY, "WRITE"),
        (LOG_DELIVERY, "READ_ACP"),
    }
    assert raw.request("PUT", f"/{bucket}/k?acl", headers).refusal == (400, "InvalidArgument")


def test_grants_in_headers(s3: Any, bucket: str, other: TestAccount) -> None:
    named = f'id="{other.canonical_id}"'
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", GrantRead=f"{named}, uri={ALL_USERS}", GrantWriteACP=named)
    expected = {(other.canonical_id, "READ"), (ALL_USERS, "READ"), (other.canonical_id, "WRITE_ACP")}
    assert of_object(s3, bucket) == expected
    s3.put_bucket_acl(Bucket=bucket, GrantFullControl=named, GrantWrite=f"uri={ALL_USERS}")
    assert of_bucket(s3, bucket) == {(other.canonical_id, "FULL_CONTROL"), (ALL_USERS, "WRITE")}
    made = acl_bucket(s3, GrantReadACP=named)
    assert of_bucket(s3, made) == {(other.canonical_id, "READ_ACP")}


def test_grants_in_documents(s3: Any, bucket: str, owner_id: str, other: TestAccount) -> None:
    policy = {
        "Owner": {"ID": owner_id},
        "Grants": [
            user_grant(other.canonical_id, "READ"),
            {"Grantee": {"Type": "Group", "URI": SIGNED_USERS}, "Permission": "READ_ACP"},
        ],
    }
    expected = {(other.canonical_id, "READ"), (SIGNED_USERS, "READ_ACP")}
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=policy)
    s3.put_object_acl(Bucket=bucket, Key="k", AccessControlPolicy=policy)
    assert of_bucket(s3, bucket) == of_object(s3, bucket) == expected
    told = s3.get_object_acl(Bucket=bucket, Key="k")
    again = {"Owner": told["Owner"], "Grants": told["Grants"]}
    s3.put_object_acl(Bucket=bucket, Key="k", AccessControlPolicy=again)
    assert of_object(s3, bucket) == expected
    s3.put_object_acl(Bucket=bucket, Key="k", AccessControlPolicy={"Owner": {"ID": owner_id}, "Grants": []})
    assert of_object(s3, bucket) == set()
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body", "an owner keeps its object"


def test_an_upload_in_parts_keeps_the_acl_it_began_with(s3: Any, nobody: Any, bucket: str, owner_id: str) -> None:
    target = {"Bucket": bucket, "Key": "parts"}
    target["UploadId"] = s3.create_multipart_upload(**target, ACL="public-read")["UploadId"]
    etag = s3.upload_part(**target, PartNumber=1, Body=b"part")["ETag"]
    s3.complete_multipart_upload(**target, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert of_object(s3, bucket, "parts") == {(owner_id, "FULL_CONTROL"), (ALL_USERS, "READ")}
    assert nobody.get_object(Bucket=bucket, Key="parts")["Body"].read() == b"part"


def test_each_version_has_its_own(s3: Any, nobody: Any, bucket: str, owner_id: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old, new = (s3.put_object(Bucket=bucket, Key="k", Body=body)["VersionId"] for body in (b"old", b"new"))
    answer = s3.put_object_acl(Bucket=bucket, Key="k", VersionId=old, ACL="public-read")
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-version-id"] == old
    assert of_object(s3, bucket, VersionId=old) == {(owner_id, "FULL_CONTROL"), (ALL_USERS, "READ")}
    assert of_object(s3, bucket, VersionId=new) == of_object(s3, bucket) == {(owner_id, "FULL_CONTROL")}
    assert nobody.get_object(Bucket=bucket, Key="k", VersionId=old)["Body"].read() == b"old"
    assert refusal(nobody.get_object, Bucket=bucket, Key="k", VersionId=new) == DENIED
    assert refusal(nobody.get_object, Bucket=bucket, Key="k") == DENIED
    s3.delete_object(Bucket=bucket, Key="k")
    assert refusal(s3.get_object_acl, Bucket=bucket, Key="k") == (405, "MethodNotAllowed")
    assert refusal(s3.put_object_acl, Bucket=bucket, Key="k", ACL="private") == (405, "MethodNotAllowed")


def test_changing_an_acl_leaves_the_object(s3: Any, bucket: str) -> None:
    before = s3.head_object(Bucket=bucket, Key="k")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    after = s3.head_object(Bucket=bucket, Key="k")
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_many_at_once_are_all_made(gateway: Gateway, bucket: str) -> None:
    clients = [gateway.client("s3") for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        done = [pool.submit(each.put_bucket_acl, Bucket=bucket, ACL="public-read") for each in clients]
        done += [pool.submit(each.put_bucket_versioning, **versioned(bucket)) for each in clients]
        assert {each.result()["ResponseMetadata"]["HTTPStatusCode"] for each in done} == {200}
    assert (ALL_USERS, "READ") in of_bucket(clients[0], bucket)
    assert clients[0].get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def versioned(bucket: str) -> dict[str, Any]:
    return {"Bucket": bucket, "VersioningConfiguration": {"Status": "Enabled"}}


# What is refused


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"GrantRead": f"id={'0' * 64}"}, (400, "InvalidArgument")),
        ({"GrantRead": "uri=http://example.com/"}, (400, "InvalidArgument")),
        ({"GrantRead": "emailAddress=nobody@example.com"}, (400, "UnresolvableGrantByEmailAddress")),
        ({"GrantRead": "nonsense"}, (400, "InvalidArgument")),
        ({"GrantRead": f"uri={ALL_USERS}", "ACL": "private"}, (400, "InvalidRequest")),
        ({"ACL": "everything"}, (400, "InvalidArgument")),
        ({}, (400, "MissingSecurityHeader")),
    ],
)
def test_acls_that_are_none(
    s3: Any, bucket: str, owner_id: str, parameters: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert refusal(s3.put_bucket_acl, Bucket=bucket, **parameters) == expected
    assert refusal(s3.put_object_acl, Bucket=bucket, Key="k", **parameters) == expected
    if parameters:
        assert refusal(s3.put_object, Bucket=bucket, Key="new", Body=b"x", **parameters) == expected
        assert refusal(s3.head_object, Bucket=bucket, Key="new") == (404, "404")
        made = {"Bucket": f"not-{uuid.uuid4()}", "ObjectOwnership": "ObjectWriter"}
        assert refusal(s3.create_bucket, **made, **parameters) == expected
    assert of_bucket(s3, bucket) == of_object(s3, bucket) == {(owner_id, "FULL_CONTROL")}


def test_documents_that_are_none(raw: RawClient, s3: Any, bucket: str, owner_id: str, other: TestAccount) -> None:
    owner = f"<Owner><ID>{owner_id}</ID></Owner>"
    none = "<AccessControlList></AccessControlList>"
    for target in (f"/{bucket}?acl", f"/{bucket}/k?acl"):
        for content, headers, expected in [
            ("", {}, (400, "MalformedACLError")),
            (none, {}, (400, "MalformedACLError")),
            (owner, {}, (400, "MalformedACLError")),
            (owner + none, {"x-amz-acl": "private"}, (400, "UnexpectedContent")),
            (f"<Owner><ID>{other.canonical_id}</ID></Owner>{none}", {}, DENIED),
        ]:
            body = f"<AccessControlPolicy>{content}</AccessControlPolicy>".encode()
            assert raw.request("PUT", target, headers, body).refusal == expected
    assert of_bucket(s3, bucket) == of_object(s3, bucket) == {(owner_id, "FULL_CONTROL")}


def test_a_missing_key_has_no_acl(s3: Any, bucket: str) -> None:
    assert refusal(s3.get_object_acl, Bucket=bucket, Key="none") == (404, "NoSuchKey")
    assert refusal(s3.put_object_acl, Bucket=bucket, Key="none", ACL="private") == (404, "NoSuchKey")


# In force


def test_a_public_bucket_is_listed_and_its_objects_are_not_read(s3: Any, nobody: Any, bucket: str) -> None:
    assert refusal(nobody.list_objects_v2, Bucket=bucket) == DENIED
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert [each["Key"] for each in nobody.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]
    assert refusal(nobody.get_object, Bucket=bucket, Key="k") == DENIED
    assert refusal(nobody.get_object, Bucket=bucket, Key="none") == (404, "NoSuchKey")
    assert refusal(nobody.put_object, Bucket=bucket, Key="new", Body=b"x") == DENIED
    assert refusal(nobody.get_bucket_acl, Bucket=bucket) == DENIED


def test_a_public_object_is_read_in_a_private_bucket(s3: Any, nobody: Any, bucket: str, other: TestAccount) -> None:
    client = other.client("s3")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="authenticated-read")
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    assert refusal(nobody.get_object, Bucket=bucket, Key="k") == DENIED
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    assert nobody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    assert refusal(nobody.get_object, Bucket=bucket, Key="none") == DENIED
    assert refusal(nobody.list_objects_v2, Bucket=bucket) == DENIED
    assert refusal(client.get_object_acl, Bucket=bucket, Key="k") == DENIED
    assert refusal(client.put_object_acl, Bucket=bucket, Key="k", ACL="private") == DENIED


def test_everyone_writes_into_a_public_bucket_and_owns_what_it_wrote(
    s3: Any, nobody: Any, bucket: str, owner_id: str, other: TestAccount
) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    client = other.client("s3")
    client.put_object(Bucket=bucket, Key="theirs", Body=b"theirs")
    assert client.get_object_acl(Bucket=bucket, Key="theirs")["Owner"]["ID"] == other.canonical_id
    assert of_object(client, bucket, "theirs") == {(other.canonical_id, "FULL_CONTROL")}
    assert refusal(s3.get_object, Bucket=bucket, Key="theirs") == DENIED
    assert refusal(s3.get_object_acl, Bucket=bucket, Key="theirs") == DENIED
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "theirs"}}
    assert refusal(s3.copy_object, **copy) == DENIED
    client.put_object_acl(Bucket=bucket, Key="theirs", ACL="bucket-owner-read")
    assert s3.get_object(Bucket=bucket, Key="theirs")["Body"].read() == b"theirs"
    s3.copy_object(**copy)
    assert s3.get_object_acl(Bucket=bucket, Key="copy")["Owner"]["ID"] == owner_id
    owners = {each["Key"]: each["Owner"]["ID"] for each in s3.list_objects(Bucket=bucket)["Contents"]}
    assert owners == {"copy": owner_id, "k": owner_id, "theirs": other.canonical_id}
    versions = {each["Key"]: each["Owner"]["ID"] for each in s3.list_object_versions(Bucket=bucket)["Versions"]}
    assert versions == owners
    nobody.put_object(Bucket=bucket, Key="nobodys", Body=b"x")
    assert refusal(s3.get_object, Bucket=bucket, Key="nobodys") == DENIED
    assert nobody.get_object_acl(Bucket=bucket, Key="nobodys")["Owner"]["ID"] == ANONYMOUS_ID
    for key in ("theirs", "nobodys"):
        s3.delete_object(Bucket=bucket, Key=key)
        assert refusal(s3.get_object, Bucket=bucket, Key=key) == (404, "NoSuchKey")


@pytest.mark.parametrize(
    ("ownership", "canned", "is_bucket_owners"),
    [
        ("ObjectWriter", "private", False),
        ("ObjectWriter", "bucket-owner-full-control", False),
        ("BucketOwnerPreferred", "private", False),
        ("BucketOwnerPreferred", "bucket-owner-full-control", True),
        ("BucketOwnerEnforced", "bucket-owner-full-control", True),
    ],
)
def test_whose_an_object_is(
    s3: Any, owner_id: str, other: TestAccount, ownership: str, canned: str, is_bucket_owners: bool
) -> None:
    name = acl_bucket(s3, ownership)
    client = other.client("s3")
    put_policy(s3, name, statement("Allow", {"AWS": other.account_id}, "s3:PutObject*", on=f"{name}/*"))
    client.put_object(Bucket=name, Key="k", Body=b"x", ACL=canned)
    if canned == "private":
        assert refusal(s3.get_object, Bucket=name, Key="k") == DENIED
        owner = client.get_object_acl(Bucket=name, Key="k")["Owner"]["ID"]
    else:
        assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"x"
        owner = s3.get_object_acl(Bucket=name, Key="k")["Owner"]["ID"]
    assert owner == (owner_id if is_bucket_owners else other.canonical_id)


def test_enforcing_the_owner_takes_every_object_back(s3: Any, bucket: str, owner_id: str, other: TestAccount) -> None:
    s3.put_bucket_acl(Bucket=bucket, GrantWrite=f"id={other.canonical_id}")
    other.client("s3").put_object(Bucket=bucket, Key="theirs", Body=b"theirs")
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert refusal(s3.put_bucket_ownership_controls, Bucket=bucket, OwnershipControls=enforced) == (
        400,
        "InvalidBucketAclWithObjectOwnership",
    )
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=enforced)
    assert s3.get_object(Bucket=bucket, Key="theirs")["Body"].read() == b"theirs"
    assert refusal(other.client("s3").get_object, Bucket=bucket, Key="theirs") == DENIED
    for key in ("k", "theirs"):
        answer = s3.get_object_acl(Bucket=bucket, Key=key)
        assert (answer["Owner"]["ID"], grants(answer)) == (owner_id, {(owner_id, "FULL_CONTROL")})


def test_users_of_other_accounts_need_their_own_policies_too(s3: Any, bucket: str, other: TestAccount) -> None:
    s3.put_object_acl(Bucket=bucket, Key="k", GrantRead=f"id={other.canonical_id}")
    assert refusal(other.make_user().client("s3").get_object, Bucket=bucket, Key="k") == DENIED
    reader = other.make_user(allow("s3:GetObject"))
    assert reader.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_a_deny_of_the_bucket_policy_holds_for_every_object(s3: Any, bucket: str, other: TestAccount) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    client = other.client("s3")
    client.put_object(Bucket=bucket, Key="theirs", Body=b"x", ACL="public-read")
    assert s3.get_object(Bucket=bucket, Key="theirs")["Body"].read() == b"x"
    put_policy(s3, bucket, statement("Deny", EVERYONE, "s3:GetObject", on=f"{bucket}/theirs"))
    assert refusal(client.get_object, Bucket=bucket, Key="theirs") == DENIED
    assert refusal(s3.get_object, Bucket=bucket, Key="theirs") == DENIED


def test_an_allow_of_the_bucket_policy_says_nothing_about_others_objects(
    s3: Any, nobody: Any, bucket: str, other: TestAccount
) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    other.client("s3").put_object(Bucket=bucket, Key="theirs", Body=b"x")
    put_policy(s3, bucket, statement("Allow", EVERYONE, "s3:GetObject", on=f"{bucket}/*"))
    assert nobody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    assert refusal(nobody.get_object, Bucket=bucket, Key="theirs") == DENIED


def test_who_began_an_upload_may_list_and_abort_it(s3: Any, bucket: str, other: TestAccount) -> None:
    client, third = other.client("s3"), other.make_user().client("s3")
    s3.put_bucket_acl(Bucket=bucket, GrantWrite=f"id={other.canonical_id}")
    target = {"Bucket": bucket, "Key": "parts"}
    target["UploadId"] = client.create_multipart_upload(**target)["UploadId"]
    etag = client.upload_part(**target, PartNumber=1, Body=b"part")["ETag"]
    told = client.list_parts(**target)
    assert [each["ETag"] for each in told["Parts"]] == [etag]
    (listed,) = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    for answer in (told, listed):
        assert answer["Owner"]["ID"] == answer["Initiator"]["ID"] == other.canonical_id
    assert refusal(third.list_parts, **target) == DENIED
    assert refusal(third.abort_multipart_upload, **target) == DENIED
    client.abort_multipart_upload(**target)
    begun = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    assert refusal(client.abort_multipart_upload, **{**target, "UploadId": begun}) == DENIED


def test_setting_an_acl_is_a_permission_of_its_own(gateway: Gateway, s3: Any, bucket: str) -> None:
    user = make_user(gateway, allow("s3:PutObject", "s3:CreateBucket", "s3:PutBucketOwnershipControls"))
    client = user.client("s3")
    client.put_object(Bucket=bucket, Key="new", Body=b"x")
    assert refusal(client.put_object, Bucket=bucket, Key="new", Body=b"x", ACL="public-read") == DENIED
    assert refusal(client.put_object_acl, Bucket=bucket, Key="new", ACL="public-read") == DENIED
    made = {"Bucket": f"user-{uuid.uuid4()}", "ObjectOwnership": "ObjectWriter", "ACL": "authenticated-read"}
    assert refusal(client.create_bucket, **made) == DENIED


# Where ACLs are disabled, and public ones blocked


def test_where_the_owner_is_enforced_there_are_no_acls(s3: Any, owner_id: str, other: TestAccount) -> None:
    bucket = make_bucket(s3)
    put = {"Bucket": bucket, "Key": "k", "Body": b"x"}
    own = {(owner_id, "FULL_CONTROL")}
    for parameters in (
        {"ACL": "private"},
        {"ACL": "bucket-owner-full-control"},
        {"GrantFullControl": f"id={owner_id}"},
    ):
        s3.put_object(**put, **parameters)
    for parameters in ({"ACL": "public-read"}, {"GrantRead": f"id={other.canonical_id}"}):
        unsupported = (400, "AccessControlListNotSupported")
        assert refusal(s3.put_object, **put, **parameters) == unsupported
        assert refusal(s3.create_multipart_upload, Bucket=bucket, Key="k", **parameters) == unsupported
        assert refusal(s3.put_object_acl, Bucket=bucket, Key="k", **parameters) == unsupported
        assert refusal(s3.put_bucket_acl, Bucket=bucket, **parameters) == unsupported
        made = {"Bucket": f"not-{uuid.uuid4()}", **parameters}
        assert refusal(s3.create_bucket, **made) == (400, "InvalidBucketAclWithObjectOwnership")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="bucket-owner-full-control")
    assert of_bucket(s3, bucket) == of_object(s3, bucket) == own


def test_public_acls_are_blocked(s3: Any, nobody: Any, bucket: str) -> None:
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    assert nobody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    for parameters in ({"ACL": "public-read"}, {"ACL": "authenticated-read"}, {"GrantRead": f"uri={ALL_USERS}"}):
        response = error_of(s3.put_object, Bucket=bucket, Key="new", Body=b"x", **parameters)
        assert response["Error"]["Code"] == "AccessDenied"
        assert response["Error"]["Message"].endswith(
            "because public access control lists (ACLs) are prevented by the BlockPublicAcls setting in S3 Block "
            "Public Access."
        )
        assert refusal(s3.put_object_acl, Bucket=bucket, Key="k", **parameters) == DENIED
        assert refusal(s3.put_bucket_acl, Bucket=bucket, **parameters) == DENIED
        made = {"Bucket": f"not-{uuid.uuid4()}", "ObjectOwnership": "ObjectWriter", **parameters}
        assert refusal(s3.create_bucket, **made) == DENIED
    s3.put_object(Bucket=bucket, Key="new", Body=b"x", ACL="private")


def test_public_acls_are_ignored(s3: Any, nobody: Any, bucket: str, other: TestAccount) -> None:
    s3.put_object_acl(Bucket=bucket, Key="k", GrantRead=f"uri={ALL_USERS}, id={other.canonical_id}")
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"IgnorePublicAcls": True})
    assert refusal(nobody.get_object, Bucket=bucket, Key="k") == DENIED
    assert refusal(nobody.list_objects_v2, Bucket=bucket) == DENIED
    assert other.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    assert (ALL_USERS, "READ") in of_object(s3, bucket)
    s3.delete_public_access_block(Bucket=bucket)
    assert nobody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
