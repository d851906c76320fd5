"""What STS answers about whoever asks."""

from __future__ import annotations

from iam.face.call import Call, Document


def get_caller_identity(call: Call) -> Document:
    """Needs no permission, and no policy can deny it (STS API Reference, GetCallerIdentity)."""
    principal = call.caller.principal
    return {"Arn": principal.arn, "UserId": principal.principal_id, "Account": principal.account_id}
