from __future__ import annotations

import pytest

from iam.authorisation import authorise
from iam.principals import Principal, PrincipalKind, root_principal, service_caller

ACCOUNT = "123456789012"
OTHER = "210987654321"
ARN = "arn:aws:s3:::bucket/key"
USER = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/u", "AIDA1")
ANONYMOUS = Principal(PrincipalKind.ANONYMOUS, "", "", "")


def test_the_root_user_may_do_everything_in_its_account() -> None:
    assert authorise(root_principal(ACCOUNT), "s3:GetObject", ARN, ACCOUNT).is_allowed


@pytest.mark.parametrize("principal", [root_principal(OTHER), USER, ANONYMOUS, service_caller("r").principal])
def test_everyone_else_is_denied_with_a_reason(principal: Principal) -> None:
    decision = authorise(principal, "s3:GetObject", ARN, ACCOUNT)
    assert not decision.is_allowed
    assert "s3:GetObject" in decision.reason


def test_an_anonymous_caller_owns_nothing() -> None:
    assert not authorise(ANONYMOUS, "s3:GetObject", ARN, "").is_allowed
