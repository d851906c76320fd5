"""Whole requests against a real gateway, over sockets: never a fault, never a hang, and no memory that stays.

Two kinds. Of the first, parts of a request are changed and then signed, so that what is changed is what
the operations read. Of the second, the bytes of a signed request are changed, so that it is HTTP that is changed.
"""

from __future__ import annotations

import random
import re
import selectors
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.acceptance.observe import integrity_events, resident_kib
from tests.clients.checks import faults
from tests.clients.raw import STREAMING, RawClient, framed, head
from tests.fuzz.engine import mutated
from tests.harness import Gateway, running_gateway

CHANGED_BEFORE = 0.7
"""Of the requests, those of the first kind: the second mostly ends at the signature."""

BATCH = 16
"""Requests at once, each on a connection of its own."""

ANSWER_SECONDS = 30.0
"""For a request that is whole. The gateway's own deadlines are 20 s, and the machine may be busy."""

QUIET_SECONDS = 0.3
"""How long to wait for what may have lost its end, and then gets no answer before the gateway's deadline."""

WARM_UP_REQUESTS = 1000
"""Before memory is measured: code is compiled and caches fill."""

GROWTH_KIB = 48 * 1024
"""That a worker may grow by afterwards. A leak of a request's own 20 KB would take it within 2500 requests."""

PREPARED_FOR = 500
"""Requests after which the bucket is set up anew, for they change and delete what is in it."""


@dataclass(frozen=True)
class Sample:
    """A request that means something; `target` is as it goes over the wire."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    service: str = "s3"


class Broken(AssertionError):
    """The gateway did what it must never do; `request` is what it did it for, if that is known."""

    def __init__(self, what: str, request: bytes = b"") -> None:
        super().__init__(f"{what}: {request[:2000]!r}")
        self.request = request


class HTTPFuzzer:
    """Sends batches of requests to a gateway and looks at what becomes of them. Raises Broken."""

    def __init__(self, gateway: Gateway, seed: int) -> None:
        self._gateway = gateway
        self._raw = RawClient(gateway)
        self._choose = random.Random(seed)
        self.pids = gateway.children("gateway.worker")
        self._memory_before = 0
        self._samples: list[Sample] = []
        self._pools: dict[str, list[bytes]] = {}
        self.sent = 0
        self.answers: dict[int, int] = {}

    def run(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.sent % PREPARED_FOR < BATCH:
                self._prepare()
            if not self._memory_before and self.sent >= WARM_UP_REQUESTS:
                self._memory_before = self._memory()
            self._check(self._batch())
        self.check_gateway()

    def check_gateway(self) -> None:
        """The workers are those that there were, their memory did not grow, and nothing tells of a fault."""
        if self._gateway.children("gateway.worker") != self.pids:
            raise Broken("a worker died")
        told = faults(self._gateway)
        if told:
            raise Broken(f"the log tells of faults: {told[:3]}")
        if integrity_events(self._gateway):
            raise Broken("stored bytes are not what was written")
        if self._memory_before and self.growth_kib > GROWTH_KIB:
            raise Broken(f"a worker grew by {self.growth_kib} KiB")

    @property
    def growth_kib(self) -> int:
        return self._memory() - self._memory_before if self._memory_before else 0

    def _memory(self) -> int:
        return max(map(resident_kib, self.pids))

    def _prepare(self) -> None:
        """A bucket with an object, an upload with a part, and a key: whatever was made of those before."""
        s3, kms = self._gateway.client("s3"), self._gateway.client("kms")
        bucket = f"fuzz-{self._choose.randrange(1 << 60):015x}"
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="k", Body=b"body of the object" * 100, Metadata={"a": "b"})
        upload_id = s3.create_multipart_upload(Bucket=bucket, Key="u")["UploadId"]
        s3.upload_part(Bucket=bucket, Key="u", UploadId=upload_id, PartNumber=1, Body=b"part")
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        self._samples = list(samples(bucket, upload_id, key_id))
        self._pools = {
            "target": [sample.target.encode() for sample in self._samples],
            "body": [sample.body for sample in self._samples],
            "value": [value.encode() for sample in self._samples for value in sample.headers.values()],
            "name": [name.encode() for sample in self._samples for name in sample.headers],
        }

    def _batch(self) -> list[tuple[bytes, bool]]:
        """Requests, and whether each of them is whole, so that it must be answered."""
        batch = []
        for _ in range(BATCH):
            sample = self._choose.choice(self._samples)
            if self._choose.random() < CHANGED_BEFORE:
                batch.append((self._signed(self._changed(sample)), True))
            else:
                request = mutated(self._choose, [self._signed(sample)], _HTTP_WORDS)
                batch.append((request, is_whole(request)))
        return batch

    def _changed(self, sample: Sample) -> Sample:
        """With one or two of its parts changed, in ways that leave it HTTP."""
        for _ in range(self._choose.choice((1, 1, 2))):
            what = self._choose.choice(("target", "body", "header", "header", "method"))
            if what == "target":
                changed = self._mutate("target", sample.target.encode())
                path = "/" + re.sub(rb"[^!-~]|#", b"", changed).decode("ascii").lstrip("/")
                sample = replace(sample, target=path)
            elif what == "body":
                sample = replace(sample, body=self._mutate("body", sample.body))
            elif what == "method":
                sample = replace(sample, method=self._choose.choice(_METHODS))
            else:
                sample = replace(sample, headers=self._changed_headers(sample.headers))
        return sample

    def _changed_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        changed = dict(headers)
        name = self._choose.choice([*headers, *_HEADERS])
        if self._choose.random() < 0.1:
            name = re.sub(rb"[^A-Za-z0-9_-]", b"", self._mutate("name", name.encode())).decode() or "x-a"
        value = changed.get(name, _HEADERS.get(name, "a")).encode("utf-8", "surrogateescape")
        value = self._mutate("value", value)
        if name.lower() not in _FRAMING:
            text = value.decode("utf-8", "replace" if self._choose.random() < 0.9 else "surrogateescape")
            changed[name] = re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", "", text).strip()
        return changed

    def _mutate(self, pool: str, data: bytes) -> bytes:
        """`data`, changed by words of its like."""
        return mutated(self._choose, [data], tuple(self._choose.sample(self._pools[pool], 4)))

    def _signed(self, sample: Sample) -> bytes:
        if sample.service == "s3" and self._choose.random() < 0.1 and sample.method == "PUT":
            headers = {**sample.headers, "x-amz-decoded-content-length": str(len(sample.body))}
            signed = self._raw.sign("PUT", sample.target, headers, STREAMING)
            body = framed(sample.body, signed)
        else:
            body = sample.body
            signed = self._raw.sign_body(sample.method, sample.target, sample.headers, body, service=sample.service)
        return head(sample.method, sample.target, {**signed.headers, "content-length": str(len(body))}) + body

    def _check(self, batch: list[tuple[bytes, bool]]) -> None:
        for (request, must_be_answered), answer in zip(batch, exchange(self._raw, batch), strict=True):
            self.sent += 1
            if answer is None:
                if must_be_answered:
                    raise Broken(f"no answer within {ANSWER_SECONDS} s", request)
                continue
            if not answer:  # closed upon
                continue
            found = _STATUS.match(answer)
            if found is None:
                raise Broken(f"no HTTP: {answer[:200]!r}", request)
            status = int(found[1])
            self.answers[status] = self.answers.get(status, 0) + 1
            if status in (500, 502, 504) or b"HTTP/1.1 500 " in answer:
                raise Broken(f"a fault: {answer[:600]!r}", request)


_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2}) [^\r\n]*\r\n")
_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "QUERY")
_FRAMING = frozenset({"content-length", "transfer-encoding", "expect", "connection", "upgrade", "host"})
"""Headers by which a request that is whole would not be so."""

_HTTP_WORDS = (
    b"content-length: 5\r\n",
    b"transfer-encoding: chunked\r\n",
    b"expect: 100-continue\r\n",
    b"connection: close\r\n",
    b"upgrade: h2c\r\n",
    b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"0\r\n\r\n",
)
_HEADERS = {
    "range": "bytes=1-5",
    "if-match": '"a"',
    "if-none-match": "*",
    "if-modified-since": "Fri, 24 May 2013 00:00:00 GMT",
    "if-range": '"a"',
    "origin": "https://example.com",
    "access-control-request-method": "PUT",
    "content-type": "text/plain",
    "content-encoding": "gzip",
    "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "content-disposition": "attachment",
    "expires": "0",
    "user-agent": "a",
    "referer": "a",
    "x-amz-meta-a": "b",
    "x-amz-acl": "private",
    "x-amz-tagging": "a=b&c=d",
    "x-amz-storage-class": "STANDARD_IA",
    "x-amz-checksum-crc32": "AAAAAA==",
    "x-amz-checksum-algorithm": "SHA256",
    "x-amz-checksum-type": "COMPOSITE",
    "x-amz-checksum-mode": "ENABLED",
    "x-amz-sdk-checksum-algorithm": "CRC32",
    "x-amz-trailer": "x-amz-checksum-crc32",
    "x-amz-decoded-content-length": "4",
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "alias/aws/s3",
    "x-amz-server-side-encryption-context": "eyJhIjoiYiJ9",
    "x-amz-copy-source": "/bucket/k",
    "x-amz-copy-source-range": "bytes=0-1",
    "x-amz-copy-source-if-match": "a",
    "x-amz-metadata-directive": "REPLACE",
    "x-amz-tagging-directive": "REPLACE",
    "x-amz-rename-source": "k",
    "x-amz-client-token": "a",
    "x-amz-object-attributes": "ETag,Checksum,ObjectParts,StorageClass,ObjectSize",
    "x-amz-max-parts": "1",
    "x-amz-part-number-marker": "1",
    "x-amz-mp-object-size": "4",
    "x-amz-request-payer": "requester",
    "x-amz-expected-bucket-owner": "123456789012",
    "x-amz-source-expected-bucket-owner": "123456789012",
    "x-amz-object-ownership": "ObjectWriter",
    "x-amz-bucket-namespace": "global",
    "x-amz-target": "TrentService.ListKeys",
}


def is_whole(request: bytes) -> bool:
    """Whether by any reading this is one request, and all of it: a strict one, so that most are not."""
    block, end, body = request.partition(b"\r\n\r\n")
    line, *lines = block.split(b"\r\n")
    if not end or not re.fullmatch(rb"[A-Z]+ /[!-~]* HTTP/1\.1", line):
        return False
    names = [each.partition(b":")[0].lower() for each in lines]
    if not all(re.fullmatch(rb"[a-z0-9-]+", name) for name in names) or b"\n" in block.replace(b"\r\n", b""):
        return False
    if {b"transfer-encoding", b"expect", b"upgrade", b"connection"} & set(names) or names.count(b"content-length") != 1:
        return False
    length = lines[names.index(b"content-length")].partition(b":")[2].strip()
    return bool(re.fullmatch(rb"[0-9]{1,6}", length)) and int(length) == len(body)


def exchange(raw: RawClient, batch: list[tuple[bytes, bool]]) -> list[bytes | None]:
    """The first answer to each, b"" for a connection that was closed without one, None where nothing came in time."""
    answers: list[bytes | None] = [None] * len(batch)
    received = [bytearray() for _ in batch]
    deadline = time.monotonic() + ANSWER_SECONDS
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for number, (request, _) in enumerate(batch):
            connection = stack.enter_context(raw.connect())
            with suppress(ConnectionError):  # refused before all of it was sent: the answer is there all the same
                connection.send(request)
            selector.register(connection.socket, selectors.EVENT_READ, number)
        while selector.get_map() and time.monotonic() < deadline:
            is_waiting = any(batch[key.data][1] for key in selector.get_map().values())
            ready = selector.select(ANSWER_SECONDS if is_waiting else QUIET_SECONDS)
            if not ready and not is_waiting:
                break
            for key, _ in ready:
                number = key.data
                if _take(key.fileobj, received[number], is_head=batch[number][0].startswith(b"HEAD ")):
                    answers[number] = bytes(received[number])
                    selector.unregister(key.fileobj)
    return answers


def _take(connection: Any, received: bytearray, *, is_head: bool) -> bool:
    """Read what is there; whether an answer is whole now, or none will come."""
    assert isinstance(connection, socket.socket)
    try:
        data = connection.recv(65_536)
    except ConnectionError:
        data = b""
    received += data
    if not data:
        return True
    while received.startswith(b"HTTP/1.1 100 ") and b"\r\n\r\n" in received:
        del received[: received.index(b"\r\n\r\n") + 4]
    block, end, body = bytes(received).partition(b"\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: ([0-9]+)", block)
    return bool(end) and (is_head or length is None or len(body) >= int(length[1]))


def samples(bucket: str, upload_id: str, key_id: str) -> Iterator[Sample]:
    """Requests of every family, which succeed as they are or are refused for one reason."""
    object_, upload = f"/{bucket}/k", f"/{bucket}/u?uploadId={upload_id}"
    encryption = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": key_id}
    yield Sample("GET", "/?max-buckets=10&prefix=fuzz")
    yield Sample("HEAD", f"/{bucket}")
    for query in (
        "list-type=2&prefix=k&delimiter=%2F&max-keys=3&start-after=a&encoding-type=url",
        "prefix=&marker=a&max-keys=1",
        "versions&key-marker=k&version-id-marker=null&max-keys=2",
        "uploads&key-marker=a&upload-id-marker=b&max-uploads=1&delimiter=u",
        "location",
        "policyStatus",
        "cors",
        "lifecycle",
        "list-type=2&continuation-token=AAAA",
    ):
        yield Sample("GET", f"/{bucket}?{query}")
    yield Sample("GET", f"{object_}?response-content-type=a&versionId=null", {"range": "bytes=1-5", "if-match": "*"})
    yield Sample("GET", f"{object_}?partNumber=1", {"x-amz-checksum-mode": "ENABLED"})
    yield Sample("HEAD", object_, {"if-none-match": '"a"', "if-modified-since": "Fri, 24 May 2013 00:00:00 GMT"})
    yield Sample(
        "GET", f"{object_}?attributes", {"x-amz-object-attributes": "ETag,ObjectParts", "x-amz-max-parts": "1"}
    )
    yield Sample("GET", f"{object_}?tagging")
    yield Sample("GET", f"{object_}?acl")
    yield Sample("PUT", f"{object_}?acl", {"x-amz-acl": "private"})
    yield Sample("PUT", object_, {"content-type": "text/plain", "x-amz-meta-a": "b", "x-amz-tagging": "a=b"}, b"body")
    yield Sample("PUT", object_, {**encryption, "x-amz-server-side-encryption-context": "eyJhIjoiYiJ9"}, b"body")
    yield Sample("PUT", f"/{bucket}/c", {"x-amz-copy-source": f"{object_}?versionId=null", **encryption})
    yield Sample("PUT", f"/{bucket}/r?renameObject", {"x-amz-rename-source": "k", "x-amz-client-token": "a"})
    yield Sample("DELETE", f"{object_}?versionId=null", {"if-match": "*"})
    yield Sample("PUT", f"{object_}?tagging", {}, _tagging())
    yield Sample("POST", f"/{bucket}/u?uploads", {"x-amz-checksum-algorithm": "CRC32", **encryption})
    yield Sample("PUT", f"{upload}&partNumber=2", {"x-amz-checksum-crc32": "AAAAAA=="}, b"part")
    yield Sample(
        "PUT", f"{upload}&partNumber=3", {"x-amz-copy-source": object_, "x-amz-copy-source-range": "bytes=0-4"}
    )
    yield Sample("GET", f"{upload}&max-parts=1&part-number-marker=0")
    part = _xml("Part", _xml("PartNumber", b"1") + _xml("ETag", b"1afd1bb59e80b1a2e8bdd1ce37cdbf1f"))
    yield Sample("POST", upload, {"x-amz-mp-object-size": "4"}, _xml("CompleteMultipartUpload", part))
    yield Sample("DELETE", upload)
    objects = _xml("Object", _xml("Key", b"x"))
    objects += _xml("Object", _xml("Key", b"k") + _xml("VersionId", b"null"))
    yield Sample("POST", f"/{bucket}?delete", {}, _xml("Delete", _xml("Quiet", b"false") + objects))
    yield from _configurations(bucket)
    yield Sample("OPTIONS", object_, {"origin": "https://a.b", "access-control-request-method": "GET"})
    yield _form(bucket)
    yield from _key_service(key_id)
    yield from _identities()


def _xml(name: str, content: bytes) -> bytes:
    return f"<{name}>".encode() + content + f"</{name}>".encode()


def _lifecycle() -> bytes:
    tags = _xml("And", b"".join(_xml("Tag", _xml("Key", key) + _xml("Value", b"")) for key in (b"a", b"b")))
    return _xml(
        "LifecycleConfiguration",
        b"".join(
            _xml("Rule", _xml("ID", name) + _xml("Filter", which) + _xml("Status", b"Disabled") + action)
            for name, which, action in (
                (b"a", tags, _xml("Expiration", _xml("Days", b"9"))),
                (b"b", _xml("Prefix", b"k"), _xml("Expiration", _xml("Date", b"2030-01-01T00:00:00Z"))),
                (b"c", b"", _xml("AbortIncompleteMultipartUpload", _xml("DaysAfterInitiation", b"9"))),
            )
        ),
    )


def _tagging() -> bytes:
    return _xml("Tagging", _xml("TagSet", _xml("Tag", _xml("Key", b"a") + _xml("Value", b"b"))))


def _configurations(bucket: str) -> Iterator[Sample]:
    cors = _xml("CORSRule", _xml("AllowedOrigin", b"*") + _xml("AllowedMethod", b"GET"))
    default = _xml("ApplyServerSideEncryptionByDefault", _xml("SSEAlgorithm", b"AES256"))
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"123456789012"},"Action":"s3:Get*",'
        f'"Resource":"arn:aws:s3:::{bucket}/*","Condition":{{"StringLike":{{"aws:UserAgent":"a*b"}}}}}}]}}'
    )
    for name, document in {
        "cors": _xml("CORSConfiguration", cors),
        "encryption": _xml("ServerSideEncryptionConfiguration", _xml("Rule", default)),
        "policy": policy.encode(),
        "tagging": _tagging(),
        "versioning": _xml("VersioningConfiguration", _xml("Status", b"Enabled")),
        "publicAccessBlock": _xml("PublicAccessBlockConfiguration", _xml("BlockPublicAcls", b"true")),
        "ownershipControls": _xml("OwnershipControls", _xml("Rule", _xml("ObjectOwnership", b"ObjectWriter"))),
        "requestPayment": _xml("RequestPaymentConfiguration", _xml("Payer", b"Requester")),
        "accelerate": _xml("AccelerateConfiguration", _xml("Status", b"Enabled")),
        "lifecycle": _lifecycle(),
    }.items():
        yield Sample("PUT", f"/{bucket}?{name}", {}, document)
        yield Sample("DELETE", f"/{bucket}?{name}")
    constraint = _xml("CreateBucketConfiguration", _xml("LocationConstraint", b"us-east-1"))
    yield Sample("PUT", f"/{bucket}-b", {"x-amz-object-ownership": "ObjectWriter"}, constraint)
    yield Sample("DELETE", f"/{bucket}-b")


def _form(bucket: str) -> Sample:
    def part(disposition: str, data: str) -> str:
        return f"--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{data}\r\n"

    fields = part('name="key"', "${filename}") + part('name="success_action_status"', "201")
    body = fields + part('name="policy"', "e30=") + part('name="file"; filename="f"', "the file") + "--b--\r\n"
    return Sample("POST", f"/{bucket}", {"content-type": "multipart/form-data; boundary=b"}, body.encode())


def _key_service(key_id: str) -> Iterator[Sample]:
    bodies = {
        "Encrypt": f'{{"KeyId":"{key_id}","Plaintext":"AAAA","EncryptionContext":{{"a":"b"}}}}',
        "Decrypt": '{"CiphertextBlob":"AQEAAAAA","GrantTokens":["a"]}',
        "GenerateDataKey": f'{{"KeyId":"{key_id}","KeySpec":"AES_256"}}',
        "CreateKey": '{"Description":"d","Tags":[{"TagKey":"a","TagValue":"b"}]}',
        "DescribeKey": f'{{"KeyId":"{key_id}"}}',
        "ListKeys": '{"Limit":2,"Marker":"aw=="}',
        "CreateAlias": f'{{"AliasName":"alias/a","TargetKeyId":"{key_id}"}}',
        "CreateGrant": f'{{"KeyId":"{key_id}","GranteePrincipal":"arn:aws:iam::123456789012:user/u",'
        '"Operations":["Decrypt"],"Constraints":{"EncryptionContextSubset":{"a":"b"}}}',
        "PutKeyPolicy": f'{{"KeyId":"{key_id}","PolicyName":"default","Policy":"{{}}"}}',
        "TagResource": f'{{"KeyId":"{key_id}","Tags":[{{"TagKey":"a","TagValue":"b"}}]}}',
        "GenerateRandom": '{"NumberOfBytes":32}',
        "EnableKeyRotation": f'{{"KeyId":"{key_id}","RotationPeriodInDays":90}}',
    }
    for name, body in bodies.items():
        headers = {"x-amz-target": f"TrentService.{name}", "content-type": "application/x-amz-json-1.1"}
        yield Sample("POST", "/", headers, body.encode(), service="kms")


def _identities() -> Iterator[Sample]:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    who = b"Action=GetCallerIdentity&Version=2011-06-15"
    yield Sample("POST", "/", headers, who, service="sts")
    yield Sample("GET", f"/?{who.decode()}", service="sts")
    policy = quote('{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}')
    for asked in (
        "CreateUser&UserName=u&Path=%2Fa%2F&Tags.member.1.Key=a&Tags.member.1.Value=b",
        "GetUser&UserName=u",
        "ListUsers&MaxItems=10&PathPrefix=%2F&Marker=a",
        f"PutUserPolicy&UserName=u&PolicyName=p&PolicyDocument={policy}",
        "GetUserPolicy&UserName=u&PolicyName=p",
        "TagUser&UserName=u&Tags.member.1.Key=a&Tags.member.1.Value=b&Tags.member.2.Key=c&Tags.member.2.Value=",
        "CreateAccessKey&UserName=u",
        "ListAccessKeys&UserName=u&MaxItems=1",
        "UpdateUser&UserName=u&NewUserName=v&NewPath=%2F",
        "DeleteUser&UserName=v",
    ):
        yield Sample("POST", "/", headers, f"Version=2010-05-08&Action={asked}".encode(), service="iam")


def fuzz_http(seconds: float, seed: int, directory: Path, say: Callable[[str], None] = print) -> int:
    """Against a gateway of its own; 0, or 1 if it broke. The request that broke it is written to `directory`."""
    with tempfile.TemporaryDirectory(prefix="fuzz-http-") as data, running_gateway(Path(data)) as gateway:
        fuzzer = HTTPFuzzer(gateway, seed)
        try:
            fuzzer.run(seconds)
        except Broken as broken:
            path = directory / f"http-{seed}"
            path.write_bytes(broken.request)
            log = directory / f"http-{seed}.log"
            log.write_bytes(gateway.log_path.read_bytes()[-200_000:])
            say(f"http: seed {seed}, {fuzzer.sent} requests, BROKEN: {broken} (request in {path}, log in {log})")
            return 1
        answers = ", ".join(f"{status} {count}" for status, count in sorted(fuzzer.answers.items()))
        say(f"http: seed {seed}, {fuzzer.sent} requests ({answers}), a worker grew by {fuzzer.growth_kib} KiB")
        return 0
