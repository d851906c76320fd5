"""Signatures that AWS has published: the SigV4 test suite, and the examples of the Amazon S3 API Reference."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from iam.authenticator import Authenticator
from iam.canonical import encode_path_twice
from iam.credentials import Credential
from iam.errors import Reason
from iam.principals import root_principal
from iam.requests import RequestHead
from iam.scope import Service
from iam.secrets import Secret
from tests.iam.checks import ACCESS_KEY_ID, PRINCIPAL, authenticate, check_refused

SUITE_SERVICE = Service("service", encode_path_twice, False)
SUITE_NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
SUITE_CREDENTIAL = Credential(
    "AKIDEXAMPLE", Secret(b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), root_principal("123456789012")
)
VANILLA = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
EMPTY = sha256().hexdigest()


@dataclass(frozen=True)
class Case:
    """One case of AWS's test suite ("aws-sig-v4-test-suite"); `headers` are those beside Host and X-Amz-Date."""

    name: str
    method: str
    target: str
    signature: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __str__(self) -> str:
        return self.name


SUITE = [
    Case("get-vanilla", "GET", "/", VANILLA),
    Case(
        "get-vanilla-query-order-key-case",
        "GET",
        "/?Param2=value2&Param1=value1",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    Case(
        "get-vanilla-empty-query-key",
        "GET",
        "/?Param1=value1",
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    ),
    Case(
        "get-vanilla-query-unreserved",
        "GET",
        "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz="
        "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    ),
    Case(
        "get-vanilla-utf8-query",
        "GET",
        "/?ሴ=bar",
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    Case(
        "get-unreserved",
        "GET",
        "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    Case("get-utf8", "GET", "/ሴ", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    Case(
        "get-header-value-trim",
        "GET",
        "/",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        (("my-header1", " value1"), ("my-header2", ' "a   b   c"')),
    ),
    Case(
        "get-header-key-duplicate",
        "GET",
        "/",
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        (("my-header1", "value2,value2,value1"),),
    ),
    Case(
        "get-header-value-order",
        "GET",
        "/",
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        (("my-header1", "value4,value1,value3,value2"),),
    ),
    Case("get-relative", "GET", "/example/..", VANILLA),
    Case("get-relative-relative", "GET", "/example1/example2/../..", VANILLA),
    Case("get-slash", "GET", "//", VANILLA),
    Case("get-slash-dot-slash", "GET", "/./", VANILLA),
    Case(
        "get-slash-pointless-dot",
        "GET",
        "/./example",
        "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
    ),
    Case("get-slashes", "GET", "//example//", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
    Case("post-vanilla", "POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    Case(
        "post-vanilla-query",
        "POST",
        "/?Param1=value1",
        "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
    ),
    Case(
        "post-header-value-case",
        "POST",
        "/",
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        (("my-header1", "VALUE1"),),
    ),
    Case(
        "post-x-www-form-urlencoded",
        "POST",
        "/",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        (("content-type", "application/x-www-form-urlencoded"),),
        b"Param1=value1",
    ),
]


def suite_head(case: Case) -> RequestHead:
    path, _, query = case.target.partition("?")
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z", **dict(case.headers)}
    headers["authorization"] = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={';'.join(sorted(headers))}, Signature={case.signature}"
    )
    return RequestHead(case.method, path, query, headers)


@pytest.mark.parametrize("case", SUITE, ids=str)
def test_the_signature_of_the_suite_is_accepted(case: Case) -> None:
    authenticated = authenticate(
        suite_head(case),
        SUITE_SERVICE,
        credential=SUITE_CREDENTIAL,
        now=SUITE_NOW,
        body_sha256=sha256(case.body).hexdigest(),
    )
    assert authenticated is not None
    assert authenticated.access_key_id == "AKIDEXAMPLE"


@pytest.mark.parametrize("case", SUITE, ids=str)
def test_the_signature_of_the_suite_fits_no_other_body(case: Case) -> None:
    other = sha256(case.body + b"x").hexdigest()
    head = suite_head(case)
    check_refused(
        head,
        Reason.SIGNATURE_MISMATCH,
        SUITE_SERVICE,
        credential=SUITE_CREDENTIAL,
        now=SUITE_NOW,
        body_sha256=other,
    )


HOST = "examplebucket.s3.amazonaws.com"


def s3_head(
    method: str, path: str, query: str, signature: str, headers: dict[str, str], payload_hash: str = EMPTY
) -> RequestHead:
    headers = {
        "host": HOST,
        "x-amz-content-sha256": payload_hash,
        "x-amz-date": "20130524T000000Z",
        **headers,
    }
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={';'.join(sorted(headers))},Signature={signature}"
    )
    return RequestHead(method, path, query, headers)


S3_EXAMPLES = {
    "GET Object": s3_head(
        "GET",
        "/test.txt",
        "",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        {"range": "bytes=0-9"},
    ),
    "PUT Object": s3_head(
        "PUT",
        "/test$file.text",
        "",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
        sha256(b"Welcome to Amazon S3.").hexdigest(),
    ),
    "GET Bucket Lifecycle": s3_head(
        "GET", "/", "lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", {}
    ),
    "Get Bucket (List Objects)": s3_head(
        "GET",
        "/",
        "max-keys=2&prefix=J",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        {},
    ),
}


@pytest.mark.parametrize("name", S3_EXAMPLES)
def test_the_examples_of_the_s3_reference_are_accepted(name: str) -> None:
    authenticated = authenticate(S3_EXAMPLES[name])
    assert authenticated is not None
    assert authenticated.principal == PRINCIPAL


PRESIGNED_QUERY = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256"
    f"&X-Amz-Credential={ACCESS_KEY_ID}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
)


def test_the_presigned_example_of_the_s3_reference_is_accepted() -> None:
    authenticated = authenticate(RequestHead("GET", "/test.txt", PRESIGNED_QUERY, {"host": HOST}))
    assert authenticated is not None
    assert authenticated.payload_hash == "UNSIGNED-PAYLOAD"


CHUNKS = (b"a" * 65536, b"a" * 1024, b"")
STREAM_HEADERS = {
    "host": "s3.amazonaws.com",
    "x-amz-storage-class": "REDUCED_REDUNDANCY",
    "content-encoding": "aws-chunked",
    "x-amz-decoded-content-length": "66560",
}


def stream_head(kind: str, seed: str, headers: dict[str, str]) -> RequestHead:
    return s3_head("PUT", "/examplebucket/chunkObject.txt", "", seed, {**STREAM_HEADERS, **headers}, kind)


def test_the_chunked_example_of_the_s3_reference_is_accepted() -> None:
    authenticated = authenticate(
        stream_head(
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
            {"content-length": "66824"},
        )
    )
    assert authenticated is not None
    verifier = authenticated.chunk_verifier()
    signatures = (
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    )
    for chunk, signature in zip(CHUNKS, signatures, strict=True):
        verifier.verify_chunk(signature, sha256(chunk).hexdigest())


def test_the_trailer_example_of_the_s3_reference_is_accepted() -> None:
    authenticated = authenticate(
        stream_head(
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
            {"x-amz-trailer": "x-amz-checksum-crc32c"},
        )
    )
    assert authenticated is not None
    verifier = authenticated.chunk_verifier()
    signatures = (
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    )
    for chunk, signature in zip(CHUNKS, signatures, strict=True):
        verifier.verify_chunk(signature, sha256(chunk).hexdigest())
    verifier.verify_trailer(
        "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
        sha256(b"x-amz-checksum-crc32c:sOO8/Q==\n").hexdigest(),
    )


def test_one_authenticator_serves_many_requests() -> None:
    credentials = {SUITE_CREDENTIAL.access_key_id: SUITE_CREDENTIAL}
    authenticator = Authenticator("us-east-1", credentials.get)
    for case in SUITE:
        body_sha256 = sha256(case.body).hexdigest()
        assert authenticator.authenticate(suite_head(case), SUITE_SERVICE, now=SUITE_NOW, body_sha256=body_sha256)
