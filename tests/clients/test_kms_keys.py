"""The keys of the KMS through boto3: made, described, listed, switched, deleted; states; who may ask at all."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from tests.clients.checks import error_of, headers_of
from tests.clients.raw import RawClient
from tests.harness import REGION, Gateway

ABSENT = "00000000-0000-4000-8000-000000000000"
STRANGER = "999999999999"

Error = dict[str, str]


def error(code: str, message: str) -> Error:
    return {"Code": code, "Message": message}


def make_key(kms: Any, **parameters: Any) -> str:
    """The ARN of a new key."""
    return str(kms.create_key(**parameters)["KeyMetadata"]["Arn"])


@pytest.fixture(scope="module")
def lax(gateway: Gateway) -> Any:
    """A client that sends what the SDK would refuse to send."""
    return gateway.client("kms", parameter_validation=False)


@pytest.fixture(scope="module")
def account(kms_key: str) -> str:
    return kms_key.split(":")[4]


@pytest.fixture
def key(kms: Any) -> str:
    """A key of the test's own."""
    return make_key(kms)


# CreateKey and DescribeKey


def test_a_new_key_is_described_as_it_was_made(kms: Any, account: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    made = kms.create_key(Description="for invoices: ä€😀")["KeyMetadata"]
    assert kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"] == made
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made["KeyId"])
    assert re.fullmatch(r"[0-9a-f]{64}", made.pop("CurrentKeyMaterialId"))
    assert before < made.pop("CreationDate") < datetime.now(UTC) + timedelta(seconds=5)
    key_id = made.pop("KeyId")
    assert made == {
        "AWSAccountId": account,
        "Arn": f"arn:aws:kms:{REGION}:{account}:key/{key_id}",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "Description": "for invoices: ä€😀",
        "Enabled": True,
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyState": "Enabled",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": False,
        "Origin": "AWS_KMS",
    }


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"Description": ""},
        {"Description": "d" * 8192},
        {"KeySpec": "SYMMETRIC_DEFAULT"},
        {"CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"},
        {"KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT"},
        {"Origin": "AWS_KMS", "MultiRegion": False, "Tags": [], "BypassPolicyLockoutSafetyCheck": False},
    ],
)
def test_ways_to_ask_for_the_ordinary_key(kms: Any, parameters: dict[str, Any]) -> None:
    made = kms.create_key(**parameters)["KeyMetadata"]
    assert (made["KeySpec"], made["Description"]) == ("SYMMETRIC_DEFAULT", parameters.get("Description", ""))


NO_USAGE = "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
BOTH_SPECS = (
    "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated."
)
CREATE_REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"KeySpec": "RSA_2048"}, "ValidationException", NO_USAGE),
    ({"KeySpec": "RSA_2048", "CustomerMasterKeySpec": "RSA_3072"}, "ValidationException", BOTH_SPECS),
    (
        {"KeyUsage": "SIGN_VERIFY"},
        "ValidationException",
        "KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT",
    ),
    (
        {"Description": "d" * 8193},
        "ValidationException",
        f"1 validation error detected: Value '{'d' * 4096}' at 'description' failed to satisfy constraint: "
        "Member must have length less than or equal to 8192",
    ),
    (
        {"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"},
        "UnsupportedOperationException",
        "KeySpec SM2 is not supported.",
    ),
    (
        {"KeySpec": "RSA_2048", "KeyUsage": "KEY_AGREEMENT"},
        "ValidationException",
        "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048",
    ),
    ({"Origin": "AWS_CLOUDHSM"}, "UnsupportedOperationException", "Origin AWS_CLOUDHSM is not supported."),
    ({"Policy": "{}"}, "MalformedPolicyDocumentException", "Syntax errors in policy."),
    ({"CustomKeyStoreId": "cks-1"}, "CustomKeyStoreNotFoundException", "CustomKeyStore cks-1 does not exist."),
]


@pytest.mark.parametrize(("parameters", "code", "message"), CREATE_REFUSED)
def test_keys_that_cannot_be_made(kms: Any, parameters: dict[str, Any], code: str, message: str) -> None:
    before = len(all_keys(kms))
    answer = error_of(kms.create_key, **parameters)
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]) == (400, error(code, message))
    assert len(all_keys(kms)) == before


@pytest.mark.parametrize(
    ("member", "value"),
    [("KeySpec", "AES_512"), ("CustomerMasterKeySpec", "DES"), ("KeyUsage", "ANY"), ("Origin", "MARS")],
)
def test_values_outside_of_an_enumeration_are_told_with_the_enumeration(kms: Any, member: str, value: str) -> None:
    told = error_of(kms.create_key, **{member: value})["Error"]
    path = member[0].lower() + member[1:]
    expected = f"1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: "
    assert told["Code"] == "ValidationException"
    assert told["Message"].startswith(expected + "Member must satisfy enum value set: [")


# Names of keys

NAMED: list[tuple[str, str, str]] = [
    ("{absent}", "NotFoundException", "Key 'arn:aws:kms:us-east-1:{account}:key/{absent}' does not exist"),
    (
        "arn:aws:kms:us-east-1:{account}:key/{absent}",
        "NotFoundException",
        "Key 'arn:aws:kms:us-east-1:{account}:key/{absent}' does not exist",
    ),
    ("xyz", "NotFoundException", "Invalid keyId 'xyz'"),
    ("{upper}", "NotFoundException", "Invalid keyId '{upper}'"),
    ("../../etc/passwd", "NotFoundException", "Invalid keyId '../../etc/passwd'"),
    ("arn:aws:kms:eu-west-1:{account}:key/{absent}", "NotFoundException", "Invalid arn eu-west-1"),
    ("arn:aws:s3:::bucket", "NotFoundException", "Invalid arn arn:aws:s3:::bucket"),
    (
        "",
        "ValidationException",
        "1 validation error detected: Value '' at 'keyId' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1",
    ),
    (
        "k" * 2049,
        "ValidationException",
        f"1 validation error detected: Value '{'k' * 2049}' at 'keyId' failed to satisfy constraint: "
        "Member must have length less than or equal to 2048",
    ),
]
ON_ONE_KEY = ["describe_key", "enable_key", "disable_key", "schedule_key_deletion", "cancel_key_deletion"]


@pytest.mark.parametrize("operation", ON_ONE_KEY)
@pytest.mark.parametrize(("named", "code", "message"), NAMED)
def test_names_of_no_key(lax: Any, account: str, operation: str, named: str, code: str, message: str) -> None:
    words = {"absent": ABSENT, "account": account, "upper": ABSENT.upper().replace("0", "A")}
    answer = error_of(getattr(lax, operation), KeyId=named.format(**words))
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]) == (
        400,
        error(code, message.format(**words)),
    )


@pytest.mark.parametrize("operation", ON_ONE_KEY)
def test_no_name_at_all(lax: Any, operation: str) -> None:
    assert error_of(getattr(lax, operation))["Error"] == error(
        "ValidationException",
        "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null",
    )


@pytest.mark.parametrize("operation", ON_ONE_KEY)
def test_another_accounts_keys_are_refused_whether_they_exist_or_not(kms: Any, account: str, operation: str) -> None:
    named = f"arn:aws:kms:{REGION}:{STRANGER}:key/{ABSENT}"
    action = "".join(word.capitalize() for word in operation.split("_"))
    assert error_of(getattr(kms, operation), KeyId=named)["Error"] == error(
        "AccessDeniedException",
        f"User: arn:aws:iam::{account}:root is not authorized to perform: kms:{action} on this resource because the "
        "resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy "
        "explicitly denies access",
    )


@pytest.mark.parametrize("operation", ["enable_key", "disable_key", "schedule_key_deletion", "cancel_key_deletion"])
def test_changes_take_no_aliases(kms: Any, key: str, operation: str) -> None:
    alias = f"alias/{uuid.uuid4()}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    assert error_of(getattr(kms, operation), KeyId=alias)["Error"] == error(
        "InvalidArnException", "Key Aliases are not supported for this operation."
    )
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyState"] == "Enabled"


# States


def enabled(kms: Any, key: str) -> None:
    pass


def disabled(kms: Any, key: str) -> None:
    kms.disable_key(KeyId=key)


def pending_deletion(kms: Any, key: str) -> None:
    kms.schedule_key_deletion(KeyId=key)


STATES: dict[str, Callable[[Any, str], None]] = {
    "Enabled": enabled,
    "Disabled": disabled,
    "PendingDeletion": pending_deletion,
}
IS_DISABLED = ("DisabledException", "{arn} is disabled.")
IS_PENDING = ("KMSInvalidStateException", "{arn} is pending deletion.")
NOT_PENDING = ("KMSInvalidStateException", "{arn} is not pending deletion.")
Outcome = tuple[str, str] | None
OUTCOMES: list[tuple[str, dict[str, Any], Outcome, Outcome, Outcome]] = [
    # Operation, parameters; then what happens when Enabled, Disabled, PendingDeletion (None: it is done).
    ("encrypt", {"Plaintext": b"p"}, None, IS_DISABLED, IS_PENDING),
    ("decrypt", {"CiphertextBlob": b"{blob}"}, None, IS_DISABLED, IS_PENDING),
    ("generate_data_key", {"KeySpec": "AES_256"}, None, IS_DISABLED, IS_PENDING),
    ("generate_data_key_without_plaintext", {"KeySpec": "AES_256"}, None, IS_DISABLED, IS_PENDING),
    ("enable_key", {}, None, None, IS_PENDING),
    ("disable_key", {}, None, None, IS_PENDING),
    ("schedule_key_deletion", {}, None, None, IS_PENDING),
    ("cancel_key_deletion", {}, NOT_PENDING, NOT_PENDING, None),
    ("describe_key", {}, None, None, None),
    ("list_aliases", {}, None, None, None),
]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("operation", "parameters", "when"), [(row[0], row[1], row[2:]) for row in OUTCOMES])
def test_what_a_key_in_each_state_admits(
    kms: Any, key: str, state: str, operation: str, parameters: dict[str, Any], when: tuple[Outcome, ...]
) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"p")["CiphertextBlob"]
    STATES[state](kms, key)
    given = {name: blob if value == b"{blob}" else value for name, value in parameters.items()}
    outcome = when[list(STATES).index(state)]
    call = getattr(kms, operation)
    if outcome is None:
        assert call(KeyId=key, **given)["ResponseMetadata"]["HTTPStatusCode"] == 200
        return
    answer = error_of(call, KeyId=key, **given)
    code, message = outcome
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]) == (
        400,
        error(code, message.format(arn=key)),
    )
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == state


@pytest.mark.parametrize(
    ("calls", "state"),
    [
        (["disable_key"], "Disabled"),
        (["disable_key", "disable_key"], "Disabled"),
        (["enable_key"], "Enabled"),
        (["disable_key", "enable_key", "enable_key"], "Enabled"),
        (["schedule_key_deletion"], "PendingDeletion"),
        (["disable_key", "schedule_key_deletion"], "PendingDeletion"),
        # Not what it was before: AWS gives it back disabled.
        (["schedule_key_deletion", "cancel_key_deletion"], "Disabled"),
        (["schedule_key_deletion", "cancel_key_deletion", "enable_key"], "Enabled"),
    ],
)
def test_state_after_changes(kms: Any, key: str, calls: list[str], state: str) -> None:
    for call in calls:
        getattr(kms, call)(KeyId=key)
    shown = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (shown["KeyState"], shown["Enabled"]) == (state, state == "Enabled")
    assert ("DeletionDate" in shown) == (state == "PendingDeletion")


@pytest.mark.parametrize("off", ["disable_key", "schedule_key_deletion"])
def test_a_key_is_refused_at_once_and_opens_again_what_it_sealed(kms: Any, key: str, off: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
    getattr(kms, off)(KeyId=key)
    code = error_of(kms.decrypt, CiphertextBlob=blob)["Error"]["Code"]
    assert code == ("DisabledException" if off == "disable_key" else "KMSInvalidStateException")
    if off == "schedule_key_deletion":
        kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"


# Deletion


@pytest.mark.parametrize(
    ("parameters", "days"), [({}, 30), ({"PendingWindowInDays": 7}, 7), ({"PendingWindowInDays": 30}, 30)]
)
def test_deletion_is_set_for_the_end_of_its_window(kms: Any, key: str, parameters: dict[str, Any], days: int) -> None:
    answer = kms.schedule_key_deletion(KeyId=key.rpartition("/")[2], **parameters)
    assert (answer["KeyId"], answer["KeyState"]) == (key, "PendingDeletion")
    assert answer["PendingWindowInDays"] == days
    assert abs(answer["DeletionDate"] - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=5)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["DeletionDate"] == answer["DeletionDate"]
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == key


@pytest.mark.parametrize(
    ("days", "bound"),
    [(6, "greater than or equal to 7"), (31, "less than or equal to 30"), (0, "greater than or equal to"),
     (-1, "greater than or equal to"), (366, "less than or equal to")],
)  # fmt: skip
def test_deletion_windows_out_of_bounds(lax: Any, kms: Any, key: str, days: int, bound: str) -> None:
    told = error_of(lax.schedule_key_deletion, KeyId=key, PendingWindowInDays=days)["Error"]
    start = f"1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: "
    assert told["Code"] == "ValidationException"
    assert told["Message"].startswith(f"{start}Member must have value {bound}")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"


# ListKeys


def all_keys(kms: Any, **page: Any) -> list[dict[str, str]]:
    return [each for got in kms.get_paginator("list_keys").paginate(**page) for each in got["Keys"]]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_pages_hold_every_key_once(kms: Any, size: int) -> None:
    made = [make_key(kms) for _ in range(5)]
    everything = kms.list_keys(Limit=1000)
    assert everything["Truncated"] is False
    assert "NextMarker" not in everything
    paged = all_keys(kms, PaginationConfig={"PageSize": size})
    assert paged == everything["Keys"]
    arns = [entry["KeyArn"] for entry in paged]
    assert len(set(arns)) == len(arns)
    assert set(made) <= set(arns)
    assert all(entry["KeyId"] == entry["KeyArn"].rpartition("/")[2] for entry in paged)


def test_a_page_that_is_cut_says_where_to_go_on(kms: Any) -> None:
    for _ in range(2):
        make_key(kms)
    first = kms.list_keys(Limit=1)
    assert (first["Truncated"], len(first["Keys"])) == (True, 1)
    # A key made meanwhile does not shift the next page.
    make_key(kms)
    second = kms.list_keys(Limit=1, Marker=first["NextMarker"])
    assert second["Keys"] == kms.list_keys(Limit=2)["Keys"][1:]


def test_keys_in_every_state_are_listed(kms: Any) -> None:
    made = {}
    for state, put in STATES.items():
        made[state] = make_key(kms)
        put(kms, made[state])
    assert set(made.values()) <= {entry["KeyArn"] for entry in all_keys(kms)}


@pytest.mark.parametrize("marker", ["xyz", "AAAA", "a" * 1024, "ä"])
@pytest.mark.parametrize("operation", ["list_keys", "list_aliases"])
def test_markers_of_nobody_are_refused(kms: Any, operation: str, marker: str) -> None:
    told = error_of(getattr(kms, operation), Marker=marker)["Error"]
    assert told["Code"] == "InvalidMarkerException"


def test_a_marker_belongs_to_its_listing(kms: Any) -> None:
    for _ in range(2):
        make_key(kms)
    marker = kms.list_keys(Limit=1)["NextMarker"]
    assert error_of(kms.list_aliases, Marker=marker)["Error"]["Code"] == "InvalidMarkerException"


@pytest.mark.parametrize("operation", ["list_keys", "list_aliases"])
@pytest.mark.parametrize(
    ("limit", "bound"),
    [(0, "greater than or equal to 1"), (-5, "greater than or equal to 1"), (1001, "less than or equal to 1000")],
)
def test_page_sizes_out_of_bounds(lax: Any, operation: str, limit: int, bound: str) -> None:
    assert error_of(getattr(lax, operation), Limit=limit)["Error"] == error(
        "ValidationException",
        f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
        f"Member must have value {bound}",
    )


# The AWS-managed key of S3


def test_the_s3_key_is_made_when_it_is_first_asked_for(kms: Any, account: str) -> None:
    shown = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert (shown["KeyManager"], shown["KeyState"]) == ("AWS", "Enabled")
    assert shown["Description"] == "Default key that protects my S3 objects when no other key is defined"
    by_arn = kms.describe_key(KeyId=f"arn:aws:kms:{REGION}:{account}:alias/aws/s3")["KeyMetadata"]
    assert by_arn == shown == kms.describe_key(KeyId=shown["KeyId"])["KeyMetadata"]
    [alias] = kms.list_aliases(KeyId=shown["KeyId"])["Aliases"]
    assert (alias["AliasName"], alias["TargetKeyId"]) == ("alias/aws/s3", shown["KeyId"])


def test_s3_uses_its_key_when_no_other_is_named(kms: Any, s3: Any, bucket: str) -> None:
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms")
    assert put["SSEKMSKeyId"] == kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"]
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


@pytest.mark.parametrize(
    ("operation", "parameters", "action"),
    [
        ("encrypt", {"Plaintext": b"p"}, "Encrypt"),
        ("generate_data_key", {"KeySpec": "AES_256"}, "GenerateDataKey"),
        ("generate_data_key_without_plaintext", {"KeySpec": "AES_256"}, "GenerateDataKeyWithoutPlaintext"),
        ("enable_key", {}, "EnableKey"),
        ("disable_key", {}, "DisableKey"),
        ("schedule_key_deletion", {}, "ScheduleKeyDeletion"),
        ("cancel_key_deletion", {}, "CancelKeyDeletion"),
    ],
)
def test_the_s3_key_serves_only_s3(
    kms: Any, account: str, operation: str, parameters: dict[str, Any], action: str
) -> None:
    arn = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"]
    assert error_of(getattr(kms, operation), KeyId=arn, **parameters)["Error"] == error(
        "AccessDeniedException",
        f"User: arn:aws:iam::{account}:root is not authorized to perform: kms:{action} on resource: {arn} because no "
        f"resource-based policy allows the kms:{action} action",
    )
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Enabled"


# Requests that are none

JSON = "application/x-amz-json-1.1"


def ask(raw: RawClient, target: str | None, body: bytes) -> Any:
    headers = {"content-type": JSON} | ({} if target is None else {"x-amz-target": target})
    return raw.request("POST", "/", headers, body, service="kms")


@pytest.mark.parametrize(
    ("target", "body", "code", "message"),
    [
        ("TrentService.Explode", b"{}", "UnknownOperationException", ""),
        ("TrentService.", b"{}", "UnknownOperationException", ""),
        ("TrentService.AttestDestruction", b"{}", "UnknownOperationException", ""),
        ("DynamoDB_20120810.ListKeys", b"{}", "UnknownOperationException", ""),
        ("TrentService.ListKeys", b"{", "SerializationException", "The request body is not valid JSON"),
        ("TrentService.ListKeys", b"\xff", "SerializationException", "The request body is not valid JSON"),
        ("TrentService.ListKeys", b"[]", "SerializationException", "Start of structure or map expected"),
        (
            "TrentService.ListKeys",
            b'{"Limit": "5"}',
            "SerializationException",
            "STRING_VALUE can not be converted to Integer",
        ),
        (
            "TrentService.DescribeKey",
            b'{"KeyId": 5}',
            "SerializationException",
            "NUMBER_VALUE can not be converted to String",
        ),
        (
            "TrentService.DescribeKey",
            b'{"KeyId": ["a"]}',
            "SerializationException",
            "Start of list found where not expected",
        ),
        ("TrentService.ListKeys", b"[" * 100_000, "SerializationException", "The request body is not valid JSON"),
    ],
)
def test_requests_that_are_none(raw: RawClient, target: str, body: bytes, code: str, message: str) -> None:
    answer = ask(raw, target, body)
    assert (answer.status, answer.code, answer.message) == (400, code, message)
    assert (answer.headers["content-type"], answer.headers["x-amzn-errortype"]) == (JSON, code)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"Limit": null, "Unknown": [1, {}], "Limits": "x"}'])
def test_unknown_members_and_nulls_are_ignored(raw: RawClient, body: bytes) -> None:
    answer = ask(raw, "TrentService.ListKeys", body)
    assert answer.status == 200
    assert {"Keys", "Truncated"} <= set(json.loads(answer.body))


def test_answers_carry_a_request_id_and_are_not_to_be_cached(kms: Any) -> None:
    answers = [kms.list_keys(), error_of(kms.describe_key, KeyId=ABSENT)]
    shown = [headers_of(answer) for answer in answers]
    assert len({headers["x-amzn-requestid"] for headers in shown}) == 2
    assert {headers["content-type"] for headers in shown} == {JSON}
    assert all("no-store" in headers["cache-control"] for headers in shown)


# Who asks


def client(gateway: Gateway, *, region: str = REGION, **credentials: str) -> Any:
    """A KMS client of the first account, but for what is given."""
    own = {name: gateway.credentials[name.upper()] for name in ("aws_access_key_id", "aws_secret_access_key")}
    return boto3.client(
        "kms",
        endpoint_url=gateway.endpoint_url,
        region_name=region,
        config=Config(retries={"total_max_attempts": 1}),
        **{**own, **credentials},
    )


MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
BAD_TOKEN = "The security token included in the request is invalid."


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"aws_secret_access_key": "x" * 40}, "InvalidSignatureException", MISMATCH),
        ({"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE"}, "UnrecognizedClientException", BAD_TOKEN),
        ({"aws_session_token": "token"}, "UnrecognizedClientException", BAD_TOKEN),
        ({"region": "eu-west-1"}, "InvalidSignatureException", "Credential should be scoped to a valid region."),
    ],
)
def test_callers_who_are_not_known(gateway: Gateway, changes: dict[str, str], code: str, message: str) -> None:
    for operation in ("list_keys", "create_key"):
        answer = error_of(getattr(client(gateway, **changes), operation))
        assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]) == (400, error(code, message))


def test_nothing_is_public(gateway: Gateway) -> None:
    anonymous = gateway.client("kms", signature_version=UNSIGNED)
    for operation in ("list_keys", "create_key", "generate_random"):
        answer = error_of(getattr(anonymous, operation))
        assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]) == (
            400,
            error("MissingAuthenticationTokenException", "Missing Authentication Token"),
        )


@pytest.mark.parametrize(("minutes", "told"), [(-6, "Signature expired: "), (6, "Signature not yet current: ")])
def test_requests_of_another_time(raw: RawClient, minutes: int, told: str) -> None:
    headers = {"content-type": JSON, "x-amz-target": "TrentService.ListKeys"}
    now = datetime.now(UTC) + timedelta(minutes=minutes)
    answer = raw.request("POST", "/", headers, b"{}", service="kms", now=now)
    assert answer.refusal == (400, "InvalidSignatureException")
    assert answer.message.startswith(told)
    assert answer.message.endswith(" 5 min.)")
    near = datetime.now(UTC) + timedelta(minutes=minutes * 2 / 3)
    assert raw.request("POST", "/", headers, b"{}", service="kms", now=near).status == 200


def test_a_body_that_was_not_the_one_signed(raw: RawClient) -> None:
    headers = {"content-type": JSON, "x-amz-target": "TrentService.ListKeys"}
    signed = raw.sign("POST", "/", headers, "0" * 64, service="kms")
    assert raw.send("POST", "/", signed.headers, b"{}").refusal == (400, "InvalidSignatureException")
