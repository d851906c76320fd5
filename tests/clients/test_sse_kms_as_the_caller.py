"""S3 uses a KMS key as the caller: what identity policies and key policies allow, across accounts too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clients.users import TestUser, accounts, allow, client_of, deny, make_user, told
from tests.harness import Gateway, running_gateway

USES = ("kms:GenerateDataKey", "kms:Decrypt")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("caller"), root="file", workers=2) as made:
        made.client("s3").create_bucket(Bucket="data")
        yield made


@pytest.fixture(scope="module")
def s3(gateway: Gateway) -> Any:
    return gateway.client("s3")


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    """A key of the first account with the default policy, which leaves it to identity policies."""
    return str(gateway.client("kms").create_key()["KeyMetadata"]["Arn"])


def put(client: Any, key: str, name: str = "k") -> None:
    client.put_object(Bucket="data", Key=name, Body=b"body", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)


def refused(call: Any, action: str, user: TestUser) -> None:
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("AccessDenied", 403)
    assert f"User: {user.arn} is not authorized to perform: {action} on" in response["Error"]["Message"]


def is_there(s3: Any, name: str) -> bool:
    return any(each["Key"] == name for each in s3.list_objects_v2(Bucket="data").get("Contents", ()))


def test_identity_policies_decide_about_a_key_that_leaves_it_to_them(gateway: Gateway, s3: Any, key: str) -> None:
    user = make_user(gateway, allow("s3:*"))
    client = user.client("s3")
    refused(lambda: put(client, key, "by-identity"), "kms:GenerateDataKey", user)
    assert not is_there(s3, "by-identity")
    user.put_policy(allow("s3:*"), allow("kms:GenerateDataKey", on=key))
    put(client, key, "by-identity")
    refused(lambda: client.get_object(Bucket="data", Key="by-identity"), "kms:Decrypt", user)
    assert client.head_object(Bucket="data", Key="by-identity")["SSEKMSKeyId"] == key
    user.put_policy(allow("s3:*"), allow(*USES, on=key))
    assert client.get_object(Bucket="data", Key="by-identity")["Body"].read() == b"body"
    user.put_policy(allow("s3:*"), allow(*USES, on=key), deny("kms:*"))
    refused(lambda: client.get_object(Bucket="data", Key="by-identity"), "kms:Decrypt", user)


def test_the_key_alone_lets_nobody_into_s3(gateway: Gateway, s3: Any, key: str) -> None:
    put(s3, key, "no-s3")
    user = make_user(gateway, allow("kms:*"))
    refused(lambda: user.client("s3").get_object(Bucket="data", Key="no-s3"), "s3:GetObject", user)


def test_a_key_policy_that_names_the_user_suffices(gateway: Gateway, s3: Any) -> None:
    user = make_user(gateway, allow("s3:*"))
    account = {"Effect": "Allow", "Principal": {"AWS": user.account_id}, "Action": "kms:*", "Resource": "*"}
    named = {"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": list(USES), "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [account, named]})
    kms = gateway.client("kms")
    key = kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
    client = user.client("s3")
    put(client, key, "by-key-policy")
    assert client.get_object(Bucket="data", Key="by-key-policy")["Body"].read() == b"body"
    kms.put_key_policy(
        KeyId=key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [account]})
    )
    refused(lambda: client.get_object(Bucket="data", Key="by-key-policy"), "kms:Decrypt", user)


def test_multipart_and_copies_use_the_key_as_the_caller(gateway: Gateway, s3: Any, key: str) -> None:
    put(s3, key, "source")
    user = make_user(gateway, allow("s3:*"))
    client = user.client("s3")
    kms_mode = {"Bucket": "data", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    source = {"Bucket": "data", "Key": "source"}
    refused(lambda: client.create_multipart_upload(Key="parts", **kms_mode), "kms:GenerateDataKey", user)
    refused(lambda: client.copy_object(Bucket="data", Key="copy", CopySource=source), "kms:Decrypt", user)
    assert not is_there(s3, "copy")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="data")
    user.put_policy(allow("s3:*"), allow(*USES, on=key))
    upload = client.create_multipart_upload(Key="parts", **kms_mode)["UploadId"]
    named = {"Bucket": "data", "Key": "parts", "UploadId": upload, "PartNumber": 1}
    etag = client.upload_part(**named, Body=b"part")["ETag"]
    user.put_policy(allow("s3:*"))
    refused(lambda: client.upload_part(**named, Body=b"other"), "kms:Decrypt", user)
    user.put_policy(allow("s3:*"), allow(*USES, on=key))
    parts = {"Parts": [{"ETag": etag, "PartNumber": 1}]}
    client.complete_multipart_upload(Bucket="data", Key="parts", UploadId=upload, MultipartUpload=parts)
    assert client.get_object(Bucket="data", Key="parts")["Body"].read() == b"part"
    client.copy_object(Key="copy", CopySource=source, **kms_mode)
    assert s3.get_object(Bucket="data", Key="copy")["Body"].read() == b"body"


def test_a_copy_decrypts_with_the_one_key_and_generates_with_the_other(gateway: Gateway, s3: Any, key: str) -> None:
    other = str(gateway.client("kms").create_key()["KeyMetadata"]["Arn"])
    put(s3, key, "rewrapped")
    user = make_user(gateway, allow("s3:*"), allow("kms:Decrypt", on=key), allow("kms:Encrypt", on=other))
    client = user.client("s3")
    wanted = {
        "Bucket": "data",
        "Key": "rewrapped-copy",
        "CopySource": {"Bucket": "data", "Key": "rewrapped"},
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": other,
    }
    refused(lambda: client.copy_object(**wanted), "kms:GenerateDataKey", user)
    user.put_policy(allow("s3:*"), allow("kms:GenerateDataKey", on=[key, other]))
    refused(lambda: client.copy_object(**wanted), "kms:Decrypt", user)
    assert not is_there(s3, "rewrapped-copy")
    user.put_policy(allow("s3:*"), allow("kms:Decrypt", on=key), allow("kms:GenerateDataKey", on=other))
    assert client.copy_object(**wanted)["SSEKMSKeyId"] == other
    refused(lambda: client.get_object(Bucket="data", Key="rewrapped-copy"), "kms:Decrypt", user)
    assert s3.get_object(Bucket="data", Key="rewrapped-copy")["Body"].read() == b"body"


def test_another_accounts_key_by_arn(gateway: Gateway, s3: Any) -> None:
    data = str(gateway.data)
    other = str(told(gateway, "account", "create", data, "other")["AccountId"])
    root = told(gateway, "access-key", "create", data, "--account", other)
    kms = client_of(gateway, "kms", root["AccessKeyId"], root["SecretAccessKey"])
    home = accounts(gateway)[0]
    key = kms.create_key()["KeyMetadata"]["Arn"]
    user = make_user(gateway, allow("s3:*"), allow(*USES, on=key), account_id=home)
    client = user.client("s3")
    refused(lambda: put(client, key, "abroad"), "kms:GenerateDataKey", user)
    assert not is_there(s3, "abroad")
    own = {"Effect": "Allow", "Principal": {"AWS": other}, "Action": "kms:*", "Resource": "*"}
    guest = {"Effect": "Allow", "Principal": {"AWS": home}, "Action": list(USES), "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [own, guest]})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
    put(client, key, "abroad")
    assert client.get_object(Bucket="data", Key="abroad")["Body"].read() == b"body"
    user.put_policy(allow("s3:*"))
    refused(lambda: client.get_object(Bucket="data", Key="abroad"), "kms:Decrypt", user)


def test_the_kms_itself_knows_the_users_policies(gateway: Gateway, key: str) -> None:
    user = make_user(gateway, allow("kms:Encrypt", on=key))
    kms = user.client("kms")
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    with pytest.raises(kms.exceptions.ClientError) as caught:
        kms.decrypt(CiphertextBlob=blob)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    user.put_policy(allow("kms:Decrypt", on=key))
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
