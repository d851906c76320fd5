"""What is put into a golden data set, and what clients are told of it: to the generator once, to the test since."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from tests.clients.checks import headers_of, random_bytes
from tests.harness import Gateway

VOLATILE = {"date", "x-amz-request-id", "x-amz-id-2", "server"}
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "golden-golden-golden-golden-key!"}
CONTEXT = {"data": "set"}
MODES: dict[str, dict[str, Any]] = {
    "s3": {},
    "kms": {"ServerSideEncryption": "aws:kms"},
    "bucket-key": {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True},
    "dsse": {"ServerSideEncryption": "aws:kms:dsse"},
    "customer": CUSTOMER,
}
SIZES = (0, 10, 20_000, 66_000)
"""In the index, in a file, and in a file of two segments."""

Told = dict[str, Any]


def fill(gateway: Gateway) -> Told:
    """Write everything; what only the writer knows, for `tell` and the test."""
    s3, kms, iam = gateway.client("s3"), gateway.client("kms"), gateway.client("iam")
    known: Told = {"kms": _fill_kms(kms), "user": _fill_identities(iam)}
    for bucket in ("plain", "versions"):
        s3.create_bucket(Bucket=bucket)
        encryption = {"Rules": [{"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}]}
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=encryption)
    s3.put_bucket_tagging(Bucket="plain", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
    s3.put_bucket_cors(Bucket="plain", CORSConfiguration={"CORSRules": [rule]})
    s3.put_bucket_policy(Bucket="versions", Policy=json.dumps(_policy()))
    for name, mode in MODES.items():
        for size in SIZES if name in {"kms", "dsse"} else SIZES[:-1]:
            body = random_bytes(size, seed=size + len(name))
            s3.put_object(Bucket="plain", Key=f"{name}/{size}", Body=body, Metadata={"m": name}, Tagging="t=1", **mode)
        _upload(s3, "plain", f"{name}/parts", mode)
    s3.put_object_tagging(Bucket="plain", Key="s3/10", Tagging={"TagSet": [{"Key": "later", "Value": "yes"}]})
    s3.copy_object(Bucket="plain", Key="copy", CopySource="plain/kms/66000")
    s3.copy_object(Bucket="plain", Key="copy of parts", CopySource="plain/s3/parts")
    s3.put_object(Bucket="plain", Key="before", Body=b"renamed")
    s3.rename_object(Bucket="plain", Key="renamed", RenameSource="before")
    s3.put_object(Bucket="plain", Key="rewrapped", Body=random_bytes(20_000))
    key_arn = known["kms"]["key"]
    s3.update_object_encryption(Bucket="plain", Key="rewrapped", ObjectEncryption={"SSEKMS": {"KMSKeyArn": key_arn}})
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    for size in (1, 20_000, 2):
        s3.put_object(Bucket="versions", Key="k", Body=random_bytes(size))
    s3.delete_object(Bucket="versions", Key="k")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket="versions", Key="k", Body=b"null")
    upload = {"Bucket": "plain", "Key": "in progress"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, **MODES["kms"])["UploadId"]
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"a part")["ETag"]
    return {**known, "upload": upload, "part": etag}


def _upload(s3: Any, bucket: str, key: str, mode: Told) -> None:
    upload = {"Bucket": bucket, "Key": key}
    upload["UploadId"] = s3.create_multipart_upload(**upload, **mode)["UploadId"]
    own = CUSTOMER if mode is CUSTOMER else {}
    etag = s3.upload_part(**upload, PartNumber=1, Body=random_bytes(20_000), **own)["ETag"]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **own)


def _policy() -> Told:
    denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::versions"}
    return {"Version": "2012-10-17", "Statement": [denied]}


def _fill_kms(kms: Any) -> Told:
    """Keys of every kind, and what they made."""
    key = kms.create_key(Description="golden", Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/golden", TargetKeyId=key)
    encrypted = [_encrypt(kms, key, b"before the rotation")]
    kms.rotate_key_on_demand(KeyId=key)
    encrypted.append(_encrypt(kms, key, b"after the rotation"))
    made: Told = {"key": key, "encrypted": encrypted}
    usages = {"RSA_2048": "SIGN_VERIFY", "ECC_NIST_P256": "SIGN_VERIFY", "HMAC_256": "GENERATE_VERIFY_MAC"}
    for spec, usage in usages.items():
        made[spec] = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"]
    for spec, algorithm in ALGORITHMS.items():
        signature = kms.sign(KeyId=made[spec], Message=b"golden", SigningAlgorithm=algorithm)["Signature"]
        made[f"{spec} signature"] = _text(signature)
    mac = kms.generate_mac(KeyId=made["HMAC_256"], Message=b"golden", MacAlgorithm="HMAC_SHA_256")["Mac"]
    disabled = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=disabled)
    return {**made, "mac": _text(mac), "disabled": disabled}


ALGORITHMS = {"RSA_2048": "RSASSA_PSS_SHA_256", "ECC_NIST_P256": "ECDSA_SHA_256"}


def _encrypt(kms: Any, key: str, plaintext: bytes) -> str:
    return _text(kms.encrypt(KeyId=key, Plaintext=plaintext, EncryptionContext=CONTEXT)["CiphertextBlob"])


def _fill_identities(iam: Any) -> Told:
    iam.create_user(UserName="ann", Path="/team/", Tags=[{"Key": "a", "Value": "b"}])
    allowed = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="ann", PolicyName="reads", PolicyDocument=document)
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    return {"access_key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def tell(gateway: Gateway, known: Told) -> Told:
    """What clients are told of everything, as JSON has it."""
    s3, kms, iam = gateway.client("s3"), gateway.client("kms"), gateway.client("iam")
    told: Told = {
        "buckets": [[each["Name"], each["CreationDate"]] for each in s3.list_buckets()["Buckets"]],
        "policy": s3.get_bucket_policy(Bucket="versions")["Policy"],
        "tags": s3.get_bucket_tagging(Bucket="plain")["TagSet"],
        "cors": s3.get_bucket_cors(Bucket="plain")["CORSRules"],
        "versions": {bucket: _tell_versions(s3, bucket) for bucket in ("plain", "versions")},
        "uploads": [[each["Key"], each["UploadId"]] for each in s3.list_multipart_uploads(Bucket="plain")["Uploads"]],
        "kms": _tell_kms(kms, known["kms"]),
        "user": iam.get_user(UserName="ann")["User"],
        "user policy": iam.get_user_policy(UserName="ann", PolicyName="reads")["PolicyDocument"],
    }
    told["user"].pop("PasswordLastUsed", None)
    plain: Told = json.loads(json.dumps(told, default=_json))
    return plain


def _tell_versions(s3: Any, bucket: str) -> list[Any]:
    listed = s3.list_object_versions(Bucket=bucket)
    told: list[Any] = [[each["Key"], each["VersionId"], each["IsLatest"]] for each in listed.get("DeleteMarkers", [])]
    for each in listed["Versions"]:
        where = {"Bucket": bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
        own = CUSTOMER if each["Key"].startswith("customer/") else {}
        answer = s3.get_object(**where, ChecksumMode="ENABLED", **own)
        headers = {name: value for name, value in headers_of(answer).items() if name not in VOLATILE}
        digest = hashlib.sha256(answer["Body"].read()).hexdigest()
        told.append([each["Key"], each["VersionId"], each["IsLatest"], digest, headers])
        told.append(s3.get_object_tagging(**where)["TagSet"])
    return told


def _tell_kms(kms: Any, made: Told) -> Told:
    decrypted = [
        kms.decrypt(CiphertextBlob=base64.b64decode(each), EncryptionContext=CONTEXT)["Plaintext"].decode()
        for each in made["encrypted"]
    ]
    verified = {
        spec: kms.verify(
            KeyId=made[spec],
            Message=b"golden",
            Signature=base64.b64decode(made[f"{spec} signature"]),
            SigningAlgorithm=algorithm,
        )["SignatureValid"]
        for spec, algorithm in ALGORITHMS.items()
    }
    mac = base64.b64decode(made["mac"])
    found = kms.verify_mac(KeyId=made["HMAC_256"], Message=b"golden", Mac=mac, MacAlgorithm="HMAC_SHA_256")
    names = ("key", "disabled", *ALGORITHMS, "HMAC_256")
    described = {name: kms.describe_key(KeyId=made[name])["KeyMetadata"] for name in names}
    aliases = [each["AliasName"] for each in kms.list_aliases(KeyId=made["key"])["Aliases"]]
    return {
        "decrypted": decrypted,
        "verified": verified,
        "mac": found["MacValid"],
        "keys": described,
        "aliases": aliases,
        "tags": kms.list_resource_tags(KeyId=made["key"])["Tags"],
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json(value: Any) -> str:
    return str(value)
