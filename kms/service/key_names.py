"""The four ways to name a key: key id, key ARN, alias name, alias ARN; and the rules for alias names.

Pure: what a name says, not what it names. Sources: API Reference, "KeyId"; Developer Guide, "Aliases in AWS KMS".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kms.api.errors import KMSError
from kms.service.constraints import check_length

MAX_NAME_LENGTH = 2048
MAX_ALIAS_LENGTH = 256
ALIAS_PREFIX = "alias/"
RESERVED_ALIAS_PREFIX = "alias/aws/"

_KEY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32}")
_ARN = re.compile(r"arn:aws:kms:([a-z0-9-]{1,64}):([0-9]{12}):(?:key/(?P<key>.+)|(?P<alias>alias/.+))")
_ALIAS = re.compile(r"[a-zA-Z0-9:/_-]+")


@dataclass(frozen=True, slots=True)
class KeyName:
    """`text` is a key id or, with `is_alias`, an alias name; `account_id` is the ARN's or the caller's own."""

    account_id: str
    text: str
    is_alias: bool


def parse_key_name(text: str, *, account_id: str, region: str) -> KeyName:
    """What `text` names for a caller of `account_id`. Raises NotFoundException for what can name nothing here."""
    check_length("keyId", len(text), 0, MAX_NAME_LENGTH)
    if text.startswith(ALIAS_PREFIX):
        return KeyName(account_id, text, is_alias=True)
    if not text.startswith("arn:"):
        return KeyName(account_id, _checked_key_id(text, text), is_alias=False)
    match = _ARN.fullmatch(text)
    if match is None:
        raise KMSError("NotFoundException", f"Invalid arn {text}")
    if match[1] != region:
        raise KMSError("NotFoundException", f"Invalid arn {match[1]}")
    if match["alias"] is not None:
        return KeyName(match[2], match["alias"], is_alias=True)
    return KeyName(match[2], _checked_key_id(match["key"], text), is_alias=False)


def check_alias_name(name: str) -> None:
    """Raises what AWS raises for a name that no alias of a customer can have."""
    check_length("aliasName", len(name), 0, MAX_ALIAS_LENGTH, name)
    if not name.startswith(ALIAS_PREFIX):
        raise KMSError(
            "ValidationException",
            'Alias must start with the prefix "alias/". Please see'
            " https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
        )
    if not _ALIAS.fullmatch(name):
        raise KMSError(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'aliasName' failed to satisfy constraint: Member must"
            " satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
        )
    if name == ALIAS_PREFIX:
        raise KMSError("InvalidAliasNameException", "Alias name must not be empty")
    if name.startswith(RESERVED_ALIAS_PREFIX):
        raise KMSError("NotAuthorizedException", "The alias prefix alias/aws/ is reserved")


def key_arn(region: str, account_id: str, key_id: str) -> str:
    return f"arn:aws:kms:{region}:{account_id}:key/{key_id}"


def alias_arn(region: str, account_id: str, name: str) -> str:
    return f"arn:aws:kms:{region}:{account_id}:{name}"


def _checked_key_id(key_id: str, as_written: str) -> str:
    if not _KEY_ID.fullmatch(key_id):
        raise KMSError("NotFoundException", f"Invalid keyId '{as_written}'")
    return key_id
