import pytest

from iam.authenticator import Authenticator
from iam.credentials import Credential
from iam.errors import AuthenticationError, Reason
from iam.principals import root_principal
from iam.scope import S3, Form
from iam.secrets import Secret
from tests.iam.checks import NOW
from tests.vectors import browser_form

ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE"
CREDENTIAL = Credential(ACCESS_KEY_ID, Secret(browser_form.SECRET), root_principal("111122223333"))
FIELDS = {
    "key": "k",
    "policy": browser_form.POLICY,
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-credential": browser_form.CREDENTIAL,
    "x-amz-date": browser_form.DATE,
    "x-amz-signature": browser_form.SIGNATURE,
}
AUTHENTICATOR = Authenticator("us-east-1", {ACCESS_KEY_ID: CREDENTIAL}.get)


def reason(**changes: str) -> Reason:
    with pytest.raises(AuthenticationError) as caught:
        fields = FIELDS | {name.replace("_", "-"): text for name, text in changes.items()}
        AUTHENTICATOR.authenticate_form(fields, S3, now=NOW)
    return caught.value.reason


def test_the_example_of_the_documentation() -> None:
    authenticated = AUTHENTICATOR.authenticate_form(FIELDS, S3, now=NOW)
    assert authenticated is not None
    assert (authenticated.access_key_id, authenticated.form) == (ACCESS_KEY_ID, Form.POST)
    assert authenticated.payload_hash == "UNSIGNED-PAYLOAD"


def test_a_form_that_nobody_signed() -> None:
    assert AUTHENTICATOR.authenticate_form({"key": "k"}, S3, now=NOW) is None
    assert AUTHENTICATOR.authenticate_form({"key": "k", "policy": browser_form.POLICY}, S3, now=NOW) is None


def test_another_policy_or_signature() -> None:
    assert reason(policy=browser_form.POLICY + "A") is Reason.SIGNATURE_MISMATCH
    assert reason(x_amz_signature=browser_form.SIGNATURE[:-1]) is Reason.SIGNATURE_MISMATCH


def test_another_scope_is_another_signature() -> None:
    scope = browser_form.CREDENTIAL.replace("20151229", "20151230")
    assert reason(x_amz_credential=scope, x_amz_date="20151230T000000Z") is Reason.SIGNATURE_MISMATCH


def test_an_unknown_access_key() -> None:
    assert reason(x_amz_credential="AKIANOBODY/20151229/us-east-1/s3/aws4_request") is Reason.UNKNOWN_ACCESS_KEY


def test_a_session_token() -> None:
    assert reason(x_amz_security_token="token") is Reason.SECURITY_TOKEN


def test_signature_version_2() -> None:
    with pytest.raises(AuthenticationError) as caught:
        AUTHENTICATOR.authenticate_form(
            {"awsaccesskeyid": ACCESS_KEY_ID, "signature": "x", "policy": "e30="}, S3, now=NOW
        )
    assert caught.value.reason is Reason.SIGNATURE_VERSION_2


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "key"])
def test_a_field_of_the_signature_is_missing(name: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        AUTHENTICATOR.authenticate_form({each: text for each, text in FIELDS.items() if each != name}, S3, now=NOW)
    assert caught.value.reason is Reason.MALFORMED_FORM
    assert caught.value.fields["ArgumentName"] == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x_amz_algorithm", "AWS4-ECDSA-P256-SHA256"),
        ("x_amz_credential", "AKIAIOSFODNN7EXAMPLE"),
        ("x_amz_credential", browser_form.CREDENTIAL.replace("us-east-1", "us-west-2")),
        ("x_amz_date", "2015-12-29"),
        ("x_amz_date", "20151228T000000Z"),
    ],
)
def test_a_field_of_the_signature_is_malformed(name: str, value: str) -> None:
    assert reason(**{name: value}) is Reason.MALFORMED_FORM
