"""What every `KeyService` must do, in process or over kmsd's socket.

A new implementation inherits from `KeyServiceSuite` and brings the fixture `service`. Every test works in an account
of its own, so that implementations may keep what earlier tests left.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from typing import Any
from uuid import UUID, uuid4

import pytest

from iam.principals import (
    SERVICE_ACCOUNT_ID,
    Caller,
    IdentityPolicies,
    PolicyText,
    Principal,
    PrincipalKind,
    root_principal,
    service_caller,
)
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService

REGION = "us-east-1"
S3 = f"s3.{REGION}.amazonaws.com"
CONTEXT = {"aws:s3:arn": "arn:aws:s3:::bucket/key"}


def account_caller(account_id: str | None = None, *, via_s3: bool = False) -> Caller:
    """The root user of `account_id`, or of a fresh account."""
    account_id = account_id or f"{secrets.randbelow(10**11) + 10**11}"
    return Caller(root_principal(account_id), "REQUEST1", "192.0.2.1", f"s3.{REGION}.amazonaws.com" if via_s3 else None)


def via_s3(caller: Caller) -> Caller:
    return account_caller(caller.principal.account_id, via_s3=True)


async def refusal(call: Awaitable[object]) -> KMSError:
    with pytest.raises(KMSError) as caught:
        await call
    return caught.value


async def assert_refused(call: Awaitable[object], code: str, message: str | None = None) -> None:
    error = await refusal(call)
    assert error.code == code
    if message is not None:
        assert error.message == message


def encrypt(key_id: str, plaintext: bytes = b"plaintext", context: dict[str, str] | None = None) -> t.Encrypt:
    return t.Encrypt(key_id, SecretBytes(plaintext), context or {})


def key_arn(caller: Caller, key_id: str) -> str:
    return f"arn:aws:kms:{REGION}:{caller.principal.account_id}:key/{key_id}"


def alias_arn(caller: Caller, name: str) -> str:
    return f"arn:aws:kms:{REGION}:{caller.principal.account_id}:{name}"


class KeyServiceSuite:
    @pytest.fixture
    def caller(self) -> Caller:
        return account_caller()

    # CreateKey, DescribeKey, ListKeys

    async def test_create_key_answers_its_metadata(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey(description="for é", tags=(t.Tag("a", "b"),)))
        assert str(UUID(key.key_id)) == key.key_id
        assert key.key_arn == key_arn(caller, key.key_id)
        assert (key.account_id, key.region) == (caller.principal.account_id, REGION)
        assert (key.state, key.enabled, key.manager) == (t.KeyState.ENABLED, True, t.KeyManager.CUSTOMER)
        assert (key.description, key.key_spec, key.key_usage) == ("for é", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
        assert (key.origin, key.multi_region, key.deletion_us) == ("AWS_KMS", False, None)
        assert key.key_material_id is not None
        assert len(bytes.fromhex(key.key_material_id)) == 32
        assert await service.call(caller, t.DescribeKey(key.key_id)) == key

    @pytest.mark.parametrize(
        ("request_", "code"),
        [
            (t.CreateKey(key_spec="SM2", key_usage="SIGN_VERIFY"), "UnsupportedOperationException"),
            (t.CreateKey(key_usage="SIGN_VERIFY"), "ValidationException"),
            (t.CreateKey(origin="EXTERNAL_KEY_STORE"), "UnsupportedOperationException"),
            (t.CreateKey(policy="{}"), "MalformedPolicyDocumentException"),
            (t.CreateKey(description="x" * 8193), "ValidationException"),
            (t.CreateKey(tags=(t.Tag("a", "1"), t.Tag("a", "2"))), "TagException"),
            (t.CreateKey(tags=(t.Tag("aws:a", "1"),)), "TagException"),
            (t.CreateKey(tags=tuple(t.Tag(str(n), "") for n in range(51))), "TagException"),
            (t.CreateKey(tags=(t.Tag("", "1"),)), "TagException"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    async def test_create_key_refuses_what_is_not_offered(
        self, service: KeyService, caller: Caller, request_: t.CreateKey, code: str
    ) -> None:
        await assert_refused(service.call(caller, request_), code)
        assert (await service.call(caller, t.ListKeys(limit=10, marker=None))).keys == ()

    async def test_list_keys_pages_in_order_of_creation(self, service: KeyService, caller: Caller) -> None:
        made = [await service.call(caller, t.CreateKey()) for _ in range(5)]
        listed: list[t.KeyListEntry] = []
        marker: str | None = None
        while True:
            page = await service.call(caller, t.ListKeys(limit=2, marker=marker))
            listed += page.keys
            marker = page.next_marker
            if marker is None:
                break
        assert listed == [t.KeyListEntry(key.key_id, key.key_arn) for key in made]
        whole = await service.call(caller, t.ListKeys(limit=5, marker=None))
        assert (len(whole.keys), whole.next_marker) == (5, None)

    async def test_list_keys_by_owner(self, service: KeyService, caller: Caller) -> None:
        made = [await service.call(caller, t.CreateKey()) for _ in range(2)]
        whole = await service.call(caller, t.ListKeys())
        assert {entry.key_id for entry in whole.keys} == {key.key_id for key in made}
        self_, by_ram = "SELF", "OTHER_ACCOUNTS_VIA_RAM"
        for owners in ((self_,), (self_, by_ram), (by_ram, self_)):
            assert await service.call(caller, t.ListKeys(resource_owners=owners)) == whole
        assert await service.call(caller, t.ListKeys(resource_owners=(by_ram,))) == t.KeyPage((), None)
        marker = (await service.call(caller, t.ListKeys(limit=1))).next_marker
        call = service.call(caller, t.ListKeys(marker=marker, resource_owners=(by_ram,)))
        await assert_refused(call, "InvalidMarkerException")
        stranger = Caller(Principal(PrincipalKind.USER, caller.principal.account_id, "arn:aws:iam::1:x/y", "id"), "R")
        await assert_refused(service.call(stranger, t.ListKeys(resource_owners=(by_ram,))), "AccessDeniedException")

    @pytest.mark.parametrize("marker", ["", "x", "AAAA", "YWxpYXM=", "é", "a" * 2000, "a2tra2tra2tra2s="])
    async def test_foreign_markers_are_refused(self, service: KeyService, caller: Caller, marker: str) -> None:
        await assert_refused(service.call(caller, t.ListKeys(limit=2, marker=marker)), "InvalidMarkerException")

    async def test_markers_of_one_listing_are_refused_by_the_other(self, service: KeyService, caller: Caller) -> None:
        for _ in range(2):
            await service.call(caller, t.CreateKey())
        marker = (await service.call(caller, t.ListKeys(limit=1, marker=None))).next_marker
        call = service.call(caller, t.ListAliases(key_id=None, limit=1, marker=marker))
        await assert_refused(call, "InvalidMarkerException")

    @pytest.mark.parametrize("limit", [0, 1001])
    async def test_list_keys_bounds_its_limit(self, service: KeyService, caller: Caller, limit: int) -> None:
        await assert_refused(service.call(caller, t.ListKeys(limit=limit, marker=None)), "ValidationException")

    # Naming keys

    async def test_a_key_is_named_in_four_ways(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        await service.call(caller, t.CreateAlias("alias/four", key.key_id))
        blob = (await service.call(caller, encrypt(key.key_id))).ciphertext_blob
        for name in (key.key_id, key.key_arn, "alias/four", alias_arn(caller, "alias/four")):
            assert (await service.call(caller, t.DescribeKey(name))).key_id == key.key_id
            assert (await service.call(caller, encrypt(name))).key_arn == key.key_arn
            assert (await service.call(caller, t.Decrypt(blob, name))).key_arn == key.key_arn

    async def test_names_that_name_nothing(self, service: KeyService, caller: Caller) -> None:
        key_id = str(uuid4())
        for name, message in (
            (key_id, f"Key '{key_arn(caller, key_id)}' does not exist"),
            (key_arn(caller, key_id), f"Key '{key_arn(caller, key_id)}' does not exist"),
            ("alias/none", f"Alias {alias_arn(caller, 'alias/none')} is not found."),
            (alias_arn(caller, "alias/none"), f"Alias {alias_arn(caller, 'alias/none')} is not found."),
            ("fake-key-id", "Invalid keyId 'fake-key-id'"),
            (key_id.upper(), f"Invalid keyId '{key_id.upper()}'"),
            ("", "Invalid keyId ''"),
            (key_arn(caller, key_id).replace(REGION, "eu-de"), "Invalid arn eu-de"),
            ("arn:aws:s3:::bucket", "Invalid arn arn:aws:s3:::bucket"),
            (key_arn(caller, "../x"), f"Invalid keyId '{key_arn(caller, '../x')}'"),
        ):
            await assert_refused(service.call(caller, t.DescribeKey(name)), "NotFoundException", message)
            await assert_refused(service.call(caller, encrypt(name)), "NotFoundException", message)
        await assert_refused(service.call(caller, t.DescribeKey("a" * 2049)), "ValidationException")

    async def test_changes_of_state_take_no_alias(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        await service.call(caller, t.CreateAlias("alias/a", key.key_id))
        for name in ("alias/a", alias_arn(caller, "alias/a")):
            for call in (
                service.call(caller, t.EnableKey(name)),
                service.call(caller, t.DisableKey(name)),
                service.call(caller, t.ScheduleKeyDeletion(name, 7)),
                service.call(caller, t.CancelKeyDeletion(name)),
            ):
                await assert_refused(call, "InvalidArnException", "Key Aliases are not supported for this operation.")
        assert (await service.call(caller, t.DescribeKey(key.key_id))).enabled

    # Who may

    async def test_other_accounts_see_and_use_nothing(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        await service.call(caller, t.CreateAlias("alias/mine", key.key_id))
        blob = (await service.call(caller, encrypt(key.key_id))).ciphertext_blob
        stranger = account_caller()
        unknown = key_arn(caller, str(uuid4()))
        names = (key.key_arn, alias_arn(caller, "alias/mine"), unknown, alias_arn(caller, "alias/none"))
        refusals = set()
        for name in names:
            for call in (
                service.call(stranger, t.DescribeKey(name)),
                service.call(stranger, encrypt(name)),
                service.call(stranger, t.GenerateDataKey(name, 32)),
            ):
                error = await refusal(call)
                refusals.add(
                    (
                        error.code,
                        error.message.replace("DescribeKey", "?")
                        .replace("Encrypt", "?")
                        .replace("GenerateDataKey", "?"),
                    )
                )
        # The same words whether the key exists or not.
        assert len(refusals) == 1
        assert {code for code, _ in refusals} == {"AccessDeniedException"}
        await assert_refused(service.call(stranger, t.DisableKey(key.key_arn)), "AccessDeniedException")
        await assert_refused(service.call(stranger, t.ScheduleKeyDeletion(key.key_arn, 7)), "AccessDeniedException")
        await assert_refused(service.call(stranger, t.Decrypt(blob)), "AccessDeniedException")
        await assert_refused(service.call(stranger, t.DescribeKey(key.key_id)), "NotFoundException")
        await assert_refused(
            service.call(stranger, t.CreateAlias("alias/theirs", key.key_arn)), "AccessDeniedException"
        )
        assert (await service.call(stranger, t.ListKeys(limit=10, marker=None))).keys == ()
        assert (await service.call(caller, t.DescribeKey(key.key_id))).enabled

    @pytest.mark.parametrize("kind", [PrincipalKind.ANONYMOUS, PrincipalKind.USER, PrincipalKind.ROLE_SESSION])
    async def test_only_the_root_user_may(self, service: KeyService, caller: Caller, kind: PrincipalKind) -> None:
        key = await service.call(caller, t.CreateKey())
        principal = Principal(kind, caller.principal.account_id, "arn:aws:iam::1:x/y", "id")
        other = Caller(principal, "R", via_service=f"s3.{REGION}.amazonaws.com")
        for call in (
            service.call(other, t.CreateKey()),
            service.call(other, t.DescribeKey(key.key_arn)),
            service.call(other, t.ListKeys(limit=1, marker=None)),
            service.call(other, t.ListAliases(key_id=None, limit=1, marker=None)),
            service.call(other, t.GenerateDataKey(key.key_arn, 32)),
            service.call(other, t.GenerateRandom(1)),
        ):
            await assert_refused(call, "AccessDeniedException")

    async def test_the_managed_key_serves_everyone_of_the_account_through_s3(
        self, service: KeyService, caller: Caller
    ) -> None:
        account_id = caller.principal.account_id
        user = Principal(PrincipalKind.USER, account_id, f"arn:aws:iam::{account_id}:user/u", "AIDA0")
        data_key = await service.call(Caller(user, "R", via_service=S3), t.GenerateDataKey(t.S3_KEY_ALIAS, 32, CONTEXT))
        blob = data_key.ciphertext.ciphertext_blob
        assert (await service.call(via_s3(caller), t.Decrypt(blob, None, CONTEXT))).plaintext == data_key.plaintext
        await assert_refused(service.call(Caller(user, "R"), t.Decrypt(blob, None, CONTEXT)), "AccessDeniedException")
        nobody = Principal(PrincipalKind.ANONYMOUS, account_id, "", "")
        await assert_refused(
            service.call(Caller(nobody, "R", via_service=S3), t.Decrypt(blob, None, CONTEXT)), "AccessDeniedException"
        )

    async def test_service_key_serves_the_gateway_alone(self, service: KeyService, caller: Caller) -> None:
        gateway = service_caller("R")
        data_key = await service.call(gateway, t.GenerateDataKey(t.SERVICE_KEY_ALIAS, 32, CONTEXT))
        blob, arn = data_key.ciphertext.ciphertext_blob, data_key.ciphertext.key_arn
        assert f":{SERVICE_ACCOUNT_ID}:" in arn
        opened = await service.call(gateway, t.Decrypt(blob, None, CONTEXT))
        assert opened.plaintext == data_key.plaintext
        for stranger in (caller, via_s3(caller), account_caller(SERVICE_ACCOUNT_ID)):
            for call in (
                service.call(stranger, t.Decrypt(blob, None, CONTEXT)),
                service.call(stranger, t.Decrypt(blob, arn, CONTEXT)),
                service.call(stranger, t.DescribeKey(arn)),
                service.call(stranger, t.DisableKey(arn)),
            ):
                await assert_refused(call, "AccessDeniedException")
        for call in (service.call(gateway, t.DisableKey(arn)), service.call(gateway, t.ScheduleKeyDeletion(arn, 7))):
            await assert_refused(call, "AccessDeniedException")
        key = await service.call(caller, t.CreateKey())
        await assert_refused(service.call(gateway, encrypt(key.key_arn)), "AccessDeniedException")

    # Policies and grants

    async def test_policies_travel_as_they_were_put(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        default = await service.call(caller, t.GetKeyPolicy(key.key_id))
        text = default.policy.replace("Enable IAM", "Ermögliche IAM")
        await service.call(caller, t.PutKeyPolicy(key.key_id, text))
        assert (await service.call(caller, t.GetKeyPolicy(key.key_id))).policy == text
        made = await service.call(caller, t.CreateKey(policy=text))
        assert (await service.call(caller, t.GetKeyPolicy(made.key_id))).policy == text
        assert (await service.call(caller, t.ListKeyPolicies(key.key_id))).names == ("default",)
        await assert_refused(service.call(caller, t.PutKeyPolicy(key.key_id, "{")), "MalformedPolicyDocumentException")

    async def test_the_policies_of_a_caller_travel_with_the_call(self, service: KeyService, caller: Caller) -> None:
        account_id = caller.principal.account_id
        text = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*"}}'
        user = Principal(PrincipalKind.USER, account_id, f"arn:aws:iam::{account_id}:user/u", "AIDA0")
        key = await service.call(caller, t.CreateKey())
        permitted = Caller(user, "R", policies=IdentityPolicies((PolicyText("p", text),)))
        assert (await service.call(permitted, encrypt(key.key_arn))).key_arn == key.key_arn
        await assert_refused(service.call(permitted, t.DescribeKey(key.key_arn)), "AccessDeniedException")
        await assert_refused(service.call(Caller(user, "R"), encrypt(key.key_arn)), "AccessDeniedException")

    async def test_the_life_of_a_grant(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        account_id = caller.principal.account_id
        user = Caller(Principal(PrincipalKind.USER, account_id, f"arn:aws:iam::{account_id}:user/u", "AIDA0"), "R")
        constraints = t.GrantConstraints(encryption_context_subset={"ä": "ö"})
        await assert_refused(service.call(user, encrypt(key.key_arn)), "AccessDeniedException")
        made = await service.call(
            caller,
            t.CreateGrant(key.key_id, user.principal.arn, ("Encrypt",), user.principal.arn, constraints, "name"),
        )
        (listed,) = (await service.call(caller, t.ListGrants(key.key_id))).grants
        assert (listed.grant_id, listed.constraints, listed.name) == (made.grant_id, constraints, "name")
        (retirable,) = (await service.call(caller, t.ListRetirableGrants(user.principal.arn))).grants
        assert retirable == listed
        use = t.Encrypt(key.key_arn, SecretBytes(b"x"), {"ä": "ö"}, grant_tokens=(made.grant_token,))
        assert (await service.call(user, use)).key_arn == key.key_arn
        await service.call(user, t.RetireGrant(made.grant_token))
        await assert_refused(service.call(user, use), "InvalidGrantTokenException")
        await assert_refused(service.call(caller, t.RevokeGrant(key.key_id, made.grant_id)), "NotFoundException")

    # Aliases

    async def test_alias_life(self, service: KeyService, caller: Caller) -> None:
        one, other = [await service.call(caller, t.CreateKey()) for _ in range(2)]
        await service.call(caller, t.CreateAlias("alias/a", one.key_id))
        arn = alias_arn(caller, "alias/a")
        await assert_refused(
            service.call(caller, t.CreateAlias("alias/a", other.key_id)),
            "AlreadyExistsException",
            f"An alias with the name {arn} already exists",
        )
        assert (await service.call(caller, encrypt("alias/a"))).key_arn == one.key_arn
        await service.call(caller, t.UpdateAlias("alias/a", other.key_arn))
        assert (await service.call(caller, encrypt("alias/a"))).key_arn == other.key_arn
        page = await service.call(caller, t.ListAliases(key_id=other.key_id, limit=10, marker=None))
        assert [(alias.name, alias.arn, alias.target_key_id) for alias in page.aliases] == [
            ("alias/a", arn, other.key_id)
        ]
        assert page.aliases[0].created_us is not None
        assert page.aliases[0].updated_us is not None
        assert page.aliases[0].updated_us >= page.aliases[0].created_us
        await service.call(caller, t.DeleteAlias("alias/a"))
        missing = f"Alias {arn} is not found."
        await assert_refused(service.call(caller, encrypt("alias/a")), "NotFoundException", missing)
        await assert_refused(service.call(caller, t.DeleteAlias("alias/a")), "NotFoundException", missing)
        await assert_refused(service.call(caller, t.UpdateAlias("alias/a", one.key_id)), "NotFoundException", missing)

    async def test_same_alias_in_two_accounts(self, service: KeyService, caller: Caller) -> None:
        other = account_caller()
        for who in (caller, other):
            key = await service.call(who, t.CreateKey())
            await service.call(who, t.CreateAlias("alias/same", key.key_id))
            assert (await service.call(who, t.DescribeKey("alias/same"))).key_id == key.key_id

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("no-prefix", "ValidationException"),
            ("alias/", "InvalidAliasNameException"),
            ("alias/sp ace", "ValidationException"),
            ("alias/é", "ValidationException"),
            ("alias/new\nline", "ValidationException"),
            ("alias/" + "x" * 251, "ValidationException"),
            ("alias/aws/s3", "NotAuthorizedException"),
            ("alias/aws/mine", "NotAuthorizedException"),
        ],
    )
    async def test_alias_names_are_checked(self, service: KeyService, caller: Caller, name: str, code: str) -> None:
        key = await service.call(caller, t.CreateKey())
        await assert_refused(service.call(caller, t.CreateAlias(name, key.key_id)), code)
        await assert_refused(service.call(caller, t.UpdateAlias(name, key.key_id)), code)
        await assert_refused(service.call(caller, t.DeleteAlias(name)), code)

    async def test_an_alias_does_not_name_an_alias(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        await service.call(caller, t.CreateAlias("alias/a", key.key_id))
        call = service.call(caller, t.CreateAlias("alias/b", "alias/a"))
        await assert_refused(call, "ValidationException", "Aliases must refer to keys. Not aliases")

    async def test_an_alias_does_not_shadow_a_key_id(self, service: KeyService, caller: Caller) -> None:
        one, other = [await service.call(caller, t.CreateKey()) for _ in range(2)]
        await service.call(caller, t.CreateAlias(f"alias/{one.key_id}", other.key_id))
        assert (await service.call(caller, t.DescribeKey(one.key_id))).key_id == one.key_id

    async def test_list_aliases_pages_by_name_with_the_predefined_one(
        self, service: KeyService, caller: Caller
    ) -> None:
        key = await service.call(caller, t.CreateKey())
        for name in ("alias/z", "alias/a", "alias/b"):
            await service.call(caller, t.CreateAlias(name, key.key_id))
        names: list[tuple[str, str | None]] = []
        marker: str | None = None
        while True:
            page = await service.call(caller, t.ListAliases(key_id=None, limit=1, marker=marker))
            names += [(alias.name, alias.target_key_id) for alias in page.aliases]
            marker = page.next_marker
            if marker is None:
                break
        expected = [("alias/a", key.key_id), ("alias/aws/s3", None), ("alias/b", key.key_id), ("alias/z", key.key_id)]
        assert names == expected

    # States

    async def test_disabled_key_opens_and_seals_nothing_from_the_answer_on(
        self, service: KeyService, caller: Caller
    ) -> None:
        key = await service.call(caller, t.CreateKey())
        blob = (await service.call(caller, encrypt(key.key_id))).ciphertext_blob
        await service.call(caller, t.DisableKey(key.key_id))
        message = f"{key.key_arn} is disabled."
        for call in (
            service.call(caller, encrypt(key.key_id)),
            service.call(caller, t.Decrypt(blob)),
            service.call(caller, t.Decrypt(blob, key.key_id)),
            service.call(caller, t.ReEncrypt(blob, key.key_id)),
            service.call(caller, t.GenerateDataKey(key.key_id, 32)),
            service.call(caller, t.GenerateDataKey(key.key_id, 32)),
        ):
            await assert_refused(call, "DisabledException", message)
        assert (await service.call(caller, t.DescribeKey(key.key_id))).state is t.KeyState.DISABLED
        await service.call(caller, t.DisableKey(key.key_id))
        await service.call(caller, t.EnableKey(key.key_id))
        await service.call(caller, t.EnableKey(key.key_id))
        assert (await service.call(caller, t.Decrypt(blob))).plaintext == SecretBytes(b"plaintext")

    async def test_deletion_window(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        await service.call(caller, t.CreateAlias("alias/a", key.key_id))
        blob = (await service.call(caller, encrypt(key.key_id))).ciphertext_blob
        await assert_refused(
            service.call(caller, t.CancelKeyDeletion(key.key_id)),
            "KMSInvalidStateException",
            f"{key.key_arn} is not pending deletion.",
        )
        pending = await service.call(caller, t.ScheduleKeyDeletion(key.key_id, 7))
        assert pending.state is t.KeyState.PENDING_DELETION
        assert pending.deletion_us is not None
        days = (pending.deletion_us - key.created_us) / 86_400_000_000
        assert 7 <= days < 7.01
        assert await service.call(caller, t.DescribeKey(key.key_id)) == pending
        message = f"{key.key_arn} is pending deletion."
        for call in (
            service.call(caller, t.Decrypt(blob)),
            service.call(caller, t.GenerateDataKey("alias/a", 32)),
            service.call(caller, t.EnableKey(key.key_id)),
            service.call(caller, t.DisableKey(key.key_id)),
            service.call(caller, t.ScheduleKeyDeletion(key.key_id, 7)),
            service.call(caller, t.CreateAlias("alias/b", key.key_id)),
            service.call(caller, t.UpdateAlias("alias/a", key.key_id)),
        ):
            await assert_refused(call, "KMSInvalidStateException", message)
        cancelled = await service.call(caller, t.CancelKeyDeletion(key.key_id))
        assert (cancelled.state, cancelled.deletion_us) == (t.KeyState.DISABLED, None)
        assert await service.call(caller, t.DescribeKey(key.key_id)) == cancelled
        await service.call(caller, t.EnableKey(key.key_id))
        assert (await service.call(caller, t.Decrypt(blob))).plaintext == SecretBytes(b"plaintext")

    @pytest.mark.parametrize("days", [0, 6, 31, 365])
    async def test_deletion_window_is_7_to_30_days(self, service: KeyService, caller: Caller, days: int) -> None:
        key = await service.call(caller, t.CreateKey())
        await assert_refused(service.call(caller, t.ScheduleKeyDeletion(key.key_id, days)), "ValidationException")
        assert (await service.call(caller, t.DescribeKey(key.key_id))).enabled

    # Cryptography

    @pytest.mark.parametrize("size", [1, 32, 4096])
    async def test_encrypt_and_decrypt(self, service: KeyService, caller: Caller, size: int) -> None:
        key = await service.call(caller, t.CreateKey())
        plaintext = secrets.token_bytes(size)
        sealed = await service.call(caller, encrypt(key.key_id, plaintext, CONTEXT))
        assert (sealed.key_arn, sealed.key_version) == (key.key_arn, 1)
        assert sealed.key_material_id == key.key_material_id
        for key_id in (None, key.key_id):
            opened = await service.call(caller, t.Decrypt(sealed.ciphertext_blob, key_id, CONTEXT))
            assert opened == t.Plaintext(SecretBytes(plaintext), key.key_arn, 1, sealed.key_material_id)

    async def test_every_byte_of_a_blob_counts(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        blob = (await service.call(caller, encrypt(key.key_id, context=CONTEXT))).ciphertext_blob
        for position in range(len(blob)):
            changed = bytearray(blob)
            changed[position] ^= 1
            call = service.call(caller, t.Decrypt(bytes(changed), None, CONTEXT))
            await assert_refused(call, "InvalidCiphertextException", "")
        for length in (0, 1, 85, 102, len(blob) - 1):
            call = service.call(caller, t.Decrypt(blob[:length], None, CONTEXT))
            await assert_refused(call, "InvalidCiphertextException", "")

    @pytest.mark.parametrize(
        "context", [{}, {"aws:s3:arn": "arn:aws:s3:::bucket/kez"}, {"AWS:s3:arn": CONTEXT["aws:s3:arn"]}]
    )
    async def test_context_must_be_the_same(self, service: KeyService, caller: Caller, context: dict[str, str]) -> None:
        key = await service.call(caller, t.CreateKey())
        blob = (await service.call(caller, encrypt(key.key_id, context=CONTEXT))).ciphertext_blob
        call = service.call(caller, t.Decrypt(blob, key.key_id, context))
        await assert_refused(call, "InvalidCiphertextException", "")

    async def test_context_has_no_order_and_is_bounded(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        blob = (await service.call(caller, encrypt(key.key_id, context={"a": "1", "b": "2"}))).ciphertext_blob
        await service.call(caller, t.Decrypt(blob, None, {"b": "2", "a": "1"}))
        await assert_refused(
            service.call(caller, encrypt(key.key_id, context={"a": "x" * 8192})), "ValidationException"
        )

    async def test_another_key_in_the_request_is_incorrect(self, service: KeyService, caller: Caller) -> None:
        one, other = [await service.call(caller, t.CreateKey()) for _ in range(2)]
        blob = (await service.call(caller, encrypt(one.key_id))).ciphertext_blob
        message = "The key ID in the request does not identify a CMK that can perform this operation."
        for call in (
            service.call(caller, t.Decrypt(blob, other.key_id)),
            service.call(caller, t.ReEncrypt(blob, one.key_id, other.key_id)),
        ):
            await assert_refused(call, "IncorrectKeyException", message)

    async def test_generate_data_key(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        seen = set()
        for size in (1, 16, 32, 1024):
            data_key = await service.call(caller, t.GenerateDataKey(key.key_id, size, CONTEXT))
            assert len(data_key.plaintext) == size
            blob = data_key.ciphertext.ciphertext_blob
            opened = await service.call(caller, t.Decrypt(blob, None, CONTEXT))
            assert opened.plaintext == data_key.plaintext
            seen.add(blob[22:54])
        assert len(seen) == 4

    async def test_generate_data_key_without_plaintext(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        sealed = await service.call(caller, t.GenerateDataKeyWithoutPlaintext(key.key_id, 32))
        assert len((await service.call(caller, t.Decrypt(sealed.ciphertext_blob))).plaintext) == 32

    async def test_wrap_data_key_is_for_services_with_the_permission_to_generate(
        self, service: KeyService, caller: Caller
    ) -> None:
        key = await service.call(caller, t.CreateKey())
        secret = SecretBytes(b"\x07" * 32)
        sealed = await service.call(via_s3(caller), t.WrapDataKey(key.key_id, secret, CONTEXT))
        assert (sealed.key_arn, sealed.key_version) == (key.key_arn, 1)
        opened = await service.call(caller, t.Decrypt(sealed.ciphertext_blob, None, CONTEXT))
        assert opened.plaintext == secret
        await assert_refused(service.call(caller, t.WrapDataKey(key.key_id, secret)), "AccessDeniedException")
        for size in (0, 1025):
            wrap = t.WrapDataKey(key.key_id, SecretBytes(bytes(size)))
            await assert_refused(service.call(via_s3(caller), wrap), "ValidationException")
        await service.call(caller, t.DisableKey(key.key_id))
        await assert_refused(service.call(via_s3(caller), t.WrapDataKey(key.key_id, secret)), "DisabledException")

    async def test_unwrap_data_key_is_for_services_with_the_permission_to_generate(
        self, service: KeyService, caller: Caller
    ) -> None:
        one, other = [await service.call(caller, t.CreateKey()) for _ in range(2)]
        made = await service.call(via_s3(caller), t.GenerateDataKey(one.key_id, 32, CONTEXT))
        blob = made.ciphertext.ciphertext_blob
        opened = await service.call(via_s3(caller), t.UnwrapDataKey(one.key_id, blob, CONTEXT))
        assert (opened.plaintext, opened.key_arn, opened.key_version) == (made.plaintext, one.key_arn, 1)
        await assert_refused(service.call(caller, t.UnwrapDataKey(one.key_id, blob, CONTEXT)), "AccessDeniedException")
        refused = [
            (t.UnwrapDataKey(one.key_id, blob, {"other": "context"}), "InvalidCiphertextException"),
            (t.UnwrapDataKey(one.key_id, blob[:-1] + bytes([blob[-1] ^ 1]), CONTEXT), "InvalidCiphertextException"),
            (t.UnwrapDataKey(other.key_id, blob, CONTEXT), "IncorrectKeyException"),
            (t.UnwrapDataKey("alias/absent", blob, CONTEXT), "NotFoundException"),
        ]
        for request, code in refused:
            await assert_refused(service.call(via_s3(caller), request), code)
        await service.call(caller, t.RotateKeyOnDemand(one.key_id))
        unwrap = t.UnwrapDataKey(one.key_id, blob, CONTEXT)
        await assert_refused(service.call(via_s3(caller), unwrap), "IncorrectKeyException")
        await service.call(caller, t.DisableKey(one.key_id))
        await assert_refused(service.call(via_s3(caller), unwrap), "DisabledException")

    async def test_re_encrypt(self, service: KeyService, caller: Caller) -> None:
        one, other = [await service.call(caller, t.CreateKey()) for _ in range(2)]
        blob = (await service.call(caller, encrypt(one.key_id, context=CONTEXT))).ciphertext_blob
        result = await service.call(caller, t.ReEncrypt(blob, other.key_id, None, CONTEXT, {"new": "context"}))
        assert (result.source_key_arn, result.ciphertext.key_arn) == (one.key_arn, other.key_arn)
        assert result.source_key_material_id == one.key_material_id
        opened = await service.call(caller, t.Decrypt(result.ciphertext.ciphertext_blob, None, {"new": "context"}))
        assert opened.plaintext == SecretBytes(b"plaintext")
        await service.call(caller, t.DisableKey(other.key_id))
        call = service.call(caller, t.ReEncrypt(blob, other.key_id, None, CONTEXT))
        await assert_refused(call, "DisabledException", f"{other.key_arn} is disabled.")

    async def test_generate_random(self, service: KeyService, caller: Caller) -> None:
        one, other = (
            await service.call(caller, t.GenerateRandom(1024)),
            await service.call(caller, t.GenerateRandom(1024)),
        )
        assert len(one) == len(other) == 1024
        assert one != other

    async def test_sizes_are_bounded(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        for call in (
            service.call(caller, encrypt(key.key_id, b"")),
            service.call(caller, encrypt(key.key_id, bytes(4097))),
            service.call(caller, t.GenerateDataKey(key.key_id, 0)),
            service.call(caller, t.GenerateDataKey(key.key_id, 1025)),
            service.call(caller, t.GenerateRandom(0)),
            service.call(caller, t.GenerateRandom(1025)),
            service.call(caller, t.GenerateRandom(-1)),
        ):
            await assert_refused(call, "ValidationException")

    async def test_dry_run_checks_all_and_does_nothing(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        blob = (await service.call(caller, encrypt(key.key_id))).ciphertext_blob

        def calls() -> list[Awaitable[object]]:
            return [
                service.call(caller, t.Encrypt(key.key_id, SecretBytes(b"x"), dry_run=True)),
                service.call(caller, t.Decrypt(blob, dry_run=True)),
                service.call(caller, t.ReEncrypt(blob, key.key_id, dry_run=True)),
                service.call(caller, t.GenerateDataKey(key.key_id, 32, dry_run=True)),
                service.call(caller, t.GenerateDataKeyWithoutPlaintext(key.key_id, 32, dry_run=True)),
            ]

        message = "The request would have succeeded, but the DryRun option is set."
        for call in calls():
            await assert_refused(call, "DryRunOperationException", message)
        await service.call(caller, t.DisableKey(key.key_id))
        for call in calls():
            await assert_refused(call, "DisabledException")

    async def test_a_dry_run_may_ignore_the_ciphertext(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.CreateKey())
        other = await service.call(caller, t.CreateKey())
        mac_key = await service.call(caller, t.CreateKey(key_spec="HMAC_256", key_usage="GENERATE_VERIFY_MAC"))
        ignoring: dict[str, Any] = {"dry_run": True, "dry_run_modifiers": (t.IGNORE_CIPHERTEXT,)}

        def decrypt(key_id: str | None, **changes: Any) -> Awaitable[object]:
            return service.call(caller, t.Decrypt(b"", key_id, **{**ignoring, **changes}))

        def re_encrypt(source: str | None, destination: str, **changes: Any) -> Awaitable[object]:
            return service.call(caller, t.ReEncrypt(b"", destination, source, **{**ignoring, **changes}))

        await assert_refused(decrypt(key.key_id), "DryRunOperationException")
        await assert_refused(re_encrypt(key.key_id, other.key_id), "DryRunOperationException")
        for call in (decrypt(None), re_encrypt(None, other.key_id)):
            await assert_refused(call, "ValidationException")
        for call in (
            decrypt(mac_key.key_id),
            re_encrypt(mac_key.key_id, key.key_id),
            re_encrypt(key.key_id, mac_key.key_id),
        ):
            await assert_refused(call, "InvalidKeyUsageException")
        for call in (decrypt(str(uuid4())), re_encrypt(str(uuid4()), key.key_id), re_encrypt(key.key_id, str(uuid4()))):
            await assert_refused(call, "NotFoundException")
        stranger = Principal(
            PrincipalKind.USER, caller.principal.account_id, f"arn:aws:iam::{key.account_id}:user/u", "A"
        )
        for request in (t.Decrypt(b"", key.key_id, **ignoring), t.ReEncrypt(b"", other.key_id, key.key_id, **ignoring)):
            await assert_refused(service.call(Caller(stranger, "R"), request), "AccessDeniedException")
        # Without DryRun the modifier means nothing, and an empty blob is none.
        for call in (decrypt(key.key_id, dry_run=False), re_encrypt(key.key_id, other.key_id, dry_run=False)):
            await assert_refused(call, "InvalidCiphertextException")
        await service.call(caller, t.DisableKey(other.key_id))
        for call in (decrypt(other.key_id), re_encrypt(other.key_id, key.key_id), re_encrypt(key.key_id, other.key_id)):
            await assert_refused(call, "DisabledException")

    # AWS-managed key

    async def test_managed_key_is_made_at_first_use_through_s3(self, service: KeyService, caller: Caller) -> None:
        await assert_refused(service.call(caller, t.GenerateDataKey("alias/aws/s3", 32)), "AccessDeniedException")
        assert (await service.call(caller, t.ListKeys(limit=10, marker=None))).keys == ()
        uses = [service.call(via_s3(caller), t.GenerateDataKey("alias/aws/s3", 32, CONTEXT)) for _ in range(8)]
        data_keys = await asyncio.gather(*uses)
        assert len({data_key.ciphertext.key_arn for data_key in data_keys}) == 1
        key = await service.call(caller, t.DescribeKey("alias/aws/s3"))
        assert key.key_arn == data_keys[0].ciphertext.key_arn
        assert key.manager is t.KeyManager.AWS
        assert key.description == "Default key that protects my S3 objects when no other key is defined"
        assert [entry.key_id for entry in (await service.call(caller, t.ListKeys(limit=10, marker=None))).keys] == [
            key.key_id
        ]
        aliases = (await service.call(caller, t.ListAliases(key_id=None, limit=10, marker=None))).aliases
        assert [(alias.name, alias.target_key_id) for alias in aliases] == [("alias/aws/s3", key.key_id)]
        blob = data_keys[0].ciphertext.ciphertext_blob
        opened = await service.call(via_s3(caller), t.Decrypt(blob, None, CONTEXT))
        assert opened.plaintext == data_keys[0].plaintext

    async def test_managed_key_is_made_when_described(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.DescribeKey(alias_arn(caller, "alias/aws/s3")))
        assert key.manager is t.KeyManager.AWS
        assert (await service.call(caller, t.DescribeKey("alias/aws/s3"))) == key

    async def test_managed_key_is_no_ones_to_change_or_use_directly(self, service: KeyService, caller: Caller) -> None:
        key = await service.call(caller, t.DescribeKey("alias/aws/s3"))
        data_key = await service.call(via_s3(caller), t.GenerateDataKey("alias/aws/s3", 32))
        other_service = Caller(caller.principal, "R", via_service=f"ec2.{REGION}.amazonaws.com")
        for call in (
            service.call(caller, t.DisableKey(key.key_id)),
            service.call(via_s3(caller), t.DisableKey(key.key_id)),
            service.call(caller, t.ScheduleKeyDeletion(key.key_id, 7)),
            service.call(caller, t.CreateAlias("alias/mine", key.key_id)),
            service.call(caller, encrypt(key.key_id)),
            service.call(caller, t.Decrypt(data_key.ciphertext.ciphertext_blob)),
            service.call(other_service, t.Decrypt(data_key.ciphertext.ciphertext_blob)),
        ):
            await assert_refused(call, "AccessDeniedException")

    # Health, and what is shown

    async def test_health_is_ready(self, service: KeyService) -> None:
        assert (await service.health()).state is t.HealthState.READY

    async def test_many_calls_at_once(self, service: KeyService, caller: Caller) -> None:
        keys = [await service.call(caller, t.CreateKey()) for _ in range(3)]
        sealed = await asyncio.gather(
            *(service.call(caller, encrypt(keys[n % 3].key_id, f"message {n}".encode())) for n in range(300))
        )
        opened = await asyncio.gather(*(service.call(caller, t.Decrypt(blob.ciphertext_blob)) for blob in sealed))
        assert [result.plaintext.reveal() for result in opened] == [f"message {n}".encode() for n in range(300)]
