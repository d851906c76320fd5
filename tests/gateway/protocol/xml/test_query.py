"""The documents of query services, read back by another parser."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from gateway.protocol.xml.documents.query import error_document, result_document

NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"


def test_a_result() -> None:
    result = {
        "User": {"Name": "a<b", "Tags": [{"Key": "k"}, {"Key": "l"}]},
        "IsTruncated": False,
        "Most": 3,
        "None": [],
    }
    root = ElementTree.fromstring(result_document("GetUser", result, NAMESPACE, "id"))
    assert root.tag == f"{{{NAMESPACE}}}GetUserResponse"
    names = {"": NAMESPACE}
    found = root.find("GetUserResult", names)
    assert found is not None
    assert found.findtext("User/Name", namespaces=names) == "a<b"
    assert [each.text for each in found.findall("User/Tags/member/Key", names)] == ["k", "l"]
    assert found.findtext("IsTruncated", namespaces=names) == "false"
    assert found.findtext("Most", namespaces=names) == "3"
    assert len(found.find("None", names) or []) == 0
    assert root.findtext("ResponseMetadata/RequestId", namespaces=names) == "id"


def test_no_result() -> None:
    root = ElementTree.fromstring(result_document("DeleteUser", None, NAMESPACE, "id"))
    assert [each.tag.partition("}")[2] for each in root] == ["ResponseMetadata"]


def test_what_is_no_value_of_a_result() -> None:
    with pytest.raises(TypeError, match="Key"):
        result_document("GetUser", {"Key": 1.5}, NAMESPACE, "id")


def test_an_error() -> None:
    root = ElementTree.fromstring(error_document("NoSuchEntity", "no <b>", "Sender", NAMESPACE, "id"))
    names = {"": NAMESPACE}
    found = [root.findtext(f"Error/{name}", namespaces=names) for name in ("Type", "Code", "Message")]
    assert found == ["Sender", "NoSuchEntity", "no <b>"]
    assert root.findtext("RequestId", namespaces=names) == "id"
