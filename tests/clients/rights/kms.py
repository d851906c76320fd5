"""The KMS: the requests of `kms_operations`, each of which succeeds, with what is declared filled in."""

from __future__ import annotations

from kms.face.rights import RIGHTS
from tests.clients.kms_operations.table import CASES as REQUESTS
from tests.clients.kms_operations.world import OTHER_REGION
from tests.clients.rights.case import Case, Need, Prepared, method_of
from tests.clients.rights.world import World

_READS = {
    "Decrypt",
    "DeriveSharedSecret",
    "Encrypt",
    "GetParametersForImport",
    "ReEncrypt",
    "Sign",
    "Verify",
    "VerifyMac",
    *(name for name in REQUESTS if name.startswith(("Describe", "Generate", "Get", "List"))),
}
_IDLE = {"DisableKeyRotation", "EnableKey", "PutKeyPolicy", "UntagResource"}
"""What the requests of the table ask for is so already."""


def _case(operation: str) -> Case:
    def prepare(world: World) -> Prepared:
        request = REQUESTS[operation]
        key = world.keys.key(request.kind)
        parameters = request.request(world.keys, key)
        own = parameters[request.key_member] if request.key_member else key
        alias = parameters.get("AliasName", "")
        places = {
            ("key", ""): own,
            ("key", "the source"): parameters.get("SourceKeyId", ""),
            ("key", "the key so far"): _target(world, alias),
            ("key", "the replica"): own.replace(":us-east-1:", f":{OTHER_REGION}:"),
            ("key", "the new one"): world.arn("kms", "key/*"),
            ("key", "the new one, in its region"): world.arn("kms", "key/*", OTHER_REGION),
            ("alias", ""): world.arn("kms", alias),
            ("*", ""): "*",
        }
        needs: list[Need] = [(right.action, places[right.on, right.of]) for right in RIGHTS[operation]]
        return Prepared(
            ask=lambda clients: method_of(clients("kms"), operation)(**parameters),
            needs=needs,
            observe=None if operation in _READS else world.state_of_kms(key),
            is_idle=operation in _IDLE,
        )

    return Case(service="kms", operation=operation, prepare=prepare)


def _target(world: World, alias: str) -> str:
    """The ARN of the key that an alias names, empty where there is none."""
    for page in world.kms.get_paginator("list_aliases").paginate() if alias else ():
        for each in page["Aliases"]:
            if each["AliasName"] == alias:
                return world.arn("kms", f"key/{each['TargetKeyId']}")
    return ""


CASES = [_case(operation) for operation in REQUESTS]
