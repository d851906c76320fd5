"""What a decision about a KMS key costs: policies parsed and remembered, as they are in a running key service.

    python -m bench.policy_decisions [--decisions 50000]

CPU microseconds of one decision. Budgets: 15 for the default key policy, and for three policies of ten statements.
"""

from __future__ import annotations

import argparse
import time

from iam.policy.evaluation import AccessRequest, PoliciesInForce, evaluate_key
from tests.iam.policy.checks import ACCOUNT, KEY_ARN, ROOT, ROOT_ARN, USER, identity, resource, statement

DEFAULT = resource({**statement(), "Principal": {"AWS": ROOT_ARN}})
THREE_OF_TEN = tuple(
    identity(
        *[
            statement(
                action=["s3:Get*", f"s3:Put{number}"],
                resource=f"arn:aws:s3:::bucket-{number}/*",
                Condition={"StringEquals": {"aws:PrincipalTag/team": "red"}},
            )
            for number in range(9)
        ],
        statement(action="kms:Decrypt" if last else "kms:Encrypt"),
        name=f"policy {name}",
    )
    for name, last in (("one", False), ("two", False), ("three", True))
)


def measure(what: str, request: AccessRequest, policies: PoliciesInForce, decisions: int) -> None:
    assert evaluate_key(request, policies).is_allowed
    began = time.process_time()
    for _ in range(decisions):
        evaluate_key(request, policies)
    print(f"{what:45} {(time.process_time() - began) / decisions * 1e6:6.1f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=50_000)
    decisions = parser.parse_args().decisions
    root = AccessRequest(ROOT, "kms:Decrypt", KEY_ARN, ACCOUNT, {})
    user = AccessRequest(USER, "kms:Decrypt", KEY_ARN, ACCOUNT, {})
    measure("root user, default key policy", root, PoliciesInForce(resource=DEFAULT), decisions)
    measure("user, three policies of ten statements", user, PoliciesInForce(THREE_OF_TEN, resource=DEFAULT), decisions)


if __name__ == "__main__":
    main()
