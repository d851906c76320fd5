"""Who a job of S3 Batch Operations acts as: a session of the role that its creator passed, asked for anew each time.

Sources: User Guide, "Granting permissions for Batch Operations"; IAM User Guide, "Roles terms and concepts", service
role; "The confused deputy problem" for aws:SourceAccount and aws:SourceArn in trust policies.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from gateway.operations.jobs.batch_runner import RoleRefused
from gateway.protocol.batch_jobs import SERVICE
from iam.face.authorisation import Authoriser
from iam.face.role_sessions import role_keys
from iam.policy.decisions import Decisions
from iam.principals import Caller, Principal, PrincipalKind, Session
from iam.sessions import role_session_arn
from iam.store.interface import IdentityStore, NoSuchRole

SESSION_NAME = "s3-batch-operations"
SESSION_SECONDS = 3600

_SERVICE = Principal(PrincipalKind.SERVICE, account_id="", arn="", principal_id=SERVICE)


class StoredRoles:
    """The roles of an identity store. For one thread, as the store is."""

    def __init__(self, identities: IdentityStore) -> None:
        self._identities = identities
        self._authoriser = Authoriser()

    def assume(self, role_arn: str, account_id: str, job_arn: str, request_id: str) -> Caller:
        """A session with the rights that the role has now. Raises RoleRefused, StoreUnavailable."""
        if not self._identities.has_active_account(account_id):
            raise RoleRefused("The account of the job is suspended")
        try:
            role = self._identities.role(account_id, role_arn.rpartition("/")[2])
        except NoSuchRole:
            raise RoleRefused("The role of the job does not exist") from None
        now = datetime.now(UTC)
        keys = {
            **role_keys(role),
            "aws:principalisawsservice": ("true",),
            "aws:principalservicename": (SERVICE,),
            "aws:sourceaccount": (account_id,),
            "aws:sourcearn": (job_arn,),
        }
        service = Caller(_SERVICE, request_id, is_secure_transport=True)
        is_trusted = role.arn == role_arn and self._authoriser.trusts(
            service, "sts:AssumeRole", role, now=now, keys=keys, decisions=Decisions()
        )
        if not is_trusted:
            raise RoleRefused(f"The role of the job does not trust {SERVICE}")
        issued_us = time.time_ns() // 1000
        principal = Principal(
            PrincipalKind.ROLE_SESSION,
            role.account_id,
            role_session_arn(role, SESSION_NAME),
            f"{role.role_id}:{SESSION_NAME}",
            issuer_arn=role.arn,
            issuer_id=role.role_id,
            tags=role.tags,
        )
        return Caller(
            principal,
            request_id,
            policies=self._identities.policies_in_force(role),
            session=Session(issued_us, issued_us + SESSION_SECONDS * 1_000_000),
        )
