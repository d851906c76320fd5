"""Groups: every operation, its answers and its refusals."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from iam.entities import EntityKind
from tests.iam.face.identity_service import ACCOUNT, OTHER_ACCOUNT, POLICY, Client, refusal
from tests.iam.face.test_roles import trust

READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


def make(client: Client, name: str = "devs", *members: str, **parameters: Any) -> dict[str, Any]:
    made: dict[str, Any] = client.ask("CreateGroup", GroupName=name, **parameters)
    for member in members:
        client.ask("CreateUser", UserName=member)
        client.ask("AddUserToGroup", GroupName=name, UserName=member)
    return dict(made["Group"])


class TestGroups:
    def test_a_group_is_told_as_it_was_made(self, client: Client) -> None:
        made = make(client, "Devs", Path="/a/b/")
        assert made["Arn"] == f"arn:aws:iam::{ACCOUNT.account_id}:group/a/b/Devs"
        assert made["GroupId"].startswith("AGPA")
        assert len(made["GroupId"]) == 21
        assert client.ask("GetGroup", GroupName="DEVS") == {"Group": made, "Users": [], "IsTruncated": False}
        assert client.ask("ListGroups")["Groups"] == [made]
        told = refusal(client.ask, "CreateGroup", GroupName="DEVS")
        assert told == ("EntityAlreadyExists", "Group with name DEVS already exists.")
        client.ask("CreateUser", UserName="devs")
        client.ask("CreateRole", RoleName="devs", AssumeRolePolicyDocument=trust())

    def test_what_does_not_exist(self, client: Client) -> None:
        message = "The group with name nobody cannot be found."
        for operation in ("GetGroup", "DeleteGroup", "UpdateGroup", "ListGroupPolicies", "ListAttachedGroupPolicies"):
            assert refusal(client.ask, operation, GroupName="nobody") == ("NoSuchEntity", message)
        make(client)
        for operation in ("AddUserToGroup", "RemoveUserFromGroup"):
            told = refusal(client.ask, operation, GroupName="devs", UserName="nobody")
            assert told == ("NoSuchEntity", "The user with name nobody cannot be found.")
            told = refusal(client.ask, operation, GroupName="none", UserName="nobody")
            assert told == ("NoSuchEntity", "The user with name nobody cannot be found.")
        told = refusal(client.ask, "GetGroupPolicy", GroupName="devs", PolicyName="p")
        assert told == ("NoSuchEntity", "The group policy with name p cannot be found.")
        client.sign_in_as_root(OTHER_ACCOUNT)
        assert refusal(client.ask, "GetGroup", GroupName="devs")[0] == "NoSuchEntity"
        assert client.ask("ListGroups")["Groups"] == []

    def test_groups_are_paged_by_name_below_a_path(self, client: Client) -> None:
        for name, path in (("b", "/x/"), ("A", "/x/y/"), ("c", "/"), ("d", "/x/")):
            make(client, name, Path=path)
        first = client.ask("ListGroups", PathPrefix="/x/", MaxItems=2)
        second = client.ask("ListGroups", PathPrefix="/x/", MaxItems=2, Marker=first["Marker"])
        assert [group["GroupName"] for group in first["Groups"] + second["Groups"]] == ["A", "b", "d"]

    def test_a_renamed_group_keeps_its_members(self, client: Client) -> None:
        make(client, "devs", "ann")
        make(client, "ops")
        client.ask("UpdateGroup", GroupName="devs", NewGroupName="Crew", NewPath="/x/")
        assert [user["UserName"] for user in client.ask("GetGroup", GroupName="crew")["Users"]] == ["ann"]
        told = refusal(client.ask, "UpdateGroup", GroupName="crew", NewGroupName="OPS")
        assert told == ("EntityAlreadyExists", "Group with name OPS already exists.")

    def test_quotas(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        client.ask("CreateUser", UserName="ann")
        for number in range(11):
            make(client, f"g{number}")
            if number < 10:
                client.ask("AddUserToGroup", GroupName=f"g{number}", UserName="ann")
        told = refusal(client.ask, "AddUserToGroup", GroupName="g10", UserName="ann")
        assert told == ("LimitExceeded", "Cannot exceed quota for GroupsPerUser: 10")
        monkeypatch.setattr("iam.store.entities.MAX_ENTITIES", {EntityKind.GROUP: 11})
        told = refusal(client.ask, "CreateGroup", GroupName="new")
        assert told == ("LimitExceeded", "Cannot exceed quota for GroupsPerAccount: 300")
        long = POLICY.replace("GetObject", "x" * 5100)
        told = refusal(client.ask, "PutGroupPolicy", GroupName="g0", PolicyName="p", PolicyDocument=long)
        assert told == ("LimitExceeded", "Maximum policy size of 5120 bytes exceeded for group g0")


class TestMembers:
    def test_members_are_paged(self, client: Client) -> None:
        make(client, "devs", "c", "A", "b")
        first = client.ask("GetGroup", GroupName="devs", MaxItems=2)
        second = client.ask("GetGroup", GroupName="devs", MaxItems=2, Marker=first["Marker"])
        assert [user["UserName"] for user in first["Users"] + second["Users"]] == ["A", "b", "c"]
        assert first["Group"] == second["Group"]
        make(client, "ops")
        client.ask("AddUserToGroup", GroupName="ops", UserName="b")
        groups = client.ask("ListGroupsForUser", UserName="b", MaxItems=1)
        assert ([each["GroupName"] for each in groups["Groups"]], groups["IsTruncated"]) == (["devs"], True)

    def test_twice_is_once(self, client: Client) -> None:
        make(client, "devs", "ann")
        client.ask("AddUserToGroup", GroupName="devs", UserName="ANN")
        assert len(client.ask("GetGroup", GroupName="devs")["Users"]) == 1
        for _ in range(2):
            client.ask("RemoveUserFromGroup", GroupName="devs", UserName="ann")
        assert client.ask("ListGroupsForUser", UserName="ann")["Groups"] == []

    def test_a_member_may_do_what_its_group_may(self, client: Client) -> None:
        make(client, "devs", "ann")
        document = POLICY.replace("s3:GetObject", "iam:ListUsers")
        client.ask("PutGroupPolicy", GroupName="devs", PolicyName="p", PolicyDocument=document)
        client.sign_in("ann")
        client.ask("ListUsers")
        client.sign_in_as_root()
        client.ask("PutUserPermissionsBoundary", UserName="ann", PermissionsBoundary=READ_ONLY)
        client.sign_in("ann")
        code, message = refusal(client.ask, "ListUsers")
        assert code == "AccessDenied"
        assert message.endswith("because no permissions boundary allows the iam:ListUsers action")

    def test_neither_goes_while_one_is_in_the_other(self, client: Client) -> None:
        make(client, "devs", "ann")
        told = ("DeleteConflict", "Cannot delete entity, must remove users from group first.")
        assert refusal(client.ask, "DeleteGroup", GroupName="devs") == told
        assert refusal(client.ask, "DeleteUser", UserName="ann") == told
        client.ask("RemoveUserFromGroup", GroupName="devs", UserName="ann")
        client.ask("DeleteGroup", GroupName="devs")
        client.ask("DeleteUser", UserName="ann")


class TestPolicies:
    def test_inline_and_attached_policies(self, client: Client) -> None:
        group = make(client)
        client.ask("PutGroupPolicy", GroupName="devs", PolicyName="p", PolicyDocument=POLICY)
        told = client.ask("GetGroupPolicy", GroupName="Devs", PolicyName="p")
        assert (told["GroupName"], told["PolicyName"], unquote(told["PolicyDocument"])) == ("devs", "p", POLICY)
        assert client.ask("ListGroupPolicies", GroupName="devs")["PolicyNames"] == ["p"]
        client.ask("AttachGroupPolicy", GroupName="devs", PolicyArn=READ_ONLY)
        attached = client.ask("ListAttachedGroupPolicies", GroupName="devs")["AttachedPolicies"]
        assert attached == [{"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyArn": READ_ONLY}]
        assert client.ask("GetPolicy", PolicyArn=READ_ONLY)["Policy"]["AttachmentCount"] == 1
        entities = client.ask("ListEntitiesForPolicy", PolicyArn=READ_ONLY, EntityFilter="Group")
        assert entities["PolicyGroups"] == [{"GroupName": "devs", "GroupId": group["GroupId"]}]
        listed = client.ask("ListPolicies", OnlyAttached=True)["Policies"]
        assert [policy["PolicyName"] for policy in listed] == ["AmazonS3ReadOnlyAccess"]
        for operation, parameters, first in (
            ("DeleteGroupPolicy", {"PolicyName": "p"}, "delete policies"),
            ("DetachGroupPolicy", {"PolicyArn": READ_ONLY}, "detach all policies"),
        ):
            told = refusal(client.ask, "DeleteGroup", GroupName="devs")
            assert told == ("DeleteConflict", f"Cannot delete entity, must {first} first.")
            client.ask(operation, GroupName="devs", **parameters)
        client.ask("DeleteGroup", GroupName="devs")

    def test_a_policy_that_all_kinds_have(self, client: Client) -> None:
        make(client, "same", "same")
        client.ask("CreateRole", RoleName="same", AssumeRolePolicyDocument=trust())
        for kind in ("Group", "Role", "User"):
            client.ask(f"Attach{kind}Policy", **{f"{kind}Name": "same"}, PolicyArn=READ_ONLY)
        assert client.ask("GetPolicy", PolicyArn=READ_ONLY)["Policy"]["AttachmentCount"] == 3
        found, more = [], {}
        while True:
            answer = client.ask("ListEntitiesForPolicy", PolicyArn=READ_ONLY, MaxItems=1, **more)
            found += [kind for kind in ("Group", "Role", "User") if answer[f"Policy{kind}s"]]
            if not answer["IsTruncated"]:
                break
            more = {"Marker": answer["Marker"]}
        assert found == ["Group", "Role", "User"]
