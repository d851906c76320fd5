"""OpenID Connect providers through IAM's API."""

from __future__ import annotations

from typing import Any

import pytest

from iam.oidc_providers import check_provider_url, is_fetchable, is_loopback
from tests.iam.face.identity_service import ACCOUNT, Client, refusal

URL = "https://token.example.com/realms/a"
ARN = f"arn:aws:iam::{ACCOUNT.account_id}:oidc-provider/token.example.com/realms/a"
PRINT = "990F4193972F2BECF12DDEDA5237F9C952F20D9E"


def on(client: Client, operation: str, arn: str = ARN, **more: Any) -> Any:
    return client.ask(operation, OpenIDConnectProviderArn=arn, **more)


def test_a_provider_is_made_told_and_deleted(client: Client) -> None:
    tags = [{"Key": "a", "Value": "b"}]
    made = client.ask("CreateOpenIDConnectProvider", Url=URL, ClientIDList=["one"], ThumbprintList=[PRINT], Tags=tags)
    assert made == {"OpenIDConnectProviderArn": ARN, "Tags": tags}
    found = on(client, "GetOpenIDConnectProvider")
    assert found.pop("CreateDate").endswith("Z")
    assert found == {
        "Url": "token.example.com/realms/a", "ClientIDList": ["one"], "ThumbprintList": [PRINT], "Tags": tags
    }  # fmt: skip
    assert client.ask("ListOpenIDConnectProviders") == {"OpenIDConnectProviderList": [{"Arn": ARN}]}
    exists = refusal(client.ask, "CreateOpenIDConnectProvider", Url=URL)
    assert exists == ("EntityAlreadyExists", f"Provider with url {URL} already exists.")
    on(client, "DeleteOpenIDConnectProvider")
    assert refusal(on, client, "GetOpenIDConnectProvider") == (
        "NoSuchEntity", f"OpenIDConnect Provider not found for arn {ARN}"
    )  # fmt: skip
    assert client.ask("ListOpenIDConnectProviders") == {"OpenIDConnectProviderList": []}


def test_what_a_provider_has_is_changed(client: Client) -> None:
    client.ask("CreateOpenIDConnectProvider", Url=URL)
    on(client, "AddClientIDToOpenIDConnectProvider", ClientID="one")
    on(client, "AddClientIDToOpenIDConnectProvider", ClientID="two")
    on(client, "RemoveClientIDFromOpenIDConnectProvider", ClientID="one")
    on(client, "UpdateOpenIDConnectProviderThumbprint", ThumbprintList=[PRINT.lower()])
    on(client, "TagOpenIDConnectProvider", Tags=[{"Key": "a", "Value": "b"}, {"Key": "c", "Value": ""}])
    on(client, "UntagOpenIDConnectProvider", TagKeys=["a"])
    found = on(client, "GetOpenIDConnectProvider")
    assert (found["ClientIDList"], found["ThumbprintList"]) == (["two"], [PRINT.lower()])
    assert on(client, "ListOpenIDConnectProviderTags")["Tags"] == [{"Key": "c", "Value": ""}] == found["Tags"]


@pytest.mark.parametrize(
    "url",
    [
        "http://token.example.com",
        "https://",
        "https:///path",
        "https://user@token.example.com",
        "https://token.example.com/?a=b",
        "https://token.example.com/#a",
        "https://token.example.com?",
        "https://TOKEN.example.com",
        "https://token.example.com:0",
        "https://token.example.com:99999",
        "https://token.example.com:",
        "https://to ken.example.com",
        "https://token..example.com",
        "https://aws",
        "https://sts",
        "ftp://token.example.com",
        "token.example.com",
        f"https://token.example.com/{'a' * 255}",
        "https://token.example.com/\n",
        "https://token.example.com\\@127.0.0.1/",
    ],
)
def test_urls_that_no_issuer_has(client: Client, url: str) -> None:
    assert refusal(client.ask, "CreateOpenIDConnectProvider", Url=url)[0] == "ValidationError"
    with pytest.raises(ValueError):
        check_provider_url(url)


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("https://token.example.com", False),
        ("https://accounts.google.com/", False),
        ("https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E", False),
        ("https://10.0.0.1:8443/a", False),
        ("http://127.0.0.1:8080/realms/a", True),
        ("http://localhost:8080/auth/realms/demorealm", True),
        ("https://[::1]:1/", True),
    ],
)
def test_urls_that_issuers_have(url: str, is_here: bool) -> None:
    assert check_provider_url(url) == url
    assert is_fetchable(url)
    assert is_loopback(url) is is_here


def test_what_is_refused(client: Client) -> None:
    assert refusal(client.ask, "CreateOpenIDConnectProvider", Url=URL, ThumbprintList=["z" * 40])[0] == "InvalidInput"
    assert refusal(client.ask, "CreateOpenIDConnectProvider", Url=URL, ThumbprintList=[PRINT] * 6) == (
        "LimitExceeded", "Cannot exceed quota for ThumbprintsPerOpenIdConnectProvider: 5"
    )  # fmt: skip
    wrong = f"arn:aws:iam::{ACCOUNT.account_id}:saml-provider/a"
    assert refusal(on, client, "GetOpenIDConnectProvider", wrong)[0] == "InvalidInput"
    elsewhere = ARN.replace(ACCOUNT.account_id, "999999999999")
    assert refusal(on, client, "DeleteOpenIDConnectProvider", elsewhere)[0] == "NoSuchEntity"
