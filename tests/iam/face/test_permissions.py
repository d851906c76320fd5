"""Each operation of IAM as a user: refused without a policy that allows it, done with one."""

from __future__ import annotations

from typing import Any

import pytest

from iam.face.table import SERVED
from tests.iam.face.identity_service import ACCOUNT, POLICY, Client, allow, refusal
from tests.iam.face.test_roles import trust

READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
OWN = f"arn:aws:iam::{ACCOUNT.account_id}:policy/own"

PROVIDER = f"arn:aws:iam::{ACCOUNT.account_id}:oidc-provider/idp.example.com"
CALLS: dict[str, dict[str, Any]] = {
    "AddClientIDToOpenIDConnectProvider": {"OpenIDConnectProviderArn": PROVIDER, "ClientID": "more"},
    "CreateOpenIDConnectProvider": {"Url": "https://other.example.com"},
    "DeleteOpenIDConnectProvider": {"OpenIDConnectProviderArn": PROVIDER},
    "GetOpenIDConnectProvider": {"OpenIDConnectProviderArn": PROVIDER},
    "ListOpenIDConnectProviderTags": {"OpenIDConnectProviderArn": PROVIDER},
    "ListOpenIDConnectProviders": {},
    "RemoveClientIDFromOpenIDConnectProvider": {"OpenIDConnectProviderArn": PROVIDER, "ClientID": "c"},
    "TagOpenIDConnectProvider": {"OpenIDConnectProviderArn": PROVIDER, "Tags": []},
    "UntagOpenIDConnectProvider": {"OpenIDConnectProviderArn": PROVIDER, "TagKeys": []},
    "UpdateOpenIDConnectProviderThumbprint": {"OpenIDConnectProviderArn": PROVIDER, "ThumbprintList": []},
    "AttachUserPolicy": {"UserName": "bob", "PolicyArn": READ_ONLY},
    "CreateAccessKey": {"UserName": "bob"},
    "CreatePolicy": {"PolicyName": "new", "PolicyDocument": POLICY},
    "CreatePolicyVersion": {"PolicyArn": OWN, "PolicyDocument": POLICY},
    "CreateUser": {"UserName": "new"},
    "DeleteAccessKey": {"UserName": "bob", "AccessKeyId": "AKIAUNKNOWNUNKNOWN12"},
    "DeletePolicy": {"PolicyArn": OWN},
    "DeletePolicyVersion": {"PolicyArn": OWN, "VersionId": "v9"},
    "DeleteUser": {"UserName": "bob"},
    "DeleteUserPermissionsBoundary": {"UserName": "bob"},
    "DeleteUserPolicy": {"UserName": "bob", "PolicyName": "p"},
    "DetachUserPolicy": {"UserName": "bob", "PolicyArn": OWN},
    "GetPolicy": {"PolicyArn": OWN},
    "GetPolicyVersion": {"PolicyArn": OWN, "VersionId": "v1"},
    "GetUser": {"UserName": "bob"},
    "GetUserPolicy": {"UserName": "bob", "PolicyName": "p"},
    "ListAccessKeys": {"UserName": "bob"},
    "ListAttachedUserPolicies": {"UserName": "bob"},
    "ListEntitiesForPolicy": {"PolicyArn": OWN},
    "ListPolicies": {},
    "ListPolicyTags": {"PolicyArn": OWN},
    "ListPolicyVersions": {"PolicyArn": OWN},
    "ListUserPolicies": {"UserName": "bob"},
    "ListUserTags": {"UserName": "bob"},
    "ListUsers": {},
    "PutUserPermissionsBoundary": {"UserName": "bob", "PermissionsBoundary": READ_ONLY},
    "PutUserPolicy": {"UserName": "bob", "PolicyName": "p", "PolicyDocument": POLICY},
    "SetDefaultPolicyVersion": {"PolicyArn": OWN, "VersionId": "v1"},
    "TagPolicy": {"PolicyArn": OWN, "Tags": []},
    "TagUser": {"UserName": "bob", "Tags": []},
    "UntagPolicy": {"PolicyArn": OWN, "TagKeys": []},
    "UntagUser": {"UserName": "bob", "TagKeys": []},
    "UpdateAccessKey": {"UserName": "bob", "AccessKeyId": "AKIAUNKNOWNUNKNOWN12", "Status": "Active"},
    "UpdateUser": {"UserName": "bob"},
    "DeleteLoginProfile": {"UserName": "bob"},
    "GetInstanceProfile": {"InstanceProfileName": "machine"},
    "GetLoginProfile": {"UserName": "bob"},
    "ListInstanceProfiles": {},
    "ListInstanceProfilesForRole": {"RoleName": "rob"},
    "ListMFADevices": {"UserName": "bob"},
    "ListSAMLProviders": {},
    "ListSSHPublicKeys": {"UserName": "bob"},
    "ListServerCertificates": {},
    "ListServiceSpecificCredentials": {"UserName": "bob"},
    "ListSigningCertificates": {"UserName": "bob"},
    "ListVirtualMFADevices": {},
    "CreateAccountAlias": {"AccountAlias": "alias"},
    "DeleteAccountAlias": {"AccountAlias": "alias"},
    "GenerateCredentialReport": {},
    "GetAccountAuthorizationDetails": {},
    "GetAccountPasswordPolicy": {},
    "GetAccountSummary": {},
    "GetContextKeysForCustomPolicy": {"PolicyInputList": [POLICY]},
    "GetContextKeysForPrincipalPolicy": {"PolicySourceArn": f"arn:aws:iam::{ACCOUNT.account_id}:user/bob"},
    "GetCredentialReport": {},
    "ListAccountAliases": {},
    "ListPoliciesGrantingServiceAccess": {
        "Arn": f"arn:aws:iam::{ACCOUNT.account_id}:role/rob",
        "ServiceNamespaces": ["s3"],
    },
    "SimulateCustomPolicy": {"PolicyInputList": [POLICY], "ActionNames": ["s3:GetObject"]},
    "SimulatePrincipalPolicy": {
        "PolicySourceArn": f"arn:aws:iam::{ACCOUNT.account_id}:group/gus",
        "ActionNames": ["s3:GetObject"],
    },
    "AddUserToGroup": {"GroupName": "gus", "UserName": "bob"},
    "AttachGroupPolicy": {"GroupName": "gus", "PolicyArn": READ_ONLY},
    "CreateGroup": {"GroupName": "new"},
    "DeleteGroup": {"GroupName": "gus"},
    "DeleteGroupPolicy": {"GroupName": "gus", "PolicyName": "p"},
    "DetachGroupPolicy": {"GroupName": "gus", "PolicyArn": OWN},
    "GetGroup": {"GroupName": "gus"},
    "GetGroupPolicy": {"GroupName": "gus", "PolicyName": "p"},
    "ListAttachedGroupPolicies": {"GroupName": "gus"},
    "ListGroupPolicies": {"GroupName": "gus"},
    "ListGroups": {},
    "ListGroupsForUser": {"UserName": "bob"},
    "PutGroupPolicy": {"GroupName": "gus", "PolicyName": "p", "PolicyDocument": POLICY},
    "RemoveUserFromGroup": {"GroupName": "gus", "UserName": "bob"},
    "UpdateGroup": {"GroupName": "gus"},
    "AttachRolePolicy": {"RoleName": "rob", "PolicyArn": READ_ONLY},
    "CreateRole": {"RoleName": "new", "AssumeRolePolicyDocument": trust()},
    "DeleteRole": {"RoleName": "rob"},
    "DeleteRolePermissionsBoundary": {"RoleName": "rob"},
    "DeleteRolePolicy": {"RoleName": "rob", "PolicyName": "p"},
    "DetachRolePolicy": {"RoleName": "rob", "PolicyArn": OWN},
    "GetRole": {"RoleName": "rob"},
    "GetRolePolicy": {"RoleName": "rob", "PolicyName": "p"},
    "ListAttachedRolePolicies": {"RoleName": "rob"},
    "ListRolePolicies": {"RoleName": "rob"},
    "ListRoleTags": {"RoleName": "rob"},
    "ListRoles": {},
    "PutRolePermissionsBoundary": {"RoleName": "rob", "PermissionsBoundary": READ_ONLY},
    "PutRolePolicy": {"RoleName": "rob", "PolicyName": "p", "PolicyDocument": POLICY},
    "TagRole": {"RoleName": "rob", "Tags": []},
    "UntagRole": {"RoleName": "rob", "TagKeys": []},
    "UpdateAssumeRolePolicy": {"RoleName": "rob", "PolicyDocument": trust()},
    "UpdateRole": {"RoleName": "rob", "MaxSessionDuration": 3600},
    "UpdateRoleDescription": {"RoleName": "rob", "Description": "new"},
}


AFTER_THE_DECISION = {
    "DeleteAccountAlias": "NoSuchEntity",
    "GetAccountPasswordPolicy": "NoSuchEntity",
    "DeleteAccessKey": "NoSuchEntity",
    "DeletePolicyVersion": "NoSuchEntity",
    "DeleteGroup": "DeleteConflict",
    "DeleteLoginProfile": "NoSuchEntity",
    "GetInstanceProfile": "NoSuchEntity",
    "GetLoginProfile": "NoSuchEntity",
    "DeleteRole": "DeleteConflict",
    "DeleteUser": "DeleteConflict",
    "DetachGroupPolicy": "NoSuchEntity",
    "DetachRolePolicy": "NoSuchEntity",
    "DetachUserPolicy": "NoSuchEntity",
    "UpdateAccessKey": "NoSuchEntity",
}
"""What these calls are refused for, once they are allowed."""


@pytest.mark.parametrize("operation", CALLS)
def test_a_user_does_what_its_policies_allow_and_no_more(client: Client, operation: str) -> None:
    for name in ("ann", "bob"):
        client.ask("CreateUser", UserName=name)
    client.ask("CreateRole", RoleName="rob", AssumeRolePolicyDocument=trust())
    client.ask("PutUserPolicy", UserName="bob", PolicyName="p", PolicyDocument=POLICY)
    client.ask("CreateGroup", GroupName="gus")
    client.ask("PutGroupPolicy", GroupName="gus", PolicyName="p", PolicyDocument=POLICY)
    client.ask("PutRolePolicy", RoleName="rob", PolicyName="p", PolicyDocument=POLICY)
    client.ask("CreatePolicy", PolicyName="own", PolicyDocument=POLICY)
    client.ask("CreateOpenIDConnectProvider", Url="https://idp.example.com")
    client.sign_in("ann")
    call = CALLS[operation]
    nobodys = {"UserName": "nobody", "RoleName": "nobody", "GroupName": "nobody", "PolicyArn": f"{OWN}er"}
    nobodys["OpenIDConnectProviderArn"] = f"{PROVIDER}er"
    nobodys["Arn"] = nobodys["PolicySourceArn"] = f"arn:aws:iam::{ACCOUNT.account_id}:role/nobody"
    for parameters in (call, {name: nobodys.get(name, value) for name, value in call.items()}):
        code, message = refusal(client.ask, operation, **parameters)
        assert code == "AccessDenied"
        assert message.startswith(f"User: {client.principal.arn} is not authorized to perform: iam:{operation} on ")
        assert message.endswith(f"because no identity-based policy allows the iam:{operation} action")
    allow(client, "ann", f"iam:{operation}")
    if operation in AFTER_THE_DECISION:
        assert refusal(client.ask, operation, **call)[0] == AFTER_THE_DECISION[operation]
    else:
        client.ask(operation, **call)


def test_every_operation_is_asked_for() -> None:
    assert set(CALLS) | {"GetAccessKeyLastUsed"} == set(SERVED["iam"])
