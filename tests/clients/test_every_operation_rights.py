"""Each operation as a user who has none of its rights, all but one of them, and exactly them: of S3, KMS, IAM, STS and
Organizations.

The cases stand in `rights`. What an operation may ask for is declared in its table; that it is told right is seen from
two sides. From outside: without any one of the rights that a case needs the request is refused by name of that right
and changes nothing, and with all of them it is done. From inside: every decision that the gateway's processes were
asked for meanwhile was of a right that the operation declares.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import pytest

from iam.rights import ANY
from tests.clients.access import anonymous_client
from tests.clients.checks import faults
from tests.clients.kms_operations.world import OTHER_REGION
from tests.clients.rights import identities, kms, objects, organizations, s3, sessions
from tests.clients.rights.case import (
    Case,
    Clients,
    Need,
    Outcome,
    Prepared,
    elsewhere,
    method_of,
    outcome_of,
    statements,
)
from tests.clients.rights.world import World
from tests.clients.sessions import client_with, policy_of
from tests.clients.test_account_public_access import sent_to_endpoint
from tests.clients.users import allow, make_account
from tests.harness import REPOSITORY, Gateway, running_gateway
from tests.rights_table import SERVICES

CASES = [*s3.CASES, *objects.CASES, *kms.CASES, *identities.CASES, *sessions.CASES, *organizations.CASES]
NOTHING: Need = ("s3:GetObjectTorrent", "arn:aws:s3:::none")
"""What a policy allows that is to allow nothing of what is walked: one without statements is none."""

NOT_OF_SESSIONS = {"GetFederationToken"}
"""What only long-term credentials may be used for (API Reference, GetFederationToken)."""

OF_NO_ACCOUNT = {"CreateBucket", "CreateKey", "GenerateRandom", "ListAliases", "ListBuckets", "ListKeys"}
"""Operations of S3 and the KMS that name nothing of the account, or nothing that is there already."""

OF_THE_CALLERS_ACCOUNT = {
    "CreateGroup",
    "CreateOpenIDConnectProvider",
    "CreatePolicy",
    "CreateRole",
    "CreateUser",
    "GetFederationToken",
}
"""Operations of IAM and STS that name what is new, in whoever's account asks."""

ABROAD = {"DeleteAlias": "NotFoundException"}
"""It names an alias of the caller's account and region, which has none of this name."""

BY_TRUST_ALONE = {("sts", "AssumeRoleWithWebIdentity")}
"""What nobody's own policies can allow, as nobody's credentials are needed: the trust policy of the role decides, with
and without each of its rights in `tests/iam/face/test_web_identity.py`."""
RECORDER = Path(__file__).parent / "rights" / "recorder"


class Decisions:
    """What the gateway's processes were asked to decide, as the recorder writes it down."""

    def __init__(self, lines: TextIO) -> None:
        self._lines = lines

    def since_last(self) -> dict[str, set[str]]:
        """The actions that each operation asked for since the last time, by `service:Operation`."""
        lines = [line.split() for line in self._lines.read().splitlines()]
        of_request = {request: name for name, request, _ in lines if name != "via"}
        found: dict[str, set[str]] = defaultdict(set)
        for name, request, action in lines:
            if action != "-":
                found[of_request[request] if name == "via" else name].add(action)
        return found


class Walker:
    """A user, or the session of a role, whose one policy is what a test says."""

    def __init__(self, world: World, kind: str) -> None:
        self._iam, self._kind, self._name = world.iam, kind, world.entity(kind)
        self._clients = clients_of(world.gateway, world.credentials_of(kind, self._name))

    @property
    def clients(self) -> Clients:
        return self._clients.__getitem__

    def may(self, needs: Sequence[Need]) -> None:
        """From here on this, and nothing else."""
        document = json.dumps({"Version": "2012-10-17", "Statement": statements([NOTHING, *needs])})
        named = {f"{self._kind.title()}Name": self._name, "PolicyName": "rights"}
        method_of(self._iam, f"Put{self._kind.title()}Policy")(**named, PolicyDocument=document)


def clients_of(gateway: Gateway, credentials: dict[str, str]) -> dict[str, Any]:
    """Forms are signed by version 4, as requests are, only if one says so."""
    versions = {service: {"signature_version": "s3v4"} if service == "s3" else {} for service in SERVICES}
    clients = {service: client_with(gateway, service, credentials, **version) for service, version in versions.items()}
    sent_to_endpoint(clients["s3control"])
    return clients


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("rights")
    (directory / "decisions").touch()
    environment = {
        "DECISIONS": str(directory / "decisions"),
        "PYTHONPATH": f"{RECORDER}:{REPOSITORY}",
        "SEALGATE_KMS_OTHER_REGIONS": OTHER_REGION,
    }
    with running_gateway(directory, root="file", environment=environment) as made:
        yield made
    assert faults(made) == []


@pytest.fixture(scope="module")
def decisions(gateway: Gateway) -> Iterator[Decisions]:
    with gateway.data.with_name("decisions").open(encoding="ascii") as lines:
        yield Decisions(lines)


@pytest.fixture(scope="module")
def world(gateway: Gateway) -> World:
    return World(gateway)


@pytest.fixture(scope="module")
def user(world: World) -> Walker:
    return Walker(world, "user")


@pytest.fixture(scope="module")
def session(world: World) -> Walker:
    return Walker(world, "role")


@pytest.fixture(scope="module")
def stranger(gateway: Gateway) -> Clients:
    """An administrator of another account."""
    iam = make_account(gateway).client("iam")
    named = {"UserName": "administrator"}
    iam.create_user(**named)
    iam.put_user_policy(**named, PolicyName="all", PolicyDocument=policy_of(allow("*")))
    return clients_of(gateway, iam.create_access_key(**named)["AccessKey"]).__getitem__


@pytest.fixture(scope="module")
def nobody(gateway: Gateway) -> Clients:
    return {"s3": anonymous_client(gateway)}.__getitem__


# The cases are the tables


def test_every_operation_has_a_case() -> None:
    walked = {(case.service, case.operation) for case in CASES}
    declared = {(service, name) for service, rows in SERVICES.items() for name, rights in rows.items() if rights}
    assert walked == declared - BY_TRUST_ALONE


def test_cases_are_told_apart() -> None:
    names = [str(case) for case in CASES]
    assert len(names) == len(set(names))


def test_every_right_that_is_declared_is_asked_for_by_a_case(world: World) -> None:
    """As often as it is declared: once on the source of a copy, and once on its target."""
    met: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for case in CASES:
        prepared = case.prepare(world)
        met[case.service, case.operation] |= counted(prepared) | Counter(prepared.asks_too)
    for service, rows in SERVICES.items():
        for name in rows:
            if (service, name) not in BY_TRUST_ALONE:
                assert met[service, name] == declared(service, name), name


def counted(prepared: Prepared) -> Counter[str]:
    return Counter(action for action, _ in prepared.needs)


def declared(service: str, operation: str) -> Counter[str]:
    return Counter(right.action for right in SERVICES[service][operation])


# The walk


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_operation_needs_its_rights_and_no_others(
    world: World, user: Walker, decisions: Decisions, case: Case
) -> None:
    prepared = case.prepare(world)
    assert counted(prepared) <= declared(case.service, case.operation)
    before = None if prepared.observe is None else prepared.observe()
    check_refusals(user, prepared)
    assert prepared.observe is None or prepared.observe() == before
    user.may(prepared.needs)
    assert outcome_of(prepared, user.clients) == Outcome(prepared.otherwise)
    assert prepared.observe is None or (prepared.observe() == before) == prepared.is_idle
    check_decisions(decisions, case, prepared)


def check_refusals(user: Walker, prepared: Prepared) -> None:
    """Without rights, without each one of them, and with each one on another resource alone."""
    user.may([])
    assert outcome_of(prepared, user.clients).is_refused
    for missing in prepared.needs:
        rest = [need for need in prepared.needs if need != missing]
        other = elsewhere(missing[1])
        for instead in ([], [(missing[0], other)] if other else []):
            user.may([*rest, *instead])
            outcome = outcome_of(prepared, user.clients)
            assert outcome.is_refused, (missing, instead, outcome)
            if outcome.code != "403":
                assert f"is not authorized to perform: {missing[0]} " in outcome.message


def check_decisions(decisions: Decisions, case: Case, prepared: Prepared) -> None:
    """Of all operations since the last case, those that prepared it as well."""
    asked = decisions.since_last()
    for name, actions in asked.items():
        service, _, operation = name.partition(":")
        assert actions <= declared(service, operation).keys(), name
    wanted = {*prepared.asks_too, *(action for action, _ in prepared.needs)}
    assert wanted <= asked[f"{case.service}:{case.operation}"]


# The same for others than users


@pytest.mark.parametrize("case", [case for case in CASES if case.operation not in NOT_OF_SESSIONS], ids=str)
def test_the_session_of_a_role_has_the_rights_of_the_role(world: World, session: Walker, case: Case) -> None:
    prepared = case.prepare(world)
    session.may([])
    assert outcome_of(prepared, session.clients).is_refused
    session.may(prepared.needs)
    assert outcome_of(prepared, session.clients) == Outcome(prepared.otherwise)


def cases_of(*services: str, without: Collection[str]) -> list[Case]:
    return [case for case in CASES if case.service in services and case.operation not in without]


@pytest.mark.parametrize("case", cases_of("s3", "kms", without=OF_NO_ACCOUNT), ids=str)
def test_another_accounts_administrator_and_nobody_are_refused(
    world: World, stranger: Clients, nobody: Clients, case: Case
) -> None:
    """Nobody is asked for S3 alone, and makes no forms: boto3 signs those."""
    prepared = case.prepare(world)
    before = None if prepared.observe is None else prepared.observe()
    outcome = outcome_of(prepared, stranger)
    assert outcome == Outcome(ABROAD[case.operation]) if case.operation in ABROAD else outcome.is_refused
    if case.service == "s3" and case.operation != "PostObject":
        assert outcome_of(prepared, nobody).is_refused
    assert prepared.observe is None or prepared.observe() == before


@pytest.mark.parametrize(
    "case", [case for case in s3.CASES if case.operation in {"CreateBucket", "ListBuckets"}], ids=str
)
def test_nobody_has_no_account(world: World, nobody: Clients, case: Case) -> None:
    prepared = case.prepare(world)
    before = None if prepared.observe is None else prepared.observe()
    assert outcome_of(prepared, nobody).is_refused
    assert prepared.observe is None or prepared.observe() == before


def names_something(case: Case) -> bool:
    return any(right.on != ANY for right in SERVICES[case.service][case.operation])


@pytest.mark.parametrize(
    "case", [each for each in cases_of("iam", "sts", without=OF_THE_CALLERS_ACCOUNT) if names_something(each)], ids=str
)
def test_another_accounts_administrator_finds_nobody_of_this_one(world: World, stranger: Clients, case: Case) -> None:
    """Names are looked for in the caller's account, where they are nobody's; ARNs of this one name nobody."""
    prepared = case.prepare(world)
    before = None if prepared.observe is None else prepared.observe()
    outcome = outcome_of(prepared, stranger)
    assert outcome.is_refused or outcome.code in {"InvalidInput", "NoSuchEntity"}, outcome
    assert prepared.observe is None or prepared.observe() == before
