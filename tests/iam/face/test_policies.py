"""Managed policies, their versions, and permissions boundaries: every operation, its answers and its refusals."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from iam.managed_policies import AWS_MANAGED
from iam.policy.document import PolicyKind
from iam.policy.parse import parse_policy
from iam.principals import PolicyText
from iam.store import StoreUnavailable
from tests.iam.face.identity_service import ACCOUNT, OTHER_ACCOUNT, POLICY, Client, allow, refusal

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
OTHER_POLICY = POLICY.replace("GetObject", "PutObject")


def make(client: Client, name: str = "own", **parameters: Any) -> str:
    return str(client.ask("CreatePolicy", PolicyName=name, PolicyDocument=POLICY, **parameters)["Policy"]["Arn"])


class TestPolicies:
    def test_a_policy_is_told_as_it_was_made(self, client: Client) -> None:
        tags = [{"Key": "k", "Value": "v"}]
        made = client.ask(
            "CreatePolicy", PolicyName="Own", Path="/a/b/", PolicyDocument=POLICY, Description="reads", Tags=tags
        )["Policy"]
        assert made["Arn"] == f"arn:aws:iam::{ACCOUNT.account_id}:policy/a/b/Own"
        assert (made["DefaultVersionId"], made["AttachmentCount"], made["IsAttachable"]) == ("v1", 0, True)
        assert (made.get("Description"), made["Tags"]) == (None, tags)
        assert client.ask("GetPolicy", PolicyArn=made["Arn"]) == {"Policy": {**made, "Description": "reads"}}
        version = client.ask("GetPolicyVersion", PolicyArn=made["Arn"], VersionId="v1")["PolicyVersion"]
        assert (unquote(version["Document"]), version["IsDefaultVersion"]) == (POLICY, True)
        told = refusal(client.ask, "CreatePolicy", PolicyName="OWN", PolicyDocument=POLICY)
        assert told == ("EntityAlreadyExists", "A policy called OWN already exists. Duplicate names are not allowed.")

    @pytest.mark.parametrize(
        ("arn", "code"),
        [
            (f"arn:aws:iam::{ACCOUNT.account_id}:policy/none", "NoSuchEntity"),
            (f"arn:aws:iam::{ACCOUNT.account_id}:policy/path/own", "NoSuchEntity"),
            (f"arn:aws:iam::{ACCOUNT.account_id}:policy/OWN", "NoSuchEntity"),
            (f"arn:aws:iam::{OTHER_ACCOUNT.account_id}:policy/own", "NoSuchEntity"),
            ("arn:aws:iam::aws:policy/own", "NoSuchEntity"),
            (f"arn:aws:iam::{ACCOUNT.account_id}:user/own", "InvalidInput"),
            ("x" * 20, "InvalidInput"),
            ("x", "ValidationError"),
        ],
    )
    def test_what_is_no_policy_of_the_account(self, client: Client, arn: str, code: str) -> None:
        make(client)
        client.ask("CreateUser", UserName="ann")
        for operation in ("GetPolicy", "DeletePolicy", "ListPolicyVersions", "ListEntitiesForPolicy"):
            assert refusal(client.ask, operation, PolicyArn=arn)[0] == code
        for operation in ("AttachUserPolicy", "DetachUserPolicy"):
            told = refusal(client.ask, operation, UserName="ann", PolicyArn=arn)[0]
            assert told == {"InvalidInput": "ValidationError"}.get(code, code)
        assert refusal(client.ask, "PutUserPermissionsBoundary", UserName="ann", PermissionsBoundary=arn)[0] == code
        assert refusal(client.ask, "CreateUser", UserName="bob", PermissionsBoundary=arn)[0] == code
        assert [user["UserName"] for user in client.ask("ListUsers")["Users"]] == ["ann"]

    def test_documents_are_policies_within_bounds(self, client: Client) -> None:
        arn = make(client)
        long = POLICY.replace("s3:GetObject", "s3:" + "x" * 6144)
        for document, code in (("{}", "MalformedPolicyDocument"), (long, "LimitExceeded")):
            assert refusal(client.ask, "CreatePolicy", PolicyName="new", PolicyDocument=document)[0] == code
            assert refusal(client.ask, "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=document)[0] == code
        assert len(client.ask("ListPolicies", Scope="Local")["Policies"]) == 1
        assert len(client.ask("ListPolicyVersions", PolicyArn=arn)["Versions"]) == 1

    def test_versions(self, client: Client) -> None:
        arn = make(client)
        made = client.ask("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=OTHER_POLICY)["PolicyVersion"]
        assert (made["VersionId"], made["IsDefaultVersion"]) == ("v2", False)
        client.ask("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=POLICY, SetAsDefault=True)
        assert client.ask("GetPolicy", PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v3"
        told = refusal(client.ask, "DeletePolicyVersion", PolicyArn=arn, VersionId="v3")
        assert told == ("DeleteConflict", "Cannot delete the default version of a policy.")
        client.ask("SetDefaultPolicyVersion", PolicyArn=arn, VersionId="v2")
        client.ask("DeletePolicyVersion", PolicyArn=arn, VersionId="v3")
        for _ in range(3):
            client.ask("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=POLICY)
        assert refusal(client.ask, "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=POLICY)[0] == "LimitExceeded"
        first = client.ask("ListPolicyVersions", PolicyArn=arn, MaxItems=3)
        second = client.ask("ListPolicyVersions", PolicyArn=arn, MaxItems=3, Marker=first["Marker"])
        listed = [(each["VersionId"], each["IsDefaultVersion"]) for each in first["Versions"] + second["Versions"]]
        assert listed == [("v6", False), ("v5", False), ("v4", False), ("v2", True), ("v1", False)]
        for operation in ("GetPolicyVersion", "SetDefaultPolicyVersion", "DeletePolicyVersion"):
            for version in ("v3", "v1.x", "v99999999999999999999"):
                told = refusal(client.ask, operation, PolicyArn=arn, VersionId=version)
                assert told == ("NoSuchEntity", f"Policy {arn} version {version} does not exist or is not attachable.")
            told = refusal(client.ask, operation, PolicyArn=f"{arn}er", VersionId="v1")
            assert told == ("NoSuchEntity", f"Policy {arn}er version v1 does not exist or is not attachable.")
            assert refusal(client.ask, operation, PolicyArn=arn, VersionId="1")[0] == "ValidationError"

    def test_a_policy_goes_when_nothing_needs_it(self, client: Client) -> None:
        arn = make(client)
        client.ask("CreateUser", UserName="ann", PermissionsBoundary=arn)
        client.ask("AttachUserPolicy", UserName="ann", PolicyArn=arn)
        attached = ("DeleteConflict", "Cannot delete a policy attached to entities.")
        assert refusal(client.ask, "DeletePolicy", PolicyArn=arn) == attached
        client.ask("DetachUserPolicy", UserName="ann", PolicyArn=arn)
        assert refusal(client.ask, "DeletePolicy", PolicyArn=arn) == attached
        client.ask("DeleteUserPermissionsBoundary", UserName="ann")
        client.ask("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=POLICY)
        code, message = refusal(client.ask, "DeletePolicy", PolicyArn=arn)
        assert code == "DeleteConflict"
        assert message.startswith("This policy has more than one version.")
        client.ask("DeletePolicyVersion", PolicyArn=arn, VersionId="v2")
        client.ask("DeletePolicy", PolicyArn=arn)
        assert refusal(client.ask, "GetPolicy", PolicyArn=arn) == ("NoSuchEntity", f"Policy {arn} was not found.")
        make(client)

    def test_listings(self, client: Client) -> None:
        for name, path in (("b", "/x/"), ("A", "/"), ("administratoraccess", "/")):
            make(client, name, Path=path)
        client.ask("CreateUser", UserName="ann", PermissionsBoundary=READ_ONLY)
        client.ask("AttachUserPolicy", UserName="ann", PolicyArn=ADMINISTRATOR)

        def listed(**parameters: Any) -> list[str]:
            found, more = [], {}
            while True:
                answer = client.ask("ListPolicies", MaxItems=2, **parameters, **more)
                found += [each["PolicyName"] for each in answer["Policies"]]
                if not answer["IsTruncated"]:
                    return found
                more = {"Marker": answer["Marker"]}

        own = ["A", "administratoraccess", "b"]
        assert listed(Scope="Local") == own
        assert sorted(listed(Scope="AWS") + own) == sorted(listed())
        assert len(listed()) == len(AWS_MANAGED) + 3
        assert listed(PathPrefix="/x/") == ["b"]
        assert listed(OnlyAttached=True) == ["AdministratorAccess"]
        assert listed(PolicyUsageFilter="PermissionsBoundary") == ["AmazonS3ReadOnlyAccess"]
        client.sign_in_as_root(OTHER_ACCOUNT)
        assert listed(Scope="Local") == listed(OnlyAttached=True) == []

    def test_tags(self, client: Client) -> None:
        """Their keys differ by case, unlike those of users and roles."""
        arn = make(client, Tags=[{"Key": "a", "Value": "1"}])
        client.ask("TagPolicy", PolicyArn=arn, Tags=[{"Key": "A", "Value": "2"}, {"Key": "b", "Value": ""}])
        client.ask("TagPolicy", PolicyArn=arn, Tags=[{"Key": "a", "Value": "3"}])
        told = [{"Key": "a", "Value": "3"}, {"Key": "A", "Value": "2"}, {"Key": "b", "Value": ""}]
        assert client.ask("ListPolicyTags", PolicyArn=arn)["Tags"] == told
        client.ask("UntagPolicy", PolicyArn=arn, TagKeys=["a", "B"])
        assert client.ask("GetPolicy", PolicyArn=arn)["Policy"]["Tags"] == told[1:]
        client.ask("UntagPolicy", PolicyArn=arn, TagKeys=["A", "b"])
        assert client.ask("GetPolicy", PolicyArn=arn)["Policy"]["Tags"] == []
        twice = refusal(client.ask, "TagPolicy", PolicyArn=arn, Tags=told[:1] * 2)
        assert twice == ("InvalidInput", "Duplicate tag keys found.")

    @pytest.mark.parametrize("arn", AWS_MANAGED)
    def test_policies_of_aws(self, client: Client, arn: str) -> None:
        policy = client.ask("GetPolicy", PolicyArn=arn)["Policy"]
        assert policy["Arn"] == arn
        versions = client.ask("ListPolicyVersions", PolicyArn=arn)["Versions"]
        assert [each["VersionId"] for each in versions] == [policy["DefaultVersionId"]]
        document = client.ask("GetPolicyVersion", PolicyArn=arn, VersionId=policy["DefaultVersionId"])
        parse_policy(unquote(document["PolicyVersion"]["Document"]), PolicyKind.IDENTITY)
        for operation, parameters in (
            ("CreatePolicyVersion", {"PolicyDocument": POLICY}),
            ("DeletePolicy", {}),
            ("DeletePolicyVersion", {"VersionId": "v1"}),
            ("SetDefaultPolicyVersion", {"VersionId": "v1"}),
            ("TagPolicy", {"Tags": []}),
            ("UntagPolicy", {"TagKeys": []}),
        ):
            assert refusal(client.ask, operation, PolicyArn=arn, **parameters)[0] == "AccessDenied"


class TestAttachments:
    def test_attached_policies_are_in_force(self, client: Client) -> None:
        arn = make(client)
        client.ask("CreateUser", UserName="ann", Path="/x/")
        client.ask("AttachUserPolicy", UserName="ann", PolicyArn=arn)
        client.ask("AttachUserPolicy", UserName="ann", PolicyArn=arn)
        client.ask("AttachUserPolicy", UserName="ann", PolicyArn=READ_ONLY)
        attached = [
            {"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyArn": READ_ONLY},
            {"PolicyName": "own", "PolicyArn": arn},
        ]
        assert client.ask("ListAttachedUserPolicies", UserName="ann")["AttachedPolicies"] == attached
        ann = client.store.user(ACCOUNT.account_id, "ann")
        entities = client.ask("ListEntitiesForPolicy", PolicyArn=arn)
        assert entities["PolicyUsers"] == [{"UserName": "ann", "UserId": ann.user_id}]
        for elsewhere in (
            {"EntityFilter": "Role"},
            {"PathPrefix": "/y/"},
            {"PolicyUsageFilter": "PermissionsBoundary"},
        ):
            assert client.ask("ListEntitiesForPolicy", PolicyArn=arn, **elsewhere)["PolicyUsers"] == []
        assert client.ask("GetPolicy", PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
        client.ask("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=OTHER_POLICY, SetAsDefault=True)
        client.sign_in("ann")
        read_only = AWS_MANAGED[READ_ONLY][1]
        in_force = {policy.name: policy.text for policy in client.policies.identity}
        assert in_force == {f"{arn} v2": OTHER_POLICY, f"{READ_ONLY} {read_only.version_id}": read_only.document}
        client.sign_in_as_root()
        told = refusal(client.ask, "DeleteUser", UserName="ann")
        assert told == ("DeleteConflict", "Cannot delete entity, must detach all policies first.")
        for each in (arn, READ_ONLY):
            client.ask("DetachUserPolicy", UserName="ann", PolicyArn=each)
        assert refusal(client.ask, "DetachUserPolicy", UserName="ann", PolicyArn=arn)[0] == "NoSuchEntity"
        client.ask("DeleteUser", UserName="ann")

    def test_ten_of_them(self, client: Client) -> None:
        client.ask("CreateUser", UserName="ann")
        arns = [make(client, f"p{number}") for number in range(11)]
        for arn in arns[:10]:
            client.ask("AttachUserPolicy", UserName="ann", PolicyArn=arn)
        told = refusal(client.ask, "AttachUserPolicy", UserName="ann", PolicyArn=arns[10])
        assert told == ("LimitExceeded", "Cannot exceed quota for PoliciesPerUser: 10")
        client.ask("AttachUserPolicy", UserName="ann", PolicyArn=arns[0])

    def test_what_may_be_attached_is_for_policies_to_say(self, client: Client) -> None:
        for name in ("ann", "bob"):
            client.ask("CreateUser", UserName=name)
        condition = {"ArnEquals": {"iam:PolicyARN": READ_ONLY}}
        allow(client, "ann", "iam:AttachUserPolicy", "iam:DetachUserPolicy", **condition)
        client.ask("AttachUserPolicy", UserName="bob", PolicyArn=READ_ONLY)
        client.ask("DetachUserPolicy", UserName="bob", PolicyArn=READ_ONLY)
        assert refusal(client.ask, "AttachUserPolicy", UserName="bob", PolicyArn=ADMINISTRATOR)[0] == "AccessDenied"

    def test_without_a_policy_that_is_attached_nobody_is_let_in(self, client: Client) -> None:
        arn = make(client)
        client.ask("CreateUser", UserName="ann")
        client.ask("AttachUserPolicy", UserName="ann", PolicyArn=arn)
        client.store._connection.execute("DELETE FROM policy")
        with pytest.raises(StoreUnavailable, match="missing"):
            client.sign_in("ann")


class TestBoundaries:
    def test_a_boundary_limits(self, client: Client) -> None:
        made = client.ask("CreateUser", UserName="ann", PermissionsBoundary=READ_ONLY)["User"]
        boundary = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": READ_ONLY}
        assert made["PermissionsBoundary"] == boundary
        assert client.ask("GetUser", UserName="ann")["User"] == made
        client.ask("AttachUserPolicy", UserName="ann", PolicyArn=ADMINISTRATOR)
        client.sign_in("ann")
        read_only = AWS_MANAGED[READ_ONLY][1]
        assert client.policies.boundary == PolicyText(f"{READ_ONLY} {read_only.version_id}", read_only.document)
        code, message = refusal(client.ask, "ListUsers")
        assert code == "AccessDenied"
        assert message.endswith("because no permissions boundary allows the iam:ListUsers action")
        client.sign_in_as_root()
        client.ask("PutUserPermissionsBoundary", UserName="ann", PermissionsBoundary=ADMINISTRATOR)
        client.sign_in("ann")
        client.ask("ListUsers")
        client.sign_in_as_root()
        client.ask("DeleteUserPermissionsBoundary", UserName="ann")
        assert "PermissionsBoundary" not in client.ask("GetUser", UserName="ann")["User"]

    def test_who_may_make_users_only_with_a_boundary(self, client: Client) -> None:
        client.ask("CreateUser", UserName="ann")
        condition = {"StringEquals": {"iam:PermissionsBoundary": READ_ONLY}}
        operations = ("CreateUser", "PutUserPolicy", "PutUserPermissionsBoundary")
        allow(client, "ann", *(f"iam:{each}" for each in operations), **condition)
        assert refusal(client.ask, "CreateUser", UserName="bob")[0] == "AccessDenied"
        refused = {"UserName": "bob", "PermissionsBoundary": ADMINISTRATOR}
        assert refusal(client.ask, "CreateUser", **refused)[0] == "AccessDenied"
        client.ask("CreateUser", UserName="bob", PermissionsBoundary=READ_ONLY)
        client.ask("PutUserPolicy", UserName="bob", PolicyName="p", PolicyDocument=POLICY)
        assert refusal(client.ask, "PutUserPermissionsBoundary", **refused)[0] == "AccessDenied"
        own = {"UserName": "ann", "PolicyName": "p", "PolicyDocument": POLICY}
        assert refusal(client.ask, "PutUserPolicy", **own)[0] == "AccessDenied"
