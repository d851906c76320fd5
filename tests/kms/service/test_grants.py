"""Grants: what they allow, who may make and end them, and their tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService
from kms.epoch import MemoryEpoch
from kms.service.service import EmbeddedKeyService
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import assert_refused
from tests.kms.roots import MemoryRoot
from tests.kms.service.access import (
    ACCOUNT,
    DENIED,
    OTHER,
    ROOT,
    key_with,
    outcome,
    session,
    statement,
    to,
    user,
    via_s3,
)
from tests.kms.service.conftest import SETTINGS, Clock

ALICE, BOB, CAROL = user(), user("bob"), user("carol")
ABROAD = user("dave", account_id=OTHER)
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/reader"
SUBSET, EQUALS = t.GrantConstraints({"a": "1"}), t.GrantConstraints(None, {"a": "1"})


def arn(caller: object) -> str:
    return caller.principal.arn  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
async def key(service: KeyService) -> t.KeyMetadata:
    return await key_with(service)


def encrypt(key: t.KeyMetadata, context: dict[str, str] | None = None, **more: object) -> t.Encrypt:
    return t.Encrypt(key.key_arn, SecretBytes(b"x"), context or {}, **more)  # type: ignore[arg-type]


async def grant(service: KeyService, key: t.KeyMetadata, grantee: str, *operations: str, **more: object) -> t.NewGrant:
    return await service.call(ROOT, t.CreateGrant(key.key_arn, grantee, operations, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("grantee", "caller", "wanted"),
    [
        (arn(ALICE), ALICE, "ok"),
        (arn(ALICE), BOB, DENIED),
        (ROLE_ARN, session(), "ok"),
        (arn(session()), session(), "ok"),
        (arn(session()), session("writer"), DENIED),
        (arn(ABROAD), ABROAD, "ok"),
        (arn(ALICE), user("alice", statement("kms:Encrypt", "Deny")), DENIED),
        # The root user of another account is that user, not everyone of the account.
        (f"arn:aws:iam::{OTHER}:root", ABROAD, DENIED),
    ],
)
async def test_a_grant_allows_its_grantee_its_operations(
    service: KeyService, key: t.KeyMetadata, grantee: str, caller: object, wanted: str
) -> None:
    assert await outcome(service, caller, encrypt(key)) == DENIED  # type: ignore[arg-type]
    await grant(service, key, grantee, "Encrypt")
    assert await outcome(service, caller, encrypt(key)) == wanted  # type: ignore[arg-type]
    assert await outcome(service, caller, t.DescribeKey(key.key_arn)) == DENIED  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("constraints", "context", "wanted"),
    [
        (SUBSET, {"a": "1"}, "ok"),
        (SUBSET, {"A": "1", "b": "2"}, "ok"),
        (SUBSET, {"a": "x"}, DENIED),
        (SUBSET, {}, DENIED),
        (EQUALS, {"a": "1"}, "ok"),
        (EQUALS, {"A": "1"}, "ok"),
        (EQUALS, {"a": "1", "b": "2"}, DENIED),
        (EQUALS, {"a": "1", "A": "1"}, DENIED),
        (EQUALS, {}, DENIED),
    ],
)
async def test_constraints_on_the_encryption_context(
    service: KeyService, key: t.KeyMetadata, constraints: t.GrantConstraints, context: dict[str, str], wanted: str
) -> None:
    await grant(service, key, arn(ALICE), "Encrypt", "DescribeKey", constraints=constraints)
    assert await outcome(service, ALICE, encrypt(key, context)) == wanted
    assert await outcome(service, ALICE, t.DescribeKey(key.key_arn)) == "ok"


async def test_a_constraint_on_the_source(service: KeyService, key: t.KeyMetadata) -> None:
    source = "arn:aws:s3:::bucket/key"
    await grant(service, key, arn(ALICE), "Encrypt", constraints=t.GrantConstraints(source_arn=source))
    assert await outcome(service, ALICE, encrypt(key)) == DENIED
    assert await outcome(service, replace(via_s3(ALICE), resource_arn=source), encrypt(key)) == "ok"
    assert await outcome(service, replace(via_s3(ALICE), resource_arn=source + "2"), encrypt(key)) == DENIED


@pytest.mark.parametrize(
    ("constraints", "operations", "wanted", "how"),
    [
        (None, ("Encrypt",), "ok", t.GrantConstraints()),
        (None, ("Encrypt", "CreateGrant"), "ok", SUBSET),
        (None, ("Decrypt",), DENIED, t.GrantConstraints()),
        (SUBSET, ("Encrypt",), DENIED, t.GrantConstraints()),
        (SUBSET, ("Encrypt",), "ok", SUBSET),
        (SUBSET, ("Encrypt",), "ok", t.GrantConstraints({"A": "1", "b": "2"})),
        (SUBSET, ("Encrypt",), "ok", EQUALS),
        (SUBSET, ("Encrypt",), DENIED, t.GrantConstraints({"b": "2"})),
        (EQUALS, ("Encrypt",), "ok", EQUALS),
        (EQUALS, ("Encrypt",), DENIED, SUBSET),
        (EQUALS, ("Encrypt",), DENIED, t.GrantConstraints(None, {"a": "1", "b": "2"})),
    ],
)
async def test_a_grant_through_a_grant_gives_no_more(
    service: KeyService,
    key: t.KeyMetadata,
    constraints: t.GrantConstraints | None,
    operations: tuple[str, ...],
    wanted: str,
    how: t.GrantConstraints,
) -> None:
    await grant(service, key, arn(ALICE), "Encrypt", "CreateGrant", constraints=constraints or t.GrantConstraints())
    request_ = t.CreateGrant(key.key_arn, arn(BOB), operations, constraints=how)
    assert await outcome(service, ALICE, request_) == wanted
    assert await outcome(service, BOB, encrypt(key, {"a": "1"})) == (
        "ok" if wanted == "ok" and how != t.GrantConstraints({"A": "1", "b": "2"}) else DENIED
    )


async def test_a_grant_ends_when_it_is_revoked(service: KeyService, key: t.KeyMetadata) -> None:
    for _ in range(3):
        made = await grant(service, key, arn(ALICE), "Encrypt")
        assert await outcome(service, ALICE, encrypt(key)) == "ok"
        await service.call(ROOT, t.RevokeGrant(key.key_id, made.grant_id))
        assert await outcome(service, ALICE, encrypt(key)) == DENIED
        await assert_refused(service.call(ROOT, t.RevokeGrant(key.key_id, made.grant_id)), "NotFoundException")


async def test_several_grants_are_each_as_good(service: KeyService, key: t.KeyMetadata) -> None:
    await grant(service, key, arn(ALICE), "Encrypt", constraints=EQUALS)
    made = await grant(service, key, arn(ALICE), "Encrypt", constraints=t.GrantConstraints({"b": "2"}))
    assert await outcome(service, ALICE, encrypt(key, {"a": "1"})) == "ok"
    assert await outcome(service, ALICE, encrypt(key, {"b": "2"})) == "ok"
    await service.call(ROOT, t.RevokeGrant(key.key_id, made.grant_id))
    assert await outcome(service, ALICE, encrypt(key, {"b": "2"})) == DENIED


async def test_the_same_name_and_parameters_are_one_grant(service: KeyService, key: t.KeyMetadata) -> None:
    one = await grant(service, key, arn(ALICE), "Encrypt", name="n")
    again = await grant(service, key, arn(ALICE), "Encrypt", name="n")
    other = await grant(service, key, arn(ALICE), "Encrypt", "Decrypt", name="n")
    assert again.grant_id == one.grant_id != other.grant_id
    assert again.grant_token != one.grant_token
    unnamed = [(await grant(service, key, arn(ALICE), "Encrypt")).grant_id for _ in range(2)]
    assert len({one.grant_id, other.grant_id, *unnamed}) == 4


# Who may retire


@pytest.mark.parametrize(
    ("caller", "wanted"),
    [
        (BOB, "ok"),
        (ROOT, "ok"),
        (ALICE, DENIED),
        (CAROL, DENIED),
        (user("carol", statement("kms:RetireGrant")), "ok"),
        (user("bob", statement("kms:RetireGrant", "Deny")), DENIED),
        (user("bob", account_id=OTHER), DENIED),
    ],
)
async def test_who_may_retire_a_grant(service: KeyService, key: t.KeyMetadata, caller: object, wanted: str) -> None:
    made = await grant(service, key, arn(ALICE), "Encrypt", retiring_principal=arn(BOB))
    for request_ in (
        t.RetireGrant(None, key.key_arn, made.grant_id, dry_run=True),
        t.RetireGrant(made.grant_token),
    ):
        assert await outcome(service, caller, request_) == wanted  # type: ignore[arg-type]
    assert await outcome(service, ALICE, encrypt(key)) == (DENIED if wanted == "ok" else "ok")


async def test_the_grantee_retires_if_it_holds_the_permission(service: KeyService, key: t.KeyMetadata) -> None:
    made = await grant(service, key, arn(ALICE), "Encrypt", "RetireGrant")
    assert await outcome(service, ALICE, t.RetireGrant(None, key.key_arn, made.grant_id)) == "ok"


async def test_the_issuing_account_retires(service: KeyService) -> None:
    key = await key_with(service, to(ROOT.principal.arn, OTHER))
    issuer = user("dave", statement("kms:CreateGrant"), account_id=OTHER)
    made = await service.call(issuer, t.CreateGrant(key.key_arn, arn(ALICE), ("Encrypt",)))
    from iam.principals import Caller, root_principal

    assert await outcome(service, Caller(root_principal(OTHER), "R"), t.RetireGrant(made.grant_token)) == "ok"


async def test_revoking_and_listing_need_permission_on_the_key(service: KeyService, key: t.KeyMetadata) -> None:
    made = await grant(service, key, arn(ALICE), "Encrypt", retiring_principal=arn(BOB))
    for caller in (ALICE, BOB, ABROAD):
        assert await outcome(service, caller, t.RevokeGrant(key.key_arn, made.grant_id)) == DENIED
        assert await outcome(service, caller, t.ListGrants(key.key_arn)) == DENIED
        assert await outcome(service, caller, t.CreateGrant(key.key_arn, arn(BOB), ("Encrypt",))) == DENIED


# Listing


async def test_grants_are_listed_in_pages(service: KeyService, key: t.KeyMetadata) -> None:
    made = [
        (
            await grant(service, key, arn(ALICE) if n % 2 else arn(BOB), "Encrypt", retiring_principal=arn(CAROL))
        ).grant_id
        for n in range(5)
    ]
    for request_ in (t.ListGrants(key.key_id, limit=2), t.ListRetirableGrants(arn(CAROL), limit=2)):
        listed, marker = [], None
        while True:
            page = await service.call(ROOT, replace(request_, marker=marker))
            listed += [each.grant_id for each in page.grants]
            marker = page.next_marker
            if marker is None:
                break
        assert listed == made
    filtered = await service.call(ROOT, t.ListGrants(key.key_id, grantee_principal=arn(ALICE)))
    assert [each.grant_id for each in filtered.grants] == [made[1], made[3]]
    (single,) = (await service.call(ROOT, t.ListGrants(key.key_id, grant_id=made[2]))).grants
    assert single == t.Grant(
        grant_id=made[2],
        key_arn=key.key_arn,
        grantee_principal=arn(BOB),
        retiring_principal=arn(CAROL),
        issuing_account_id=ACCOUNT,
        name="",
        operations=("Encrypt",),
        constraints=t.GrantConstraints(),
        created_us=single.created_us,
    )


# Refusals


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (t.CreateGrant("KEY", "alice", ("Encrypt",)), "InvalidArnException"),
        (t.CreateGrant("KEY", f"arn:aws:iam::{ACCOUNT}:user/*", ("Encrypt",)), "InvalidArnException"),
        (t.CreateGrant("KEY", arn(ALICE), ("Encrypt",), "bob"), "InvalidArnException"),
        (t.CreateGrant("KEY", arn(ALICE), ()), "ValidationException"),
        (t.CreateGrant("KEY", arn(ALICE), ("Sign",)), "ValidationException"),
        (t.CreateGrant("KEY", arn(ALICE), ("GenerateMac",)), "ValidationException"),
        (t.CreateGrant("KEY", arn(ALICE), ("PutKeyPolicy",)), "ValidationException"),
        (
            t.CreateGrant("KEY", arn(ALICE), ("Encrypt",), None, t.GrantConstraints({str(n): "" for n in range(9)})),
            "ValidationException",
        ),
        (
            t.CreateGrant("KEY", arn(ALICE), ("Encrypt",), None, t.GrantConstraints(None, {"a": "x" * 385})),
            "ValidationException",
        ),
        (t.CreateGrant("KEY", arn(ALICE), ("Encrypt",), name="n" * 257), "ValidationException"),
        (t.CreateGrant("KEY", arn(ALICE), ("Encrypt",), dry_run=True), "DryRunOperationException"),
        (t.ListGrants("KEY", "short"), "InvalidGrantIdException"),
        (t.ListGrants("KEY", limit=101), "ValidationException"),
        (t.ListGrants("KEY", marker="x"), "InvalidMarkerException"),
        (t.ListRetirableGrants("bob"), "InvalidArnException"),
        (t.ListRetirableGrants(arn(ABROAD)), DENIED),
        (t.RevokeGrant("KEY", "0" * 64), "NotFoundException"),
        (t.RevokeGrant("KEY", "z" * 64), "InvalidGrantIdException"),
        (t.RetireGrant(None, "KEY", "0" * 64), "NotFoundException"),
        (t.RetireGrant(None, "KEY", "0"), "InvalidGrantIdException"),
        (t.RetireGrant(), "ValidationException"),
        (t.RetireGrant(None, "KEY"), "ValidationException"),
        (t.RetireGrant("token", "KEY", "0" * 64), "ValidationException"),
        (t.RetireGrant("token"), "InvalidGrantTokenException"),
    ],
)
async def test_refusals(service: KeyService, key: t.KeyMetadata, request_: t.Request[object], code: str) -> None:
    if getattr(request_, "key_id", None) == "KEY":
        request_ = replace(request_, key_id=key.key_arn)  # type: ignore[type-var]
    await assert_refused(service.call(ROOT, request_), code)
    assert (await service.call(ROOT, t.ListGrants(key.key_id))).grants == ()


async def test_a_disabled_key_gets_no_grant_but_loses_them(service: KeyService, key: t.KeyMetadata) -> None:
    made = await grant(service, key, arn(ALICE), "Encrypt")
    await service.call(ROOT, t.DisableKey(key.key_id))
    await assert_refused(service.call(ROOT, t.CreateGrant(key.key_id, arn(ALICE), ("Encrypt",))), "DisabledException")
    assert len((await service.call(ROOT, t.ListGrants(key.key_id))).grants) == 1
    await service.call(ROOT, t.RevokeGrant(key.key_id, made.grant_id))


async def test_a_grant_of_another_key_is_not_found(service: KeyService, key: t.KeyMetadata) -> None:
    other = await key_with(service)
    made = await grant(service, key, arn(ALICE), "Encrypt")
    for request_ in (t.RevokeGrant(other.key_id, made.grant_id), t.RetireGrant(None, other.key_id, made.grant_id)):
        await assert_refused(service.call(ROOT, request_), "NotFoundException")


async def test_the_number_of_grants_is_limited(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, clock: Clock
) -> None:
    settings = replace(SETTINGS, max_grants=1)
    async with EmbeddedKeyService(store, root, epoch, settings, clock_us=clock) as service:
        key = await key_with(service)
        await grant(service, key, arn(ALICE), "Encrypt")
        with pytest.raises(KMSError, match="LimitExceededException"):
            await grant(service, key, arn(ALICE), "Encrypt")


# Tokens


@pytest.fixture
async def token(service: KeyService, key: t.KeyMetadata) -> AsyncIterator[str]:
    yield (await grant(service, key, arn(ALICE), "Encrypt")).grant_token


async def test_tokens_are_accepted_where_they_are_ours(service: KeyService, key: t.KeyMetadata, token: str) -> None:
    assert await outcome(service, ALICE, encrypt(key, grant_tokens=(token,))) == "ok"
    # A token proves nothing about who shows it.
    assert await outcome(service, BOB, encrypt(key, grant_tokens=(token,))) == DENIED


async def test_tokens_that_are_not_ours_are_refused(service: KeyService, key: t.KeyMetadata, token: str) -> None:
    changed = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(0, len(token), 7)]
    for each in ("", "x", "é", token[:-4], token + "AAAA", "A" * 10_000, *changed):
        for caller in (ALICE, ROOT):
            request_ = encrypt(key, grant_tokens=(token, each))
            await assert_refused(service.call(caller, request_), "InvalidGrantTokenException")
    await assert_refused(service.call(ALICE, encrypt(key, grant_tokens=(token,) * 11)), "ValidationException")


async def test_a_token_ends_with_its_grant(service: KeyService, key: t.KeyMetadata, token: str) -> None:
    await service.call(ROOT, t.RetireGrant(token))
    for request_ in (encrypt(key, grant_tokens=(token,)), t.RetireGrant(token)):
        await assert_refused(service.call(ROOT, request_), "InvalidGrantTokenException")


async def test_a_policy_may_bound_what_is_granted(service: KeyService) -> None:
    """AWS KMS Developer Guide, "kms:GrantOperations": an administrator that may grant encryption and no more."""
    key = await key_with(service)
    only = {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "DescribeKey"]}}
    admin = user("carol", statement("kms:CreateGrant", Condition=only))
    assert await outcome(service, admin, t.CreateGrant(key.key_arn, arn(ALICE), ("Encrypt",))) == "ok"
    assert await outcome(service, admin, t.CreateGrant(key.key_arn, arn(ALICE), ("Encrypt", "Decrypt"))) == DENIED
