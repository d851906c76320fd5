"""Who may use a key: key policy, identity policies and grants put together, and every condition key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import cast

import pytest

from iam.principals import Caller, IdentityPolicies, PolicyText, Principal, PrincipalKind
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService
from kms.face.model import INPUTS, SHAPES
from kms.service.call import Call
from kms.service.conditions import CONDITION_KEYS, CallContext
from kms.service.service import EmbeddedKeyService
from tests.conformance.key_service import REGION
from tests.kms.service.access import (
    ACCOUNT,
    DENIED,
    OTHER,
    OWNER,
    ROOT,
    ROOT_ARN,
    S3,
    document,
    key_with,
    outcome,
    policies,
    session,
    statement,
    to,
    user,
    via_s3,
)
from tests.kms.service.conftest import Clock

ALICE = user().principal.arn
ROLE = f"arn:aws:iam::{ACCOUNT}:role/reader"
BOB = user("bob", account_id=OTHER)
USE = statement(["kms:Encrypt", "kms:GenerateDataKey"])
NO = statement("kms:*", "Deny")

Statements = list[Mapping[str, object]]

# (key policy; none means the default one, who calls, whether it may use the key)
CASES: list[tuple[Statements, Caller, str]] = [
    ([], ROOT, "ok"),
    ([], user(), DENIED),
    ([], user("alice", USE), "ok"),
    ([], user("alice", USE, NO), DENIED),
    ([], user("alice", statement("kms:Encrypt", Resource=f"arn:aws:kms:*:{OTHER}:key/*")), DENIED),
    ([], session("reader", USE), "ok"),
    ([], BOB, DENIED),
    ([], user("bob", USE, account_id=OTHER), DENIED),
    ([OWNER], ROOT, DENIED),
    ([OWNER], user("alice", USE), DENIED),
    ([OWNER, to(ALICE)], user(), "ok"),
    ([OWNER, to(ALICE)], user("alice", NO), DENIED),
    ([OWNER, to(ALICE)], user("carol", USE), DENIED),
    ([OWNER, to(ROLE)], session(), "ok"),
    ([OWNER, to(ALICE, effect="Deny"), to(ROOT_ARN)], user("alice", USE), DENIED),
    ([OWNER, to("*", Condition={"StringEquals": {"kms:CallerAccount": ACCOUNT}})], user(), "ok"),
    ([OWNER, to("*", Condition={"StringEquals": {"kms:CallerAccount": ACCOUNT}})], BOB, DENIED),
    ([OWNER, to(OTHER)], BOB, DENIED),
    ([OWNER, to(OTHER)], user("bob", USE, account_id=OTHER), "ok"),
    ([OWNER, to(BOB.principal.arn)], user("bob", USE, account_id=OTHER), "ok"),
    ([OWNER, to(BOB.principal.arn)], user("bob", USE, NO, account_id=OTHER), DENIED),
]


@pytest.mark.parametrize(("key_policy", "caller", "wanted"), CASES)
async def test_key_policy_and_identity_policies(
    service: KeyService, key_policy: Statements, caller: Caller, wanted: str
) -> None:
    key = await key_with(service, *key_policy)
    assert await outcome(service, caller, t.Encrypt(key.key_arn, SecretBytes(b"x"))) == wanted


async def test_boundary_and_session_policies_limit_what_the_account_passes_on(service: KeyService) -> None:
    key = await key_with(service)
    use, other = PolicyText("p", document(USE)), PolicyText("q", document(statement("s3:*")))
    for given, wanted in [
        (IdentityPolicies((use,), boundary=use), "ok"),
        (IdentityPolicies((use,), boundary=other), DENIED),
        (IdentityPolicies((use,), session=(other,)), DENIED),
        (IdentityPolicies((use,), session=(other, use)), "ok"),
    ]:
        caller = replace(session(), policies=given)
        assert await outcome(service, caller, t.Encrypt(key.key_arn, SecretBytes(b"x"))) == wanted


async def test_a_policy_that_cannot_be_read_denies(service: KeyService) -> None:
    key = await key_with(service, OWNER, to(ALICE))
    broken = replace(user(), policies=IdentityPolicies((PolicyText("p", "{"),)))
    assert await outcome(service, broken, t.DescribeKey(key.key_id)) == DENIED
    assert await outcome(service, broken, t.ListKeys()) == DENIED


WITHOUT_KEY: list[t.Request[object]] = [
    t.CreateKey(),
    t.ListKeys(),
    t.ListAliases(),
    t.GenerateRandom(1),
    t.ListRetirableGrants(ALICE),
]


@pytest.mark.parametrize("request_", WITHOUT_KEY, ids=lambda request: type(request).__name__)
async def test_what_concerns_no_key_is_for_identity_policies(service: KeyService, request_: t.Request[object]) -> None:
    action = f"kms:{type(request_).__name__}"
    assert await outcome(service, user(), request_) == DENIED
    assert await outcome(service, user("alice", statement(action)), request_) == "ok"
    assert await outcome(service, user("alice", statement(), statement(action, "Deny")), request_) == DENIED
    assert await outcome(service, ROOT, request_) == "ok"


async def test_an_alias_needs_permission_on_itself_and_on_its_key(service: KeyService) -> None:
    key = await key_with(service)
    alias_arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/a"
    create = t.CreateAlias("alias/a", key.key_id)
    on_key = statement("kms:*Alias", Resource=key.key_arn)
    on_alias = statement("kms:*Alias", Resource=alias_arn)
    for own, wanted in ([on_key], DENIED), ([on_alias], DENIED), ([on_key, on_alias], "ok"):
        for request_ in (create, t.UpdateAlias("alias/a", key.key_id), t.DeleteAlias("alias/a")):
            if wanted == "ok" or isinstance(request_, t.CreateAlias):
                assert await outcome(service, user("alice", *own), request_) == wanted


async def test_operations_that_never_cross_accounts(service: KeyService) -> None:
    key = await key_with(service, OWNER, to(OTHER))
    bob = user("bob", statement(), account_id=OTHER)
    for request_ in (t.DisableKey(key.key_arn), t.PutKeyPolicy(key.key_arn, "{}"), t.ScheduleKeyDeletion(key.key_arn)):
        assert await outcome(service, bob, request_) == DENIED
    assert await outcome(service, bob, t.DescribeKey(key.key_arn)) == "ok"


@pytest.mark.parametrize(
    ("key_policy", "caller", "ending"),
    [
        ([], user(), "because no identity-based policy allows the kms:Encrypt action"),
        ([OWNER], user("alice", USE), "because no resource-based policy allows the kms:Encrypt action"),
        ([], user("alice", USE, NO), "with an explicit deny in an identity-based policy"),
        ([to("*", effect="Deny")], ROOT, "with an explicit deny in a resource-based policy"),
    ],
)
async def test_refusals_are_worded_as_aws_s(
    service: KeyService, key_policy: Statements, caller: Caller, ending: str
) -> None:
    key = await key_with(service, *key_policy)
    with pytest.raises(KMSError) as refused:
        await service.call(caller, t.Encrypt(key.key_id, SecretBytes(b"x")))
    assert refused.value.message == (
        f"User: {caller.principal.arn} is not authorized to perform: kms:Encrypt on resource: {key.key_arn} {ending}"
    )


async def test_a_strangers_refusal_does_not_tell_whether_the_key_exists(service: KeyService) -> None:
    key = await key_with(service, OWNER, to(OTHER, effect="Deny"))
    missing = key.key_arn[:-12] + "0" * 12
    messages = set()
    for arn in (key.key_arn, missing):
        with pytest.raises(KMSError) as refused:
            await service.call(user("bob", USE, account_id=OTHER), t.Encrypt(arn, SecretBytes(b"x")))
        messages.add(refused.value.message)
    assert len(messages) == 1


async def test_decisions_are_noted_with_the_statement(service: EmbeddedKeyService) -> None:
    key = await key_with(service, OWNER, to(ALICE, action="kms:DescribeKey", Sid="Look"))
    core = service._core
    call = core.new_call(user(), t.DescribeKey(key.key_id))
    stored = core.cache.key(key.key_id, REGION)
    core.authorise(call, "kms:DescribeKey", stored)
    with pytest.raises(KMSError):
        core.authorise(call, "kms:Encrypt", stored)
    assert [(each.action, each.is_allowed, each.decided_by) for each in call.decisions] == [
        ("kms:DescribeKey", True, 'key policy, statement "Look"'),
        ("kms:Encrypt", False, "no resource-based policy allows it (key policy); no grant allows it"),
    ]


# One condition key after the other: a request that has the value, which the policy denies, and one that has not

ALICE_CALLER = replace(user(), source_ip="203.0.113.7", user_agent="tester/1", is_secure_transport=True)
TAGGED = replace(ALICE_CALLER.principal, tags=(("team", "red"),))
CONTEXT = {"Purpose": "test", "other": "x"}
GRANTEE = f"arn:aws:iam::{ACCOUNT}:role/worker"

# (key, the value that is denied, request with it, request without it; "KEY" stands for the key)
CONDITIONS: list[tuple[str, str, t.Request[object], t.Request[object] | None]] = [
    ("kms:BypassPolicyLockoutSafetyCheck", "true", t.PutKeyPolicy("KEY", "{}", "default", True), None),
    ("kms:CallerAccount", ACCOUNT, t.DescribeKey("KEY"), None),
    ("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT", t.Encrypt("KEY", SecretBytes(b"x")), t.DescribeKey("KEY")),
    (
        "kms:EncryptionContext:purpose",
        "test",
        t.Encrypt("KEY", SecretBytes(b"x"), CONTEXT),
        t.Encrypt("KEY", SecretBytes(b"x"), {"Purpose": "Test"}),
    ),
    (
        "kms:EncryptionContextKeys",
        "Purpose",
        t.GenerateDataKey("KEY", 16, CONTEXT),
        t.GenerateDataKey("KEY", 16, {"other": "x"}),
    ),
    (
        "kms:GrantConstraintType",
        "EncryptionContextEquals",
        t.CreateGrant("KEY", GRANTEE, ("Decrypt",), None, t.GrantConstraints(None, {"a": "b"}), dry_run=True),
        t.CreateGrant("KEY", GRANTEE, ("Decrypt",), None, t.GrantConstraints({"a": "b"}), dry_run=True),
    ),
    (
        "kms:GrantIsForAWSResource",
        "false",
        t.CreateGrant("KEY", GRANTEE, ("Decrypt",), dry_run=True),
        t.DescribeKey("KEY"),
    ),
    (
        "kms:GrantOperations",
        "Encrypt",
        t.CreateGrant("KEY", GRANTEE, ("Decrypt", "Encrypt"), dry_run=True),
        t.CreateGrant("KEY", GRANTEE, ("Decrypt",), dry_run=True),
    ),
    (
        "kms:GranteePrincipal",
        GRANTEE,
        t.CreateGrant("KEY", GRANTEE, ("Decrypt",), dry_run=True),
        t.CreateGrant("KEY", ALICE, ("Decrypt",), dry_run=True),
    ),
    (
        "kms:RetiringPrincipal",
        GRANTEE,
        t.CreateGrant("KEY", ALICE, ("Decrypt",), GRANTEE, dry_run=True),
        t.CreateGrant("KEY", ALICE, ("Decrypt",), dry_run=True),
    ),
    ("kms:KeyOrigin", "AWS_KMS", t.DescribeKey("KEY"), None),
    ("kms:KeySpec", "SYMMETRIC_DEFAULT", t.DescribeKey("KEY"), None),
    ("kms:KeyUsage", "ENCRYPT_DECRYPT", t.DescribeKey("KEY"), None),
    ("kms:CustomerMasterKeySpec", "SYMMETRIC_DEFAULT", t.DescribeKey("KEY"), None),
    ("kms:CustomerMasterKeyUsage", "ENCRYPT_DECRYPT", t.DescribeKey("KEY"), None),
    ("kms:MultiRegion", "false", t.DescribeKey("KEY"), None),
    ("kms:PolicyName", "default", t.GetKeyPolicy("KEY"), t.DescribeKey("KEY")),
    ("kms:RequestAlias", "alias/asked", t.DescribeKey("alias/asked"), t.DescribeKey("KEY")),
    ("kms:ResourceAliases", "alias/asked", t.DescribeKey("KEY"), None),
    (
        "kms:ScheduleKeyDeletionPendingWindowInDays",
        "7",
        t.ScheduleKeyDeletion("KEY", 7),
        t.ScheduleKeyDeletion("KEY", 8),
    ),
    ("aws:PrincipalAccount", ACCOUNT, t.DescribeKey("KEY"), None),
    ("aws:PrincipalArn", ALICE, t.DescribeKey("KEY"), None),
    ("aws:PrincipalTag/Team", "red", t.DescribeKey("KEY"), None),
    ("aws:PrincipalType", "User", t.DescribeKey("KEY"), None),
    ("aws:RequestedRegion", REGION, t.DescribeKey("KEY"), None),
    ("aws:ResourceAccount", ACCOUNT, t.DescribeKey("KEY"), None),
    ("aws:ResourceTag/level", "low", t.DescribeKey("KEY"), None),
    ("aws:SecureTransport", "true", t.DescribeKey("KEY"), None),
    ("aws:SourceIp", "203.0.113.7", t.DescribeKey("KEY"), None),
    ("aws:UserAgent", "tester/1", t.DescribeKey("KEY"), None),
    ("aws:userid", "AIDAalice", t.DescribeKey("KEY"), None),
    ("aws:username", "alice", t.DescribeKey("KEY"), None),
    ("aws:ViaAWSService", "false", t.DescribeKey("KEY"), None),
    ("aws:CurrentTime", "2027-01-15T08:00:00Z", t.DescribeKey("KEY"), None),
    ("aws:EpochTime", "1800000000", t.DescribeKey("KEY"), None),
]


def named(request: t.Request[object], key_id: str) -> t.Request[object]:
    wanted = getattr(request, "key_id", None)
    return replace(request, key_id=key_id) if wanted == "KEY" else request  # type: ignore[type-var]


@pytest.mark.parametrize(("name", "value", "with_it", "without_it"), CONDITIONS, ids=[case[0] for case in CONDITIONS])
async def test_a_deny_with_each_condition_key(
    service: KeyService, name: str, value: str, with_it: t.Request[object], without_it: t.Request[object] | None
) -> None:
    made = t.CreateKey(
        tags=(t.Tag("Level", "low"),),
        policy=document(
            OWNER, to(ALICE), to("*", effect="Deny", Condition={"ForAnyValue:StringEquals": {name: value}})
        ),
        bypass_policy_lockout_safety_check=True,
    )
    other_value = t.CreateKey(
        tags=(t.Tag("Level", "low"),),
        policy=document(OWNER, to(ALICE), to("*", effect="Deny", Condition={"ForAnyValue:StringEquals": {name: "?"}})),
        bypass_policy_lockout_safety_check=True,
    )
    caller = replace(ALICE_CALLER, principal=TAGGED, policies=policies(statement("kms:CreateAlias")))
    denying, allowing = [(await service.call(ROOT, each)).key_id for each in (made, other_value)]
    if "alias/asked" in (value, getattr(with_it, "key_id", "")):
        # Made as the root user would; what the policies deny is the use.
        core = service._core  # type: ignore[attr-defined]
        from kms.store.records import StoredAlias

        await core.change(lambda: core.store.insert_alias(StoredAlias(ACCOUNT, REGION, "alias/asked", denying, 1, 1)))
    assert await outcome(service, caller, named(with_it, denying)) == DENIED
    if without_it is not None:
        assert await outcome(service, caller, named(without_it, denying)) == "ok"
    elif name != "kms:BypassPolicyLockoutSafetyCheck":
        assert await outcome(service, caller, named(with_it, allowing)) == "ok"


async def test_via_service_is_what_the_gateway_says(service: KeyService) -> None:
    only = to("*", action="kms:Encrypt", Condition={"StringEquals": {"kms:ViaService": S3}})
    key = await key_with(service, OWNER, only)
    request_ = t.Encrypt(key.key_id, SecretBytes(b"x"))
    assert await outcome(service, user(), request_) == DENIED
    assert await outcome(service, via_s3(user()), request_) == "ok"
    source = to("*", action="kms:Encrypt", Condition={"ArnLike": {"aws:SourceArn": "arn:aws:s3:::b/*"}})
    key = await key_with(service, OWNER, source)
    request_ = t.Encrypt(key.key_id, SecretBytes(b"x"))
    assert await outcome(service, via_s3(user()), request_) == DENIED
    assert await outcome(service, replace(via_s3(user()), resource_arn="arn:aws:s3:::b/k"), request_) == "ok"


async def test_re_encrypt_asks_for_each_side_with_its_own_context(service: KeyService) -> None:
    deny = {"StringEquals": {"kms:EncryptionContext:side": "b"}}
    source = await key_with(
        service, OWNER, to(ALICE), to(ALICE, action="kms:ReEncryptFrom", effect="Deny", Condition=deny)
    )
    target = await key_with(
        service, OWNER, to(ALICE), to(ALICE, action="kms:ReEncryptTo", effect="Deny", Condition=deny)
    )
    for context, other, wanted in [({"side": "a"}, {"side": "a"}, "ok"), ({"side": "a"}, {"side": "b"}, DENIED)]:
        blob = (await service.call(user(), t.Encrypt(source.key_id, SecretBytes(b"x"), context))).ciphertext_blob
        request_ = t.ReEncrypt(blob, target.key_id, None, context, other)
        assert await outcome(service, user(), request_) == wanted
    blob = (await service.call(user(), t.Encrypt(source.key_id, SecretBytes(b"x"), {"side": "b"}))).ciphertext_blob
    assert await outcome(service, user(), t.ReEncrypt(blob, target.key_id, None, {"side": "b"}, {})) == DENIED


@pytest.mark.parametrize(("same", "wanted"), [("true", DENIED), ("false", "ok")])
async def test_re_encrypt_on_same_key(service: KeyService, same: str, wanted: str) -> None:
    key = await key_with(
        service, OWNER, to(ALICE), to("*", effect="Deny", Condition={"Bool": {"kms:ReEncryptOnSameKey": same}})
    )
    blob = (await service.call(user(), t.Encrypt(key.key_id, SecretBytes(b"x")))).ciphertext_blob
    for source in (None, key.key_arn):
        assert await outcome(service, user(), t.ReEncrypt(blob, key.key_id, source)) == wanted


async def test_tags_of_the_request(service: KeyService) -> None:
    condition = {"StringEquals": {"aws:RequestTag/team": "red"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    maker = user("alice", statement(["kms:CreateKey", "kms:TagResource"], Condition=condition))
    assert await outcome(service, maker, t.CreateKey(tags=(t.Tag("team", "red"),))) == "ok"
    assert await outcome(service, maker, t.CreateKey(tags=(t.Tag("team", "blue"),))) == DENIED
    assert await outcome(service, maker, t.CreateKey(tags=(t.Tag("team", "red"), t.Tag("x", "y")))) == DENIED
    assert await outcome(service, maker, t.CreateKey()) == DENIED


async def test_tags_of_a_new_key_need_a_right_that_is_for_no_particular_key(service: KeyService) -> None:
    tagged = t.CreateKey(tags=(t.Tag("team", "red"),))
    key = await service.call(user("alice", statement("kms:CreateKey")), t.CreateKey())
    maker = user("alice", statement("kms:CreateKey"), statement("kms:TagResource", Resource=key.key_arn))
    with pytest.raises(KMSError, match="kms:TagResource because no identity-based policy allows the kms:TagResource"):
        await service.call(maker, tagged)
    maker = user("alice", statement("kms:CreateKey"), statement("kms:TagResource", Resource="arn:aws:kms:*:*:key/*"))
    assert await outcome(service, maker, tagged) == "ok"


async def test_properties_of_a_key_that_is_to_be_made(service: KeyService) -> None:
    maker = user("alice", statement("kms:CreateKey", Condition={"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}}))
    assert await outcome(service, maker, t.CreateKey()) == "ok"
    assert await outcome(service, maker, t.CreateKey(origin="EXTERNAL")) == DENIED


async def test_what_a_call_has_is_listed_and_what_it_has_not_is_absent(
    service: EmbeddedKeyService, clock: Clock
) -> None:
    call = Call(user(), t.ListKeys(), REGION)
    context = CallContext(call, "kms:ListKeys", None, service._core.cache, clock())
    assert set(context) <= CONDITION_KEYS
    assert len(context) == len(set(context))
    assert context["kms:calleraccount"] == (ACCOUNT,)
    for absent in ("kms:keyspec", "kms:viaservice", "kms:encryptioncontext:a", "aws:sourceip", "aws:nothing"):
        assert context.get(absent) is None


# Keys whose operations have their own families: what the request says is what the policy sees

PARAMETERS = {
    "BypassPolicyLockoutSafetyCheck": "bypass_policy_lockout_safety_check",
    "Constraints": "constraints",
    "EncryptionAlgorithm": "encryption_algorithm",
    "EncryptionContext": "encryption_context",
    "ExpirationModel": "expiration_model",
    "GranteePrincipal": "grantee_principal",
    "KeyAgreementAlgorithm": "key_agreement_algorithm",
    "KeyPairSpec": "key_pair_spec",
    "MacAlgorithm": "mac_algorithm",
    "MessageType": "message_type",
    "Operations": "operations",
    "PendingWindowInDays": "pending_window_days",
    "PolicyName": "policy_name",
    "PrimaryRegion": "primary_region",
    "ReplicaRegion": "replica_region",
    "RetiringPrincipal": "retiring_principal",
    "RotationPeriodInDays": "rotation_period_days",
    "SigningAlgorithm": "signing_algorithm",
    "TagKeys": "tag_keys",
    "Tags": "tags",
    "ValidTo": "valid_to_us",
    "WrappingAlgorithm": "wrapping_algorithm",
    "WrappingKeySpec": "wrapping_key_spec",
    "GrantTokens": "grant_tokens",
}
"""Parameters of the API that conditions (and the check of grant tokens) read, and the names they read them by."""


OF_SERVICES = {t.AttestDestruction, t.UnwrapDataKey, t.WrapDataKey}
OF_THE_API = [request for request in t.REQUESTS if request not in OF_SERVICES and not request.is_about_trail]


@pytest.mark.parametrize("request_", OF_THE_API, ids=lambda request: request.__name__)
def test_requests_carry_what_conditions_ask_for_under_the_name_they_ask(request_: type[t.Request[object]]) -> None:
    members = SHAPES[INPUTS[request_.operation_name()]].members
    wanted = {attribute for member, attribute in PARAMETERS.items() if member in members}
    carried = {field.name for field in fields(request_)}  # type: ignore[arg-type]
    assert wanted <= carried


@dataclass(frozen=True, slots=True)
class Everything:
    """A request with every parameter that the requests of other families have."""

    key_id: str = "k"
    expiration_model: str = "KEY_MATERIAL_EXPIRES"
    key_agreement_algorithm: str = "ECDH"
    key_pair_spec: str = "RSA_3072"
    mac_algorithm: str = "HMAC_SHA_256"
    message_type: str = "DIGEST"
    primary_region: str = "eu-west-1"
    replica_region: str = "eu-west-2"
    rotation_period_days: int = 180
    signing_algorithm: str = "ECDSA_SHA_256"
    tag_keys: tuple[str, ...] = ("a", "b")
    valid_to_us: int = 1_800_000_000_000_000
    wrapping_algorithm: str = "RSAES_OAEP_SHA_256"
    wrapping_key_spec: str = "RSA_4096"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("kms:ExpirationModel", ("KEY_MATERIAL_EXPIRES",)),
        ("kms:KeyAgreementAlgorithm", ("ECDH",)),
        ("kms:DataKeyPairSpec", ("RSA_3072",)),
        ("kms:MacAlgorithm", ("HMAC_SHA_256",)),
        ("kms:MessageType", ("DIGEST",)),
        ("kms:PrimaryRegion", ("eu-west-1",)),
        ("kms:ReplicaRegion", ("eu-west-2",)),
        ("kms:RotationPeriodInDays", ("180",)),
        ("kms:SigningAlgorithm", ("ECDSA_SHA_256",)),
        ("kms:ValidTo", ("2027-01-15T08:00:00Z",)),
        ("kms:WrappingAlgorithm", ("RSAES_OAEP_SHA_256",)),
        ("kms:WrappingKeySpec", ("RSA_4096",)),
        ("aws:TagKeys", ("a", "b")),
    ],
)
async def test_parameters_of_other_families(
    service: EmbeddedKeyService, clock: Clock, name: str, values: tuple[str, ...]
) -> None:
    call: Call[t.Request[object]] = Call(user(), cast("t.Request[object]", Everything()), REGION)
    context = CallContext(call, "kms:Any", None, service._core.cache, clock())
    assert context.get(name.lower()) == values
    bare = CallContext(Call(user(), t.ListKeys(), REGION), "kms:Any", None, service._core.cache, clock())
    assert bare.get(name.lower()) is None


@pytest.mark.parametrize(("primary", "kind"), [(REGION, "PRIMARY"), ("eu-west-1", "REPLICA")])
async def test_multi_region_keys(service: EmbeddedKeyService, clock: Clock, primary: str, kind: str) -> None:
    key = await key_with(service)
    stored = service._core.cache.key(key.key_id, REGION)
    assert stored is not None
    multi = replace(stored, metadata=replace(stored.metadata, multi_region=True, primary_region=primary))
    call = Call(user(), t.DescribeKey(key.key_id), REGION)
    context = CallContext(call, "kms:DescribeKey", multi, service._core.cache, clock())
    assert context["kms:multiregion"] == ("true",)
    assert context["kms:multiregionkeytype"] == (kind,)
    alone = CallContext(call, "kms:DescribeKey", stored, service._core.cache, clock())
    assert alone.get("kms:multiregionkeytype") is None


async def test_nobody_may_anything(service: KeyService) -> None:
    nobody = Caller(Principal(PrincipalKind.ANONYMOUS, "", "", ""), "R")
    key = await key_with(service, OWNER, to("*"))
    assert await outcome(service, nobody, t.Encrypt(key.key_arn, SecretBytes(b"x"))) == DENIED
