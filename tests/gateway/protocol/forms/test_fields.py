import pytest

from gateway.protocol.errors import S3Error
from gateway.protocol.forms.fields import FormUpload
from gateway.protocol.forms.multipart import Form


def upload(filename: str = "", **fields: str) -> FormUpload:
    return FormUpload.parse(
        Form({"key": "k", **{name.replace("_", "-"): text for name, text in fields.items()}}, filename)
    )


@pytest.mark.parametrize(
    ("key", "filename", "expected"),
    [
        ("plain", "x.jpg", "plain"),
        ("user/${filename}", "x.jpg", "user/x.jpg"),
        ("${filename}", "C:\\Pictures\\x.jpg", "x.jpg"),
        ("${filename}-${filename}", "dir/x", "x-x"),
        ("user/${filename}", "", "user/"),
    ],
)
def test_the_file_name_in_the_key(key: str, filename: str, expected: str) -> None:
    made = upload(filename, key=key)
    assert (made.key, made.fields["key"]) == (expected, expected)


@pytest.mark.parametrize("fields", [{}, {"key": ""}, {"key": "${filename}"}])
def test_a_form_without_a_key(fields: dict[str, str]) -> None:
    with pytest.raises(S3Error) as caught:
        FormUpload.parse(Form(fields, ""))
    assert caught.value.code == "InvalidArgument"
    assert caught.value.fields["ArgumentName"] == "key"


def test_fields_that_a_put_says_in_headers() -> None:
    made = upload(
        acl="public-read",
        content_type="text/plain",
        x_amz_meta_colour="blue",
        x_amz_server_side_encryption="aws:kms",
        x_amz_credential="c",
        x_amz_signature="s",
        x_ignore_me="i",
        host="elsewhere",
        content_length="7",
        authorization="AWS a:b",
    )
    assert made.headers == {
        "x-amz-acl": "public-read",
        "content-type": "text/plain",
        "x-amz-meta-colour": "blue",
        "x-amz-server-side-encryption": "aws:kms",
    }


def test_a_field_that_no_header_can_be_called() -> None:
    with pytest.raises(S3Error) as caught:
        FormUpload.parse(Form({"key": "k", "x-amz-meta-a b\r\n": "c"}, ""))
    assert caught.value.code == "InvalidArgument"


@pytest.mark.parametrize(
    ("asked", "status"), [("200", 200), ("201", 201), ("204", 204), ("", 204), ("404", 204), ("x", 204)]
)
def test_the_status_of_a_success(asked: str, status: int) -> None:
    assert FormUpload.parse(Form({"key": "k", "success_action_status": asked}, "")).status == status


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        ("http://host/done", "http://host/done?bucket=b&key=a+b%2F%C3%BC&etag=%22e%22"),
        ("https://host/done?x=1&y=", "https://host/done?x=1&y=&bucket=b&key=a+b%2F%C3%BC&etag=%22e%22"),
        ("", None),
        ("done", None),
        ("javascript:alert(1)", None),
        ("http://", None),
        ("http://[bad/", None),
        ("http://host/\r\nSet-Cookie: a=b", None),
    ],
)
def test_where_a_success_sends_the_browser(redirect: str, expected: str | None) -> None:
    made = FormUpload.parse(Form({"key": "a b/ü", "success_action_redirect": redirect}, ""))
    assert made.redirect_url("b", '"e"') == expected
