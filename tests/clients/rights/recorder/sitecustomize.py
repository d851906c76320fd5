"""Loaded by every process of a gateway that a test starts with this directory first on PYTHONPATH.

Writes a line for each decision that the one evaluator is asked for, whoever asks: the operation that is being answered,
the request's id, and the action. What S3 asks the KMS for stands under `via`, with the id of the request to S3. Where
no file is named by DECISIONS nothing is done.
"""

from __future__ import annotations

import os
import sys
from contextvars import ContextVar
from typing import Any

DECIDING = frozenset({"gateway.worker", "kms.daemon"})
"""The modules that are run where decisions are made; commands and the supervisor are spared the work."""


def _record(path: str) -> None:
    # The gateway is imported by its own processes alone, and before any of its modules took what is replaced here.
    import gateway.operations.admission as admission
    from iam.face.service import IdentityService
    from iam.policy.evaluation import AccessRequest
    from kms.service.service import EmbeddedKeyService

    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    answered: ContextVar[str] = ContextVar("answered", default="")
    make, admit = AccessRequest.__init__, admission.admit
    answer_query, answer_kms = IdentityService._answer, EmbeddedKeyService._answer

    def write(name: str, action: str) -> None:
        os.write(file, f"{name} {action}\n".encode())

    def made(self: AccessRequest, *values: Any, **named: Any) -> None:
        make(self, *values, **named)
        if answered.get():
            write(answered.get(), self.action)

    async def admitted(call: Any, operation: Any) -> None:
        name = operation.name if ":" in operation.name else f"s3:{operation.name}"
        answered.set(f"{name} {call.caller.request_id}")
        write(answered.get(), "-")
        await admit(call, operation)

    def answered_query(self: Any, caller: Any, operation: Any, *rest: Any, **named: Any) -> Any:
        answered.set(f"{operation.model.name}:{operation.name} {caller.request_id}")
        return answer_query(self, caller, operation, *rest, **named)

    async def answered_kms(self: Any, caller: Any, request: Any, *rest: Any, **named: Any) -> Any:
        name = "via" if caller.via_service else f"kms:{type(request).__name__}"
        token = answered.set(f"{name} {caller.request_id}")
        try:
            return await answer_kms(self, caller, request, *rest, **named)
        finally:
            answered.reset(token)

    AccessRequest.__init__ = made  # type: ignore[method-assign]
    admission.admit = admitted
    IdentityService._answer = answered_query  # type: ignore[method-assign]
    EmbeddedKeyService._answer = answered_kms  # type: ignore[method-assign, assignment]


if "DECISIONS" in os.environ and not DECIDING.isdisjoint(sys.orig_argv):
    _record(os.environ["DECISIONS"])
