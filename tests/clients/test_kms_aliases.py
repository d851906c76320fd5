"""The aliases of the KMS through boto3."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clients.checks import error_of
from tests.clients.users import allow, make_account
from tests.harness import REGION, Gateway

ABSENT = "00000000-0000-4000-8000-000000000000"
PREFIX = (
    'Alias must start with the prefix "alias/". Please see '
    "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
)


def error(code: str, message: str) -> dict[str, str]:
    return {"Code": code, "Message": message}


def make_key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["KeyId"])


def aliases_of(kms: Any, key: str, **page: Any) -> list[dict[str, Any]]:
    pages = kms.get_paginator("list_aliases").paginate(KeyId=key, **page)
    return [alias for got in pages for alias in got["Aliases"]]


@pytest.fixture(scope="module")
def lax(gateway: Gateway) -> Any:
    return gateway.client("kms", parameter_validation=False)


@pytest.fixture(scope="module")
def account(kms_key: str) -> str:
    return kms_key.split(":")[4]


@pytest.fixture
def key(kms: Any) -> str:
    return make_key(kms)


@pytest.fixture
def alias(kms: Any, key: str) -> str:
    """An alias of `key`."""
    name = f"alias/{uuid.uuid4()}"
    kms.create_alias(AliasName=name, TargetKeyId=key)
    return name


def test_an_alias_names_its_key_in_all_four_ways(kms: Any, account: str, key: str, alias: str) -> None:
    arn = f"arn:aws:kms:{REGION}:{account}:key/{key}"
    for name in (key, arn, alias, f"arn:aws:kms:{REGION}:{account}:{alias}"):
        assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == arn
        sealed = kms.encrypt(KeyId=name, Plaintext=b"p")
        assert sealed["KeyId"] == arn
        assert kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], KeyId=name)["KeyId"] == arn


def test_an_alias_is_listed_with_its_target_and_times(kms: Any, account: str, key: str, alias: str) -> None:
    [listed] = aliases_of(kms, key)
    created, updated = listed.pop("CreationDate"), listed.pop("LastUpdatedDate")
    assert created == updated
    assert abs(created - datetime.now(UTC)) < timedelta(minutes=5)
    arn = f"arn:aws:kms:{REGION}:{account}:{alias}"
    assert listed == {"AliasName": alias, "AliasArn": arn, "TargetKeyId": key}


@pytest.mark.parametrize("form", ["{key}", "arn:aws:kms:us-east-1:{account}:key/{key}"])
def test_targets_are_key_ids_or_arns(kms: Any, account: str, key: str, form: str) -> None:
    name = f"alias/{uuid.uuid4()}"
    kms.create_alias(AliasName=name, TargetKeyId=form.format(key=key, account=account))
    assert [listed["AliasName"] for listed in aliases_of(kms, key)] == [name]


@pytest.mark.parametrize("name", ["a", "A-Z_0:9/x", "a/" * 20 + "b", "AWS/x", "aws", "awsome/x", "x" * 250])
def test_names_that_aliases_can_have(kms: Any, key: str, name: str) -> None:
    kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key)
    assert kms.describe_key(KeyId=f"alias/{name}")["KeyMetadata"]["KeyId"] == key
    kms.delete_alias(AliasName=f"alias/{name}")
    assert aliases_of(kms, key) == []


def pattern(name: str) -> str:
    return (
        f"1 validation error detected: Value '{name}' at 'aliasName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"
    )


NAMES_REFUSED: list[tuple[str, str, str]] = [
    ("noprefix", "ValidationException", PREFIX),
    ("Alias/x", "ValidationException", PREFIX),
    ("alias", "ValidationException", PREFIX),
    ("alias/", "InvalidAliasNameException", "Alias name must not be empty"),
    ("alias/with space", "ValidationException", pattern("alias/with space")),
    ("alias/ä", "ValidationException", pattern("alias/ä")),
    ("alias/a.b", "ValidationException", pattern("alias/a.b")),
    ("alias/a\n", "ValidationException", pattern("alias/a\n")),
    ("alias/aws/mine", "NotAuthorizedException", "The alias prefix alias/aws/ is reserved"),
    ("alias/aws/s3", "NotAuthorizedException", "The alias prefix alias/aws/ is reserved"),
    (
        "alias/" + "x" * 251,
        "ValidationException",
        f"1 validation error detected: Value 'alias/{'x' * 251}' at 'aliasName' failed to satisfy constraint: "
        "Member must have length less than or equal to 256",
    ),
]


@pytest.mark.parametrize("operation", ["create_alias", "update_alias", "delete_alias"])
@pytest.mark.parametrize(("name", "code", "message"), NAMES_REFUSED)
def test_names_that_no_alias_can_have(kms: Any, key: str, operation: str, name: str, code: str, message: str) -> None:
    target = {} if operation == "delete_alias" else {"TargetKeyId": key}
    answer = error_of(getattr(kms, operation), AliasName=name, **target)
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]) == (400, error(code, message))
    assert aliases_of(kms, key) == []


def test_missing_members_are_told_together(lax: Any) -> None:
    told = error_of(lax.create_alias)["Error"]
    assert told == error(
        "ValidationException",
        "2 validation errors detected: Value null at 'aliasName' failed to satisfy constraint: Member must not be "
        "null; Value null at 'targetKeyId' failed to satisfy constraint: Member must not be null",
    )


def test_a_name_is_taken_once_in_an_account(kms: Any, account: str, key: str, alias: str) -> None:
    other = make_key(kms)
    for target in (key, other):
        assert error_of(kms.create_alias, AliasName=alias, TargetKeyId=target)["Error"] == error(
            "AlreadyExistsException", f"An alias with the name arn:aws:kms:{REGION}:{account}:{alias} already exists"
        )
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"] == key


TARGETS_REFUSED: list[tuple[str, str, str]] = [
    (ABSENT, "NotFoundException", "Key 'arn:aws:kms:us-east-1:{account}:key/{absent}' does not exist"),
    ("xyz", "NotFoundException", "Invalid keyId 'xyz'"),
    ("alias/aws/s3", "ValidationException", "Aliases must refer to keys. Not aliases"),
    ("arn:aws:kms:eu-west-1:{account}:key/{absent}", "NotFoundException", "Invalid arn eu-west-1"),
]


@pytest.mark.parametrize("operation", ["create_alias", "update_alias"])
@pytest.mark.parametrize(("target", "code", "message"), TARGETS_REFUSED)
def test_targets_that_no_alias_can_have(
    kms: Any, account: str, key: str, alias: str, operation: str, target: str, code: str, message: str
) -> None:
    name = alias if operation == "update_alias" else f"{alias}/new"
    words = {"account": account, "absent": ABSENT}
    answer = error_of(getattr(kms, operation), AliasName=name, TargetKeyId=target.format(**words))
    assert answer["Error"] == error(code, message.format(**words))
    assert [listed["AliasName"] for listed in aliases_of(kms, key)] == [alias]


@pytest.mark.parametrize("operation", ["create_alias", "update_alias"])
def test_targets_of_another_account(kms: Any, alias: str, operation: str) -> None:
    target = f"arn:aws:kms:{REGION}:999999999999:key/{ABSENT}"
    told = error_of(getattr(kms, operation), AliasName=alias, TargetKeyId=target)["Error"]
    assert told["Code"] == "AccessDeniedException"


def test_another_accounts_key_is_used_by_the_arn_of_its_alias(
    gateway: Gateway, kms: Any, account: str, key: str, alias: str
) -> None:
    """Where both accounts allow it; the name alone is the caller's own account's."""
    other = make_account(gateway)
    arn, alias_arn = (f"arn:aws:kms:{REGION}:{account}:{name}" for name in (f"key/{key}", alias))
    user = other.make_user(allow("s3:*"), allow("kms:*", on=arn))
    client, s3 = user.client("kms"), user.client("s3")
    assert error_of(client.encrypt, KeyId=alias_arn, Plaintext=b"p")["Error"]["Code"] == "AccessDeniedException"
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": each}, "Action": "kms:*", "Resource": "*"}
        for each in (account, other.account_id)
    ]
    kms.put_key_policy(KeyId=key, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))

    assert client.describe_key(KeyId=alias_arn)["KeyMetadata"]["Arn"] == arn
    sealed = client.encrypt(KeyId=alias_arn, Plaintext=b"from abroad")
    assert sealed["KeyId"] == arn
    for by in ({}, {"KeyId": alias_arn}):
        assert client.decrypt(CiphertextBlob=sealed["CiphertextBlob"], **by)["Plaintext"] == b"from abroad"
    assert kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], KeyId=alias)["Plaintext"] == b"from abroad"
    bucket = f"test-{uuid.uuid4()}"
    s3.create_bucket(Bucket=bucket)
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=alias_arn)
    assert put["SSEKMSKeyId"] == arn
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert error_of(client.encrypt, KeyId=alias, Plaintext=b"p")["Error"]["Code"] == "NotFoundException"


def test_an_alias_moves_to_another_key_and_what_was_sealed_stays_open(kms: Any, key: str, alias: str) -> None:
    before = kms.encrypt(KeyId=alias, Plaintext=b"before")
    [created] = aliases_of(kms, key)
    other = make_key(kms)
    kms.update_alias(AliasName=alias, TargetKeyId=other)
    after = kms.encrypt(KeyId=alias, Plaintext=b"after")
    assert (before["KeyId"].rpartition("/")[2], after["KeyId"].rpartition("/")[2]) == (key, other)
    assert kms.decrypt(CiphertextBlob=before["CiphertextBlob"])["Plaintext"] == b"before"
    told = error_of(kms.decrypt, CiphertextBlob=before["CiphertextBlob"], KeyId=alias)["Error"]
    assert told["Code"] == "IncorrectKeyException"
    assert aliases_of(kms, key) == []
    [moved] = aliases_of(kms, other)
    assert moved["CreationDate"] == created["CreationDate"] <= moved["LastUpdatedDate"]


KINDS: dict[str, tuple[str, str]] = {
    "symmetric": ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
    "hmac": ("HMAC_256", "GENERATE_VERIFY_MAC"),
    "other hmac": ("HMAC_512", "GENERATE_VERIFY_MAC"),
    "signing": ("ECC_NIST_P256", "SIGN_VERIFY"),
    "other signing": ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
    "agreement": ("ECC_NIST_P256", "KEY_AGREEMENT"),
    "rsa encryption": ("RSA_2048", "ENCRYPT_DECRYPT"),
    "rsa signing": ("RSA_2048", "SIGN_VERIFY"),
}


@pytest.fixture(scope="module")
def keys_of_kinds(kms: Any) -> dict[str, str]:
    return {
        kind: kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
        for kind, (spec, usage) in KINDS.items()
    }


@pytest.mark.parametrize(
    ("current", "new"), [("hmac", "other hmac"), ("signing", "other signing"), ("signing", "rsa signing")]
)
def test_an_alias_moves_between_keys_of_one_type_and_usage(
    kms: Any, keys_of_kinds: dict[str, str], current: str, new: str
) -> None:
    name = f"alias/{uuid.uuid4()}"
    kms.create_alias(AliasName=name, TargetKeyId=keys_of_kinds[current])
    kms.update_alias(AliasName=name, TargetKeyId=keys_of_kinds[new])
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"] == keys_of_kinds[new]


@pytest.mark.parametrize(
    ("current", "new"),
    [
        ("symmetric", "hmac"),
        ("symmetric", "signing"),
        ("symmetric", "rsa encryption"),  # of one usage
        ("rsa encryption", "symmetric"),
        ("hmac", "symmetric"),
        ("hmac", "signing"),
        ("signing", "agreement"),  # of one type, and one spec
        ("rsa signing", "rsa encryption"),
    ],
)
def test_an_alias_does_not_move_to_a_key_of_another_type_or_usage(
    kms: Any, keys_of_kinds: dict[str, str], current: str, new: str
) -> None:
    name = f"alias/{uuid.uuid4()}"
    kms.create_alias(AliasName=name, TargetKeyId=keys_of_kinds[current])
    told = error_of(kms.update_alias, AliasName=name, TargetKeyId=keys_of_kinds[new])
    assert (told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]["Code"]) == (400, "ValidationException")
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"] == keys_of_kinds[current]
    kms.delete_alias(AliasName=name)
    kms.create_alias(AliasName=name, TargetKeyId=keys_of_kinds[new])


@pytest.mark.parametrize("operation", ["update_alias", "delete_alias", "describe_key", "encrypt"])
def test_aliases_that_do_not_exist(kms: Any, account: str, key: str, operation: str) -> None:
    name = f"alias/{uuid.uuid4()}"
    parameters: dict[str, Any] = {
        "update_alias": {"AliasName": name, "TargetKeyId": key},
        "delete_alias": {"AliasName": name},
        "describe_key": {"KeyId": name},
        "encrypt": {"KeyId": name, "Plaintext": b"p"},
    }[operation]
    answer = error_of(getattr(kms, operation), **parameters)
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]) == (
        400,
        error("NotFoundException", f"Alias arn:aws:kms:{REGION}:{account}:{name} is not found."),
    )


def test_a_deleted_alias_is_gone_and_its_name_free(kms: Any, key: str, alias: str) -> None:
    kms.delete_alias(AliasName=alias)
    assert error_of(kms.describe_key, KeyId=alias)["Error"]["Code"] == "NotFoundException"
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Enabled"]
    other = make_key(kms)
    kms.create_alias(AliasName=alias, TargetKeyId=other)
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"] == other


def test_an_alias_named_like_a_key_does_not_hide_it(kms: Any, key: str) -> None:
    other = make_key(kms)
    kms.create_alias(AliasName=f"alias/{key}", TargetKeyId=other)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyId"] == key
    assert kms.describe_key(KeyId=f"alias/{key}")["KeyMetadata"]["KeyId"] == other


@pytest.mark.parametrize(
    ("off", "create", "update_to"),
    [("disable_key", None, None), ("schedule_key_deletion", "KMSInvalidStateException", "KMSInvalidStateException")],
)
def test_aliases_of_keys_in_other_states(
    kms: Any, account: str, key: str, alias: str, off: str, create: str | None, update_to: str | None
) -> None:
    other = make_key(kms)
    getattr(kms, off)(KeyId=key)
    pending = error("KMSInvalidStateException", f"arn:aws:kms:{REGION}:{account}:key/{key} is pending deletion.")
    more, moving = f"{alias}/more", f"{alias}/moving"
    kms.create_alias(AliasName=moving, TargetKeyId=other)
    for call, name, code in ((kms.create_alias, more, create), (kms.update_alias, moving, update_to)):
        if code is None:
            call(AliasName=name, TargetKeyId=key)
        else:
            assert error_of(call, AliasName=name, TargetKeyId=key)["Error"] == pending
    # The alias itself stays, can be taken away from such a key, and can be deleted.
    assert alias in [listed["AliasName"] for listed in aliases_of(kms, key)]
    kms.update_alias(AliasName=alias, TargetKeyId=other)
    kms.delete_alias(AliasName=alias)


def test_fifty_aliases_are_all_that_a_key_can_have(kms: Any, key: str) -> None:
    names = [f"alias/{key}/{number:02}" for number in range(50)]
    for name in names:
        kms.create_alias(AliasName=name, TargetKeyId=key)
    assert error_of(kms.create_alias, AliasName=f"alias/{key}/x", TargetKeyId=key)["Error"]["Code"] == (
        "LimitExceededException"
    )
    other = make_key(kms)
    kms.create_alias(AliasName=f"alias/{key}/y", TargetKeyId=other)
    assert error_of(kms.update_alias, AliasName=f"alias/{key}/y", TargetKeyId=key)["Error"]["Code"] == (
        "LimitExceededException"
    )
    for size in (1, 7, 49, 50, 100):
        assert [got["AliasName"] for got in aliases_of(kms, key, PaginationConfig={"PageSize": size})] == names
    cut = kms.list_aliases(KeyId=key, Limit=49)
    assert (cut["Truncated"], len(cut["Aliases"])) == (True, 49)
    rest = kms.list_aliases(KeyId=key, Marker=cut["NextMarker"])
    assert (rest["Truncated"], [got["AliasName"] for got in rest["Aliases"]]) == (False, names[49:])
    assert "NextMarker" not in rest
    for name in names:
        kms.delete_alias(AliasName=name)


def test_all_aliases_of_the_account_are_listed_in_order(kms: Any, account: str, alias: str) -> None:
    by_page = {}
    for size in (1, 3, 100):
        pages = kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": size})
        by_page[size] = [listed["AliasName"] for got in pages for listed in got["Aliases"]]
    assert by_page[1] == by_page[3] == by_page[100] == sorted(by_page[100])
    assert {alias, "alias/aws/s3"} <= set(by_page[1])
    assert "alias/sealgate/service" not in by_page[1]


@pytest.mark.parametrize(
    ("named", "code", "message"),
    [
        (ABSENT, "NotFoundException", "Key 'arn:aws:kms:us-east-1:{account}:key/{absent}' does not exist"),
        ("xyz", "NotFoundException", "Invalid keyId 'xyz'"),
        ("alias/aws/s3", "InvalidArnException", "Key Aliases are not supported for this operation."),
    ],
)
def test_aliases_of_no_key(kms: Any, account: str, named: str, code: str, message: str) -> None:
    assert error_of(kms.list_aliases, KeyId=named)["Error"] == error(
        code, message.format(account=account, absent=ABSENT)
    )


def test_s3_takes_an_alias_for_a_key(s3: Any, kms: Any, bucket: str, account: str, key: str, alias: str) -> None:
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=alias)
    assert put["SSEKMSKeyId"] == f"arn:aws:kms:{REGION}:{account}:key/{key}"
    kms.update_alias(AliasName=alias, TargetKeyId=make_key(kms))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
