"""An ACL as a resource-based policy, so that the one evaluator decides by it.

S3 User Guide, "Access control list (ACL) overview", "Mapping of ACL permissions and access policy permissions".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.protocol.acl import Grant, Group, Permission
from iam.policy.document import ALL_RESOURCES, ActionSet, Effect, Policy, Statement
from iam.policy.evaluation import NamedPolicy
from iam.policy.match import PatternSet
from iam.policy.parse import VERSION
from iam.policy.principals import PrincipalSet

_OF_BUCKETS: Mapping[Permission, frozenset[str]] = {
    Permission.READ: frozenset({"s3:listbucket", "s3:listbucketversions", "s3:listbucketmultipartuploads"}),
    Permission.WRITE: frozenset({"s3:putobject", "s3:deleteobject"}),
    Permission.READ_ACP: frozenset({"s3:getbucketacl"}),
    Permission.WRITE_ACP: frozenset({"s3:putbucketacl"}),
}
_OF_OBJECTS: Mapping[Permission, frozenset[str]] = {
    Permission.READ: frozenset({"s3:getobject", "s3:getobjectversion"}),
    Permission.READ_ACP: frozenset({"s3:getobjectacl", "s3:getobjectversionacl"}),
    Permission.WRITE_ACP: frozenset({"s3:putobjectacl", "s3:putobjectversionacl"}),
}


def bucket_acl_policy(grants: Iterable[Grant], *, is_anonymous: bool) -> NamedPolicy:
    """What the grants of a bucket's ACL allow a caller; `is_anonymous`: nobody signed the request."""
    return _policy("bucket ACL", grants, _OF_BUCKETS, is_anonymous=is_anonymous)


def object_acl_policy(grants: Iterable[Grant], *, is_anonymous: bool) -> NamedPolicy:
    """The same of an object's ACL."""
    return _policy("object ACL", grants, _OF_OBJECTS, is_anonymous=is_anonymous)


def _policy(
    name: str, grants: Iterable[Grant], actions: Mapping[Permission, frozenset[str]], *, is_anonymous: bool
) -> NamedPolicy:
    statements = tuple(
        Statement(
            number=number,
            sid=f"grant {number}: {grant.permission.value} to {grant.grantee.rpartition('/')[2]}",
            effect=Effect.ALLOW,
            principals=_grantee(grant.grantee, is_anonymous=is_anonymous),
            is_not_principal=False,
            actions=ActionSet(PatternSet(_granted(grant.permission, actions))),
            resources=ALL_RESOURCES,
            conditions=(),
        )
        for number, grant in enumerate(grants, start=1)
    )
    return NamedPolicy(name, Policy(VERSION, None, allows=statements, denies=(), condition_keys=frozenset()))


def _granted(permission: Permission, actions: Mapping[Permission, frozenset[str]]) -> frozenset[str]:
    if permission is Permission.FULL_CONTROL:
        return frozenset().union(*actions.values())
    return actions.get(permission, frozenset())


def _grantee(grantee: str, *, is_anonymous: bool) -> PrincipalSet:
    """Whom a grant is about: an account by its canonical id, or one of the groups."""
    if grantee == Group.ALL_USERS or (grantee == Group.AUTHENTICATED_USERS and not is_anonymous):
        return PrincipalSet(is_anyone=True)
    return PrincipalSet(canonical_ids=frozenset({grantee}))
