"""Every document: read back by botocore's own parsers where we write it, by ourselves where we read and write it."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import botocore.parsers
import botocore.session
import pytest
from botocore.handlers import decode_list_object, decode_list_object_v2
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.errors import S3Error
from gateway.protocol.modes import Mode
from gateway.protocol.names import BucketName
from gateway.protocol.tags import OBJECT_TAGS
from gateway.protocol.xml.documents.buckets import (
    BucketEntry,
    CreateBucketConfiguration,
    ListAllMyBucketsResult,
    LocationConstraint,
)
from gateway.protocol.xml.documents.delete import Delete, DeletedObject, DeleteError, DeleteResult, ObjectIdentifier
from gateway.protocol.xml.documents.encryption import ServerSideEncryptionConfiguration
from gateway.protocol.xml.documents.error import ErrorDocument
from gateway.protocol.xml.documents.listing import ListBucketResultV1, ListBucketResultV2, ListedObject
from gateway.protocol.xml.documents.multipart import (
    CompletedPart,
    CompleteMultipartUpload,
    CompleteMultipartUploadResult,
    InitiateMultipartUploadResult,
    ListedPart,
    ListedUpload,
    ListMultipartUploadsResult,
    ListPartsResult,
)
from gateway.protocol.xml.documents.objects import CopyObjectResult, CopyPartResult
from gateway.protocol.xml.documents.tagging import Tagging

SERVICE: Any = botocore.session.get_session().get_service_model("s3")
MOMENT_US = 1_700_000_000_123_456
MOMENT = datetime.fromtimestamp(1_700_000_000, UTC)
ETAG = "d41d8cd98f00b204e9800998ecf8427e"
OWNER_ID = "a" * 64
KEY = 'a b/<&"ü>\r+%'
# Characters that XML can carry: keys with others need encoding-type=url.
XML_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1)
ANY_KEY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


class Document(Protocol):
    def format(self) -> bytes: ...


def as_botocore_reads(operation: str, document: Document, status: int = 200) -> dict[str, Any]:
    parser = botocore.parsers.create_parser("rest-xml")
    shape = SERVICE.operation_model(operation).output_shape
    parsed: dict[str, Any] = parser.parse({"status_code": status, "headers": {}, "body": document.format()}, shape)
    del parsed["ResponseMetadata"]
    return parsed


def check_refused(parse: Callable[[bytes], object], body: bytes, code: str = "MalformedXML") -> None:
    with pytest.raises(S3Error) as caught:
        parse(body)
    assert caught.value.code == code


def test_error() -> None:
    error = ErrorDocument("NoSuchKey", "It is <not> there", {"Key": KEY, "Content-MD5": "x"}, "/b/k", "ID", "HOST")
    parsed = as_botocore_reads("GetObject", error, 404)
    assert parsed["Error"]["Code"] == "NoSuchKey" and parsed["Error"]["Key"] == KEY
    assert ErrorDocument.parse(error.format()) == error
    assert b"xmlns" not in error.format()
    assert ErrorDocument.parse(b"<Error><Code>X</Code></Error>") == ErrorDocument("X", "")
    check_refused(ErrorDocument.parse, b"<Error><Message>x</Message></Error>")


def test_list_buckets() -> None:
    result = ListAllMyBucketsResult(
        OWNER_ID, "me & you", (BucketEntry(BucketName("b"), MOMENT_US, "eu-de"),), "p", "token"
    )
    assert as_botocore_reads("ListBuckets", result) == {
        "Owner": {"ID": OWNER_ID, "DisplayName": "me & you"}
        if "DisplayName" in SERVICE.shape_for("Owner").members
        else {"ID": OWNER_ID},
        "Buckets": [
            {"Name": "b", "CreationDate": MOMENT, "BucketRegion": "eu-de", "BucketArn": "arn:aws:s3:::b"},
        ],
        "Prefix": "p",
        "ContinuationToken": "token",
    }
    assert as_botocore_reads("ListBuckets", ListAllMyBucketsResult(OWNER_ID, "me", ()))["Buckets"] == []


def test_create_bucket_configuration() -> None:
    for configuration in (
        CreateBucketConfiguration("eu-de"),
        CreateBucketConfiguration(),
        CreateBucketConfiguration("eu-de", {"b": "1", "a": ""}),
    ):
        assert CreateBucketConfiguration.parse(configuration.format()) == configuration
    parse = CreateBucketConfiguration.parse
    assert parse(b"<CreateBucketConfiguration><Tags/></CreateBucketConfiguration>") == CreateBucketConfiguration()
    for inner in (b"<Location><Name>x</Name></Location>", b"<Bucket/>"):
        body = b"<CreateBucketConfiguration>" + inner + b"</CreateBucketConfiguration>"
        check_refused(parse, body, "NotImplemented")
    for inner in (
        b"<X/>",
        b"<LocationConstraint>a</LocationConstraint><LocationConstraint>b</LocationConstraint>",
        b"<Tags/><Tags/>",
        b"<Tags><Tag/></Tags>",
        b"<Tags><X/></Tags>",
    ):
        check_refused(parse, b"<CreateBucketConfiguration>" + inner + b"</CreateBucketConfiguration>")
    tagged = b"<CreateBucketConfiguration><Tags>%s</Tags></CreateBucketConfiguration>"
    check_refused(parse, tagged % b"<Tag><Key>aws:a</Key><Value/></Tag>", "InvalidTag")
    check_refused(parse, tagged % (b"<Tag><Key>a</Key><Value/></Tag>" * 51), "BadRequest")


TAG_SETS: list[dict[str, str]] = [{}, {"a": "1"}, {"z": "", "a b+c": "x/y=z:@._-"}, {"ü": "日本"}]


@pytest.mark.parametrize("tags", TAG_SETS)
@pytest.mark.parametrize("operation", ["GetObjectTagging", "GetBucketTagging"])
def test_tagging(operation: str, tags: dict[str, str]) -> None:
    tagging = Tagging(tags)
    assert Tagging.parse(tagging.format(), OBJECT_TAGS) == tagging
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    assert as_botocore_reads(operation, tagging) == {"TagSet": listed}


def test_tagging_without_a_tag_set_has_no_tags() -> None:
    assert Tagging.parse(b"<Tagging/>", OBJECT_TAGS) == Tagging({})


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("<TagSet/><TagSet/>", "MalformedXML"),
        ("<Tag><Key>a</Key><Value/></Tag>", "MalformedXML"),
        ("<TagSet><Tag><Key>a</Key></Tag></TagSet>", "MalformedXML"),
        ("<TagSet><Tag><Value>a</Value></Tag></TagSet>", "MalformedXML"),
        ("<TagSet><Tag><Key>a</Key><Key>a</Key><Value/></Tag></TagSet>", "MalformedXML"),
        ("<TagSet><Tag><Key>a</Key><Value/><X/></Tag></TagSet>", "MalformedXML"),
        ("<TagSet><Tag><Key><b/></Key><Value/></Tag></TagSet>", "MalformedXML"),
        ("<TagSet>text</TagSet>", "MalformedXML"),
        ("<TagSet><X/></TagSet>", "MalformedXML"),
        ("<TagSet><Tag><Key/><Value/></Tag></TagSet>", "InvalidTag"),
        ("<TagSet>" + "<Tag><Key>a</Key><Value/></Tag>" * 300 + "</TagSet>", "BadRequest"),
        ("<TagSet>" + "<Tag><Key>a</Key><Value/></Tag>" * 3000 + "</TagSet>", "MalformedXML"),
    ],
)
def test_refused_tagging(inner: str, code: str) -> None:
    body = f"<Tagging>{inner}</Tagging>".encode()
    check_refused(lambda each: Tagging.parse(each, OBJECT_TAGS), body, code)


@pytest.mark.parametrize("region", [None, "eu-de"])
def test_location_constraint(region: str | None) -> None:
    location = LocationConstraint(region)
    assert LocationConstraint.parse(location.format()) == location
    assert b">" + (region or "").encode() + b"</LocationConstraint>" in location.format()


def listing_v2(objects: list[ListedObject], prefixes: tuple[str, ...], *, url_encoded: bool) -> ListBucketResultV2:
    return ListBucketResultV2(
        name="b",
        prefix="p +",
        delimiter="/",
        start_after="s",
        max_keys=5,
        url_encoded=url_encoded,
        continuation_token="t",
        next_continuation_token="n",
        is_truncated=True,
        objects=objects,
        common_prefixes=prefixes,
    )


@pytest.mark.parametrize("url_encoded", [False, True])
def test_list_objects_v2(url_encoded: bool) -> None:
    listed = ListedObject(KEY, MOMENT_US, ETAG, 7, "STANDARD_IA", ("CRC32",), "COMPOSITE", OWNER_ID, "me")
    plain = ListedObject("k", MOMENT_US, ETAG, 0)
    parsed = as_botocore_reads("ListObjectsV2", listing_v2([listed, plain], ("x y/",), url_encoded=url_encoded))
    decode_list_object_v2(parsed, {"encoding_type_auto_set": True} if url_encoded else {})
    assert parsed["Contents"][0].pop("Owner")["ID"] == OWNER_ID
    common = {"LastModified": MOMENT, "ETag": f'"{ETAG}"'}
    assert parsed.pop("Contents") == [
        {
            "Key": KEY,
            "Size": 7,
            "StorageClass": "STANDARD_IA",
            "ChecksumAlgorithm": ["CRC32"],
            "ChecksumType": "COMPOSITE",
            **common,
        },
        {"Key": "k", "Size": 0, "StorageClass": "STANDARD", **common},
    ]
    assert parsed.pop("EncodingType", None) == ("url" if url_encoded else None)
    assert parsed == {
        "Name": "b",
        "Prefix": "p +",
        "Delimiter": "/",
        "StartAfter": "s",
        "MaxKeys": 5,
        "KeyCount": 3,
        "IsTruncated": True,
        "ContinuationToken": "t",
        "NextContinuationToken": "n",
        "CommonPrefixes": [{"Prefix": "x y/"}],
    }


@given(st.lists(ANY_KEY, max_size=4), st.lists(ANY_KEY, max_size=3))
def test_every_key_survives_a_url_encoded_listing(keys: list[str], prefixes: list[str]) -> None:
    objects = [ListedObject(key, MOMENT_US, ETAG, 1) for key in keys]
    parsed = as_botocore_reads("ListObjectsV2", listing_v2(objects, tuple(prefixes), url_encoded=True))
    decode_list_object_v2(parsed, {"encoding_type_auto_set": True})
    assert [entry["Key"] for entry in parsed.get("Contents", [])] == keys
    assert [entry["Prefix"] for entry in parsed.get("CommonPrefixes", [])] == prefixes


@given(st.lists(XML_TEXT, max_size=4))
def test_keys_of_legal_characters_survive_a_plain_listing(keys: list[str]) -> None:
    objects = [ListedObject(key, MOMENT_US, ETAG, 1) for key in keys]
    parsed = as_botocore_reads("ListObjectsV2", listing_v2(objects, (), url_encoded=False))
    assert [entry["Key"] for entry in parsed.get("Contents", [])] == keys


def listing_v1(delimiter: str, next_marker: str | None, *, url_encoded: bool) -> ListBucketResultV1:
    return ListBucketResultV1(
        name="b",
        prefix="",
        delimiter=delimiter,
        marker="m ",
        max_keys=1,
        url_encoded=url_encoded,
        is_truncated=next_marker is not None,
        next_marker=next_marker,
        objects=[ListedObject("k k", MOMENT_US, ETAG, 1)],
        common_prefixes=(),
    )


def test_list_objects_v1() -> None:
    parsed = as_botocore_reads("ListObjects", listing_v1("/", "n +", url_encoded=True))
    decode_list_object(parsed, {"encoding_type_auto_set": True})
    assert (parsed["Marker"], parsed["NextMarker"], parsed["Contents"][0]["Key"]) == ("m ", "n +", "k k")
    assert parsed["IsTruncated"] is True
    assert "NextMarker" not in as_botocore_reads("ListObjects", listing_v1("", "n", url_encoded=False))
    assert "NextMarker" not in as_botocore_reads("ListObjects", listing_v1("/", None, url_encoded=False))


def test_delete() -> None:
    request = Delete((ObjectIdentifier(KEY), ObjectIdentifier("k", "null", ETAG)), quiet=True)
    assert Delete.parse(request.format()) == request
    quoted = b"<Delete><Object><Key>k</Key><ETag>&quot;e&quot;</ETag></Object></Delete>"
    assert Delete.parse(quoted) == Delete((ObjectIdentifier("k", None, "e"),))
    for etag in ("", "*", None):  # an empty entity tag is a condition, one that no object meets
        assert Delete.parse(Delete((ObjectIdentifier("k", None, etag),)).format()).objects[0].etag == etag
    full = Delete(tuple(ObjectIdentifier("'=\"" * 300 + str(i)) for i in range(3)))
    assert Delete.parse(full.format()) == full
    assert (
        len(Delete.parse(Delete(tuple(ObjectIdentifier(f"k{i}", "v", ETAG) for i in range(1000))).format()).objects)
        == 1000
    )


@pytest.mark.parametrize(
    "inner",
    [
        b"",
        b"<Quiet>true</Quiet>",
        b"<Object/>",
        b"<Object><Key/></Object>",
        b"<Object><VersionId>v</VersionId></Object>",
        b"<Object><Key>a</Key><Key>b</Key></Object>",
        b"<Object><Key>a</Key><Other/></Object>",
        b"<Object><Key>a</Key></Object><Quiet>perhaps</Quiet>",
        b"<Object><Key>a</Key></Object><Quiet>true</Quiet><Quiet>true</Quiet>",
        b"<Object><Key>a</Key></Object><Other/>",
        b"<Object><Key>a</Key></Object>" * 1001,
    ],
)
def test_malformed_deletes(inner: bytes) -> None:
    check_refused(Delete.parse, b"<Delete>" + inner + b"</Delete>")


def test_deletes_with_conditions_of_directory_buckets() -> None:
    check_refused(Delete.parse, b"<Delete><Object><Key>a</Key><Size>1</Size></Object></Delete>", "NotImplemented")


def test_delete_result() -> None:
    result = DeleteResult(
        (DeletedObject(KEY), DeletedObject("k", "null")), (DeleteError("e", None, "AccessDenied", "<no>"),)
    )
    assert as_botocore_reads("DeleteObjects", result) == {
        "Deleted": [{"Key": KEY}, {"Key": "k", "VersionId": "null"}],
        "Errors": [{"Key": "e", "Code": "AccessDenied", "Message": "<no>"}],
    }
    assert as_botocore_reads("DeleteObjects", DeleteResult((), ())) == {}


def test_copy_results() -> None:
    copied = CopyObjectResult(ETAG, MOMENT_US, {"CRC32": "AAAAAA=="}, "FULL_OBJECT")
    assert as_botocore_reads("CopyObject", copied)["CopyObjectResult"] == {
        "ETag": f'"{ETAG}"',
        "LastModified": MOMENT,
        "ChecksumCRC32": "AAAAAA==",
        "ChecksumType": "FULL_OBJECT",
    }
    part = CopyPartResult(ETAG, MOMENT_US, {"SHA1": "x"})
    assert as_botocore_reads("UploadPartCopy", part)["CopyPartResult"] == {
        "ETag": f'"{ETAG}"',
        "LastModified": MOMENT,
        "ChecksumSHA1": "x",
    }


def test_initiate_multipart_upload_result() -> None:
    result = InitiateMultipartUploadResult("b", KEY, "id")
    expected = {"Bucket": "b", "Key": KEY, "UploadId": "id"}
    assert as_botocore_reads("CreateMultipartUpload", result) == expected


def test_complete_multipart_upload() -> None:
    request = CompleteMultipartUpload(
        (CompletedPart(1, ETAG), CompletedPart(10_000, ETAG, {"CRC32": "AAAAAA==", "SHA256": "x"}))
    )
    assert CompleteMultipartUpload.parse(request.format()) == request
    unquoted = (
        b"<CompleteMultipartUpload><Part><PartNumber> 2 </PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>"
    )
    assert CompleteMultipartUpload.parse(unquoted) == CompleteMultipartUpload((CompletedPart(2, "e"),))
    checksums = {"CRC32": "AAAAAA==", "CRC32C": "AAAAAA==", "CRC64NVME": "x", "SHA1": "x", "SHA256": "x"}
    sha512 = {"SHA512": base64.b64encode(bytes(64)).decode()}
    longest = CompleteMultipartUpload(tuple(CompletedPart(number, ETAG, sha512) for number in range(1, 10_001)))
    assert CompleteMultipartUpload.parse(longest.format()) == longest
    largest = CompleteMultipartUpload(tuple(CompletedPart(number, ETAG, checksums) for number in range(1, 5001)))
    assert CompleteMultipartUpload.parse(largest.format()) == largest


def part(number: object, more: str = "") -> bytes:
    return f"<Part><PartNumber>{number}</PartNumber><ETag>e</ETag>{more}</Part>".encode()


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        (b"", "MalformedXML"),
        (b"<Part/>", "MalformedXML"),
        (b"<Part><PartNumber>1</PartNumber></Part>", "MalformedXML"),
        (b"<Part><ETag>e</ETag></Part>", "MalformedXML"),
        (part("x"), "MalformedXML"),
        (part(1, "<Other/>"), "MalformedXML"),
        (part(1) + b"<Other/>", "MalformedXML"),
        (part(0), "InvalidArgument"),
        (part(10_001), "InvalidArgument"),
        (part(2) + part(1), "InvalidPartOrder"),
        (part(1) + part(1), "InvalidPartOrder"),
        (part(1, "<ChecksumXXHASH32>x</ChecksumXXHASH32>"), "MalformedXML"),
    ],
)
def test_malformed_completions(inner: bytes, code: str) -> None:
    body = b"<CompleteMultipartUpload>" + inner + b"</CompleteMultipartUpload>"
    check_refused(CompleteMultipartUpload.parse, body, code)


def test_complete_multipart_upload_result() -> None:
    result = CompleteMultipartUploadResult("/b/k", "b", KEY, f"{ETAG}-2", {"CRC64NVME": "x"}, "FULL_OBJECT")
    assert as_botocore_reads("CompleteMultipartUpload", result) == {
        "Location": "/b/k",
        "Bucket": "b",
        "Key": KEY,
        "ETag": f'"{ETAG}-2"',
        "ChecksumCRC64NVME": "x",
        "ChecksumType": "FULL_OBJECT",
    }


@pytest.mark.parametrize("url_encoded", [False, True])
def test_list_parts(url_encoded: bool) -> None:
    result = ListPartsResult(
        bucket="b",
        key="k k",
        upload_id="id",
        owner_id=OWNER_ID,
        owner_display_name="me",
        storage_class="STANDARD",
        part_number_marker=1,
        next_part_number_marker=2,
        max_parts=1,
        is_truncated=True,
        parts=(ListedPart(2, MOMENT_US, ETAG, 5, {"CRC32": "AAAAAA=="}),),
        checksum_algorithm="CRC32",
        checksum_type="COMPOSITE",
        url_encoded=url_encoded,
    )
    parsed = as_botocore_reads("ListParts", result)
    assert parsed.pop("Initiator")["ID"] == parsed.pop("Owner")["ID"] == OWNER_ID
    assert parsed == {
        "Bucket": "b",
        "Key": "k%20k" if url_encoded else "k k",
        "UploadId": "id",
        "StorageClass": "STANDARD",
        "PartNumberMarker": 1,
        "NextPartNumberMarker": 2,
        "MaxParts": 1,
        "IsTruncated": True,
        "ChecksumAlgorithm": "CRC32",
        "ChecksumType": "COMPOSITE",
        "Parts": [
            {"PartNumber": 2, "LastModified": MOMENT, "ETag": f'"{ETAG}"', "Size": 5, "ChecksumCRC32": "AAAAAA=="}
        ],
    }


def listing_of_uploads(*, is_truncated: bool) -> ListMultipartUploadsResult:
    return ListMultipartUploadsResult(
        bucket="b",
        prefix="p",
        delimiter="/",
        key_marker="k m",
        upload_id_marker="um",
        next_key_marker="nk",
        next_upload_id_marker="nu",
        max_uploads=3,
        url_encoded=True,
        is_truncated=is_truncated,
        uploads=(ListedUpload("k k", "id", MOMENT_US, OWNER_ID, "me", "STANDARD", "SHA1", "COMPOSITE"),),
        common_prefixes=("c d/",),
    )


def test_list_multipart_uploads() -> None:
    parsed = as_botocore_reads("ListMultipartUploads", listing_of_uploads(is_truncated=True))
    (upload,) = parsed.pop("Uploads")
    assert upload.pop("Initiator")["ID"] == upload.pop("Owner")["ID"] == OWNER_ID
    assert upload == {
        "Key": "k%20k",
        "UploadId": "id",
        "Initiated": MOMENT,
        "StorageClass": "STANDARD",
        "ChecksumAlgorithm": "SHA1",
        "ChecksumType": "COMPOSITE",
    }
    assert parsed == {
        "Bucket": "b",
        "Prefix": "p",
        "Delimiter": "/",
        "KeyMarker": "k%20m",
        "UploadIdMarker": "um",
        "NextKeyMarker": "nk",
        "NextUploadIdMarker": "nu",
        "MaxUploads": 3,
        "EncodingType": "url",
        "IsTruncated": True,
        "CommonPrefixes": [{"Prefix": "c%20d/"}],
    }
    assert "NextKeyMarker" not in as_botocore_reads("ListMultipartUploads", listing_of_uploads(is_truncated=False))


CONFIGURATIONS = [
    ServerSideEncryptionConfiguration(Mode.SSE_S3),
    ServerSideEncryptionConfiguration(Mode.SSE_KMS),
    ServerSideEncryptionConfiguration(Mode.SSE_KMS, "alias/a & b"),
    ServerSideEncryptionConfiguration(Mode.SSE_KMS, "k", takes_customer_keys=False),
    ServerSideEncryptionConfiguration(Mode.SSE_S3, takes_customer_keys=True),
    ServerSideEncryptionConfiguration(Mode.SSE_S3, has_bucket_keys=True),
    ServerSideEncryptionConfiguration(Mode.SSE_KMS, "k", has_bucket_keys=True),
]


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_bucket_encryption(configuration: ServerSideEncryptionConfiguration) -> None:
    assert ServerSideEncryptionConfiguration.parse(configuration.format()) == configuration
    parsed = as_botocore_reads("GetBucketEncryption", configuration)["ServerSideEncryptionConfiguration"]
    (rule,) = parsed["Rules"]
    default = rule["ApplyServerSideEncryptionByDefault"]
    assert default["SSEAlgorithm"] == ("aws:kms" if configuration.mode is Mode.SSE_KMS else "AES256")
    assert default.get("KMSMasterKeyID") == configuration.kms_key_id
    assert rule["BucketKeyEnabled"] is configuration.has_bucket_keys
    told = {None: None, True: ["NONE"], False: ["SSE-C"]}[configuration.takes_customer_keys]
    assert rule.get("BlockedEncryptionTypes", {}).get("EncryptionType") == told


@pytest.mark.parametrize(
    ("inner", "takes_customer_keys"),
    [("", None), ("<EncryptionType>NONE</EncryptionType>", True), ("<EncryptionType>SSE-C</EncryptionType>", False)],
)
def test_a_rule_that_names_no_default(inner: str, *, takes_customer_keys: bool | None) -> None:
    rule = f"<Rule><BlockedEncryptionTypes>{inner}</BlockedEncryptionTypes></Rule>"
    body = f"<ServerSideEncryptionConfiguration>{rule}</ServerSideEncryptionConfiguration>".encode()
    parsed = ServerSideEncryptionConfiguration.parse(body)
    assert (parsed.mode, parsed.kms_key_id, parsed.takes_customer_keys) == (None, None, takes_customer_keys)


def default(algorithm: str, key_id: str | None = None) -> str:
    key = "" if key_id is None else f"<KMSMasterKeyID>{key_id}</KMSMasterKeyID>"
    name = "ApplyServerSideEncryptionByDefault"
    return f"<{name}><SSEAlgorithm>{algorithm}</SSEAlgorithm>{key}</{name}>"


def blocked(*types: str) -> str:
    inner = "".join(f"<EncryptionType>{name}</EncryptionType>" for name in types)
    return f"<BlockedEncryptionTypes>{inner}</BlockedEncryptionTypes>"


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("", "MalformedXML"),
        ("<Rule/>", "MalformedXML"),
        (f"<Rule>{default('AES256')}</Rule>" * 2, "MalformedXML"),
        (f"<Other>{default('AES256')}</Other>", "MalformedXML"),
        (f"<Rule>{default('AES256') * 2}</Rule>", "MalformedXML"),
        (f"<Rule>{default('AES256')}<Other/></Rule>", "MalformedXML"),
        ("<Rule><BucketKeyEnabled>false</BucketKeyEnabled></Rule>", "MalformedXML"),
        (f"<Rule>{default('AES128')}</Rule>", "MalformedXML"),
        (f"<Rule>{default('aws:kms', '')}</Rule>", "MalformedXML"),
        (f"<Rule>{default('aws:kms', 'k' * 2049)}</Rule>", "MalformedXML"),
        (f"<Rule>{default('AES256', 'k')}</Rule>", "InvalidArgument"),
        (f"<Rule>{default('aws:fsx')}</Rule>", "NotImplemented"),
        (f"<Rule>{default('aws:kms')}<BucketKeyEnabled>yes</BucketKeyEnabled></Rule>", "MalformedXML"),
        (f"<Rule>{default('aws:kms')}{blocked('SSE-S3')}</Rule>", "MalformedXML"),
        (f"<Rule>{default('aws:kms')}{blocked('NONE', 'SSE-C')}</Rule>", "MalformedXML"),
    ],
)
def test_refused_bucket_encryption(inner: str, code: str) -> None:
    body = f"<ServerSideEncryptionConfiguration>{inner}</ServerSideEncryptionConfiguration>".encode()
    check_refused(ServerSideEncryptionConfiguration.parse, body, code)


PARSERS: list[tuple[str, Callable[[bytes], object]]] = [
    ("Error", ErrorDocument.parse),
    ("CreateBucketConfiguration", CreateBucketConfiguration.parse),
    ("Delete", Delete.parse),
    ("CompleteMultipartUpload", CompleteMultipartUpload.parse),
    ("ServerSideEncryptionConfiguration", ServerSideEncryptionConfiguration.parse),
    ("Tagging", lambda body: Tagging.parse(body, OBJECT_TAGS)),
]
TAGS = st.sampled_from(
    [
        "Object",
        "Key",
        "Quiet",
        "Part",
        "PartNumber",
        "ETag",
        "Rule",
        "ApplyServerSideEncryptionByDefault",
        "SSEAlgorithm",
        "KMSMasterKeyID",
        "BucketKeyEnabled",
        "BlockedEncryptionTypes",
        "LocationConstraint",
        "Tags",
        "TagSet",
        "Tag",
        "Value",
        "Code",
    ]
)
INNER = st.recursive(
    st.sampled_from(["", "1", "true", "AES256", "aws:kms", " ", "&amp;", "&x;", "<!-- -->"]),
    lambda inner: st.lists(st.tuples(TAGS, inner), max_size=3).map(
        lambda items: "".join(f"<{name}>{text}</{name}>" for name, text in items)
    ),
    max_leaves=8,
)


@given(st.sampled_from(PARSERS), INNER)
def test_nothing_but_s3_errors(parser: tuple[str, Callable[[bytes], object]], inner: str) -> None:
    root, parse = parser
    try:
        parse(f"<{root}>{inner}</{root}>".encode())
    except S3Error as error:
        assert error.code in ("MalformedXML", "InvalidArgument", "InvalidPartOrder", "NotImplemented", "InvalidTag")
