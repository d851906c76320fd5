"""How refused signatures look in the words of query services."""

from __future__ import annotations

import pytest

from iam.errors import AuthenticationError, Reason
from iam.face.authentication import anonymous_failure, authentication_failure

CODES = {"ExpiredToken", "IncompleteSignature", "InvalidClientTokenId", "RequestExpired", "SignatureDoesNotMatch"}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_an_answer(reason: Reason) -> None:
    error = authentication_failure(AuthenticationError(reason, "a message"))
    assert error.code in CODES
    assert error.message
    assert error.fault == "Sender"


def test_a_mismatch_quotes_nothing_of_the_request() -> None:
    fields = {"CanonicalRequest": "quoted"}
    error = authentication_failure(AuthenticationError(Reason.SIGNATURE_MISMATCH, "S3's words", fields))
    assert (error.code, error.status) == ("SignatureDoesNotMatch", 403)
    assert "quoted" not in error.message


def test_nobody() -> None:
    assert (anonymous_failure().code, anonymous_failure().status) == ("MissingAuthenticationToken", 403)
