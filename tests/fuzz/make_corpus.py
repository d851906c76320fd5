"""Makes the corpus anew: `python -m tests.fuzz.make_corpus`. The same bytes every time.

Inputs that once broke a target lie beside these under names that begin with `found-`, and are left alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from uuid import UUID

from botocore.auth import HmacV1Auth, HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.protocol.modes import BlobKind, Mode, Wrap
from gateway.sealing import row as sealed_rows
from gateway.sealing import wraps
from gateway.sealing.footer import Envelope, format_envelope
from gateway.sealing.format import lp
from gateway.sealing.stream import BlobSealer
from iam.requests import RequestHead
from iam.session_tokens import SessionToken, SessionTokens
from kms.api.types import DescribeKey
from kms.hsm.interface import RootIdentity
from kms.keys.record_format import RecordHeader, format_header
from kms.service.paging import format_alias_marker, format_key_marker
from kms.store.archive import ArchiveHeader, write_archive
from kms.wire import HEALTH, VERB_OF, format_frame, format_refusal
from tests.fuzz.target import CORPUS
from tests.fuzz.targets import kms, stored, uploads
from tests.fuzz.targets.identities import KEY_SET, TOKEN_KEY_ID, UNSEALED_TOKENS
from tests.iam.botocore_signing import presigned_by_s3, signed_by_s3_header, signed_for_kms
from tests.iam.checks import ACCESS_KEY_ID, SECRET_TEXT
from tests.iam.store.test_sqlite import AESGCMSecretSealer
from tests.iam.test_session_tokens import TOKEN
from tests.iam.test_sessions import OF_ANN

Seeds = Mapping[str, bytes]


def head_bytes(head: RequestHead) -> bytes:
    target = head.target_path + (f"?{head.target_query}" if head.target_query else "")
    lines = [f"{head.method} {target}", *(f"{name}: {value}" for name, value in head.headers.items())]
    return "\n".join(lines).encode() + b"\n"


def signatures() -> dict[str, Seeds]:
    context = {"x-amz-meta-a": "b  c", "content-type": "text/plain"}
    changed = signed_by_s3_header("GET", "/bucket/other")
    return {
        "signature-v4": {
            "get": head_bytes(signed_by_s3_header("GET", "/bucket/a%20b?versionId=x&prefix=%C3%A9")),
            "put": head_bytes(signed_by_s3_header("PUT", "/bucket/k", context, b"body")),
            "put-unsigned": head_bytes(signed_by_s3_header("PUT", "/bucket/k", context, b"body", signs_payload=False)),
            "presigned": head_bytes(presigned_by_s3("GET", "/bucket/k?response-content-type=a/b")),
            "presigned-put": head_bytes(presigned_by_s3("PUT", "/bucket/k", {"x-amz-meta-a": "b"})),
            "changed": head_bytes(RequestHead("GET", "/bucket/k", "", changed.headers)),
            "anonymous": b"GET /bucket/k\nhost: 127.0.0.1:9000\n",
        },
        "signature-v4-kms": {
            "encrypt": head_bytes(signed_for_kms("TrentService.Encrypt", b"{}")[0]),
            "path": head_bytes(signed_for_kms("TrentService.Decrypt", b"{}", path="/a/../b%20c/?d=e")[0]),
        },
        "signature-v2": {
            "header": b"\n" + head_bytes(_version_2("GET", "/bucket/k?versionId=a&prefix=b")),
            "header-amz": b"\n"
            + head_bytes(_version_2("PUT", "/bucket/k", {"x-amz-meta-a": "b", "content-md5": "abc="})),
            "bucket": b"\n" + head_bytes(_version_2("GET", "/bucket/?acl")),
            "url": b"\n" + head_bytes(_url_of_version_2("GET", "/bucket/k?response-content-type=a%2Fb")),
            "url-moved": b"\n"
            + head_bytes(_url_of_version_2("PUT", "/bucket/k", {"x-amz-acl": "private", "content-type": "a"})),
            "host": b"bucket\n" + head_bytes(replace(_version_2("GET", "/bucket/k"), target_path="/k")),
        },
        "signature-form": {
            "version-4": _form_of_version_4(),
            "version-2": _form_of_version_2(),
            "unsigned": b"key: k\npolicy: e30=\n",
        },
    }


def _version_2(method: str, target: str, headers: Mapping[str, str] | None = None) -> RequestHead:
    signer = HmacV1Auth(Credentials(ACCESS_KEY_ID, SECRET_TEXT))
    request = AWSRequest(method, f"http://127.0.0.1:9000{target}", dict(headers or {}))
    signer._get_date = lambda: "Fri, 24 May 2013 00:00:00 GMT"
    signer.add_auth(request)
    return _head(method, target, request)


def _url_of_version_2(method: str, target: str, moved: Mapping[str, str] | None = None) -> RequestHead:
    """`moved` are headers when it is signed, and parameters of the URL."""
    signer = HmacV1QueryAuth(Credentials(ACCESS_KEY_ID, SECRET_TEXT))
    request = AWSRequest(method, f"http://127.0.0.1:9000{target}", dict(moved or {}))
    signer._get_date = lambda: "1369357200"  # an hour after the time of these tests
    signer.add_auth(request)
    return _head(method, request.url.removeprefix("http://127.0.0.1:9000"), request)


def _head(method: str, target: str, request: AWSRequest) -> RequestHead:
    path, _, query = target.partition("?")
    headers = {} if "Signature=" in query else {name.lower(): str(value) for name, value in request.headers.items()}
    return RequestHead(method, path, query, {"host": "127.0.0.1:9000", **headers})


_FORM_POLICY = base64.b64encode(b'{"expiration":"2030-01-01T00:00:00Z","conditions":[{"bucket":"bucket"}]}').decode()


def _form_of_version_4() -> bytes:
    key = b"AWS4" + SECRET_TEXT.encode()
    for part in ("20130524", "us-east-1", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    fields = {
        "policy": _FORM_POLICY,
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{ACCESS_KEY_ID}/20130524/us-east-1/s3/aws4_request",
        "x-amz-date": "20130524T000000Z",
        "x-amz-signature": hmac.digest(key, _FORM_POLICY.encode(), "sha256").hex(),
    }
    return _lines(fields)


def _form_of_version_2() -> bytes:
    signature = base64.b64encode(hmac.digest(SECRET_TEXT.encode(), _FORM_POLICY.encode(), "sha1")).decode()
    return _lines({"policy": _FORM_POLICY, "awsaccesskeyid": ACCESS_KEY_ID, "signature": signature})


def _lines(headers: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\n" for name, value in headers.items()).encode()


def bodies() -> dict[str, Seeds]:
    trailer = ("x-amz-checksum-crc32", "AAAAAA==")
    empty, two, small = uploads.SIGNED_PAYLOADS
    return {
        "aws-chunked": {
            "unsigned": b"unsigned 6\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
            "unsigned-trailer": b"unsigned 3 x-amz-checksum-crc32\n3\r\nabc\r\n0\r\n"
            b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n",
            "extension": b"unsigned 3\n3;name=value\r\nabc\r\n0\r\n\r\n",
            "empty": b"unsigned 0\n0\r\n\r\n",
            "signed": _framed([two[:8192], two[8192:]]),
            "signed-one": _framed([small]),
            "signed-empty": _framed([empty]),
            "signed-trailer": _framed([small], [trailer]),
        }
    }


def _framed(chunks: Sequence[bytes], trailers: Sequence[tuple[str, str]] = ()) -> bytes:
    context = f"{uploads.TIMESTAMP}\n{uploads.SCOPE}\n"
    previous = uploads.SEED
    framed = b""
    for chunk in [*filter(None, chunks), b""]:
        digests = f"{_sha256(b'')}\n{_sha256(chunk)}"
        previous = _signed(f"AWS4-HMAC-SHA256-PAYLOAD\n{context}{previous}\n{digests}")
        framed += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + (chunk + b"\r\n" if chunk else b"")
    framed += "".join(f"{name}:{value}\r\n" for name, value in trailers).encode()
    if trailers:
        lines = "".join(f"{name}:{value}\n" for name, value in trailers).encode()
        signature = _signed(f"AWS4-HMAC-SHA256-TRAILER\n{context}{previous}\n{_sha256(lines)}")
        framed += f"x-amz-trailer-signature:{signature}\r\n".encode()
    names = "".join(f" {name}" for name, _ in trailers)
    return f"signed {sum(map(len, chunks))}{names}\n".encode() + framed + b"\r\n"


def _signed(text: str) -> str:
    return hmac.digest(uploads.SIGNING_KEY, text.encode(), "sha256").hex()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type'
_NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_CORS = (
    f"<CORSConfiguration{_NAMESPACE}><CORSRule><ID>a</ID><AllowedOrigin>https://*.example.com</AllowedOrigin>"
    "<AllowedMethod>PUT</AllowedMethod><AllowedMethod>GET</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader>"
    "<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule>"
    "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
)


def documents() -> dict[str, Seeds]:
    tags = "<Tag><Key>a</Key><Value>b &amp; c</Value></Tag><Tag><Key>d</Key><Value/></Tag>"
    texts = {
        "cors": _CORS,
        "tagging": f"<Tagging><TagSet>{tags.replace(' &amp; ', '+')}</TagSet></Tagging>",
        "tagging-bad": f"<Tagging{_NAMESPACE}><TagSet>{tags}</TagSet></Tagging>",
        "delete": f"<Delete{_NAMESPACE}><Quiet>true</Quiet><Object><Key>a&#13;&lt;</Key><VersionId>null</VersionId>"
        '<ETag>"x"</ETag></Object><Object><Key>é</Key></Object></Delete>',
        "complete": "<CompleteMultipartUpload><Part><ETag>&quot;a&quot;</ETag><PartNumber>1</PartNumber>"
        "<ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part><Part><PartNumber>10000</PartNumber><ETag>b</ETag></Part>"
        "</CompleteMultipartUpload>",
        "encryption": f"<ServerSideEncryptionConfiguration{_NAMESPACE}><Rule><ApplyServerSideEncryptionByDefault>"
        "<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>alias/a</KMSMasterKeyID>"
        "</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled><BlockedEncryptionTypes>"
        "<EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>",
        "public": "<PublicAccessBlockConfiguration><BlockPublicAcls>TRUE</BlockPublicAcls><IgnorePublicAcls>0"
        "</IgnorePublicAcls></PublicAccessBlockConfiguration>",
        "ownership": "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>"
        "</OwnershipControls>",
        "payment": "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>",
        "accelerate": "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>",
        "abac": "<AbacStatus><Status>Disabled</Status></AbacStatus>",
        "versioning": '<?xml version="1.0" encoding="UTF-8"?><VersioningConfiguration><Status>Enabled</Status>'
        "<MfaDelete>Disabled</MfaDelete></VersioningConfiguration>",
        "create": f"<CreateBucketConfiguration{_NAMESPACE}><LocationConstraint>eu-west-1</LocationConstraint><Tags>"
        "<Tag><Key>a</Key><Value>b</Value></Tag></Tags></CreateBucketConfiguration>",
        "location": "<LocationConstraint>eu-de</LocationConstraint>",
        "error": "<Error><Code>NoSuchKey</Code><Message>m</Message><Key>k</Key><Resource>/b</Resource></Error>",
        "acl": f"<AccessControlPolicy><Owner><ID>a</ID></Owner><AccessControlList><Grant>"
        f'<Grantee {_XSI}="CanonicalUser">'
        "<ID>b</ID><DisplayName>c</DisplayName></Grantee><Permission>FULL_CONTROL</Permission></Grant><Grant><Grantee "
        f'{_XSI}="Group"><URI>http://acs.amazonaws.com/groups/s3/LogDelivery</URI></Grantee><Permission>WRITE</Permission>'
        "</Grant></AccessControlList></AccessControlPolicy>",
        "entity": "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><Tagging><TagSet>&b;</TagSet></Tagging>",
        "prefixed": '<a:Tagging xmlns:a="urn:x"><a:TagSet><!-- c --><a:Tag><Key><![CDATA[k]]></Key><Value>v</Value>'
        "</a:Tag></a:TagSet></a:Tagging>",
    }
    asked = _lines({
        "origin": "https://a.example.com",
        "access-control-request-method": "PUT",
        "access-control-request-headers": "x-amz-date, X-Amz-Meta-A",
    })  # fmt: skip
    return {
        "xml": {name: text.encode() for name, text in texts.items()},
        "cors": {
            "preflight": asked + b"\n" + _CORS.encode(),
            "any": b"origin: null\naccess-control-request-method: GET\n\n" + _CORS.encode(),
        },
    }


def headers() -> dict[str, Seeds]:
    sse = "x-amz-server-side-encryption"
    customer_key = base64.b64encode(bytes(range(32)))
    customer_md5 = base64.b64encode(hashlib.md5(bytes(range(32)), usedforsecurity=False).digest()).decode()
    return {
        "range": {
            "middle": b"100\nbytes=10-19",
            "open": b"100\nbytes=10-",
            "suffix": b"100\nbytes=-5",
            "beyond": b"100\nbytes=100-",
            "several": b"100\nbytes=0-1,5-6",
            "huge": b"0\nbytes=18446744073709551615-18446744073709551616",
        },
        "query": {
            "v2": b"list-type=2&prefix=a%20b%2F&delimiter=%2F&max-keys=10&start-after=x+y&fetch-owner=true"
            b"&encoding-type=url",
            "v1": b"prefix=%C3%A9&marker=m&max-keys=1001",
            "versions": b"versions&key-marker=k&version-id-marker=null&max-keys=0",
            "uploads": b"uploads&key-marker=k&upload-id-marker=AAAAAAAAAAAAAAAAAAAAAA&max-uploads=1",
            "parts": b"uploadId=AAAAAAAAAAAAAAAAAAAAAA&part-number-marker=3&max-parts=2&partNumber=10000",
            "buckets": b"max-buckets=10000&bucket-region=us-east-1&continuation-token=abc",
            "overrides": b"response-content-type=a%2Fb&response-expires=%0d%0aX: y&versionId=",
        },
        "address": {
            "path": b"127.0.0.1:9000\n/bucket/a%2Fb/../%C3%A9//c",
            "host": b"bucket.s3.example.com:9000\n/key",
            "v6": b"[::1]:9000\n/bucket",
            "service": b"s3.example.com\n/",
            "no-bucket": b"x\n//key",
            "bad": b"x\n/bucket/%zz%ED%A0%80",
        },
        "copy-source": {
            "plain": b"/bucket/a%20b%3Fc",
            "version": b"bucket/key?versionId=null",
            "arn": b"arn:aws:s3:::bucket/key",
            "escaped": b"bucket%2Fkey%3FversionId=x",
            "bad": b"bucket/%ff",
        },
        "forwarded": {
            "client": _lines({"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"}),
            "chain": _lines({"x-forwarded-for": "6.6.6.6, 203.0.113.7, 10.0.0.2", "x-forwarded-proto": "https, http"}),
            "ports": _lines({"x-forwarded-for": "203.0.113.7:51234, [fd00::2]:443"}),
            "mapped": _lines({"x-forwarded-for": "2001:db8::7%eth0, ::ffff:10.0.0.2"}),
            "nonsense": _lines({"x-forwarded-for": "unknown, _hidden, 10.0.0.9"}),
        },
        "tags": {"two": b"a=b&c%20d=e%2Bf", "one": b"%F0%9F%98%80=", "twice": b"a=b&a=c", "reserved": b"aws:a=b"},
        "object-headers": {
            "content": _lines({
                "content-type": "text/plain; charset=utf-8",
                "content-encoding": "aws-chunked, gzip",
                "cache-control": "no-cache",
                "content-disposition": 'attachment; filename="é"',
                "content-language": "de",
                "expires": "Fri, 24 May 2013 00:00:00 GMT",
                "x-amz-meta-a": "b",
                "x-amz-meta-é": "ü",
                "x-amz-storage-class": "STANDARD_IA",
                "x-amz-website-redirect-location": "/a",
            }),
            "latin-1": b"x-amz-meta-a: \xe9\ncontent-type: \xe9\n",
            "refused": _lines({
                "x-amz-acl": "public-read",
                "x-amz-grant-read": "id=a",
                "x-amz-object-lock-mode": "GOVERNANCE",
                "if-match": "a",
            }),
            "grants": _lines(
                {
                    "x-amz-grant-read": 'id="a", uri=http://acs.amazonaws.com/groups/global/AllUsers',
                    "x-amz-grant-write-acp": "ID = b ,id=c",
                    "x-amz-website-redirect-location": "/a",
                }
            ),
            "attributes": _lines({
                "x-amz-object-attributes": "ETag, Checksum,ObjectParts",
                "x-amz-max-parts": "10",
                "x-amz-part-number-marker": "2",
                "x-amz-expected-bucket-owner": "123456789012",
                "x-amz-object-ownership": "ObjectWriter",
                "user-agent": "a" * 30,
            }),
        },
        "encryption-headers": {
            "kms": _lines({sse: "aws:kms", f"{sse}-aws-kms-key-id": "alias/a", f"{sse}-context": "eyJhIjoiYiJ9"}),
            "s3": _lines({sse: "AES256", f"{sse}-bucket-key-enabled": "false"}),
            "customer": _lines({
                f"{sse}-customer-algorithm": "AES256",
                f"{sse}-customer-key": customer_key.decode(),
                f"{sse}-customer-key-md5": customer_md5,
            }),
            "context": base64.b64encode('{"a":"b","é":"\\u00fc"}'.encode()),
            "context-nested": base64.b64encode(b'{"a":' + b"[" * 300),
        },
        "payload-headers": {
            "trailer": _lines({
                "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                "x-amz-trailer": "x-amz-checksum-crc32",
                "x-amz-decoded-content-length": "1024",
                "x-amz-sdk-checksum-algorithm": "CRC32",
                "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
            }),
            "hash": _lines({"x-amz-content-sha256": "0" * 64, "x-amz-checksum-sha256": "A" * 43 + "="}),
            "type": _lines({"x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "FULL_OBJECT"}),
            "composite": _lines({"x-amz-checksum-crc32c": "AAAAAA==-3", "transfer-encoding": "chunked"}),
        },
        "conditions": {
            "tags": _lines({"if-match": '"a", W/"b", "d41d8cd98f00b204e9800998ecf8427e"', "if-none-match": "*"}),
            "dates": _lines({
                "if-modified-since": "Fri, 24 May 2013 00:00:00 GMT",
                "if-unmodified-since": "Friday, 24-May-13 00:00:00 GMT",
                "x-amz-copy-source-if-modified-since": "Fri May  3 00:00:00 2013",
                "if-range": "Fri, 24 May 2013 00:00:60 GMT",
            }),
        },
    }  # fmt: skip


def policies() -> dict[str, Seeds]:
    allow = (
        '{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":["s3:Get*","kms:Decrypt"],'
        '"Resource":["arn:aws:s3:::bucket/${aws:username}/*","*"],"Condition":{"StringLike":{"s3:prefix":"photos/*a*a*"},'
        '"IpAddress":{"aws:SourceIp":["192.0.2.0/24","2001:db8::/32"]},"NumericLessThan":{"aws:EpochTime":1500.5},'
        '"DateGreaterThanIfExists":{"aws:CurrentTime":"2026-01-01T00:00:00Z"},"Bool":{"aws:SecureTransport":true},'
        '"Null":{"aws:TokenIssueTime":"true"},"ForAnyValue:StringEquals":{"kms:EncryptionContextKeys":["a","b"]}}},'
        '{"Effect":"Deny","NotAction":"s3:*","NotResource":"arn:aws:s3:::other*"}]}'
    )
    bucket = (
        '{"Id":"p","Version":"2008-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root",'
        '"444455556666"],"CanonicalUser":"'
        + "a"
        * 64
        + '"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*",'
        '"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/?lice"},"BinaryEquals":{"a":"AAAA"}}}}'
    )
    public = (
        '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::bucket",'
        '"arn:aws:s3:::bucket/*"],"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-abc"}}}]}'
    )
    key = (
        '{"Version":"2012-10-17","Id":"k","Statement":[{"Sid":"Enable all","Effect":"Allow","Principal":'
        '{"AWS":"arn:aws:iam::111122223333:root","Service":"s3.amazonaws.com"},"Action":"kms:*","Resource":"*"},'
        '{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:sts::111122223333:assumed-role/reader/s1"},"Action":"kms:Sign",'
        '"Resource":"*","Condition":{"ForAllValues:StringLike":{"kms:EncryptionContextKeys":"a*"}}}]}'
    )
    written = {
        name: text.encode()
        for name, text in (("identity", allow), ("bucket", bucket), ("public", public), ("key", key))
    }
    return {
        "policy": written,
        "bucket-policy": {name: written[name] for name in ("bucket", "public")},
        "key-policy": {"key": written["key"]},
    }


def forms() -> dict[str, Seeds]:
    def part(disposition: str, data: str) -> str:
        return f"--boundary\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{data}\r\n"

    fields = (
        part('name="key"', "photos/${filename}")
        + part('name="acl"', "private")
        + part('name="Content-Type"', "text/plain")
        + part('name="success_action_redirect"', "https://example.com/a?b=c#d")
        + part('name="tagging"', "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>")
        + part('name="x-amz-meta-a"', "é")
        + part('name="x-ignore-b"', "c")
    )
    file = part('name="file"; filename="C:\\dir\\a%22b.txt"\r\nContent-Type: text/plain', "the file\r\n--bounda")
    line = "multipart/form-data; boundary=boundary\n"
    policy = (
        '{"expiration":"2030-01-01T00:00:00.000Z","conditions":[{"bucket":"bucket"},["starts-with","$key","photos/"],'
        '["eq","$acl","private"],["starts-with","$Content-Type","text/"],["content-length-range",1,"1048576"]]}'
    )
    given = _lines({"key": "photos/a", "acl": "private", "content-type": "text/plain,text/html", "x-ignore-a": "b"})
    return {
        "form": {
            "whole": (line + fields + file + "--boundary--\r\n").encode(),
            "preamble": (line + "x\r\n" + file + part('name="after"', "y") + "--boundary--").encode(),
            "quoted": (
                b'multipart/form-data; charset=utf-8; boundary="a b"\n--a b \r\n'
                b'content-disposition: form-data; name=key\r\n\r\nk\r\n--a b\r\nContent-Disposition: form-data; '
                b'name=file\r\n\r\n\r\n--a b--'
            ),
            "no-file": (line + part('name="key"', "k") + "--boundary--").encode(),
        },
        "form-policy": {
            "json": given + b"\n" + policy.encode(),
            "base64": given + b"\n" + base64.b64encode(policy.encode()),
            "nested": b"\n" + b'{"expiration":' + b"[" * 500 + b"]" * 500 + b',"conditions":[]}',
        },
    }  # fmt: skip


def key_service() -> dict[str, Seeds]:
    arn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    requests = {
        "encrypt": ("Encrypt", '{"KeyId":"alias/a","Plaintext":"AAAA","EncryptionContext":{"a":"b"},'
                    '"GrantTokens":["x"]}'),
        "decrypt": ("Decrypt", '{"CiphertextBlob":"AAAA","DryRun":true,"DryRunModifiers":["IGNORE_CIPHERTEXT"]}'),
        "data-key": ("GenerateDataKey", f'{{"KeyId":"{arn}","NumberOfBytes":64}}'),
        "create": ("CreateKey", '{"Tags":[{"TagKey":"a","TagValue":"b"}],"KeySpec":"RSA_2048","KeyUsage":"SIGN_VERIFY",'
                   '"Policy":"{}","Description":"d","MultiRegion":false,"Origin":"EXTERNAL"}'),
        "grant": ("CreateGrant", f'{{"KeyId":"{arn}","GranteePrincipal":"arn:aws:iam::123456789012:user/u",'
                  '"Operations":["Decrypt"],"Constraints":{"EncryptionContextSubset":{"a":"b"}},"Name":"n"}'),
        "list": ("ListKeys", '{"Limit":1000,"Marker":"aw=="}'),
        "sign": ("Sign", f'{{"KeyId":"{arn}","Message":"AAAA","MessageType":"RAW",'
                 '"SigningAlgorithm":"ECDSA_SHA_256"}}'),
        "import": ("ImportKeyMaterial", f'{{"KeyId":"{arn}","ImportToken":"AAAA","EncryptedKeyMaterial":"AAAA",'
                   '"ValidTo":1.7e9,"ExpirationModel":"KEY_MATERIAL_EXPIRES"}'),
        "unserved": ("CreateCustomKeyStore", "{}"),
        "unknown": ("Nothing", "[]"),
    }  # fmt: skip
    sealed = {f"sealed-{len(text)}": kms.sealed(text, hashlib.sha256(text).digest()) for text in kms.PLAINTEXTS}
    request = format_frame(VERB_OF[DescribeKey].number, 7, (kms.CALLER, DescribeKey(key_id="alias/a")))
    return {
        "kms-request": {
            name: f"TrentService.{operation}\n{body}".encode() for name, (operation, body) in requests.items()
        },
        "kms-names": {
            "id": b"1234abcd-12ab-34cd-56ef-1234567890ab",
            "mrk": b"mrk-1234abcd12ab34cd56ef1234567890ab",
            "arn": arn.encode(),
            "alias": b"alias/a",
            "alias-arn": b"arn:aws:kms:us-east-1:123456789012:alias/a",
            "marker": format_key_marker(7).encode(),
            "alias-marker": format_alias_marker("alias/é").encode(),
        },
        "ciphertext-blob": sealed,
        "kms-wire": {
            "request": request,
            "health": format_frame(HEALTH, 1, None) + request,
            "refusal": format_refusal(7, kms.KMSError("NotFoundException", "x")),
        },
    }


def identities() -> dict[str, Seeds]:
    tags = "&Tags.member.1.Key=a&Tags.member.1.Value=b&Tags.member.2.Value=&Tags.member.2.Key=c+d%C3%A9"
    return {
        "json-body": {
            "create": b'CreateAccount\n{"AccountName":"a","Email":"a@b.example","Tags":[{"Key":"k","Value":"v"}]}',
            "list": b'ListAccounts\n{"MaxResults":20,"NextToken":"MTIz","Newer":{}}',
            "none": b"DescribeOrganization\n",
            "unserved": b"ListPolicies\n{}",
            "wrong": b'CreateAccount\n{"AccountName":1,"Tags":{}}',
        },
        "query-protocol": {
            "create": f"Action=CreateUser&Version=2010-05-08&UserName=u&Path=%2Fa%2F{tags}".encode(),
            "policy": b"Action=PutUserPolicy&Version=2010-05-08&UserName=u&PolicyName=p&PolicyDocument=%7B%7D",
            "list": b"Action=ListUsers&Version=2010-05-08&MaxItems=1000&Marker=m&PathPrefix=%2F",
            "identity": b"Action=GetCallerIdentity&Version=2011-06-15",
            "kinds": b"Name=a+b&Most=-12&All=True&Tags.member.1.Key=a&Tags.member.1.Values.member.2=x"
            b"&Tags.member.3.Values=&Action=GetCallerIdentity&Version=2011-06-15",
            "session": b"Action=GetFederationToken&Version=2011-06-15&Name=bob&Policy=%7B%7D&DurationSeconds=900"
            b"&PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FA&Tags.member.1.Key=a&Tags.member.1.Value=b",
            "unknown": b"Action=Nothing&Version=1",
        },
        "identity-token": {
            # The example of RFC 7515, appendix A.3, with one character of its signature changed.
            "rfc": b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv"
            b"bS9pc19yb290Ijp0cnVlfQ.AtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3"
            b"-Kg6NU1Q",
            "rsa": b"eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.e30.AAAA",
            "none": b"eyJhbGciOiJub25lIn0.e30.",
        },
        "identity-claims": {
            "whole": b'{"iss":"https://issuer.example.com","sub":"s","aud":["client","x"],"azp":"client","iat":1,'
            b'"exp":9999999999,"amr":["pwd"],"https://aws.amazon.com/tags":{"principal_tags":{"a":["b"]},'
            b'"transitive_tag_keys":["a"]},"https://aws.amazon.com/source_identity":"me"}',
            "expired": b'{"iss":"https://issuer.example.com","sub":"s","aud":"client","iat":1,"exp":2}',
            "flat": b'{"iss":"https://issuer.example.com","sub":"s","aud":"client","iat":1,"nbf":1,"exp":1e10,'
            b'"https://aws.amazon.com/tags/principal_tags/a":["b"]}',
        },
        "key-set": {"ec": KEY_SET, "rsa": b'{"keys":[{"kty":"RSA","n":"wHjh","e":"AQAB"}]}'},
        "session-token": {
            "whole": _sealed_example(TOKEN).encode(),
            "least": _sealed_example(OF_ANN).encode(),
        },
        "session-token-document": {
            "whole": base64.urlsafe_b64decode(UNSEALED_TOKENS.seal(TOKEN_KEY_ID, TOKEN) + "==")[1:],
            "least": base64.urlsafe_b64decode(UNSEALED_TOKENS.seal(TOKEN_KEY_ID, OF_ANN) + "==")[1:],
        },
    }


class _SameNonce(AESGCMSecretSealer):
    """Seals the same to the same."""

    def seal(self, purpose: bytes, secret: bytes) -> bytes:
        nonce = hashlib.sha256(secret).digest()[:12]
        return nonce + self._aead.encrypt(nonce, secret, purpose)


def _sealed_example(token: SessionToken) -> str:
    return SessionTokens(_SameNonce(bytes(32))).seal(TOKEN_KEY_ID, token)


def settings() -> dict[str, Seeds]:
    return {
        "configuration": {
            "some": b'region = "eu-de"\n[listen]\naddress = "0.0.0.0:80"\ndomains = ["s3.example.com"]\nworkers = 2\n'
            b'header_seconds = 1.5\n[kms]\nroot = "pkcs11"\nuri = "pkcs11:token=t?module-path=/m"\n',
            "empty": b"",
            "unknown": b"[listen]\nadress = 1\n",
            "nested": b"x = " + b"{a = " * 1000,
        },
        "driver": {
            "all": b'wrapping = "gcm"\ngcm_iv = "appended"\nstrict_root = "unenforced"\n'
            b"key_wrap_mechanism = 0x80000001\nmax_sessions = 1\nos_locking = false\n"
            b'library_parameters = "a=\\"b\\\\c\\""\n',
            "unknown": b"x = 1\n",
            "nested": b"x = " + b"[" * 2000,
        },
    }


def on_disk() -> dict[str, Seeds]:
    envelope = Envelope(
        account_id="123456789012",
        bucket_id=bytes(16),
        row_uid=bytes(range(16)),
        kind=BlobKind.OBJECT,
        mode=Mode.SSE_KMS,
        wraps=(Wrap(Mode.SSE_KMS, b"wrapped", "arn:aws:kms:us-east-1:123456789012:key/x"),),
        encryption_context={"aws:s3:arn": "arn:aws:s3:::b/é"},
    )
    part = Envelope(
        account_id="123456789012",
        bucket_id=bytes(16),
        row_uid=bytes(range(16)),
        kind=BlobKind.PART,
        mode=Mode.SSE_S3,
        wraps=(Wrap(Mode.SSE_S3, b"wrapped"),),
        upload_id=bytes(16),
        part_number=3,
    )
    sealer = BlobSealer(stored.DATA_KEY, stored.BLOB_ID, seg_log2=14, salt=bytes(32))
    body = sealer.seal(stored.PLAINTEXT)
    root = RootIdentity("kw", b"i" * 16, "sealgate-root")
    wrapped = bytes(range(40))
    record = RecordHeader(root, UUID(int=5), 1, "SYMMETRIC_DEFAULT", "AWS_KMS", 1_700_000_000_000_000)
    seal_spec = RecordHeader(root, UUID(int=5), 1, "ECC_NIST_P256", "EXTERNAL", 1_700_000_000_000_000)
    database = BytesIO(b"database")
    archive = BytesIO()
    write_archive(archive, ArchiveHeader(1, 4, b"r" * 16, "sealgate-root", b"c" * 72), database, 8)
    place = b'{"seq":1,"prev":"' + b"0" * 64 + b'",'
    return {
        "blob": {"whole": sealer.header + body + sealer.footer(envelope, stored.DESCRIPTOR)},
        "envelope": {
            "kms": format_envelope(envelope),
            "part": format_envelope(part),
            "newer": b'{"version":2,"a":[[]]}',
        },
        "row": {
            "row": stored._ROWS._seal(stored.ROW_UID, 3, stored.CLEAR, stored.DOCUMENT, bytes(sealed_rows._SALT_SIZE)),
            "wrap": wraps._wrap(stored.ROW_KEY.reveal(), 1, stored.DATA_KEY, b"aad", bytes(16)),
            "bucket-key-wrap": lp((b"from the KMS",))
            + wraps._wrap(stored.ROW_KEY.reveal(), 0, stored.DATA_KEY, b"aad", bytes(16)),
        },
        "key-record": {
            "direct": format_header(record, 40, 0) + wrapped + bytes(32),
            "sealed": format_header(seal_spec, 40, 180) + wrapped + bytes(180) + bytes(32),
        },
        "audit-line": {
            "repair": place + b'"record":"repair","time":"2026-01-01T00:00:00.000000Z","cutBytes":3,"cutLines":0,'
            b'"cutSha256":"ab","keptAs":"x"}',
            "trouble": place + b'"record":"trouble","time":"t","since":"s","cause":"c","lateLines":1,"lostLines":2,'
            b'"refusedCalls":3}',
            "checkpoint": place + b'"record":"checkpoint","time":"t","node":"n","epoch":1,"reason":"start","covers":1,'
            b'"hash":"h","keyId":"k","signature":"AAAA"}',
        },
        "archive": {"whole": archive.getvalue() + b"m" * 32},
        "hsm-uri": {
            "whole": b"pkcs11:token=sealgate;serial=39aa0c7d9be5c1f1;object=sealgate-root;id=%00%01%02%03%04%05%06%07"
            b"%08%09%0a%0b%0c%0d%0e%0f;type=secret-key?module-path=/usr/lib/libsofthsm2.so&pin-source=file:/etc/pin",
            "short": b"pkcs11:token=a%20b?module-path=/m",
        },
    }


def main() -> None:
    families = (signatures, bodies, documents, headers, policies, forms, identities, settings, key_service, on_disk)
    for name, seeds in (item for family in families for item in family().items()):
        directory = CORPUS / name
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.iterdir():
            if not old.name.startswith("found-"):
                old.unlink()
        for seed, data in seeds.items():
            (directory / seed).write_bytes(data)


if __name__ == "__main__":
    main()
