"""What each operation of the KMS may ask for. The service asks; tests hold what it asks for against this.

Sources: Developer Guide, "AWS KMS permissions"; API Reference, "Required permissions" of each operation.
"""

from __future__ import annotations

from collections.abc import Mapping

from iam.rights import ANY, Right
from kms.face.table import OPERATIONS

_OWN_NAME_ON = {
    "CreateAlias": "alias",
    "CreateKey": ANY,
    "DeleteAlias": "alias",
    "GenerateRandom": ANY,
    "ListAliases": ANY,
    "ListKeys": ANY,
    "UpdateAlias": "alias",
}
"""What the action of the operation's own name is asked for on, where it is no key."""

_UNLIKE_THEIR_NAME: Mapping[str, tuple[Right, ...]] = {
    "ListRetirableGrants": (Right("kms:ListRetirableGrants", ANY, of="the retiring principal"),),
    "ReEncrypt": (Right("kms:ReEncryptFrom", "key", of="the source"), Right("kms:ReEncryptTo", "key")),
}

_REPLICA = "the replica"

_MORE: Mapping[str, tuple[Right, ...]] = {
    "CreateAlias": (Right("kms:CreateAlias", "key"),),
    "CreateKey": (Right("kms:TagResource", "key", of="every one", when="tags"),),
    "DeleteAlias": (Right("kms:DeleteAlias", "key"),),
    "ReplicateKey": (Right("kms:CreateKey", ANY), Right("kms:TagResource", "key", of=_REPLICA, when="tags")),
    "UpdateAlias": (Right("kms:UpdateAlias", "key"), Right("kms:UpdateAlias", "key", of="the key so far")),
    "UpdatePrimaryRegion": (Right("kms:UpdatePrimaryRegion", "key", of=_REPLICA),),
}


def _rights(name: str) -> tuple[Right, ...]:
    own = _UNLIKE_THEIR_NAME.get(name, (Right(f"kms:{name}", _OWN_NAME_ON.get(name, "key")),))
    return (*own, *_MORE.get(name, ()))


RIGHTS: Mapping[str, tuple[Right, ...]] = {
    name: _rights(name) for name, handler in OPERATIONS.items() if handler is not None
}
"""A row for each operation that is served."""
