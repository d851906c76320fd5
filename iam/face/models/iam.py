"""Operations of the AWS IAM API and the shapes of the requests that are served.

Made by tests/iam/face/generate_models.py from botocore's model (API version 2010-05-08); not edited by hand.
"""

from __future__ import annotations

from iam.face.shapes import Kind, Model, Shape

_OPERATIONS = (
    "AcceptDelegationRequest",
    "AcquireRole",
    "AddClientIDToOpenIDConnectProvider",
    "AddRoleToInstanceProfile",
    "AddUserToGroup",
    "AssociateDelegationRequest",
    "AttachGroupPolicy",
    "AttachRolePolicy",
    "AttachUserPolicy",
    "ChangePassword",
    "CreateAccessKey",
    "CreateAccountAlias",
    "CreateDelegationRequest",
    "CreateGroup",
    "CreateInstanceProfile",
    "CreateLoginProfile",
    "CreateOpenIDConnectProvider",
    "CreatePolicy",
    "CreatePolicyVersion",
    "CreateRole",
    "CreateSAMLProvider",
    "CreateServiceLinkedRole",
    "CreateServiceSpecificCredential",
    "CreateUser",
    "CreateVirtualMFADevice",
    "DeactivateMFADevice",
    "DeleteAccessKey",
    "DeleteAccountAlias",
    "DeleteAccountPasswordPolicy",
    "DeleteGroup",
    "DeleteGroupPolicy",
    "DeleteInstanceProfile",
    "DeleteLoginProfile",
    "DeleteOpenIDConnectProvider",
    "DeletePolicy",
    "DeletePolicyVersion",
    "DeleteRole",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DeleteSAMLProvider",
    "DeleteSSHPublicKey",
    "DeleteServerCertificate",
    "DeleteServiceLinkedRole",
    "DeleteServiceSpecificCredential",
    "DeleteSigningCertificate",
    "DeleteUser",
    "DeleteUserPermissionsBoundary",
    "DeleteUserPolicy",
    "DeleteVirtualMFADevice",
    "DetachGroupPolicy",
    "DetachRolePolicy",
    "DetachUserPolicy",
    "DisableOrganizationsRootCredentialsManagement",
    "DisableOrganizationsRootSessions",
    "DisableOutboundWebIdentityFederation",
    "EnableMFADevice",
    "EnableOrganizationsRootCredentialsManagement",
    "EnableOrganizationsRootSessions",
    "EnableOutboundWebIdentityFederation",
    "GenerateCredentialReport",
    "GenerateOrganizationsAccessReport",
    "GenerateServiceLastAccessedDetails",
    "GetAccessKeyLastUsed",
    "GetAccountAuthorizationDetails",
    "GetAccountPasswordPolicy",
    "GetAccountProperties",
    "GetAccountSummary",
    "GetContextKeysForCustomPolicy",
    "GetContextKeysForPrincipalPolicy",
    "GetCredentialReport",
    "GetDelegationRequest",
    "GetGroup",
    "GetGroupPolicy",
    "GetHumanReadableSummary",
    "GetInstanceProfile",
    "GetLoginProfile",
    "GetMFADevice",
    "GetOpenIDConnectProvider",
    "GetOrganizationsAccessReport",
    "GetOutboundWebIdentityFederationInfo",
    "GetPolicy",
    "GetPolicyVersion",
    "GetRole",
    "GetRolePolicy",
    "GetRoleTemplateVersion",
    "GetSAMLProvider",
    "GetSSHPublicKey",
    "GetServerCertificate",
    "GetServiceLastAccessedDetails",
    "GetServiceLastAccessedDetailsWithEntities",
    "GetServiceLinkedRoleDeletionStatus",
    "GetUser",
    "GetUserPolicy",
    "ListAccessKeys",
    "ListAccountAliases",
    "ListAttachedGroupPolicies",
    "ListAttachedRolePolicies",
    "ListAttachedUserPolicies",
    "ListDelegationRequests",
    "ListEntitiesForPolicy",
    "ListGroupPolicies",
    "ListGroups",
    "ListGroupsForUser",
    "ListInstanceProfileTags",
    "ListInstanceProfiles",
    "ListInstanceProfilesForRole",
    "ListMFADeviceTags",
    "ListMFADevices",
    "ListOpenIDConnectProviderTags",
    "ListOpenIDConnectProviders",
    "ListOrganizationsFeatures",
    "ListPolicies",
    "ListPoliciesGrantingServiceAccess",
    "ListPolicyTags",
    "ListPolicyVersions",
    "ListRolePolicies",
    "ListRoleTags",
    "ListRoles",
    "ListSAMLProviderTags",
    "ListSAMLProviders",
    "ListSSHPublicKeys",
    "ListServerCertificateTags",
    "ListServerCertificates",
    "ListServiceSpecificCredentials",
    "ListSigningCertificates",
    "ListUserPolicies",
    "ListUserTags",
    "ListUsers",
    "ListVirtualMFADevices",
    "PutAccountProperties",
    "PutGroupPolicy",
    "PutRolePermissionsBoundary",
    "PutRolePolicy",
    "PutUserPermissionsBoundary",
    "PutUserPolicy",
    "RejectDelegationRequest",
    "RemoveClientIDFromOpenIDConnectProvider",
    "RemoveRoleFromInstanceProfile",
    "RemoveUserFromGroup",
    "ResetServiceSpecificCredential",
    "ResyncMFADevice",
    "SendDelegationToken",
    "SetDefaultPolicyVersion",
    "SetSecurityTokenServicePreferences",
    "SimulateCustomPolicy",
    "SimulatePrincipalPolicy",
    "TagInstanceProfile",
    "TagMFADevice",
    "TagOpenIDConnectProvider",
    "TagPolicy",
    "TagRole",
    "TagSAMLProvider",
    "TagServerCertificate",
    "TagUser",
    "UntagInstanceProfile",
    "UntagMFADevice",
    "UntagOpenIDConnectProvider",
    "UntagPolicy",
    "UntagRole",
    "UntagSAMLProvider",
    "UntagServerCertificate",
    "UntagUser",
    "UpdateAccessKey",
    "UpdateAccountPasswordPolicy",
    "UpdateAssumeRolePolicy",
    "UpdateDelegationRequest",
    "UpdateGroup",
    "UpdateLoginProfile",
    "UpdateOpenIDConnectProvider",
    "UpdateOpenIDConnectProviderThumbprint",
    "UpdateRole",
    "UpdateRoleDescription",
    "UpdateSAMLProvider",
    "UpdateSSHPublicKey",
    "UpdateServerCertificate",
    "UpdateServiceSpecificCredential",
    "UpdateSigningCertificate",
    "UpdateUser",
    "UploadSSHPublicKey",
    "UploadServerCertificate",
    "UploadSigningCertificate",
)

_INPUTS: dict[str, str] = {
    "AddClientIDToOpenIDConnectProvider": "AddClientIDToOpenIDConnectProviderRequest",
    "AddUserToGroup": "AddUserToGroupRequest",
    "AttachGroupPolicy": "AttachGroupPolicyRequest",
    "AttachRolePolicy": "AttachRolePolicyRequest",
    "AttachUserPolicy": "AttachUserPolicyRequest",
    "CreateAccessKey": "CreateAccessKeyRequest",
    "CreateAccountAlias": "CreateAccountAliasRequest",
    "CreateGroup": "CreateGroupRequest",
    "CreateOpenIDConnectProvider": "CreateOpenIDConnectProviderRequest",
    "CreatePolicy": "CreatePolicyRequest",
    "CreatePolicyVersion": "CreatePolicyVersionRequest",
    "CreateRole": "CreateRoleRequest",
    "CreateUser": "CreateUserRequest",
    "DeleteAccessKey": "DeleteAccessKeyRequest",
    "DeleteAccountAlias": "DeleteAccountAliasRequest",
    "DeleteGroup": "DeleteGroupRequest",
    "DeleteGroupPolicy": "DeleteGroupPolicyRequest",
    "DeleteLoginProfile": "DeleteLoginProfileRequest",
    "DeleteOpenIDConnectProvider": "DeleteOpenIDConnectProviderRequest",
    "DeletePolicy": "DeletePolicyRequest",
    "DeletePolicyVersion": "DeletePolicyVersionRequest",
    "DeleteRole": "DeleteRoleRequest",
    "DeleteRolePermissionsBoundary": "DeleteRolePermissionsBoundaryRequest",
    "DeleteRolePolicy": "DeleteRolePolicyRequest",
    "DeleteUser": "DeleteUserRequest",
    "DeleteUserPermissionsBoundary": "DeleteUserPermissionsBoundaryRequest",
    "DeleteUserPolicy": "DeleteUserPolicyRequest",
    "DetachGroupPolicy": "DetachGroupPolicyRequest",
    "DetachRolePolicy": "DetachRolePolicyRequest",
    "DetachUserPolicy": "DetachUserPolicyRequest",
    "GetAccessKeyLastUsed": "GetAccessKeyLastUsedRequest",
    "GetAccountAuthorizationDetails": "GetAccountAuthorizationDetailsRequest",
    "GetContextKeysForCustomPolicy": "GetContextKeysForCustomPolicyRequest",
    "GetContextKeysForPrincipalPolicy": "GetContextKeysForPrincipalPolicyRequest",
    "GetGroup": "GetGroupRequest",
    "GetGroupPolicy": "GetGroupPolicyRequest",
    "GetInstanceProfile": "GetInstanceProfileRequest",
    "GetLoginProfile": "GetLoginProfileRequest",
    "GetOpenIDConnectProvider": "GetOpenIDConnectProviderRequest",
    "GetPolicy": "GetPolicyRequest",
    "GetPolicyVersion": "GetPolicyVersionRequest",
    "GetRole": "GetRoleRequest",
    "GetRolePolicy": "GetRolePolicyRequest",
    "GetUser": "GetUserRequest",
    "GetUserPolicy": "GetUserPolicyRequest",
    "ListAccessKeys": "ListAccessKeysRequest",
    "ListAccountAliases": "ListAccountAliasesRequest",
    "ListAttachedGroupPolicies": "ListAttachedGroupPoliciesRequest",
    "ListAttachedRolePolicies": "ListAttachedRolePoliciesRequest",
    "ListAttachedUserPolicies": "ListAttachedUserPoliciesRequest",
    "ListEntitiesForPolicy": "ListEntitiesForPolicyRequest",
    "ListGroupPolicies": "ListGroupPoliciesRequest",
    "ListGroups": "ListGroupsRequest",
    "ListGroupsForUser": "ListGroupsForUserRequest",
    "ListInstanceProfiles": "ListInstanceProfilesRequest",
    "ListInstanceProfilesForRole": "ListInstanceProfilesForRoleRequest",
    "ListMFADevices": "ListMFADevicesRequest",
    "ListOpenIDConnectProviderTags": "ListOpenIDConnectProviderTagsRequest",
    "ListOpenIDConnectProviders": "ListOpenIDConnectProvidersRequest",
    "ListPolicies": "ListPoliciesRequest",
    "ListPoliciesGrantingServiceAccess": "ListPoliciesGrantingServiceAccessRequest",
    "ListPolicyTags": "ListPolicyTagsRequest",
    "ListPolicyVersions": "ListPolicyVersionsRequest",
    "ListRolePolicies": "ListRolePoliciesRequest",
    "ListRoleTags": "ListRoleTagsRequest",
    "ListRoles": "ListRolesRequest",
    "ListSAMLProviders": "ListSAMLProvidersRequest",
    "ListSSHPublicKeys": "ListSSHPublicKeysRequest",
    "ListServerCertificates": "ListServerCertificatesRequest",
    "ListServiceSpecificCredentials": "ListServiceSpecificCredentialsRequest",
    "ListSigningCertificates": "ListSigningCertificatesRequest",
    "ListUserPolicies": "ListUserPoliciesRequest",
    "ListUserTags": "ListUserTagsRequest",
    "ListUsers": "ListUsersRequest",
    "ListVirtualMFADevices": "ListVirtualMFADevicesRequest",
    "PutGroupPolicy": "PutGroupPolicyRequest",
    "PutRolePermissionsBoundary": "PutRolePermissionsBoundaryRequest",
    "PutRolePolicy": "PutRolePolicyRequest",
    "PutUserPermissionsBoundary": "PutUserPermissionsBoundaryRequest",
    "PutUserPolicy": "PutUserPolicyRequest",
    "RemoveClientIDFromOpenIDConnectProvider": "RemoveClientIDFromOpenIDConnectProviderRequest",
    "RemoveUserFromGroup": "RemoveUserFromGroupRequest",
    "SetDefaultPolicyVersion": "SetDefaultPolicyVersionRequest",
    "SimulateCustomPolicy": "SimulateCustomPolicyRequest",
    "SimulatePrincipalPolicy": "SimulatePrincipalPolicyRequest",
    "TagOpenIDConnectProvider": "TagOpenIDConnectProviderRequest",
    "TagPolicy": "TagPolicyRequest",
    "TagRole": "TagRoleRequest",
    "TagUser": "TagUserRequest",
    "UntagOpenIDConnectProvider": "UntagOpenIDConnectProviderRequest",
    "UntagPolicy": "UntagPolicyRequest",
    "UntagRole": "UntagRoleRequest",
    "UntagUser": "UntagUserRequest",
    "UpdateAccessKey": "UpdateAccessKeyRequest",
    "UpdateAssumeRolePolicy": "UpdateAssumeRolePolicyRequest",
    "UpdateGroup": "UpdateGroupRequest",
    "UpdateOpenIDConnectProviderThumbprint": "UpdateOpenIDConnectProviderThumbprintRequest",
    "UpdateRole": "UpdateRoleRequest",
    "UpdateRoleDescription": "UpdateRoleDescriptionRequest",
    "UpdateUser": "UpdateUserRequest",
}

_SHAPES: dict[str, Shape] = {
    "ActionNameListType": Shape(
        Kind.LIST,
        item="ActionNameType",
    ),
    "ActionNameType": Shape(
        Kind.STRING,
        minimum=3,
        maximum=128,
    ),
    "AddClientIDToOpenIDConnectProviderRequest": Shape(
        Kind.STRUCTURE,
        members={
            "OpenIDConnectProviderArn": "arnType",
            "ClientID": "clientIDType",
        },
        required=(
            "OpenIDConnectProviderArn",
            "ClientID",
        ),
    ),
    "AddUserToGroupRequest": Shape(
        Kind.STRUCTURE,
        members={
            "GroupName": "groupNameType",
            "UserName": "existingUserNameType",
        },
        required=(
            "GroupName",
            "UserName",
        ),
    ),
    "AttachGroupPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "GroupName": "groupNameType",
            "PolicyArn": "arnType",
        },
        required=(
            "GroupName",
            "PolicyArn",
        ),
    ),
    "AttachRolePolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "PolicyArn": "arnType",
        },
        required=(
            "RoleName",
            "PolicyArn",
        ),
    ),
    "AttachUserPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "userNameType",
            "PolicyArn": "arnType",
        },
        required=(
            "UserName",
            "PolicyArn",
        ),
    ),
    "AttachmentName": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
        pattern="[\\w+=,.@-]+",
    ),
    "AttachmentType": Shape(
        Kind.STRING,
        enum=(
            "user",
            "group",
            "role",
        ),
    ),
    "ContextEntry": Shape(
        Kind.STRUCTURE,
        members={
            "ContextKeyName": "ContextKeyNameType",
            "ContextKeyValues": "ContextKeyValueListType",
            "ContextKeyType": "ContextKeyTypeEnum",
        },
    ),
    "ContextEntryListType": Shape(
        Kind.LIST,
        item="ContextEntry",
    ),
    "ContextKeyNameType": Shape(
        Kind.STRING,
        minimum=5,
        maximum=256,
    ),
    "ContextKeyTypeEnum": Shape(
        Kind.STRING,
        enum=(
            "string",
            "stringList",
            "numeric",
            "numericList",
            "boolean",
            "booleanList",
            "ip",
            "ipList",
            "binary",
            "binaryList",
            "date",
            "dateList",
        ),
    ),
    "ContextKeyValueListType": Shape(
        Kind.LIST,
        item="ContextKeyValueType",
    ),
    "ContextKeyValueType": Shape(
        Kind.STRING,
    ),
    "ContextProvider": Shape(
        Kind.STRUCTURE,
        members={
            "KeyDefinitionList": "keyDefinitionListType",
            "SubjectSourceKey": "contextProviderSourceKeyType",
            "SubjectTypeValue": "subjectTypeValueType",
            "SubjectTypeSourceKey": "contextProviderSourceKeyType",
        },
        required=("SubjectSourceKey",),
    ),
    "ContextProviderKeyDefinition": Shape(
        Kind.STRUCTURE,
        members={
            "SourceKey": "contextProviderSourceKeyType",
            "TargetKey": "contextProviderTargetKeyType",
        },
        required=("SourceKey",),
    ),
    "CreateAccessKeyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
        },
    ),
    "CreateAccountAliasRequest": Shape(
        Kind.STRUCTURE,
        members={
            "AccountAlias": "accountAliasType",
        },
        required=("AccountAlias",),
    ),
    "CreateGroupRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Path": "pathType",
            "GroupName": "groupNameType",
        },
        required=("GroupName",),
    ),
    "CreateOpenIDConnectProviderRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Url": "OpenIDConnectProviderUrlType",
            "ClientIDList": "clientIDListType",
            "ThumbprintList": "thumbprintListType",
            "Tags": "tagListType",
            "ContextProvider": "ContextProvider",
            "IdentityCenterInstanceArn": "identityCenterInstanceArnType",
        },
        required=("Url",),
    ),
    "CreatePolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyName": "policyNameType",
            "Path": "policyPathType",
            "PolicyDocument": "policyDocumentType",
            "Description": "policyDescriptionType",
            "Tags": "tagListType",
        },
        required=(
            "PolicyName",
            "PolicyDocument",
        ),
    ),
    "CreatePolicyVersionRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyArn": "arnType",
            "PolicyDocument": "policyDocumentType",
            "SetAsDefault": "booleanType",
        },
        required=(
            "PolicyArn",
            "PolicyDocument",
        ),
    ),
    "CreateRoleRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Path": "pathType",
            "RoleName": "roleNameType",
            "AssumeRolePolicyDocument": "policyDocumentType",
            "Description": "roleDescriptionType",
            "MaxSessionDuration": "roleMaxSessionDurationType",
            "MaxSigninSessionDuration": "maxSigninSessionDurationType",
            "PermissionsBoundary": "arnType",
            "Tags": "tagListType",
        },
        required=(
            "RoleName",
            "AssumeRolePolicyDocument",
        ),
    ),
    "CreateUserRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Path": "pathType",
            "UserName": "userNameType",
            "PermissionsBoundary": "arnType",
            "Tags": "tagListType",
        },
        required=("UserName",),
    ),
    "DeleteAccessKeyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "AccessKeyId": "accessKeyIdType",
        },
        required=("AccessKeyId",),
    ),
    "DeleteAccountAliasRequest": Shape(
        Kind.STRUCTURE,
        members={
            "AccountAlias": "accountAliasType",
        },
        required=("AccountAlias",),
    ),
    "DeleteGroupPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "GroupName": "groupNameType",
            "PolicyName": "policyNameType",
        },
        required=(
            "GroupName",
            "PolicyName",
        ),
    ),
    "DeleteGroupRequest": Shape(
        Kind.STRUCTURE,
        members={
            "GroupName": "groupNameType",
        },
        required=("GroupName",),
    ),
    "DeleteLoginProfileRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "userNameType",
        },
    ),
    "DeleteOpenIDConnectProviderRequest": Shape(
        Kind.STRUCTURE,
        members={
            "OpenIDConnectProviderArn": "arnType",
        },
        required=("OpenIDConnectProviderArn",),
    ),
    "DeletePolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyArn": "arnType",
        },
        required=("PolicyArn",),
    ),
    "DeletePolicyVersionRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyArn": "arnType",
            "VersionId": "policyVersionIdType",
        },
        required=(
            "PolicyArn",
            "VersionId",
        ),
    ),
    "DeleteRolePermissionsBoundaryRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
        },
        required=("RoleName",),
    ),
    "DeleteRolePolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "PolicyName": "policyNameType",
        },
        required=(
            "RoleName",
            "PolicyName",
        ),
    ),
    "DeleteRoleRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
        },
        required=("RoleName",),
    ),
    "DeleteUserPermissionsBoundaryRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "userNameType",
        },
        required=("UserName",),
    ),
    "DeleteUserPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "PolicyName": "policyNameType",
        },
        required=(
            "UserName",
            "PolicyName",
        ),
    ),
    "DeleteUserRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
        },
        required=("UserName",),
    ),
    "DetachGroupPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "GroupName": "groupNameType",
            "PolicyArn": "arnType",
        },
        required=(
            "GroupName",
            "PolicyArn",
        ),
    ),
    "DetachRolePolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "PolicyArn": "arnType",
        },
        required=(
            "RoleName",
            "PolicyArn",
        ),
    ),
    "DetachUserPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "userNameType",
            "PolicyArn": "arnType",
        },
        required=(
            "UserName",
            "PolicyArn",
        ),
    ),
    "EntityType": Shape(
        Kind.STRING,
        enum=(
            "User",
            "Role",
            "Group",
            "LocalManagedPolicy",
            "AWSManagedPolicy",
        ),
    ),
    "GetAccessKeyLastUsedRequest": Shape(
        Kind.STRUCTURE,
        members={
            "AccessKeyId": "accessKeyIdType",
        },
        required=("AccessKeyId",),
    ),
    "GetAccountAuthorizationDetailsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Filter": "entityListType",
            "MaxItems": "maxItemsType",
            "Marker": "markerType",
        },
    ),
    "GetContextKeysForCustomPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyInputList": "SimulationPolicyListType",
        },
        required=("PolicyInputList",),
    ),
    "GetContextKeysForPrincipalPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicySourceArn": "arnType",
            "PolicyInputList": "SimulationPolicyListType",
        },
        required=("PolicySourceArn",),
    ),
    "GetGroupPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "GroupName": "groupNameType",
            "PolicyName": "policyNameType",
        },
        required=(
            "GroupName",
            "PolicyName",
        ),
    ),
    "GetGroupRequest": Shape(
        Kind.STRUCTURE,
        members={
            "GroupName": "groupNameType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("GroupName",),
    ),
    "GetInstanceProfileRequest": Shape(
        Kind.STRUCTURE,
        members={
            "InstanceProfileName": "instanceProfileNameType",
        },
        required=("InstanceProfileName",),
    ),
    "GetLoginProfileRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "userNameType",
        },
    ),
    "GetOpenIDConnectProviderRequest": Shape(
        Kind.STRUCTURE,
        members={
            "OpenIDConnectProviderArn": "arnType",
        },
        required=("OpenIDConnectProviderArn",),
    ),
    "GetPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyArn": "arnType",
        },
        required=("PolicyArn",),
    ),
    "GetPolicyVersionRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyArn": "arnType",
            "VersionId": "policyVersionIdType",
        },
        required=(
            "PolicyArn",
            "VersionId",
        ),
    ),
    "GetRolePolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "PolicyName": "policyNameType",
        },
        required=(
            "RoleName",
            "PolicyName",
        ),
    ),
    "GetRoleRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
        },
        required=("RoleName",),
    ),
    "GetUserPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "PolicyName": "policyNameType",
        },
        required=(
            "UserName",
            "PolicyName",
        ),
    ),
    "GetUserRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
        },
    ),
    "InlinePolicyIdentifierType": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyName": "policyNameType",
            "AttachmentType": "AttachmentType",
            "AttachmentName": "AttachmentName",
        },
        required=(
            "PolicyName",
            "AttachmentType",
            "AttachmentName",
        ),
    ),
    "ListAccessKeysRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
    ),
    "ListAccountAliasesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
    ),
    "ListAttachedGroupPoliciesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "GroupName": "groupNameType",
            "PathPrefix": "policyPathType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("GroupName",),
    ),
    "ListAttachedRolePoliciesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "PathPrefix": "policyPathType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("RoleName",),
    ),
    "ListAttachedUserPoliciesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "userNameType",
            "PathPrefix": "policyPathType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("UserName",),
    ),
    "ListEntitiesForPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyArn": "arnType",
            "EntityFilter": "EntityType",
            "PathPrefix": "pathType",
            "PolicyUsageFilter": "PolicyUsageType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("PolicyArn",),
    ),
    "ListGroupPoliciesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "GroupName": "groupNameType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("GroupName",),
    ),
    "ListGroupsForUserRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("UserName",),
    ),
    "ListGroupsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PathPrefix": "pathPrefixType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
    ),
    "ListInstanceProfilesForRoleRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("RoleName",),
    ),
    "ListInstanceProfilesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PathPrefix": "pathPrefixType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
    ),
    "ListMFADevicesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
    ),
    "ListOpenIDConnectProviderTagsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "OpenIDConnectProviderArn": "arnType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("OpenIDConnectProviderArn",),
    ),
    "ListOpenIDConnectProvidersRequest": Shape(
        Kind.STRUCTURE,
    ),
    "ListPoliciesGrantingServiceAccessRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Marker": "markerType",
            "Arn": "arnType",
            "ServiceNamespaces": "serviceNamespaceListType",
        },
        required=(
            "Arn",
            "ServiceNamespaces",
        ),
    ),
    "ListPoliciesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Scope": "policyScopeType",
            "OnlyAttached": "booleanType",
            "PathPrefix": "policyPathType",
            "PolicyUsageFilter": "PolicyUsageType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
    ),
    "ListPolicyTagsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyArn": "arnType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("PolicyArn",),
    ),
    "ListPolicyVersionsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyArn": "arnType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("PolicyArn",),
    ),
    "ListRolePoliciesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("RoleName",),
    ),
    "ListRoleTagsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("RoleName",),
    ),
    "ListRolesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PathPrefix": "pathPrefixType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
    ),
    "ListSAMLProvidersRequest": Shape(
        Kind.STRUCTURE,
    ),
    "ListSSHPublicKeysRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "userNameType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
    ),
    "ListServerCertificatesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PathPrefix": "pathPrefixType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
    ),
    "ListServiceSpecificCredentialsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "userNameType",
            "ServiceName": "serviceName",
            "AllUsers": "allUsers",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
    ),
    "ListSigningCertificatesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
    ),
    "ListUserPoliciesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("UserName",),
    ),
    "ListUserTagsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
        required=("UserName",),
    ),
    "ListUsersRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PathPrefix": "pathPrefixType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
    ),
    "ListVirtualMFADevicesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "AssignmentStatus": "assignmentStatusType",
            "Marker": "markerType",
            "MaxItems": "maxItemsType",
        },
    ),
    "OpenIDConnectProviderUrlType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=255,
    ),
    "OrderedOrganizationPolicyType": Shape(
        Kind.STRUCTURE,
        members={
            "ServiceControlPolicyInputList": "SimulationPolicyListType",
        },
    ),
    "OrganizationPolicyListType": Shape(
        Kind.LIST,
        maximum=7,
        item="OrderedOrganizationPolicyType",
    ),
    "PolicyExclusionsListType": Shape(
        Kind.LIST,
        maximum=256,
        item="PolicyIdentifier",
    ),
    "PolicyIdentifier": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyType": "PolicyIdentifierPolicyType",
            "PolicyArn": "arnType",
            "InlinePolicyIdentifier": "InlinePolicyIdentifierType",
        },
    ),
    "PolicyIdentifierPolicyType": Shape(
        Kind.STRING,
        enum=(
            "inline",
            "aws-managed",
            "user-managed",
            "permission-boundary",
            "scp",
            "rcp",
        ),
    ),
    "PolicyUsageType": Shape(
        Kind.STRING,
        enum=(
            "PermissionsPolicy",
            "PermissionsBoundary",
        ),
    ),
    "PutGroupPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "GroupName": "groupNameType",
            "PolicyName": "policyNameType",
            "PolicyDocument": "policyDocumentType",
        },
        required=(
            "GroupName",
            "PolicyName",
            "PolicyDocument",
        ),
    ),
    "PutRolePermissionsBoundaryRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "PermissionsBoundary": "arnType",
        },
        required=(
            "RoleName",
            "PermissionsBoundary",
        ),
    ),
    "PutRolePolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "PolicyName": "policyNameType",
            "PolicyDocument": "policyDocumentType",
        },
        required=(
            "RoleName",
            "PolicyName",
            "PolicyDocument",
        ),
    ),
    "PutUserPermissionsBoundaryRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "userNameType",
            "PermissionsBoundary": "arnType",
        },
        required=(
            "UserName",
            "PermissionsBoundary",
        ),
    ),
    "PutUserPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "PolicyName": "policyNameType",
            "PolicyDocument": "policyDocumentType",
        },
        required=(
            "UserName",
            "PolicyName",
            "PolicyDocument",
        ),
    ),
    "RemoveClientIDFromOpenIDConnectProviderRequest": Shape(
        Kind.STRUCTURE,
        members={
            "OpenIDConnectProviderArn": "arnType",
            "ClientID": "clientIDType",
        },
        required=(
            "OpenIDConnectProviderArn",
            "ClientID",
        ),
    ),
    "RemoveUserFromGroupRequest": Shape(
        Kind.STRUCTURE,
        members={
            "GroupName": "groupNameType",
            "UserName": "existingUserNameType",
        },
        required=(
            "GroupName",
            "UserName",
        ),
    ),
    "ResourceHandlingOptionType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=64,
    ),
    "ResourceNameListType": Shape(
        Kind.LIST,
        item="ResourceNameType",
    ),
    "ResourceNameType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=2048,
    ),
    "SetDefaultPolicyVersionRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyArn": "arnType",
            "VersionId": "policyVersionIdType",
        },
        required=(
            "PolicyArn",
            "VersionId",
        ),
    ),
    "SimulateCustomPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyInputList": "SimulationPolicyListType",
            "PermissionsBoundaryPolicyInputList": "SimulationPolicyListType",
            "OrderedOrganizationPolicyInputList": "OrganizationPolicyListType",
            "ActionNames": "ActionNameListType",
            "ResourceArns": "ResourceNameListType",
            "ResourcePolicy": "policyDocumentType",
            "ResourceOwner": "ResourceNameType",
            "CallerArn": "ResourceNameType",
            "ContextEntries": "ContextEntryListType",
            "ResourceHandlingOption": "ResourceHandlingOptionType",
            "MaxItems": "maxItemsType",
            "Marker": "markerType",
        },
        required=(
            "PolicyInputList",
            "ActionNames",
        ),
    ),
    "SimulatePrincipalPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicySourceArn": "arnType",
            "PolicyInputList": "SimulationPolicyListType",
            "PermissionsBoundaryPolicyInputList": "SimulationPolicyListType",
            "PolicyExclusionList": "PolicyExclusionsListType",
            "ActionNames": "ActionNameListType",
            "ResourceArns": "ResourceNameListType",
            "ResourcePolicy": "policyDocumentType",
            "ResourceOwner": "ResourceNameType",
            "CallerArn": "ResourceNameType",
            "ContextEntries": "ContextEntryListType",
            "ResourceHandlingOption": "ResourceHandlingOptionType",
            "MaxItems": "maxItemsType",
            "Marker": "markerType",
        },
        required=(
            "PolicySourceArn",
            "ActionNames",
        ),
    ),
    "SimulationPolicyListType": Shape(
        Kind.LIST,
        item="policyDocumentType",
    ),
    "Tag": Shape(
        Kind.STRUCTURE,
        members={
            "Key": "tagKeyType",
            "Value": "tagValueType",
        },
        required=(
            "Key",
            "Value",
        ),
    ),
    "TagOpenIDConnectProviderRequest": Shape(
        Kind.STRUCTURE,
        members={
            "OpenIDConnectProviderArn": "arnType",
            "Tags": "tagListType",
        },
        required=(
            "OpenIDConnectProviderArn",
            "Tags",
        ),
    ),
    "TagPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyArn": "arnType",
            "Tags": "tagListType",
        },
        required=(
            "PolicyArn",
            "Tags",
        ),
    ),
    "TagRoleRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "Tags": "tagListType",
        },
        required=(
            "RoleName",
            "Tags",
        ),
    ),
    "TagUserRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "Tags": "tagListType",
        },
        required=(
            "UserName",
            "Tags",
        ),
    ),
    "UntagOpenIDConnectProviderRequest": Shape(
        Kind.STRUCTURE,
        members={
            "OpenIDConnectProviderArn": "arnType",
            "TagKeys": "tagKeyListType",
        },
        required=(
            "OpenIDConnectProviderArn",
            "TagKeys",
        ),
    ),
    "UntagPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "PolicyArn": "arnType",
            "TagKeys": "tagKeyListType",
        },
        required=(
            "PolicyArn",
            "TagKeys",
        ),
    ),
    "UntagRoleRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "TagKeys": "tagKeyListType",
        },
        required=(
            "RoleName",
            "TagKeys",
        ),
    ),
    "UntagUserRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "TagKeys": "tagKeyListType",
        },
        required=(
            "UserName",
            "TagKeys",
        ),
    ),
    "UpdateAccessKeyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "AccessKeyId": "accessKeyIdType",
            "Status": "statusType",
        },
        required=(
            "AccessKeyId",
            "Status",
        ),
    ),
    "UpdateAssumeRolePolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "PolicyDocument": "policyDocumentType",
        },
        required=(
            "RoleName",
            "PolicyDocument",
        ),
    ),
    "UpdateGroupRequest": Shape(
        Kind.STRUCTURE,
        members={
            "GroupName": "groupNameType",
            "NewPath": "pathType",
            "NewGroupName": "groupNameType",
        },
        required=("GroupName",),
    ),
    "UpdateOpenIDConnectProviderThumbprintRequest": Shape(
        Kind.STRUCTURE,
        members={
            "OpenIDConnectProviderArn": "arnType",
            "ThumbprintList": "thumbprintListType",
        },
        required=(
            "OpenIDConnectProviderArn",
            "ThumbprintList",
        ),
    ),
    "UpdateRoleDescriptionRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "Description": "roleDescriptionType",
        },
        required=(
            "RoleName",
            "Description",
        ),
    ),
    "UpdateRoleRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleName": "roleNameType",
            "Description": "roleDescriptionType",
            "MaxSessionDuration": "roleMaxSessionDurationType",
            "MaxSigninSessionDuration": "maxSigninSessionDurationType",
            "ResetMaxSigninSessionDuration": "booleanObjectType",
        },
        required=("RoleName",),
    ),
    "UpdateUserRequest": Shape(
        Kind.STRUCTURE,
        members={
            "UserName": "existingUserNameType",
            "NewPath": "pathType",
            "NewUserName": "userNameType",
        },
        required=("UserName",),
    ),
    "accessKeyIdType": Shape(
        Kind.STRING,
        minimum=16,
        maximum=128,
        pattern="[\\w]+",
    ),
    "accountAliasType": Shape(
        Kind.STRING,
        minimum=3,
        maximum=63,
        pattern="^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$",
    ),
    "allUsers": Shape(
        Kind.BOOLEAN,
    ),
    "arnType": Shape(
        Kind.STRING,
        minimum=20,
        maximum=2048,
    ),
    "assignmentStatusType": Shape(
        Kind.STRING,
        enum=(
            "Assigned",
            "Unassigned",
            "Any",
        ),
    ),
    "booleanObjectType": Shape(
        Kind.BOOLEAN,
    ),
    "booleanType": Shape(
        Kind.BOOLEAN,
    ),
    "clientIDListType": Shape(
        Kind.LIST,
        item="clientIDType",
    ),
    "clientIDType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=255,
    ),
    "contextProviderSourceKeyType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
    ),
    "contextProviderTargetKeyType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
    ),
    "entityListType": Shape(
        Kind.LIST,
        item="EntityType",
    ),
    "existingUserNameType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
        pattern="[\\w+=,.@-]+",
    ),
    "groupNameType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
        pattern="[\\w+=,.@-]+",
    ),
    "identityCenterInstanceArnType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=1224,
    ),
    "instanceProfileNameType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
        pattern="[\\w+=,.@-]+",
    ),
    "keyDefinitionListType": Shape(
        Kind.LIST,
        minimum=0,
        maximum=10,
        item="ContextProviderKeyDefinition",
    ),
    "markerType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=320,
        pattern="[\\u0020-\\u00FF]+",
    ),
    "maxItemsType": Shape(
        Kind.INTEGER,
        minimum=1,
        maximum=1000,
    ),
    "maxSigninSessionDurationType": Shape(
        Kind.INTEGER,
        minimum=3600,
        maximum=7776000,
    ),
    "pathPrefixType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=512,
        pattern="\\u002F[\\u0021-\\u007F]*",
    ),
    "pathType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=512,
        pattern="(\\u002F)|(\\u002F[\\u0021-\\u007E]+\\u002F)",
    ),
    "policyDescriptionType": Shape(
        Kind.STRING,
        maximum=1000,
    ),
    "policyDocumentType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=131072,
        pattern="[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+",
    ),
    "policyNameType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
        pattern="[\\w+=,.@-]+",
    ),
    "policyPathType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=512,
        pattern="((/[A-Za-z0-9\\.,\\+@=_-]+)*)/",
    ),
    "policyScopeType": Shape(
        Kind.STRING,
        enum=(
            "All",
            "AWS",
            "Local",
        ),
    ),
    "policyVersionIdType": Shape(
        Kind.STRING,
        pattern="v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?",
    ),
    "roleDescriptionType": Shape(
        Kind.STRING,
        maximum=1000,
        pattern="[\\u0009\\u000A\\u000D\\u0020-\\u007E\\u00A1-\\u00FF]*",
    ),
    "roleMaxSessionDurationType": Shape(
        Kind.INTEGER,
        minimum=3600,
        maximum=43200,
    ),
    "roleNameType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=64,
        pattern="[\\w+=,.@-]+",
    ),
    "serviceName": Shape(
        Kind.STRING,
    ),
    "serviceNamespaceListType": Shape(
        Kind.LIST,
        minimum=1,
        maximum=200,
        item="serviceNamespaceType",
    ),
    "serviceNamespaceType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=64,
        pattern="[\\w-]*",
    ),
    "statusType": Shape(
        Kind.STRING,
        enum=(
            "Active",
            "Inactive",
            "Expired",
        ),
    ),
    "subjectTypeValueType": Shape(
        Kind.STRING,
        minimum=0,
        maximum=128,
    ),
    "tagKeyListType": Shape(
        Kind.LIST,
        maximum=50,
        item="tagKeyType",
    ),
    "tagKeyType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
        pattern="[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+",
    ),
    "tagListType": Shape(
        Kind.LIST,
        maximum=50,
        item="Tag",
    ),
    "tagValueType": Shape(
        Kind.STRING,
        minimum=0,
        maximum=256,
        pattern="[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*",
    ),
    "thumbprintListType": Shape(
        Kind.LIST,
        item="thumbprintType",
    ),
    "thumbprintType": Shape(
        Kind.STRING,
        minimum=40,
        maximum=40,
    ),
    "userNameType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=64,
        pattern="[\\w+=,.@-]+",
    ),
}

IAM = Model("iam", "2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/", _OPERATIONS, _INPUTS, _SHAPES)
