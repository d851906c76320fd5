"""An estate as tools of infrastructure as code keep one: each resource is created, read, destroyed, and then gone.

Each makes the calls that Terraform's AWS provider makes for the resource of its name: what it reads after it made one
and at each plan, what it looks for before it destroys one (`force_destroy` included), and by which answer it knows that
one is gone. Source: the provider's documentation and behaviour (versions 5 and 6).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.clients.test_account_public_access import sent_to_endpoint
from tests.clients.test_bucket_configuration import READ_BY_TERRAFORM
from tests.harness import REGION, Gateway

Document = Mapping[str, Any]


@dataclass(frozen=True)
class AWS:
    """One principal's clients: the credentials are those that IAM and STS answer."""

    gateway: Gateway
    credentials: Mapping[str, str]

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.gateway.endpoint_url,
            region_name=REGION,
            aws_access_key_id=self.credentials["AccessKeyId"],
            aws_secret_access_key=self.credentials["SecretAccessKey"],
            aws_session_token=self.credentials.get("SessionToken"),
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    @cached_property
    def iam(self) -> Any:
        return self._client("iam")

    @cached_property
    def sts(self) -> Any:
        return self._client("sts")

    @cached_property
    def kms(self) -> Any:
        return self._client("kms")

    @cached_property
    def s3(self) -> Any:
        return self._client("s3")

    @cached_property
    def control(self) -> Any:
        return sent_to_endpoint(self._client("s3control"))

    @cached_property
    def account_id(self) -> str:
        return str(self.sts.get_caller_identity()["Account"])


class Resource(Protocol):
    def create(self, aws: AWS) -> None: ...

    def read(self, aws: AWS) -> object:
        """All that a plan looks at. Raises AssertionError where it is not what was asked for."""
        ...

    def destroy(self, aws: AWS) -> None: ...

    def is_gone(self, aws: AWS) -> bool: ...


def code_of(call: Callable[..., Any], **parameters: Any) -> str:
    """The error's code; empty if there is none."""
    try:
        call(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def answered(call: Callable[..., Any], **parameters: Any) -> dict[str, Any]:
    answer: dict[str, Any] = call(**parameters)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def listed(client: Any, operation: str, member: str, **parameters: Any) -> list[Any]:
    """Every page, as the provider reads listings."""
    pages = client.get_paginator(operation).paginate(**parameters)
    return [each for page in pages for each in page[member]]


def document(*statements: Document) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# IAM


@dataclass
class ManagedPolicy:
    """aws_iam_policy."""

    name: str
    policy: str
    tags: Mapping[str, str] = field(default_factory=dict)
    arn: str = ""

    def create(self, aws: AWS) -> None:
        made = aws.iam.create_policy(
            PolicyName=self.name, PolicyDocument=self.policy, Path="/estate/", Tags=tag_list(self.tags)
        )
        self.arn = made["Policy"]["Arn"]

    def update(self, aws: AWS, policy: str) -> None:
        """A new version, for which the oldest makes room where there are five."""
        versions = listed(aws.iam, "list_policy_versions", "Versions", PolicyArn=self.arn)
        if len(versions) == 5:
            oldest = min(
                (each for each in versions if not each["IsDefaultVersion"]), key=lambda each: each["CreateDate"]
            )
            aws.iam.delete_policy_version(PolicyArn=self.arn, VersionId=oldest["VersionId"])
        self.policy = policy
        aws.iam.create_policy_version(PolicyArn=self.arn, PolicyDocument=policy, SetAsDefault=True)

    def read(self, aws: AWS) -> object:
        policy = aws.iam.get_policy(PolicyArn=self.arn)["Policy"]
        assert (policy["PolicyName"], policy["Path"]) == (self.name, "/estate/")
        assert policy.get("Tags", []) == tag_list(self.tags)
        version = aws.iam.get_policy_version(PolicyArn=self.arn, VersionId=policy["DefaultVersionId"])
        assert version["PolicyVersion"]["Document"] == json.loads(self.policy)
        return policy, version["PolicyVersion"]

    def destroy(self, aws: AWS) -> None:
        for version in listed(aws.iam, "list_policy_versions", "Versions", PolicyArn=self.arn):
            if not version["IsDefaultVersion"]:
                aws.iam.delete_policy_version(PolicyArn=self.arn, VersionId=version["VersionId"])
        aws.iam.delete_policy(PolicyArn=self.arn)

    def is_gone(self, aws: AWS) -> bool:
        return code_of(aws.iam.get_policy, PolicyArn=self.arn) == "NoSuchEntity"


@dataclass
class User:
    """aws_iam_user, with force_destroy."""

    name: str
    boundary: ManagedPolicy | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def create(self, aws: AWS) -> None:
        bounded = {} if self.boundary is None else {"PermissionsBoundary": self.boundary.arn}
        aws.iam.create_user(UserName=self.name, Path="/people/", Tags=tag_list(self.tags), **bounded)

    def read(self, aws: AWS) -> object:
        user = aws.iam.get_user(UserName=self.name)["User"]
        assert user["Arn"] == f"arn:aws:iam::{aws.account_id}:user/people/{self.name}"
        assert user.get("Tags", []) == tag_list(self.tags)
        if self.boundary is not None:
            assert user["PermissionsBoundary"]["PermissionsBoundaryArn"] == self.boundary.arn
        return user

    def destroy(self, aws: AWS) -> None:
        for group in listed(aws.iam, "list_groups_for_user", "Groups", UserName=self.name):
            aws.iam.remove_user_from_group(GroupName=group["GroupName"], UserName=self.name)
        for key in listed(aws.iam, "list_access_keys", "AccessKeyMetadata", UserName=self.name):
            aws.iam.delete_access_key(UserName=self.name, AccessKeyId=key["AccessKeyId"])
        assert listed(aws.iam, "list_ssh_public_keys", "SSHPublicKeys", UserName=self.name) == []
        devices = listed(aws.iam, "list_virtual_mfa_devices", "VirtualMFADevices", AssignmentStatus="Assigned")
        assert devices == []
        assert listed(aws.iam, "list_mfa_devices", "MFADevices", UserName=self.name) == []
        assert code_of(aws.iam.delete_login_profile, UserName=self.name) == "NoSuchEntity"
        assert listed(aws.iam, "list_signing_certificates", "Certificates", UserName=self.name) == []
        own = aws.iam.list_service_specific_credentials(UserName=self.name)
        assert own["ServiceSpecificCredentials"] == []
        aws.iam.delete_user(UserName=self.name)

    def is_gone(self, aws: AWS) -> bool:
        return code_of(aws.iam.get_user, UserName=self.name) == "NoSuchEntity"


@dataclass
class AccessKey:
    """aws_iam_access_key."""

    user: User
    made: Mapping[str, str] = field(default_factory=dict)

    def create(self, aws: AWS) -> None:
        self.made = aws.iam.create_access_key(UserName=self.user.name)["AccessKey"]

    def read(self, aws: AWS) -> object:
        keys = listed(aws.iam, "list_access_keys", "AccessKeyMetadata", UserName=self.user.name)
        (key,) = (each for each in keys if each["AccessKeyId"] == self.made["AccessKeyId"])
        assert key["Status"] == "Active"
        return key

    def destroy(self, aws: AWS) -> None:
        aws.iam.delete_access_key(UserName=self.user.name, AccessKeyId=self.made["AccessKeyId"])

    def is_gone(self, aws: AWS) -> bool:
        if code_of(aws.iam.list_access_keys, UserName=self.user.name) == "NoSuchEntity":
            return True
        keys = listed(aws.iam, "list_access_keys", "AccessKeyMetadata", UserName=self.user.name)
        return all(each["AccessKeyId"] != self.made["AccessKeyId"] for each in keys)


@dataclass
class Group:
    """aws_iam_group, with aws_iam_group_membership."""

    name: str
    members: Sequence[User]

    def create(self, aws: AWS) -> None:
        aws.iam.create_group(GroupName=self.name, Path="/")
        for member in self.members:
            aws.iam.add_user_to_group(GroupName=self.name, UserName=member.name)

    def read(self, aws: AWS) -> object:
        users = listed(aws.iam, "get_group", "Users", GroupName=self.name)
        assert sorted(user["UserName"] for user in users) == sorted(member.name for member in self.members)
        return aws.iam.get_group(GroupName=self.name)["Group"]

    def destroy(self, aws: AWS) -> None:
        for user in listed(aws.iam, "get_group", "Users", GroupName=self.name):
            aws.iam.remove_user_from_group(GroupName=self.name, UserName=user["UserName"])
        aws.iam.delete_group(GroupName=self.name)

    def is_gone(self, aws: AWS) -> bool:
        return code_of(aws.iam.get_group, GroupName=self.name) == "NoSuchEntity"


@dataclass
class Role:
    """aws_iam_role. `trust` is made once it is known of whom it speaks."""

    name: str
    trust: Callable[[AWS], str]
    boundary: ManagedPolicy | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    arn: str = ""

    def create(self, aws: AWS) -> None:
        bounded = {} if self.boundary is None else {"PermissionsBoundary": self.boundary.arn}
        made = aws.iam.create_role(
            RoleName=self.name,
            Path="/",
            AssumeRolePolicyDocument=self.trust(aws),
            Description="of the estate",
            MaxSessionDuration=7200,
            Tags=tag_list(self.tags),
            **bounded,
        )
        self.arn = made["Role"]["Arn"]

    def read(self, aws: AWS) -> object:
        role = aws.iam.get_role(RoleName=self.name)["Role"]
        assert role.pop("RoleLastUsed") is not None  # what changes without anybody's changing it
        assert role["AssumeRolePolicyDocument"] == json.loads(self.trust(aws))
        assert (role["Description"], role["MaxSessionDuration"]) == ("of the estate", 7200)
        assert role.get("Tags", []) == tag_list(self.tags)
        if self.boundary is not None:
            assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == self.boundary.arn
        names = listed(aws.iam, "list_role_policies", "PolicyNames", RoleName=self.name)
        inline = [aws.iam.get_role_policy(RoleName=self.name, PolicyName=name)["PolicyDocument"] for name in names]
        attached = listed(aws.iam, "list_attached_role_policies", "AttachedPolicies", RoleName=self.name)
        return role, names, inline, attached

    def destroy(self, aws: AWS) -> None:
        profiles = listed(aws.iam, "list_instance_profiles_for_role", "InstanceProfiles", RoleName=self.name)
        assert profiles == []
        for policy in listed(aws.iam, "list_attached_role_policies", "AttachedPolicies", RoleName=self.name):
            aws.iam.detach_role_policy(RoleName=self.name, PolicyArn=policy["PolicyArn"])
        for name in listed(aws.iam, "list_role_policies", "PolicyNames", RoleName=self.name):
            aws.iam.delete_role_policy(RoleName=self.name, PolicyName=name)
        aws.iam.delete_role(RoleName=self.name)

    def is_gone(self, aws: AWS) -> bool:
        return code_of(aws.iam.get_role, RoleName=self.name) == "NoSuchEntity"


@dataclass
class Attachment:
    """aws_iam_user_policy_attachment, aws_iam_group_policy_attachment, aws_iam_role_policy_attachment."""

    to: User | Group | Role
    policy: ManagedPolicy | str

    @property
    def _arn(self) -> str:
        return self.policy if isinstance(self.policy, str) else self.policy.arn

    @property
    def _kind(self) -> str:
        return type(self.to).__name__

    @property
    def _named(self) -> dict[str, str]:
        return {f"{self._kind}Name": self.to.name}

    def create(self, aws: AWS) -> None:
        getattr(aws.iam, f"attach_{self._kind.lower()}_policy")(**self._named, PolicyArn=self._arn)

    def _found(self, aws: AWS) -> list[Any]:
        operation = f"list_attached_{self._kind.lower()}_policies"
        found = listed(aws.iam, operation, "AttachedPolicies", **self._named)
        return [each for each in found if each["PolicyArn"] == self._arn]

    def read(self, aws: AWS) -> object:
        (found,) = self._found(aws)
        return found

    def destroy(self, aws: AWS) -> None:
        getattr(aws.iam, f"detach_{self._kind.lower()}_policy")(**self._named, PolicyArn=self._arn)

    def is_gone(self, aws: AWS) -> bool:
        operation = getattr(aws.iam, f"list_attached_{self._kind.lower()}_policies")
        return code_of(operation, **self._named) == "NoSuchEntity" or not self._found(aws)


@dataclass
class InlinePolicy:
    """aws_iam_role_policy, aws_iam_group_policy, aws_iam_user_policy."""

    of: User | Group | Role
    name: str
    policy: Callable[[AWS], str]

    @property
    def _named(self) -> dict[str, str]:
        return {f"{type(self.of).__name__}Name": self.of.name, "PolicyName": self.name}

    def _method(self, aws: AWS, verb: str) -> Any:
        return getattr(aws.iam, f"{verb}_{type(self.of).__name__.lower()}_policy")

    def create(self, aws: AWS) -> None:
        self._method(aws, "put")(**self._named, PolicyDocument=self.policy(aws))

    def read(self, aws: AWS) -> object:
        found = answered(self._method(aws, "get"), **self._named)
        assert found["PolicyDocument"] == json.loads(self.policy(aws))
        return found

    def destroy(self, aws: AWS) -> None:
        self._method(aws, "delete")(**self._named)

    def is_gone(self, aws: AWS) -> bool:
        return code_of(self._method(aws, "get"), **self._named) == "NoSuchEntity"


@dataclass
class OpenIDConnectProvider:
    """aws_iam_openid_connect_provider."""

    host: str
    audience: str
    arn: str = ""

    def create(self, aws: AWS) -> None:
        made = aws.iam.create_open_id_connect_provider(
            Url=f"https://{self.host}", ClientIDList=[self.audience], ThumbprintList=["0" * 40]
        )
        self.arn = made["OpenIDConnectProviderArn"]

    def read(self, aws: AWS) -> object:
        found = answered(aws.iam.get_open_id_connect_provider, OpenIDConnectProviderArn=self.arn)
        assert (found["Url"], found["ClientIDList"]) == (self.host, [self.audience])
        assert found["ThumbprintList"] == ["0" * 40]
        return found

    def destroy(self, aws: AWS) -> None:
        aws.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=self.arn)

    def is_gone(self, aws: AWS) -> bool:
        code = code_of(aws.iam.get_open_id_connect_provider, OpenIDConnectProviderArn=self.arn)
        return code == "NoSuchEntity"


@dataclass
class AccountAlias:
    """aws_iam_account_alias."""

    alias: str

    def create(self, aws: AWS) -> None:
        aws.iam.create_account_alias(AccountAlias=self.alias)

    def read(self, aws: AWS) -> object:
        found = listed(aws.iam, "list_account_aliases", "AccountAliases")
        assert found == [self.alias]
        return found

    def destroy(self, aws: AWS) -> None:
        aws.iam.delete_account_alias(AccountAlias=self.alias)

    def is_gone(self, aws: AWS) -> bool:
        return listed(aws.iam, "list_account_aliases", "AccountAliases") == []


# KMS


@dataclass
class Key:
    """aws_kms_key: gone is one that is to be deleted."""

    description: str
    policy: Callable[[AWS], str]
    tags: Mapping[str, str] = field(default_factory=dict)
    arn: str = ""

    def create(self, aws: AWS) -> None:
        tags = [{"TagKey": key, "TagValue": value} for key, value in self.tags.items()]
        made = aws.kms.create_key(Description=self.description, Policy=self.policy(aws), Tags=tags)
        self.arn = made["KeyMetadata"]["Arn"]
        aws.kms.enable_key_rotation(KeyId=self.arn)

    def read(self, aws: AWS) -> object:
        metadata = aws.kms.describe_key(KeyId=self.arn)["KeyMetadata"]
        assert (metadata["KeyState"], metadata["Description"]) == ("Enabled", self.description)
        policy = aws.kms.get_key_policy(KeyId=self.arn, PolicyName="default")["Policy"]
        assert json.loads(policy) == json.loads(self.policy(aws))
        rotation = answered(aws.kms.get_key_rotation_status, KeyId=self.arn)
        assert rotation["KeyRotationEnabled"]
        tags = listed(aws.kms, "list_resource_tags", "Tags", KeyId=self.arn)
        assert {tag["TagKey"]: tag["TagValue"] for tag in tags} == self.tags
        return metadata, policy, rotation, tags

    def destroy(self, aws: AWS) -> None:
        aws.kms.schedule_key_deletion(KeyId=self.arn, PendingWindowInDays=7)

    def is_gone(self, aws: AWS) -> bool:
        return bool(aws.kms.describe_key(KeyId=self.arn)["KeyMetadata"]["KeyState"] == "PendingDeletion")


@dataclass
class Alias:
    """aws_kms_alias."""

    name: str
    key: Key

    def create(self, aws: AWS) -> None:
        aws.kms.create_alias(AliasName=self.name, TargetKeyId=self.key.arn)

    def _found(self, aws: AWS) -> list[Any]:
        return [each for each in listed(aws.kms, "list_aliases", "Aliases") if each["AliasName"] == self.name]

    def read(self, aws: AWS) -> object:
        (found,) = self._found(aws)
        assert self.key.arn.endswith(found["TargetKeyId"])
        return found

    def destroy(self, aws: AWS) -> None:
        aws.kms.delete_alias(AliasName=self.name)

    def is_gone(self, aws: AWS) -> bool:
        return not self._found(aws)


@dataclass
class Grant:
    """aws_kms_grant."""

    key: Key
    grantee: Role
    grant_id: str = ""

    def create(self, aws: AWS) -> None:
        made = aws.kms.create_grant(
            KeyId=self.key.arn, GranteePrincipal=self.grantee.arn, Operations=["Decrypt", "DescribeKey"], Name="estate"
        )
        self.grant_id = made["GrantId"]

    def _found(self, aws: AWS) -> list[Any]:
        grants = listed(aws.kms, "list_grants", "Grants", KeyId=self.key.arn)
        return [each for each in grants if each["GrantId"] == self.grant_id]

    def read(self, aws: AWS) -> object:
        (found,) = self._found(aws)
        assert (found["GranteePrincipal"], found["Name"]) == (self.grantee.arn, "estate")
        return found

    def destroy(self, aws: AWS) -> None:
        aws.kms.revoke_grant(KeyId=self.key.arn, GrantId=self.grant_id)

    def is_gone(self, aws: AWS) -> bool:
        return not self._found(aws)


# S3


@dataclass
class Bucket:
    """aws_s3_bucket, with force_destroy."""

    name: str
    tags: Mapping[str, str] = field(default_factory=dict)

    def create(self, aws: AWS) -> None:
        aws.s3.create_bucket(Bucket=self.name, CreateBucketConfiguration={"Tags": tag_list(self.tags)})

    def read(self, aws: AWS) -> object:
        told: list[object] = []
        for operation, missing in READ_BY_TERRAFORM:
            code = code_of(getattr(aws.s3, operation), Bucket=self.name)
            assert code in {"", missing}, operation
            told.append(code or answered(getattr(aws.s3, operation), Bucket=self.name))
        tags = aws.control.list_tags_for_resource(AccountId=aws.account_id, ResourceArn=f"arn:aws:s3:::{self.name}")
        assert tags["Tags"] == tag_list(self.tags)
        return told

    def destroy(self, aws: AWS) -> None:
        while found := self._versions(aws):
            answer = aws.s3.delete_objects(Bucket=self.name, Delete={"Objects": found, "Quiet": True})
            assert answer.get("Errors", []) == []
        aws.s3.delete_bucket(Bucket=self.name)

    def _versions(self, aws: AWS) -> list[dict[str, str]]:
        page = aws.s3.list_object_versions(Bucket=self.name)
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]

    def is_gone(self, aws: AWS) -> bool:
        return code_of(aws.s3.head_bucket, Bucket=self.name) == "404"


@dataclass
class Configuration:
    """One of the resources that configure a bucket: aws_s3_bucket_versioning, aws_s3_bucket_policy and the like.

    `missing` is the error that tells of none; without it the bucket's being gone is all.
    """

    bucket: Bucket
    get: str
    put: str
    value: Callable[[AWS], Document]
    delete: str = ""
    missing: str = ""
    off: Document = field(default_factory=dict)
    """What is put in place of a deletion."""

    def create(self, aws: AWS) -> None:
        getattr(aws.s3, self.put)(Bucket=self.bucket.name, **self.value(aws))

    def read(self, aws: AWS) -> object:
        return answered(getattr(aws.s3, self.get), Bucket=self.bucket.name)

    def destroy(self, aws: AWS) -> None:
        if self.delete:
            getattr(aws.s3, self.delete)(Bucket=self.bucket.name)
        else:
            getattr(aws.s3, self.put)(Bucket=self.bucket.name, **self.off)

    def is_gone(self, aws: AWS) -> bool:
        return code_of(getattr(aws.s3, self.get), Bucket=self.bucket.name) in {self.missing, "NoSuchBucket"}


@dataclass
class AccountBlock:
    """aws_s3_account_public_access_block."""

    block: Mapping[str, bool]

    def create(self, aws: AWS) -> None:
        aws.control.put_public_access_block(AccountId=aws.account_id, PublicAccessBlockConfiguration=self.block)

    def read(self, aws: AWS) -> object:
        found = answered(aws.control.get_public_access_block, AccountId=aws.account_id)
        assert found == {"PublicAccessBlockConfiguration": self.block}
        return found

    def destroy(self, aws: AWS) -> None:
        aws.control.delete_public_access_block(AccountId=aws.account_id)

    def is_gone(self, aws: AWS) -> bool:
        code = code_of(aws.control.get_public_access_block, AccountId=aws.account_id)
        return code == "NoSuchPublicAccessBlockConfiguration"
