"""The calls to IAM that `test_against_moto` makes, by case; see `moto_cases`. Names are the case's own (`$Unique`)."""

from __future__ import annotations

import json

from tests.clients.moto_cases import Calls

READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
TAGS = [{"Key": "team", "Value": "blue"}, {"Key": "Stage", "Value": ""}]

USER, GROUP, ROLE = {"UserName": "u-$Unique"}, {"GroupName": "g-$Unique"}, {"RoleName": "r-$Unique"}


def _policies(kind: str, named: dict[str, str]) -> Calls:
    """What is done alike with the policies of users, groups and roles; the entity is there."""
    inline = {**named, "PolicyName": "p"}
    return [
        (f"put_{kind}_policy", {**inline, "PolicyDocument": POLICY}),
        (f"get_{kind}_policy", inline),
        (f"list_{kind}_policies", named),
        (f"put_{kind}_policy", {**inline, "PolicyDocument": "{}"}),
        (f"delete_{kind}_policy", inline),
        (f"delete_{kind}_policy", inline),
        (f"get_{kind}_policy", inline),
        (f"attach_{kind}_policy", {**named, "PolicyArn": READ_ONLY}),
        (f"attach_{kind}_policy", {**named, "PolicyArn": READ_ONLY}),
        (f"attach_{kind}_policy", {**named, "PolicyArn": FULL}),
        (f"attach_{kind}_policy", {**named, "PolicyArn": "arn:aws:iam::aws:policy/NoSuchPolicy"}),
        (f"list_attached_{kind}_policies", named),
        (f"detach_{kind}_policy", {**named, "PolicyArn": READ_ONLY}),
        (f"detach_{kind}_policy", {**named, "PolicyArn": READ_ONLY}),
        (f"detach_{kind}_policy", {**named, "PolicyArn": FULL}),
        (f"delete_{kind}", named),
        (f"delete_{kind}", named),
        (f"get_{kind}", named),
    ]


IAM_CASES: dict[str, Calls] = {
    "users": [
        ("create_user", {**USER, "Path": "/a/b/", "Tags": TAGS, "PermissionsBoundary": READ_ONLY}),
        ("create_user", USER),
        ("get_user", USER),
        ("list_users", {"PathPrefix": "/a/b/"}),
        ("list_user_tags", USER),
        ("tag_user", {**USER, "Tags": [{"Key": "Team", "Value": "red"}]}),
        ("untag_user", {**USER, "TagKeys": ["Stage", "none"]}),
        ("delete_user_permissions_boundary", USER),
        ("put_user_permissions_boundary", {**USER, "PermissionsBoundary": FULL}),
        ("update_user", {**USER, "NewUserName": "v-$Unique"}),
        ("get_user", USER),
        ("list_groups_for_user", {"UserName": "v-$Unique"}),
        ("list_access_keys", {"UserName": "v-$Unique"}),
        ("list_mfa_devices", {"UserName": "v-$Unique"}),
        ("get_login_profile", {"UserName": "v-$Unique"}),
        ("delete_user", {"UserName": "v-$Unique"}),
    ],
    "policies of users": [("create_user", USER), *_policies("user", USER)],
    "groups": [
        ("create_group", {**GROUP, "Path": "/g/$Unique/"}),
        ("create_group", GROUP),
        ("get_group", GROUP),
        ("get_group", {"GroupName": "none-$Unique"}),
        ("list_groups", {"PathPrefix": "/g/$Unique/"}),
        ("add_user_to_group", {**GROUP, **USER}),
        ("create_user", USER),
        ("add_user_to_group", {**GROUP, **USER}),
        ("add_user_to_group", {**GROUP, **USER}),
        ("get_group", GROUP),
        ("list_groups_for_user", USER),
        ("update_group", {**GROUP, "NewGroupName": "h-$Unique"}),
        ("remove_user_from_group", {"GroupName": "h-$Unique", **USER}),
        ("remove_user_from_group", {"GroupName": "h-$Unique", **USER}),
        ("delete_group", {"GroupName": "h-$Unique"}),
        ("delete_user", USER),
    ],
    "policies of groups": [("create_group", GROUP), *_policies("group", GROUP)],
    "roles": [
        (
            "create_role",
            {
                **ROLE,
                "Path": "/r/$Unique/",
                "AssumeRolePolicyDocument": TRUST,
                "Description": "of a machine",
                "MaxSessionDuration": 7200,
                "PermissionsBoundary": READ_ONLY,
                "Tags": TAGS,
            },
        ),
        ("create_role", {**ROLE, "AssumeRolePolicyDocument": TRUST}),
        ("create_role", {"RoleName": "s-$Unique", "AssumeRolePolicyDocument": POLICY}),
        ("get_role", ROLE),
        ("get_role", {"RoleName": "s-$Unique"}),
        ("list_roles", {"PathPrefix": "/r/$Unique/"}),
        ("update_role", {**ROLE, "Description": "another", "MaxSessionDuration": 3600}),
        ("update_role_description", {**ROLE, "Description": "a third"}),
        ("update_assume_role_policy", {**ROLE, "PolicyDocument": TRUST}),
        ("update_assume_role_policy", {**ROLE, "PolicyDocument": POLICY}),
        ("list_role_tags", ROLE),
        ("tag_role", {**ROLE, "Tags": [{"Key": "Team", "Value": "red"}]}),
        ("untag_role", {**ROLE, "TagKeys": ["Stage", "none"]}),
        ("delete_role_permissions_boundary", ROLE),
        ("put_role_permissions_boundary", {**ROLE, "PermissionsBoundary": FULL}),
        ("list_instance_profiles_for_role", ROLE),
        ("get_role", ROLE),
        ("delete_role", ROLE),
        ("get_role", ROLE),
    ],
    "policies of roles": [
        ("create_role", {**ROLE, "AssumeRolePolicyDocument": TRUST}),
        *_policies("role", ROLE),
    ],
    "managed policies": [
        ("create_policy", {"PolicyName": "p-$Unique", "PolicyDocument": POLICY, "Path": "/p/$Unique/", "Tags": TAGS}),
        ("create_policy", {"PolicyName": "p-$Unique", "PolicyDocument": POLICY, "Path": "/p/$Unique/"}),
        ("create_policy", {"PolicyName": "q-$Unique", "PolicyDocument": "{}"}),
        ("create_user", USER),
        ("attach_user_policy", {**USER, "PolicyArn": "$PolicyArn"}),
        ("create_group", GROUP),
        ("attach_group_policy", {**GROUP, "PolicyArn": "$PolicyArn"}),
        ("create_role", {**ROLE, "AssumeRolePolicyDocument": TRUST}),
        ("attach_role_policy", {**ROLE, "PolicyArn": "$PolicyArn"}),
        ("get_policy", {"PolicyArn": "$PolicyArn"}),
        ("list_policies", {"Scope": "Local", "PathPrefix": "/p/$Unique/", "OnlyAttached": True}),
        ("list_entities_for_policy", {"PolicyArn": "$PolicyArn"}),
        ("list_entities_for_policy", {"PolicyArn": "$PolicyArn", "EntityFilter": "Group"}),
        ("create_policy_version", {"PolicyArn": "$PolicyArn", "PolicyDocument": POLICY, "SetAsDefault": True}),
        ("list_policy_versions", {"PolicyArn": "$PolicyArn"}),
        ("get_policy_version", {"PolicyArn": "$PolicyArn", "VersionId": "v2"}),
        ("delete_policy_version", {"PolicyArn": "$PolicyArn", "VersionId": "v2"}),
        ("delete_policy_version", {"PolicyArn": "$PolicyArn", "VersionId": "v1"}),
        ("detach_user_policy", {**USER, "PolicyArn": "$PolicyArn"}),
        ("detach_group_policy", {**GROUP, "PolicyArn": "$PolicyArn"}),
        ("detach_role_policy", {**ROLE, "PolicyArn": "$PolicyArn"}),
        ("delete_policy", {"PolicyArn": "$PolicyArn"}),
        ("get_policy", {"PolicyArn": "$PolicyArn"}),
    ],
}
