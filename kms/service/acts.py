"""What operators' commands did to keys and roots, into the audit trail.

A command writes its act into the key store, in the transaction of the act itself where there is one, because kmsd alone
writes the trail, and may not be running. Whichever kmsd comes first, of whichever node, takes the acts out, when their
lines are on the disk. Should it die in between, a line comes twice, with one event id. An act is as true as the key
store it came by.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from kms.service.core import Core

TELL_SECONDS = 5.0
BATCH = 100

NAMES = frozenset(
    {
        "StartRootRotation",
        "SwitchRoot",
        "FinishRootRotation",
        "AbandonRootRotation",
        "RetireRoot",
        "DestroyRoot",
        "BackUpKeyStore",
        "RestoreKeyStore",
        "CreateAccount",
        "UpdateAccount",
        "SuspendAccount",
        "ActivateAccount",
        "MoveIdentities",
        "MoveIndex",
        "UpdateBucket",
        "CreateUser",
        "DeleteUser",
        "PutUserPolicy",
        "DeleteUserPolicy",
        "CreateAccessKey",
        "EnableAccessKey",
        "DisableAccessKey",
        "DeleteAccessKey",
        "ExportServiceKey",
        "RebuildIndex",
    }
)
"""Acts of commands. Any other name in the key store was put there by somebody else, and is told as UnknownAct: what
kmsd does by itself must not be told this way."""


async def tell_acts(core: Core) -> int:
    """Put every act that waits into the trail; how many. Raises AuditUnavailable, StoreUnavailable."""
    told = 0
    while core.recorder.is_recording and (acts := core.store.acts(BATCH)):
        if not await core.take_job("tell acts"):
            break
        for act in acts:
            await core.recorder.tell(act if act.name in NAMES else replace(act, name="UnknownAct"))
        await core.change(partial(core.store.remove_acts, acts), is_visible=False)
        told += len(acts)
    return told
