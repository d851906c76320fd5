"""Why each kind of request was refused, or let in: the line of the access log names the very rule."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from gateway.commands.main import main
from tests.clients.access import anonymous_client, open_bucket, policy_text, put_policy, statement
from tests.clients.conftest import make_bucket
from tests.clients.raw import Answer, RawClient
from tests.clients.sessions import client_with
from tests.clients.test_account_public_access import control_of, put
from tests.clients.test_post_object import post, sign
from tests.clients.users import TestAccount, allow, client_of, deny, make_account
from tests.harness import Gateway, running_gateway, wait_until


@dataclass(frozen=True, slots=True)
class User:
    """A user made by IAM's API."""

    name: str
    arn: str
    access_key_id: str
    secret: str

    def client(self, world: World, service: str = "s3") -> Any:
        return client_of(world.gateway, service, self.access_key_id, self.secret)


@dataclass(frozen=True, slots=True)
class World:
    """What all kinds share: a gateway, clients of the root user of its account, and another account."""

    gateway: Gateway
    s3: Any
    kms: Any
    iam: Any
    raw: RawClient
    other: TestAccount
    secrets: set[str] = field(default_factory=set)
    """What no line may hold."""

    @property
    def account_id(self) -> str:
        return str(self.iam.get_user()["User"]["Arn"].split(":")[4])

    def user(self, *statements: dict[str, Any]) -> User:
        name = f"user-{uuid.uuid4()}"
        arn = self.iam.create_user(UserName=name)["User"]["Arn"]
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        self.secrets.add(key["SecretAccessKey"])
        if statements:
            self.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy_text(*statements))
        return User(name, arn, key["AccessKeyId"], key["SecretAccessKey"])

    def policy(self, *statements: dict[str, Any]) -> str:
        name = f"policy-{uuid.uuid4()}"
        made = self.iam.create_policy(PolicyName=name, PolicyDocument=policy_text(*statements))
        return str(made["Policy"]["Arn"])

    def role(self, trusted: str) -> str:
        """One that may read objects, and trusts this principal."""
        name = f"role-{uuid.uuid4()}"
        trusts = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy_text(trusts))
        self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy_text(allow("s3:GetObject")))
        return str(made["Role"]["Arn"])

    def bucket(self) -> str:
        """With one object, `k`."""
        name = make_bucket(self.s3)
        self.s3.put_object(Bucket=name, Key="k", Body=b"x")
        return name

    def open_bucket(self) -> str:
        name = open_bucket(self.s3)
        self.s3.put_object(Bucket=name, Key="k", Body=b"x")
        return name

    def acl_bucket(self) -> str:
        name = self.open_bucket()
        rules = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
        self.s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=rules)
        return name

    def kms_object(self) -> tuple[str, str]:
        """A bucket with an object `k` under a KMS key, and the key's ARN."""
        name, key = make_bucket(self.s3), str(self.kms.create_key()["KeyMetadata"]["Arn"])
        self.s3.put_object(Bucket=name, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
        return name, key

    def line(self, request_id: str) -> dict[str, Any]:
        """The request's line of the access log."""
        wanted = f'"id":"{request_id}"'

        def found() -> str | None:
            text = self.gateway.log_path.read_text(errors="replace")
            return next((each for each in text.splitlines() if wanted in each), None)

        line: dict[str, Any] = json.loads(wait_until(found, f"the line of request {request_id}"))
        return line


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_gateway(tmp_path_factory.mktemp("explanations")) as gateway:
        clients = [gateway.client(service) for service in ("s3", "kms", "iam")]
        yield World(gateway, *clients, RawClient(gateway), make_account(gateway))


def id_of(call: Callable[..., Any], **parameters: Any) -> str:
    """The request id of a call, however it ended."""
    try:
        response = call(**parameters)
    except ClientError as error:
        response = error.response
    metadata = response["ResponseMetadata"]
    return str(metadata["HTTPHeaders"].get("x-amzn-requestid") or metadata["HTTPHeaders"]["x-amz-request-id"])


def raw_id(answer: Answer) -> str:
    return answer.headers.get("x-amzn-requestid") or answer.headers["x-amz-request-id"]


@dataclass(frozen=True, slots=True)
class Kind:
    """`ask` makes the request and gives its id, and what stands for `{}` in `decided_by`."""

    ask: Callable[[World], tuple[str, ...]]
    status: int
    decided_by: str
    reason: str
    action: str | None


KINDS: list[Kind] = []

ALLOWED = "allowed"
BY_IDENTITY = "refused because no identity-based policy allows the {action} action"
BY_RESOURCE = "refused because no resource-based policy allows the {action} action"
NONE = "no identity-based policy allows it (there is none)"


def kind(
    status: int, decided_by: str, reason: str = ALLOWED, *, action: str | None = None
) -> Callable[[Callable[[World], tuple[str, ...]]], Callable[[World], tuple[str, ...]]]:
    def register(ask: Callable[[World], tuple[str, ...]]) -> Callable[[World], tuple[str, ...]]:
        KINDS.append(Kind(ask, status, decided_by, reason, action))
        return ask

    return register


# S3, by the policies of the caller


@kind(200, "root user of the bucket's account", action="s3:GetObject")
def the_root_user(world: World) -> tuple[str, ...]:
    return (id_of(world.s3.get_object, Bucket=world.bucket(), Key="k"),)


@kind(200, "root user of the account", action="s3:ListAllMyBuckets")
def the_root_user_in_its_account(world: World) -> tuple[str, ...]:
    return (id_of(world.s3.list_buckets),)


@kind(403, NONE, BY_IDENTITY, action="s3:GetObject")
def a_user_without_policies(world: World) -> tuple[str, ...]:
    return (id_of(world.user().client(world).get_object, Bucket=world.bucket(), Key="k"),)


@kind(200, "user {} policy p, statement 1", action="s3:GetObject")
def an_inline_policy(world: World) -> tuple[str, ...]:
    user = world.user(allow("s3:GetObject"))
    return id_of(user.client(world).get_object, Bucket=world.bucket(), Key="k"), user.name


@kind(200, 'user {} policy p, statement "Reads"', action="s3:GetObject")
def a_statement_with_a_name(world: World) -> tuple[str, ...]:
    user = world.user(deny("s3:PutObject"), {"Sid": "Reads", **allow("s3:GetObject")})
    return id_of(user.client(world).get_object, Bucket=world.bucket(), Key="k"), user.name


@kind(
    403,
    "user {} policy p, statement 2",
    "refused with an explicit deny in an identity-based policy",
    action="s3:GetObject",
)
def a_deny_of_the_user(world: World) -> tuple[str, ...]:
    user = world.user(allow("s3:*"), deny("s3:GetObject"))
    return id_of(user.client(world).get_object, Bucket=world.bucket(), Key="k"), user.name


@kind(403, "no identity-based policy allows it (user {} policy p)", BY_IDENTITY, action="s3:DeleteObject")
def a_policy_about_something_else(world: World) -> tuple[str, ...]:
    user = world.user(allow("s3:GetObject"))
    return id_of(user.client(world).delete_object, Bucket=world.bucket(), Key="k"), user.name


@kind(200, "{} v2, statement 1", action="s3:GetObject")
def a_managed_policy(world: World) -> tuple[str, ...]:
    arn, user = world.policy(deny("s3:*")), world.user()
    world.iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy_text(allow("s3:GetObject")), SetAsDefault=True)
    world.iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
    return id_of(user.client(world).get_object, Bucket=world.bucket(), Key="k"), arn


@kind(200, "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess v{}, statement 1", action="s3:GetObject")
def a_policy_of_aws(world: World) -> tuple[str, ...]:
    arn, user = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", world.user()
    world.iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
    version = world.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return id_of(user.client(world).get_object, Bucket=world.bucket(), Key="k"), version.removeprefix("v")


@kind(
    403,
    "no permissions boundary allows it ({} v1)",
    "refused because no permissions boundary allows the {action} action",
    action="s3:GetObject",
)
def a_boundary_that_leaves_it_out(world: World) -> tuple[str, ...]:
    arn, user = world.policy(allow("s3:PutObject")), world.user(allow("s3:*"))
    world.iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=arn)
    return id_of(user.client(world).get_object, Bucket=world.bucket(), Key="k"), arn


@kind(403, "{} v1, statement 2", "refused with an explicit deny in a permissions boundary", action="s3:GetObject")
def a_boundary_that_denies_it(world: World) -> tuple[str, ...]:
    arn, user = world.policy(allow("*"), deny("s3:GetObject")), world.user(allow("s3:*"))
    world.iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=arn)
    return id_of(user.client(world).get_object, Bucket=world.bucket(), Key="k"), arn


# S3, by the bucket


@kind(
    403,
    'bucket policy, statement "Never"',
    "refused with an explicit deny in a resource-based policy",
    action="s3:GetObject",
)
def a_deny_of_the_bucket(world: World) -> tuple[str, ...]:
    bucket, user = world.bucket(), world.user(allow("s3:*"))
    never = statement("Deny", {"AWS": user.arn}, "s3:GetObject", on=f"{bucket}/*")
    put_policy(world.s3, bucket, {"Sid": "Never", **never})
    return (id_of(user.client(world).get_object, Bucket=bucket, Key="k"),)


@kind(200, "bucket policy, statement 1", action="s3:GetObject")
def an_anonymous_reader(world: World) -> tuple[str, ...]:
    bucket = world.open_bucket()
    put_policy(world.s3, bucket, statement("Allow", "*", "s3:GetObject", on=f"{bucket}/*"))
    return (id_of(anonymous_client(world.gateway).get_object, Bucket=bucket, Key="k"),)


@kind(403, "no resource-based policy allows it (there is none)", BY_RESOURCE, action="s3:GetObject")
def nobody(world: World) -> tuple[str, ...]:
    return (id_of(anonymous_client(world.gateway).get_object, Bucket=world.bucket(), Key="k"),)


@kind(200, "bucket policy, statement 1; root user of the account", action="s3:GetObject")
def another_account(world: World) -> tuple[str, ...]:
    bucket = world.bucket()
    named = {"AWS": world.other.account_id}
    put_policy(world.s3, bucket, statement("Allow", named, "s3:GetObject", on=f"{bucket}/*"))
    return (id_of(world.other.client("s3").get_object, Bucket=bucket, Key="k"),)


@kind(403, "no resource-based policy allows it (bucket policy)", BY_RESOURCE, action="s3:DeleteObject")
def another_account_that_may_only_read(world: World) -> tuple[str, ...]:
    bucket = world.bucket()
    named = {"AWS": world.other.account_id}
    put_policy(world.s3, bucket, statement("Allow", named, "s3:GetObject", on=f"{bucket}/*"))
    return (id_of(world.other.client("s3").delete_object, Bucket=bucket, Key="k"),)


@kind(
    403,
    "no resource-based policy allows it (bucket policy, which is public, so that RestrictPublicBuckets of the bucket "
    "lets no other account in)",
    BY_RESOURCE,
    action="s3:GetObject",
)
def restrict_public_buckets(world: World) -> tuple[str, ...]:
    bucket = world.open_bucket()
    put_policy(world.s3, bucket, statement("Allow", "*", "s3:GetObject", on=f"{bucket}/*"))
    block = {"RestrictPublicBuckets": True}
    world.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    return (id_of(world.other.client("s3").get_object, Bucket=bucket, Key="k"),)


@kind(
    403,
    "public access block of the bucket, BlockPublicPolicy",
    "refused because public policies are prevented by BlockPublicPolicy",
    action="s3:PutBucketPolicy",
)
def block_public_policy(world: World) -> tuple[str, ...]:
    bucket = world.bucket()
    text = policy_text(statement("Allow", "*", "s3:GetObject", on=f"{bucket}/*"))
    return (id_of(world.s3.put_bucket_policy, Bucket=bucket, Policy=text),)


@kind(
    403,
    "public access block of the bucket, BlockPublicAcls",
    r"refused because public access control lists \(ACLs\) are prevented by BlockPublicAcls",
    action="s3:PutBucketAcl",
)
def block_public_acls(world: World) -> tuple[str, ...]:
    bucket = world.acl_bucket()
    block = {"BlockPublicAcls": True}
    world.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    return (id_of(world.s3.put_bucket_acl, Bucket=bucket, ACL="public-read"),)


@kind(
    403,
    "public access block of the account, BlockPublicPolicy",
    "refused because public policies are prevented by BlockPublicPolicy",
    action="s3:PutBucketPolicy",
)
def block_public_policy_of_the_account(world: World) -> tuple[str, ...]:
    account, control = world.other, control_of(world.other)
    put(control, account, BlockPublicPolicy=True)
    bucket = open_bucket(account.client("s3"))
    text = policy_text(statement("Allow", "*", "s3:GetObject", on=f"{bucket}/*"))
    request_id = id_of(account.client("s3").put_bucket_policy, Bucket=bucket, Policy=text)
    control.delete_public_access_block(AccountId=account.account_id)
    return (request_id,)


@kind(
    400,
    "object ownership of the bucket, BucketOwnerEnforced",
    "refused because ACLs are disabled",
    action="s3:PutBucketAcl",
)
def an_acl_where_acls_are_disabled(world: World) -> tuple[str, ...]:
    return (id_of(world.s3.put_bucket_acl, Bucket=world.bucket(), ACL="public-read"),)


@kind(200, 'bucket ACL, statement "grant {}: READ to AllUsers"', action="s3:ListBucket")
def a_grant_to_everyone(world: World) -> tuple[str, ...]:
    bucket = world.acl_bucket()
    world.s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    grants = world.s3.get_bucket_acl(Bucket=bucket)["Grants"]
    place = next(number for number, each in enumerate(grants, start=1) if each["Grantee"]["Type"] == "Group")
    return id_of(anonymous_client(world.gateway).list_objects_v2, Bucket=bucket), str(place)


@kind(
    403,
    "no resource-based policy allows it (there is none); nor does the bucket ACL, whose public grants IgnorePublicAcls "
    "takes away",
    BY_RESOURCE,
    action="s3:ListBucket",
)
def ignore_public_acls(world: World) -> tuple[str, ...]:
    bucket = world.acl_bucket()
    world.s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    block = {"IgnorePublicAcls": True}
    world.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    return (id_of(anonymous_client(world.gateway).list_objects_v2, Bucket=bucket),)


@kind(
    403,
    "no resource-based policy allows it (there is none); nor does the object ACL",
    BY_RESOURCE,
    action="s3:GetObject",
)
def an_object_of_another_account(world: World) -> tuple[str, ...]:
    """Its owner let the bucket's owner see nothing of it."""
    bucket = world.acl_bucket()
    writes = statement("Allow", {"AWS": world.other.account_id}, "s3:PutObject", on=f"{bucket}/*")
    put_policy(world.s3, bucket, writes)
    world.other.client("s3").put_object(Bucket=bucket, Key="theirs", Body=b"x")
    world.s3.delete_bucket_policy(Bucket=bucket)
    return (id_of(world.s3.get_object, Bucket=bucket, Key="theirs"),)


@kind(
    403,
    "expected bucket owner",
    r"refused because bucket [a-z0-9-]+ is of account \d{12}, not of the one expected",
)
def another_expected_owner(world: World) -> tuple[str, ...]:
    expected = world.other.account_id
    return (id_of(world.s3.get_object, Bucket=world.bucket(), Key="k", ExpectedBucketOwner=expected),)


@kind(
    403,
    "no identity-based policy allows it (user {} policy p)",
    "refused because the object does not exist, which only who may s3:ListBucket is told",
    action="s3:ListBucket",
)
def a_missing_object_that_is_concealed(world: World) -> tuple[str, ...]:
    user = world.user(allow("s3:GetObject"))
    return id_of(user.client(world).get_object, Bucket=world.bucket(), Key="missing"), user.name


@kind(404, "root user of the bucket's account", action="s3:GetObject")
def a_missing_object_that_is_told(world: World) -> tuple[str, ...]:
    return (id_of(world.s3.get_object, Bucket=world.bucket(), Key="missing"),)


@kind(
    403,
    "Requester Pays",
    "refused because the requester would pay, and is nobody or did not say so",
    action="s3:GetObject",
)
def a_requester_who_does_not_pay(world: World) -> tuple[str, ...]:
    bucket = world.bucket()
    world.s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    named = {"AWS": world.other.account_id}
    put_policy(world.s3, bucket, statement("Allow", named, "s3:GetObject", on=f"{bucket}/*"))
    return (id_of(world.other.client("s3").get_object, Bucket=bucket, Key="k"),)


@kind(
    403,
    "the new bucket policy",
    "refused because the policy would take s3:PutBucketPolicy from the caller",
    action="s3:PutBucketPolicy",
)
def a_policy_that_locks_its_author_out(world: World) -> tuple[str, ...]:
    bucket, user = world.bucket(), world.user(allow("s3:*"))
    text = policy_text(statement("Deny", {"AWS": user.arn}, "s3:PutBucketPolicy", on=bucket))
    return (id_of(user.client(world).put_bucket_policy, Bucket=bucket, Policy=text),)


@kind(
    200,
    "user {} policy p, statement 2",
    "refused with an explicit deny in an identity-based policy",
    action="s3:DeleteObject",
)
def one_of_several_deletions(world: World) -> tuple[str, ...]:
    bucket = world.bucket()
    user = world.user(allow("s3:*"), deny("s3:DeleteObject", on=f"arn:aws:s3:::{bucket}/k"))
    objects = {"Objects": [{"Key": "other"}, {"Key": "k"}]}
    return id_of(user.client(world).delete_objects, Bucket=bucket, Delete=objects), user.name


@kind(
    403,
    "anonymous request",
    "refused because nobody signed the request, which CreateMultipartUpload needs",
)
def an_upload_of_nobody(world: World) -> tuple[str, ...]:
    bucket = world.open_bucket()
    put_policy(world.s3, bucket, statement("Allow", "*", "s3:PutObject", on=f"{bucket}/*"))
    return (id_of(anonymous_client(world.gateway).create_multipart_upload, Bucket=bucket, Key="k"),)


@kind(403, "anonymous request", "refused because nobody signed the request")
def nobody_asks_for_what_is_not_served(world: World) -> tuple[str, ...]:
    return (id_of(anonymous_client(world.gateway).put_object_lock_configuration, Bucket=world.bucket()),)


@kind(
    403,
    "policy of the browser form",
    "refused because the policy of the browser form has a condition on key that fails",
)
def a_form_for_another_key(world: World) -> tuple[str, ...]:
    bucket = world.bucket()
    fields = sign(world.raw, {"bucket": bucket}, ["eq", "$key", "another"])
    world.secrets.update({fields["policy"], fields["x-amz-signature"]})
    return (raw_id(post(world.raw, bucket, {"key": "k", **fields})),)


# Signatures


@kind(403, "authentication, unknown-access-key", "refused because access key AKIA{16}A is not known")
def an_unknown_access_key(world: World) -> tuple[str, ...]:
    answer = RawClient(world.gateway, access_key_id="AKIA" + "A" * 16).request("GET", f"/{world.bucket()}")
    return (raw_id(answer),)


@kind(403, "authentication, unknown-access-key", r"refused because access key \(not written as one\) is not known")
def a_secret_where_an_access_key_belongs(world: World) -> tuple[str, ...]:
    secret = world.gateway.credentials["AWS_SECRET_ACCESS_KEY"].replace("/", "x")
    world.secrets.add(secret)
    return (raw_id(RawClient(world.gateway, access_key_id=secret).request("GET", f"/{world.bucket()}")),)


@kind(403, "authentication, unknown-access-key", "refused because access key [A-Z0-9]+ is inactive")
def an_inactive_access_key(world: World) -> tuple[str, ...]:
    user = world.user(allow("*"))
    world.iam.update_access_key(UserName=user.name, AccessKeyId=user.access_key_id, Status="Inactive")
    return (id_of(user.client(world).list_buckets),)


@kind(
    403,
    "authentication, signature-mismatch",
    "refused because the signature was made by another secret than that of access key [A-Z0-9]+, or of another request",
)
def a_wrong_secret(world: World) -> tuple[str, ...]:
    return (raw_id(RawClient(world.gateway, secret="x" * 40).request("GET", f"/{world.bucket()}")),)


@kind(
    403,
    "authentication, request-time-too-skewed",
    r"refused because the request was signed 12\d\d s before its arrival",
)
def a_clock_that_is_late(world: World) -> tuple[str, ...]:
    now = datetime.now(UTC) - timedelta(minutes=20)
    return (raw_id(world.raw.request("GET", f"/{world.bucket()}", now=now)),)


@kind(
    403,
    "authentication, expired",
    r"refused because the signature expired 6\d\d s before the request's arrival",
)
def a_presigned_url_that_expired(world: World) -> tuple[str, ...]:
    then = datetime.now(UTC) - timedelta(seconds=660)
    target = world.raw.presign("GET", f"/{world.bucket()}/k", expires=60, now=then)
    world.secrets.add(re.findall("X-Amz-Signature=([0-9a-f]+)", target)[0])
    return (raw_id(world.raw.send("GET", target, {"host": world.raw.host})),)


@kind(400, "authentication, wrong-region", "refused because its authentication is wrong: wrong-region")
def another_region(world: World) -> tuple[str, ...]:
    return (raw_id(world.raw.request("GET", f"/{world.bucket()}", region="eu-central-1")),)


# The KMS


@kind(
    400,
    "key state",
    r"refused because arn:aws:kms:\S+ is disabled\.",
    action="s3:GetObject",
)
def an_object_under_a_disabled_key(world: World) -> tuple[str, ...]:
    bucket, key = world.kms_object()
    world.kms.disable_key(KeyId=key)
    return (id_of(world.s3.get_object, Bucket=bucket, Key="k"),)


@kind(400, "key state", r"refused because arn:aws:kms:\S+ is pending deletion\.", action="kms:Encrypt")
def a_key_that_is_to_be_deleted(world: World) -> tuple[str, ...]:
    key = world.kms.create_key()["KeyMetadata"]["Arn"]
    world.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    return (id_of(world.kms.encrypt, KeyId=key, Plaintext=b"p"),)


@kind(400, "KMS.NotFoundException", "refused because .*is not found.*|refused because .*does not exist.*")
def a_key_that_does_not_exist(world: World) -> tuple[str, ...]:
    return (id_of(world.kms.encrypt, KeyId="alias/missing", Plaintext=b"p"),)


@kind(
    400,
    'key policy, statement "Never"',
    "refused with an explicit deny in a resource-based policy",
    action="kms:Encrypt",
)
def a_deny_of_the_key(world: World) -> tuple[str, ...]:
    root = {"AWS": f"arn:aws:iam::{world.account_id}:root"}
    all_of_it = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    never = {"Sid": "Never", "Effect": "Deny", "Principal": root, "Action": "kms:Encrypt", "Resource": "*"}
    key = world.kms.create_key(Policy=policy_text(all_of_it, never))["KeyMetadata"]["Arn"]
    return (id_of(world.kms.encrypt, KeyId=key, Plaintext=b"p"),)


@kind(200, 'key policy, statement "Enable IAM User Permissions"; user {} policy p, statement 1', action="kms:Encrypt")
def a_key_policy_and_a_users(world: World) -> tuple[str, ...]:
    key, user = world.kms.create_key()["KeyMetadata"]["Arn"], world.user(allow("kms:Encrypt"))
    return id_of(user.client(world, "kms").encrypt, KeyId=key, Plaintext=b"p"), user.name


@kind(200, "grant {}", action="kms:Encrypt")
def a_grant(world: World) -> tuple[str, ...]:
    key, user = world.kms.create_key()["KeyMetadata"]["Arn"], world.user()
    grant = world.kms.create_grant(KeyId=key, GranteePrincipal=user.arn, Operations=["Encrypt"])
    world.secrets.add(grant["GrantToken"])
    request_id = id_of(user.client(world, "kms").encrypt, KeyId=key, Plaintext=b"p", GrantTokens=[grant["GrantToken"]])
    return request_id, grant["GrantId"]


@kind(403, f"{NONE}; no grant allows it", BY_IDENTITY, action="kms:Decrypt")
def an_object_whose_key_the_reader_may_not_use(world: World) -> tuple[str, ...]:
    """The key is another account's affair than the bucket's policy."""
    bucket, _ = world.kms_object()
    user = world.user()
    put_policy(world.s3, bucket, statement("Allow", {"AWS": user.arn}, "s3:GetObject", on=f"{bucket}/*"))
    return (id_of(user.client(world).get_object, Bucket=bucket, Key="k"),)


@kind(400, "anonymous request", "refused because nobody signed the request")
def nobody_asks_the_kms(world: World) -> tuple[str, ...]:
    headers = {"host": world.raw.host, "x-amz-target": "TrentService.ListKeys"}
    return (raw_id(world.raw.send("POST", "/", headers, b"{}")),)


# IAM and STS


@kind(403, NONE, BY_IDENTITY, action="iam:CreateUser")
def a_user_who_may_not_make_users(world: World) -> tuple[str, ...]:
    return (id_of(world.user().client(world, "iam").create_user, UserName="u"),)


@kind(200, "user {} policy p, statement 1", action="iam:ListUsers")
def a_user_who_may_list_users(world: World) -> tuple[str, ...]:
    user = world.user(allow("iam:ListUsers"))
    return id_of(user.client(world, "iam").list_users), user.name


@kind(403, "no resource-based policy allows it (trust policy of {})", BY_RESOURCE, action="sts:AssumeRole")
def a_role_that_trusts_somebody_else(world: World) -> tuple[str, ...]:
    arn = world.role(world.other.account_id)
    client = world.user(allow("sts:AssumeRole")).client(world, "sts")
    return id_of(client.assume_role, RoleArn=arn, RoleSessionName="session"), arn


@kind(200, "trust policy of {}, statement 1", action="sts:AssumeRole")
def a_role_that_trusts_the_caller(world: World) -> tuple[str, ...]:
    user = world.user()
    arn = world.role(user.arn)
    return id_of(user.client(world, "sts").assume_role, RoleArn=arn, RoleSessionName="session"), arn


@kind(200, "role {} policy p, statement 1", action="s3:GetObject")
def a_session_of_a_role(world: World) -> tuple[str, ...]:
    user = world.user()
    arn = world.role(user.arn)
    session = user.client(world, "sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
    world.secrets.update({session["SecretAccessKey"], session["SessionToken"]})
    client = client_with(world.gateway, "s3", session)
    return id_of(client.get_object, Bucket=world.bucket(), Key="k"), arn.rpartition("/")[2]


@kind(
    403,
    "no session policy allows it (session policy)",
    "refused because no session policy allows the {action} action",
    action="s3:GetObject",
)
def a_session_policy_that_leaves_it_out(world: World) -> tuple[str, ...]:
    user = world.user()
    asked = {
        "RoleArn": world.role(user.arn),
        "RoleSessionName": "session",
        "Policy": policy_text(allow("s3:PutObject")),
    }
    session = user.client(world, "sts").assume_role(**asked)["Credentials"]
    client = client_with(world.gateway, "s3", session)
    return (id_of(client.get_object, Bucket=world.bucket(), Key="k"),)


@kind(403, "authentication, signature-mismatch", "refused because the signature was made by another secret.*")
def a_wrong_secret_for_sts(world: World) -> tuple[str, ...]:
    user = world.user()
    client = client_of(world.gateway, "sts", user.access_key_id, "x" * 40)
    return (id_of(client.get_caller_identity),)


@pytest.mark.parametrize("case", KINDS, ids=lambda case: case.ask.__name__)
def test_the_line_names_the_rule(world: World, case: Kind) -> None:
    request_id, *named = case.ask(world)
    line = world.line(request_id)
    assert line["status"] == case.status
    assert line["decided_by"] == case.decided_by.replace("{}", named[0] if named else "{}")
    assert re.fullmatch(case.reason.replace("{action}", str(case.action)), line["reason"]), line["reason"]
    assert line["action"] == case.action
    if case.decided_by == "key state":
        assert line["kms_key"].startswith("arn:aws:kms:")
    explained = json.loads(why(world, request_id, "--json"))
    assert explained["accessLog"]["line"] == line
    assert explained["auditTrailIsSound"]
    named = re.findall(r'statement (\d+|"(?!grant)[^"]*")', line["decided_by"])
    assert [each["statement"] for each in explained["statements"]] == [each.strip('"') for each in named]
    assert all(each["text"] and each["remark"] is None for each in explained["statements"]), explained["statements"]
    told = why(world, request_id)
    assert line["decided_by"] in told
    assert line["reason"] in told
    if str(case.action).startswith(("kms:", "iam:Create")) or line["kms_key"]:
        assert "In the audit trail, whole where these lines are" in told

    if line["action"] is not None and line["decided_by"] not in OTHER_RULES:
        assert_simulated_alike(world, line)


OTHER_RULES = {
    "expected bucket owner",
    "key state",
    "no session policy allows it (session policy)",
    "object ownership of the bucket, BucketOwnerEnforced",
    "public access block of the account, BlockPublicPolicy",
    "public access block of the bucket, BlockPublicAcls",
    "public access block of the bucket, BlockPublicPolicy",
    "Requester Pays",
    "the new bucket policy",
}
"""What refuses a request whose action is allowed, and what no simulation knows: the policies of a session."""


def assert_simulated_alike(world: World, line: dict[str, Any]) -> None:
    """What was decided about the request is what `sealgate simulate` says without one."""
    who = ["--anonymous"] if line["principal"] is None else ["--principal", line["principal"]]
    asked = ["--action", line["action"], "--resource", line["resource"], *who, "--json"]
    result = CliRunner().invoke(main, ["simulate", str(world.gateway.data), *asked])
    assert result.exit_code == 0, result.output
    simulated = json.loads(result.output)
    is_allowed = line["reason"] == ALLOWED
    assert (simulated["isAllowed"], simulated["outcome"] == line["reason"]) == (is_allowed, True) or (
        "does not exist" in line["reason"] and not simulated["isAllowed"]
    )
    rule = "root user of the account" if line["decided_by"].startswith("root user") else line["decided_by"]
    assert simulated["decidedBy"] == rule
    assert simulated["missingContextKeys"] == []


def why(world: World, request_id: str, *options: str) -> str:
    """What `sealgate why` prints."""
    arguments = ["why", request_id, str(world.gateway.data), "--log", str(world.gateway.log_path), *options]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_no_line_tells_a_secret(world: World) -> None:
    """Secrets, signatures, grant tokens, forms and query strings are in none of the lines about them."""
    tellers = (a_grant, a_form_for_another_key, a_presigned_url_that_expired, a_secret_where_an_access_key_belongs)
    for ask in (*tellers, a_wrong_secret, a_wrong_secret_for_sts):
        world.line(ask(world)[0])
    world.secrets.add(world.gateway.credentials["AWS_SECRET_ACCESS_KEY"])
    request_id = id_of(world.s3.list_objects_v2, Bucket=world.bucket(), Prefix="a-query-string")
    world.line(request_id)
    lines = [each for each in world.gateway.log_path.read_text().splitlines() if '"id":"' in each]
    secrets = {each for each in world.secrets if len(each) > 15}
    assert len(secrets) >= 7
    for line in lines:
        assert not [each for each in secrets if each in line], line
        assert not re.search(r"a-query-string|X-Amz-Signature|Credential=|AWS4-HMAC-SHA256", line), line
