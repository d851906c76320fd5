"""Credential scope and time of a signature: the parts that the header form and the URL form share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from iam.canonical import Pairs, encode_path_once, encode_path_twice
from iam.quickly_made import quickly_made

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
MAX_SKEW = timedelta(minutes=15)
"""How far a request's time may be from ours (Amazon S3 API Reference, "RequestTimeTooSkewed"; recorded from IAM and
STS)."""

SHORT_SKEW = timedelta(minutes=5)
"""The same for most of AWS's services (IAM User Guide, "Troubleshoot Signature Version 4 signing"; recorded from the
KMS)."""

_TIMESTAMP = re.compile(r"[0-9]{8}T(?:[01][0-9]|2[0-3])[0-9]{4}Z")


@dataclass(frozen=True, slots=True)
class Service:
    """What differs in Signature Version 4 from service to service.

    S3 signs the payload hash that the client declares in x-amz-content-sha256; the others sign the hash of the body.
    S3's presigned URLs are good for as long as they say (X-Amz-Expires); those of others are requests like any other,
    good for as long as clocks may differ (`max_skew`).
    """

    name: str
    canonical_path: Callable[[str], str]
    declares_payload_hash: bool
    knows_version_2: bool = False
    has_expiring_urls: bool = False
    max_skew: timedelta = MAX_SKEW


S3 = Service("s3", encode_path_once, True, knows_version_2=True, has_expiring_urls=True)
KMS = Service("kms", encode_path_twice, False, max_skew=SHORT_SKEW)
IAM = Service("iam", encode_path_twice, False)
STS = Service("sts", encode_path_twice, False)
ORGANIZATIONS = Service("organizations", encode_path_twice, False)

SECURITY_TOKEN = "x-amz-security-token"  # noqa: S105
"""What a header or a form's field is called that has the session token; in URLs it has capitals."""

GLOBAL_REGION = "us-east-1"
"""What clients sign for whose services are of no region: IAM, Organizations and the global endpoint of STS."""


class Form(StrEnum):
    """Where the signature stood."""

    HEADER = "AuthHeader"
    QUERY = "QueryString"
    POST = "HtmlForm"


@quickly_made
@dataclass(frozen=True, slots=True)
class CredentialScope:
    """`access_key_id/date/region/service/aws4_request`; `date` is YYYYMMDD."""

    access_key_id: str
    date: str
    region: str
    service: str

    @property
    def text(self) -> str:
        """The scope as it stands in the string to sign, without the access key."""
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


@quickly_made
@dataclass(frozen=True, slots=True)
class Authentication:
    """What a request says about its signature, parsed but not verified.

    `timestamp` is `signed_at` as it stands in the string to sign (YYYYMMDDTHHMMSSZ). `payload_hash` is None where the
    hash of the body itself is signed. `pairs` are the canonical query parameters that are covered. `security_token` is
    the session token that came with it; None for long-term access keys. `new_claim` is what a header says
    before its signature, where that is to be remembered once it was verified.
    """

    form: Form
    scope: CredentialScope
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    signed_at: datetime
    payload_hash: str | None
    pairs: Pairs
    expires_seconds: int | None = None
    security_token: str | None = field(default=None, repr=False)
    new_claim: str | None = field(default=None, repr=False)


class MalformedScope(ValueError):
    """A credential or a time does not fit; the text is S3's, without its leading "The … is malformed;".

    `region` is the expected region when that was what did not fit; `elsewhere` is what the services other than S3 say
    of a credential that is for something else, None if it is for nothing.
    """

    def __init__(self, message: str, region: str | None = None, elsewhere: str | None = None) -> None:
        super().__init__(message)
        self.region = region
        self.elsewhere = elsewhere


def parse_credential(text: str, service: Service, regions: Sequence[str]) -> CredentialScope:
    """Parse `AKID/YYYYMMDD/region/service/aws4_request` and hold it against this endpoint.

    `regions` are those that it answers for, the first one the home region. Raises MalformedScope.
    """
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or not parts[0]:
        raise MalformedScope(
            f'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/{TERMINATOR}".'
        )
    access_key_id, date, given_region, given_service, terminator = parts
    if terminator != TERMINATOR:
        raise MalformedScope(
            f'incorrect terminal "{terminator}". This endpoint uses "{TERMINATOR}".',
            elsewhere=f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'.",
        )
    if given_service != service.name:
        raise MalformedScope(
            f'incorrect service "{given_service}". This endpoint belongs to "{service.name}".',
            elsewhere=f"Credential should be scoped to correct service: '{service.name}'.",
        )
    if given_region not in regions:
        raise MalformedScope(f"the region '{given_region}' is wrong; expecting '{regions[0]}'", regions[0])
    if len(date) != 8 or not (date.isascii() and date.isdigit()):
        raise MalformedScope(
            f'incorrect date format "{date}". This date in the credential must be in the format "yyyyMMdd".'
        )
    return CredentialScope(access_key_id, date, given_region, given_service)


def check_scope_date(scope: CredentialScope, timestamp: str) -> None:
    """The signing key is of one day, which must be the request's. Raises MalformedScope."""
    day = timestamp[:8]
    if scope.date != day:
        raise MalformedScope(
            f'Invalid credential date "{scope.date}". This date is not the same as X-Amz-Date: "{day}".',
            elsewhere="Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{scope.date}' != '{day}', from '{timestamp}'.",
        )


def parse_timestamp(text: str) -> datetime | None:
    """The time of a YYYYMMDDTHHMMSSZ timestamp; None if it is not one."""
    if not _TIMESTAMP.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def format_timestamp(moment: datetime) -> str:
    """YYYYMMDDTHHMMSSZ of an aware time."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def format_iso(moment: datetime) -> str:
    """YYYY-MM-DDTHH:MM:SSZ of an aware time, as S3's error documents have it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
