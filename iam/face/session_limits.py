"""What temporary credentials cannot be used for, whatever the policies say.

IAM User Guide, "Compare AWS STS credentials".
"""

from __future__ import annotations

from iam.errors import INVALID_TOKEN
from iam.face.errors import IAMError
from iam.principals import Caller, PrincipalKind

_OF_OWN_SESSIONS = frozenset({"AssumeRole", "GetCallerIdentity"})
_OF_FEDERATED_USERS = frozenset({"GetCallerIdentity"})


def check_session(caller: Caller, service: str, operation: str) -> None:
    """`service` is that of the operation; there is something to say of `iam` and `sts` alone.

    Sessions of roles may call what their policies allow. Those of GetSessionToken without a second factor, which nobody
    has here, and federated users call nothing of IAM, and next to nothing of STS.
    Raises IAMError: InvalidClientTokenId for IAM as a whole, as AWS answers it; AccessDenied.
    """
    kind = caller.principal.kind
    if caller.session is None or kind is PrincipalKind.ROLE_SESSION:
        return
    if service == "iam":
        raise IAMError("InvalidClientTokenId", INVALID_TOKEN)
    if service != "sts":
        return
    allowed = _OF_FEDERATED_USERS if kind is PrincipalKind.FEDERATED_USER else _OF_OWN_SESSIONS
    if operation not in allowed:
        raise IAMError("AccessDenied", f"Cannot call {operation} with session credentials")
