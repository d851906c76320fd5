"""What tools ask for before they delete a user or a role: told that there is none, to those who may know."""

from __future__ import annotations

from typing import Any

import pytest

from tests.iam.face.identity_service import Client, refusal
from tests.iam.face.test_roles import trust


@pytest.mark.parametrize(
    ("operation", "parameters", "name"),
    [
        ("ListInstanceProfiles", {"PathPrefix": "/x/"}, "InstanceProfiles"),
        ("ListInstanceProfilesForRole", {"RoleName": "rob"}, "InstanceProfiles"),
        ("ListMFADevices", {"UserName": "bob"}, "MFADevices"),
        ("ListMFADevices", {}, "MFADevices"),
        ("ListSSHPublicKeys", {"UserName": "bob"}, "SSHPublicKeys"),
        ("ListServerCertificates", {}, "ServerCertificateMetadataList"),
        ("ListServiceSpecificCredentials", {"UserName": "bob"}, "ServiceSpecificCredentials"),
        ("ListServiceSpecificCredentials", {"AllUsers": True}, "ServiceSpecificCredentials"),
        ("ListSigningCertificates", {"UserName": "bob"}, "Certificates"),
        ("ListVirtualMFADevices", {"AssignmentStatus": "Any"}, "VirtualMFADevices"),
    ],
)
def test_there_is_none(client: Client, operation: str, parameters: dict[str, Any], name: str) -> None:
    client.ask("CreateUser", UserName="bob")
    client.ask("CreateRole", RoleName="rob", AssumeRolePolicyDocument=trust())
    assert client.ask(operation, **parameters) == {name: [], "IsTruncated": False}
    assert refusal(client.ask, operation, **parameters, Marker="nonsense!")[0] == "ValidationError"
    nobody = {member: "nobody" for member in parameters if member in {"UserName", "RoleName"}}
    if nobody:
        assert refusal(client.ask, operation, **{**parameters, **nobody})[0] == "NoSuchEntity"


def test_there_is_none_by_name(client: Client) -> None:
    client.ask("CreateUser", UserName="bob")
    for operation in ("GetLoginProfile", "DeleteLoginProfile"):
        told = refusal(client.ask, operation, UserName="bob")
        assert told == ("NoSuchEntity", "Login Profile for User bob cannot be found.")
    told = refusal(client.ask, "GetInstanceProfile", InstanceProfileName="machine")
    assert told == ("NoSuchEntity", "Instance Profile machine cannot be found.")
    assert client.ask("ListSAMLProviders") == {"SAMLProviderList": []}
