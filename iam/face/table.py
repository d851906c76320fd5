"""The table of operations: which of IAM's and STS's are served, and by what."""

from __future__ import annotations

from collections.abc import Mapping

from iam.entities import EntityKind
from iam.face.call import Handler
from iam.face.operations import absent, access_keys, groups, own_sessions, policies, roles, sts, users
from iam.face.operations.entity_policies import EntityPolicies
from iam.face.operations.entity_tags import EntityTags

_GROUP_POLICIES = EntityPolicies(EntityKind.GROUP)
_ROLE_POLICIES, _USER_POLICIES = EntityPolicies(EntityKind.ROLE), EntityPolicies(EntityKind.USER)
_ROLE_TAGS, _USER_TAGS = EntityTags(EntityKind.ROLE), EntityTags(EntityKind.USER)

SERVED: Mapping[str, Mapping[str, Handler]] = {
    "iam": {
        "AddUserToGroup": groups.add_user_to_group,
        "AttachGroupPolicy": _GROUP_POLICIES.attach,
        "AttachRolePolicy": _ROLE_POLICIES.attach,
        "AttachUserPolicy": _USER_POLICIES.attach,
        "CreateAccessKey": access_keys.create_access_key,
        "CreateGroup": groups.create_group,
        "CreatePolicy": policies.create_policy,
        "CreatePolicyVersion": policies.create_policy_version,
        "CreateRole": roles.create_role,
        "CreateUser": users.create_user,
        "DeleteAccessKey": access_keys.delete_access_key,
        "DeleteGroup": groups.delete_group,
        "DeleteGroupPolicy": _GROUP_POLICIES.delete,
        "DeleteLoginProfile": absent.delete_login_profile,
        "DeletePolicy": policies.delete_policy,
        "DeletePolicyVersion": policies.delete_policy_version,
        "DeleteRole": roles.delete_role,
        "DeleteRolePermissionsBoundary": _ROLE_POLICIES.delete_boundary,
        "DeleteRolePolicy": _ROLE_POLICIES.delete,
        "DeleteUser": users.delete_user,
        "DeleteUserPermissionsBoundary": _USER_POLICIES.delete_boundary,
        "DeleteUserPolicy": _USER_POLICIES.delete,
        "DetachGroupPolicy": _GROUP_POLICIES.detach,
        "DetachRolePolicy": _ROLE_POLICIES.detach,
        "DetachUserPolicy": _USER_POLICIES.detach,
        "GetAccessKeyLastUsed": access_keys.get_access_key_last_used,
        "GetGroup": groups.get_group,
        "GetGroupPolicy": _GROUP_POLICIES.get,
        "GetInstanceProfile": absent.get_instance_profile,
        "GetLoginProfile": absent.get_login_profile,
        "GetPolicy": policies.get_policy,
        "GetPolicyVersion": policies.get_policy_version,
        "GetRole": roles.get_role,
        "GetRolePolicy": _ROLE_POLICIES.get,
        "GetUser": users.get_user,
        "GetUserPolicy": _USER_POLICIES.get,
        "ListAccessKeys": access_keys.list_access_keys,
        "ListAttachedGroupPolicies": _GROUP_POLICIES.list_attached,
        "ListAttachedRolePolicies": _ROLE_POLICIES.list_attached,
        "ListAttachedUserPolicies": _USER_POLICIES.list_attached,
        "ListEntitiesForPolicy": policies.list_entities_for_policy,
        "ListGroupPolicies": _GROUP_POLICIES.list,
        "ListGroups": groups.list_groups,
        "ListGroupsForUser": groups.list_groups_for_user,
        "ListInstanceProfiles": absent.none_of_account("ListInstanceProfiles", "InstanceProfiles", "instance-profile"),
        "ListInstanceProfilesForRole": absent.list_instance_profiles_for_role,
        "ListMFADevices": absent.none_of_user("ListMFADevices", "MFADevices"),
        "ListPolicies": policies.list_policies,
        "ListPolicyTags": policies.list_policy_tags,
        "ListPolicyVersions": policies.list_policy_versions,
        "ListRolePolicies": _ROLE_POLICIES.list,
        "ListRoleTags": _ROLE_TAGS.list,
        "ListRoles": roles.list_roles,
        "ListSAMLProviders": absent.list_saml_providers,
        "ListSSHPublicKeys": absent.none_of_user("ListSSHPublicKeys", "SSHPublicKeys"),
        "ListServerCertificates": absent.none_of_account(
            "ListServerCertificates", "ServerCertificateMetadataList", "server-certificate"
        ),
        "ListServiceSpecificCredentials": absent.list_service_specific_credentials,
        "ListSigningCertificates": absent.none_of_user("ListSigningCertificates", "Certificates"),
        "ListUserPolicies": _USER_POLICIES.list,
        "ListUserTags": _USER_TAGS.list,
        "ListUsers": users.list_users,
        "ListVirtualMFADevices": absent.none_of_account("ListVirtualMFADevices", "VirtualMFADevices", "mfa"),
        "PutGroupPolicy": _GROUP_POLICIES.put,
        "PutRolePermissionsBoundary": _ROLE_POLICIES.put_boundary,
        "PutRolePolicy": _ROLE_POLICIES.put,
        "PutUserPermissionsBoundary": _USER_POLICIES.put_boundary,
        "PutUserPolicy": _USER_POLICIES.put,
        "RemoveUserFromGroup": groups.remove_user_from_group,
        "SetDefaultPolicyVersion": policies.set_default_policy_version,
        "TagPolicy": policies.tag_policy,
        "TagRole": _ROLE_TAGS.tag,
        "TagUser": _USER_TAGS.tag,
        "UntagPolicy": policies.untag_policy,
        "UntagRole": _ROLE_TAGS.untag,
        "UntagUser": _USER_TAGS.untag,
        "UpdateAccessKey": access_keys.update_access_key,
        "UpdateAssumeRolePolicy": roles.update_assume_role_policy,
        "UpdateGroup": groups.update_group,
        "UpdateRole": roles.update_role,
        "UpdateRoleDescription": roles.update_role_description,
        "UpdateUser": users.update_user,
    },
    "sts": {
        "DecodeAuthorizationMessage": sts.decode_authorization_message,
        "GetAccessKeyInfo": sts.get_access_key_info,
        "GetCallerIdentity": sts.get_caller_identity,
        "GetFederationToken": own_sessions.get_federation_token,
        "GetSessionToken": own_sessions.get_session_token,
    },
}
"""By the service's name, then the operation's. A new one needs `python -m tests.iam.face.generate_models`."""
