"""Whom an identity token speaks of: its claims, held against the provider that signed it and against the time.

Sources: OpenID Connect Core 1.0, §2 and §3.1.3.7; STS API Reference, AssumeRoleWithWebIdentity; IAM User Guide, "IAM
and AWS STS condition context keys" (OIDC federation) and "Pass session tags in AWS STS".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from iam.jose import VerificationKey
from iam.oidc_providers import OIDCProvider
from iam.policy.variables import Context
from iam.tags import MAX_TAGS, Tags

MAX_SKEW_SECONDS = 300
"""How far ahead of ours the clock of a provider may be."""

MAX_CLAIM_CHARACTERS = 2048
"""Of a claim that policies can ask for, and of the number of them."""
MAX_CLAIMS = 100
MAX_SUBJECT_CHARACTERS = 255

TAGS_CLAIM = "https://aws.amazon.com/tags"
SOURCE_IDENTITY_CLAIM = "https://aws.amazon.com/source_identity"
_PRINCIPAL_TAG = f"{TAGS_CLAIM}/principal_tags/"
_TRANSITIVE_KEYS = f"{TAGS_CLAIM}/transitive_tag_keys"

_KEPT = ("aud", "sub", "amr")
"""The claims that a session keeps, for policies to ask for while it lasts."""


class KeysUnavailable(Exception):
    """The keys of a provider cannot be had now; trying again later may help. The text is for the log."""


class KeysWrong(Exception):
    """What the provider tells is no key set, or not its own. The text is for the log."""


class KeySource(Protocol):
    """Where the keys of identity providers come from."""

    async def keys(self, issuer: str, key_id: str | None) -> tuple[VerificationKey, ...]:
        """Those of a configured provider; fetched anew, now and then, where none is called `key_id`.

        Raises KeysUnavailable, KeysWrong.
        """
        ...


class Rejection(Enum):
    """Why a token is not believed although its signature is good."""

    MALFORMED = "malformed"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET = "not yet valid"


class RejectedToken(Exception):
    """The message goes to whoever showed the token."""

    def __init__(self, rejection: Rejection, message: str) -> None:
        super().__init__(message)
        self.rejection = rejection
        self.message = message


@dataclass(frozen=True, slots=True)
class WebIdentity:
    """`audiences` are those of the token that are client ids of the provider; `told` is every claim that is a text or a
    list of texts, if its name is in lower case: condition keys know no case, and `SUB` must not pass for `sub`."""

    provider: OIDCProvider
    subject: str
    audiences: tuple[str, ...]
    told: Mapping[str, tuple[str, ...]]
    tags: Tags = ()
    transitive: tuple[str, ...] = ()
    source_identity: str | None = None

    @property
    def keys(self) -> Context:
        """What a trust policy can ask: the claims, each behind the provider's name and a colon."""
        known = {**self.told, "aud": self.audiences, "oaud": self.told.get("aud", ())}
        prefix = self.provider.name.lower()
        named = {f"{prefix}:{claim}": values for claim, values in known.items() if values}
        return {**named, "aws:federatedprovider": (self.provider.arn,)}

    @property
    def kept(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What policies can ask while the session lasts."""
        keys = self.keys
        names = (f"{self.provider.name}:{claim}".lower() for claim in _KEPT)
        return tuple((name, keys[name]) for name in names if keys.get(name))


def issuer_of(claims: Mapping[str, object]) -> str | None:
    """The issuer that the claims name, which may be anything until the signature is verified."""
    issuer = claims.get("iss")
    return issuer if isinstance(issuer, str) else None


def web_identity(claims: Mapping[str, object], provider: OIDCProvider, now: datetime) -> WebIdentity:
    """What the claims say of whom, once the signature was verified by a key of the provider. Raises RejectedToken."""
    if issuer_of(claims) != provider.url:
        raise RejectedToken(Rejection.ISSUER, "The issuer of the token is not the provider.")
    _check_times(claims, now)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARACTERS:
        raise _malformed("sub")
    tags, transitive = _tags(claims)
    return WebIdentity(
        provider,
        subject,
        _audiences(claims, provider),
        dict(_told(claims)),
        tags,
        transitive,
        _source_identity(claims),
    )


def _malformed(claim: str) -> RejectedToken:
    return RejectedToken(Rejection.MALFORMED, f"The claim {claim} of the token is missing or malformed.")


def _check_times(claims: Mapping[str, object], now: datetime) -> None:
    seconds = now.timestamp()
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    if seconds >= expires:
        message = (
            f"Token expired: current date/time {int(seconds)} must be before the expiration date/time {int(expires)}"
        )
        raise RejectedToken(Rejection.EXPIRED, message)
    begins = _time(claims, "nbf") if "nbf" in claims else issued
    if max(begins, issued) > seconds + MAX_SKEW_SECONDS:
        raise RejectedToken(Rejection.NOT_YET, "The token is not valid yet.")


def _time(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 40:
        raise _malformed(name)
    return float(value)


def _audiences(claims: Mapping[str, object], provider: OIDCProvider) -> tuple[str, ...]:
    """Those of the token that the provider has as client ids.

    Where a token names the party that it was issued to, that one must be a client as well (OpenID Connect Core,
    §3.1.3.7).
    """
    named = _texts(claims.get("aud"))
    if not named:
        raise _malformed("aud")
    accepted = tuple(each for each in named if each in provider.client_ids)
    authorised = claims.get("azp")
    if not accepted or (len(named) > 1 and authorised is not None and authorised not in provider.client_ids):
        raise RejectedToken(Rejection.AUDIENCE, "Incorrect token audience")
    return accepted


def _texts(value: object) -> tuple[str, ...] | None:
    """One text or a list of some; None for what is neither."""
    values = value if isinstance(value, list) else [value]
    texts = tuple(each for each in values if isinstance(each, str))
    return texts if texts and len(texts) == len(values) else None


def _told(claims: Mapping[str, object]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for claim, value in list(claims.items())[:MAX_CLAIMS]:
        texts = _texts(value)
        if texts is not None and claim == claim.lower() and sum(map(len, (claim, *texts))) <= MAX_CLAIM_CHARACTERS:
            yield claim, texts


def _tags(claims: Mapping[str, object]) -> tuple[Tags, tuple[str, ...]]:
    """Session tags, as one claim or as a claim for each. Raises RejectedToken."""
    nested = claims.get(TAGS_CLAIM, {})
    if not isinstance(nested, dict):
        raise _malformed(TAGS_CLAIM)
    principal_tags, transitive = nested.get("principal_tags", {}), nested.get("transitive_tag_keys", [])
    if not isinstance(principal_tags, dict):
        raise _malformed(TAGS_CLAIM)
    flat = {name.removeprefix(_PRINCIPAL_TAG): each for name, each in claims.items() if name.startswith(_PRINCIPAL_TAG)}
    tags = tuple((key, _one_text(value)) for key, value in {**principal_tags, **flat}.items())
    keys = claims.get(_TRANSITIVE_KEYS, transitive)
    texts = () if keys == [] else _texts(keys)
    if texts is None or len(tags) > MAX_TAGS or len(texts) > MAX_TAGS:
        raise _malformed(TAGS_CLAIM)
    return tags, texts


def _one_text(value: object) -> str:
    """The value of a tag is a list of one text. Raises RejectedToken."""
    texts = _texts(value)
    if texts is None or len(texts) != 1:
        raise _malformed(TAGS_CLAIM)
    return texts[0]


def _source_identity(claims: Mapping[str, object]) -> str | None:
    value = claims.get(SOURCE_IDENTITY_CLAIM)
    if value is not None and not isinstance(value, str):
        raise _malformed(SOURCE_IDENTITY_CLAIM)
    return value
