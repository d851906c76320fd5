"""Signature Version 4 over the policy of a browser form.

Amazon S3 API Reference, "Authenticating Requests in Browser-Based Uploads Using POST". The string to sign is the
policy field itself, so that nothing else of the request is covered: the policy says what the fields may be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hmac import compare_digest
from typing import NoReturn

from iam.canonical import to_wire
from iam.errors import AuthenticationError, Reason, missing_form_field
from iam.payload_hash import UNSIGNED_PAYLOAD
from iam.scope import (
    ALGORITHM,
    SECURITY_TOKEN,
    Authentication,
    Form,
    MalformedScope,
    Service,
    parse_credential,
    parse_timestamp,
)
from iam.signing_keys import SigningKey
from iam.sigv4 import MISMATCH_MESSAGE, sign, signature_version_2

_TELLING = frozenset({"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"})
_TELLING_VERSION_2 = frozenset({"awsaccesskeyid", "signature"})


def parse_form(fields: Mapping[str, str], service: Service, regions: Sequence[str]) -> Authentication | None:
    """What a form says about its signature; None if it means to carry none. `fields` by name in lower case.

    Raises AuthenticationError.
    """
    if not _TELLING & fields.keys():
        if _TELLING_VERSION_2 & fields.keys():
            raise signature_version_2()
        return None
    for name in ("policy", *sorted(_TELLING)):
        if name not in fields:
            raise missing_form_field(name)
    if fields["x-amz-algorithm"] != ALGORITHM:
        _malformed("x-amz-algorithm", fields, f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    timestamp = fields["x-amz-date"]
    signed_at = parse_timestamp(timestamp)
    if signed_at is None:
        _malformed("x-amz-date", fields, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    try:
        scope = parse_credential(fields["x-amz-credential"], service, regions)
    except MalformedScope as error:
        _malformed("x-amz-credential", fields, f"Error parsing the X-Amz-Credential parameter; {error}")
    if scope.date != timestamp[:8]:
        _malformed("x-amz-date", fields, "The date of X-Amz-Credential is not the same as X-Amz-Date.")
    return Authentication(
        form=Form.POST,
        scope=scope,
        signed_headers=(),
        signature=fields["x-amz-signature"],
        timestamp=timestamp,
        signed_at=signed_at,
        payload_hash=UNSIGNED_PAYLOAD,
        pairs=[],
        security_token=fields.get(SECURITY_TOKEN),
    )


def verify_form(authentication: Authentication, policy: str, signing_key: SigningKey) -> None:
    """Hold the signature against the policy field, in constant time. Raises AuthenticationError(SIGNATURE_MISMATCH)."""
    if not compare_digest(sign(signing_key, policy).encode(), to_wire(authentication.signature)):
        fields = {
            "AWSAccessKeyId": authentication.scope.access_key_id,
            "StringToSign": policy,
            "SignatureProvided": authentication.signature,
            "StringToSignBytes": to_wire(policy).hex(" "),
        }
        raise AuthenticationError(Reason.SIGNATURE_MISMATCH, MISMATCH_MESSAGE, fields)


def _malformed(name: str, fields: Mapping[str, str], message: str) -> NoReturn:
    quoted = {"ArgumentName": name, "ArgumentValue": fields[name][:256]}
    raise AuthenticationError(Reason.MALFORMED_FORM, message, quoted) from None
