import base64
import hashlib
import json

import botocore.session
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.protocol.encryption import (
    BUCKET_KEY,
    CONTEXT,
    COPY_CUSTOMER,
    CUSTOMER,
    CUSTOMER_KEYS,
    KEY_ID,
    SOURCE_CUSTOMER_KEYS,
    SSE,
    EncryptionRequest,
    encryption_response_headers,
    format_context,
    parse_context,
    parse_customer_key,
    parse_encryption,
    parse_source_customer_key,
)
from gateway.protocol.errors import S3Error
from gateway.protocol.modes import Mode, Wrap

WRITES = ["PutObject", "CopyObject", "CreateMultipartUpload"]
ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CUSTOMER_KEY = base64.b64encode(bytes(32)).decode()


def md5_of(key: bytes) -> str:
    return base64.b64encode(hashlib.md5(key).digest()).decode()


CUSTOMER_MD5 = md5_of(bytes(32))


def customer(
    algorithm: str | None = "AES256",
    key: str | None = CUSTOMER_KEY,
    md5: str | None = CUSTOMER_MD5,
    prefix: str = CUSTOMER,
) -> dict[str, str]:
    fields = {"algorithm": algorithm, "key": key, "key-md5": md5}
    return {prefix + name: value for name, value in fields.items() if value is not None}


def encoded(document: object) -> str:
    text = document if isinstance(document, str) else json.dumps(document)
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


def check_refused(
    headers: dict[str, str], code: str, message: str | None = None, operation: str = "PutObject"
) -> S3Error:
    with pytest.raises(S3Error) as caught:
        parse_encryption(headers, operation)
    assert caught.value.code == code
    if message is not None:
        assert caught.value.message == message
    return caught.value


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, EncryptionRequest()),
        ({"content-type": "x", "x-amz-meta-a": "b"}, EncryptionRequest()),
        ({SSE: "AES256"}, EncryptionRequest(Mode.SSE_S3)),
        ({SSE: "AES256", BUCKET_KEY: "false"}, EncryptionRequest(Mode.SSE_S3)),
        ({SSE: "aws:kms"}, EncryptionRequest(Mode.SSE_KMS)),
        ({SSE: "aws:kms", KEY_ID: "alias/a"}, EncryptionRequest(Mode.SSE_KMS, "alias/a")),
        (
            {SSE: "aws:kms", KEY_ID: ARN, BUCKET_KEY: "False"},
            EncryptionRequest(Mode.SSE_KMS, ARN, has_bucket_key=False),
        ),
        ({SSE: "aws:kms", BUCKET_KEY: "TRUE"}, EncryptionRequest(Mode.SSE_KMS, has_bucket_key=True)),
        ({BUCKET_KEY: "true"}, EncryptionRequest(has_bucket_key=True)),
        ({BUCKET_KEY: "false"}, EncryptionRequest(has_bucket_key=False)),
        (
            {SSE: "aws:kms", CONTEXT: encoded({"a": "ü", "b": ""})},
            EncryptionRequest(Mode.SSE_KMS, None, {"a": "ü", "b": ""}),
        ),
        ({SSE: "aws:kms", CONTEXT: encoded({})}, EncryptionRequest(Mode.SSE_KMS)),
    ],
)
def test_what_writes_may_ask_for(headers: dict[str, str], expected: EncryptionRequest, operation: str) -> None:
    assert parse_encryption(headers, operation) == expected


NEEDS_KMS = (
    "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
)


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        ({SSE: "none"}, "InvalidArgument", "The encryption method specified is not supported"),
        ({SSE: ""}, "InvalidArgument", "The encryption method specified is not supported"),
        ({SSE: "aes256"}, "InvalidArgument", "The encryption method specified is not supported"),
        ({SSE: "aws:fsx"}, "NotImplemented", None),
        ({SSE: "aws:backup"}, "NotImplemented", None),
        ({KEY_ID: ARN}, "InvalidArgument", NEEDS_KMS),
        ({SSE: "AES256", KEY_ID: ARN}, "InvalidArgument", NEEDS_KMS),
        ({SSE: "AES256", CONTEXT: encoded({})}, "InvalidArgument", NEEDS_KMS),
        ({SSE: "aws:kms", KEY_ID: ""}, "InvalidArgument", None),
        ({SSE: "aws:kms", KEY_ID: "k" * 2049}, "InvalidArgument", None),
        ({SSE: "AES256", BUCKET_KEY: "true"}, "InvalidArgument", None),
        ({BUCKET_KEY: ""}, "InvalidArgument", None),
        ({SSE: "aws:kms", BUCKET_KEY: "maybe"}, "InvalidArgument", None),
        ({**customer(), BUCKET_KEY: "true"}, "InvalidArgument", None),
        ({f"{SSE}-something-new": "x"}, "NotImplemented", None),
        ({f"{CUSTOMER}something-new": "x"}, "NotImplemented", None),
    ],
)
def test_refused_requests(headers: dict[str, str], code: str, message: str | None) -> None:
    check_refused(headers, code, message)


def test_refusals_name_argument_and_value() -> None:
    assert check_refused({SSE: "none"}, "InvalidArgument").fields == {"ArgumentName": SSE, "ArgumentValue": "none"}


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        (
            {SSE: "AES256", **customer()},
            "InvalidArgument",
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
        ),
        (
            customer(algorithm="AES128"),
            "InvalidEncryptionAlgorithmError",
            "The Encryption request you specified is not valid. Supported value: AES256.",
        ),
        (
            customer(algorithm=None),
            "InvalidArgument",
            "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption "
            "algorithm.",
        ),
        (
            customer(key=None),
            "InvalidArgument",
            "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret "
            "key.",
        ),
        (customer(md5=None), "InvalidArgument", "The secret key was invalid for the specified algorithm."),
        (customer(key=""), "InvalidArgument", None),
        (
            customer(key="AAAA", md5=md5_of(bytes(3))),
            "InvalidArgument",
            "The secret key was invalid for the specified algorithm.",
        ),
        (
            customer(key="AAAA"),
            "InvalidArgument",
            "The calculated MD5 hash of the key did not match the hash that was provided.",
        ),
        (customer(key="ä"), "InvalidArgument", "The secret key was invalid for the specified algorithm."),
        (
            customer(md5="AAAA"),
            "InvalidArgument",
            "The calculated MD5 hash of the key did not match the hash that was provided.",
        ),
        (customer(md5="ä\udcff"), "InvalidArgument", None),
        ({**customer(), KEY_ID: ARN}, "InvalidArgument", None),
        ({**customer(), CONTEXT: encoded({})}, "InvalidArgument", None),
    ],
)
def test_customer_keys_get_the_recorded_errors(headers: dict[str, str], code: str, message: str | None) -> None:
    error = check_refused(headers, code, message)
    assert CUSTOMER_KEY not in f"{error}{dict(error.fields)}"


@pytest.mark.parametrize("operation", WRITES)
def test_a_customers_key_is_a_mode_of_its_own(operation: str) -> None:
    asked = parse_encryption(customer(), operation)
    assert (asked.mode, asked.kms_key_id, asked.context) == (Mode.SSE_C, None, {})
    assert asked.customer_key is not None
    assert (asked.customer_key.secret, asked.customer_key.md5) == (bytes(32), CUSTOMER_MD5)
    assert repr(asked.customer_key) == "CustomerKey()"
    assert CUSTOMER_MD5 not in repr(asked)


@pytest.mark.parametrize("operation", sorted(CUSTOMER_KEYS))
def test_operations_that_take_a_customers_key(operation: str) -> None:
    found = parse_customer_key(customer(), operation)
    assert found is not None and found.secret == bytes(32)
    assert parse_customer_key({}, operation) is None
    check_refused(customer(algorithm="AES128"), "InvalidEncryptionAlgorithmError", None, operation)


def members_of(prefix: str) -> set[str]:
    """The operations of the S3 model that have an input of that name."""
    service = botocore.session.get_session().get_service_model("s3")
    shapes = {name: service.operation_model(name).input_shape for name in service.operation_names}
    return {
        name
        for name, shape in shapes.items()
        if shape is not None
        and any(str(m.serialization.get("name", "")).lower().startswith(prefix) for m in shape.members.values())
    }


def test_the_models_operations_with_a_customers_key_are_those_that_take_one() -> None:
    """And all others refuse it (below). Browser forms are in no model."""
    assert members_of(CUSTOMER) | {"PostObject"} == CUSTOMER_KEYS
    assert members_of(COPY_CUSTOMER) == SOURCE_CUSTOMER_KEYS


def test_reads_take_a_key_of_any_length_for_a_wrong_one() -> None:
    """Recorded of a key of 44 bytes: AccessDenied, as of any other that is not the object's."""
    for operation in ("GetObject", "HeadObject", "GetObjectAttributes"):
        found = parse_customer_key(customer(key="AAAA", md5=md5_of(bytes(3))), operation)
        assert found is not None and len(found.secret) == 3


def test_the_key_of_a_copys_source() -> None:
    headers = customer(prefix=COPY_CUSTOMER)
    for operation in SOURCE_CUSTOMER_KEYS:
        found = parse_source_customer_key(headers, operation)
        assert found is not None and found.secret == bytes(32)
        assert parse_customer_key(headers, operation) is None
        assert parse_encryption(headers, operation) == EncryptionRequest()
    check_refused(headers, "InvalidArgument", None, "PutObject")
    check_refused(headers, "InvalidArgument", None, "GetObject")
    check_refused(customer(prefix=COPY_CUSTOMER, md5="AAAA"), "InvalidArgument", None, "CopyObject")
    check_refused(customer(prefix=COPY_CUSTOMER, md5=None), "AccessDenied", None, "CopyObject")
    check_refused(customer(prefix=COPY_CUSTOMER, key=None), "InvalidArgument", None, "UploadPartCopy")


@pytest.mark.parametrize("operation", ["GetObject", "HeadObject"])
def test_reads(operation: str) -> None:
    assert parse_encryption({"range": "bytes=0-1"}, operation) == EncryptionRequest()
    message = "x-amz-server-side-encryption header is not supported for this operation."
    check_refused({SSE: "AES256"}, "InvalidArgument", message, operation)
    check_refused({KEY_ID: ARN}, "InvalidArgument", None, operation)
    check_refused(customer(md5=None), "AccessDenied", None, operation)
    assert parse_encryption(customer(), operation) == EncryptionRequest()


@pytest.mark.parametrize("operation", ["UploadPart", "UploadPartCopy", "CompleteMultipartUpload"])
def test_an_upload_in_parts_tolerates_what_create_multipart_upload_said(operation: str) -> None:
    headers = {SSE: "aws:kms", KEY_ID: ARN, CONTEXT: encoded({"a": "b"})}
    assert parse_encryption(headers, operation) == EncryptionRequest()
    check_refused({SSE: "aws:fsx"}, "NotImplemented", None, operation)
    check_refused({SSE: "aws:kms", **customer()}, "InvalidArgument", None, operation)


@pytest.mark.parametrize("operation", ["AbortMultipartUpload", "ListObjectsV2", "DeleteObject", "RenameObject"])
def test_other_operations_refuse_every_encryption_header(operation: str) -> None:
    for prefix in (CUSTOMER, COPY_CUSTOMER):
        error = check_refused(customer(prefix=prefix), "InvalidArgument", None, operation)
        assert CUSTOMER_KEY not in f"{error}{dict(error.fields)}"
    for name, value in ((SSE, "AES256"), (KEY_ID, ARN), (CONTEXT, encoded({"a": "b"})), (BUCKET_KEY, "false")):
        check_refused({name: value}, "InvalidArgument", None, operation)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64",
        "ä",
        encoded("{"),
        encoded([]),
        encoded("null"),
        encoded({"a": 1}),
        encoded({"a": None}),
        encoded({"a": {"b": "c"}}),
        encoded({"": "x"}),
        encoded('{"a": "1", "a": "2"}'),
        encoded('{"a": "\\ud800"}'),
        encoded({"aws:s3:arn": "arn:aws:s3:::bucket/key"}),
        encoded({"a": "x" * 8192}),
        encoded("[" * 5000),
        base64.b64encode(b"\xff{}").decode(),
    ],
)
def test_malformed_contexts(text: str) -> None:
    error = check_refused({SSE: "aws:kms", CONTEXT: text}, "InvalidArgument")
    assert error.fields["ArgumentName"] == CONTEXT


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda name: name != "aws:s3:arn"),
        st.text(st.characters(exclude_categories=["Cs"])),
        max_size=5,
    )
)
def test_contexts_round_trip(context: dict[str, str]) -> None:
    assert parse_context(format_context(context)) == context


@pytest.mark.parametrize(
    ("wrap", "context", "expected"),
    [
        (Wrap(Mode.SSE_S3, b""), None, {SSE: "AES256"}),
        (Wrap(Mode.SSE_KMS, b"", ARN, 1), None, {SSE: "aws:kms", KEY_ID: ARN}),
        (Wrap(Mode.SSE_KMS, b"", ARN, 1), {}, {SSE: "aws:kms", KEY_ID: ARN}),
        (Wrap(Mode.SSE_KMS, b"", ARN, 1), {"a": "b"}, {SSE: "aws:kms", KEY_ID: ARN, CONTEXT: encoded('{"a":"b"}')}),
        (Wrap(Mode.SSE_KMS_BUCKET_KEY, b"", ARN, 1), None, {SSE: "aws:kms", KEY_ID: ARN, BUCKET_KEY: "true"}),
        (Wrap(Mode.DSSE_KMS, b"", ARN, 1), None, {SSE: "aws:kms:dsse", KEY_ID: ARN}),
        (Wrap(Mode.SSE_C, b""), None, {}),
    ],
)
def test_response_headers(wrap: Wrap, context: dict[str, str] | None, expected: dict[str, str]) -> None:
    assert encryption_response_headers(wrap, context) == expected


def test_the_response_headers_of_sse_c_tell_which_key_came() -> None:
    key = parse_customer_key(customer(), "GetObject")
    told = {f"{CUSTOMER}algorithm": "AES256", f"{CUSTOMER}key-MD5": CUSTOMER_MD5}
    assert encryption_response_headers(Wrap(Mode.SSE_C, b""), customer_key=key) == told


NAMES = st.sampled_from([SSE, KEY_ID, CONTEXT, BUCKET_KEY, *customer(), *customer(prefix=COPY_CUSTOMER)])
VALUES = st.text() | st.sampled_from(
    ["AES256", "aws:kms", "aws:kms:dsse", "true", CUSTOMER_KEY, CUSTOMER_MD5, encoded({"a": "b"})]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, VALUES), st.sampled_from([*WRITES, "GetObject", "UploadPart", "ListParts"]))
def test_nothing_but_s3_errors_and_nothing_ignored(headers: dict[str, str], operation: str) -> None:
    try:
        asked = parse_encryption(headers, operation)
    except S3Error as error:
        assert error.status in (400, 403, 501)
        return
    if operation in WRITES and any(name.startswith(CUSTOMER) for name in headers):
        assert (asked.mode, asked.has_bucket_key) == (Mode.SSE_C, None)
        assert headers.get(BUCKET_KEY, "false").lower() == "false"
    elif operation in WRITES and SSE in headers:
        assert asked.mode in (Mode.SSE_S3, Mode.SSE_KMS, Mode.DSSE_KMS)
