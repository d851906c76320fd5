"""IAM: users, groups, roles and managed policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.clients.rights.case import Case, Need, Prepared, method_of, told
from tests.clients.rights.world import POLICY, World

BOUNDARY = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
MANAGED = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
TAGS = [{"Key": "a", "Value": "b"}]

CASES: list[Case] = []

Before = Callable[[World, str], Mapping[str, Any]]
"""Makes what a subject, by its name or ARN, has to have; answers what a request says besides the subject."""


def _add(operation: str, variant: str, prepare: Callable[[World], Prepared]) -> None:
    CASES.append(Case(service="iam", operation=operation, variant=variant, prepare=prepare))


def _ask(operation: str, **parameters: Any) -> Callable[..., Any]:
    return lambda clients: method_of(clients("iam"), operation)(**parameters)


def _saying(**members: Any) -> Before:
    return lambda world, subject: members


def _is_reading(operation: str) -> bool:
    return operation.startswith(("Get", "List"))


def on_entity(
    kind: str, operation: str, before: Before = lambda world, name: {}, *, variant: str = "", otherwise: str = ""
) -> None:
    """An operation on one user, group or role."""

    def prepare(world: World) -> Prepared:
        name = world.entity(kind)
        return Prepared(
            ask=_ask(operation, **{f"{kind.title()}Name": name}, **before(world, name)),
            needs=[(f"iam:{operation}", world.entity_arn(kind, name))],
            observe=None if _is_reading(operation) else world.state_of(kind, name),
            is_idle=bool(otherwise),
            otherwise=otherwise,
        )

    _add(operation, variant, prepare)


def new_entity(kind: str, variant: str = "", *actions: str, **parameters: Any) -> None:
    def prepare(world: World) -> Prepared:
        name, operation = world.name(kind), f"Create{kind.title()}"
        trusted = {"AssumeRolePolicyDocument": world.trust} if kind == "role" else {}
        return Prepared(
            ask=_ask(operation, **{f"{kind.title()}Name": name}, **trusted, **parameters),
            needs=[(f"iam:{action}", world.entity_arn(kind, name)) for action in (operation, *actions)],
            observe=world.state_of(kind, name),
        )

    _add(f"Create{kind.title()}", variant, prepare)


def listing(operation: str) -> None:
    _add(operation, "", lambda world: Prepared(ask=_ask(operation), needs=[(f"iam:{operation}", "*")]))


# What users, groups and roles have in common


def policies_of(kind: str) -> None:
    title = kind.title()

    def inline(world: World, name: str) -> Mapping[str, Any]:
        named = {f"{title}Name": name, "PolicyName": "inline"}
        method_of(world.iam, f"Put{title}Policy")(**named, PolicyDocument=POLICY)
        return {"PolicyName": "inline"}

    def attached(world: World, name: str) -> Mapping[str, Any]:
        method_of(world.iam, f"Attach{title}Policy")(**{f"{title}Name": name}, PolicyArn=MANAGED)
        return {"PolicyArn": MANAGED}

    on_entity(kind, f"Put{title}Policy", _saying(PolicyName="inline", PolicyDocument=POLICY))
    on_entity(kind, f"Get{title}Policy", inline)
    on_entity(kind, f"List{title}Policies")
    on_entity(kind, f"Delete{title}Policy", inline)
    on_entity(kind, f"Attach{title}Policy", _saying(PolicyArn=MANAGED))
    on_entity(kind, f"Detach{title}Policy", attached)
    on_entity(kind, f"ListAttached{title}Policies")


def tags_and_boundary_of(kind: str) -> None:
    title = kind.title()

    def tagged(world: World, name: str) -> Mapping[str, Any]:
        method_of(world.iam, f"Tag{title}")(**{f"{title}Name": name}, Tags=TAGS)
        return {"TagKeys": ["a"]}

    def bounded(world: World, name: str) -> Mapping[str, Any]:
        method_of(world.iam, f"Put{title}PermissionsBoundary")(**{f"{title}Name": name}, PermissionsBoundary=BOUNDARY)
        return {}

    new_entity(kind, "a boundary", PermissionsBoundary=BOUNDARY)
    new_entity(kind, "tags", f"Tag{title}", Tags=TAGS)
    on_entity(kind, f"Tag{title}", _saying(Tags=TAGS))
    on_entity(kind, f"Untag{title}", tagged)
    on_entity(kind, f"List{title}Tags")
    on_entity(kind, f"Put{title}PermissionsBoundary", _saying(PermissionsBoundary=BOUNDARY))
    on_entity(kind, f"Delete{title}PermissionsBoundary", bounded)


for each in ("group", "role", "user"):
    new_entity(each)
    listing(f"List{each.title()}s")
    on_entity(each, f"Get{each.title()}")
    on_entity(each, f"Delete{each.title()}")
    policies_of(each)
    if each != "group":
        tags_and_boundary_of(each)


# Users


def _access_key(world: World, name: str) -> dict[str, Any]:
    return {"AccessKeyId": world.iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]}


def _key_last_used(world: World) -> Prepared:
    """It names a key, and asks about the user whose key it is."""
    name = world.entity("user")
    return Prepared(
        ask=_ask("GetAccessKeyLastUsed", **_access_key(world, name)),
        needs=[("iam:GetAccessKeyLastUsed", world.entity_arn("user", name))],
    )


def _renamed(kind: str) -> None:
    """Under its old name and under its new one."""
    operation = f"Update{kind.title()}"

    def prepare(world: World) -> Prepared:
        old, new = world.entity(kind), world.name(kind)
        names = {f"{kind.title()}Name": old, f"New{kind.title()}Name": new}
        needs: list[Need] = [(f"iam:{operation}", world.entity_arn(kind, name)) for name in (old, new)]
        return Prepared(ask=_ask(operation, **names), needs=needs, observe=world.state_of(kind, old))

    _add(operation, "", prepare)


_renamed("user")
_renamed("group")
on_entity("user", "CreateAccessKey")
on_entity("user", "UpdateAccessKey", lambda world, name: {**_access_key(world, name), "Status": "Inactive"})
on_entity("user", "DeleteAccessKey", _access_key)
on_entity("user", "ListAccessKeys")
_add("GetAccessKeyLastUsed", "", _key_last_used)


# Groups and their members


def _member(world: World, name: str) -> dict[str, Any]:
    user = world.entity("user")
    world.iam.add_user_to_group(GroupName=name, UserName=user)
    return {"UserName": user}


on_entity("group", "AddUserToGroup", lambda world, name: {"UserName": world.entity("user")})
on_entity("group", "RemoveUserFromGroup", _member)
on_entity("user", "ListGroupsForUser")


# OpenID Connect providers


def _new_provider(world: World) -> str:
    """The ARN of one that has a client id and a tag."""
    made = world.iam.create_open_id_connect_provider(Url=f"https://{world.name('idp')}.example.com", ClientIDList=["c"])
    arn = str(made["OpenIDConnectProviderArn"])
    world.iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=TAGS)
    return arn


def _provider_state(world: World, arn: str) -> Callable[[], object]:
    return lambda: told(world.iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn)


def on_provider(operation: str, **more: Any) -> None:
    def prepare(world: World) -> Prepared:
        arn = _new_provider(world)
        return Prepared(
            ask=_ask(operation, OpenIDConnectProviderArn=arn, **more),
            needs=[(f"iam:{operation}", arn)],
            observe=None if _is_reading(operation) else _provider_state(world, arn),
        )

    _add(operation, "", prepare)


def new_provider(variant: str = "", *actions: str, **parameters: Any) -> None:
    def prepare(world: World) -> Prepared:
        host = f"{world.name('idp')}.example.com"
        arn = world.entity_arn("oidc-provider", host)
        return Prepared(
            ask=_ask("CreateOpenIDConnectProvider", Url=f"https://{host}", **parameters),
            needs=[(f"iam:{action}", arn) for action in ("CreateOpenIDConnectProvider", *actions)],
            observe=_provider_state(world, arn),
        )

    _add("CreateOpenIDConnectProvider", variant, prepare)


new_provider()
new_provider("tags", "TagOpenIDConnectProvider", Tags=TAGS)
listing("ListOpenIDConnectProviders")
on_provider("GetOpenIDConnectProvider")
on_provider("DeleteOpenIDConnectProvider")
on_provider("AddClientIDToOpenIDConnectProvider", ClientID="more")
on_provider("RemoveClientIDFromOpenIDConnectProvider", ClientID="c")
on_provider("UpdateOpenIDConnectProviderThumbprint", ThumbprintList=["a" * 40])
on_provider("TagOpenIDConnectProvider", Tags=[{"Key": "more", "Value": ""}])
on_provider("UntagOpenIDConnectProvider", TagKeys=["a"])
on_provider("ListOpenIDConnectProviderTags")


# What nobody has here

on_entity("user", "GetLoginProfile", otherwise="NoSuchEntity")
on_entity("user", "DeleteLoginProfile", otherwise="NoSuchEntity")
for each in (
    "ListMFADevices",
    "ListSSHPublicKeys",
    "ListServiceSpecificCredentials",
    "ListSigningCertificates",
):
    on_entity("user", each)
on_entity("role", "ListInstanceProfilesForRole")
for each in ("ListInstanceProfiles", "ListSAMLProviders", "ListServerCertificates", "ListVirtualMFADevices"):
    listing(each)


def _instance_profile(world: World) -> Prepared:
    name = world.name("profile")
    return Prepared(
        ask=_ask("GetInstanceProfile", InstanceProfileName=name),
        needs=[("iam:GetInstanceProfile", world.entity_arn("instance-profile", name))],
        otherwise="NoSuchEntity",
    )


_add("GetInstanceProfile", "", _instance_profile)


# Roles

on_entity("role", "UpdateRole", _saying(Description="changed"))
on_entity("role", "UpdateRoleDescription", _saying(Description="changed"))
on_entity("role", "UpdateAssumeRolePolicy", lambda world, name: {"PolicyDocument": world.other_trust})


# Managed policies


def on_policy(operation: str, before: Before = lambda world, arn: {}) -> None:
    def prepare(world: World) -> Prepared:
        arn = world.policy()
        return Prepared(
            ask=_ask(operation, PolicyArn=arn, **before(world, arn)),
            needs=[(f"iam:{operation}", arn)],
            observe=None if _is_reading(operation) else world.state_of_policy(arn),
        )

    _add(operation, "", prepare)


def _second_version(world: World, arn: str) -> dict[str, Any]:
    made = world.iam.create_policy_version(PolicyArn=arn, PolicyDocument=POLICY)
    return {"VersionId": made["PolicyVersion"]["VersionId"]}


def _tagged_policy(world: World, arn: str) -> dict[str, Any]:
    world.iam.tag_policy(PolicyArn=arn, Tags=TAGS)
    return {"TagKeys": ["a"]}


def new_policy(variant: str = "", *actions: str, **parameters: Any) -> None:
    def prepare(world: World) -> Prepared:
        name = world.name("policy")
        arn = world.entity_arn("policy", name)
        return Prepared(
            ask=_ask("CreatePolicy", PolicyName=name, PolicyDocument=POLICY, **parameters),
            needs=[(f"iam:{action}", arn) for action in ("CreatePolicy", *actions)],
            observe=world.state_of_policy(arn),
        )

    _add("CreatePolicy", variant, prepare)


new_policy()
new_policy("tags", "TagPolicy", Tags=TAGS)
listing("ListPolicies")
on_policy("GetPolicy")
on_policy("DeletePolicy")
on_policy("CreatePolicyVersion", _saying(PolicyDocument=POLICY))
on_policy("GetPolicyVersion", _saying(VersionId="v1"))
on_policy("ListPolicyVersions")
on_policy("SetDefaultPolicyVersion", _second_version)
on_policy("DeletePolicyVersion", _second_version)
on_policy("ListEntitiesForPolicy")
on_policy("TagPolicy", _saying(Tags=TAGS))
on_policy("UntagPolicy", _tagged_policy)
on_policy("ListPolicyTags")


# The account as a whole, and simulations


def on_account(
    operation: str, before: Callable[[World], Mapping[str, Any]] = lambda world: {}, *, otherwise: str = ""
) -> None:
    def prepare(world: World) -> Prepared:
        return Prepared(
            ask=_ask(operation, **before(world)),
            needs=[(f"iam:{operation}", "*")],
            observe=(lambda: told(world.iam.list_account_aliases)) if operation.endswith("Alias") else None,
            otherwise=otherwise,
        )

    _add(operation, "", prepare)


def _alias(world: World) -> dict[str, Any]:
    return {"AccountAlias": world.name("alias")}


def _present_alias(world: World) -> dict[str, Any]:
    alias = _alias(world)
    world.iam.create_account_alias(**alias)
    return alias


on_account("CreateAccountAlias", _alias)
on_account("DeleteAccountAlias", _present_alias)
on_account("GetAccountPasswordPolicy", otherwise="NoSuchEntity")
# What is simulated is decided as well: here it is the operation's own action.
on_account(
    "SimulateCustomPolicy", lambda world: {"PolicyInputList": [POLICY], "ActionNames": ["iam:SimulateCustomPolicy"]}
)
on_account("GetContextKeysForCustomPolicy", lambda world: {"PolicyInputList": [POLICY]})
for each in (
    "GenerateCredentialReport",
    "GetAccountAuthorizationDetails",
    "GetAccountSummary",
    "GetCredentialReport",
    "ListAccountAliases",
):
    on_account(each)


def by_arn(operation: str, member: str = "PolicySourceArn", **members: Any) -> None:
    """An operation on the policies of a user, a group or a role."""
    for kind in ("group", "role", "user"):

        def prepare(world: World, kind: str = kind) -> Prepared:
            arn = world.entity_arn(kind, world.entity(kind))
            return Prepared(ask=_ask(operation, **{member: arn}, **members), needs=[(f"iam:{operation}", arn)])

        _add(operation, f"a {kind}", prepare)


by_arn("SimulatePrincipalPolicy", ActionNames=["iam:SimulatePrincipalPolicy"])
by_arn("GetContextKeysForPrincipalPolicy")
by_arn("ListPoliciesGrantingServiceAccess", "Arn", ServiceNamespaces=["s3"])
