"""S3: operations on objects and uploads, each in every way that needs other rights than the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.clients.raw import Answer, RawClient
from tests.clients.rights.case import Case, Clients, Need, Prepared
from tests.clients.rights.s3 import LOG_DELIVERY, TAGGING, ask, bucket_arn
from tests.clients.rights.world import World
from tests.clients.test_post_object import post

TAGGING_DOCUMENT = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
PART = b"x" * 10
GRANT: dict[str, Any] = {"x-amz-grant-read": LOG_DELIVERY}
RESTORE = {"Days": 1}
SQL: dict[str, Any] = {
    "Expression": "SELECT * FROM s3object",
    "ExpressionType": "SQL",
    "InputSerialization": {"CSV": {}},
    "OutputSerialization": {"CSV": {}},
}

UNDER_KMS = {"under a KMS key": "aws:kms", "in two layers": "aws:kms:dsse"}
"""Variants that the KMS is asked for: what each is called, and the mode as S3 calls it."""

CASES: list[Case] = []


def case(operation: str, variant: str = "") -> Callable[[Callable[[World], Prepared]], Callable[[World], Prepared]]:
    """Adds what the function prepares to the cases."""

    def add(prepare: Callable[[World], Prepared]) -> Callable[[World], Prepared]:
        CASES.append(Case(service="s3", operation=operation, variant=variant, prepare=prepare))
        return prepare

    return add


def on(bucket: str, *actions: str, key: str = "key") -> list[Need]:
    return [(f"s3:{action}", f"{bucket_arn(bucket)}/{key}") for action in actions]


# Reading


def _reading(operation: str, *actions: str, otherwise: str = "", **parameters: Any) -> None:
    """With the rights for an object, and with those for a version of it, which are others for some actions."""

    @case(operation)
    def plain(world: World) -> Prepared:
        bucket = world.bucket()
        world.put(bucket)
        return Prepared(
            ask=ask(operation, Bucket=bucket, Key="key", **parameters),
            needs=on(bucket, *actions),
            otherwise=otherwise,
        )


def _reading_version(operation: str, *actions: str, **parameters: Any) -> None:
    @case(operation, "a version")
    def version(world: World) -> Prepared:
        bucket = world.bucket(versions=True)
        named = world.put(bucket)
        return Prepared(
            ask=ask(operation, Bucket=bucket, Key="key", VersionId=named, **parameters),
            needs=on(bucket, *actions),
        )


ATTRIBUTES: dict[str, Any] = {"ObjectAttributes": ["ETag"]}
_reading("GetObject", "GetObject")
_reading_version("GetObject", "GetObjectVersion")
_reading("HeadObject", "GetObject")
_reading_version("HeadObject", "GetObjectVersion")
_reading("GetObjectAttributes", "GetObjectAttributes", "GetObject", **ATTRIBUTES)
_reading_version("GetObjectAttributes", "GetObjectVersionAttributes", "GetObjectVersion", **ATTRIBUTES)
_reading("GetObjectAcl", "GetObjectAcl")
_reading_version("GetObjectAcl", "GetObjectVersionAcl")
_reading("GetObjectTagging", "GetObjectTagging")
_reading_version("GetObjectTagging", "GetObjectVersionTagging")
_reading("GetObjectRetention", "GetObjectRetention", otherwise="InvalidRequest")
_reading("GetObjectLegalHold", "GetObjectLegalHold", otherwise="InvalidRequest")
_reading("SelectObjectContent", "GetObject", otherwise="MethodNotAllowed", **SQL)
_reading("RestoreObject", "RestoreObject", otherwise="InvalidObjectState", RestoreRequest=RESTORE)


def _reading_under_kms(variant: str, sse: str) -> None:
    @case("GetObject", variant)
    def get(world: World) -> Prepared:
        bucket = world.bucket()
        world.put(bucket, **world.by_kms(sse))
        return Prepared(
            ask=ask("GetObject", Bucket=bucket, Key="key"),
            needs=[*on(bucket, "GetObject"), ("kms:Decrypt", world.kms_key)],
        )


for _variant, _sse in UNDER_KMS.items():
    _reading_under_kms(_variant, _sse)


def _with_tags(operation: str) -> None:
    @case(operation, "tags that are counted")
    def plain(world: World) -> Prepared:
        bucket = world.bucket()
        world.put(bucket, Tagging="a=b")
        return Prepared(
            ask=ask(operation, Bucket=bucket, Key="key"),
            needs=on(bucket, "GetObject"),
            asks_too=["s3:GetObjectTagging"],
        )

    @case(operation, "tags of a version that are counted")
    def of_version(world: World) -> Prepared:
        bucket = world.bucket(versions=True)
        version = world.put(bucket, Tagging="a=b")
        return Prepared(
            ask=ask(operation, Bucket=bucket, Key="key", VersionId=version),
            needs=on(bucket, "GetObjectVersion"),
            asks_too=["s3:GetObjectVersionTagging"],
        )


_with_tags("GetObject")
_with_tags("HeadObject")


def _missing(operation: str, *actions: str, **parameters: Any) -> None:
    """Told to those alone who may list the bucket; here they may."""

    @case(operation, "no such object")
    def missing(world: World) -> Prepared:
        bucket = world.bucket()
        return Prepared(
            ask=ask(operation, Bucket=bucket, Key="key", **parameters),
            needs=[*on(bucket, *actions), ("s3:ListBucket", bucket_arn(bucket))],
            otherwise="404" if operation == "HeadObject" else "NoSuchKey",
        )


def _ownerless(operation: str, *actions: str, **parameters: Any) -> None:
    """Where ACLs are enabled the object's owner decides; of one that is not there only whether it may be told."""

    @case(operation, "no object that has an owner")
    def missing(world: World) -> Prepared:
        bucket = world.bucket(acls=True)
        return Prepared(
            ask=ask(operation, Bucket=bucket, Key="key", **parameters),
            needs=[("s3:ListBucket", bucket_arn(bucket))],
            asks_too=[f"s3:{action}" for action in actions],
            otherwise="NoSuchKey",
        )


_missing("GetObject", "GetObject")
_missing("HeadObject", "GetObject")
_missing("GetObjectAttributes", "GetObjectAttributes", "GetObject", **ATTRIBUTES)
_missing("GetObjectAcl", "GetObjectAcl")
_missing("GetObjectTagging", "GetObjectTagging")
_missing("RestoreObject", "RestoreObject", RestoreRequest=RESTORE)
_ownerless("PutObjectTagging", "PutObjectTagging", Tagging=TAGGING)
_ownerless("DeleteObjectTagging", "DeleteObjectTagging")
_ownerless("PutObjectAcl", "PutObjectAcl", ACL="private")
_ownerless("SelectObjectContent", "GetObject", **SQL)
_ownerless("GetObjectRetention", "GetObjectRetention")
_ownerless("GetObjectLegalHold", "GetObjectLegalHold")


# Tags and ACLs


def _changing(operation: str, action: str, of_version: str, *, acls: bool = False, **parameters: Any) -> None:
    def prepare(world: World, bucket: str, action: str, **named: str) -> Prepared:
        return Prepared(
            ask=ask(operation, Bucket=bucket, Key="key", **named, **parameters),
            needs=on(bucket, action),
            observe=world.contents_of(bucket),
        )

    @case(operation)
    def plain(world: World) -> Prepared:
        bucket = world.bucket(acls=acls)
        world.put(bucket, Tagging="old=tag")
        return prepare(world, bucket, action)

    @case(operation, "a version")
    def version(world: World) -> Prepared:
        bucket = world.bucket(acls=acls, versions=True)
        return prepare(world, bucket, of_version, VersionId=world.put(bucket, Tagging="old=tag"))


_changing("PutObjectTagging", "PutObjectTagging", "PutObjectVersionTagging", Tagging=TAGGING)
_changing("DeleteObjectTagging", "DeleteObjectTagging", "DeleteObjectVersionTagging")
_changing("PutObjectAcl", "PutObjectAcl", "PutObjectVersionAcl", acls=True, GrantRead=LOG_DELIVERY)


# Writing


def _written(
    world: World, operation: str, bucket: str, needs: Sequence[Need] = (), *actions: str, **parameters: Any
) -> Prepared:
    """Needs s3:PutObject and `actions` on the object, and `needs` besides."""
    return Prepared(
        ask=ask(operation, Bucket=bucket, Key="key", **parameters),
        needs=[*on(bucket, "PutObject", *actions), *needs],
        observe=world.contents_of(bucket),
    )


def _source(world: World, bucket: str, *actions: str, **parameters: Any) -> tuple[list[Need], dict[str, Any]]:
    """An object to copy: what reading it needs, and the parameters that name it."""
    world.put(bucket, "source", **parameters)
    return on(bucket, "GetObject", *actions, key="source"), {"CopySource": f"{bucket}/source"}


def _source_version(world: World, bucket: str, *actions: str, **parameters: Any) -> tuple[list[Need], dict[str, Any]]:
    version = world.put(bucket, "source", **parameters)
    source = {"Bucket": bucket, "Key": "source", "VersionId": version}
    return on(bucket, "GetObjectVersion", *actions, key="source"), {"CopySource": source}


def _body(world: World, bucket: str) -> tuple[list[Need], dict[str, Any]]:
    return [], {"Body": b"new"}


def _no_body(world: World, bucket: str) -> tuple[list[Need], dict[str, Any]]:
    return [], {}


def _writing(operation: str, given: Callable[[World, str], tuple[list[Need], dict[str, Any]]]) -> None:
    """`given` makes what is written, and says what that needs."""

    @case(operation)
    def plain(world: World) -> Prepared:
        bucket = world.bucket()
        needs, data = given(world, bucket)
        return _written(world, operation, bucket, needs, **data)

    @case(operation, "tags")
    def tags(world: World) -> Prepared:
        bucket = world.bucket()
        needs, data = given(world, bucket)
        directive = {"TaggingDirective": "REPLACE"} if "CopySource" in data else {}
        return _written(world, operation, bucket, needs, "PutObjectTagging", Tagging="a=b", **data, **directive)

    @case(operation, "an ACL")
    def acl(world: World) -> Prepared:
        bucket = world.bucket(acls=True)
        needs, data = given(world, bucket)
        return _written(world, operation, bucket, needs, "PutObjectAcl", GrantRead=LOG_DELIVERY, **data)

    for variant, sse in UNDER_KMS.items():
        _writing_under_kms(operation, given, variant, sse)


def _writing_under_kms(
    operation: str, given: Callable[[World, str], tuple[list[Need], dict[str, Any]]], variant: str, sse: str
) -> None:
    @case(operation, variant)
    def under_kms(world: World) -> Prepared:
        bucket = world.bucket()
        needs, data = given(world, bucket)
        uses = ("kms:GenerateDataKey", world.kms_key)
        return _written(world, operation, bucket, [*needs, uses], **data, **world.by_kms(sse))


_writing("PutObject", _body)
_writing("CopyObject", _source)
_writing("CreateMultipartUpload", _no_body)


def _replacing(operation: str, given: Callable[[World, str], tuple[list[Need], dict[str, Any]]]) -> None:
    @case(operation, "If-Match")
    def if_match(world: World) -> Prepared:
        bucket = world.bucket()
        needs, data = given(world, bucket)
        etag = world.s3.put_object(Bucket=bucket, Key="key", Body=b"old")["ETag"]
        return _written(world, operation, bucket, needs, "GetObject", IfMatch=etag, **data)


_replacing("PutObject", _body)
_replacing("CopyObject", _source)


@case("CopyObject", "a version")
def copy_version(world: World) -> Prepared:
    bucket = world.bucket(versions=True)
    needs, data = _source_version(world, bucket)
    return _written(world, "CopyObject", bucket, needs, **data)


@case("CopyObject", "tags of the source")
def copy_with_tags(world: World) -> Prepared:
    bucket = world.bucket()
    needs, data = _source(world, bucket, "GetObjectTagging", Tagging="a=b")
    return _written(world, "CopyObject", bucket, needs, "PutObjectTagging", **data)


@case("CopyObject", "tags of a version")
def copy_version_with_tags(world: World) -> Prepared:
    bucket = world.bucket(versions=True)
    needs, data = _source_version(world, bucket, "GetObjectVersionTagging", Tagging="a=b")
    return _written(world, "CopyObject", bucket, needs, "PutObjectTagging", **data)


def _copying_between_keys(variant: str, sse: str) -> None:
    @case("CopyObject", f"from one KMS key to another{variant}")
    def copy(world: World) -> Prepared:
        bucket = world.bucket()
        needs, data = _source(world, bucket, ServerSideEncryption=sse, SSEKMSKeyId=world.other_kms_key)
        uses = [("kms:Decrypt", world.other_kms_key), ("kms:GenerateDataKey", world.kms_key)]
        return _written(world, "CopyObject", bucket, [*needs, *uses], **data, **world.by_kms(sse))


_copying_between_keys("", "aws:kms")
_copying_between_keys(", in two layers", "aws:kms:dsse")


def _no_source(operation: str) -> None:
    @case(operation, "no such source")
    def no_source(world: World) -> Prepared:
        bucket, other = world.bucket(), world.bucket()
        named = {"UploadId": world.upload(bucket), "PartNumber": 1} if operation == "UploadPartCopy" else {}
        listing = ("s3:ListBucket", bucket_arn(other))
        return Prepared(
            ask=ask(operation, Bucket=bucket, Key="key", CopySource=f"{other}/source", **named),
            needs=[*on(bucket, "PutObject"), *on(other, "GetObject", key="source"), listing],
            otherwise="NoSuchKey",
        )


_no_source("CopyObject")
_no_source("UploadPartCopy")


# Forms


def _posting(variant: str, *actions: str, acls: bool = False, under_kms: bool = False, **fields: Any) -> None:
    @case("PostObject", variant)
    def form(world: World) -> Prepared:
        bucket = world.bucket(acls=acls)
        raw = RawClient(world.gateway)
        uses = [("kms:GenerateDataKey", world.kms_key)] if under_kms else []
        encryption = {
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": world.kms_key,
        }
        filled = {**fields, **(encryption if under_kms else {})}

        def send(clients: Clients) -> Answer:
            conditions = [{name: value} for name, value in filled.items()]
            signed = clients("s3").generate_presigned_post(bucket, "key", Fields=dict(filled), Conditions=conditions)
            return post(raw, bucket, signed["fields"])

        return Prepared(ask=send, needs=[*on(bucket, "PutObject", *actions), *uses], observe=world.contents_of(bucket))


_posting("")
_posting("tags", "PutObjectTagging", tagging=TAGGING_DOCUMENT)
_posting("an ACL", "PutObjectAcl", acls=True, **GRANT)
_posting("under a KMS key", under_kms=True)


# Uploads in parts


def _begun(world: World, bucket: str, *, parts: int = 0, **parameters: Any) -> dict[str, Any]:
    """The parameters that name a new upload, which has so many parts."""
    named = {"Bucket": bucket, "Key": "key", "UploadId": world.upload(bucket, **parameters)}
    for number in range(1, parts + 1):
        world.s3.upload_part(**named, PartNumber=number, Body=PART)
    return named


def _completed(world: World, named: dict[str, Any]) -> dict[str, Any]:
    listed = world.s3.list_parts(**named)["Parts"]
    return {"Parts": [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in listed]}


def _of_upload(operation: str, action: str, *, changes: bool = True, parts: int = 1, **parameters: Any) -> None:
    @case(operation)
    def plain(world: World) -> Prepared:
        bucket = world.bucket()
        return Prepared(
            ask=ask(operation, **_begun(world, bucket, parts=parts), **parameters),
            needs=on(bucket, action),
            observe=world.contents_of(bucket) if changes else None,
        )


_of_upload("UploadPart", "PutObject", parts=0, PartNumber=1, Body=PART)
_of_upload("AbortMultipartUpload", "AbortMultipartUpload")
_of_upload("ListParts", "ListMultipartUploadParts", changes=False)


def _uploading_under_kms(variant: str, sse: str) -> None:
    @case("UploadPart", variant)
    def upload_part(world: World) -> Prepared:
        bucket = world.bucket()
        return Prepared(
            ask=ask("UploadPart", **_begun(world, bucket, **world.by_kms(sse)), PartNumber=1, Body=PART),
            needs=[*on(bucket, "PutObject"), ("kms:Decrypt", world.kms_key)],
            observe=world.contents_of(bucket),
        )


for _variant, _sse in UNDER_KMS.items():
    _uploading_under_kms(_variant, _sse)


def _copying_part(variant: str, *, versions: bool = False, of_upload: bool = False, of_source: bool = False) -> None:
    @case("UploadPartCopy", variant)
    def copy(world: World) -> Prepared:
        bucket = world.bucket(versions=versions)
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": world.other_kms_key} if of_source else {}
        needs, data = (_source_version if versions else _source)(world, bucket, **encryption)
        uses = [("kms:Decrypt", world.other_kms_key)] if of_source else []
        uses += [("kms:Decrypt", world.kms_key)] if of_upload else []
        named = _begun(world, bucket, **(world.under_kms if of_upload else {}))
        return Prepared(
            ask=ask("UploadPartCopy", **named, **data, PartNumber=1),
            needs=[*on(bucket, "PutObject"), *needs, *uses],
            observe=world.contents_of(bucket),
        )


_copying_part("")
_copying_part("a version", versions=True)
_copying_part("from one KMS key to another", of_upload=True, of_source=True)


def _completing(variant: str, *actions: str, sse: str = "") -> None:
    @case("CompleteMultipartUpload", variant)
    def complete(world: World) -> Prepared:
        bucket = world.bucket()
        condition: dict[str, Any] = {}
        if "GetObject" in actions:  # before the upload begins: what changes meanwhile is a conflict
            condition["IfMatch"] = world.s3.put_object(Bucket=bucket, Key="key", Body=b"old")["ETag"]
        named = _begun(world, bucket, parts=1, **(world.by_kms(sse) if sse else {}))
        parameters = {**named, **condition, "MultipartUpload": _completed(world, named)}
        return Prepared(
            ask=ask("CompleteMultipartUpload", **parameters),
            needs=[*on(bucket, "PutObject", *actions), *([("kms:Decrypt", world.kms_key)] if sse else [])],
            observe=world.contents_of(bucket),
        )


_completing("")
_completing("If-Match", "GetObject")
for _variant, _sse in UNDER_KMS.items():
    _completing(_variant, sse=_sse)


# Deleting and renaming


def _deleting(variant: str, *actions: str, versions: bool = False, compares: bool = False) -> None:
    """By DeleteObject, and as the one entry of DeleteObjects."""

    def prepared(world: World) -> tuple[str, dict[str, str], str]:
        bucket = world.bucket(versions=versions)
        made = world.s3.put_object(Bucket=bucket, Key="key", Body=b"body")
        return bucket, {"VersionId": made["VersionId"]} if versions else {}, made["ETag"] if compares else ""

    @case("DeleteObject", variant)
    def one(world: World) -> Prepared:
        bucket, named, etag = prepared(world)
        condition = {"IfMatch": etag} if etag else {}
        return Prepared(
            ask=ask("DeleteObject", Bucket=bucket, Key="key", **named, **condition),
            needs=on(bucket, *actions),
            observe=world.contents_of(bucket),
        )

    @case("DeleteObjects", variant)
    def several(world: World) -> Prepared:
        bucket, named, etag = prepared(world)
        condition = {"ETag": etag} if etag else {}
        return Prepared(
            ask=ask("DeleteObjects", Bucket=bucket, Delete={"Objects": [{"Key": "key", **named, **condition}]}),
            needs=on(bucket, *actions),
            observe=world.contents_of(bucket),
        )


_deleting("", "DeleteObject")
_deleting("a version", "DeleteObjectVersion", versions=True)
_deleting("If-Match", "DeleteObject", "GetObject", compares=True)


def _renaming(variant: str, *, tags: bool = False, compares: bool = False, sse: str = "") -> None:
    @case("RenameObject", variant)
    def rename(world: World) -> Prepared:
        bucket = world.bucket()
        encryption = world.by_kms(sse) if sse else {}
        world.put(bucket, "source", **encryption, **({"Tagging": "a=b"} if tags else {}))
        needs = on(bucket, "GetObject", "DeleteObject", key="source")
        needs += on(bucket, "GetObjectTagging", key="source") + on(bucket, "PutObjectTagging") if tags else []
        needs += [(action, world.kms_key) for action in ("kms:Decrypt", "kms:GenerateDataKey")] if sse else []
        condition: dict[str, Any] = {}
        if compares:
            needs += on(bucket, "GetObject")
            condition["DestinationIfMatch"] = world.s3.put_object(Bucket=bucket, Key="key", Body=b"old")["ETag"]
        return _written(world, "RenameObject", bucket, needs, RenameSource="source", **condition)


_renaming("")
_renaming("tags", tags=True)
_renaming("a condition", compares=True)
for _variant, _sse in UNDER_KMS.items():
    _renaming(_variant, sse=_sse)


@case("RenameObject", "no such object")
def rename_missing(world: World) -> Prepared:
    bucket = world.bucket()
    return Prepared(
        ask=ask("RenameObject", Bucket=bucket, Key="key", RenameSource="source"),
        needs=[*on(bucket, "PutObject"), ("s3:ListBucket", bucket_arn(bucket))],
        otherwise="NoSuchKey",
    )


def _updating_encryption(variant: str, *, versions: bool = False, under_kms: bool = False) -> None:
    @case("UpdateObjectEncryption", variant)
    def update(world: World) -> Prepared:
        bucket = world.bucket(versions=versions)
        version = world.put(bucket, **(world.under_kms if under_kms else {}))
        named = {"VersionId": version} if versions else {}
        needs = on(bucket, "UpdateObjectEncryption")
        needs += [("kms:GenerateDataKey", world.kms_key)]
        needs += [("kms:Decrypt", world.kms_key)] if under_kms else []
        encryption = {"SSEKMS": {"KMSKeyArn": world.kms_key}}
        return Prepared(
            ask=ask("UpdateObjectEncryption", Bucket=bucket, Key="key", ObjectEncryption=encryption, **named),
            needs=needs,
        )


_updating_encryption("")
_updating_encryption("a version", versions=True)
_updating_encryption("under a KMS key", under_kms=True)


@case("UpdateObjectEncryption", "no such object")
def update_missing(world: World) -> Prepared:
    bucket = world.bucket()
    encryption = {"SSEKMS": {"KMSKeyArn": world.kms_key}}
    return Prepared(
        ask=ask("UpdateObjectEncryption", Bucket=bucket, Key="key", ObjectEncryption=encryption),
        needs=[*on(bucket, "UpdateObjectEncryption"), ("s3:ListBucket", bucket_arn(bucket))],
        otherwise="NoSuchKey",
    )
