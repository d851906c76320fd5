"""Rates and lock-out of a running gateway: what clients are answered that are too fast, or guess.

We are a trusted proxy here, so that requests come from whatever address a test likes.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv6Address

import pytest

from tests.clients.access import policy_text
from tests.clients.checks import faults
from tests.clients.raw import Answer, RawClient
from tests.clients.users import accounts, allow, client_of
from tests.harness import Gateway, running_gateway, wait_until

RATE = 5
"""Low enough for a busy machine to be faster."""

BURST = 10
ADDRESS_BURST = 30
FAILURES = 5
DELAY_SECONDS = 1.0
RACES = 3
"""Requests that two workers may let through beyond a limit, because they count at the same instant."""

SETTINGS = {
    "SEALGATE_LISTEN_TRUSTED_PROXIES": "127.0.0.0/8",
    "SEALGATE_LIMITS_S3_PRINCIPAL_RATE": str(RATE),
    "SEALGATE_LIMITS_API_PRINCIPAL_RATE": str(RATE),
    "SEALGATE_LIMITS_S3_ADDRESS_RATE": str(RATE),
    "SEALGATE_LIMITS_API_ADDRESS_RATE": str(RATE),
    "SEALGATE_LIMITS_S3_PRINCIPAL_BURST": str(BURST),
    "SEALGATE_LIMITS_API_PRINCIPAL_BURST": str(BURST),
    "SEALGATE_LIMITS_S3_ADDRESS_BURST": str(ADDRESS_BURST),
    "SEALGATE_LIMITS_API_ADDRESS_BURST": str(ADDRESS_BURST),
    "SEALGATE_LIMITS_FAILURES": str(FAILURES),
    "SEALGATE_LIMITS_FAILURE_DELAY_SECONDS": str(DELAY_SECONDS),
    "SEALGATE_LIMITS_FAILURE_WAITING": "2",
}

HELD_BACK = "sealgate_delayed_refusals_total"

LIST_KEYS = {"x-amz-target": "TrentService.ListKeys", "content-type": "application/x-amz-json-1.1"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
SERVICES = ("s3", "kms", "iam", "sts")
TOO_FAST = {
    "s3": (503, "SlowDown", "Please reduce your request rate."),
    "kms": (400, "ThrottlingException", "Rate exceeded"),
    "iam": (400, "Throttling", "Rate exceeded"),
    "sts": (400, "Throttling", "Rate exceeded"),
}
UNKNOWN = {
    "s3": (403, "InvalidAccessKeyId"),
    "kms": (400, "UnrecognizedClientException"),
    "iam": (403, "InvalidClientTokenId"),
    "sts": (403, "InvalidClientTokenId"),
}
MISMATCH = {
    "s3": (403, "SignatureDoesNotMatch"),
    "kms": (400, "InvalidSignatureException"),
    "iam": (403, "SignatureDoesNotMatch"),
    "sts": (403, "SignatureDoesNotMatch"),
}


@pytest.fixture(scope="module")
def braked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("braked"), environment=SETTINGS, workers=2) as made:
        yield made
        assert made.process is not None and made.process.poll() is None
    assert faults(made) == []


PATIENT = {"retries": {"mode": "standard", "max_attempts": 10}}
EVERYTHING = policy_text(allow("s3:*", "kms:*", "iam:*", "sts:*"))


def user(gateway: Gateway) -> RawClient:
    """The requests of a new user, who may do everything."""
    iam = gateway.client("iam", **PATIENT)
    name = f"user-{uuid.uuid4()}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=EVERYTHING)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return RawClient(gateway, key["AccessKeyId"], key["SecretAccessKey"])


@pytest.fixture
def ann(braked: Gateway) -> RawClient:
    return user(braked)


class Session:
    """The requests of a role's session."""

    def __init__(self, by: RawClient, gateway: Gateway, role_arn: str) -> None:
        sts = client_of(gateway, "sts", by.access_key_id, by.secret)
        found = sts.assume_role(RoleArn=role_arn, RoleSessionName=f"session-{uuid.uuid4()}")["Credentials"]
        self._raw = RawClient(gateway, found["AccessKeyId"], found["SecretAccessKey"])
        self._token = {"x-amz-security-token": found["SessionToken"]}

    def ask(self) -> Answer:
        return self._raw.request("GET", "/", self._token, unsigned={"x-forwarded-for": address()})


def address() -> str:
    """One that no other request came from."""
    return str(IPv6Address(uuid.uuid4().int))


def ask(raw: RawClient, service: str, remote_ip: str) -> Answer:
    """One small request, from anywhere."""
    unsigned = {"x-forwarded-for": remote_ip}
    match service:
        case "s3":
            return raw.request("GET", "/", unsigned=unsigned)
        case "kms":
            return raw.request("POST", "/", LIST_KEYS, b"{}", service="kms", unsigned=unsigned)
        case "iam":
            return raw.request(
                "POST", "/", FORM, b"Action=ListUsers&Version=2010-05-08", service="iam", unsigned=unsigned
            )
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    return raw.request("POST", "/", FORM, body, service="sts", unsigned=unsigned)


def flood(call: Callable[[], Answer], burst: int = BURST, good: int = 200) -> list[Answer]:
    """Many requests, fast; what comes back of those that were not let through. Fails if too few or too many were."""
    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: call(), range(3 * burst)))
    allowed = burst + (time.monotonic() - began) * RATE + RACES
    let_through = [each for each in answers if each.status == good]
    assert burst <= len(let_through) <= allowed
    return [each for each in answers if each.status != good]


def check_too_fast(answers: list[Answer], service: str) -> None:
    assert answers
    for answer in answers:
        assert (answer.status, answer.code, answer.message) == TOO_FAST[service]
        if service == "s3":
            assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("service", SERVICES)
def test_principals_that_are_too_fast_are_refused_by_all_workers(braked: Gateway, ann: RawClient, service: str) -> None:
    check_too_fast(flood(lambda: ask(ann, service, address())), service)
    assert ask(user(braked), service, address()).status == 200


def test_sessions_of_a_role_are_one_principal(braked: Gateway, ann: RawClient) -> None:
    iam = braked.client("iam", **PATIENT)
    name = f"role-{uuid.uuid4()}"
    trust = {"Effect": "Allow", "Principal": {"AWS": accounts(braked)[0]}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy_text(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=EVERYTHING)
    first, second = (Session(ann, braked, role) for _ in range(2))
    check_too_fast(flood(first.ask), "s3")
    assert (503, "SlowDown") in {second.ask().refusal for _ in range(BURST)}
    assert ask(ann, "s3", address()).status == 200


def test_s3_and_the_other_services_are_counted_apart(ann: RawClient) -> None:
    check_too_fast(flood(lambda: ask(ann, "s3", address())), "s3")
    others = itertools.cycle(("kms", "iam"))
    refused = flood(lambda: ask(ann, next(others), address()))  # no more than of one service
    assert refused
    assert {each.code for each in refused} <= {TOO_FAST["kms"][1], TOO_FAST["iam"][1]}


def test_addresses_that_are_too_fast_are_refused_before_they_are_known(braked: Gateway) -> None:
    raw = RawClient(braked)
    flooding, other = address(), address()

    def anonymous(remote_ip: str) -> Answer:
        return raw.send("GET", "/", {"host": raw.host, "x-forwarded-for": remote_ip})

    check_too_fast(flood(lambda: anonymous(flooding), ADDRESS_BURST, 403), "s3")
    neighbour = str(IPv6Address(IPv6Address(flooding).packed[:8] + bytes(8)))
    assert (503, "SlowDown") in {anonymous(neighbour).refusal for _ in range(10)}
    heads = {raw.send("HEAD", "/b/k", {"host": raw.host, "x-forwarded-for": flooding}).status for _ in range(10)}
    assert 503 in heads
    assert anonymous(other).status == 403


@pytest.mark.parametrize(
    ("service", "operation"), [("s3", "list_buckets"), ("kms", "list_keys"), ("iam", "list_users")]
)
def test_sdk_waits_and_repeats(braked: Gateway, service: str, operation: str) -> None:
    client = braked.client(service, **PATIENT)
    attempts = [getattr(client, operation)()["ResponseMetadata"]["RetryAttempts"] for _ in range(2 * BURST)]
    assert sum(attempts) > 0


def count(gateway: Gateway, sample: str) -> float:
    with urllib.request.urlopen(f"{gateway.admin_url}/metrics", timeout=60) as reply:
        text = reply.read().decode()
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def seconds(call: Callable[[], Answer]) -> tuple[Answer, float]:
    began = time.monotonic()
    answer = call()
    return answer, time.monotonic() - began


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("exists", [True, False], ids=["wrong secret", "unknown key"])
def test_guesses_are_held_back_and_tell_nothing_new(
    braked: Gateway, ann: RawClient, service: str, exists: bool
) -> None:
    guessed = ann.access_key_id if exists else "AKIA" + uuid.uuid4().hex[:16].upper()
    refusal = (MISMATCH if exists else UNKNOWN)[service]
    guesser, remote_ip = RawClient(braked, guessed, "wrong"), address()
    before = count(braked, HELD_BACK)
    for _ in range(FAILURES):
        assert ask(guesser, service, remote_ip).refusal == refusal
    assert count(braked, HELD_BACK) == before
    for where in (remote_ip, address()):  # held back for the address, and wherever it is from for the key
        answer, took = seconds(lambda where=where: ask(guesser, service, where))
        assert answer.refusal == refusal
        assert took >= DELAY_SECONDS


def test_nobody_is_locked_out_by_the_failures_of_others(braked: Gateway, ann: RawClient) -> None:
    stranger = RawClient(braked, ann.access_key_id, "wrong")
    strange, home = address(), address()
    with ThreadPoolExecutor(16) as threads:
        guesses = [threads.submit(ask, stranger, "s3", strange) for _ in range(60)]
        rightly = [seconds(lambda: ask(ann, "s3", home)) for _ in range(BURST // 2)]
        answers = [each.result() for each in guesses]
    assert {each.refusal for each in answers} == {MISMATCH["s3"], (503, "SlowDown")}
    assert {answer.status for answer, _ in rightly} == {200}
    assert min(took for _, took in rightly) < DELAY_SECONDS  # a busy machine may be late, but not each time


@pytest.mark.parametrize("service", SERVICES)
def test_answers_that_wait_are_few(braked: Gateway, service: str) -> None:
    guesser, remote_ip = RawClient(braked, "AKIA" + uuid.uuid4().hex[:16].upper(), "wrong"), address()
    with ThreadPoolExecutor(16) as threads:
        answered = list(threads.map(lambda _: seconds(lambda: ask(guesser, service, remote_ip)), range(24)))
    refused = [(answer, took) for answer, took in answered if answer.refusal != UNKNOWN[service]]
    check_too_fast([answer for answer, _ in refused], service)
    assert min(took for _, took in refused) < DELAY_SECONDS


def test_failures_are_remembered_when_workers_are_not(braked: Gateway) -> None:
    guesser, remote_ip = RawClient(braked, "AKIA" + uuid.uuid4().hex[:16].upper(), "wrong"), address()
    for _ in range(FAILURES):
        ask(guesser, "s3", remote_ip)
    workers = set(braked.children("gateway.worker"))
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(braked.children("gateway.worker")) - workers) == len(workers), "new workers")
    wait_until(lambda: ask(guesser, "s3", address()).refusal == UNKNOWN["s3"], "they serve")
    answer, took = seconds(lambda: ask(RawClient(braked, "AKIA" + "0" * 16, "wrong"), "s3", remote_ip))
    assert answer.refusal == UNKNOWN["s3"]
    assert took >= DELAY_SECONDS


def test_metrics_count_what_was_refused_and_held_back(braked: Gateway, ann: RawClient) -> None:
    too_fast = 'sealgate_throttled_requests_total{limit="principal",service="s3"}'
    before = count(braked, too_fast), count(braked, HELD_BACK)
    refused = flood(lambda: ask(ann, "s3", address()))
    guesser, remote_ip = RawClient(braked, ann.access_key_id, "wrong"), address()
    for _ in range(FAILURES + 1):
        ask(guesser, "s3", remote_ip)
    assert (count(braked, too_fast), count(braked, HELD_BACK)) == (before[0] + len(refused), before[1] + 1)
