"""The table of operations: which of IAM's and STS's are served, and by what."""

from __future__ import annotations

from collections.abc import Mapping

from iam.face.call import Handler
from iam.face.operations import access_keys, sts, user_policies, users

SERVED: Mapping[str, Mapping[str, Handler]] = {
    "iam": {
        "CreateAccessKey": access_keys.create_access_key,
        "CreateUser": users.create_user,
        "DeleteAccessKey": access_keys.delete_access_key,
        "DeleteUser": users.delete_user,
        "DeleteUserPolicy": user_policies.delete_user_policy,
        "GetAccessKeyLastUsed": access_keys.get_access_key_last_used,
        "GetUser": users.get_user,
        "GetUserPolicy": user_policies.get_user_policy,
        "ListAccessKeys": access_keys.list_access_keys,
        "ListUserPolicies": user_policies.list_user_policies,
        "ListUserTags": users.list_user_tags,
        "ListUsers": users.list_users,
        "PutUserPolicy": user_policies.put_user_policy,
        "TagUser": users.tag_user,
        "UntagUser": users.untag_user,
        "UpdateAccessKey": access_keys.update_access_key,
        "UpdateUser": users.update_user,
    },
    "sts": {"GetCallerIdentity": sts.get_caller_identity},
}
"""By the service's name, then the operation's. A new one needs `python -m tests.iam.face.generate_models`."""
