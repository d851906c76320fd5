"""Operations of the AWS ORGANIZATIONS API and the shapes of the requests that are served.

Made by tests/iam/face/generate_models.py from botocore's model (API version 2016-11-28); not edited by hand.
"""

from __future__ import annotations

from iam.face.shapes import Kind, Model, Shape

_OPERATIONS = (
    "AcceptHandshake",
    "AttachPolicy",
    "CancelHandshake",
    "CloseAccount",
    "CreateAccount",
    "CreateGovCloudAccount",
    "CreateOrganization",
    "CreateOrganizationalUnit",
    "CreatePolicy",
    "DeclineHandshake",
    "DeleteOrganization",
    "DeleteOrganizationalUnit",
    "DeletePolicy",
    "DeleteResourcePolicy",
    "DeregisterDelegatedAdministrator",
    "DescribeAccount",
    "DescribeCreateAccountStatus",
    "DescribeEffectivePolicy",
    "DescribeHandshake",
    "DescribeOrganization",
    "DescribeOrganizationalUnit",
    "DescribePolicy",
    "DescribeResourcePolicy",
    "DescribeResponsibilityTransfer",
    "DetachPolicy",
    "DisableAWSServiceAccess",
    "DisablePolicyType",
    "EnableAWSServiceAccess",
    "EnableAllFeatures",
    "EnablePolicyType",
    "InviteAccountToOrganization",
    "InviteOrganizationToTransferResponsibility",
    "LeaveOrganization",
    "ListAWSServiceAccessForOrganization",
    "ListAccounts",
    "ListAccountsForParent",
    "ListAccountsWithInvalidEffectivePolicy",
    "ListChildren",
    "ListCreateAccountStatus",
    "ListDelegatedAdministrators",
    "ListDelegatedServicesForAccount",
    "ListEffectivePolicyValidationErrors",
    "ListHandshakesForAccount",
    "ListHandshakesForOrganization",
    "ListInboundResponsibilityTransfers",
    "ListOrganizationalUnitsForParent",
    "ListOutboundResponsibilityTransfers",
    "ListParents",
    "ListPolicies",
    "ListPoliciesForTarget",
    "ListRoots",
    "ListTagsForResource",
    "ListTargetsForPolicy",
    "MoveAccount",
    "PutResourcePolicy",
    "RegisterDelegatedAdministrator",
    "RemoveAccountFromOrganization",
    "TagResource",
    "TerminateResponsibilityTransfer",
    "UntagResource",
    "UpdateOrganizationalUnit",
    "UpdatePolicy",
    "UpdateResponsibilityTransfer",
)

_INPUTS: dict[str, str] = {
    "CloseAccount": "CloseAccountRequest",
    "CreateAccount": "CreateAccountRequest",
    "DescribeAccount": "DescribeAccountRequest",
    "DescribeCreateAccountStatus": "DescribeCreateAccountStatusRequest",
    "ListAccounts": "ListAccountsRequest",
    "ListParents": "ListParentsRequest",
    "ListRoots": "ListRootsRequest",
    "ListTagsForResource": "ListTagsForResourceRequest",
}

_SHAPES: dict[str, Shape] = {
    "AccountId": Shape(
        Kind.STRING,
        maximum=12,
        pattern="^\\d{12}$",
    ),
    "ChildId": Shape(
        Kind.STRING,
        maximum=100,
        pattern="^(\\d{12})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$",
    ),
    "CloseAccountRequest": Shape(
        Kind.STRUCTURE,
        members={
            "AccountId": "AccountId",
        },
        required=("AccountId",),
    ),
    "CreateAccountName": Shape(
        Kind.STRING,
        minimum=1,
        maximum=50,
        pattern="[\\u0020-\\u007E]+",
        is_sensitive=True,
    ),
    "CreateAccountRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Email": "Email",
            "AccountName": "CreateAccountName",
            "RoleName": "RoleName",
            "IamUserAccessToBilling": "IAMUserAccessToBilling",
            "Tags": "Tags",
        },
        required=(
            "Email",
            "AccountName",
        ),
    ),
    "CreateAccountRequestId": Shape(
        Kind.STRING,
        maximum=36,
        pattern="^car-[a-z0-9]{8,32}$",
    ),
    "DescribeAccountRequest": Shape(
        Kind.STRUCTURE,
        members={
            "AccountId": "AccountId",
        },
        required=("AccountId",),
    ),
    "DescribeCreateAccountStatusRequest": Shape(
        Kind.STRUCTURE,
        members={
            "CreateAccountRequestId": "CreateAccountRequestId",
        },
        required=("CreateAccountRequestId",),
    ),
    "Email": Shape(
        Kind.STRING,
        minimum=6,
        maximum=64,
        pattern="[^\\s@]+@[^\\s@]+\\.[^\\s@]+",
        is_sensitive=True,
    ),
    "IAMUserAccessToBilling": Shape(
        Kind.STRING,
        enum=(
            "ALLOW",
            "DENY",
        ),
    ),
    "ListAccountsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "NextToken": "NextToken",
            "MaxResults": "MaxResults",
        },
    ),
    "ListParentsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "ChildId": "ChildId",
            "NextToken": "NextToken",
            "MaxResults": "MaxResults",
        },
        required=("ChildId",),
    ),
    "ListRootsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "NextToken": "NextToken",
            "MaxResults": "MaxResults",
        },
    ),
    "ListTagsForResourceRequest": Shape(
        Kind.STRUCTURE,
        members={
            "ResourceId": "TaggableResourceId",
            "NextToken": "NextToken",
        },
        required=("ResourceId",),
    ),
    "MaxResults": Shape(
        Kind.INTEGER,
        minimum=1,
        maximum=20,
    ),
    "NextToken": Shape(
        Kind.STRING,
        maximum=100000,
        pattern="[\\s\\S]*",
    ),
    "RoleName": Shape(
        Kind.STRING,
        maximum=64,
        pattern="[\\w+=,.@-]{1,64}",
    ),
    "Tag": Shape(
        Kind.STRUCTURE,
        members={
            "Key": "TagKey",
            "Value": "TagValue",
        },
        required=(
            "Key",
            "Value",
        ),
    ),
    "TagKey": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
        pattern="^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$",
    ),
    "TagValue": Shape(
        Kind.STRING,
        minimum=0,
        maximum=256,
        pattern="^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$",
    ),
    "TaggableResourceId": Shape(
        Kind.STRING,
        maximum=130,
        pattern="^(r-[0-9a-z]{4,32})|(\\d{12})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})|(^p-[0-9a-zA-Z_]{8,128})|(^rp-[0-9a-zA-Z_]{4,128})|(^rt-[0-9a-zA-Z_]{8,32})$",
    ),
    "Tags": Shape(
        Kind.LIST,
        item="Tag",
    ),
}

ORGANIZATIONS = Model("organizations", "2016-11-28", "", _OPERATIONS, _INPUTS, _SHAPES)
