"""The table of operations: which of IAM's and STS's are served, and by what."""

from __future__ import annotations

from collections.abc import Mapping

from iam.face.call import Handler
from iam.face.operations import access_keys, policies, sts, user_policies, users

SERVED: Mapping[str, Mapping[str, Handler]] = {
    "iam": {
        "AttachUserPolicy": user_policies.attach_user_policy,
        "CreateAccessKey": access_keys.create_access_key,
        "CreatePolicy": policies.create_policy,
        "CreatePolicyVersion": policies.create_policy_version,
        "CreateUser": users.create_user,
        "DeleteAccessKey": access_keys.delete_access_key,
        "DeletePolicy": policies.delete_policy,
        "DeletePolicyVersion": policies.delete_policy_version,
        "DeleteUser": users.delete_user,
        "DeleteUserPermissionsBoundary": user_policies.delete_user_permissions_boundary,
        "DeleteUserPolicy": user_policies.delete_user_policy,
        "DetachUserPolicy": user_policies.detach_user_policy,
        "GetAccessKeyLastUsed": access_keys.get_access_key_last_used,
        "GetPolicy": policies.get_policy,
        "GetPolicyVersion": policies.get_policy_version,
        "GetUser": users.get_user,
        "GetUserPolicy": user_policies.get_user_policy,
        "ListAccessKeys": access_keys.list_access_keys,
        "ListAttachedUserPolicies": user_policies.list_attached_user_policies,
        "ListEntitiesForPolicy": policies.list_entities_for_policy,
        "ListPolicies": policies.list_policies,
        "ListPolicyTags": policies.list_policy_tags,
        "ListPolicyVersions": policies.list_policy_versions,
        "ListUserPolicies": user_policies.list_user_policies,
        "ListUserTags": users.list_user_tags,
        "ListUsers": users.list_users,
        "PutUserPermissionsBoundary": user_policies.put_user_permissions_boundary,
        "PutUserPolicy": user_policies.put_user_policy,
        "SetDefaultPolicyVersion": policies.set_default_policy_version,
        "TagPolicy": policies.tag_policy,
        "TagUser": users.tag_user,
        "UntagPolicy": policies.untag_policy,
        "UntagUser": users.untag_user,
        "UpdateAccessKey": access_keys.update_access_key,
        "UpdateUser": users.update_user,
    },
    "sts": {"GetCallerIdentity": sts.get_caller_identity},
}
"""By the service's name, then the operation's. A new one needs `python -m tests.iam.face.generate_models`."""
