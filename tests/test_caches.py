"""What a process remembers is bounded, whatever it is asked for: docs/operations.md, "What is remembered", lists it.

Each cache is filled with ever new names, more of them than it may hold; those that remember only what exists, with
names of what does not. Bounds in bytes, and those of other caches, are tested where the caches are.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.operations import cross_origin
from gateway.owners import owners, owners_by_id
from gateway.server import rate_table
from gateway.server.iam_edge import _known
from gateway.server.kms_edge import _logged_operation
from gateway.server.rate_table import Rate, RateTable
from iam import key_uses, sessions, signing_keys, sigv4
from iam.errors import AuthenticationError
from iam.face.models.iam import IAM as IAM_MODEL
from iam.key_uses import AccessKeyUses
from iam.policy import public
from iam.policy.cache import PolicyCache
from iam.policy.document import PolicyKind
from iam.policy.errors import PolicyError
from iam.principals import Principal, PrincipalKind
from iam.scope import S3, STS, Authentication, CredentialScope, Form
from iam.secrets import Secret
from iam.session_tokens import SessionTokens
from iam.sessions import Sessions
from iam.signing_keys import SigningKeys
from iam.sigv4 import Claims
from iam.store.sqlite import SQLiteIdentityStore
from kms.epoch import MemoryEpoch
from kms.service import key_cache, recording, usage_tracker
from kms.service.key_cache import KeyCache
from kms.service.usage_tracker import UsageTracker
from tests.iam.store.test_sqlite import AESGCMSecretSealer

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def many(bound: int) -> Iterator[str]:
    """More names than may be remembered, none of them twice."""
    return (f"name-{number}" for number in range(bound + bound // 4))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteIdentityStore]:
    made = SQLiteIdentityStore(tmp_path / "identities.sqlite", AESGCMSecretSealer(bytes(32)))
    yield made
    made.close()


def test_signing_keys() -> None:
    keys, secret = SigningKeys(), Secret(b"secret")
    for name in many(signing_keys.CAPACITY):
        keys.get(secret, CredentialScope(name, "20260101", "us-east-1", "s3"))
    assert len(keys) == signing_keys.CAPACITY


def test_claims_of_clients_that_signed_well() -> None:
    claims, scope = Claims(), CredentialScope("AKIA", "20260101", "us-east-1", "s3")
    for name in many(sigv4.MAX_CLAIMS):
        claims.keep(name, S3, signed_by(scope))
        assert claims.find(name, S3) == (scope, ("host",), frozenset({"host"}))
        assert len(claims) <= sigv4.MAX_CLAIMS
    claims.keep("x" * (sigv4.MAX_CLAIM_CHARACTERS + 1), S3, signed_by(scope))
    assert claims.find("x" * (sigv4.MAX_CLAIM_CHARACTERS + 1), S3) is None
    assert claims.find(name, STS) is None


def signed_by(scope: CredentialScope) -> Authentication:
    return Authentication(Form.HEADER, scope, ("host",), "ab", "20260101T000000Z", NOW, None, [])


def test_unknown_access_keys_and_principals_are_not_remembered(store: SQLiteIdentityStore) -> None:
    for name in many(1000):
        assert store.find_credential(f"AKIA{name.upper().replace('-', '')}0000") is None
        assert store.find_principal(name) is None
        assert store.find_policy("123456789012", f"arn:aws:iam::123456789012:policy/{name}") is None
        assert not store.has_active_account(name)
        assert owners(store)(name).display_name == name
        assert owners_by_id(store)(name) is None
    assert not store._cache and not store._principals and not store._texts and not store._access_cache


def test_tokens_that_are_none_are_not_remembered(store: SQLiteIdentityStore) -> None:
    found = Sessions(SessionTokens(AESGCMSecretSealer(bytes(32))), store)
    for name in many(1000):
        with pytest.raises(AuthenticationError):
            found.credential("ASIAEXAMPLEEXAMPLE00", name, NOW)
    assert repr(found) == f"Sessions(0 of {sessions.CAPACITY})"


def test_uses_of_access_keys() -> None:
    uses = AccessKeyUses()
    for name in many(key_uses.MAX_PENDING):
        uses.note(name, "s3", "us-east-1")
    assert len(uses.take()) == key_uses.MAX_PENDING


@pytest.mark.parametrize("is_policy", [True, False])
def test_parsed_policies(is_policy: bool) -> None:
    """Those that do not parse are remembered as well, and count as much."""
    most = 100_000
    policies = PolicyCache(most)
    for name in many(1000):
        document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": f"s3:{name}", "Resource": "*"}}
        text = json.dumps(document) if is_policy else f"no policy: {name} {'x' * 200}"
        try:
            policies.policy(text, PolicyKind.IDENTITY)
        except PolicyError:
            assert not is_policy
        assert policies._characters <= most
        assert sum(len(each) for _, each in policies._parsed) == policies._characters


def test_which_bucket_policies_are_public() -> None:
    for name in many(public.MAX_REMEMBERED):
        public.is_public(json.dumps({"Statement": {"Effect": "Deny", "Sid": name}}))
    assert public.is_public.cache_info().currsize == public.MAX_REMEMBERED


def test_parsed_cors_rules() -> None:
    rule = "<CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>{}</AllowedOrigin></CORSRule>"
    for name in many(cross_origin.KEPT_CONFIGURATIONS):
        cross_origin._parsed(f"<CORSConfiguration>{rule.format(name)}</CORSConfiguration>")
    assert cross_origin._parsed.cache_info().currsize == cross_origin.KEPT_CONFIGURATIONS


def test_places_of_clients_in_the_table_of_rates() -> None:
    limit = RateTable.private().limit(Rate(1, 1), places=16)
    for name in many(rate_table.MAX_REMEMBERED):
        limit.take(name, 1)
        assert len(limit._remembered) <= rate_table.MAX_REMEMBERED


class EmptyStore:
    """A key store in which nothing is."""

    def require_current(self) -> None:
        pass

    def key(self, key_id: str, region: str) -> None:
        return None

    def alias(self, account_id: str, region: str, name: str) -> None:
        return None

    def grants_to(self, key_id: str, region: str, arns: tuple[str, ...]) -> list[Any]:
        return []


def test_rows_of_keys_grants_and_aliases() -> None:
    """That a principal has no grant is remembered: sessions are named by whoever makes them."""
    cache = KeyCache(cast(Any, EmptyStore()), MemoryEpoch())
    for name in many(key_cache.MAX_ROWS):
        assert cache.key(name, "us-east-1") is None
        assert cache.alias_target("123456789012", "us-east-1", name) is None
        session = Principal(PrincipalKind.ROLE_SESSION, "123456789012", f"arn:aws:sts::1:assumed-role/r/{name}", name)
        assert cache.grants_to("key", "us-east-1", session) == ()
        assert len(cache._grants) <= key_cache.MAX_ROWS + 1
    assert not cache._keys and not cache._aliases


def test_uses_of_kms_keys() -> None:
    tracker = UsageTracker()
    for name in many(usage_tracker.MAX_PENDING):
        decision = SimpleNamespace(
            action="kms:Decrypt", is_allowed=True, resource_arn=f"arn:aws:kms:us-east-1:123456789012:key/{name}"
        )
        call = SimpleNamespace(decisions=[decision], caller=SimpleNamespace(request_id="id"))
        tracker.note(cast(Any, call), 1)
        if name.endswith("7000"):  # of what was not written down there is not more either
            tracker.take()
    assert len(tracker.take()) == usage_tracker.MAX_PENDING


def test_what_lines_of_the_audit_trail_are_made_of() -> None:
    for remembered in (recording._resource, recording._identity):
        most = remembered.cache_info().maxsize
        assert most is not None
        for name in many(most):
            if remembered is recording._resource:
                recording._resource(f"arn:aws:kms:us-east-1:123456789012:key/{name}")
            else:
                recording._identity(Principal(PrincipalKind.USER, "123456789012", name, name))
        assert remembered.cache_info().currsize == most


def test_labels_of_metrics_are_our_own_names() -> None:
    """prometheus_client keeps every value of a label for good."""
    for name in many(1000):
        assert _logged_operation(f"TrentService.{name}") == _logged_operation(name) == "kms:unknown"
        assert _known({"Action": name}, IAM_MODEL.operations) == "unknown"


def memoised(source: str) -> Iterator[tuple[str, ast.expr, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """The functions of a module that functools remembers the results of."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                if name in {"cache", "lru_cache"}:
                    yield name, decorator, node


@pytest.mark.parametrize("package", ["database", "gateway", "iam", "kms"])
def test_every_memoised_function_is_bounded(package: str) -> None:
    found = 0
    for path in (ROOT / package).rglob("*.py"):
        for name, decorator, function in memoised(path.read_text()):
            found += 1
            where = f"{path.relative_to(ROOT)}: {function.name}"
            arguments = function.args
            if name == "cache":
                assert not (arguments.args or arguments.kwonlyargs or arguments.vararg), f"{where} has no bound"
                continue
            assert isinstance(decorator, ast.Call), f"{where} does not say its bound"
            bounds = [*decorator.args, *(each.value for each in decorator.keywords if each.arg == "maxsize")]
            assert bounds and not (isinstance(bounds[0], ast.Constant) and bounds[0].value is None), where
    assert found
