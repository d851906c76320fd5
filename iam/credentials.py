"""Accounts and access keys as values, and how new ones are made."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass

from iam.principals import NO_POLICIES, SERVICE_ACCOUNT_ID, IdentityPolicies, Principal, Session
from iam.secrets import Secret

SECRET_SIZE = 40
"""Characters of a secret access key, the length of AWS's own."""

_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_CANONICAL_ID = re.compile(r"[0-9a-f]{64}")
_DISPLAY_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,128}")
_EMAIL = re.compile(
    r"(?=[!-~]{6,64}\Z)[^\s\"'()<>\[\]:;,\\|%&@.][^\s\"'()<>\[\]:;,\\|%&@]*@(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+"
)
_ALIAS = re.compile(r"(?![0-9]{12}\Z)[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9]")
_ACCESS_KEY_ID = re.compile(r"[A-Z0-9]{16,128}")
_SECRET = re.compile(r"[!-~]{16,128}")
_TEMPORARY_KEY_ID = re.compile(r"ASIA[A-Z2-7]{16}")
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SECRET_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Account:
    """An account: 12 digits, the 64 hex digits that S3 calls the canonical user id, and a name for people.

    One that is not active is suspended: its principals are refused as unknown, and what it owns is kept.
    """

    account_id: str
    canonical_id: str
    display_name: str
    created_us: int
    email: str | None = None
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class AccountAccess:
    """What is asked of an account for every request to what it owns.

    `public_access_block` are the settings of S3 that are on in all its buckets, by names that are S3's to understand;
    None: it has no such configuration.
    """

    is_active: bool
    public_access_block: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What may be shown of an access key: everything but the secret. `user_name` None: the account's root user's."""

    access_key_id: str
    account_id: str
    is_active: bool
    created_us: int
    user_name: str | None = None


@dataclass(frozen=True, slots=True)
class AccessKeyUse:
    """When an access key was used last, in a request of which service (`s3`), signed for which region ("" if none)."""

    access_key_id: str
    used_us: int
    service: str
    region: str


@dataclass(frozen=True, slots=True)
class Credential:
    """An access key with its secret, the principal that signs with it, and that principal's policies.

    An inactive one proves nothing: verification refuses it like an unknown one. `session` None: it is not temporary.
    """

    access_key_id: str
    secret: Secret
    principal: Principal
    active: bool = True
    policies: IdentityPolicies = NO_POLICIES
    session: Session | None = None


def new_account_id() -> str:
    """12 random digits, never the service's own account and, like AWS's, without leading zero."""
    return str(secrets.randbelow(9 * 10**11) + 10**11)


def new_canonical_id() -> str:
    """64 random hex digits."""
    return secrets.token_hex(32)


def new_access_key_id() -> str:
    """`AKIA` and 16 characters of base32 (80 bits), the shape of AWS's long-term access keys."""
    return "AKIA" + "".join(secrets.choice(_BASE32) for _ in range(16))


def new_temporary_key_id(account_id: str) -> str:
    """`ASIA` and 16 characters of base32, the shape of AWS's: the account's id, and 39 random bits.

    The account stands where AWS has it, below the first bit, so that it can be told without keeping a list. Two keys
    of one id would be no harm: each is worth something beside its own session token alone.
    """
    number = (1 << 79) | (int(account_id) << 39) | secrets.randbits(39)
    return "ASIA" + base64.b32encode(number.to_bytes(10, "big")).decode("ascii")


def account_of_temporary_key(access_key_id: str) -> str | None:
    """The account that `new_temporary_key_id` made this id for; None for what it cannot have made."""
    if not _TEMPORARY_KEY_ID.fullmatch(access_key_id):
        return None
    number = int.from_bytes(base64.b32decode(access_key_id[4:]), "big")
    account_id = (number >> 39) & ((1 << 40) - 1)
    return f"{account_id:012}" if account_id < 10**12 else None


def new_secret() -> Secret:
    """40 characters of the base64 alphabet without "+" (239 bits): in URLs of careless tools "+" turns into a blank."""
    return Secret("".join(secrets.choice(_SECRET_ALPHABET) for _ in range(SECRET_SIZE)).encode())


def check_account_id(text: str) -> str:
    """The text itself if it can be an account's id. Raises ValueError; the service's own account is refused too."""
    if not _ACCOUNT_ID.fullmatch(text) or text == SERVICE_ACCOUNT_ID:
        raise ValueError(f"an account id has 12 digits and is not {SERVICE_ACCOUNT_ID}; got {text[:40]!r}")
    return text


def check_canonical_id(text: str) -> str:
    """The text itself if it is 64 lower-case hex digits. Raises ValueError."""
    if not _CANONICAL_ID.fullmatch(text):
        raise ValueError(f"a canonical user id has 64 lower-case hex digits; got {text[:80]!r}")
    return text


def check_display_name(text: str) -> str:
    """The text itself if an account can be called so. Raises ValueError."""
    if not _DISPLAY_NAME.fullmatch(text):
        raise ValueError("an account's name has 1 to 128 characters, and no control characters")
    return text


def check_email(text: str) -> str:
    """The text itself if it is an e-mail address as AWS takes them. Raises ValueError.

    Source: AWS Organizations API Reference, CreateAccount, "Email".
    """
    found = _EMAIL.fullmatch(text)
    labels = text.rpartition("@")[2].split(".")
    if found is None or any(label.startswith("-") or label.endswith("-") for label in (labels[0], labels[-1])):
        raise ValueError(f"an e-mail address is name@domain, with 6 to 64 ASCII characters; got {text[:80]!r}")
    return text


def check_account_alias(text: str) -> str:
    """The text itself if it can be an account's alias (IAM API Reference, CreateAccountAlias). Raises ValueError."""
    if not _ALIAS.fullmatch(text):
        raise ValueError("an alias has 3 to 63 lower-case letters, digits and single hyphens, and is no account id")
    return text


def is_access_key_id(text: str) -> bool:
    """Whether the text can be an access key id (IAM API: 16..128 word characters; here capitals and digits)."""
    return _ACCESS_KEY_ID.fullmatch(text) is not None


def check_access_key_id(text: str) -> str:
    """The text itself if it can be an access key id. Raises ValueError."""
    if not is_access_key_id(text):
        raise ValueError("an access key id has 16 to 128 upper-case letters and digits")
    return text


def check_secret(text: str) -> str:
    """The text itself if it can be a secret access key. Raises ValueError, which does not tell it."""
    if not _SECRET.fullmatch(text):
        raise ValueError("a secret access key has 16 to 128 printable ASCII characters, and no blanks")
    return text
