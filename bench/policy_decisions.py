"""What a decision costs: policies parsed and remembered, as they are in a running service; and what parsing them costs.

    python -m bench.policy_decisions [--decisions 20000]

CPU microseconds of one decision and their ratio to the budget of 15; CPU milliseconds of parsing a bucket policy of the
greatest size, which is done on the event loop. Decisions of the KMS are those of the evaluator alone; those of S3 are
whole, from a request's row and headers to the answer.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from gateway.operations.authorisation import Permissions
from gateway.operations.condition_keys import RequestContext, Signing
from gateway.operations.documents import BucketDocument
from gateway.protocol.messages import Request
from gateway.protocol.public_access import NOTHING_BLOCKED
from gateway.protocol.query import Query
from gateway.storage.index.records import BucketRow
from iam.policy.cache import PolicyCache
from iam.policy.document import PolicyKind
from iam.policy.evaluation import AccessRequest, PoliciesInForce, evaluate_key
from iam.policy.parse import parse_policy
from iam.principals import Caller, IdentityPolicies, PolicyText, Principal
from iam.scope import Form
from tests.iam.policy.checks import ACCOUNT, KEY_ARN, ROOT, ROOT_ARN, USER, document, identity, resource, statement

BUDGET_US = 15
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OBJECT_ARN = "arn:aws:s3:::bucket/key"
TEAM_IS_RED = {"StringEquals": {"aws:PrincipalTag/team": "red"}}

DEFAULT = resource({**statement(), "Principal": {"AWS": ROOT_ARN}})
KEY_POLICIES = tuple(
    identity(
        *[
            statement(action=["s3:Get*", f"s3:Put{number}"], resource=f"arn:aws:s3:::bucket-{number}/*")
            for number in range(9)
        ],
        statement(action="kms:Decrypt" if last else "kms:Encrypt"),
        name=f"policy {name}",
    )
    for name, last in (("one", False), ("two", False), ("three", True))
)


def ten_statements(resource_arn: str, *, last: str) -> str:
    """Nine with a condition that does not hold, about `resource_arn`, whose {} is their number; and one without."""
    nine = [
        statement(action="s3:Get*", resource=resource_arn.format(number), Condition=TEAM_IS_RED) for number in range(9)
    ]
    return document(*nine, statement(action=last, resource="arn:aws:s3:::bucket/*"))


def s3_decision(principal: Principal, *, policies: list[str], bucket_policy: str | None = None) -> Callable[[], None]:
    """GetObject: a `Permissions` of its own each time, as each request has one."""
    texts = tuple(PolicyText(f"policy {number}", text) for number, text in enumerate(policies))
    caller = Caller(principal, "r", "203.0.113.7", policies=IdentityPolicies(texts), is_secure_transport=True)
    request = Request("GET", "/bucket/key", "", {}, NoBody(), 0, "r", "203.0.113.7", True)
    query, signing = Query(""), Signing(Form.HEADER, "AWS4-HMAC-SHA256", NOW - timedelta(seconds=2))
    cache = PolicyCache()
    row, settings = BucketRow(b"", ACCOUNT, "bucket", "us-east-1", 0, 0, b""), BucketDocument(policy=bucket_policy)

    def decide() -> None:
        permissions = Permissions(
            caller,
            lambda known: RequestContext(
                caller, request, query, operation="GetObject", now=NOW, signing=signing, region="eu-1", known=known
            ),
            cache,
            lambda account_id: account_id,
        )
        permissions.introduce(row, settings, NOTHING_BLOCKED)
        permissions.require("s3:GetObject", OBJECT_ARN)

    return decide


class NoBody:
    async def read(self) -> bytes:
        return b""


def key_decision(principal: Principal, policies: PoliciesInForce) -> Callable[[], None]:
    request = AccessRequest(principal, "kms:Decrypt", KEY_ARN, ACCOUNT, {})

    def decide() -> None:
        assert evaluate_key(request, policies).is_allowed

    return decide


def measure(what: str, decide: Callable[[], None], decisions: int) -> None:
    decide()
    began = time.process_time()
    for _ in range(decisions):
        decide()
    spent_us = (time.process_time() - began) / decisions * 1e6
    print(f"{what:65} {spent_us:6.1f} us {spent_us / BUDGET_US:6.2f}")


def measure_parsing(what: str, policy: str) -> None:
    began = time.process_time()
    for _ in range(5):
        parse_policy(policy, PolicyKind.BUCKET)
    print(f"{what:65} {(time.process_time() - began) / 5 * 1e3:6.1f} ms")


def of_resources(resources: list[str]) -> str:
    whole = {**statement(action="s3:*", resource=resources), "Principal": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [whole]}, separators=(",", ":"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=20_000)
    decisions = parser.parse_args().decisions
    other = ten_statements("arn:aws:s3:::bucket-{}/*", last="s3:ListBucket")
    others = [other, other, ten_statements("arn:aws:s3:::bucket-{}/*", last="s3:GetObject")]
    same = ten_statements("arn:aws:s3:::bucket/*", last="s3:ListBucket")
    sames = [same, same, ten_statements("arn:aws:s3:::bucket/*", last="s3:GetObject")]
    on_bucket = document({**statement(action="s3:GetObject", resource="arn:aws:s3:::bucket/*"), "Principal": "*"})
    measure("KMS: root user, default key policy", key_decision(ROOT, PoliciesInForce(resource=DEFAULT)), decisions)
    of_user = PoliciesInForce(KEY_POLICIES, resource=DEFAULT)
    measure("KMS: user, three policies of ten statements", key_decision(USER, of_user), decisions)
    measure("S3: root user", s3_decision(ROOT, policies=[]), decisions)
    measure("S3: root user, bucket policy", s3_decision(ROOT, policies=[], bucket_policy=on_bucket), decisions)
    measure("S3: user, three policies of ten statements", s3_decision(USER, policies=others), decisions)
    measure("S3: the same, 27 conditions that do not hold", s3_decision(USER, policies=sames), decisions)
    measure_parsing(
        "parsing: 550 resources of six stars", of_resources([f"arn:aws:s3:::{n}*a*b*c*d*e*f" for n in range(550)])
    )
    measure_parsing(
        "parsing: 900 resources with a star in the third component",
        of_resources([f"arn:aws:*s3:::{n}" for n in range(900)]),
    )
    measure_parsing("parsing: one resource of 8000 stars", of_resources(["arn:aws:s3:::" + "a*" * 8000]))
    measure_parsing("parsing: one resource of 8000 question marks", of_resources(["arn:aws:s3:::*" + "a?" * 8000]))


if __name__ == "__main__":
    main()
