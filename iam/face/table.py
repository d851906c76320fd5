"""The table of operations: which of IAM's and STS's are served, and by what."""

from __future__ import annotations

from collections.abc import Mapping

from iam.entities import EntityKind
from iam.face.call import Handler
from iam.face.operations import access_keys, policies, roles, sts, users
from iam.face.operations.entity_policies import EntityPolicies
from iam.face.operations.entity_tags import EntityTags

_ROLE_POLICIES, _USER_POLICIES = EntityPolicies(EntityKind.ROLE), EntityPolicies(EntityKind.USER)
_ROLE_TAGS, _USER_TAGS = EntityTags(EntityKind.ROLE), EntityTags(EntityKind.USER)

SERVED: Mapping[str, Mapping[str, Handler]] = {
    "iam": {
        "AttachRolePolicy": _ROLE_POLICIES.attach,
        "AttachUserPolicy": _USER_POLICIES.attach,
        "CreateAccessKey": access_keys.create_access_key,
        "CreatePolicy": policies.create_policy,
        "CreatePolicyVersion": policies.create_policy_version,
        "CreateRole": roles.create_role,
        "CreateUser": users.create_user,
        "DeleteAccessKey": access_keys.delete_access_key,
        "DeletePolicy": policies.delete_policy,
        "DeletePolicyVersion": policies.delete_policy_version,
        "DeleteRole": roles.delete_role,
        "DeleteRolePermissionsBoundary": _ROLE_POLICIES.delete_boundary,
        "DeleteRolePolicy": _ROLE_POLICIES.delete,
        "DeleteUser": users.delete_user,
        "DeleteUserPermissionsBoundary": _USER_POLICIES.delete_boundary,
        "DeleteUserPolicy": _USER_POLICIES.delete,
        "DetachRolePolicy": _ROLE_POLICIES.detach,
        "DetachUserPolicy": _USER_POLICIES.detach,
        "GetAccessKeyLastUsed": access_keys.get_access_key_last_used,
        "GetPolicy": policies.get_policy,
        "GetPolicyVersion": policies.get_policy_version,
        "GetRole": roles.get_role,
        "GetRolePolicy": _ROLE_POLICIES.get,
        "GetUser": users.get_user,
        "GetUserPolicy": _USER_POLICIES.get,
        "ListAccessKeys": access_keys.list_access_keys,
        "ListAttachedRolePolicies": _ROLE_POLICIES.list_attached,
        "ListAttachedUserPolicies": _USER_POLICIES.list_attached,
        "ListEntitiesForPolicy": policies.list_entities_for_policy,
        "ListPolicies": policies.list_policies,
        "ListPolicyTags": policies.list_policy_tags,
        "ListPolicyVersions": policies.list_policy_versions,
        "ListRolePolicies": _ROLE_POLICIES.list,
        "ListRoleTags": _ROLE_TAGS.list,
        "ListRoles": roles.list_roles,
        "ListUserPolicies": _USER_POLICIES.list,
        "ListUserTags": _USER_TAGS.list,
        "ListUsers": users.list_users,
        "PutRolePermissionsBoundary": _ROLE_POLICIES.put_boundary,
        "PutRolePolicy": _ROLE_POLICIES.put,
        "PutUserPermissionsBoundary": _USER_POLICIES.put_boundary,
        "PutUserPolicy": _USER_POLICIES.put,
        "SetDefaultPolicyVersion": policies.set_default_policy_version,
        "TagPolicy": policies.tag_policy,
        "TagRole": _ROLE_TAGS.tag,
        "TagUser": _USER_TAGS.tag,
        "UntagPolicy": policies.untag_policy,
        "UntagRole": _ROLE_TAGS.untag,
        "UntagUser": _USER_TAGS.untag,
        "UpdateAccessKey": access_keys.update_access_key,
        "UpdateAssumeRolePolicy": roles.update_assume_role_policy,
        "UpdateRole": roles.update_role,
        "UpdateRoleDescription": roles.update_role_description,
        "UpdateUser": users.update_user,
    },
    "sts": {"GetCallerIdentity": sts.get_caller_identity},
}
"""By the service's name, then the operation's. A new one needs `python -m tests.iam.face.generate_models`."""
