"""What requests of the walk stand on, all made by the root user: buckets, objects, keys, users, policies, roles."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from functools import cached_property
from typing import Any

from tests.clients.kms_operations.world import World as KeyWorld
from tests.clients.rights.case import method_of, told
from tests.clients.sessions import client_with
from tests.clients.test_account_public_access import sent_to_endpoint
from tests.harness import REGION, Gateway

POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)

CONFIGURATIONS = (
    "get_bucket_accelerate_configuration",
    "get_bucket_acl",
    "get_bucket_cors",
    "get_bucket_encryption",
    "get_bucket_lifecycle_configuration",
    "get_bucket_ownership_controls",
    "get_bucket_policy",
    "get_bucket_request_payment",
    "get_bucket_tagging",
    "get_bucket_versioning",
    "get_public_access_block",
)
"""All that can be told of a bucket."""

READS = {
    "group": (),
    "role": ("list_role_tags",),
    "user": ("list_access_keys", "list_user_tags"),
}
"""What is told of one kind of identity besides itself and its policies."""


class World:
    """One account of a running gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.s3 = gateway.client("s3")
        self.kms = gateway.client("kms")
        self.iam = gateway.client("iam")
        self.control = sent_to_endpoint(gateway.client("s3control"))
        self.sts = gateway.client("sts")
        self.account_id: str = self.sts.get_caller_identity()["Account"]
        self.keys = KeyWorld(self.kms)

    @staticmethod
    def name(kind: str) -> str:
        """A name that is not taken."""
        return f"{kind}-{uuid.uuid4().hex}"

    # S3

    def bucket(self, *, versions: bool = False, acls: bool = False) -> str:
        name = self.name("bucket")
        self.s3.create_bucket(Bucket=name, **({"ObjectOwnership": "ObjectWriter"} if acls else {}))
        if versions:
            self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def put(self, bucket: str, key: str = "key", **parameters: Any) -> str:
        """The id of the version, empty in a bucket without versioning."""
        return str(self.s3.put_object(Bucket=bucket, Key=key, Body=b"body", **parameters).get("VersionId", ""))

    def upload(self, bucket: str, key: str = "key", **parameters: Any) -> str:
        """The id of an upload without parts."""
        return str(self.s3.create_multipart_upload(Bucket=bucket, Key=key, **parameters)["UploadId"])

    @cached_property
    def under_kms(self) -> dict[str, Any]:
        """The parameters of a request that encrypts by `kms_key`."""
        return self.by_kms("aws:kms")

    def by_kms(self, sse: str) -> dict[str, Any]:
        """As `under_kms`, of the mode that S3 calls so."""
        return {"ServerSideEncryption": sse, "SSEKMSKeyId": self.kms_key}

    @cached_property
    def kms_key(self) -> str:
        return self.keys.key()

    @cached_property
    def other_kms_key(self) -> str:
        return self.keys.key()

    @cached_property
    def batch_role(self) -> str:
        """The ARN of a role that jobs of S3 Batch Operations may act as; it may only have buckets listed."""
        name = self.name("role")
        trust = _trust_in("batchoperations.s3.amazonaws.com")
        arn = str(self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"])
        policy = POLICY.replace("s3:GetObject", "s3:PutInventoryConfiguration")
        self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
        return arn

    def configuration_of(self, bucket: str) -> Callable[[], object]:
        return lambda: [told(getattr(self.s3, each), Bucket=bucket) for each in CONFIGURATIONS]

    def contents_of(self, *buckets: str) -> Callable[[], object]:
        """Objects with their versions, tags and ACLs, and uploads with their parts."""
        return lambda: [self._contents(bucket) for bucket in buckets]

    def _contents(self, bucket: str) -> object:
        found: list[object] = [told(self.s3.list_object_versions, Bucket=bucket)]
        for version in self.s3.list_object_versions(Bucket=bucket).get("Versions", ()):
            named = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
            found += [told(each, **named) for each in (self.s3.get_object_tagging, self.s3.get_object_acl)]
        for upload in self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
            found.append(told(self.s3.list_parts, Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]))
        return found

    # KMS

    def state_of_kms(self, *keys: str) -> Callable[[], object]:
        """Keys with all that is told of them, in either region, and which keys and aliases there are."""
        return lambda: [*map(self._key, keys), self._names("list_keys", "Keys"), self._names("list_aliases", "Aliases")]

    def _key(self, key: str) -> object:
        read = ("describe_key", "get_key_policy", "list_grants", "list_resource_tags", "get_key_rotation_status")
        return [told(getattr(self.kms, each), KeyId=key) for each in (*read, "list_key_rotations")]

    def _names(self, method: str, member: str) -> list[object]:
        pages = self.kms.get_paginator(method).paginate(PaginationConfig={"PageSize": 1000})
        return [page[member] for page in pages]

    def arn(self, service: str, resource: str, region: str = REGION) -> str:
        return f"arn:aws:{service}:{region}:{self.account_id}:{resource}"

    # IAM

    def entity(self, kind: str, **parameters: Any) -> str:
        """The name of a new user, group or role."""
        name = self.name(kind)
        trusted = {"AssumeRolePolicyDocument": self.trust} if kind == "role" else {}
        method_of(self.iam, f"Create{kind.title()}")(**{f"{kind.title()}Name": name}, **trusted, **parameters)
        return name

    @property
    def trust(self) -> str:
        """A trust policy that leaves it to the policies of the account's identities who may assume a role."""
        return _trust(self.account_id, "sts:AssumeRole")

    @property
    def other_trust(self) -> str:
        return _trust(self.account_id, "sts:AssumeRole", "sts:TagSession")

    def entity_arn(self, kind: str, name: str) -> str:
        return f"arn:aws:iam::{self.account_id}:{kind}/{name}"

    def credentials_of(self, kind: str, name: str) -> dict[str, str]:
        """An access key of a user, or a session of a role: as IAM and STS answer them."""
        if kind == "user":
            made: dict[str, str] = self.iam.create_access_key(UserName=name)["AccessKey"]
            return made
        assuming = json.dumps(
            {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}}
        )
        user = self.entity("user")
        self.iam.put_user_policy(UserName=user, PolicyName="assume", PolicyDocument=assuming)
        sts = client_with(self.gateway, "sts", self.credentials_of("user", user))
        answer = sts.assume_role(RoleArn=self.entity_arn("role", name), RoleSessionName="session")
        session: dict[str, str] = answer["Credentials"]
        return session

    def policy(self, **parameters: Any) -> str:
        """The ARN of a new managed policy."""
        made = self.iam.create_policy(PolicyName=self.name("policy"), PolicyDocument=POLICY, **parameters)
        return str(made["Policy"]["Arn"])

    def state_of(self, kind: str, name: str) -> Callable[[], object]:
        """All that is told of a user, a group or a role."""
        reads = [f"get_{kind}", f"list_attached_{kind}_policies", f"list_{kind}_policies", *READS[kind]]
        return lambda: [told(getattr(self.iam, each), **{f"{kind.title()}Name": name}) for each in reads]

    def state_of_policy(self, arn: str) -> Callable[[], object]:
        read = ("get_policy", "list_entities_for_policy", "list_policy_tags", "list_policy_versions")
        return lambda: [told(getattr(self.iam, each), PolicyArn=arn) for each in read]


def _trust_in(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _trust(account: str, *actions: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": actions}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
