"""Requests about policies and grants: what reaches the service, and what is answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kms.api import types as t
from tests.kms.face.fake_service import KEY_ARN, KEY_ID, USER_ARN

Parameters = dict[str, Any]

GRANT_ID = "ab" * 32
_LISTED = {
    "KeyId": KEY_ARN,
    "GrantId": GRANT_ID,
    "Name": "g",
    "CreationDate": datetime.fromtimestamp(1_700_000_000.123, tz=UTC),
    "GranteePrincipal": USER_ARN,
    "RetiringPrincipal": USER_ARN,
    "IssuingAccount": "arn:aws:iam::123456789012:root",
    "Operations": ["Decrypt"],
    "Constraints": {
        "EncryptionContextEquals": {"a": "b"},
        "SourceArn": "arn:aws:logs:us-east-1:123456789012:log-group:g",
    },
}

SUCCESSES: list[tuple[str, Parameters, t.Request[Any], Parameters]] = [
    (
        "CreateGrant",
        {"KeyId": KEY_ID, "GranteePrincipal": USER_ARN, "Operations": ["Decrypt"]},
        t.CreateGrant(KEY_ID, USER_ARN, ("Decrypt",)),
        {"GrantId": GRANT_ID, "GrantToken": "token"},
    ),
    (
        "CreateGrant",
        {
            "KeyId": KEY_ID,
            "GranteePrincipal": USER_ARN,
            "RetiringPrincipal": USER_ARN,
            "Operations": ["Decrypt", "CreateGrant"],
            "Constraints": {
                "EncryptionContextSubset": {"a": "b"},
                "SourceArn": "arn:aws:logs:us-east-1:123456789012:log-group:g",
            },
            "Name": "g",
            "GrantTokens": ["t"],
            "DryRun": True,
        },
        t.CreateGrant(
            KEY_ID,
            USER_ARN,
            ("Decrypt", "CreateGrant"),
            USER_ARN,
            t.GrantConstraints(
                encryption_context_subset={"a": "b"}, source_arn="arn:aws:logs:us-east-1:123456789012:log-group:g"
            ),
            "g",
            ("t",),
            dry_run=True,
        ),
        {"GrantId": GRANT_ID, "GrantToken": "token"},
    ),
    (
        "ListGrants",
        {"KeyId": KEY_ID, "GrantId": GRANT_ID, "GranteePrincipal": USER_ARN, "Limit": 1000, "Marker": "m"},
        t.ListGrants(KEY_ID, GRANT_ID, USER_ARN, 100, "m"),
        {"Grants": [_LISTED], "Truncated": True, "NextMarker": "next"},
    ),
    (
        "ListRetirableGrants",
        {"RetiringPrincipal": USER_ARN, "Limit": 3, "Marker": "m"},
        t.ListRetirableGrants(USER_ARN, 3, "m"),
        {"Grants": [_LISTED], "Truncated": False},
    ),
    (
        "RetireGrant",
        {"KeyId": KEY_ARN, "GrantId": GRANT_ID, "DryRun": True},
        t.RetireGrant(None, KEY_ARN, GRANT_ID, dry_run=True),
        {},
    ),
    ("RetireGrant", {"GrantToken": "t"}, t.RetireGrant("t"), {}),
    (
        "RevokeGrant",
        {"KeyId": KEY_ID, "GrantId": GRANT_ID, "DryRun": False},
        t.RevokeGrant(KEY_ID, GRANT_ID),
        {},
    ),
    (
        "GetKeyPolicy",
        {"KeyId": KEY_ID, "PolicyName": "other"},
        t.GetKeyPolicy(KEY_ID, "other"),
        {"Policy": "{}", "PolicyName": "default"},
    ),
    (
        "PutKeyPolicy",
        {"KeyId": KEY_ID, "PolicyName": "default", "Policy": "{}", "BypassPolicyLockoutSafetyCheck": True},
        t.PutKeyPolicy(KEY_ID, "{}", bypass_policy_lockout_safety_check=True),
        {},
    ),
    (
        "ListKeyPolicies",
        {"KeyId": KEY_ID, "Limit": 1, "Marker": "m"},
        t.ListKeyPolicies(KEY_ID, "m"),
        {"PolicyNames": ["default"], "Truncated": False},
    ),
]

UNSUPPORTED: list[tuple[str, Parameters, str]] = [
    (
        "CreateGrant",
        {"KeyId": KEY_ID, "GranteeServicePrincipal": "s3.amazonaws.com", "Operations": ["Decrypt"]},
        "GranteeServicePrincipal",
    ),
    (
        "CreateGrant",
        {
            "KeyId": KEY_ID,
            "GranteePrincipal": USER_ARN,
            "RetiringServicePrincipal": "s3.amazonaws.com",
            "Operations": ["Decrypt"],
        },
        "RetiringServicePrincipal",
    ),
    ("ListGrants", {"KeyId": KEY_ID, "GranteeServicePrincipal": "s3.amazonaws.com"}, "GranteeServicePrincipal"),
    ("ListRetirableGrants", {"RetiringServicePrincipal": "s3.amazonaws.com"}, "RetiringServicePrincipal"),
]
