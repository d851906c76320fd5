"""Policies of users, groups and roles: those that are part of one, those that are attached, and permissions boundaries.

PutUserPolicy, PutGroupPolicy and PutRolePolicy differ in what they are about alone, and so do the others.
"""

from __future__ import annotations

from iam.entities import Entity, EntityKind, Group, Role, User
from iam.face.call import Call, Document
from iam.face.errors import no_such_entity
from iam.face.identities import boundary_key, encoded, permitted, policy_arn, policy_position
from iam.face.paging import page
from iam.face.translate import malformed, no_such_boundary, not_attachable
from iam.managed_policies import ManagedPolicy
from iam.policy.errors import PolicyError
from iam.policy.variables import Context
from iam.principals import PolicyText
from iam.store.interface import NoSuchManagedPolicy

_NOTHING: Context = {}


class EntityPolicies:
    """The operations for one kind of entity."""

    def __init__(self, kind: EntityKind) -> None:
        self._kind = kind
        self._title = kind.title()

    def put(self, call: Call) -> None:
        """In force for every request that comes after the answer, in every process."""
        entity = self._permitted(call, "Put{}Policy")
        policy = PolicyText(call.request.text("PolicyName"), call.request.text("PolicyDocument"))
        try:
            call.store.put_inline_policy(entity, policy)
        except PolicyError as error:
            raise malformed(error) from error

    def get(self, call: Call) -> Document:
        entity = self._permitted(call, "Get{}Policy")
        name = call.request.text("PolicyName")
        for policy in call.store.inline_policies(entity):
            if policy.name == name:
                return {f"{self._title}Name": entity.name, "PolicyName": name, "PolicyDocument": encoded(policy.text)}
        raise no_such_entity(f"{self._kind} policy", name)

    def list(self, call: Call) -> Document:
        entity = self._permitted(call, "List{}Policies")
        names = (policy.name for policy in call.store.inline_policies(entity))
        return page(call.request, "PolicyNames", names, lambda name: name, lambda name: name)

    def delete(self, call: Call) -> None:
        entity = self._permitted(call, "Delete{}Policy")
        call.store.delete_inline_policy(entity, call.request.text("PolicyName"))

    def attach(self, call: Call) -> None:
        arn = policy_arn(call, "PolicyArn", refused_with="ValidationError")
        entity = self._permitted(call, "Attach{}Policy", {"iam:policyarn": (arn,)})
        try:
            call.store.attach_policy(entity, arn)
        except NoSuchManagedPolicy as error:
            raise not_attachable(arn) from error

    def detach(self, call: Call) -> None:
        arn = policy_arn(call, "PolicyArn", refused_with="ValidationError")
        entity = self._permitted(call, "Detach{}Policy", {"iam:policyarn": (arn,)})
        call.store.detach_policy(entity, arn)

    def list_attached(self, call: Call) -> Document:
        entity = self._permitted(call, "ListAttached{}Policies")
        prefix = call.request.text_or_none("PathPrefix") or "/"
        told = (policy for policy in call.store.attached_policies(entity) if policy.path.startswith(prefix))
        return page(call.request, "AttachedPolicies", told, policy_position, attached_document)

    def put_boundary(self, call: Call) -> None:
        """Groups have none."""
        arn = policy_arn(call, "PermissionsBoundary")
        entity = _bounded(self._permitted(call, "Put{}PermissionsBoundary", boundary_key(arn)))
        try:
            call.store.set_boundary(entity, arn)
        except NoSuchManagedPolicy as error:
            raise no_such_boundary(arn) from error

    def delete_boundary(self, call: Call) -> None:
        call.store.set_boundary(_bounded(self._permitted(call, "Delete{}PermissionsBoundary")), None)

    def _permitted(self, call: Call, operation: str, keys: Context = _NOTHING) -> Entity:
        return permitted(call, self._kind, f"iam:{operation.format(self._title)}", keys)


def _bounded(entity: Entity) -> User | Role:
    assert not isinstance(entity, Group)
    return entity


def attached_document(policy: ManagedPolicy) -> Document:
    return {"PolicyName": policy.name, "PolicyArn": policy.arn}
