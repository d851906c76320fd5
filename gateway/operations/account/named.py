"""The account that a request of S3 Control names."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.protocol.control import named_account
from gateway.protocol.errors import S3Error


def own_account(call: Call, what: str) -> str:
    """The account that the request names, which nobody but its own principals may ask about `what`.

    Raises S3Error InvalidRequest, AccessDenied.
    """
    account_id = named_account(call.request.headers)
    if account_id != call.account_id:
        raise S3Error(
            "AccessDenied",
            decided_by="another account",
            reason=f"refused because only principals of an account may ask about {what}",
        )
    return account_id
