"""What each operation of IAM and STS may ask for. Handlers ask; tests hold what they ask for against this.

Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Identity and Access Management"
and "... for AWS Security Token Service".
"""

from __future__ import annotations

from collections.abc import Mapping

from iam.rights import ANY, Right

_ON = {
    "group": (
        "AddUserToGroup",
        "AttachGroupPolicy",
        "CreateGroup",
        "DeleteGroup",
        "DeleteGroupPolicy",
        "DetachGroupPolicy",
        "GetGroup",
        "GetGroupPolicy",
        "ListAttachedGroupPolicies",
        "ListGroupPolicies",
        "PutGroupPolicy",
        "RemoveUserFromGroup",
        "UpdateGroup",
    ),
    "instance-profile": ("GetInstanceProfile",),
    "oidc-provider": (
        "AddClientIDToOpenIDConnectProvider",
        "CreateOpenIDConnectProvider",
        "DeleteOpenIDConnectProvider",
        "GetOpenIDConnectProvider",
        "ListOpenIDConnectProviderTags",
        "RemoveClientIDFromOpenIDConnectProvider",
        "TagOpenIDConnectProvider",
        "UntagOpenIDConnectProvider",
        "UpdateOpenIDConnectProviderThumbprint",
    ),
    "policy": (
        "CreatePolicy",
        "CreatePolicyVersion",
        "DeletePolicy",
        "DeletePolicyVersion",
        "GetPolicy",
        "GetPolicyVersion",
        "ListEntitiesForPolicy",
        "ListPolicyTags",
        "ListPolicyVersions",
        "SetDefaultPolicyVersion",
        "TagPolicy",
        "UntagPolicy",
    ),
    "role": (
        "AttachRolePolicy",
        "CreateRole",
        "DeleteRole",
        "DeleteRolePermissionsBoundary",
        "DeleteRolePolicy",
        "DetachRolePolicy",
        "GetRole",
        "GetRolePolicy",
        "ListAttachedRolePolicies",
        "ListInstanceProfilesForRole",
        "ListRolePolicies",
        "ListRoleTags",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
        "TagRole",
        "UntagRole",
        "UpdateAssumeRolePolicy",
        "UpdateRole",
        "UpdateRoleDescription",
    ),
    "user": (
        "AttachUserPolicy",
        "CreateAccessKey",
        "CreateUser",
        "DeleteAccessKey",
        "DeleteLoginProfile",
        "DeleteUser",
        "DeleteUserPermissionsBoundary",
        "DeleteUserPolicy",
        "DetachUserPolicy",
        "GetAccessKeyLastUsed",
        "GetLoginProfile",
        "GetUser",
        "GetUserPolicy",
        "ListAccessKeys",
        "ListAttachedUserPolicies",
        "ListGroupsForUser",
        "ListMFADevices",
        "ListSSHPublicKeys",
        "ListServiceSpecificCredentials",
        "ListSigningCertificates",
        "ListUserPolicies",
        "ListUserTags",
        "PutUserPermissionsBoundary",
        "PutUserPolicy",
        "TagUser",
        "UntagUser",
        "UpdateAccessKey",
        "UpdateUser",
    ),
    ANY: (
        "CreateAccountAlias",
        "DeleteAccountAlias",
        "GenerateCredentialReport",
        "GetAccountAuthorizationDetails",
        "GetAccountPasswordPolicy",
        "GetAccountSummary",
        "GetContextKeysForCustomPolicy",
        "GetCredentialReport",
        "ListAccountAliases",
        "ListGroups",
        "ListInstanceProfiles",
        "ListOpenIDConnectProviders",
        "ListPolicies",
        "ListRoles",
        "ListSAMLProviders",
        "ListServerCertificates",
        "ListUsers",
        "ListVirtualMFADevices",
        "SimulateCustomPolicy",
    ),
}
"""Operations that ask for the action of their own name, by the kind of what they name."""

_MORE: Mapping[str, tuple[Right, ...]] = {
    "CreateOpenIDConnectProvider": (Right("iam:TagOpenIDConnectProvider", "oidc-provider", when="tags"),),
    "CreatePolicy": (Right("iam:TagPolicy", "policy", when="tags"),),
    "CreateRole": (Right("iam:TagRole", "role", when="tags"),),
    "CreateUser": (Right("iam:TagUser", "user", when="tags"),),
    "UpdateGroup": (Right("iam:UpdateGroup", "group", of="under its new name", when="it is renamed or moved"),),
    "UpdateUser": (Right("iam:UpdateUser", "user", of="under its new name", when="it is renamed or moved"),),
}

_OF_ENTITY = ("GetContextKeysForPrincipalPolicy", "ListPoliciesGrantingServiceAccess", "SimulatePrincipalPolicy")
"""Operations that name a user, a group or a role."""

RIGHTS: Mapping[str, Mapping[str, tuple[Right, ...]]] = {
    "iam": {name: (Right(f"iam:{name}", kind), *_MORE.get(name, ())) for kind, names in _ON.items() for name in names}
    | {name: (Right(f"iam:{name}", "user", of="the group or the role"),) for name in _OF_ENTITY},
    "organizations": {
        name: (Right(f"organizations:{name}", kind),)
        for kind, names in {
            "account": ("CloseAccount", "DescribeAccount", "ListParents", "ListTagsForResource"),
            ANY: (
                "CreateAccount",
                "DescribeCreateAccountStatus",
                "DescribeOrganization",
                "ListAccounts",
                "ListRoots",
            ),
        }.items()
        for name in names
    },
    "sts": {
        "AssumeRole": (
            Right("sts:AssumeRole", "role"),
            Right("sts:TagSession", "role", when="session tags are passed, or handed on by a session"),
            Right("sts:SetSourceIdentity", "role", when="a source identity is set, or handed on by a session"),
        ),
        "AssumeRoleWithWebIdentity": (
            Right("sts:AssumeRoleWithWebIdentity", "role"),
            Right("sts:TagSession", "role", when="the token has session tags"),
            Right("sts:SetSourceIdentity", "role", when="the token has a source identity"),
        ),
        "DecodeAuthorizationMessage": (Right("sts:DecodeAuthorizationMessage", ANY),),
        "GetAccessKeyInfo": (Right("sts:GetAccessKeyInfo", ANY),),
        "GetCallerIdentity": (),
        "GetFederationToken": (
            Right("sts:GetFederationToken", "federated-user"),
            Right("sts:TagSession", "federated-user", when="session tags are passed"),
        ),
        "GetSessionToken": (),
    },
}
"""By the service's name, then the operation's: a row for each that is served."""

ASKS_NOTHING: Mapping[str, str] = {
    "GetSessionToken": "gives what the caller has, and no policy can deny it (API Reference, GetSessionToken)",
    "GetCallerIdentity": "needs no permission, and no policy can deny it (API Reference, GetCallerIdentity)",
}
"""Why an operation has no right to ask for."""
