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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import pytest

from tests.clients.checks import faults
from tests.clients.kms_operations.world import OTHER_REGION
from tests.clients.rights import identities, kms, objects, organizations, s3, sessions
from tests.clients.rights.case import Case, Clients, Need, Outcome, Prepared, elsewhere, outcome_of, statements
from tests.clients.rights.world import World
from tests.clients.test_account_public_access import sent_to_endpoint
from tests.clients.users import client_of
from tests.harness import REPOSITORY, Gateway, running_gateway
from tests.rights_table import SERVICES

CASES = [*s3.CASES, *objects.CASES, *kms.CASES, *identities.CASES, *sessions.CASES, *organizations.CASES]
RECORDER = Path(__file__).parent / "rights" / "recorder"


class Walker:
    """A user whose one policy is what a test says, and the decisions that are asked for meanwhile."""

    def __init__(self, gateway: Gateway, decisions: TextIO) -> None:
        self.world = World(gateway)
        self.name = self.world.name("walker")
        self.world.iam.create_user(UserName=self.name)
        key = self.world.iam.create_access_key(UserName=self.name)["AccessKey"]
        pair = key["AccessKeyId"], key["SecretAccessKey"]
        # Forms are signed by version 4, as requests are, only if one says so.
        self._clients = {
            service: client_of(gateway, service, *pair, signature_version="v4" if service != "s3" else "s3v4")
            for service in SERVICES
        }
        sent_to_endpoint(self._clients["s3control"])
        self._decisions = decisions

    @property
    def clients(self) -> Clients:
        return self._clients.__getitem__

    def may(self, needs: Sequence[Need]) -> None:
        """From here on this, and nothing else."""
        policy = {"UserName": self.name, "PolicyName": "rights"}
        if not needs:
            self.world.iam.delete_user_policy(**policy)
            return
        document = json.dumps({"Version": "2012-10-17", "Statement": statements(needs)})
        self.world.iam.put_user_policy(**policy, PolicyDocument=document)

    def asked_for(self) -> dict[str, set[str]]:
        """The actions that each operation asked for since the last time, by `service:Operation`."""
        lines = [line.split() for line in self._decisions.read().splitlines()]
        of_request = {request: name for name, request, _ in lines if name != "via"}
        found: dict[str, set[str]] = defaultdict(set)
        for name, request, action in lines:
            if action != "-":
                found[of_request[request] if name == "via" else name].add(action)
        return found


@pytest.fixture(scope="module")
def walker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walker]:
    directory = tmp_path_factory.mktemp("rights")
    decisions = directory / "decisions"
    decisions.touch()
    environment = {
        "DECISIONS": str(decisions),
        "PYTHONPATH": f"{RECORDER}:{REPOSITORY}",
        "SEALGATE_KMS_OTHER_REGIONS": OTHER_REGION,
    }
    running = running_gateway(directory, root="file", environment=environment)
    with running as gateway, decisions.open(encoding="ascii") as lines:
        yield Walker(gateway, lines)
    assert faults(gateway) == []


# The cases are the tables


def test_every_operation_has_a_case() -> None:
    walked = {(case.service, case.operation) for case in CASES}
    declared = {(service, name) for service, rows in SERVICES.items() for name, rights in rows.items() if rights}
    assert walked == declared


def test_cases_are_told_apart() -> None:
    names = [str(case) for case in CASES]
    assert len(names) == len(set(names))


def test_every_right_that_is_declared_is_asked_for_by_a_case(walker: Walker) -> None:
    """As often as it is declared: once on the source of a copy, and once on its target."""
    met: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for case in CASES:
        prepared = case.prepare(walker.world)
        met[case.service, case.operation] |= counted(prepared) | Counter(prepared.asks_too)
    for service, rows in SERVICES.items():
        for name in rows:
            assert met[service, name] == declared(service, name), name


def counted(prepared: Prepared) -> Counter[str]:
    return Counter(action for action, _ in prepared.needs)


def declared(service: str, operation: str) -> Counter[str]:
    return Counter(right.action for right in SERVICES[service][operation])


# The walk


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_operation_needs_its_rights_and_no_others(walker: Walker, case: Case) -> None:
    prepared = case.prepare(walker.world)
    assert counted(prepared) <= declared(case.service, case.operation)
    before = None if prepared.observe is None else prepared.observe()
    check_refusals(walker, prepared)
    assert prepared.observe is None or prepared.observe() == before
    walker.may(prepared.needs)
    assert outcome_of(prepared, walker.clients) == Outcome(prepared.otherwise)
    assert prepared.observe is None or (prepared.observe() == before) == prepared.is_idle
    check_decisions(walker, case, prepared)


def check_refusals(walker: Walker, prepared: Prepared) -> None:
    """Without rights, without each one of them, and with each one on another resource alone."""
    walker.may([("s3:GetObjectTorrent", "arn:aws:s3:::none")])
    assert outcome_of(prepared, walker.clients).is_refused
    for missing in prepared.needs:
        rest = [need for need in prepared.needs if need != missing]
        other = elsewhere(missing[1])
        for instead in ([], [(missing[0], other)] if other else []):
            walker.may([*rest, *instead, ("s3:GetObjectTorrent", "arn:aws:s3:::none")])
            outcome = outcome_of(prepared, walker.clients)
            assert outcome.is_refused, (missing, instead, outcome)
            if outcome.code != "403":
                assert f"is not authorized to perform: {missing[0]} " in outcome.message


def check_decisions(walker: Walker, case: Case, prepared: Prepared) -> None:
    """Of all operations since the last case, those that prepared it as well."""
    asked = walker.asked_for()
    for name, actions in asked.items():
        service, _, operation = name.partition(":")
        assert actions <= declared(service, operation).keys(), name
    wanted = {*prepared.asks_too, *(action for action, _ in prepared.needs)}
    assert wanted <= asked[f"{case.service}:{case.operation}"]
