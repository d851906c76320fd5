"""What s3_conformance.py puts between test_sts.py of ceph/s3-tests and the SDK, so that the tests say what AWS knows.

The file spells things as RGW has them outside of accounts, and AWS nowhere: ARNs without an account's id, an issuer of
OpenID Connect at a fixed port, the audience of its tokens by the condition keys `app_id` and `azp`, and a provider
without audiences, which accepts any. On the way out each is put as AWS has it, and ARNs are put back on the way in;
what is asked for, and what is expected, stays the test's own. A plugin of the suite's pytest.
"""

from __future__ import annotations

import os
from typing import Any

import boto3

ACCOUNT = "SEALGATE_CONFORMANCE_ACCOUNT"
ISSUER = "SEALGATE_CONFORMANCE_ISSUER"
"""The environment variables that name the account of `iam`, and the URL of the issuer."""

REALM = "conformance"
AUDIENCE = "conformance-client"

_SUITE_ISSUER = f"localhost:8080/auth/realms/{REALM}"


def pytest_configure() -> None:
    """Plugin: every client of boto3, those beneath its resources too."""
    original = boto3.session.Session.client

    def client(session: Any, *arguments: Any, **options: Any) -> Any:
        made = original(session, *arguments, **options)
        made.meta.events.register("provide-client-params.*", _way_out)
        made.meta.events.register("after-call.*", _way_in)
        return made

    boto3.session.Session.client = client


def _way_out(params: dict[str, Any], model: Any, **_: Any) -> Any:
    account_id, issuer = os.environ[ACCOUNT], os.environ[ISSUER].partition("://")[2]
    spellings = {"arn:aws:iam:::assumed-role/": "arn:aws:sts:::assumed-role/"}
    spellings |= {f"arn:aws:{service}:::": f"arn:aws:{service}::{account_id}:" for service in ("iam", "sts")}
    spellings |= {_SUITE_ISSUER: issuer, f'{issuer}:app_id"': f'{issuer}:aud"', f'{issuer}:azp"': f'{issuer}:aud"'}
    if model.name == "CreateOpenIDConnectProvider":
        params = {**params, "ClientIDList": params.get("ClientIDList") or [AUDIENCE]}
    return _respelt(params, spellings)


def _way_in(parsed: dict[str, Any], **_: Any) -> None:
    account_id = os.environ[ACCOUNT]
    spellings = {f"arn:aws:{service}::{account_id}:": f"arn:aws:{service}:::" for service in ("iam", "sts")}
    parsed.update(_respelt({name: value for name, value in parsed.items() if name != "ResponseMetadata"}, spellings))


def _respelt(value: Any, spellings: dict[str, str]) -> Any:
    """The same with other spellings in every text, however deep; streams and numbers as they are."""
    if isinstance(value, str):
        for one, other in spellings.items():
            value = value.replace(one, other)
        return value
    if isinstance(value, dict):
        return {name: _respelt(each, spellings) for name, each in value.items()}
    if isinstance(value, list):
        return [_respelt(each, spellings) for each in value]
    return value
