"""How policies are put together: tables first, then what must hold for any policies at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iam.policy.evaluation import (
    Decision,
    Layer,
    NamedPolicy,
    Outcome,
    PoliciesInForce,
    evaluate,
    evaluate_key,
)
from iam.principals import Principal
from tests.iam.policy.checks import (
    ACCOUNT,
    ANONYMOUS,
    FEDERATED,
    NOTHING,
    OTHER,
    OTHER_ROOT,
    ROLE_ARN,
    ROOT,
    ROOT_ARN,
    SESSION,
    SESSION_ARN,
    STRANGER,
    USER,
    USER_ARN,
    identity,
    request,
    resource,
    statement,
)

YES = identity(statement())
NO = identity(statement(action="s3:*"))
DENY = identity(statement("Deny"))


def to(*arns: str, effect: str = "Allow", **more: object) -> NamedPolicy:
    return resource({**statement(effect), "Principal": {"AWS": list(arns)}, **more})


EVERYONE = to("*")
ANYONE_ELSE = to(STRANGER.arn)

# What decides, generic rules: (principal, policies, what the decision is)
ALLOWED, EXPLICIT = Outcome.ALLOWED, Outcome.EXPLICIT_DENY
IN_ACCOUNT: list[tuple[Principal, PoliciesInForce, Outcome | Layer]] = [
    (USER, NOTHING, Layer.IDENTITY),
    (USER, PoliciesInForce((YES,)), ALLOWED),
    (USER, PoliciesInForce((NO,)), Layer.IDENTITY),
    (USER, PoliciesInForce((YES, DENY)), EXPLICIT),
    (USER, PoliciesInForce((YES,), boundary=NO), Layer.BOUNDARY),
    (USER, PoliciesInForce((YES,), boundary=YES), ALLOWED),
    (USER, PoliciesInForce((YES,), boundary=DENY), EXPLICIT),
    (USER, PoliciesInForce((), boundary=YES), Layer.IDENTITY),
    (USER, PoliciesInForce(resource=to(USER_ARN)), ALLOWED),
    (USER, PoliciesInForce(resource=to(USER_ARN), boundary=NO), ALLOWED),
    (USER, PoliciesInForce(resource=to(USER_ARN), boundary=DENY), EXPLICIT),
    (USER, PoliciesInForce(resource=to(ROOT_ARN)), Layer.IDENTITY),
    (USER, PoliciesInForce((YES,), resource=to(ROOT_ARN)), ALLOWED),
    (USER, PoliciesInForce(resource=ANYONE_ELSE), Layer.IDENTITY),
    (USER, PoliciesInForce((YES,), resource=to(USER_ARN, effect="Deny")), EXPLICIT),
    (USER, PoliciesInForce((YES,), resource=to(ROOT_ARN, effect="Deny")), EXPLICIT),
    (SESSION, PoliciesInForce((YES,), session=(NO,)), Layer.SESSION),
    (SESSION, PoliciesInForce((YES,), session=(NO, YES)), ALLOWED),
    (SESSION, PoliciesInForce((YES,), session=(YES,), boundary=NO), Layer.BOUNDARY),
    (SESSION, PoliciesInForce((NO,), session=(YES,)), Layer.IDENTITY),
    (SESSION, PoliciesInForce((YES,), session=(DENY,)), EXPLICIT),
    (SESSION, PoliciesInForce(resource=to(ROLE_ARN)), ALLOWED),
    (SESSION, PoliciesInForce(resource=to(ROLE_ARN), boundary=NO), Layer.BOUNDARY),
    (SESSION, PoliciesInForce(resource=to(ROLE_ARN), session=(NO,)), Layer.SESSION),
    (SESSION, PoliciesInForce(resource=to(SESSION_ARN), boundary=NO, session=(NO,)), ALLOWED),
    (SESSION, PoliciesInForce(resource=to(ROLE_ARN, SESSION_ARN), session=(NO,)), ALLOWED),
    (SESSION, PoliciesInForce(resource=EVERYONE, session=(NO,)), Layer.SESSION),
    (FEDERATED, PoliciesInForce((YES,), session=()), Layer.SESSION),
    (FEDERATED, PoliciesInForce((YES,), session=(YES,)), ALLOWED),
    (FEDERATED, PoliciesInForce((YES,), session=(NO,)), Layer.SESSION),
    (FEDERATED, PoliciesInForce((NO,), session=(YES,)), Layer.IDENTITY),
    (FEDERATED, PoliciesInForce((YES,), session=(YES,), boundary=NO), Layer.BOUNDARY),
    (FEDERATED, PoliciesInForce(resource=to(FEDERATED.arn), session=()), ALLOWED),
    (FEDERATED, PoliciesInForce(resource=to(USER_ARN), session=()), Layer.SESSION),
    (FEDERATED, PoliciesInForce(resource=to(USER_ARN), session=(YES,)), ALLOWED),
    (FEDERATED, PoliciesInForce(resource=to("AIDAALICE0000000000A"), session=(YES,)), ALLOWED),
    (FEDERATED, PoliciesInForce(resource=EVERYONE, session=()), Layer.SESSION),
    (FEDERATED, PoliciesInForce(resource=to(ROOT_ARN), session=(YES,)), Layer.IDENTITY),
    (FEDERATED, PoliciesInForce((YES,), session=(YES,), resource=to(USER_ARN, effect="Deny")), EXPLICIT),
    (FEDERATED, PoliciesInForce((YES,), session=(YES,), resource=to("AIDAALICE0000000000A", effect="Deny")), EXPLICIT),
    (ROOT, NOTHING, ALLOWED),
    (ROOT, PoliciesInForce(resource=to(ROOT_ARN, effect="Deny")), EXPLICIT),
    (ROOT, PoliciesInForce(session=(NO,)), Layer.SESSION),
    (STRANGER, PoliciesInForce((YES,)), Layer.RESOURCE),
    (STRANGER, PoliciesInForce(resource=to(STRANGER.arn)), Layer.IDENTITY),
    (STRANGER, PoliciesInForce((YES,), resource=to(STRANGER.arn)), ALLOWED),
    (STRANGER, PoliciesInForce((YES,), resource=to(OTHER)), ALLOWED),
    (STRANGER, PoliciesInForce((YES,), resource=EVERYONE), ALLOWED),
    (STRANGER, PoliciesInForce((), resource=EVERYONE), Layer.IDENTITY),
    (STRANGER, PoliciesInForce((YES,), resource=to(OTHER), boundary=NO), Layer.BOUNDARY),
    (STRANGER, PoliciesInForce((YES,), resource=to(ROOT_ARN)), Layer.RESOURCE),
    (STRANGER, PoliciesInForce((DENY, YES), resource=to(OTHER)), EXPLICIT),
    (OTHER_ROOT, PoliciesInForce(resource=to(OTHER)), ALLOWED),
    (OTHER_ROOT, NOTHING, Layer.RESOURCE),
    (ANONYMOUS, PoliciesInForce(resource=EVERYONE), ALLOWED),
    (ANONYMOUS, PoliciesInForce(resource=to(ROOT_ARN)), Layer.RESOURCE),
    (ANONYMOUS, NOTHING, Layer.RESOURCE),
]


def check(decision: Decision, wanted: Outcome | Layer) -> None:
    if isinstance(wanted, Layer):
        assert (decision.outcome, decision.layer) == (Outcome.IMPLICIT_DENY, wanted)
    else:
        assert decision.outcome is wanted


@pytest.mark.parametrize(("principal", "policies", "wanted"), IN_ACCOUNT)
def test_the_rules_of_every_service(principal: Principal, policies: PoliciesInForce, wanted: Outcome | Layer) -> None:
    check(evaluate(request(principal), policies), wanted)


DEFAULT = to(ROOT_ARN)
KEYS: list[tuple[Principal, PoliciesInForce, Outcome | Layer]] = [
    (ROOT, PoliciesInForce(resource=DEFAULT), ALLOWED),
    (ROOT, PoliciesInForce(resource=to(USER_ARN)), Layer.RESOURCE),
    (ROOT, NOTHING, Layer.RESOURCE),
    (USER, PoliciesInForce(resource=DEFAULT), Layer.IDENTITY),
    (USER, PoliciesInForce((YES,), resource=DEFAULT), ALLOWED),
    # Without the account in the key policy an identity's Allow counts for nothing, its Deny always does.
    (USER, PoliciesInForce((YES,), resource=to(ROLE_ARN)), Layer.RESOURCE),
    (USER, PoliciesInForce((DENY,), resource=to(USER_ARN)), EXPLICIT),
    (USER, PoliciesInForce(resource=to(USER_ARN)), ALLOWED),
    (USER, PoliciesInForce((YES,), boundary=NO, resource=DEFAULT), Layer.BOUNDARY),
    (USER, PoliciesInForce(boundary=NO, resource=to(USER_ARN)), ALLOWED),
    (SESSION, PoliciesInForce((YES,), session=(NO,), resource=DEFAULT), Layer.SESSION),
    (SESSION, PoliciesInForce(session=(NO,), resource=to(ROLE_ARN)), Layer.SESSION),
    (SESSION, PoliciesInForce(session=(NO,), resource=to(SESSION_ARN)), ALLOWED),
    (STRANGER, PoliciesInForce((YES,), resource=DEFAULT), Layer.RESOURCE),
    (STRANGER, PoliciesInForce((YES,), resource=to(OTHER)), ALLOWED),
    (STRANGER, PoliciesInForce((), resource=to(STRANGER.arn)), Layer.IDENTITY),
    (OTHER_ROOT, PoliciesInForce(resource=to(OTHER)), ALLOWED),
    (OTHER_ROOT, PoliciesInForce(resource=DEFAULT), Layer.RESOURCE),
]


@pytest.mark.parametrize(("principal", "policies", "wanted"), KEYS)
def test_the_rules_of_keys(principal: Principal, policies: PoliciesInForce, wanted: Outcome | Layer) -> None:
    check(evaluate_key(request(principal), policies), wanted)


@pytest.mark.parametrize("principal", [USER, SESSION, STRANGER])
def test_a_grant_allows_what_policies_leave_open_and_nothing_that_they_deny(principal: Principal) -> None:
    granted = evaluate_key(request(principal), PoliciesInForce(resource=to(ROLE_ARN, Action="kms:Sign")), lambda: "g")
    assert (granted.outcome, granted.decided_by) == (ALLOWED, "g")
    check(evaluate_key(request(principal), PoliciesInForce((DENY,), resource=DEFAULT), lambda: "g"), EXPLICIT)
    assert not evaluate_key(request(principal), PoliciesInForce(resource=DEFAULT), lambda: None).is_allowed


@pytest.mark.parametrize("principal", [SESSION, FEDERATED])
def test_a_grant_gives_a_session_no_more_than_its_session_policies(principal: Principal) -> None:
    check(
        evaluate_key(request(principal), PoliciesInForce(session=(NO,), resource=DEFAULT), lambda: "g"), Layer.SESSION
    )
    check(evaluate_key(request(principal), PoliciesInForce(session=(YES,), resource=DEFAULT), lambda: "g"), ALLOWED)


def test_decisions_name_policy_and_statement() -> None:
    policies = PoliciesInForce(
        (identity(statement(action="s3:*"), statement(Sid="Use"), name="policy ReadKeys"),), resource=DEFAULT
    )
    assert evaluate_key(request(), policies).decided_by == 'key policy, statement 1; policy ReadKeys, statement "Use"'


@pytest.mark.parametrize(
    ("policies", "ending"),
    [
        (PoliciesInForce(resource=DEFAULT), "because no identity-based policy allows the kms:Decrypt action"),
        (NOTHING, "because no resource-based policy allows the kms:Decrypt action"),
        (
            PoliciesInForce((YES,), boundary=NO, resource=DEFAULT),
            "because no permissions boundary allows the kms:Decrypt action",
        ),
        (
            PoliciesInForce((YES,), session=(NO,), resource=DEFAULT),
            "because no session policy allows the kms:Decrypt action",
        ),
        (PoliciesInForce((DENY,), resource=DEFAULT), "with an explicit deny in an identity-based policy"),
        (PoliciesInForce(resource=to(ROOT_ARN, effect="Deny")), "with an explicit deny in a resource-based policy"),
        (PoliciesInForce(boundary=DENY, resource=DEFAULT), "with an explicit deny in a permissions boundary"),
        (PoliciesInForce(session=(DENY,), resource=DEFAULT), "with an explicit deny in a session policy"),
    ],
)
def test_refusals_end_as_aws_s_do(policies: PoliciesInForce, ending: str) -> None:
    assert evaluate_key(request(SESSION), policies).because("kms:Decrypt") == ending


def not_principal(*arns: str) -> NamedPolicy:
    return resource({**statement("Deny"), "NotPrincipal": {"AWS": list(arns)}})


@pytest.mark.parametrize(
    ("policy", "principal", "is_denied"),
    [
        (not_principal(USER_ARN, ACCOUNT), USER, False),
        (not_principal(USER_ARN), USER, True),
        (not_principal(ACCOUNT), USER, True),
        (not_principal(ACCOUNT), ROOT, False),
        (not_principal(SESSION_ARN, ROLE_ARN, ACCOUNT), SESSION, False),
        (not_principal(ROLE_ARN, ACCOUNT), SESSION, True),
        (not_principal(SESSION_ARN, ACCOUNT), SESSION, True),
        (not_principal("*"), STRANGER, False),
    ],
)
def test_not_principal_leaves_out_who_is_named_in_every_form(
    policy: NamedPolicy, principal: Principal, is_denied: bool
) -> None:
    outcome = evaluate(request(principal), PoliciesInForce((YES,), resource=policy)).outcome
    assert (outcome is EXPLICIT) is is_denied


def one(**members: object) -> PoliciesInForce:
    return PoliciesInForce((identity({"Effect": "Allow", "Action": "*", "Resource": "*"} | members),))


def without(name: str, **members: object) -> PoliciesInForce:
    whole = {"Effect": "Allow", "Action": "*", "Resource": "*"} | members
    del whole[name]
    return PoliciesInForce((identity(whole),))


@pytest.mark.parametrize(
    ("policies", "is_allowed"),
    [
        (one(Action="KMS:DECRYPT"), True),
        (one(Action="kms:Decryp?"), True),
        (one(Action=["s3:*", "kms:D*t"]), True),
        (one(Action="kms:DecryptMore"), False),
        (without("Action", NotAction="kms:Encrypt"), True),
        (without("Action", NotAction=["s3:*", "kms:Dec*"]), False),
        (one(Resource=f"arn:aws:kms:*:{ACCOUNT}:key/*"), True),
        (one(Resource=f"arn:aws:kms:*:{OTHER}:key/*"), False),
        (one(Resource=f"arn:aws:kms:*:{ACCOUNT}:alias/${{aws:username}}"), False),
        (one(Resource=f"arn:aws:kms:*:{ACCOUNT}:key/${{aws:keyname}}"), True),
        (one(Resource=f"arn:aws:kms:*:{ACCOUNT}:key/${{aws:nothing}}"), False),
        (without("Resource", NotResource="arn:aws:s3:::*"), True),
        (without("Resource", NotResource="arn:aws:kms:*"), False),
        (one(Condition={"StringEquals": {"aws:a": "1"}, "Bool": {"aws:b": "true"}}), True),
        (one(Condition={"StringEquals": {"aws:a": "1", "aws:c": "1"}}), False),
    ],
)
def test_the_elements_of_a_statement(policies: PoliciesInForce, is_allowed: bool) -> None:
    context = {
        "aws:a": ("1",),
        "aws:b": ("true",),
        "aws:username": ("alice",),
        "aws:keyname": ("1234abcd-12ab-34cd-56ef-1234567890ab",),
    }
    assert evaluate(request(context=context), policies).is_allowed is is_allowed


def test_a_key_statement_without_action_or_resource_does_nothing() -> None:
    for missing in ("Action", "Resource"):
        whole = {**statement(), "Principal": "*"}
        del whole[missing]
        assert not evaluate_key(request(), PoliciesInForce(resource=resource(whole))).is_allowed


# For any policies at all

STATEMENTS: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Action": st.sampled_from(["*", "kms:*", "kms:Decrypt", "s3:*"]),
        "Resource": st.sampled_from(["*", f"arn:aws:kms:*:{ACCOUNT}:key/*", "arn:aws:s3:::b"]),
    },
    optional={"Condition": st.just({"Bool": {"aws:SecureTransport": "true"}})},
)
LISTS = st.lists(STATEMENTS, max_size=3)
PRINCIPALS = st.sampled_from([["*"], [USER_ARN], [ROLE_ARN], [SESSION_ARN], [ACCOUNT], [OTHER]])
CALLERS = st.sampled_from([USER, SESSION, ROOT, STRANGER, OTHER_ROOT, ANONYMOUS])


def of_identity(statements: list[dict[str, object]]) -> NamedPolicy | None:
    return identity(*statements) if statements else None


@st.composite
def policies_in_force(draw: st.DrawFn) -> tuple[list[dict[str, object]], list[dict[str, object]], PoliciesInForce]:
    own, on_key = draw(LISTS), [{**each, "Principal": {"AWS": draw(PRINCIPALS)}} for each in draw(LISTS)]
    session = of_identity(draw(LISTS))
    policies = PoliciesInForce(
        (identity(*own),) if own else (),
        boundary=of_identity(draw(LISTS)),
        session=None if session is None else (session,),
        resource=resource(*on_key) if on_key else None,
    )
    return own, on_key, policies


def with_more(policies: PoliciesInForce, **more: object) -> PoliciesInForce:
    extra = statement(**more)  # type: ignore[arg-type]
    return PoliciesInForce(
        (*policies.identity, identity(extra)), policies.boundary, policies.session, policies.resource
    )


@given(policies_in_force(), CALLERS)
def test_adding_a_deny_never_allows_and_adding_an_allow_never_denies(
    drawn: tuple[list[dict[str, object]], list[dict[str, object]], PoliciesInForce], caller: Principal
) -> None:
    policies = drawn[2]
    for decide in (evaluate, evaluate_key):
        before = decide(request(caller), policies).is_allowed
        assert not decide(request(caller), with_more(policies, effect="Deny")).is_allowed
        assert decide(request(caller), with_more(policies, effect="Deny", action="s3:*")).is_allowed is before
        assert decide(request(caller), with_more(policies)).is_allowed >= before


@given(policies_in_force(), CALLERS)
def test_a_deny_that_is_about_the_request_always_wins(
    drawn: tuple[list[dict[str, object]], list[dict[str, object]], PoliciesInForce], caller: Principal
) -> None:
    own, _, policies = drawn
    denies = any(
        each["Effect"] == "Deny" and each["Action"] != "s3:*" and each["Resource"] != "arn:aws:s3:::b"
        for each in own
        if "Condition" not in each
    )
    if denies:
        for decide in (evaluate, evaluate_key):
            assert decide(request(caller), policies).outcome is EXPLICIT
