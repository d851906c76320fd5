"""What IAM says of an account as a whole: its summary, its alias, all that is in it, and who has which credentials."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from iam.credentials import AccessKey
from iam.entities import (
    MAX_ATTACHMENTS,
    MAX_ENTITIES,
    MAX_GROUPS_OF_USER,
    MAX_INLINE_CHARACTERS,
    MAX_TRUST_CHARACTERS,
    Entity,
    EntityKind,
    Group,
    Role,
    User,
)
from iam.face.call import Call, Document, Value, timestamp
from iam.face.errors import IAMError
from iam.face.identities import encoded, entity_position, group_document, policy_position, role_document, user_document
from iam.face.operations.entity_policies import attached_document
from iam.face.operations.policies import description_of, policy_document, version_document
from iam.face.paging import page, part
from iam.face.translate import ACCESS_KEYS_PER_USER
from iam.managed_policies import AWS_ACCOUNT_ID, MAX_POLICIES, MAX_POLICY_CHARACTERS, MAX_VERSIONS, ManagedPolicy
from iam.principals import root_principal

_ALL = "*"


def get_account_summary(call: Call) -> Document:
    """What there is, and how much of it there may be. Nobody has certificates, devices or passwords here."""
    call.require("iam:GetAccountSummary", _ALL)
    store, account_id = call.store, call.account_id
    policies = [each for each in store.policies(account_id) if each.account_id == account_id]
    versions = sum(len(store.policy_versions(account_id, each.arn)) for each in policies)
    summary = {
        "Users": len(store.users(account_id)),
        "UsersQuota": MAX_ENTITIES[EntityKind.USER],
        "Groups": len(store.groups(account_id)),
        "GroupsQuota": MAX_ENTITIES[EntityKind.GROUP],
        "Roles": len(store.roles(account_id)),
        "RolesQuota": MAX_ENTITIES[EntityKind.ROLE],
        "Policies": len(policies),
        "PoliciesQuota": MAX_POLICIES,
        "PolicySizeQuota": MAX_POLICY_CHARACTERS,
        "PolicyVersionsInUse": versions,
        "PolicyVersionsInUseQuota": MAX_POLICIES * MAX_VERSIONS,
        "VersionsPerPolicyQuota": MAX_VERSIONS,
        "AttachedPoliciesPerUserQuota": MAX_ATTACHMENTS,
        "AttachedPoliciesPerGroupQuota": MAX_ATTACHMENTS,
        "AttachedPoliciesPerRoleQuota": MAX_ATTACHMENTS,
        "UserPolicySizeQuota": MAX_INLINE_CHARACTERS[EntityKind.USER],
        "GroupPolicySizeQuota": MAX_INLINE_CHARACTERS[EntityKind.GROUP],
        "RolePolicySizeQuota": MAX_INLINE_CHARACTERS[EntityKind.ROLE],
        "AssumeRolePolicySizeQuota": MAX_TRUST_CHARACTERS,
        "GroupsPerUserQuota": MAX_GROUPS_OF_USER,
        "AccessKeysPerUserQuota": ACCESS_KEYS_PER_USER,
        "AccountAccessKeysPresent": int(bool(store.access_keys_of(account_id, None))),
        "AccountMFAEnabled": 0,
        "AccountPasswordPresent": 0,
        "AccountSigningCertificatesPresent": 0,
        "InstanceProfiles": 0,
        "InstanceProfilesQuota": 0,
        "MFADevices": 0,
        "MFADevicesInUse": 0,
        "Providers": 0,
        "ServerCertificates": 0,
        "ServerCertificatesQuota": 0,
        "SigningCertificatesPerUserQuota": 0,
    }
    return {"SummaryMap": tuple(summary.items())}


def create_account_alias(call: Call) -> None:
    """In place of the one that the account had."""
    call.require("iam:CreateAccountAlias", _ALL)
    alias = call.request.text("AccountAlias")
    try:
        call.store.create_account_alias(call.account_id, alias)
    except ValueError as error:
        raise IAMError("ValidationError", f"The specified value for accountAlias is invalid: {error}.") from error


def delete_account_alias(call: Call) -> None:
    call.require("iam:DeleteAccountAlias", _ALL)
    call.store.delete_account_alias(call.account_id, call.request.text("AccountAlias"))


def list_account_aliases(call: Call) -> Document:
    call.require("iam:ListAccountAliases", _ALL)
    alias = call.store.account_alias(call.account_id)
    return page(call.request, "AccountAliases", () if alias is None else (alias,), str, str)


def get_account_password_policy(call: Call) -> Document:
    """Nobody has a password."""
    call.require("iam:GetAccountPasswordPolicy", _ALL)
    raise IAMError("NoSuchEntity", f"The Password Policy with domain name {call.account_id} cannot be found.")


# GetAccountAuthorizationDetails

_LISTS = {
    "User": "UserDetailList",
    "Group": "GroupDetailList",
    "Role": "RoleDetailList",
    "LocalManagedPolicy": "Policies",
    "AWSManagedPolicy": "Policies",
}
"""By the words of Filter, in which list an answer has what they mean; in the order of the pages."""


def get_account_authorization_details(call: Call) -> Document:
    """Entities and policies make one listing, which pages go through. Of AWS's policies it has those in use."""
    call.require("iam:GetAccountAuthorizationDetails", _ALL)
    wanted = call.request.texts("Filter") or tuple(_LISTS)
    found = [each for each in _everything(call) if _word(each) in wanted]
    told, more = part(call.request, found, _place)
    lists: dict[str, list[Value]] = {name: [] for name in _LISTS.values()}
    for each in told:
        lists[_LISTS[_word(each)]].append(_detail(call, each))
    return {**lists, **more}


def _everything(call: Call) -> Iterator[Entity | ManagedPolicy]:
    yield from call.store.users(call.account_id)
    yield from call.store.groups(call.account_id)
    yield from call.store.roles(call.account_id)
    for policy in call.store.policies(call.account_id):
        if policy.account_id == call.account_id or policy.attachments or policy.boundary_uses:
            yield policy


def _word(each: Entity | ManagedPolicy) -> str:
    if isinstance(each, ManagedPolicy):
        return "AWSManagedPolicy" if each.account_id == AWS_ACCOUNT_ID else "LocalManagedPolicy"
    return each.kind.title()


def _place(each: Entity | ManagedPolicy) -> str:
    position = policy_position(each) if isinstance(each, ManagedPolicy) else entity_position(each)
    return f"{list(_LISTS).index(_word(each))} {position}"


def _detail(call: Call, each: Entity | ManagedPolicy) -> Document:
    match each:
        case User():
            groups: list[Value] = [group.name for group in call.store.groups_of(each)]
            return {**user_document(each, is_whole=True), **_policies(call, each), "GroupList": groups}
        case Group():
            return {**group_document(each), **_policies(call, each)}
        case Role():
            told = {**role_document(each, is_whole=True), **_policies(call, each), "InstanceProfileList": []}
            return _without(told, "Description", "MaxSessionDuration")
        case ManagedPolicy():
            versions: list[Value] = [
                {"Document": encoded(version.document), **version_document(version)}
                for version in call.store.policy_versions(call.account_id, each.arn)
            ]
            return {**policy_document(each), **description_of(each), "PolicyVersionList": versions}


def _policies(call: Call, entity: Entity) -> Document:
    inline: list[Value] = [
        {"PolicyName": each.name, "PolicyDocument": encoded(each.text)} for each in call.store.inline_policies(entity)
    ]
    attached: list[Value] = [attached_document(each) for each in call.store.attached_policies(entity)]
    return {f"{entity.kind.title()}PolicyList": inline, "AttachedManagedPolicies": attached}


def _without(document: Document, *names: str) -> Document:
    """What other operations tell and this one does not."""
    return {name: value for name, value in document.items() if name not in names}


# The credential report. Source: IAM User Guide, "Get credential reports for your AWS account".

_NOT_SUPPORTED, _NONE, _NO_INFORMATION = "not_supported", "N/A", "no_information"
_KEY_COLUMNS = ("active", "last_rotated", "last_used_date", "last_used_region", "last_used_service")
_COLUMNS = (
    "user",
    "arn",
    "user_creation_time",
    "password_enabled",
    "password_last_used",
    "password_last_changed",
    "password_next_rotation",
    "mfa_active",
    *(f"access_key_{number}_{column}" for number in (1, 2) for column in _KEY_COLUMNS),
    "cert_1_active",
    "cert_1_last_rotated",
    "cert_2_active",
    "cert_2_last_rotated",
)


def generate_credential_report(call: Call) -> Document:
    """A report is made when it is asked for, so that there is always one."""
    call.require("iam:GenerateCredentialReport", _ALL)
    return {"State": "COMPLETE"}


def get_credential_report(call: Call) -> Document:
    call.require("iam:GetCredentialReport", _ALL)
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(_COLUMNS)
    rows.writerows(_rows(call))
    return {
        "Content": base64.b64encode(written.getvalue().encode()).decode("ascii"),
        "ReportFormat": "text/csv",
        "GeneratedTime": timestamp(call.now_us),
    }


def _rows(call: Call) -> Iterator[Sequence[str]]:
    """The root user's first, as IAM calls it, then those of the users."""
    root, created_us = root_principal(call.account_id), call.store.account(call.account_id).created_us
    password = (_NOT_SUPPORTED, _NO_INFORMATION, _NOT_SUPPORTED, _NOT_SUPPORTED)
    yield _row(call, ("<root_account>", root.arn, _moment(created_us), *password), None)
    for user in call.store.users(call.account_id):
        yield _row(call, (user.name, user.arn, _moment(user.created_us), "false", _NONE, _NONE, _NONE), user.name)


def _row(call: Call, beginning: Sequence[str], user_name: str | None) -> Sequence[str]:
    """Of more than two access keys, which the configuration can give, the oldest two."""
    keys = [*call.store.access_keys_of(call.account_id, user_name)][:2]
    told = [_key(call, key) for key in keys] + [("false", _NONE, _NONE, _NONE, _NONE)] * (2 - len(keys))
    return (*beginning, "false", *told[0], *told[1], "false", _NONE, "false", _NONE)


def _key(call: Call, key: AccessKey) -> tuple[str, ...]:
    known = (str(key.is_active).lower(), _moment(key.created_us))
    use = call.uses.last(key.access_key_id) or call.store.access_key_use(key.access_key_id)
    if use is None:
        return (*known, _NONE, _NONE, _NONE)
    return (*known, _moment(use.used_us), use.region or _NONE, use.service)


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, UTC).isoformat()
