import pytest

from gateway.protocol.errors import CATALOGUE, S3Error, invalid_argument


def test_an_error_takes_status_and_message_from_the_catalogue() -> None:
    error = S3Error("NoSuchKey")
    assert (error.code, error.status, error.message) == ("NoSuchKey", 404, "The specified key does not exist.")
    assert dict(error.fields) == {} and dict(error.headers) == {}


def test_message_fields_and_headers_can_be_given() -> None:
    error = S3Error("SlowDown", "later", fields={"A": "b"}, headers={"Retry-After": "1"})
    assert str(error) == "SlowDown: later"
    assert (error.fields, error.headers) == ({"A": "b"}, {"Retry-After": "1"})


def test_a_code_outside_of_the_catalogue_is_a_mistake_of_the_program() -> None:
    with pytest.raises(KeyError):
        S3Error("NoSuchThing")


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_entry_has_an_error_status_and_a_message(code: str) -> None:
    status, message = CATALOGUE[code]
    assert status in (304, 307) or 400 <= status < 600
    assert message.strip() == message != ""


def test_values_from_outside_are_cut_in_error_fields() -> None:
    assert len(invalid_argument("x", "y" * 10_000).fields["ArgumentValue"]) == 256
