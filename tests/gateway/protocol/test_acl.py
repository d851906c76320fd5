from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.acl import (
    CANNED,
    Grant,
    Grants,
    Group,
    Permission,
    RequestedACL,
    canned_bucket_acl,
    canned_object_acl,
    is_public,
    private,
    without_public,
)
from gateway.protocol.errors import S3Error

OWNER, BUCKET_OWNER, OTHER = "a" * 64, "b" * 64, "c" * 64
FULL, READ, WRITE = Permission.FULL_CONTROL, Permission.READ, Permission.WRITE
OWN = Grant(OWNER, FULL)


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("private", ()),
        ("public-read", (Grant(Group.ALL_USERS, READ),)),
        ("public-read-write", (Grant(Group.ALL_USERS, READ), Grant(Group.ALL_USERS, WRITE))),
        ("authenticated-read", (Grant(Group.AUTHENTICATED_USERS, READ),)),
        ("bucket-owner-read", (Grant(BUCKET_OWNER, READ),)),
        ("bucket-owner-full-control", (Grant(BUCKET_OWNER, FULL),)),
    ],
)
def test_canned_acls_of_objects(name: str, extra: Grants) -> None:
    assert canned_object_acl(name, OWNER, BUCKET_OWNER) == (OWN, *extra)


def test_a_bucket_owner_gets_nothing_besides_from_its_own_objects() -> None:
    for name in ("bucket-owner-read", "bucket-owner-full-control"):
        assert canned_object_acl(name, OWNER, OWNER) == (OWN,)


def test_canned_acls_of_buckets() -> None:
    assert canned_bucket_acl("log-delivery-write", OWNER) == (
        OWN,
        Grant(Group.LOG_DELIVERY, WRITE),
        Grant(Group.LOG_DELIVERY, Permission.READ_ACP),
    )
    assert canned_bucket_acl("bucket-owner-read", OWNER) == private(OWNER)
    assert canned_bucket_acl("public-read", OWNER) == (OWN, Grant(Group.ALL_USERS, READ))
    with pytest.raises(S3Error, match="InvalidArgument"):
        canned_object_acl("log-delivery-write", OWNER, BUCKET_OWNER)


def test_what_is_public() -> None:
    public = {name for name in CANNED if is_public(canned_bucket_acl(name, OWNER))}
    assert public == {"public-read", "public-read-write", "authenticated-read"}
    assert without_public(canned_bucket_acl("public-read-write", OWNER)) == (OWN,)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, RequestedACL()),
        ({"x-amz-acl": "public-read"}, RequestedACL("public-read")),
        ({"x-amz-grant-read": f'id="{OTHER}"'}, RequestedACL(None, (Grant(OTHER, READ),))),
        ({"x-amz-grant-read": f"id={OTHER}"}, RequestedACL(None, (Grant(OTHER, READ),))),
        (
            {"x-amz-grant-write-acp": f' id="{OTHER}" , uri="{Group.ALL_USERS}"'},
            RequestedACL(None, (Grant(OTHER, Permission.WRITE_ACP), Grant(Group.ALL_USERS, Permission.WRITE_ACP))),
        ),
        (
            {"x-amz-grant-read-acp": f"ID={OTHER}", "x-amz-grant-full-control": f"id={OWNER}"},
            RequestedACL(None, (Grant(OTHER, Permission.READ_ACP), OWN)),
        ),
        ({"x-amz-grant-write": f"uri={Group.LOG_DELIVERY}"}, RequestedACL(None, (Grant(Group.LOG_DELIVERY, WRITE),))),
    ],
)
def test_headers(headers: dict[str, str], expected: RequestedACL) -> None:
    assert RequestedACL.parse(headers) == expected
    assert expected.is_absent is (not headers)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-acl": "everything"}, "InvalidArgument"),
        ({"x-amz-acl": ""}, "InvalidArgument"),
        ({"x-amz-acl": "private", "x-amz-grant-read": f"id={OTHER}"}, "InvalidRequest"),
        ({"x-amz-grant-read": ""}, "InvalidArgument"),
        ({"x-amz-grant-read": OTHER}, "InvalidArgument"),
        ({"x-amz-grant-read": f"name={OTHER}"}, "InvalidArgument"),
        ({"x-amz-grant-read": f'id="{OTHER}'}, "InvalidArgument"),
        ({"x-amz-grant-read": f"id={OTHER},"}, "InvalidArgument"),
        ({"x-amz-grant-read": f"id={OTHER} id={OTHER}"}, "InvalidArgument"),
        ({"x-amz-grant-read": "uri=http://acs.amazonaws.com/groups/global/Nobody"}, "InvalidArgument"),
        ({"x-amz-grant-read": 'emailAddress="a@example.com"'}, "UnresolvableGrantByEmailAddress"),
        ({"x-amz-grant-read": ",".join([f"id={OTHER}"] * 101)}, "InvalidRequest"),
    ],
)
def test_bad_headers(headers: dict[str, str], code: str) -> None:
    with pytest.raises(S3Error) as caught:
        RequestedACL.parse(headers)
    assert (caught.value.code, caught.value.status) == (code, 400)


@given(st.dictionaries(st.sampled_from(["x-amz-acl", "x-amz-grant-read", "x-amz-grant-write"]), st.text()))
def test_nothing_but_s3_errors(headers: dict[str, str]) -> None:
    try:
        RequestedACL.parse(headers)
    except S3Error as error:
        assert error.status == 400
