"""JSON Web Tokens and key sets, held against joserfc, which signs; and what neither may be."""

from __future__ import annotations

import base64
import hmac
import json
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws

from iam.jose import (
    ALGORITHMS,
    MAX_TOKEN_CHARACTERS,
    NotAKeySet,
    NotAToken,
    NotVerified,
    parse_key_set,
    parse_token,
)
from tests.oidc_issuer import Signer

ISSUER = "https://issuer.example.com"


@lru_cache
def signer(algorithm: str, key_id: str = "key-1") -> Signer:
    return Signer(algorithm, key_id)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def assembled(header: Any, claims: Any, signature: bytes = b"s") -> str:
    return ".".join((b64(json.dumps(header).encode()), b64(json.dumps(claims).encode()), b64(signature)))


HEADER = b64(b'{"alg":"RS256"}')


def refused(token: str, *keys: Signer) -> bool:
    found = [key for each in keys for key in parse_key_set(each.key_set())]
    with pytest.raises(NotVerified):
        parse_token(token).verify(found)
    return True


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_what_another_implementation_signed_is_verified(algorithm: str) -> None:
    made = signer(algorithm)
    token = parse_token(made.token(ISSUER, more=["a", 1, {"é": None}]))
    token.verify(parse_key_set(made.key_set()))
    assert (token.algorithm, token.key_id) == (algorithm, "key-1")
    assert token.claims["iss"] == ISSUER and token.claims["more"] == ["a", 1, {"é": None}]
    text = made.token(ISSUER)
    head, claims, signature = text.split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    for place in range(0, len(raw), 7):
        changed = bytearray(raw)
        changed[place] ^= 1
        assert refused(f"{head}.{claims}.{b64(changed)}", made)
    assert refused(f"{head}.{b64(b'{}')}.{signature}", made)
    assert refused(f"{head}.{claims}.{b64(raw[:-1])}", made)
    assert refused(f"{head}.{claims}.{b64(raw + bytes(1))}", made)


def test_the_example_of_the_standard() -> None:
    """RFC 7515, appendix A.3."""
    key = {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    token = parse_token(
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
        "cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    )
    token.verify(parse_key_set(json.dumps({"keys": [key]}).encode()))
    assert token.claims == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}


def test_every_changed_character_is_refused() -> None:
    made = signer("ES256")
    text = made.token(ISSUER)
    keys = parse_key_set(made.key_set())
    for place in range(len(text)):
        for other in {"A", "b", ".", "=", "é", ""} - {text[place]}:
            with pytest.raises((NotAToken, NotVerified)):
                parse_token(text[:place] + other + text[place + 1 :]).verify(keys)


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "HS256", "HS512", "ES512", "EdDSA", "RS1", "", None, 1, ["RS256"]]
)
def test_algorithms_that_are_not_taken(algorithm: Any) -> None:
    with pytest.raises(NotAToken):
        parse_token(assembled({"alg": algorithm}, {}))


def test_a_public_key_is_no_secret() -> None:
    """The classic confusion: an HMAC under the bytes of the public key."""
    public = signer("RS256").key.as_pem(private=False)
    signed = f"{b64(b'{}')}.{b64(b'{}')}".replace(b64(b"{}"), b64(b'{"alg":"HS256"}'), 1)
    forged = f"{signed}.{b64(hmac.digest(public, signed.encode(), 'sha256'))}"
    with pytest.raises(NotAToken):
        parse_token(forged)


def test_keys_are_of_their_algorithm() -> None:
    rs, ps, es, es384 = (signer(each) for each in ("RS256", "PS256", "ES256", "ES384"))
    assert refused(rs.token(ISSUER), es)
    assert refused(es.token(ISSUER), rs)
    assert refused(es.token(ISSUER), es384)
    token = jws.serialize_compact({"alg": "PS256", "kid": "key-1"}, b"{}", rs.key, algorithms=["PS256"])
    assert refused(token, rs)  # the set says that this key is for RS256
    without = json.dumps({"keys": [{key: value for key, value in rs.public.items() if key != "alg"}]}).encode()
    parse_token(token).verify(parse_key_set(without))
    assert refused(ps.token(ISSUER), rs)


def test_the_key_that_is_named_counts() -> None:
    one, two = signer("ES256", "one"), signer("ES256", "two")
    both = parse_key_set(json.dumps({"keys": [one.public, two.public]}).encode())
    for made in (one, two):
        parse_token(made.token(ISSUER)).verify(both)
    assert refused(one.token(ISSUER, header={"kid": "two"}), one, two)
    assert refused(one.token(ISSUER, header={"kid": "three"}), one, two)


def test_a_token_that_names_no_key_is_tried_by_all_of_some() -> None:
    one, two = signer("ES256", "one"), signer("ES256", "two")
    unnamed = jws.serialize_compact({"alg": "ES256"}, b"{}", two.key, algorithms=["ES256"])
    token = parse_token(unnamed)
    token.verify(parse_key_set(json.dumps({"keys": [one.public, two.public]}).encode()))
    many = json.dumps({"keys": [one.public] * 8 + [two.public]}).encode()
    with pytest.raises(NotVerified):
        token.verify(parse_key_set(many))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "a.b",
        "a.b.c.d",
        assembled([], {}),
        assembled({"alg": "RS256"}, []),
        assembled({"alg": "RS256", "kid": 1}, {}),
        assembled({"alg": "RS256", "crit": ["b64"]}, {}),
        assembled({"alg": "RS256"}, {}) + "=",
        assembled({"alg": "RS256"}, {}) + "\n",
        f"{b64(b'{')}.{b64(b'{}')}.AA",
        f"{b64(b'{}')}.{b64(b'{}')}.AA",
        ".".join((b64(b'{"alg":"RS256","alg":"ES256"}'), b64(b"{}"), "AA")),
        ".".join((HEADER, b64(b'{"a":1,"a":2}'), "AA")),
        ".".join((HEADER, b64(b'{"a":NaN}'), "AA")),
        ".".join((HEADER, b64(b"[" * 5000), "AA")),
        ".".join((HEADER, b64(b"\xff"), "AA")),
        "A" * (MAX_TOKEN_CHARACTERS + 1),
    ],
)
def test_texts_that_are_no_tokens(text: str) -> None:
    with pytest.raises(NotAToken):
        parse_token(text)


@given(st.text(max_size=200) | st.lists(st.text("AQe-_.=", max_size=40), min_size=3, max_size=3).map(".".join))
def test_any_text(text: str) -> None:
    with pytest.raises(NotAToken):
        parse_token(text)


@given(st.binary(max_size=300))
def test_any_key_set(document: bytes) -> None:
    with pytest.raises(NotAKeySet):
        parse_key_set(document)


GOOD = signer("RS256").public


@pytest.mark.parametrize(
    "key",
    [
        None,
        {},
        {**GOOD, "use": "enc"},
        {**GOOD, "key_ops": ["sign"]},
        {**GOOD, "key_ops": "verify"},
        {**GOOD, "kid": 1},
        {**GOOD, "alg": ["RS256"]},
        {**GOOD, "kty": "oct", "k": "AAAA"},
        {**GOOD, "n": b64((1 << 1023).to_bytes(128, "big"))},
        {**GOOD, "n": b64(bytes([255]) * 2000)},
        {**GOOD, "n": GOOD["n"] + "="},
        {**GOOD, "e": b64(bytes([1, 0, 0, 0, 1]))},
        {**GOOD, "e": "Ag"},
        {**GOOD, "e": 3},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
    ],
)
def test_keys_that_verify_nothing_are_passed_over(key: Any) -> None:
    assert parse_key_set(json.dumps({"keys": [key]}).encode()) == ()
    (found,) = parse_key_set(json.dumps({"keys": [key, GOOD]}).encode())
    assert found.key_id == "key-1"


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[],"keys":[]}', b"\xff"])
def test_documents_that_are_no_key_set(document: bytes) -> None:
    with pytest.raises(NotAKeySet):
        parse_key_set(document)


def test_a_key_set_is_bounded() -> None:
    assert len(parse_key_set(json.dumps({"keys": [GOOD] * 100}).encode())) == 100
    with pytest.raises(NotAKeySet):
        parse_key_set(json.dumps({"keys": [GOOD] * 101}).encode())
