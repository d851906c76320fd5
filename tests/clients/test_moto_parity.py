"""The same boto3 calls to the gateway and to moto: both are to answer alike, but where moto is not like AWS.

Each script is a function that makes calls through a recorder. A call is recorded as its HTTP status, its error code
and the members that the script names; names that differ from run to run are written down as placeholders. Where moto
is known to differ from AWS, the call says how moto is and what AWS answers; such an exception must still be needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.clients.checks import md5_hex, random_bytes
from tests.harness import REGION, Gateway
from tests.moto_server import moto_server

ABSENT = "00000000-0000-4000-8000-000000000000"


Outcome = tuple[str, int, str, dict[str, Any]]
"""Method, HTTP status, error code ("" if there is none), members."""

Exceptional = tuple[int, str] | dict[str, Any]
"""What AWS answers and moto does not: status and code, or only some of the members."""


class Recorder:
    """Makes calls through the two clients of one server and writes down what came back."""

    def __init__(self, s3: Any, kms: Any) -> None:
        self.s3, self.kms = s3, kms
        self.outcomes: list[Outcome] = []
        self.exceptions: dict[int, Exceptional] = {}
        self._placeholders: dict[str, str] = {}

    def placeholder(self, value: str, name: str) -> str:
        """From now on write `value` down as `name`."""
        self._placeholders[value] = name
        return value

    def __call__(
        self, call: Callable[..., Any], *members: str, aws: Exceptional | None = None, moto: str = "", **given: Any
    ) -> Any:
        """Make a call and record it with these members of its answer (dotted paths; `*` is every entry of a list).

        `aws` is what AWS answers where moto does not, `moto` what moto does instead.
        """
        assert (aws is None) == (moto == "")
        if aws is not None:
            self.exceptions[len(self.outcomes)] = aws
        try:
            answer = call(**given)
            code = ""
        except ClientError as error:
            answer, code = error.response, error.response["Error"]["Code"]
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        shown = {} if code else {member: self._shown(find(answer, member)) for member in members}
        self.outcomes.append((call.__name__, status, code, shown))
        return answer

    def _shown(self, value: Any) -> Any:
        if hasattr(value, "read"):
            return value.read()
        if isinstance(value, list):
            return [self._shown(each) for each in value]
        if isinstance(value, dict):
            return {name: self._shown(each) for name, each in value.items()}
        if isinstance(value, str):
            for name, placeholder in self._placeholders.items():
                value = value.replace(name, placeholder)
        return value


def find(answer: Any, path: str) -> Any:
    """The member at a dotted path; `*` gathers from every entry of a list; None where there is none."""
    first, _, rest = path.partition(".")
    if first == "*":
        return [find(each, rest) for each in answer or []]
    value = answer.get(first) if isinstance(answer, dict) else None
    return find(value, rest) if rest and value is not None else value


Script = Callable[[Recorder, str], None]
SCRIPTS: list[Script] = []


def script(function: Script) -> Script:
    SCRIPTS.append(function)
    return function


# S3


@script
def buckets(do: Recorder, bucket: str) -> None:
    s3 = do.s3
    do(s3.head_bucket, Bucket=f"{bucket}-none")
    do(s3.list_objects_v2, Bucket=f"{bucket}-none")
    do(s3.delete_bucket, Bucket=f"{bucket}-none")
    do(s3.create_bucket, "Location", Bucket=f"{bucket}-more")
    do(s3.head_bucket, Bucket=f"{bucket}-more")
    do(s3.get_bucket_location, "LocationConstraint", Bucket=f"{bucket}-more")
    do(s3.create_bucket, Bucket="UPPER", aws=(400, "InvalidBucketName"), moto="allows the oldest buckets' names")
    do(s3.create_bucket, Bucket="ab")
    do(s3.put_object, Bucket=f"{bucket}-more", Key="k", Body=b"")
    do(s3.delete_bucket, Bucket=f"{bucket}-more")
    do(s3.delete_object, Bucket=f"{bucket}-more", Key="k")
    do(s3.delete_bucket, Bucket=f"{bucket}-more")
    do(s3.head_bucket, Bucket=f"{bucket}-more")


@script
def bucket_configurations(do: Recorder, bucket: str) -> None:
    s3, where = do.s3, {"Bucket": bucket}
    do(s3.get_bucket_cors, **where)
    rules = [
        {
            "ID": "one",
            "AllowedOrigins": ["https://*.example", "*"],
            "AllowedMethods": ["GET", "PUT"],
            "AllowedHeaders": ["x-amz-*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 60,
        },
        {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]},
    ]
    do(s3.put_bucket_cors, **where, CORSConfiguration={"CORSRules": rules})
    members = ("AllowedOrigins", "AllowedMethods", "AllowedHeaders", "ExposeHeaders", "MaxAgeSeconds")
    do(s3.get_bucket_cors, *(f"CORSRules.*.{member}" for member in members), **where)
    wrong = {"CORSRules": [{**rules[0], "AllowedMethods": ["PATCH"]}]}
    do(s3.put_bucket_cors, **where, CORSConfiguration=wrong)
    do(s3.put_bucket_cors, **where, CORSConfiguration={"CORSRules": rules[1:] * 101})
    do(s3.delete_bucket_cors, **where)
    do(s3.get_bucket_cors, **where)
    do(s3.get_bucket_request_payment, "Payer", **where, aws={"Payer": "BucketOwner"}, moto="takes it for a listing")
    do(s3.get_bucket_accelerate_configuration, "Status", **where)
    for status in ("Enabled", "Suspended"):
        do(s3.put_bucket_accelerate_configuration, **where, AccelerateConfiguration={"Status": status})
        do(s3.get_bucket_accelerate_configuration, "Status", **where)
    do(s3.put_bucket_accelerate_configuration, **where, AccelerateConfiguration={"Status": "Off"})
    do(s3.get_bucket_lifecycle_configuration, **where)
    do(s3.delete_bucket_lifecycle, **where)
    do(s3.get_bucket_website, **where)
    do(s3.delete_bucket_website, **where)
    do(s3.get_bucket_replication, **where)
    do(s3.delete_bucket_replication, **where)
    do(s3.get_bucket_logging, "LoggingEnabled", **where)
    do(s3.put_bucket_logging, **where, BucketLoggingStatus={})
    do(s3.get_bucket_notification_configuration, "QueueConfigurations", **where)
    do(s3.put_bucket_notification_configuration, **where, NotificationConfiguration={})
    do(s3.get_object_lock_configuration, **where)
    do(s3.list_bucket_inventory_configurations, "IsTruncated", "InventoryConfigurationList", **where)
    do(
        s3.get_bucket_inventory_configuration, **where, Id="one",
        aws=(404, "NoSuchConfiguration"), moto="has a code of its own",
    )  # fmt: skip
    do(s3.list_bucket_metrics_configurations, "IsTruncated", **where)


@script
def objects(do: Recorder, bucket: str) -> None:
    s3 = do.s3
    head = ("ContentLength", "ContentType", "ETag", "Metadata", "CacheControl", "ContentDisposition", "ContentEncoding")
    do(
        s3.put_object, "ETag", Bucket=bucket, Key="k €/+ %", Body=b"hello", ContentType="text/plain",
        CacheControl="no-store", ContentDisposition="inline", ContentEncoding="x", Metadata={"one": "1", "Two": "2"},
    )  # fmt: skip
    do(s3.head_object, *head, Bucket=bucket, Key="k €/+ %")
    do(s3.get_object, *head, "Body", Bucket=bucket, Key="k €/+ %")
    do(s3.put_object, "ETag", Bucket=bucket, Key="plain", Body=b"")
    do(s3.head_object, *head, Bucket=bucket, Key="plain")
    do(s3.get_object, Bucket=bucket, Key="none")
    do(s3.head_object, Bucket=bucket, Key="none")
    do(s3.put_object, Bucket=f"{bucket}-none", Key="k", Body=b"")
    do(s3.get_object, Bucket=f"{bucket}-none", Key="k")
    do(s3.put_object, "ETag", Bucket=bucket, Key="plain", Body=b"again")
    do(s3.get_object, "Body", Bucket=bucket, Key="plain")
    do(s3.delete_object, Bucket=bucket, Key="plain")
    do(s3.delete_object, Bucket=bucket, Key="plain")
    do(s3.get_object, Bucket=bucket, Key="plain")


@script
def ranges_and_conditions(do: Recorder, bucket: str) -> None:
    s3, etag = do.s3, f'"{md5_hex(b"0123456789")}"'
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    for asked in ("bytes=0-0", "bytes=2-5", "bytes=5-", "bytes=-3", "bytes=5-999"):
        do(s3.get_object, "Body", "ContentRange", "ContentLength", Bucket=bucket, Key="k", Range=asked)
    do(s3.get_object, Bucket=bucket, Key="k", Range="bytes=10-20")
    do(s3.get_object, "Body", Bucket=bucket, Key="k", IfMatch=etag)
    do(s3.get_object, Bucket=bucket, Key="k", IfMatch='"none"')
    do(s3.get_object, Bucket=bucket, Key="k", IfNoneMatch=etag)
    do(s3.get_object, "Body", Bucket=bucket, Key="k", IfNoneMatch='"none"')
    do(s3.head_object, Bucket=bucket, Key="k", IfMatch='"none"')
    do(s3.head_object, Bucket=bucket, Key="k", IfNoneMatch=etag)
    do(s3.put_object, Bucket=bucket, Key="k", Body=b"", IfNoneMatch="*")
    do(s3.put_object, "ETag", Bucket=bucket, Key="new", Body=b"", IfNoneMatch="*")
    do(s3.get_object, "ContentType", Bucket=bucket, Key="k", ResponseContentType="a/b")


@script
def listings(do: Recorder, bucket: str) -> None:
    s3 = do.s3
    for key in ("a", "a/1", "a/2", "b/1/x", "b/2", "c d", "é"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    shown = ("KeyCount", "IsTruncated", "MaxKeys", "Prefix", "Delimiter", "StartAfter", "EncodingType",
             "CommonPrefixes", "Contents.*.Key", "Contents.*.Size", "Contents.*.ETag")  # fmt: skip
    for asked in ({}, {"Prefix": "a"}, {"Delimiter": "/"}, {"Prefix": "a/", "Delimiter": "/"}, {"StartAfter": "a/1"},
                  {"MaxKeys": 3}, {"MaxKeys": 2, "Delimiter": "/"}, {"Prefix": "zzz"},
                  {"Prefix": "b/", "Delimiter": "/"}):  # fmt: skip
        do(s3.list_objects_v2, *shown, Bucket=bucket, **asked)
    first = do(s3.list_objects_v2, "Contents.*.Key", Bucket=bucket, MaxKeys=3)
    token = first["NextContinuationToken"]
    do(s3.list_objects_v2, "Contents.*.Key", "IsTruncated", Bucket=bucket, ContinuationToken=token)
    old = ("IsTruncated", "Marker", "NextMarker", "CommonPrefixes", "Contents.*.Key")
    no_marker = "leaves an empty or given marker out"
    do(s3.list_objects, *old, Bucket=bucket, aws={"Marker": ""}, moto=no_marker)
    do(s3.list_objects, *old, Bucket=bucket, Marker="a/2", aws={"Marker": "a/2"}, moto=no_marker)
    do(
        s3.list_objects, *old, Bucket=bucket, MaxKeys=1, Delimiter="/",
        aws={"Marker": "", "NextMarker": "a", "CommonPrefixes": None}, moto="does not count common prefixes",
    )  # fmt: skip


@script
def deletions(do: Recorder, bucket: str) -> None:
    s3 = do.s3
    for key in ("a", "b", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    some = [{"Key": "a"}, {"Key": "none"}]
    do(s3.delete_objects, "Deleted.*.Key", "Errors", Bucket=bucket, Delete={"Objects": some})
    quiet = {"Objects": [{"Key": "b"}], "Quiet": True}
    do(s3.delete_objects, "Deleted", Bucket=bucket, Delete=quiet, aws={"Deleted": None}, moto="ignores Quiet")
    do(s3.list_objects_v2, "Contents.*.Key", Bucket=bucket)


@script
def copies(do: Recorder, bucket: str) -> None:
    s3 = do.s3
    s3.put_object(Bucket=bucket, Key="source €", Body=b"copied", Metadata={"a": "b"}, ContentType="x/y")
    source = {"Bucket": bucket, "Key": "source €"}
    shown = ("Body", "Metadata", "ContentType", "ETag")
    do(s3.copy_object, "CopyObjectResult.ETag", Bucket=bucket, Key="copy", CopySource=source)
    do(s3.get_object, *shown, Bucket=bucket, Key="copy")
    changed = {"MetadataDirective": "REPLACE", "Metadata": {"c": "d"}, "ContentType": "u/v"}
    do(s3.copy_object, Bucket=bucket, Key="changed", CopySource=source, **changed)
    do(s3.get_object, *shown, Bucket=bucket, Key="changed")
    do(s3.copy_object, Bucket=bucket, Key="source €", CopySource=source)
    do(s3.copy_object, Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "none"})
    do(s3.copy_object, Bucket=bucket, Key="copy", CopySource={"Bucket": f"{bucket}-none", "Key": "k"})


@script
def multipart_uploads(do: Recorder, bucket: str) -> None:
    s3, key = do.s3, {"Bucket": bucket, "Key": "k"}
    upload = do(s3.create_multipart_upload, "Bucket", "Key", **key, ContentType="x/y", Metadata={"a": "b"})
    upload_id = {"UploadId": do.placeholder(upload["UploadId"], "<upload>")}
    parts = []
    for number, data in ((1, random_bytes(5 << 20)), (2, b"end")):
        part = do(s3.upload_part, "ETag", **key, **upload_id, PartNumber=number, Body=data)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    do(
        s3.list_parts,
        "UploadId",
        "IsTruncated",
        "Parts.*.PartNumber",
        "Parts.*.Size",
        "Parts.*.ETag",
        **key,
        **upload_id,
    )
    do(s3.list_multipart_uploads, "Uploads.*.Key", "Uploads.*.UploadId", "IsTruncated", Bucket=bucket)
    wrong = [{**parts[0], "ETag": '"' + "0" * 32 + '"'}]
    do(s3.complete_multipart_upload, **key, **upload_id, MultipartUpload={"Parts": wrong})
    do(
        s3.complete_multipart_upload, **key, **upload_id, MultipartUpload={"Parts": parts[::-1]},
        aws=(400, "InvalidPartOrder"), moto="looks at sizes before the order",
    )  # fmt: skip
    do(s3.complete_multipart_upload, "Bucket", "Key", "ETag", **key, **upload_id, MultipartUpload={"Parts": parts})
    do(s3.head_object, "ContentLength", "ETag", "ContentType", "Metadata", **key)
    do(s3.get_object, "Body", "ContentRange", **key, Range=f"bytes={(5 << 20) - 2}-")
    do(s3.abort_multipart_upload, **key, UploadId="none")
    other = s3.create_multipart_upload(**key)["UploadId"]
    do(s3.abort_multipart_upload, **key, UploadId=other)
    do(s3.list_parts, **key, UploadId=other)
    small = s3.create_multipart_upload(**key)["UploadId"]
    parts = [
        {"PartNumber": n, "ETag": s3.upload_part(**key, UploadId=small, PartNumber=n, Body=b"small")["ETag"]}
        for n in (1, 2)
    ]
    do(s3.complete_multipart_upload, **key, UploadId=small, MultipartUpload={"Parts": parts})


# KMS


def made_key(do: Recorder, name: str = "<key>") -> str:
    key = do.kms.create_key()["KeyMetadata"]["KeyId"]
    return do.placeholder(str(key), name)


METADATA = ("Description", "Enabled", "KeyManager", "KeySpec", "CustomerMasterKeySpec", "KeyState", "KeyUsage",
            "Origin", "MultiRegion", "EncryptionAlgorithms", "KeyId")  # fmt: skip


@script
def keys(do: Recorder, bucket: str) -> None:
    kms, key = do.kms, made_key(do)
    metadata = [f"KeyMetadata.{member}" for member in METADATA]
    told = {"KeyMetadata.KeyUsage": "ENCRYPT_DECRYPT", "KeyMetadata.MultiRegion": False}
    untold = "writes down what was not asked for as null"
    do(kms.create_key, *metadata[:-1], Description="described", aws=told, moto=untold)
    do(kms.describe_key, *metadata, KeyId=key, aws=told, moto=untold)
    do(kms.describe_key, KeyId=ABSENT)
    do(kms.describe_key, KeyId="alias/none")
    do(kms.disable_key, KeyId=key)
    do(kms.describe_key, "KeyMetadata.KeyState", "KeyMetadata.Enabled", KeyId=key)
    do(kms.encrypt, KeyId=key, Plaintext=b"p", aws=(400, "DisabledException"), moto="encrypts under disabled keys")
    do(kms.enable_key, KeyId=key)
    do(
        kms.schedule_key_deletion, "KeyState", "PendingWindowInDays", KeyId=key, PendingWindowInDays=7,
        aws={"KeyState": "PendingDeletion", "PendingWindowInDays": 7}, moto="tells id and date alone",
    )  # fmt: skip
    do(kms.describe_key, "KeyMetadata.KeyState", "KeyMetadata.Enabled", KeyId=key)
    do(kms.cancel_key_deletion, KeyId=key)
    do(kms.describe_key, "KeyMetadata.KeyState", "KeyMetadata.Enabled", KeyId=key)
    do(kms.enable_key, KeyId=ABSENT)
    do(kms.disable_key, KeyId=ABSENT)
    do(kms.create_key, KeySpec="NONSENSE")


@script
def aliases(do: Recorder, bucket: str) -> None:
    kms, key, other = do.kms, made_key(do), made_key(do, "<other>")
    name = f"alias/{bucket}"
    listed = ("Aliases.*.AliasName", "Aliases.*.TargetKeyId", "Truncated")
    do(kms.create_alias, AliasName=name, TargetKeyId=key)
    do(kms.create_alias, AliasName=name, TargetKeyId=other)
    do(kms.list_aliases, *listed, KeyId=key)
    do(kms.describe_key, "KeyMetadata.KeyId", KeyId=name)
    do(kms.update_alias, AliasName=name, TargetKeyId=other)
    do(kms.describe_key, "KeyMetadata.KeyId", KeyId=name)
    do(kms.list_aliases, *listed, KeyId=key)
    do(kms.create_alias, AliasName=f"{name}-2", TargetKeyId=ABSENT)
    do(kms.create_alias, AliasName="noprefix", TargetKeyId=key)
    do(
        kms.create_alias, AliasName="alias/aws/mine", TargetKeyId=key,
        aws=(400, "NotAuthorizedException"), moto="reserves no prefix",
    )  # fmt: skip
    do(kms.create_alias, AliasName="alias/with space", TargetKeyId=key)
    do(kms.delete_alias, AliasName=name)
    do(kms.delete_alias, AliasName=name)
    do(kms.describe_key, KeyId=name)


@script
def cryptography(do: Recorder, bucket: str) -> None:
    kms, key, other = do.kms, made_key(do), made_key(do, "<other>")
    context = {"a": "b"}
    sealed = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=context)["CiphertextBlob"]
    algorithm, untold = {"EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, "leaves the algorithm out"
    do(kms.encrypt, "EncryptionAlgorithm", KeyId=key, Plaintext=b"secret", aws=algorithm, moto=untold)
    do(
        kms.decrypt, "Plaintext", "EncryptionAlgorithm", CiphertextBlob=sealed, EncryptionContext=context,
        aws=algorithm, moto=untold,
    )  # fmt: skip
    do(kms.decrypt, "Plaintext", CiphertextBlob=sealed, EncryptionContext=context, KeyId=key)
    do(kms.decrypt, CiphertextBlob=sealed)
    do(kms.decrypt, CiphertextBlob=sealed, EncryptionContext={"a": "c"})
    do(
        kms.decrypt, CiphertextBlob=sealed, EncryptionContext=context, KeyId=other,
        aws=(400, "IncorrectKeyException"), moto="has no such refusal",
    )  # fmt: skip
    do(kms.decrypt, CiphertextBlob=b"none")
    do(kms.encrypt, KeyId=ABSENT, Plaintext=b"p")
    do(kms.encrypt, KeyId=key, Plaintext=b"p" * 4097)
    algorithms = dict.fromkeys(("SourceEncryptionAlgorithm", "DestinationEncryptionAlgorithm"), "SYMMETRIC_DEFAULT")
    moved = do(
        kms.re_encrypt, *algorithms, CiphertextBlob=sealed, SourceEncryptionContext=context, DestinationKeyId=other,
        aws=algorithms, moto=untold,
    )  # fmt: skip
    do(kms.decrypt, "Plaintext", CiphertextBlob=moved["CiphertextBlob"])
    do(kms.re_encrypt, CiphertextBlob=sealed, DestinationKeyId=other)
    for length in ({"KeySpec": "AES_256"}, {"KeySpec": "AES_128"}, {"NumberOfBytes": 64}):
        made = do(kms.generate_data_key, KeyId=key, **length)
        do(kms.generate_data_key_without_plaintext, KeyId=key, **length)
        assert kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    do(kms.generate_data_key, KeyId=key)
    do(kms.generate_data_key, KeyId=key, KeySpec="AES_256", NumberOfBytes=32)
    do(kms.generate_data_key, KeyId=key, NumberOfBytes=1025)
    do(kms.generate_random, NumberOfBytes=12)
    do(kms.generate_random, NumberOfBytes=1025)
    do(
        kms.encrypt,
        KeyId=key,
        Plaintext=b"p",
        DryRun=True,
        aws=(400, "DryRunOperationException"),
        moto="ignores DryRun",
    )


# The two servers


def client(service: str, endpoint_url: str, key_id: str, secret: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, parameter_validation=False),
    )


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


def recorded(run: Script, endpoint_url: str, key_id: str, secret: str) -> Recorder:
    do = Recorder(client("s3", endpoint_url, key_id, secret), client("kms", endpoint_url, key_id, secret))
    bucket = f"parity-{run.__name__.replace('_', '-')}"
    do.s3.create_bucket(Bucket=bucket)
    run(do, bucket)
    return do


@pytest.mark.parametrize("run", SCRIPTS, ids=lambda run: run.__name__)
def test_the_gateway_answers_as_moto_does(gateway: Gateway, moto: str, run: Script) -> None:
    own = gateway.credentials
    ours = recorded(run, gateway.endpoint_url, own["AWS_ACCESS_KEY_ID"], own["AWS_SECRET_ACCESS_KEY"])
    theirs = recorded(run, moto, "testing", "testing")
    assert len(ours.outcomes) == len(theirs.outcomes)
    for at, (our, their) in enumerate(zip(ours.outcomes, theirs.outcomes, strict=True)):
        check_alike(f"call {at}, {our[0]}", our, their, ours.exceptions.get(at))


def check_alike(where: str, our: Outcome, their: Outcome, aws: Exceptional | None) -> None:
    """Ours is AWS's where that is given, and theirs is another there; all the rest is equal."""
    if isinstance(aws, tuple):
        assert our[1:3] == aws, where
        assert their[1:3] != aws, f"{where} needs no exception any more"
        return
    for member, value in (aws or {}).items():
        assert our[3][member] == value, where
        assert their[3][member] != value, f"{where} needs no exception for {member} any more"
    differing = set(aws or {})
    shown = [{name: value for name, value in each[3].items() if name not in differing} for each in (our, their)]
    assert (*our[:3], shown[0]) == (*their[:3], shown[1]), where
