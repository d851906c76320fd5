from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.operations.authorisation import ObjectTags, Permissions, action_on, resource_arn
from gateway.operations.condition_keys import RequestContext, Signing
from gateway.operations.documents import BucketDocument
from gateway.protocol.acl import Grant, Grants, Group, Permission
from gateway.protocol.addressing import Address
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Request
from gateway.protocol.public_access import ALL_BLOCKED, NOTHING_BLOCKED, PublicAccessBlock
from gateway.protocol.query import Query
from gateway.storage.index.records import BucketRow
from iam.entities import User
from iam.policy.cache import PolicyCache
from iam.principals import ANONYMOUS, Caller, IdentityPolicies, PolicyText, Principal, root_principal
from iam.scope import Form

ACCOUNT = "123456789012"
USER = User("AIDAANN", ACCOUNT, "ann", "/staff/", 1)
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OBJECT = Address("b", "k")


class NoBody:
    async def read(self) -> bytes:
        return b""


def allow(action: str | list[str], resource: str | list[str], **condition: Any) -> str:
    return _statement("Allow", action, resource, condition)


def deny(action: str | list[str], resource: str | list[str], **condition: Any) -> str:
    return _statement("Deny", action, resource, condition)


def _statement(effect: str, action: object, resource: object, condition: dict[str, Any]) -> str:
    statement = {
        "Effect": effect,
        "Action": action,
        "Resource": resource,
        **({"Condition": condition} if condition else {}),
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def permissions(
    *policies: str,
    is_root: bool = False,
    principal: Principal | None = None,
    bucket_policy: str | None = None,
    block: PublicAccessBlock = NOTHING_BLOCKED,
    acl: Grants | None = None,
    query: str = "",
    headers: dict[str, str] | None = None,
) -> Permissions:
    """Of a user of the account that owns the buckets `b` and `c`; `b` has the bucket policy."""
    principal = principal or (root_principal(ACCOUNT) if is_root else USER.principal)
    texts = tuple(PolicyText(str(number), text) for number, text in enumerate(policies))
    caller = Caller(principal, "r", "10.1.2.3", policies=IdentityPolicies(texts), is_secure_transport=True)
    request = Request("GET", "/b/k", query, headers or {}, NoBody(), 0, "r", "10.1.2.3", True)
    made = Permissions(
        caller,
        lambda known: RequestContext(
            caller,
            request,
            Query(query),
            operation="GetObject",
            now=NOW,
            signing=Signing(Form.HEADER, "AWS4-HMAC-SHA256", NOW - timedelta(seconds=2)),
            region="eu-1",
            known=known,
        ),
        PolicyCache(),
        lambda account_id: account_id.ljust(64, "0"),
    )
    for name, policy in (("b", bucket_policy), ("c", None), ("*", None)):
        made.introduce(BucketRow(b"", ACCOUNT, name, "us-east-1", 0, 0, b""), _document(policy, acl), block)
    return made


def _document(policy: str | None, acl: Grants | None) -> BucketDocument:
    """With an ACL if one is given, else with the owner enforced."""
    if acl is None:
        return BucketDocument(policy=policy)
    return BucketDocument(policy=policy, object_ownership="ObjectWriter", grants=acl)


def bucket_policy(effect: str, principal: object, action: str, resource: str, **condition: Any) -> str:
    document = json.loads(_statement(effect, action, resource, condition))
    document["Statement"][0]["Principal"] = principal
    return json.dumps(document)


ALLOWED: list[tuple[str, list[str], str, str, dict[str, Any]]] = [
    ("the object", [allow("s3:GetObject", "arn:aws:s3:::b/k")], "s3:GetObject", "arn:aws:s3:::b/k", {}),
    ("wildcards", [allow("s3:Get*", "arn:aws:s3:::b/*")], "s3:GetObject", "arn:aws:s3:::b/k", {}),
    ("all of S3", [allow("s3:*", "*")], "s3:ListAllMyBuckets", "arn:aws:s3:::*", {}),
    (
        "a prefix",
        [allow("s3:ListBucket", "arn:aws:s3:::b", StringLike={"s3:prefix": "home/${aws:username}/*"})],
        "s3:ListBucket",
        "arn:aws:s3:::b",
        {"query": "prefix=home%2Fann%2Fx"},
    ),
    (
        "where from",
        [allow("s3:*", "*", IpAddress={"aws:SourceIp": "10.0.0.0/8"}, Bool={"aws:SecureTransport": "true"})],
        "s3:PutObject",
        "arn:aws:s3:::b/k",
        {},
    ),
    (
        "a header",
        [allow("s3:*", "*", StringEquals={"s3:x-amz-server-side-encryption": "aws:kms"})],
        "s3:PutObject",
        "arn:aws:s3:::b/k",
        {"headers": {"x-amz-server-side-encryption": "aws:kms"}},
    ),
    (
        "at most so many",
        [allow("s3:ListBucket", "*", NumericLessThanEquals={"s3:max-keys": "10"})],
        "s3:ListBucket",
        "arn:aws:s3:::b",
        {"query": "max-keys=10"},
    ),
]

DENIED: list[tuple[str, list[str], str, str, dict[str, Any]]] = [
    ("no policy", [], "s3:GetObject", "arn:aws:s3:::b/k", {}),
    ("another action", [allow("s3:PutObject", "*")], "s3:GetObject", "arn:aws:s3:::b/k", {}),
    ("another bucket", [allow("s3:*", "arn:aws:s3:::c/*")], "s3:GetObject", "arn:aws:s3:::b/k", {}),
    ("the bucket is not its objects", [allow("s3:*", "arn:aws:s3:::b")], "s3:GetObject", "arn:aws:s3:::b/k", {}),
    ("a deny", [allow("s3:*", "*"), deny("s3:*", "arn:aws:s3:::b/*")], "s3:GetObject", "arn:aws:s3:::b/k", {}),
    (
        "another user's prefix",
        [allow("s3:ListBucket", "arn:aws:s3:::b", StringLike={"s3:prefix": "home/${aws:username}/*"})],
        "s3:ListBucket",
        "arn:aws:s3:::b",
        {"query": "prefix=home%2Fbob%2F"},
    ),
    (
        "no prefix",
        [allow("s3:ListBucket", "arn:aws:s3:::b", StringLike={"s3:prefix": "home/${aws:username}/*"})],
        "s3:ListBucket",
        "arn:aws:s3:::b",
        {},
    ),
    (
        "unencrypted",
        [allow("s3:*", "*"), deny("s3:PutObject", "*", Null={"s3:x-amz-server-side-encryption": "true"})],
        "s3:PutObject",
        "arn:aws:s3:::b/k",
        {},
    ),
    (
        "too many",
        [allow("s3:ListBucket", "*", NumericLessThanEquals={"s3:max-keys": "10"})],
        "s3:ListBucket",
        "arn:aws:s3:::b",
        {"query": "max-keys=11"},
    ),
    ("a policy that cannot be read", [allow("s3:*", "*"), "{"], "s3:GetObject", "arn:aws:s3:::b/k", {}),
]


@pytest.mark.parametrize(
    ("policies", "action", "arn", "request_"), [row[1:] for row in ALLOWED], ids=[r[0] for r in ALLOWED]
)
def test_allowed(policies: list[str], action: str, arn: str, request_: dict[str, Any]) -> None:
    permissions(*policies, **request_).require(action, arn)
    assert permissions(is_root=True).allows(action, arn)


@pytest.mark.parametrize(
    ("policies", "action", "arn", "request_"), [row[1:] for row in DENIED], ids=[r[0] for r in DENIED]
)
def test_denied(policies: list[str], action: str, arn: str, request_: dict[str, Any]) -> None:
    with pytest.raises(S3Error) as caught:
        permissions(*policies, **request_).require(action, arn)
    assert (caught.value.code, caught.value.status) == ("AccessDenied", 403)


@pytest.mark.parametrize(
    ("policies", "because"),
    [
        ([], "because no identity-based policy allows the s3:GetObject action"),
        ([deny("s3:*", "*")], "with an explicit deny in an identity-based policy"),
    ],
)
def test_refusals_are_worded_as_at_aws(policies: list[str], because: str) -> None:
    with pytest.raises(S3Error) as caught:
        permissions(*policies).require("s3:GetObject", "arn:aws:s3:::b/k")
    assert caught.value.message == (
        f"User: arn:aws:iam::{ACCOUNT}:user/staff/ann is not authorized to perform: s3:GetObject on resource: "
        f'"arn:aws:s3:::b/k" {because}'
    )


def test_a_named_version_needs_its_own_action() -> None:
    newest = permissions(allow("s3:GetObject", "*"))
    newest.require_at("s3:GetObject", OBJECT, Query(""))
    with pytest.raises(S3Error):
        newest.require_at("s3:GetObject", OBJECT, Query("versionId=null"))
    permissions(allow("s3:GetObjectVersion", "*")).require_at("s3:GetObject", OBJECT, Query("versionId=null"))
    assert action_on("s3:PutObject", is_version_named=True) == "s3:PutObject"


@pytest.mark.parametrize("lacking", ["s3:GetObject", "s3:GetObjectAttributes"])
def test_attributes_need_two_actions(lacking: str) -> None:
    both = ["s3:GetObject", "s3:GetObjectAttributes"]
    permissions(allow(both, "*")).require_at("s3:GetObjectAttributes", OBJECT, Query("attributes"))
    with pytest.raises(S3Error):
        permissions(allow([each for each in both if each != lacking], "*")).require_at(
            "s3:GetObjectAttributes", OBJECT, Query("attributes")
        )


OTHER = User("AIDABOB", "210987654321", "bob", "/", 1).principal
OBJECT_ARN = "arn:aws:s3:::b/k"
EVERYONE, TO_OTHER = "*", {"AWS": OTHER.account_id}
GET = allow("s3:GetObject", "*")
CANONICAL = {"CanonicalUser": ACCOUNT.ljust(64, "0")}


@pytest.mark.parametrize(
    ("principal", "own", "effect", "named", "is_allowed"),
    [
        (USER.principal, [], "Allow", {"AWS": USER.principal.arn}, True),
        (USER.principal, [], "Allow", EVERYONE, True),
        (USER.principal, [], "Allow", {"AWS": ACCOUNT}, False),  # the account may pass it on, and did not
        (USER.principal, [], "Allow", CANONICAL, False),
        (USER.principal, [GET], "Deny", EVERYONE, False),
        (USER.principal, [deny("s3:*", "*")], "Allow", EVERYONE, False),
        (USER.principal, [GET], "Allow", TO_OTHER, True),
        (root_principal(ACCOUNT), [], "Deny", EVERYONE, False),
        (OTHER, [GET], "Allow", TO_OTHER, True),
        (OTHER, [GET], "Allow", EVERYONE, True),
        (OTHER, [], "Allow", TO_OTHER, False),
        (OTHER, [], "Allow", EVERYONE, False),
        (OTHER, [GET], "Deny", EVERYONE, False),
        (OTHER, [GET], "Allow", {"AWS": ACCOUNT}, False),
        (root_principal(OTHER.account_id), [], "Allow", TO_OTHER, True),
        (root_principal(OTHER.account_id), [], "Allow", {"CanonicalUser": OTHER.account_id.ljust(64, "0")}, True),
        (root_principal(OTHER.account_id), [], "Allow", {"AWS": OTHER.arn}, False),
        (ANONYMOUS, [], "Allow", EVERYONE, True),
        (ANONYMOUS, [], "Allow", TO_OTHER, False),
        (ANONYMOUS, [], "Deny", EVERYONE, False),
    ],
)
def test_identity_and_bucket_policies_together(
    principal: Principal, own: list[str], effect: str, named: object, is_allowed: bool
) -> None:
    policy = bucket_policy(effect, named, "s3:GetObject", "arn:aws:s3:::b/*")
    asked = permissions(*own, principal=principal, bucket_policy=policy)
    assert asked.allows("s3:GetObject", OBJECT_ARN) is is_allowed
    without_policy = principal.account_id == ACCOUNT and (own == [GET] or principal == root_principal(ACCOUNT))
    assert asked.allows("s3:GetObject", "arn:aws:s3:::c/k") is without_policy


@pytest.mark.parametrize("principal", [OTHER, root_principal(OTHER.account_id), ANONYMOUS])
def test_strangers_are_told_no_reasons_and_may_do_nothing_without_a_policy(principal: Principal) -> None:
    asked = permissions(allow("s3:*", "*"), principal=principal)
    with pytest.raises(S3Error) as caught:
        asked.require("s3:GetObject", OBJECT_ARN)
    assert (caught.value.code, caught.value.message) == ("AccessDenied", "Access Denied")


@pytest.mark.parametrize("action", ["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"])
def test_no_bucket_policy_keeps_the_root_user_from_changing_it(action: str) -> None:
    policy = bucket_policy("Deny", "*", "s3:*", "arn:aws:s3:::b")
    assert permissions(is_root=True, bucket_policy=policy).allows(action, "arn:aws:s3:::b")
    assert not permissions(is_root=True, bucket_policy=policy).allows("s3:ListBucket", "arn:aws:s3:::b")
    assert not permissions(allow("s3:*", "*"), bucket_policy=policy).allows(action, "arn:aws:s3:::b")
    stranger = permissions(allow("s3:*", "*"), principal=root_principal(OTHER.account_id), bucket_policy=policy)
    assert not stranger.allows(action, "arn:aws:s3:::b")


@pytest.mark.parametrize(
    ("principal", "named", "is_allowed"),
    [
        (ANONYMOUS, EVERYONE, False),
        (root_principal(OTHER.account_id), EVERYONE, False),
        (root_principal(OTHER.account_id), TO_OTHER, True),
        (USER.principal, EVERYONE, True),
    ],
)
def test_a_restricted_bucket_with_a_public_policy_is_its_accounts_alone(
    principal: Principal, named: object, is_allowed: bool
) -> None:
    policy = bucket_policy("Allow", named, "s3:GetObject", "arn:aws:s3:::b/*")
    asked = permissions(principal=principal, bucket_policy=policy, block=ALL_BLOCKED)
    assert asked.allows("s3:GetObject", OBJECT_ARN) is is_allowed


def canonical(account_id: str) -> str:
    return account_id.ljust(64, "0")


OTHER_ROOT, THIRD_ROOT = root_principal(OTHER.account_id), root_principal("333333333333")
BUCKET = "arn:aws:s3:::b"
READ = Permission.READ
TO_ALL, TO_SIGNED = Grant(Group.ALL_USERS, READ), Grant(Group.AUTHENTICATED_USERS, READ)
TO_OTHERS = Grant(canonical(OTHER.account_id), READ)


@pytest.mark.parametrize(
    ("principal", "own", "grant", "is_allowed"),
    [
        (ANONYMOUS, [], TO_ALL, True),
        (ANONYMOUS, [], TO_SIGNED, False),
        (ANONYMOUS, [], TO_OTHERS, False),
        (OTHER_ROOT, [], TO_ALL, True),
        (OTHER_ROOT, [], TO_SIGNED, True),
        (OTHER_ROOT, [], TO_OTHERS, True),
        (OTHER_ROOT, [], Grant(canonical(ACCOUNT), READ), False),
        (OTHER, [allow("s3:*", "*")], TO_OTHERS, True),
        (OTHER, [], TO_OTHERS, False),
        (THIRD_ROOT, [], TO_OTHERS, False),
        (USER.principal, [], TO_ALL, True),
        (USER.principal, [], Grant(canonical(ACCOUNT), READ), False),
        (USER.principal, [deny("s3:*", "*")], TO_ALL, False),
    ],
)
def test_acls_of_buckets_and_objects(principal: Principal, own: list[str], grant: Grant, is_allowed: bool) -> None:
    asked = permissions(*own, principal=principal, acl=(grant,))
    assert asked.allows("s3:ListBucket", BUCKET) is is_allowed
    assert not asked.allows("s3:PutBucketAcl", BUCKET)
    assert not asked.allows("s3:GetObject", OBJECT_ARN), "a bucket's ACL says nothing about reading its objects"
    asked.introduce_object(OBJECT_ARN, ACCOUNT, (grant,))
    assert asked.allows("s3:GetObject", OBJECT_ARN) is is_allowed
    assert not asked.allows("s3:GetObjectAcl", OBJECT_ARN)
    ignored = permissions(*own, principal=principal, acl=(grant,), block=PublicAccessBlock(ignore_public_acls=True))
    assert ignored.allows("s3:ListBucket", BUCKET) is (is_allowed and grant == TO_OTHERS)
    disabled = permissions(*own, principal=principal)
    assert not disabled.allows("s3:ListBucket", BUCKET)


@pytest.mark.parametrize(
    ("permission", "of_bucket", "of_object"),
    [
        ("READ", {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"}, {"s3:GetObject"}),
        ("WRITE", {"s3:PutObject", "s3:DeleteObject"}, set()),
        ("READ_ACP", {"s3:GetBucketAcl"}, {"s3:GetObjectAcl"}),
        ("WRITE_ACP", {"s3:PutBucketAcl"}, {"s3:PutObjectAcl"}),
    ],
)
def test_what_permissions_allow(permission: str, of_bucket: set[str], of_object: set[str]) -> None:
    on_bucket = {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"}
    on_bucket |= {"s3:GetBucketAcl", "s3:PutBucketAcl", "s3:DeleteBucket", "s3:PutBucketPolicy"}
    on_object = {"s3:PutObject", "s3:DeleteObject", "s3:GetObject", "s3:GetObjectAcl", "s3:PutObjectAcl"}
    for wanted in (permission, "FULL_CONTROL"):
        grants = (Grant(canonical(OTHER.account_id), Permission(wanted)),)
        asked = permissions(principal=OTHER_ROOT, acl=grants)
        asked.introduce_object(OBJECT_ARN, ACCOUNT, grants)
        allowed = {each for each in on_bucket if asked.allows(each, BUCKET)}
        allowed |= {each for each in on_object if asked.allows(each, OBJECT_ARN)}
        if wanted == "FULL_CONTROL":
            assert allowed == (on_bucket | on_object) - {"s3:DeleteBucket", "s3:PutBucketPolicy"}
        else:
            assert allowed == of_bucket | of_object


def test_an_object_of_another_account_is_that_accounts() -> None:
    policy = bucket_policy("Allow", "*", "s3:*", "arn:aws:s3:::b/*")
    for principal, is_allowed in [(root_principal(ACCOUNT), False), (OTHER_ROOT, True), (THIRD_ROOT, False)]:
        asked = permissions(principal=principal, bucket_policy=policy, acl=())
        asked.introduce_object(OBJECT_ARN, OTHER.account_id, ())
        assert asked.allows("s3:GetObject", OBJECT_ARN) is is_allowed
        assert asked.allows("s3:PutObjectAcl", OBJECT_ARN) is is_allowed
        assert asked.allows("s3:PutObject", OBJECT_ARN), "the bucket's owner decides who writes"
    denied = permissions(
        principal=OTHER_ROOT, bucket_policy=bucket_policy("Deny", "*", "s3:GetObject", "arn:aws:s3:::b/*"), acl=()
    )
    denied.introduce_object(OBJECT_ARN, OTHER.account_id, ())
    assert not denied.allows("s3:GetObject", OBJECT_ARN)
    with pytest.raises(S3Error, match="AccessDenied"):
        denied.refuse_denied("s3:GetObject", OBJECT_ARN)


def test_who_began_an_upload_may_end_it() -> None:
    asked = permissions(principal=OTHER_ROOT)
    assert not asked.allows("s3:AbortMultipartUpload", OBJECT_ARN)
    asked.introduce_upload(OBJECT_ARN, OTHER.account_id)
    assert asked.allows("s3:AbortMultipartUpload", OBJECT_ARN)
    assert not asked.allows("s3:GetObject", OBJECT_ARN)


def test_who_is_unlimited() -> None:
    policy = bucket_policy("Allow", "*", "s3:GetObject", "arn:aws:s3:::b/*")
    assert permissions(is_root=True).are_unlimited("b")
    for limited in (
        permissions(is_root=True, bucket_policy=policy),
        permissions(deny("s3:*", "*"), is_root=True),
        permissions(is_root=True, acl=()),
        permissions(allow("s3:*", "*")),
        permissions(),
        permissions(principal=OTHER_ROOT),
        permissions(principal=ANONYMOUS),
    ):
        assert not limited.are_unlimited("b")


def test_a_bucket_policy_that_cannot_be_read_allows_nothing() -> None:
    assert not permissions(is_root=True, bucket_policy="{").allows("s3:GetObject", OBJECT_ARN)


def test_a_bucket_that_was_not_introduced_cannot_be_asked_about() -> None:
    with pytest.raises(KeyError):
        permissions(is_root=True).allows("s3:GetObject", "arn:aws:s3:::d/k")


def test_what_belongs_to_no_bucket_is_the_accounts_own_affair() -> None:
    permissions(allow("s3:CreateBucket", "*")).require_of_account("s3:CreateBucket", "arn:aws:s3:::d")
    for asked in (permissions(), permissions(principal=ANONYMOUS)):
        with pytest.raises(S3Error, match="AccessDenied"):
            asked.require_of_account("s3:CreateBucket", "arn:aws:s3:::d")


def test_where_a_bucket_is_to_be_made_can_be_asked_for() -> None:
    there = {"StringEquals": {"s3:LocationConstraint": "eu-west-1"}}
    asked = permissions(allow("s3:CreateBucket", "*", **there))
    asked.require_of_account("s3:CreateBucket", "arn:aws:s3:::d", {"s3:locationconstraint": ("eu-west-1",)})
    for elsewhere in ({}, {"s3:locationconstraint": ("eu-west-2",)}):
        with pytest.raises(S3Error, match="AccessDenied"):
            asked.require_of_account("s3:CreateBucket", "arn:aws:s3:::d", elsewhere)


def test_conditions_ask_for_the_owner_of_the_bucket() -> None:
    owned = {"StringEquals": {"aws:ResourceAccount": ACCOUNT, "s3:ResourceAccount": ACCOUNT}}
    policy = bucket_policy("Allow", "*", "s3:GetObject", "arn:aws:s3:::b/*", **owned)
    asked = permissions(allow("s3:*", "*", **owned), principal=OTHER, bucket_policy=policy)
    assert asked.allows("s3:GetObject", OBJECT_ARN)


def test_what_is_missing_is_told_to_those_who_may_list() -> None:
    missing, other = S3Error("NoSuchKey"), S3Error("InvalidRange")
    may_list = permissions(allow("s3:ListBucket", "arn:aws:s3:::b"))
    assert may_list.conceal(missing, "b", "k") is missing
    assert permissions(allow("s3:GetObject", "*")).conceal(missing, "b", "k").code == "AccessDenied"
    assert may_list.conceal(S3Error("NoSuchVersion"), "c", "k").code == "AccessDenied"
    assert permissions().conceal(other, "b", "k") is other


@pytest.mark.parametrize(
    ("address", "arn"),
    [
        (Address(None, None), "arn:aws:s3:::*"),
        (Address("b", None), "arn:aws:s3:::b"),
        (Address("b", "a/ü"), "arn:aws:s3:::b/a/ü"),
    ],
)
def test_resources(address: Address, arn: str) -> None:
    assert resource_arn(address) == arn


def test_policies_are_asked_whether_they_ask() -> None:
    asking = allow("s3:GetObject", "*", StringEquals={"s3:ExistingObjectTag/Team": "a"})
    assert permissions(asking).ask_about("s3:existingobjecttag/", "b")
    assert not permissions(asking).ask_about("s3:requestobjecttag", "b")
    assert not permissions(allow("s3:*", "*")).ask_about("s3:", "b")
    assert not permissions().ask_about("s3:", "b")
    assert not permissions("{").ask_about("s3:", "b"), "what cannot be read denies anyhow"
    of_the_bucket = bucket_policy(
        "Deny", "*", "s3:GetObject", "arn:aws:s3:::b/*", Null={"s3:ExistingObjectTag/x": "true"}
    )
    made = permissions(is_root=True, bucket_policy=of_the_bucket)
    assert made.ask_about("s3:existingobjecttag/", "b")
    assert not made.ask_about("s3:existingobjecttag/", "c")


@pytest.mark.parametrize(
    ("key", "value", "tags", "is_allowed"),
    [
        ("s3:ExistingObjectTag/Team", "a", ObjectTags({"team": "a"}), True),
        ("s3:ExistingObjectTag/team", "a", ObjectTags({"team": "b", "other": "a"}), False),
        ("s3:ExistingObjectTag/team", "a", ObjectTags(requested={"team": "a"}), False),
        ("s3:ExistingObjectTag/team", "a", None, False),
        ("s3:RequestObjectTag/team", "a", ObjectTags(requested={"TEAM": "a"}), True),
        ("s3:RequestObjectTag/team", "a", ObjectTags({"team": "a"}), False),
        ("s3:ExistingObjectTag/team", "a", ObjectTags({"team": "b", "TEAM": "a"}), True),
    ],
)
def test_tags_in_question(key: str, value: str, tags: ObjectTags | None, is_allowed: bool) -> None:
    made = permissions(allow("s3:PutObjectTagging", "*", StringEquals={key: value}))
    assert made.allows("s3:PutObjectTagging", "arn:aws:s3:::b/k", tags=tags) is is_allowed


@pytest.mark.parametrize(
    ("action", "knows"),
    [
        ("s3:GetObject", True),
        ("s3:GetObjectVersion", True),
        ("s3:PutObjectVersionAcl", True),
        ("s3:DeleteObjectVersionTagging", True),
        ("s3:DeleteObject", False),
        ("s3:PutObject", False),
        ("s3:ListBucket", False),
    ],
)
def test_which_actions_know_the_tags_of_the_object(action: str, knows: bool) -> None:
    made = permissions(allow(action, "*", StringEquals={"s3:ExistingObjectTag/team": "a"}))
    assert made.allows(action, "arn:aws:s3:::b/k", tags=ObjectTags({"team": "a"})) is knows
