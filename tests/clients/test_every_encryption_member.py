"""Every member about server-side encryption in the S3 model, of every operation: honoured or refused, told or untold.

The tables are held against the model: a member that a newer one has, and that is in no table, fails. What is seen of an
honoured member is its effect, not its echo. Form fields and presigned URLs, which carry the same names, and values that
are refused are in `test_encryption_headers`.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.operations.unserved import UNSERVED
from tests.clients.access import take_customer_keys
from tests.clients.checks import base64_of, content_md5
from tests.clients.conftest import make_bucket
from tests.clients.raw import Answer, Session
from tests.clients.test_encryption_headers import BUCKET_KEY, CONTEXT, KEY_ID, SSE, encoded, encryption_of
from tests.clients.test_odd_values import MODEL, OPERATIONS, request, right_values
from tests.clients.test_unserved import target_of
from tests.properties.encryption import MODES, asked, brought, brought_for_source

Right = dict[str, str]
CUSTOMER = f"{SSE}-customer-"
SOURCE = "x-amz-copy-source-server-side-encryption-customer-"
FORWARDED = "x-amz-fwd-header-x-amz-server-side-encryption"
HEADERS = (SSE, "x-amz-copy-source-server-side-encryption", FORWARDED)
ABOUT = re.compile(r"SSE|Sse|Encrypt|KMS|Kms|BucketKey")
"""What a name in a document has that is about encryption."""

TEAM = base64_of(b'{"team":"blue"}')
A, B = "customer A", "customer B"
CRC32 = base64_of(zlib.crc32(b"part").to_bytes(4, "big"))


@dataclass(frozen=True, order=True)
class Member:
    """A header in lower case, or a path of XML names down to a text or an empty element; of a request or an answer."""

    operation: str
    of: str
    name: str

    @property
    def is_header(self) -> bool:
        return self.name.startswith(HEADERS)


def leaves(shape: Any, path: tuple[str, ...], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths through a document: the model names shapes once, and some hold themselves."""
    if shape.name in above:
        return
    if shape.type_name == "list":
        yield from leaves(shape.member, path, (*above, shape.name))
    elif shape.type_name == "structure":
        if not shape.members:
            yield path
        for name, member in shape.members.items():
            if "location" not in member.serialization:
                yield from leaves(member, (*path, member.serialization.get("name", name)), (*above, shape.name))
    else:
        yield path


def walk() -> Iterator[Member]:
    for operation in MODEL.operation_names:
        model = MODEL.operation_model(operation)
        for of, shape in (("input", model.input_shape), ("output", model.output_shape)):
            for member in shape.members.values() if shape else ():
                called = str(member.serialization.get("name", "")).lower()
                if called.startswith(HEADERS):
                    yield Member(operation, of, called)
            for path in leaves(shape, ()) if shape else ():
                if any(map(ABOUT.search, path)):
                    yield Member(operation, of, "/".join(path))


MEMBERS = sorted(set(walk()))
ALL_HEADERS = sorted({member.name for member in MEMBERS if member.is_header})
HONOURED_BY_WRITES = ("PutObject", "CopyObject", "CreateMultipartUpload")


def headers_of(operation: str, of: str) -> set[str]:
    return {member.name for member in MEMBERS if (member.operation, member.of) == (operation, of) and member.is_header}


class World:
    """A bucket with an object `k` and an upload that was begun, in a mode; `ask` sends what an operation needs."""

    def __init__(self, session: Session, s3: Any, kms: Any, kms_key: str, bucket: str) -> None:
        self.session, self.s3, self.kms, self.kms_key, self.bucket = session, s3, kms, kms_key, bucket
        take_customer_keys(s3, bucket)

    def send(self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        return self.session.ask(method, f"/{self.bucket}{target}", dict(headers or {}), body)

    def put(self, mode: str | None, key: str = "k") -> None:
        assert self.send("PUT", f"/{key}", asked(mode), b"body").status == 200

    def right(self, operation: str, chosen: Mapping[str, str], mode: str | None) -> Right:
        """What `operation` needs besides its own headers of encryption: `k` and an upload with a part of CRC32, both
        encrypted as `chosen`, which is in that mode."""
        assert self.send("PUT", "/k", chosen, b"body").status == 200
        right = right_values(self.s3, operation, self.bucket)
        if right["uploadId"]:
            begun = self.send("POST", "/upload?uploads", {**chosen, "x-amz-checksum-algorithm": "CRC32"})
            right["uploadId"] = begun.element("UploadId")
            part = f"/upload?partNumber=1&uploadId={right['uploadId']}"
            answer = self.send("PUT", part, {**brought(mode), "x-amz-checksum-crc32": CRC32}, b"part")
            assert answer.status == 200, answer.body
            right["etag"] = answer.headers["etag"]
        return right

    def ask(self, operation: str, right: Right, headers: Mapping[str, str]) -> Answer:
        method, target, given, body = request(operation, self.bucket, right)
        if operation == "CompleteMultipartUpload":
            body = body.replace(b"</ETag>", f"</ETag><ChecksumCRC32>{CRC32}</ChecksumCRC32>".encode())
            given.pop("content-md5", None)
        return self.session.ask(method, target, {**given, **headers}, body)

    def write(self, operation: str, headers: Mapping[str, str]) -> Answer:
        """An object `made` by one of the operations that choose how it is encrypted; what refused it, or HEAD of it."""
        if operation == "PutObject":
            answer = self.send("PUT", "/made", headers, b"body")
        elif operation == "CopyObject":
            self.put("AES256", "plain")
            answer = self.send("PUT", "/made", {**headers, "x-amz-copy-source": f"{self.bucket}/plain"})
        else:
            answer = self.send("POST", "/made?uploads", headers)
            if answer.status == 200:
                upload = f"uploadId={answer.element('UploadId')}"
                customer = {name: value for name, value in headers.items() if name.startswith(CUSTOMER)}
                part = self.send("PUT", f"/made?partNumber=1&{upload}", customer, b"body")
                assert part.status == 200, part.body
                named = f"<Part><PartNumber>1</PartNumber><ETag>{part.headers['etag']}</ETag></Part>"
                document = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
                answer = self.send("POST", f"/made?{upload}", {}, document)
        if answer.status != 200:
            return answer
        customer = {name: value for name, value in headers.items() if name.startswith(CUSTOMER)}
        assert self.send("GET", "/made", customer).body == b"body"
        return self.send("HEAD", "/made", customer)


@pytest.fixture
def world(session: Session, s3: Any, kms: Any, kms_key: str) -> World:
    return World(session, s3, kms, kms_key, make_bucket(s3))


# Headers of requests

Check = Callable[[World, str, str], None]
"""Shows that `operation` honours the member `name`, or refuses it."""


def algorithm(world: World, operation: str, name: str) -> None:
    for value in ("AES256", "aws:kms", "aws:kms:dsse"):
        assert world.write(operation, {name: value}).headers[SSE] == value


def key_id(world: World, operation: str, name: str) -> None:
    for mode in ("aws:kms", "aws:kms:dsse"):
        assert world.write(operation, {SSE: mode}).headers[KEY_ID] != world.kms_key
        assert world.write(operation, {SSE: mode, name: world.kms_key}).headers[KEY_ID] == world.kms_key


def context(world: World, operation: str, name: str) -> None:
    """By a key that is used for the blue team alone."""
    account = world.kms_key.split(":")[4]
    everyone = {"Effect": "Allow", "Principal": {"AWS": account}, "Resource": "*"}
    blue = {"StringEquals": {"kms:EncryptionContext:team": "blue"}}
    statements = [
        {**everyone, "NotAction": ["kms:GenerateDataKey", "kms:Decrypt"]},
        {**everyone, "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Condition": blue},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    key = world.kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
    for mode in ("aws:kms", "bucket key", "aws:kms:dsse"):
        named = {**asked(mode), KEY_ID: key}
        for other in ({}, {name: encoded({"team": "red"})}):
            assert world.write(operation, {**named, **other}).refusal == (403, "AccessDenied")
        assert world.write(operation, {**named, name: TEAM}).headers[KEY_ID] == key


def bucket_key(world: World, operation: str, name: str) -> None:
    assert world.write(operation, {SSE: "aws:kms", name: "true"}).headers[BUCKET_KEY] == "true"
    assert BUCKET_KEY not in world.write(operation, {SSE: "aws:kms", name: "false"}).headers


CHANGED: dict[str, tuple[str, tuple[int, str]]] = {
    "algorithm": ("AES128", (400, "InvalidEncryptionAlgorithmError")),
    "key": (brought(B)[f"{CUSTOMER}key"], (400, "InvalidArgument")),
    "key-md5": (brought(B)[f"{CUSTOMER}key-md5"], (400, "InvalidArgument")),
}
"""One of the three headers of a customer's key as it cannot be beside the two others, and what is answered."""


def customer_key(world: World, operation: str, name: str) -> None:
    """With the key an object or upload under it is served; with this header changed, or another key, it is not."""
    given = {**brought(A), **(brought_for_source(A) if name.startswith(SOURCE) else {})}
    if operation not in HONOURED_BY_WRITES or name.startswith(SOURCE):
        plain = brought(A) if CUSTOMER + "key" in headers_of(operation, "input") else {}
        right = world.right(operation, asked(A), A)
        served = {**plain, **given, **(brought_for_source(A) if SOURCE + "key" in INPUTS[operation] else {})}
        of_other = brought_for_source(B) if name.startswith(SOURCE) else brought(B)
        assert world.ask(operation, right, {**served, **of_other}).status in (400, 403)
    else:
        right, served = {}, dict(given)
    value, refused = CHANGED[name.removeprefix(SOURCE).removeprefix(CUSTOMER)]

    def attempt(headers: Mapping[str, str]) -> Answer:
        return world.ask(operation, right, headers) if right else world.write(operation, headers)

    changed = attempt({**served, name: value})
    assert changed.refusal == (refused if operation != "HeadObject" else (refused[0], ""))
    assert attempt({each: value for each, value in served.items() if each != name}).status in (400, 403)
    assert attempt(served).status == 200
    if not right:
        assert world.send("GET", "/made").refusal == (400, "InvalidRequest")
        assert world.send("GET", "/made", brought(B)).refusal == (403, "AccessDenied")


def withdrawn(world: World, operation: str, name: str) -> None:
    """SelectObjectContent, to whoever has the key too."""
    world.put(A)
    answer = world.ask(operation, right_values(world.s3, operation, world.bucket), brought(A))
    assert answer.refusal == (405, "MethodNotAllowed")


def on_another_host(world: World, operation: str, name: str) -> None:
    """WriteGetObjectResponse, of Object Lambda: to us it is a form for a bucket whose name none can have."""
    answer = world.session.ask("POST", f"/{operation}", {name: "AES256"}, b"body")
    assert answer.status in (400, 404, 412)
    assert world.ask("PutObject", {}, {name: "AES256"}).refusal == (501, "NotImplemented")


def not_implemented(world: World, operation: str, name: str) -> None:
    """The operation as a whole, with the header, or a document down to the member."""
    (row,) = [row for row in UNSERVED if row.name == operation]
    headers, body = ({name: "AES256"}, "") if name.startswith("x-amz-") else ({}, document(name))
    answer = world.session.ask(row.method, target_of(row, world.bucket), headers, body.encode())
    assert answer.refusal == (501, "NotImplemented")


def document(path: str) -> str:
    names = path.split("/")
    return "".join(f"<{name}>" for name in names) + "".join(f"</{name}>" for name in reversed(names))


_KEY = {"algorithm": customer_key, "key": customer_key, "key-md5": customer_key}
OF_CUSTOMER: dict[str, Check] = {f"{CUSTOMER}{name}": check for name, check in _KEY.items()}
OF_SOURCE: dict[str, Check] = {f"{SOURCE}{name}": check for name, check in _KEY.items()}
OF_WRITES: dict[str, Check] = {
    SSE: algorithm, KEY_ID: key_id, CONTEXT: context, BUCKET_KEY: bucket_key, **OF_CUSTOMER,
}  # fmt: skip
OF_SESSIONS: dict[str, Check] = dict.fromkeys((SSE, KEY_ID, CONTEXT, BUCKET_KEY), not_implemented)
INPUTS: dict[str, dict[str, Check]] = {
    "CompleteMultipartUpload": OF_CUSTOMER,
    "CopyObject": {**OF_WRITES, **OF_SOURCE},
    "CreateMultipartUpload": OF_WRITES,
    "CreateSession": OF_SESSIONS,
    "GetObject": OF_CUSTOMER,
    "GetObjectAttributes": OF_CUSTOMER,
    "HeadObject": OF_CUSTOMER,
    "ListParts": OF_CUSTOMER,
    "PutObject": OF_WRITES,
    "SelectObjectContent": dict.fromkeys(OF_CUSTOMER, withdrawn),
    "UploadPart": OF_CUSTOMER,
    "UploadPartCopy": {**OF_CUSTOMER, **OF_SOURCE},
    "WriteGetObjectResponse": dict.fromkeys(
        (f"{FORWARDED}{name}" for name in (
            "", "-aws-kms-key-id", "-bucket-key-enabled", "-customer-algorithm", "-customer-key-md5"
        )), on_another_host,
    ),
}  # fmt: skip

# Documents


def default_of(world: World, algorithm: str, key: str = "", *, bucket_keys: bool = False, blocked: str = "") -> str:
    """Put a bucket's rule; the document that GetBucketEncryption tells then."""
    default = f"<SSEAlgorithm>{algorithm}</SSEAlgorithm>" + (f"<KMSMasterKeyID>{key}</KMSMasterKeyID>" if key else "")
    types = f"<BlockedEncryptionTypes><EncryptionType>{blocked}</EncryptionType></BlockedEncryptionTypes>"
    rule = (
        f"<ApplyServerSideEncryptionByDefault>{default}</ApplyServerSideEncryptionByDefault>"
        f"<BucketKeyEnabled>{str(bucket_keys).lower()}</BucketKeyEnabled>{types if blocked else ''}"
    )
    body = f"<ServerSideEncryptionConfiguration><Rule>{rule}</Rule></ServerSideEncryptionConfiguration>"
    answer = world.send("PUT", "?encryption", {}, body.encode())
    assert answer.status == 200, answer.body
    return world.send("GET", "?encryption").body.decode()


def default_algorithm(world: World, operation: str, name: str) -> None:
    for value in ("aws:kms", "aws:kms:dsse", "AES256"):
        assert f"<SSEAlgorithm>{value}</SSEAlgorithm>" in default_of(world, value)
        assert world.write("PutObject", {}).headers[SSE] == value


def default_key(world: World, operation: str, name: str) -> None:
    for mode in ("aws:kms", "aws:kms:dsse"):
        for named in (world.kms_key, world.kms_key.rpartition("/")[2]):
            assert f"<KMSMasterKeyID>{named}</KMSMasterKeyID>" in default_of(world, mode, named)
            assert world.write("PutObject", {}).headers[KEY_ID] == world.kms_key
        assert "KMSMasterKeyID" not in default_of(world, mode)
        assert world.write("PutObject", {}).headers[KEY_ID] != world.kms_key


def default_bucket_key(world: World, operation: str, name: str) -> None:
    for is_on in (True, False):
        told = default_of(world, "aws:kms", bucket_keys=is_on)
        assert f"<BucketKeyEnabled>{str(is_on).lower()}</BucketKeyEnabled>" in told
        assert world.write("PutObject", {}).headers.get(BUCKET_KEY) == ("true" if is_on else None)


def blocked_type(world: World, operation: str, name: str) -> None:
    for value in ("SSE-C", "NONE"):
        assert f"<EncryptionType>{value}</EncryptionType>" in default_of(world, "AES256", blocked=value)
        assert (world.write("PutObject", brought(A)).status == 200) is (value == "NONE")


def update(world: World, key: str, more: str = "") -> Answer:
    body = f"<ObjectEncryption><SSE-KMS><KMSKeyArn>{key}</KMSKeyArn>{more}</SSE-KMS></ObjectEncryption>".encode()
    return world.send("PUT", "/k?encryption", {"content-md5": content_md5(body)}, body)


def new_key(world: World, operation: str, name: str) -> None:
    world.put("AES256")
    assert update(world, world.kms_key).status == 200
    assert world.send("HEAD", "/k").headers[KEY_ID] == world.kms_key
    assert world.send("GET", "/k").body == b"body"


def new_bucket_key(world: World, operation: str, name: str) -> None:
    for value in ("true", "false"):
        world.put("AES256")
        assert update(world, world.kms_key, f"<BucketKeyEnabled>{value}</BucketKeyEnabled>").status == 200
        assert world.send("HEAD", "/k").headers.get(BUCKET_KEY) == ("true" if value == "true" else None)


def no_archive(world: World, operation: str, name: str) -> None:
    """RestoreObject: no object is in an archive, whatever is to become of the restored one."""
    world.put("AES256")
    answer = world.send("POST", "/k?restore", {}, document(name).encode())
    assert answer.refusal == (403, "InvalidObjectState")


def absent(world: World, operation: str, name: str) -> None:
    """No bucket has such a configuration, so that no answer tells how it is encrypted."""
    answer = world.ask(operation, right_values(world.s3, operation, world.bucket), {})
    assert answer.status in (200, 404)
    assert f"<{name.rpartition('/')[2]}".encode() not in answer.body


_RULE = "ServerSideEncryptionConfiguration/Rule"
_DEFAULT = f"{_RULE}/ApplyServerSideEncryptionByDefault"
DEFAULTS: dict[str, Check] = {
    f"{_DEFAULT}/SSEAlgorithm": default_algorithm,
    f"{_DEFAULT}/KMSMasterKeyID": default_key,
    f"{_RULE}/BucketKeyEnabled": default_bucket_key,
    f"{_RULE}/BlockedEncryptionTypes/EncryptionType": blocked_type,
}
_RESTORED = "RestoreRequest/OutputLocation/S3/Encryption"
DOCUMENTS: dict[tuple[str, str], dict[str, Check]] = {
    ("PutBucketEncryption", "input"): DEFAULTS,
    ("GetBucketEncryption", "output"): DEFAULTS,
    ("UpdateObjectEncryption", "input"): {
        "ObjectEncryption/SSE-KMS/KMSKeyArn": new_key,
        "ObjectEncryption/SSE-KMS/BucketKeyEnabled": new_bucket_key,
    },
    ("RestoreObject", "input"): dict.fromkeys(
        (f"{_RESTORED}/{name}" for name in ("EncryptionType", "KMSContext", "KMSKeyId")), no_archive
    ),
}
ABSENT = ("GetBucketInventoryConfiguration", "ListBucketInventoryConfigurations", "GetBucketReplication")
"""They tell what nobody can have put, as a whole."""
REFUSED = {row.name for row in UNSERVED}
"""They are refused as a whole, and so is every member that they have."""


def check_of(member: Member) -> Check | None:
    if member.operation in REFUSED:
        return not_implemented
    if member.operation in ABSENT:
        return absent
    table = INPUTS.get(member.operation, {}) if member.is_header else DOCUMENTS.get((member.operation, member.of), {})
    return table.get(member.name)


CHECKED = [member for member in MEMBERS if not member.is_header or member.of == "input" or member.operation in REFUSED]


def test_every_member_has_a_case() -> None:
    """And every case a member."""
    assert [member for member in CHECKED if check_of(member) is None] == []
    known = {(member.operation, member.name) for member in MEMBERS}
    cases = {(operation, name) for operation, table in INPUTS.items() for name in table}
    cases |= {(operation, name) for (operation, _), table in DOCUMENTS.items() for name in table}
    assert cases - known == set()
    assert set(ABSENT) <= {member.operation for member in MEMBERS}


@pytest.mark.parametrize("member", CHECKED, ids=lambda member: f"{member.operation} {member.of} {member.name}")
def test_a_member_is_honoured_or_refused(world: World, member: Member) -> None:
    check = check_of(member)
    assert check is not None
    check(world, member.operation, member.name)


# What no operation of that name has

REPEATED = frozenset({"UploadPart", "UploadPartCopy", "CompleteMultipartUpload"})
"""Here clients repeat what they began an upload with, and it is taken (docs/divergences.md)."""
OF_UPLOADS: dict[str, Right] = {
    SSE: {SSE: "aws:kms"}, KEY_ID: {SSE: "aws:kms", KEY_ID: "alias/any"}, CONTEXT: {SSE: "aws:kms", CONTEXT: TEAM},
    BUCKET_KEY: {SSE: "aws:kms", BUCKET_KEY: "true"},
}  # fmt: skip


def given(name: str) -> Right:
    """The header with a value that is right where it is taken."""
    for all_of_them in (brought(A), brought_for_source(A)):
        if name in all_of_them:
            return dict(all_of_them)
    return {SSE: {SSE: "AES256"}, CONTEXT: {CONTEXT: TEAM}}.get(name, {name: "true"})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_headers_that_are_not_of_the_operation_are_refused(world: World, operation: str) -> None:
    """Nothing is left aside in silence, and nothing done but for what uploads repeat."""
    world.put("AES256")
    right = (
        world.right(operation, asked("AES256"), "AES256")
        if operation in REPEATED
        else right_values(world.s3, operation, world.bucket)
    )
    taken = headers_of(operation, "input")
    for name in (each for each in ALL_HEADERS if each not in taken):
        if operation in REPEATED and name in OF_UPLOADS:
            answer = world.ask(operation, right, OF_UPLOADS[name])
            assert (answer.status, answer.headers.get(SSE)) == (200, "AES256"), name
            continue
        answer = world.ask(operation, right, given(name))
        expected = (501, "NotImplemented") if name.startswith(FORWARDED) else (400, "InvalidArgument")
        assert answer.refusal == (expected if answer.body else (expected[0], "")), name
        assert brought(A)[f"{CUSTOMER}key"].encode() not in answer.body, "a key is never repeated"
    assert world.send("GET", "/k").body == b"body"


# Headers of answers


def told_of(mode: str | None, kms_key: str) -> Right:
    """All that there is to tell of an object that was written by `chosen`."""
    customer = {name: value for name, value in brought(mode).items() if not name.endswith("-key")}
    if customer:
        return customer
    told = dict(asked(mode or "AES256"))
    return told if mode in (None, "AES256") else {**told, KEY_ID: kms_key, CONTEXT: TEAM}


def chosen(mode: str | None, kms_key: str) -> Right:
    more = {} if mode in (None, "AES256") or brought(mode) else {KEY_ID: kms_key, CONTEXT: TEAM}
    return {**asked(mode), **more}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_answers_tell_what_the_model_has_and_no_more(world: World, kms_key: str, operation: str) -> None:
    """In every mode: the members of the operation's output that there is something to say of, exactly; a completed
    upload says nothing of a customer's key that the request need not bring."""
    inputs, outputs = headers_of(operation, "input"), headers_of(operation, "output")
    told: set[str] = set()
    for mode in (None, *MODES):
        right = world.right(operation, chosen(mode, kms_key), mode)
        headers = chosen(mode, kms_key) if SSE in inputs else brought(mode) if f"{CUSTOMER}key" in inputs else {}
        source = brought_for_source(mode) if f"{SOURCE}key" in inputs else {}
        answer = world.ask(operation, right, {**headers, **source})
        if outputs:
            assert answer.status == 200, (mode, answer.body)
        expected = {name: value for name, value in told_of(mode, kms_key).items() if name in outputs}
        assert encryption_of(answer) == expected, mode
        told |= expected.keys()
    assert told == outputs


def test_answers_of_what_is_not_served_tell_nothing(world: World) -> None:
    told = {member.operation for member in MEMBERS if member.of == "output" and member.is_header}
    assert told - OPERATIONS.keys() == {"CreateSession", "GetObjectAnnotation", "PutObjectAnnotation"}
    for row in (row for row in UNSERVED if row.name in told):
        answer = world.session.ask(row.method, target_of(row, world.bucket), {}, b"")
        assert (answer.refusal, encryption_of(answer)) == ((501, "NotImplemented"), {})
