from __future__ import annotations

import pytest

from gateway.protocol.acl import Grant, Group, Permission
from gateway.protocol.errors import S3Error
from gateway.protocol.xml.documents.acl import AccessControlPolicy, GivenPolicy

OWNER, OTHER = "a" * 64, "b" * 64
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
USER = f'<Grantee {XSI} xsi:type="CanonicalUser"><ID>{OTHER}</ID></Grantee>'
READ = "<Permission>READ</Permission>"


def document(grants: str, owner: str = f"<Owner><ID>{OWNER}</ID></Owner>") -> bytes:
    return f"<AccessControlPolicy>{owner}<AccessControlList>{grants}</AccessControlList></AccessControlPolicy>".encode()


def test_it_is_read_as_it_is_written() -> None:
    grants = (
        Grant(OWNER, Permission.FULL_CONTROL),
        Grant(Group.ALL_USERS, Permission.READ),
        Grant(OTHER, Permission.WRITE_ACP),
    )
    names = ("the owner & co", None, None)
    written = AccessControlPolicy(OWNER, "the owner & co", list(zip(grants, names, strict=True))).format()
    assert GivenPolicy.parse(written) == GivenPolicy(OWNER, grants)
    assert written.count(b"DisplayName>the owner &amp; co<") == 2
    assert b'xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>' in written


def test_an_empty_list_is_one() -> None:
    assert GivenPolicy.parse(document("")) == GivenPolicy(OWNER, ())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<AccessControlPolicy/>",
        b"<Other/>",
        document("", owner=""),
        document("", owner="<Owner/>"),
        document("", owner=f"<Owner><ID>{OWNER}</ID></Owner>" * 2),
        document("<Grant/>"),
        document(f"<Grant>{USER}</Grant>"),
        document(f"<Grant>{READ}</Grant>"),
        document(f"<Grant>{USER}{READ}{READ}</Grant>"),
        document(f"<Grant>{USER}<Permission>OWN</Permission></Grant>"),
        document(f"<Other>{USER}{READ}</Other>"),
        document(f"<Grant><Grantee><ID>{OTHER}</ID></Grantee>{READ}</Grant>"),
        document(f'<Grant><Grantee {XSI} xsi:type="Robot"><ID>{OTHER}</ID></Grantee>{READ}</Grant>'),
        document(f'<Grant><Grantee {XSI} xsi:type="CanonicalUser"><URI>{OTHER}</URI></Grantee>{READ}</Grant>'),
        document(f"<Grant>{USER}{READ}</Grant>" * 101),
    ],
)
def test_malformed(body: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        GivenPolicy.parse(body)
    assert caught.value.code == "MalformedACLError"


def test_a_hundred_grants_are_taken() -> None:
    assert len(GivenPolicy.parse(document(f"<Grant>{USER}{READ}</Grant>" * 100)).grants) == 100


@pytest.mark.parametrize(
    ("kind", "member", "value", "code"),
    [
        ("Group", "URI", "http://example.com/", "InvalidArgument"),
        ("AmazonCustomerByEmail", "EmailAddress", "a@example.com", "UnresolvableGrantByEmailAddress"),
    ],
)
def test_grantees_that_are_nobody(kind: str, member: str, value: str, code: str) -> None:
    grantee = f'<Grantee {XSI} xsi:type="{kind}"><{member}>{value}</{member}></Grantee>'
    with pytest.raises(S3Error) as caught:
        GivenPolicy.parse(document(f"<Grant>{grantee}{READ}</Grant>"))
    assert caught.value.code == code
