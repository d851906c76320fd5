"""Multi-Region keys through boto3: two clients of different regions, one gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.clients.checks import error_of, refusal
from tests.harness import REGION, Gateway, running_gateway

OTHER = "eu-central-1"


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    directory: Path = tmp_path_factory.mktemp("regions")
    with running_gateway(directory, environment={"SEALGATE_KMS_OTHER_REGIONS": OTHER}, workers=2) as gateway:
        yield gateway


def client(gateway: Gateway, region: str, service: str = "kms") -> Any:
    return boto3.client(
        service,
        endpoint_url=gateway.endpoint_url,
        region_name=region,
        aws_access_key_id=gateway.credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=gateway.credentials["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture(scope="module")
def here(regions: Gateway) -> Any:
    return client(regions, REGION)


@pytest.fixture(scope="module")
def there(regions: Gateway) -> Any:
    return client(regions, OTHER)


def test_a_key_in_two_regions(here: Any, there: Any) -> None:
    made = here.create_key(MultiRegion=True)["KeyMetadata"]
    key = made["KeyId"]
    assert made["MultiRegion"] is True
    assert made["MultiRegionConfiguration"] == {
        "MultiRegionKeyType": "PRIMARY",
        "PrimaryKey": {"Arn": made["Arn"], "Region": REGION},
        "ReplicaKeys": [],
    }
    replica = here.replicate_key(KeyId=key, ReplicaRegion=OTHER, Description="there")
    assert replica["ReplicaKeyMetadata"]["Arn"] == made["Arn"].replace(REGION, OTHER)
    assert replica["ReplicaKeyMetadata"]["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA"
    blob = here.encrypt(KeyId=key, Plaintext=b"here", EncryptionContext={"a": "b"})["CiphertextBlob"]
    opened = there.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})
    assert (opened["Plaintext"], opened["KeyId"]) == (b"here", replica["ReplicaKeyMetadata"]["Arn"])
    here.update_primary_region(KeyId=key, PrimaryRegion=OTHER)
    configuration = here.describe_key(KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"]
    assert (configuration["MultiRegionKeyType"], configuration["PrimaryKey"]["Region"]) == ("REPLICA", OTHER)
    waiting = there.schedule_key_deletion(KeyId=key, PendingWindowInDays=9)
    assert (waiting["KeyState"], waiting["PendingWindowInDays"]) == ("PendingReplicaDeletion", 9)
    assert "DeletionDate" not in waiting
    assert there.describe_key(KeyId=key)["KeyMetadata"]["PendingDeletionWindowInDays"] == 9


def test_a_replicas_policy_that_would_lock_its_account_out_is_refused(here: Any, there: Any) -> None:
    made = here.create_key(MultiRegion=True)["KeyMetadata"]
    root = made["Arn"].split(":")[4]
    reading = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": ["kms:Describe*", "kms:Get*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [reading]})
    wanted = {"KeyId": made["KeyId"], "ReplicaRegion": OTHER, "Policy": policy}
    assert error_of(here.replicate_key, **wanted)["Error"] == {
        "Code": "MalformedPolicyDocumentException",
        "Message": "The new key policy will not allow you to update the key policy in the future.",
    }
    assert refusal(there.describe_key, KeyId=made["KeyId"]) == (400, "NotFoundException")
    assert here.describe_key(KeyId=made["KeyId"])["KeyMetadata"]["MultiRegionConfiguration"]["ReplicaKeys"] == []

    here.replicate_key(**wanted, BypassPolicyLockoutSafetyCheck=True)
    told = there.get_key_policy(KeyId=made["KeyId"])["Policy"]
    assert json.loads(told) == json.loads(policy)
    assert refusal(there.put_key_policy, KeyId=made["KeyId"], Policy=policy) == (400, "AccessDeniedException")


def test_each_region_has_its_own_keys_and_aliases(here: Any, there: Any) -> None:
    ours, theirs = (each.create_key()["KeyMetadata"] for each in (here, there))
    assert (ours["Arn"].split(":")[3], theirs["Arn"].split(":")[3]) == (REGION, OTHER)
    for each, key in ((here, ours), (there, theirs)):
        each.create_alias(AliasName="alias/same", TargetKeyId=key["KeyId"])
        assert each.describe_key(KeyId="alias/same")["KeyMetadata"]["Arn"] == key["Arn"]
    assert refusal(here.describe_key, KeyId=theirs["KeyId"]) == (400, "NotFoundException")
    assert error_of(here.describe_key, KeyId=theirs["Arn"])["Error"]["Message"] == f"Invalid arn {OTHER}"
    message = error_of(here.replicate_key, KeyId=ours["KeyId"], ReplicaRegion=OTHER)["Error"]["Message"]
    assert message == f"{ours['Arn']} is not a multi-region primary key."


def test_other_regions_are_the_kms_s_alone(regions: Gateway) -> None:
    s3 = client(regions, OTHER, "s3")
    assert refusal(s3.list_buckets) == (400, "AuthorizationHeaderMalformed")
    elsewhere = client(regions, "ap-south-1")
    assert refusal(elsewhere.list_keys) == (400, "InvalidSignatureException")
