"""Roles: every operation, its answers and its refusals."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from iam.entities import EntityKind
from tests.iam.face.identity_service import ACCOUNT, OTHER_ACCOUNT, POLICY, Client, allow, refusal

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


def trust(principal: object = None, action: object = "sts:AssumeRole", **elements: object) -> str:
    statement = {"Effect": "Allow", "Principal": principal or {"AWS": ACCOUNT.account_id}, "Action": action, **elements}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def make(client: Client, name: str = "role", **parameters: Any) -> dict[str, Any]:
    document = parameters.pop("AssumeRolePolicyDocument", trust())
    made: dict[str, Any] = client.ask("CreateRole", RoleName=name, AssumeRolePolicyDocument=document, **parameters)
    return dict(made["Role"])


class TestRoles:
    def test_a_role_is_told_as_it_was_made(self, client: Client) -> None:
        tags = [{"Key": "k", "Value": "v"}]
        made = make(
            client,
            "Role",
            Path="/a/b/",
            Description="for é",
            MaxSessionDuration=43200,
            PermissionsBoundary=READ_ONLY,
            Tags=tags,
        )
        assert made["Arn"] == f"arn:aws:iam::{ACCOUNT.account_id}:role/a/b/Role"
        assert made["RoleId"].startswith("AROA")
        assert len(made["RoleId"]) == 21
        assert "+" not in made["AssumeRolePolicyDocument"]
        assert unquote(made["AssumeRolePolicyDocument"]) == trust()
        assert made["PermissionsBoundary"]["PermissionsBoundaryArn"] == READ_ONLY
        assert made["Tags"] == tags
        assert not {"Description", "MaxSessionDuration", "RoleLastUsed"} & set(made)
        whole = {**made, "Description": "for é", "MaxSessionDuration": 43200, "RoleLastUsed": {}}
        assert client.ask("GetRole", RoleName="ROLE") == {"Role": whole}
        told = refusal(client.ask, "CreateRole", RoleName="ROLE", AssumeRolePolicyDocument=trust())
        assert told == ("EntityAlreadyExists", "Role with name ROLE already exists.")
        left_out = {"PermissionsBoundary", "Tags", "RoleLastUsed"}
        listed = {name: value for name, value in whole.items() if name not in left_out}
        assert client.ask("ListRoles")["Roles"] == [listed]

    def test_what_is_left_out(self, client: Client) -> None:
        make(client)
        told = client.ask("GetRole", RoleName="role")["Role"]
        assert (told["Path"], told["MaxSessionDuration"]) == ("/", 3600)
        assert not {"Description", "PermissionsBoundary", "Tags"} & set(told)

    @pytest.mark.parametrize(
        ("document", "message"),
        [
            ("{", "This policy contains invalid Json"),
            (trust(action="s3:GetObject"), "AssumeRole policy may only specify STS AssumeRole actions."),
            (trust(action="*"), "AssumeRole policy may only specify STS AssumeRole actions."),
            (trust(Resource="*"), "Has prohibited field Resource"),
            (trust("*"), 'AssumeRolepolicy contained an invalid principal: "STAR":"*".'),
            (trust({"AWS": "ann"}), 'Invalid principal in policy: "AWS":"ann"'),
            (trust({"AWS": "100000000000"}), 'Invalid principal in policy: "AWS":"100000000000"'),
            (trust().replace("Principal", "Other"), "Unknown field Other"),
            (POLICY, "Missing required field Principal"),
        ],
    )
    def test_what_is_no_trust_policy(self, client: Client, document: str, message: str) -> None:
        told = refusal(client.ask, "CreateRole", RoleName="new", AssumeRolePolicyDocument=document)
        assert told == ("MalformedPolicyDocument", message)
        make(client)
        told = refusal(client.ask, "UpdateAssumeRolePolicy", RoleName="role", PolicyDocument=document)
        assert told == ("MalformedPolicyDocument", message)
        assert [role["RoleName"] for role in client.ask("ListRoles")["Roles"]] == ["role"]

    def test_trust_policies_are_bounded(self, client: Client) -> None:
        long = trust(Sid="x" * 2048)
        told = refusal(client.ask, "CreateRole", RoleName="role", AssumeRolePolicyDocument=long)
        assert told == ("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048")
        make(client, AssumeRolePolicyDocument=trust() + " " * 4096)

    def test_changes(self, client: Client) -> None:
        make(client, Description="old")
        client.ask("UpdateRole", RoleName="role", MaxSessionDuration=7200)
        client.ask("UpdateAssumeRolePolicy", RoleName="role", PolicyDocument=trust(action="sts:*"))
        told = client.ask("UpdateRoleDescription", RoleName="role", Description="new")["Role"]
        assert told["Description"] == "new"
        assert unquote(told["AssumeRolePolicyDocument"]) == trust(action="sts:*")
        assert not {"MaxSessionDuration", "RoleLastUsed"} & set(told)
        assert client.ask("GetRole", RoleName="role")["Role"]["MaxSessionDuration"] == 7200
        client.ask("UpdateRole", RoleName="role", Description="")
        assert "Description" not in client.ask("GetRole", RoleName="role")["Role"]
        for seconds in (3599, 43201):
            assert (
                refusal(client.ask, "UpdateRole", RoleName="role", MaxSessionDuration=seconds)[0] == "ValidationError"
            )
        told = refusal(client.ask, "UpdateRole", RoleName="role", MaxSigninSessionDuration=3600)
        assert told == ("NotImplemented", "MaxSigninSessionDuration is not supported.")

    def test_what_does_not_exist(self, client: Client) -> None:
        message = "The role with name nobody cannot be found."
        for operation in ("GetRole", "DeleteRole", "ListRoleTags", "ListRolePolicies", "DeleteRolePermissionsBoundary"):
            assert refusal(client.ask, operation, RoleName="nobody") == ("NoSuchEntity", message)
        make(client)
        told = refusal(client.ask, "GetRolePolicy", RoleName="role", PolicyName="p")
        assert told == ("NoSuchEntity", "The role policy with name p cannot be found.")
        told = refusal(client.ask, "DetachRolePolicy", RoleName="role", PolicyArn=READ_ONLY)
        assert told == ("NoSuchEntity", f"Policy {READ_ONLY} was not found.")
        client.sign_in_as_root(OTHER_ACCOUNT)
        assert refusal(client.ask, "GetRole", RoleName="role")[0] == "NoSuchEntity"
        assert client.ask("ListRoles")["Roles"] == []

    def test_roles_are_paged_by_name_below_a_path(self, client: Client) -> None:
        for name, path in (("b", "/x/"), ("A", "/x/y/"), ("c", "/"), ("d", "/x/")):
            make(client, name, Path=path)
        first = client.ask("ListRoles", PathPrefix="/x/", MaxItems=2)
        second = client.ask("ListRoles", PathPrefix="/x/", MaxItems=2, Marker=first["Marker"])
        assert [role["RoleName"] for role in first["Roles"] + second["Roles"]] == ["A", "b", "d"]
        assert not second["IsTruncated"]

    def test_an_account_is_bounded(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("iam.store.entities.MAX_ENTITIES", {EntityKind.ROLE: 1})
        make(client)
        told = refusal(client.ask, "CreateRole", RoleName="another", AssumeRolePolicyDocument=trust())
        assert told == ("LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000")

    def test_tags(self, client: Client) -> None:
        make(client, Tags=[{"Key": "a", "Value": "1"}])
        client.ask("TagRole", RoleName="role", Tags=[{"Key": "A", "Value": "2"}, {"Key": "b", "Value": ""}])
        told = [{"Key": "A", "Value": "2"}, {"Key": "b", "Value": ""}]
        assert client.ask("ListRoleTags", RoleName="role")["Tags"] == told
        client.ask("UntagRole", RoleName="role", TagKeys=["a"])
        assert client.ask("GetRole", RoleName="role")["Role"]["Tags"] == told[1:]


class TestPolicies:
    def test_inline_policies(self, client: Client) -> None:
        make(client)
        client.ask("PutRolePolicy", RoleName="role", PolicyName="p", PolicyDocument=POLICY)
        told = client.ask("GetRolePolicy", RoleName="Role", PolicyName="p")
        assert (told["RoleName"], told["PolicyName"], unquote(told["PolicyDocument"])) == ("role", "p", POLICY)
        assert client.ask("ListRolePolicies", RoleName="role")["PolicyNames"] == ["p"]
        for document, code, message in (
            (trust(), "MalformedPolicyDocument", "Policy document should not specify a principal."),
            (
                POLICY.replace("GetObject", "x" * 10200),
                "LimitExceeded",
                "Maximum policy size of 10240 bytes exceeded for role role",
            ),
        ):
            told = refusal(client.ask, "PutRolePolicy", RoleName="role", PolicyName="q", PolicyDocument=document)
            assert told == (code, message)
        told = refusal(client.ask, "DeleteRole", RoleName="role")
        assert told == ("DeleteConflict", "Cannot delete entity, must delete policies first.")
        client.ask("DeleteRolePolicy", RoleName="role", PolicyName="p")
        client.ask("DeleteRole", RoleName="role")

    def test_attached_policies(self, client: Client) -> None:
        role = make(client, Path="/x/", PermissionsBoundary=READ_ONLY)
        client.ask("CreateUser", UserName="role", Path="/x/")
        for kind in ("User", "Role"):
            client.ask(f"Attach{kind}Policy", **{f"{kind}Name": "role"}, PolicyArn=READ_ONLY)
        attached = client.ask("ListAttachedRolePolicies", RoleName="role")["AttachedPolicies"]
        assert attached == [{"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyArn": READ_ONLY}]
        told = client.ask("GetPolicy", PolicyArn=READ_ONLY)["Policy"]
        assert (told["AttachmentCount"], told["PermissionsBoundaryUsageCount"]) == (2, 1)
        roles = [{"RoleName": "role", "RoleId": role["RoleId"]}]
        ask = {"PolicyArn": READ_ONLY}
        entities = client.ask("ListEntitiesForPolicy", **ask)
        assert entities["PolicyRoles"] == roles
        assert [user["UserName"] for user in entities["PolicyUsers"]] == ["role"]
        entities = client.ask("ListEntitiesForPolicy", EntityFilter="Role", PathPrefix="/x/", **ask)
        assert (entities["PolicyRoles"], entities["PolicyUsers"], entities["PolicyGroups"]) == (roles, [], [])
        entities = client.ask("ListEntitiesForPolicy", PolicyUsageFilter="PermissionsBoundary", **ask)
        assert (entities["PolicyRoles"], entities["PolicyUsers"]) == (roles, [])
        first = client.ask("ListEntitiesForPolicy", MaxItems=1, **ask)
        second = client.ask("ListEntitiesForPolicy", MaxItems=1, Marker=first["Marker"], **ask)
        assert [first["IsTruncated"], second["IsTruncated"]] == [True, False]
        assert first["PolicyRoles"] + second["PolicyRoles"] == roles
        assert len(first["PolicyUsers"] + second["PolicyUsers"]) == 1
        told = refusal(client.ask, "DeleteRole", RoleName="role")
        assert told == ("DeleteConflict", "Cannot delete entity, must detach all policies first.")

    def test_ten_of_them(self, client: Client) -> None:
        make(client)
        for number in range(11):
            made = client.ask("CreatePolicy", PolicyName=f"p{number}", PolicyDocument=POLICY)["Policy"]["Arn"]
            if number < 10:
                client.ask("AttachRolePolicy", RoleName="role", PolicyArn=made)
        told = refusal(client.ask, "AttachRolePolicy", RoleName="role", PolicyArn=made)
        assert told == ("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10")

    def test_boundaries(self, client: Client) -> None:
        make(client)
        absent = f"arn:aws:iam::{ACCOUNT.account_id}:policy/none"
        missing = ("NoSuchEntity", f"Scope ARN: {absent} does not exist or is not attachable.")
        ask = {"RoleName": "role", "PermissionsBoundary": absent}
        assert refusal(client.ask, "PutRolePermissionsBoundary", **ask) == missing
        ask = {"RoleName": "new", "AssumeRolePolicyDocument": trust(), "PermissionsBoundary": absent}
        assert refusal(client.ask, "CreateRole", **ask) == missing
        client.ask("PutRolePermissionsBoundary", RoleName="role", PermissionsBoundary=READ_ONLY)
        told = client.ask("GetRole", RoleName="role")["Role"]["PermissionsBoundary"]
        assert told == {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": READ_ONLY}
        client.ask("DeleteRolePermissionsBoundary", RoleName="role")
        assert "PermissionsBoundary" not in client.ask("GetRole", RoleName="role")["Role"]


class TestConditions:
    def test_who_may_make_roles_only_with_a_boundary(self, client: Client) -> None:
        client.ask("CreateUser", UserName="ann")
        operations = ("CreateRole", "PutRolePolicy", "AttachRolePolicy")
        bounded = {"StringEquals": {"iam:PermissionsBoundary": READ_ONLY}}
        make(client, "free")
        allow(client, "ann", *(f"iam:{each}" for each in operations), **bounded)
        ask = {"RoleName": "new", "AssumeRolePolicyDocument": trust()}
        code, message = refusal(client.ask, "CreateRole", **ask)
        assert code == "AccessDenied"
        assert "role/new because no identity-based policy allows the iam:CreateRole" in message
        client.ask("CreateRole", PermissionsBoundary=READ_ONLY, **ask)
        client.ask("AttachRolePolicy", RoleName="new", PolicyArn=ADMINISTRATOR)
        code, message = refusal(client.ask, "AttachRolePolicy", RoleName="free", PolicyArn=ADMINISTRATOR)
        assert (code, "on resource: role free because" in message) == ("AccessDenied", True)

    def test_tags_and_policies_are_asked_for(self, client: Client) -> None:
        client.ask("CreateUser", UserName="ann")
        make(client, "blue", Tags=[{"Key": "team", "Value": "blue"}])
        make(client, "red", Tags=[{"Key": "team", "Value": "red"}])
        for prefix in ("aws", "iam"):
            allow(client, "ann", "iam:GetRole", StringEquals={f"{prefix}:ResourceTag/team": "blue"})
            client.ask("GetRole", RoleName="blue")
            assert refusal(client.ask, "GetRole", RoleName="red")[0] == "AccessDenied"
        allow(client, "ann", "iam:AttachRolePolicy", ArnEquals={"iam:PolicyARN": READ_ONLY})
        client.ask("AttachRolePolicy", RoleName="red", PolicyArn=READ_ONLY)
        assert refusal(client.ask, "AttachRolePolicy", RoleName="red", PolicyArn=ADMINISTRATOR)[0] == "AccessDenied"
        condition = {
            "StringEquals": {"aws:RequestTag/team": "blue"},
            "ForAllValues:StringEquals": {"aws:TagKeys": "team"},
        }
        allow(client, "ann", "iam:CreateRole", "iam:TagRole", **condition)
        blue = {"Key": "team", "Value": "blue"}
        make(client, "new", Tags=[blue])
        for tags in ([], [{"Key": "team", "Value": "red"}], [blue, {"Key": "other", "Value": ""}]):
            refused = {"RoleName": "newer", "AssumeRolePolicyDocument": trust(), "Tags": tags}
            assert refusal(client.ask, "CreateRole", **refused)[0] == "AccessDenied"
        client.ask("TagRole", RoleName="red", Tags=[blue])
