"""AWS Organizations, as far as accounts are made, told and closed by it.

The account that was made first is the management account, and its principals alone may ask, but for what the
organization is. Times are seconds since the epoch, as in every JSON service. Source: AWS Organizations API Reference.
"""

from __future__ import annotations

import json

from iam.credentials import Account, check_email, new_account_id, new_canonical_id
from iam.entities import EntityKind, Role, new_entity_id
from iam.face.call import Call, Document, Value
from iam.face.errors import IAMError
from iam.face.paging import part
from iam.organizations import (
    DEFAULT_ROLE_NAME,
    AccountRequest,
    Failure,
    Organization,
    new_account_request_id,
)
from iam.principals import root_principal
from iam.store.interface import EmailExists, NoSuchAccount, TooManyAccounts

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
_ALL = "*"
_PAGE = 20


def create_account(call: Call) -> Document:
    """Done when it is answered, where AWS takes minutes; what fails is told by the status, as there."""
    organization = _managed(call, "organizations:CreateAccount", _ALL)
    request = call.request
    if request.structures("Tags"):
        raise IAMError("NotImplemented", "Tags of accounts are not supported.")
    name, email = request.text("AccountName"), request.text("Email")
    account = Account(new_account_id(), new_canonical_id(), name, call.now_us, email)
    role = _administrator(account, request.text_or_none("RoleName") or DEFAULT_ROLE_NAME, organization)
    asked = AccountRequest(new_account_request_id(), name, call.now_us, account.account_id)
    try:
        check_email(email)
        call.store.create_member_account(asked, account, role, ADMINISTRATOR)
    except EmailExists:
        asked = _failed(call, asked, Failure.EMAIL_ALREADY_EXISTS)
    except TooManyAccounts:
        asked = _failed(call, asked, Failure.ACCOUNT_LIMIT_EXCEEDED)
    except ValueError:
        asked = _failed(call, asked, Failure.INVALID_EMAIL)
    return {"CreateAccountStatus": _status(asked)}


def _administrator(account: Account, name: str, organization: Organization) -> Role:
    """Whom the management account's principals may become in the new account, as far as their own policies allow."""
    trusted = root_principal(organization.management.account_id).arn
    statement = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
    return Role(
        new_entity_id(EntityKind.ROLE),
        account.account_id,
        name,
        "/",
        account.created_us,
        json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )


def _failed(call: Call, asked: AccountRequest, failure: Failure) -> AccountRequest:
    failed = AccountRequest(asked.request_id, asked.account_name, asked.requested_us, failure=failure)
    call.store.note_failed_account_request(failed)
    return failed


def describe_create_account_status(call: Call) -> Document:
    _managed(call, "organizations:DescribeCreateAccountStatus", _ALL)
    return {"CreateAccountStatus": _status(call.store.account_request(call.request.text("CreateAccountRequestId")))}


def _status(asked: AccountRequest) -> Document:
    told: dict[str, Value] = {
        "Id": asked.request_id,
        "AccountName": asked.account_name,
        "State": "SUCCEEDED" if asked.failure is None else "FAILED",
        "RequestedTimestamp": _seconds(asked.requested_us),
        "CompletedTimestamp": _seconds(asked.requested_us),
    }
    if asked.account_id is not None:
        told["AccountId"] = asked.account_id
    if asked.failure is not None:
        told["FailureReason"] = asked.failure.value
    return told


def list_accounts(call: Call) -> Document:
    organization = _managed(call, "organizations:ListAccounts", _ALL)
    told, more = part(
        call.request,
        call.store.accounts(),
        lambda account: account.account_id,
        marker_member="NextToken",
        limit_member="MaxResults",
        default=_PAGE,
    )
    document: dict[str, Value] = {"Accounts": [_account(organization, account) for account in told]}
    if "Marker" in more:
        document["NextToken"] = more["Marker"]
    return document


def describe_account(call: Call) -> Document:
    organization, account = _managed_account(call, "DescribeAccount")
    return {"Account": _account(organization, account)}


def close_account(call: Call) -> None:
    """Suspends it: its data stays, and `sealgate account activate` brings it back."""
    organization, account = _managed_account(call, "CloseAccount")
    if account.account_id == organization.management.account_id:
        raise IAMError("ConstraintViolationException", "You can't close the management account.")
    if not account.is_active:
        raise IAMError("AccountAlreadyClosedException", "The account is closed already.")
    call.store.set_account_active(account.account_id, False)


def _account(organization: Organization, account: Account) -> Document:
    state = "ACTIVE" if account.is_active else "SUSPENDED"
    is_management = account.account_id == organization.management.account_id
    return {
        "Id": account.account_id,
        "Arn": organization.account_arn(account.account_id),
        **({} if account.email is None else {"Email": account.email}),
        "Name": account.display_name,
        "Status": state,
        "State": state,
        "JoinedMethod": "INVITED" if is_management else "CREATED",
        "JoinedTimestamp": _seconds(account.created_us),
    }


def describe_organization(call: Call) -> Document:
    """For members as well. Its policies are none of those that Organizations has."""
    call.require("organizations:DescribeOrganization", _ALL)
    organization = Organization(call.store.management_account())
    management = organization.management
    told: dict[str, Value] = {
        "Id": organization.id,
        "Arn": organization.arn,
        "FeatureSet": "CONSOLIDATED_BILLING",
        "MasterAccountArn": organization.account_arn(management.account_id),
        "MasterAccountId": management.account_id,
        "AvailablePolicyTypes": [],
    }
    if management.email is not None:
        told["MasterAccountEmail"] = management.email
    return {"Organization": told}


def list_roots(call: Call) -> Document:
    organization = _managed(call, "organizations:ListRoots", _ALL)
    root: Document = {"Id": organization.root_id, "Arn": organization.root_arn, "Name": "Root", "PolicyTypes": []}
    return {"Roots": [root]}


def list_parents(call: Call) -> Document:
    """Every account is under the root: there are no organizational units."""
    child = call.request.text("ChildId")
    organization = _managed(call, "organizations:ListParents", _arn_of(call, child))
    _known(call, child, "ChildNotFoundException")
    return {"Parents": [{"Id": organization.root_id, "Type": "ROOT"}]}


def list_tags_for_resource(call: Call) -> Document:
    """Accounts have no tags."""
    named = call.request.text("ResourceId")
    _managed(call, "organizations:ListTagsForResource", _arn_of(call, named))
    _known(call, named, "TargetNotFoundException")
    return {"Tags": []}


def _managed(call: Call, action: str, resource_arn: str) -> Organization:
    """The organization, for those who may do this to it. Raises IAMError(AccessDenied)."""
    organization = Organization(call.store.management_account())
    if call.account_id != organization.management.account_id:
        raise IAMError("AccessDenied", "You don't have permissions to access this resource.")
    call.require(action, resource_arn)
    return organization


def _managed_account(call: Call, operation: str) -> tuple[Organization, Account]:
    """Raises IAMError: AccessDenied, AccountNotFoundException."""
    account_id = call.request.text("AccountId")
    organization = _managed(call, f"organizations:{operation}", _arn_of(call, account_id))
    return organization, _known(call, account_id, "AccountNotFoundException")


def _arn_of(call: Call, account_id: str) -> str:
    return Organization(call.store.management_account()).account_arn(account_id)


def _known(call: Call, account_id: str, code: str) -> Account:
    try:
        return call.store.account(account_id)
    except NoSuchAccount:
        raise IAMError(code, "There is no account with this id in the organization.") from None


def _seconds(us: int) -> int:
    return us // 1_000_000
