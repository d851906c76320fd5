"""Users, their policies, keys and tags: every operation, its answers and its refusals."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from iam.entities import EntityKind
from iam.principals import PolicyText
from tests.iam.face.identity_service import ACCOUNT, OTHER_ACCOUNT, POLICY, Client, allow, refusal


def names(answer: Any) -> list[str]:
    return [each["UserName"] for each in answer["Users"]]


class TestUsers:
    def test_a_user_is_told_as_it_was_made(self, client: Client) -> None:
        tags = [{"Key": "team", "Value": "blue"}, {"Key": "Ort", "Value": ""}]
        made = client.ask("CreateUser", UserName="Ann", Path="/a/b/", Tags=tags)["User"]
        assert made["Arn"] == f"arn:aws:iam::{ACCOUNT.account_id}:user/a/b/Ann"
        assert made["UserId"].startswith("AIDA")
        assert made["Tags"] == tags
        assert client.ask("GetUser", UserName="ann") == {"User": made}
        listed = client.ask("ListUsers")
        del made["Tags"]
        assert listed == {"Users": [made], "IsTruncated": False}

    def test_the_caller_is_the_user_that_is_not_named(self, client: Client) -> None:
        root = client.ask("GetUser")["User"]
        assert root == {
            "UserId": ACCOUNT.account_id,
            "Arn": f"arn:aws:iam::{ACCOUNT.account_id}:root",
            "CreateDate": "2017-07-14T02:40:00Z",
        }
        client.ask("CreateUser", UserName="ann")
        allow(client, "ann", "iam:GetUser", on="arn:aws:iam::*:user/${aws:username}")
        assert client.ask("GetUser")["User"]["UserName"] == "ann"
        assert client.ask("GetCallerIdentity")["Arn"] == client.principal.arn

    def test_names_are_taken_whatever_their_case(self, client: Client) -> None:
        client.ask("CreateUser", UserName="ann")
        told = refusal(client.ask, "CreateUser", UserName="ANN")
        assert told == ("EntityAlreadyExists", "User with name ANN already exists.")
        client.sign_in_as_root(OTHER_ACCOUNT)
        client.ask("CreateUser", UserName="ann")

    @pytest.mark.parametrize("operation", ["GetUser", "DeleteUser", "UpdateUser", "ListUserTags", "ListAccessKeys"])
    def test_who_does_not_exist(self, client: Client, operation: str) -> None:
        told = refusal(client.ask, operation, UserName="bob")
        assert told == ("NoSuchEntity", "The user with name bob cannot be found.")

    def test_users_of_other_accounts_do_not_exist(self, client: Client) -> None:
        client.ask("CreateUser", UserName="ann")
        client.sign_in_as_root(OTHER_ACCOUNT)
        assert refusal(client.ask, "GetUser", UserName="ann")[0] == "NoSuchEntity"
        assert client.ask("ListUsers")["Users"] == []

    def test_pages_joined_are_all_users_of_a_path(self, client: Client) -> None:
        for name in ("d", "B", "a", "c", "e"):
            client.ask("CreateUser", UserName=name, Path="/x/")
        client.ask("CreateUser", UserName="elsewhere", Path="/y/")
        found, more = [], {}
        while True:
            answer = client.ask("ListUsers", PathPrefix="/x", MaxItems=2, **more)
            found += names(answer)
            assert len(answer["Users"]) <= 2
            if not answer["IsTruncated"]:
                break
            more = {"Marker": answer["Marker"]}
            client.ask("DeleteUser", UserName=found[0])  # what is gone moves no page
            client.ask("CreateUser", UserName=found[0], Path="/x/")
        assert "Marker" not in answer
        assert found == ["a", "B", "c", "d", "e"]
        assert names(client.ask("ListUsers")) == [*found, "elsewhere"]
        assert refusal(client.ask, "ListUsers", Marker="~") == ("ValidationError", "Invalid Marker.")

    def test_a_user_is_renamed_with_all_that_it_has(self, client: Client) -> None:
        made = client.ask("CreateUser", UserName="ann", Tags=[{"Key": "k", "Value": "v"}])["User"]
        key = client.ask("CreateAccessKey", UserName="ann")["AccessKey"]["AccessKeyId"]
        client.ask("PutUserPolicy", UserName="ann", PolicyName="p", PolicyDocument=POLICY)
        client.ask("CreateUser", UserName="bob")
        assert refusal(client.ask, "UpdateUser", UserName="ann", NewUserName="Bob")[0] == "EntityAlreadyExists"
        client.ask("UpdateUser", UserName="ann", NewUserName="Carl", NewPath="/p/")
        carl = client.ask("GetUser", UserName="carl")["User"]
        assert carl["UserId"] == made["UserId"]
        assert (carl["Arn"], carl["Tags"]) == (f"arn:aws:iam::{ACCOUNT.account_id}:user/p/Carl", made["Tags"])
        credential = client.store.find_credential(key)
        assert credential is not None
        assert credential.principal.arn == carl["Arn"]
        assert credential.policies.identity == (PolicyText("user Carl policy p", POLICY),)
        client.ask("UpdateUser", UserName="carl", NewUserName="CARL")
        assert client.ask("GetUser", UserName="carl")["User"]["UserName"] == "CARL"

    def test_renaming_needs_both_names(self, client: Client) -> None:
        for name in ("ann", "bob"):
            client.ask("CreateUser", UserName=name)
        allow(client, "ann", "iam:UpdateUser", on="arn:aws:iam::*:user/bob")
        code, message = refusal(client.ask, "UpdateUser", UserName="bob", NewUserName="carl")
        assert code == "AccessDenied"
        assert f"on resource: arn:aws:iam::{ACCOUNT.account_id}:user/carl because" in message
        client.ask("UpdateUser", UserName="bob")

    def test_a_user_goes_when_nothing_is_left_of_it(self, client: Client) -> None:
        client.ask("CreateUser", UserName="ann")
        key = client.ask("CreateAccessKey", UserName="ann")["AccessKey"]["AccessKeyId"]
        client.ask("PutUserPolicy", UserName="ann", PolicyName="p", PolicyDocument=POLICY)
        for left, delete in (
            ("access keys", {"operation": "DeleteAccessKey", "AccessKeyId": key}),
            ("policies", {"operation": "DeleteUserPolicy", "PolicyName": "p"}),
        ):
            told = refusal(client.ask, "DeleteUser", UserName="ann")
            assert told == ("DeleteConflict", f"Cannot delete entity, must delete {left} first.")
            client.ask(UserName="ann", **delete)
        client.ask("DeleteUser", UserName="ann")
        assert refusal(client.ask, "GetUser", UserName="ann")[0] == "NoSuchEntity"

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            (
                {"UserName": "a b"},
                "The specified value for userName is invalid. It must contain only alphanumeric characters and/or the "
                "following: +=,.@_-",
            ),
            (
                {"UserName": "é"},
                "The specified value for userName is invalid. It must contain only alphanumeric characters and/or the "
                "following: +=,.@_-",
            ),
            (
                {"UserName": "a", "Path": "x/"},
                "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric "
                "characters and/or / characters.",
            ),
            (
                {"UserName": "n" * 65},
                "1 validation error detected: Value at 'userName' failed to satisfy constraint: Member "
                "must have length less than or equal to 64",
            ),
            (
                {"UserName": "a", "Tags": [{"Key": "a!", "Value": ""}]},
                "1 validation error detected: Value at 'tags.1.member.key' failed to satisfy constraint: Member "
                r"must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+",
            ),
        ],
    )
    def test_what_a_user_cannot_be(self, client: Client, parameters: dict[str, Any], message: str) -> None:
        assert refusal(client.ask, "CreateUser", **parameters) == ("ValidationError", message)
        assert client.ask("ListUsers")["Users"] == []

    def test_an_account_is_bounded(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("iam.store.entities.MAX_ENTITIES", {EntityKind.USER: 1})
        client.ask("CreateUser", UserName="ann")
        told = refusal(client.ask, "CreateUser", UserName="bob")
        assert told == ("LimitExceeded", "Cannot exceed quota for UsersPerAccount: 5000")


class TestTags:
    def test_tags_are_set_replaced_and_removed(self, client: Client) -> None:
        client.ask("CreateUser", UserName="ann", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        client.ask("TagUser", UserName="ann", Tags=[{"Key": "A", "Value": "3"}, {"Key": "ü b", "Value": "4"}])
        told = [{"Key": "A", "Value": "3"}, {"Key": "b", "Value": "2"}, {"Key": "ü b", "Value": "4"}]
        assert client.ask("ListUserTags", UserName="ann") == {"Tags": told, "IsTruncated": False}
        client.ask("UntagUser", UserName="ann", TagKeys=["B", "none"])
        first = client.ask("ListUserTags", UserName="ann", MaxItems=1)
        assert first["IsTruncated"]
        second = client.ask("ListUserTags", UserName="ann", MaxItems=1, Marker=first["Marker"])
        assert first["Tags"] + second["Tags"] == [told[0], told[2]]
        assert not second["IsTruncated"]

    def test_what_tags_cannot_be(self, client: Client) -> None:
        twice = [{"Key": "k", "Value": "1"}, {"Key": "K", "Value": "2"}]
        assert refusal(client.ask, "CreateUser", UserName="ann", Tags=twice)[0] == "InvalidInput"
        client.ask("CreateUser", UserName="ann")
        for tags in (twice, [{"Key": "aws:x", "Value": ""}]):
            assert refusal(client.ask, "TagUser", UserName="ann", Tags=tags)[0] == "InvalidInput"
        many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
        client.ask("TagUser", UserName="ann", Tags=many)
        told = refusal(client.ask, "TagUser", UserName="ann", Tags=[{"Key": "one more", "Value": ""}])
        assert told == ("LimitExceeded", "The number of tags has reached the maximum limit.")
        client.ask("TagUser", UserName="ann", Tags=[{"Key": "K0", "Value": "new"}])
        assert refusal(client.ask, "TagUser", UserName="ann", Tags=[*many, many[0]])[0] == "ValidationError"

    def test_policies_ask_for_tags(self, client: Client) -> None:
        for name, team in (("ann", "blue"), ("bob", "blue"), ("carl", "red")):
            client.ask("CreateUser", UserName=name, Tags=[{"Key": "Team", "Value": team}])
        same = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
        allow(client, "ann", "iam:GetUser", **same)
        client.ask("GetUser", UserName="bob")
        assert refusal(client.ask, "GetUser", UserName="carl")[0] == "AccessDenied"
        requested = {"StringEquals": {"aws:RequestTag/team": "blue"}}
        allow(client, "ann", "iam:CreateUser", "iam:TagUser", **requested)
        assert refusal(client.ask, "CreateUser", UserName="dora")[0] == "AccessDenied"
        client.ask("CreateUser", UserName="dora", Tags=[{"Key": "team", "Value": "blue"}])
        keys = {"ForAllValues:StringEquals": {"aws:TagKeys": ["free"]}}
        allow(client, "ann", "iam:TagUser", "iam:UntagUser", **keys)
        client.ask("TagUser", UserName="bob", Tags=[{"Key": "free", "Value": ""}])
        assert refusal(client.ask, "UntagUser", UserName="bob", TagKeys=["Team", "free"])[0] == "AccessDenied"
        client.ask("UntagUser", UserName="bob", TagKeys=["free"])


class TestPolicies:
    def test_a_policy_is_told_as_it_was_given(self, client: Client) -> None:
        client.ask("CreateUser", UserName="ann")
        document = f" {POLICY}\n"
        client.ask("PutUserPolicy", UserName="ann", PolicyName="q", PolicyDocument=POLICY)
        client.ask("PutUserPolicy", UserName="ann", PolicyName="p", PolicyDocument=document)
        told = client.ask("GetUserPolicy", UserName="ANN", PolicyName="p")
        assert (told["UserName"], told["PolicyName"]) == ("ann", "p")
        assert unquote(told["PolicyDocument"]) == document
        assert not set(told["PolicyDocument"]) & set(' "{}/')
        assert client.ask("ListUserPolicies", UserName="ann")["PolicyNames"] == ["p", "q"]
        client.ask("DeleteUserPolicy", UserName="ann", PolicyName="p")
        for operation in ("GetUserPolicy", "DeleteUserPolicy"):
            told = refusal(client.ask, operation, UserName="ann", PolicyName="p")
            assert told == ("NoSuchEntity", "The user policy with name p cannot be found.")

    @pytest.mark.parametrize(
        ("document", "refused"),
        [
            ("{", ("MalformedPolicyDocument", "Syntax errors in policy.")),
            (
                POLICY.replace('"Effect"', '"Principal":"*","Effect"'),
                ("MalformedPolicyDocument", "Policy document should not specify a principal."),
            ),
            (
                POLICY.replace("s3:GetObject", "s3:" + "x" * 2048),
                ("LimitExceeded", "Maximum policy size of 2048 bytes exceeded for user ann"),
            ),
        ],
    )
    def test_what_a_policy_cannot_be(self, client: Client, document: str, refused: tuple[str, str]) -> None:
        client.ask("CreateUser", UserName="ann")
        assert refusal(client.ask, "PutUserPolicy", UserName="ann", PolicyName="p", PolicyDocument=document) == refused
        assert client.ask("ListUserPolicies", UserName="ann")["PolicyNames"] == []


class TestAccessKeys:
    def test_a_key_signs_for_its_user(self, client: Client) -> None:
        client.ask("CreateUser", UserName="ann")
        made = client.ask("CreateAccessKey", UserName="Ann")["AccessKey"]
        assert (made["UserName"], made["Status"]) == ("ann", "Active")
        credential = client.store.find_credential(made["AccessKeyId"])
        assert credential is not None
        assert credential.secret.reveal().decode() == made["SecretAccessKey"]
        assert credential.principal == client.store.user(ACCOUNT.account_id, "ann").principal
        del made["SecretAccessKey"]
        assert client.ask("ListAccessKeys", UserName="ann")["AccessKeyMetadata"] == [made]
        client.ask("UpdateAccessKey", UserName="ann", AccessKeyId=made["AccessKeyId"], Status="Inactive")
        assert client.ask("ListAccessKeys", UserName="ann")["AccessKeyMetadata"][0]["Status"] == "Inactive"
        client.ask("UpdateAccessKey", UserName="ann", AccessKeyId=made["AccessKeyId"], Status="Active")
        assert client.store.find_credential(made["AccessKeyId"]) == credential
        client.ask("DeleteAccessKey", UserName="ann", AccessKeyId=made["AccessKeyId"])
        assert client.store.find_credential(made["AccessKeyId"]) is None

    def test_two_keys_each(self, client: Client) -> None:
        client.ask("CreateUser", UserName="ann")
        for parameters in ({"UserName": "ann"}, {}):
            for _ in range(2):
                client.ask("CreateAccessKey", **parameters)
            told = refusal(client.ask, "CreateAccessKey", **parameters)
            assert told == ("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")
            assert len(client.ask("ListAccessKeys", **parameters)["AccessKeyMetadata"]) == 2

    def test_the_root_user_rotates_its_own(self, client: Client) -> None:
        made = client.ask("CreateAccessKey")["AccessKey"]
        assert "UserName" not in made
        assert [each["AccessKeyId"] for each in client.ask("ListAccessKeys")["AccessKeyMetadata"]] == [
            made["AccessKeyId"]
        ]
        client.ask("DeleteAccessKey", AccessKeyId=made["AccessKeyId"])

    def test_keys_of_others_cannot_be_touched_through_a_name(self, client: Client) -> None:
        for name in ("ann", "bob"):
            client.ask("CreateUser", UserName=name)
        key = client.ask("CreateAccessKey", UserName="bob")["AccessKey"]["AccessKeyId"]
        allow(client, "ann", "iam:*AccessKey", on="arn:aws:iam::*:user/ann")
        expected = ("NoSuchEntity", f"The Access Key with id {key} cannot be found.")
        for parameters in ({"UserName": "ann"}, {}):
            assert refusal(client.ask, "DeleteAccessKey", AccessKeyId=key, **parameters) == expected
            disable = {"AccessKeyId": key, "Status": "Inactive", **parameters}
            assert refusal(client.ask, "UpdateAccessKey", **disable) == expected
        assert refusal(client.ask, "DeleteAccessKey", UserName="bob", AccessKeyId=key)[0] == "AccessDenied"
        credential = client.store.find_credential(key)
        assert credential is not None
        assert credential.active

    def test_a_status_that_no_key_is_given(self, client: Client) -> None:
        key = client.ask("CreateAccessKey")["AccessKey"]["AccessKeyId"]
        assert refusal(client.ask, "UpdateAccessKey", AccessKeyId=key, Status="Expired")[0] == "InvalidInput"
        assert refusal(client.ask, "UpdateAccessKey", AccessKeyId=key, Status="x")[0] == "ValidationError"

    def test_when_a_key_was_used(self, client: Client) -> None:
        client.ask("CreateUser", UserName="ann")
        key = client.ask("CreateAccessKey", UserName="ann")["AccessKey"]["AccessKeyId"]
        told = client.ask("GetAccessKeyLastUsed", AccessKeyId=key)
        assert told == {"UserName": "ann", "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}}
        client.uses.note(key, "s3", "us-east-1")
        used = client.ask("GetAccessKeyLastUsed", AccessKeyId=key)["AccessKeyLastUsed"]
        assert (used["ServiceName"], used["Region"]) == ("s3", "us-east-1")
        client.store.note_access_key_uses(client.uses.take())
        assert client.ask("GetAccessKeyLastUsed", AccessKeyId=key)["AccessKeyLastUsed"] == used
        client.sign_in_as_root(OTHER_ACCOUNT)
        for unknown in (key, "AKIAUNKNOWNUNKNOWN12"):
            assert refusal(client.ask, "GetAccessKeyLastUsed", AccessKeyId=unknown)[0] == "AccessDenied"
