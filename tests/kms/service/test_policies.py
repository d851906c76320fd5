"""GetKeyPolicy, PutKeyPolicy, ListKeyPolicies, and the policy of CreateKey."""

from __future__ import annotations

import json

import pytest

from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService
from tests.conformance.key_service import assert_refused
from tests.kms.service.access import (
    ACCOUNT,
    DENIED,
    OWNER,
    ROOT,
    ROOT_ARN,
    document,
    key_with,
    outcome,
    statement,
    to,
    user,
)

ALICE = user().principal.arn
MALFORMED = "MalformedPolicyDocumentException"


async def test_a_key_has_aws_s_default_policy(service: KeyService) -> None:
    key = await key_with(service)
    answer = await service.call(ROOT, t.GetKeyPolicy(key.key_id))
    assert answer.policy_name == "default"
    assert json.loads(answer.policy) == {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": ROOT_ARN},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
    assert (await service.call(ROOT, t.ListKeyPolicies(key.key_id))).names == ("default",)


async def test_the_policy_comes_back_as_it_was_put(service: KeyService) -> None:
    key = await key_with(service)
    text = "  " + document(to(ROOT_ARN, Sid="ä")) + "\n"
    await service.call(ROOT, t.PutKeyPolicy(key.key_id, text))
    assert (await service.call(ROOT, t.GetKeyPolicy(key.key_id))).policy == text
    made = await service.call(ROOT, t.CreateKey(policy=text))
    assert (await service.call(ROOT, t.GetKeyPolicy(made.key_arn))).policy == text


async def test_a_policy_is_in_effect_when_it_is_answered(service: KeyService) -> None:
    key = await key_with(service)
    use = t.Encrypt(key.key_id, SecretBytes(b"x"))
    for _ in range(3):
        await service.call(ROOT, t.PutKeyPolicy(key.key_id, document(to(ROOT_ARN, ALICE))))
        assert await outcome(service, user(), use) == "ok"
        await service.call(ROOT, t.PutKeyPolicy(key.key_id, document(to(ROOT_ARN))))
        assert await outcome(service, user(), use) == DENIED


async def test_the_managed_key_has_its_own_policy_that_nobody_changes(service: KeyService) -> None:
    key = await service.call(ROOT, t.DescribeKey(t.S3_KEY_ALIAS))
    policy = json.loads((await service.call(ROOT, t.GetKeyPolicy(key.key_id))).policy)
    assert policy["Id"] == "auto-s3-2"
    assert policy["Statement"][0]["Condition"]["StringEquals"]["kms:CallerAccount"] == ACCOUNT
    for request_ in (
        t.PutKeyPolicy(key.key_id, document(to(ROOT_ARN))),
        t.DisableKey(key.key_id),
        t.ScheduleKeyDeletion(key.key_id),
        t.Encrypt(key.key_id, SecretBytes(b"x")),
        t.CreateGrant(key.key_id, ALICE, ("Decrypt",)),
    ):
        await assert_refused(service.call(ROOT, request_), DENIED)


@pytest.mark.parametrize("state", ["disabled", "pending deletion"])
async def test_policies_are_read_and_put_in_every_state(service: KeyService, state: str) -> None:
    key = await key_with(service)
    change = t.DisableKey(key.key_id) if state == "disabled" else t.ScheduleKeyDeletion(key.key_id, 7)
    await service.call(ROOT, change)
    await service.call(ROOT, t.PutKeyPolicy(key.key_id, document(to(ROOT_ARN, ALICE))))
    assert ALICE in (await service.call(ROOT, t.GetKeyPolicy(key.key_id))).policy
    assert (await service.call(ROOT, t.ListKeyPolicies(key.key_id))).names == ("default",)


LOCKOUT = "The new key policy will not allow you to update the key policy in the future."
PRINCIPALS = "Policy contains a statement with one or more invalid principals."


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("", "The policy is not valid JSON."),
        ("{}", "Syntax errors in policy."),
        (document(statement()), "Policy contains a statement with no principal."),
        (document(to("AIDA")), PRINCIPALS),
        (document(to(f"arn:aws:iam::{ACCOUNT}:user/*")), PRINCIPALS),
        (document(to(ALICE)), LOCKOUT),
        (document(to(ROOT_ARN, action="kms:Get*")), LOCKOUT),
        (document(to(ROOT_ARN), to("*", action="kms:Put*", effect="Deny")), LOCKOUT),
        (document(to(ROOT_ARN, Condition={"Bool": {"aws:SecureTransport": "true"}})), LOCKOUT),
    ],
)
async def test_what_is_no_policy_for_a_key_is_refused(service: KeyService, policy: str, message: str) -> None:
    key = await key_with(service)
    for request_ in (t.PutKeyPolicy(key.key_id, policy), t.CreateKey(policy=policy)):
        with pytest.raises(KMSError) as refused:
            await service.call(ROOT, request_)
        assert (refused.value.code, refused.value.message) == (MALFORMED, message)
    assert (await service.call(ROOT, t.GetKeyPolicy(key.key_id))).policy.startswith("{")


async def test_a_policy_of_more_than_32_KiB_exceeds_a_limit(service: KeyService) -> None:
    key = await key_with(service)
    longest = document(to(ROOT_ARN)).ljust(32_768)
    await service.call(ROOT, t.PutKeyPolicy(key.key_id, longest))
    message = "The policy is larger than 32768 bytes."
    for request_ in (t.PutKeyPolicy(key.key_id, longest + " "), t.CreateKey(policy=longest + " ")):
        await assert_refused(service.call(ROOT, request_), "LimitExceededException", message)
    assert (await service.call(ROOT, t.GetKeyPolicy(key.key_id))).policy == longest


async def test_for_all_values_of_one_pair_is_overly_permissive(service: KeyService) -> None:
    key = await key_with(service)
    condition = {"ForAllValues:StringEquals": {"kms:EncryptionContext:a": "b"}}
    with pytest.raises(KMSError, match="OverlyPermissiveCondition"):
        await service.call(ROOT, t.PutKeyPolicy(key.key_id, document(to(ROOT_ARN), to("*", Condition=condition))))


async def test_the_lockout_check_can_be_bypassed_and_is_about_the_caller(service: KeyService) -> None:
    key = await key_with(service)
    put = statement("kms:PutKeyPolicy")
    only_alice = document(to(ALICE))
    await service.call(user("alice", put), t.PutKeyPolicy(key.key_id, only_alice))
    await assert_refused(service.call(ROOT, t.PutKeyPolicy(key.key_id, document(OWNER))), DENIED)
    only_bob = document(to(user("bob").principal.arn))
    await assert_refused(service.call(user(), t.PutKeyPolicy(key.key_id, only_bob)), MALFORMED)
    await service.call(user(), t.PutKeyPolicy(key.key_id, only_bob, bypass_policy_lockout_safety_check=True))
    await assert_refused(service.call(user(), t.GetKeyPolicy(key.key_id)), DENIED)
    assert (await service.call(user("bob"), t.GetKeyPolicy(key.key_id))).policy == only_bob


async def test_a_delegate_of_the_account_keeps_control_by_the_account_s_statement(service: KeyService) -> None:
    key = await key_with(service)
    await service.call(user("alice", statement("kms:Put*")), t.PutKeyPolicy(key.key_id, document(to(ROOT_ARN))))


async def test_other_names_markers_and_aliases_are_refused(service: KeyService) -> None:
    key = await key_with(service)
    await service.call(ROOT, t.CreateAlias("alias/a", key.key_id))
    for request_, code in (
        (t.GetKeyPolicy(key.key_id, "other"), "NotFoundException"),
        (t.PutKeyPolicy(key.key_id, document(to(ROOT_ARN)), "other"), "ValidationException"),
        (t.ListKeyPolicies(key.key_id, "m"), "InvalidMarkerException"),
        (t.GetKeyPolicy("alias/a"), "InvalidArnException"),
        (t.PutKeyPolicy("alias/a", "{}"), "InvalidArnException"),
        (t.GetKeyPolicy("0" * 8 + key.key_id[8:]), "NotFoundException"),
    ):
        await assert_refused(service.call(ROOT, request_), code)
