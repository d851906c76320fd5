"""Where an entity has its permissions from, and ListPoliciesGrantingServiceAccess. Source: IAM API Reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from iam.entities import Entity, User
from iam.face.call import Call, Document
from iam.face.identities import permitted_by_arn
from iam.face.paging import page
from iam.policy.text import grants_actions_of
from iam.store.interface import IdentityStore


@dataclass(frozen=True, slots=True)
class Source:
    """A policy in force for an entity: inline in `entity`, or managed, and then it has an ARN."""

    entity: Entity
    name: str
    text: str
    arn: str | None = None


def sources_of(store: IdentityStore, entity: Entity) -> Iterator[Source]:
    """All identity-based policies of an entity, and of a user's groups."""
    for policy in store.inline_policies(entity):
        yield Source(entity, policy.name, policy.text)
    for attached in store.attached_policies(entity):
        yield Source(entity, attached.name, default_text(store, entity.account_id, attached.arn), attached.arn)
    if isinstance(entity, User):
        for group in store.groups_of(entity):
            yield from sources_of(store, group)


def default_text(store: IdentityStore, account_id: str, arn: str) -> str:
    """The default version of a managed policy. Raises NoSuchManagedPolicy."""
    (text,) = [each.document for each in store.policy_versions(account_id, arn) if each.is_default]
    return text


def list_policies_granting_service_access(call: Call) -> Document:
    """For each service the policies that allow any of its actions on anything, whatever others deny."""
    entity = permitted_by_arn(call, "Arn", "iam:ListPoliciesGrantingServiceAccess")
    sources = [*sources_of(call.store, entity)]
    services = enumerate(call.request.texts("ServiceNamespaces"))
    numbered = [(f"{place:04}", service) for place, service in services]
    return page(
        call.request,
        "PoliciesGrantingServiceAccess",
        numbered,
        lambda each: each[0],
        lambda each: _granting(each[1], sources),
    )


def _granting(service: str, sources: list[Source]) -> Document:
    """A managed policy that comes by several ways is told once."""
    found = {each.arn or (each.entity.arn, each.name): each for each in sources}
    granting = [each for each in found.values() if grants_actions_of(service, each.text)]
    return {"ServiceNamespace": service, "Policies": [_policy(each) for each in granting]}


def _policy(source: Source) -> Document:
    if source.arn is not None:
        return {"PolicyName": source.name, "PolicyType": "MANAGED", "PolicyArn": source.arn}
    return {
        "PolicyName": source.name,
        "PolicyType": "INLINE",
        "EntityType": source.entity.kind.upper(),
        "EntityName": source.entity.name,
    }
