"""The KMS: the requests of `kms_operations`, each of which succeeds, with what is declared filled in."""

from __future__ import annotations

from typing import Any

from kms.face.rights import RIGHTS
from tests.clients.kms_operations.table import CASES as REQUESTS
from tests.clients.kms_operations.world import OTHER_REGION
from tests.clients.rights.case import Case, Need, Prepared, method_of
from tests.clients.rights.world import World
from tests.harness import REGION

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


def _case(operation: str, variant: str = "", **more: Any) -> Case:
    """`more` is what the request says besides, or differently."""

    def prepare(world: World) -> Prepared:
        request = REQUESTS[operation]
        key = world.keys.key(request.kind)
        parameters = {**request.request(world.keys, key), **more}
        if "RetiringPrincipal" in parameters:  # one that a policy can name as a resource, as it cannot the root user
            parameters["RetiringPrincipal"] = world.entity_arn("user", "retirer")
        own = parameters[request.key_member] if request.key_member else key
        alias = parameters.get("AliasName", "")
        places = {
            ("key", ""): own,
            ("key", "the source"): parameters.get("SourceKeyId", ""),
            ("key", "the key so far"): _target(world, alias),
            ("key", "the replica"): own.replace(f":{REGION}:", f":{OTHER_REGION}:"),
            ("key", "every one"): world.arn("kms", "key/*"),
            ("*", "the retiring principal"): parameters.get("RetiringPrincipal", ""),
            ("alias", ""): world.arn("kms", alias),
            ("*", ""): "*",
        }
        asked = [right for right in RIGHTS[operation] if right.when != "tags" or parameters.get("Tags")]
        needs: list[Need] = [(right.action, places[right.on, right.of]) for right in asked]
        return Prepared(
            ask=lambda clients: method_of(clients("kms"), operation)(**parameters),
            needs=needs,
            observe=None if operation in _READS else world.state_of_kms(key),
            is_idle=operation in _IDLE,
        )

    return Case(service="kms", operation=operation, variant=variant, prepare=prepare)


def _target(world: World, alias: str) -> str:
    """The ARN of the key that an alias names, empty where there is none."""
    for page in world.kms.get_paginator("list_aliases").paginate() if alias else ():
        for each in page["Aliases"]:
            if each["AliasName"] == alias:
                return world.arn("kms", f"key/{each['TargetKeyId']}")
    return ""


CASES = [
    *map(_case, REQUESTS),
    _case("CreateKey", "no tags", Tags=[]),
    _case("ReplicateKey", "tags", Tags=[{"TagKey": "a", "TagValue": "b"}]),
]
