"""Key policies as documents: AWS's default ones, and what a new one must be.

Sources: AWS KMS Developer Guide, "Default key policy", "View a key policy" (of AWS managed keys); API Reference,
PutKeyPolicy.
"""

from __future__ import annotations

from functools import lru_cache

from iam.policy.conditions import Condition, Quantifier
from iam.policy.document import Policy, PolicyKind
from iam.policy.errors import Fault, PolicyError
from iam.policy.parse import parse_policy
from kms.api.errors import KMSError
from kms.api.types import KeyManager
from kms.store.records import StoredKey

LOCKOUT = "The new key policy will not allow you to update the key policy in the future."

_DEFAULT = """{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::ACCOUNT:root"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}"""

_MANAGED = """{
  "Version" : "2012-10-17",
  "Id" : "auto-s3-2",
  "Statement" : [ {
    "Sid" : "Allow access through S3 for all principals in the account that are authorized to use S3",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "*"
    },
    "Action" : [ "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey" ],
    "Resource" : "*",
    "Condition" : {
      "StringEquals" : {
        "kms:CallerAccount" : "ACCOUNT",
        "kms:ViaService" : "s3.REGION.amazonaws.com"
      }
    }
  }, {
    "Sid" : "Allow direct access to key metadata to the account",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::ACCOUNT:root"
    },
    "Action" : [ "kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant" ],
    "Resource" : "*"
  } ]
}"""


def policy_text(key: StoredKey) -> str:
    """The policy of a key: the one that was put, or the default one of its kind."""
    if key.policy:
        return key.policy
    metadata = key.metadata
    if metadata.manager is KeyManager.AWS:
        return _managed_policy(metadata.account_id, metadata.region)
    return default_policy(metadata.account_id)


@lru_cache(maxsize=4096)
def default_policy(account_id: str) -> str:
    """What CreateKey gives a key: the account may do everything, and may pass it on by policies of its identities."""
    return _DEFAULT.replace("ACCOUNT", account_id)


@lru_cache(maxsize=4096)
def _managed_policy(account_id: str, region: str) -> str:
    return _MANAGED.replace("ACCOUNT", account_id).replace("REGION", region)


def parse_key_policy(text: str) -> Policy:
    """A policy that is to be put.

    Raises MalformedPolicyDocumentException with AWS's text, LimitExceededException for one that is too long.
    """
    try:
        policy = parse_policy(text, PolicyKind.KEY)
    except PolicyError as error:
        if error.fault is Fault.TOO_LARGE:
            raise KMSError("LimitExceededException", error.message) from error
        raise malformed(error.message) from error
    for statement in policy.allows:
        for condition in statement.conditions:
            if isinstance(condition, Condition) and _is_overly_permissive(condition):
                raise malformed(
                    "OverlyPermissiveCondition: Using ForAllValues set operator with a single-valued condition key"
                    f" matches requests without the specified {condition.key}."
                )
    return policy


def _is_overly_permissive(condition: Condition) -> bool:
    """ForAllValues holds for requests without the key, which is not what whoever names one pair of a context means."""
    return condition.quantifier is Quantifier.ALL and condition.key.startswith("kms:encryptioncontext:")


def malformed(message: str) -> KMSError:
    return KMSError("MalformedPolicyDocumentException", message)
