"""How refused signatures look in the KMS's own words."""

from __future__ import annotations

import json

import pytest

from iam.errors import AuthenticationError, Reason
from kms.face.authentication import anonymous_failure, authentication_failure
from kms.face.response import FaceResponse

CODES = {
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidSignatureException",
    "UnrecognizedClientException",
}


def told(response: FaceResponse) -> dict[str, str]:
    assert response.status == 400
    document: dict[str, str] = json.loads(response.body)
    assert response.headers["x-amzn-ErrorType"] == document["__type"]
    assert response.headers["x-amzn-RequestId"] == "id"
    return document


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_an_answer(reason: Reason) -> None:
    document = told(authentication_failure(AuthenticationError(reason, "a message"), "id"))
    assert document["__type"] in CODES
    assert document["message"]


def test_a_mismatch_quotes_nothing_of_the_request() -> None:
    error = AuthenticationError(Reason.SIGNATURE_MISMATCH, "S3's words", {"CanonicalRequest": "quoted"})
    document = told(authentication_failure(error, "id"))
    assert document["__type"] == "InvalidSignatureException"
    assert document["message"].startswith("The request signature we calculated does not match")
    assert "quoted" not in document["message"]


@pytest.mark.parametrize("reason", [Reason.UNKNOWN_ACCESS_KEY, Reason.SECURITY_TOKEN])
def test_unknown_clients(reason: Reason) -> None:
    assert told(authentication_failure(AuthenticationError(reason, "S3's words"), "id")) == {
        "__type": "UnrecognizedClientException",
        "message": "The security token included in the request is invalid.",
    }


def test_a_scope_of_another_region() -> None:
    assert told(authentication_failure(AuthenticationError(Reason.WRONG_REGION, "S3's words"), "id")) == {
        "__type": "InvalidSignatureException",
        "message": "Credential should be scoped to a valid region.",
    }


def test_anonymous() -> None:
    assert told(anonymous_failure("id")) == {
        "__type": "MissingAuthenticationTokenException",
        "message": "Missing Authentication Token",
    }
