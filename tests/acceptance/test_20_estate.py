"""A realistic estate, made and destroyed by an administrator who is no root user: with boto3, and with aws-cli.

Tools of infrastructure as code read what they made and must find it as they asked for it, today and at the next plan;
whoever is forbidden something is refused at each border; and at the end nothing is left.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.estate import (
    AWS,
    AccessKey,
    AccountAlias,
    AccountBlock,
    Alias,
    Attachment,
    Bucket,
    Configuration,
    Grant,
    Group,
    InlinePolicy,
    Key,
    ManagedPolicy,
    OpenIDConnectProvider,
    Resource,
    Role,
    User,
    code_of,
    document,
    listed,
)
from tests.clients.users import TestAccount, make_account
from tests.harness import REGION, Gateway, running_gateway

pytestmark = pytest.mark.slow

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
EXTERNAL_ID = "estate-4711"
TAGS = {"Project": "estate"}
SCRIPT = Path(__file__).with_name("estate.sh")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("estate"), root="file", workers=2) as made:
        yield made


@pytest.fixture
def account(gateway: Gateway) -> TestAccount:
    return make_account(gateway)


@pytest.fixture
def administrator(account: TestAccount) -> Iterator[AWS]:
    """A user with AdministratorAccess; when the test is over nothing but it is in the account."""
    root = root_of(account)
    root.iam.create_user(UserName="administrator")
    root.iam.attach_user_policy(UserName="administrator", PolicyArn=ADMINISTRATOR)
    aws = AWS(account.gateway, root.iam.create_access_key(UserName="administrator")["AccessKey"])
    yield aws
    root.iam.detach_user_policy(UserName="administrator", PolicyArn=ADMINISTRATOR)
    root.iam.delete_access_key(UserName="administrator", AccessKeyId=aws.credentials["AccessKeyId"])
    root.iam.delete_user(UserName="administrator")
    assert left_in(root) == []


def root_of(account: TestAccount) -> AWS:
    keys = {"AccessKeyId": account.access_key_id, "SecretAccessKey": account.secret_access_key}
    return AWS(account.gateway, keys)


def left_in(root: AWS) -> list[object]:
    """All that an account still has: but AWS's policies and keys, and keys that are to be deleted."""
    details = root.iam.get_account_authorization_details(
        Filter=["User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy"]
    )
    found = [each for name in details if name.endswith("List") for each in details[name]]
    found += root.iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    found += root.iam.list_account_aliases()["AccountAliases"]
    found += details["Policies"] + root.s3.list_buckets()["Buckets"]
    found += [each for each in listed(root.kms, "list_aliases", "Aliases") if not is_awss(each)]
    for key in listed(root.kms, "list_keys", "Keys"):
        metadata = root.kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        if metadata["KeyManager"] == "CUSTOMER":
            found += [] if metadata["KeyState"] == "PendingDeletion" else [metadata]
            found += listed(root.kms, "list_grants", "Grants", KeyId=key["KeyId"])
    return found


def is_awss(alias: dict[str, Any]) -> bool:
    return str(alias["AliasName"]).startswith("alias/aws/")


def allow(*actions: str, on: object = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


@dataclass(frozen=True)
class Estate:
    """In the order in which it is made; it is destroyed in the other."""

    bucket: Bucket
    key: Key
    application: Role
    deployer: User
    deployer_key: AccessKey
    auditor_key: AccessKey
    outsider_key: AccessKey
    data: ManagedPolicy
    resources: list[Resource]


def plan(account_id: str) -> Estate:
    """What a team would write down for one application with its data, its keys and its people."""
    name = f"estate-{account_id}"
    objects = f"arn:aws:s3:::{name}/app/*"
    boundary = ManagedPolicy("boundary", document(allow("s3:*", "kms:*", "sts:*")), TAGS)
    data = ManagedPolicy(
        "data",
        document(
            allow("s3:GetObject", "s3:PutObject", on=objects),
            allow("s3:ListBucket", on=f"arn:aws:s3:::{name}", Condition={"StringLike": {"s3:prefix": "app/*"}}),
        ),
        TAGS,
    )
    deployer, auditor, outsider = User("deployer", boundary, TAGS), User("auditor"), User("outsider")
    application = Role("application", lambda aws: trust_of(aws, deployer), boundary, TAGS)
    restorer = Role("restorer", lambda aws: trust_of(aws, deployer))
    key = Key("the application's", lambda aws: key_policy(aws, application), TAGS)
    bucket = Bucket(name, TAGS)
    auditors = Group("auditors", [auditor])
    deployer_key, auditor_key, outsider_key = AccessKey(deployer), AccessKey(auditor), AccessKey(outsider)
    default = {"SSEAlgorithm": "aws:kms"}
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    resources: list[Resource] = [
        AccountAlias(name),
        AccountBlock(dict.fromkeys(closed, True)),
        OpenIDConnectProvider("issuer.example.com/estate", "application"),
        boundary,
        data,
        deployer,
        auditor,
        outsider,
        deployer_key,
        auditor_key,
        outsider_key,
        auditors,
        application,
        restorer,
        InlinePolicy(deployer, "assume", lambda aws: document(allow("sts:AssumeRole", on=application.arn))),
        InlinePolicy(application, "people", lambda aws: document(allow("iam:ListUsers"))),
        InlinePolicy(auditors, "read", lambda aws: document(allow("s3:ListBucket", "s3:GetObject"))),
        Attachment(auditors, data),
        Attachment(application, data),
        key,
        Alias("alias/application", key),
        Grant(key, restorer),
        bucket,
        Configuration(
            bucket,
            "get_bucket_versioning",
            "put_bucket_versioning",
            lambda aws: {"VersioningConfiguration": {"Status": "Enabled"}},
            off={"VersioningConfiguration": {"Status": "Suspended"}},
        ),
        Configuration(
            bucket,
            "get_bucket_encryption",
            "put_bucket_encryption",
            lambda aws: {
                "ServerSideEncryptionConfiguration": {
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {**default, "KMSMasterKeyID": key.arn}}]
                }
            },
            delete="delete_bucket_encryption",
        ),
        Configuration(
            bucket,
            "get_public_access_block",
            "put_public_access_block",
            lambda aws: {"PublicAccessBlockConfiguration": {"BlockPublicPolicy": True, "RestrictPublicBuckets": True}},
            delete="delete_public_access_block",
            missing="NoSuchPublicAccessBlockConfiguration",
        ),
        Configuration(
            bucket,
            "get_bucket_ownership_controls",
            "put_bucket_ownership_controls",
            lambda aws: {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
            delete="delete_bucket_ownership_controls",
            missing="OwnershipControlsNotFoundError",
        ),
        Configuration(
            bucket,
            "get_bucket_policy",
            "put_bucket_policy",
            lambda aws: {"Policy": bucket_policy(name)},
            delete="delete_bucket_policy",
            missing="NoSuchBucketPolicy",
        ),
    ]
    return Estate(bucket, key, application, deployer, deployer_key, auditor_key, outsider_key, data, resources)


def trust_of(aws: AWS, user: User) -> str:
    principal = {"AWS": f"arn:aws:iam::{aws.account_id}:user/people/{user.name}"}
    condition = {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Condition": condition}
    return document(statement)


def key_policy(aws: AWS, application: Role) -> str:
    """The account's administrators manage it; the application uses it through S3 alone."""
    root = {"AWS": f"arn:aws:iam::{aws.account_id}:root"}
    via = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
    return document(
        {"Sid": "Administration", "Principal": root, **allow("kms:*")},
        {"Principal": {"AWS": application.arn}, **allow("kms:Decrypt", "kms:GenerateDataKey", Condition=via)},
    )


def bucket_policy(name: str) -> str:
    """Who names an encryption has to name the KMS; who names none gets the bucket's."""
    header = "s3:x-amz-server-side-encryption"
    otherwise = {"Null": {header: "false"}, "StringNotEquals": {header: "aws:kms"}}
    denial = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/*"}
    return document({**denial, "Condition": otherwise})


def assume(aws: AWS, role: Role, **more: Any) -> AWS:
    answer = aws.sts.assume_role(RoleArn=role.arn, RoleSessionName="run", ExternalId=EXTERNAL_ID, **more)
    return AWS(aws.gateway, answer["Credentials"])


def test_an_estate_is_made_read_used_and_destroyed(gateway: Gateway, account: TestAccount, administrator: AWS) -> None:
    estate = plan(account.account_id)
    for resource in estate.resources:
        resource.create(administrator)
        resource.read(administrator)
    first = [resource.read(administrator) for resource in estate.resources]
    use(gateway, administrator, estate)
    assert [resource.read(administrator) for resource in estate.resources] == first, "a plan would find changes"
    change(administrator, estate)
    for resource in reversed(estate.resources):
        resource.destroy(administrator)
    assert [resource for resource in estate.resources if not resource.is_gone(administrator)] == []


def use(gateway: Gateway, administrator: AWS, estate: Estate) -> None:
    """The application's role works under the key of its bucket, and everyone is refused what is not theirs."""
    name, key = estate.bucket.name, estate.key.arn
    deployer, auditor, outsider = (
        AWS(gateway, each.made) for each in (estate.deployer_key, estate.auditor_key, estate.outsider_key)
    )
    application = assume(deployer, estate.application)
    assert application.sts.get_caller_identity()["Arn"].endswith(":assumed-role/application/run")
    put = application.s3.put_object(Bucket=name, Key="app/a", Body=b"of the application")
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", key)
    assert application.s3.get_object(Bucket=name, Key="app/a")["Body"].read() == b"of the application"
    found = application.s3.list_objects_v2(Bucket=name, Prefix="app/")
    assert [each["Key"] for each in found["Contents"]] == ["app/a"]

    def denied(call: Callable[..., Any], **parameters: Any) -> bool:
        return code_of(call, **parameters) in {"AccessDenied", "AccessDeniedException"}

    here = {"Bucket": name, "Key": "app/a"}
    # the identity's policies: another prefix, another action, everything
    assert denied(application.s3.put_object, Bucket=name, Key="other", Body=b"")
    assert denied(application.s3.list_objects_v2, Bucket=name)
    assert denied(application.s3.delete_object, **here)
    assert denied(deployer.s3.get_object, **here)
    assert denied(outsider.s3.get_object, **here)
    # the permissions boundary, which does not have what the role's policy allows
    assert denied(application.iam.list_users)
    # the bucket's policy: encrypted, but not by a KMS key
    assert denied(application.s3.put_object, **here, Body=b"", ServerSideEncryption="AES256")
    # the key's policy: not without S3, and not for who may read the bucket
    assert denied(application.kms.generate_data_key, KeyId=key, KeySpec="AES_256")
    assert auditor.s3.list_objects_v2(Bucket=name)["KeyCount"] == 1
    assert denied(auditor.s3.get_object, **here)
    # the trust policy: without the external id, and another user with every right to assume roles
    arn = {"RoleArn": estate.application.arn, "RoleSessionName": "run"}
    assert denied(deployer.sts.assume_role, **arn)
    assert denied(deployer.sts.assume_role, **arn, ExternalId="another")
    assert denied(administrator.sts.assume_role, **arn, ExternalId=EXTERNAL_ID)
    # a session policy, which a session cannot outgrow
    reader = assume(deployer, estate.application, Policy=document(allow("s3:GetObject", "kms:Decrypt")))
    assert reader.s3.get_object(**here)["ContentLength"] == len(b"of the application")
    assert denied(reader.s3.put_object, **here, Body=b"")
    # another account, and nobody
    stranger = root_of(make_account(gateway))
    assert denied(stranger.s3.get_object, **here)
    assert denied(stranger.kms.describe_key, KeyId=key)
    assert denied(stranger.sts.assume_role, **arn, ExternalId=EXTERNAL_ID)


def change(administrator: AWS, estate: Estate) -> None:
    """A policy in six versions, an access key rotated, a role narrowed: all in force when it is answered."""
    deployer = AWS(administrator.gateway, estate.deployer_key.made)
    application = assume(deployer, estate.application)
    name = estate.bucket.name
    for number in range(6):
        only = document(allow("s3:GetObject", on=f"arn:aws:s3:::{name}/app/version-{number}"))
        estate.data.update(administrator, only)
        estate.data.read(administrator)
    assert code_of(application.s3.get_object, Bucket=name, Key="app/a") == "AccessDenied"
    old = estate.deployer_key.made["AccessKeyId"]
    estate.deployer_key.create(administrator)
    administrator.iam.update_access_key(UserName="deployer", AccessKeyId=old, Status="Inactive")
    assert code_of(deployer.sts.get_caller_identity) == "InvalidClientTokenId"
    rotated = AWS(administrator.gateway, estate.deployer_key.made)
    assert rotated.sts.get_caller_identity()["Arn"].endswith(":user/people/deployer")
    administrator.iam.delete_access_key(UserName="deployer", AccessKeyId=old)
    administrator.iam.update_assume_role_policy(
        RoleName="application", PolicyDocument=trust_of(administrator, User("auditor"))
    )
    parameters = {"RoleArn": estate.application.arn, "RoleSessionName": "run", "ExternalId": EXTERNAL_ID}
    assert code_of(rotated.sts.assume_role, **parameters) == "AccessDenied"


def test_an_estate_by_aws_cli(account: TestAccount, administrator: AWS) -> None:
    environment = {
        **account.gateway.aws_environment(),
        "AWS_ACCESS_KEY_ID": administrator.credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": administrator.credentials["SecretAccessKey"],
    }
    done = subprocess.run(
        ["bash", str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    told = {name: lines.split() for name, lines in (part.split("\n", 1) for part in done.stdout.split("== ")[1:])}
    key = told["use"].pop()
    assert key.startswith(f"arn:aws:kms:{REGION}:{account.account_id}:key/")
    assert told == {
        "people": ["dora"],
        "roles": ["data"],
        "keys": ["DescribeKey"],
        "buckets": ["aws:kms"],
        "use": [f"arn:aws:sts::{account.account_id}:assumed-role/app/run", "correct", "horse", "aws:kms"],
        "changes": ["correct", "horse", f"arn:aws:iam::{account.account_id}:user/people/dora"],
        "gone": ["PendingDeletion"],
    }
