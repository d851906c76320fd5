"""Session tokens: what is sealed comes back, in one spelling, for one access key; nothing else opens."""

from __future__ import annotations

import base64
import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iam.secrets import Secret
from iam.session_tokens import (
    MAX_PACKED_BYTES,
    MAX_TOKEN_LENGTH,
    NotASessionToken,
    PassedSession,
    SessionKind,
    SessionToken,
    SessionTokens,
    TooLarge,
    packed_percent,
)
from tests.iam.store.test_sqlite import AESGCMSecretSealer

KEY_ID = "ASIAABCDEFGHIJKLMNOP"
TOKENS = SessionTokens(AESGCMSecretSealer(bytes(32)))
TOKEN = SessionToken(
    SessionKind.ROLE,
    Secret(b"s" * 40),
    1_700_000_000_000_000,
    1_700_003_600_000_000,
    "123456789012",
    "AROAABCDEFGHIJKLMNOPQ",
    "session",
    PassedSession('{"a": "b"}', ("arn:aws:iam::aws:policy/A",), (("Team", "é"), ("x", "")), ("Team",)),
    "someone",
    "arn:aws:iam::123456789012:oidc-provider/example.com",
    (("example.com:sub", ("me",)), ("example.com:amr", ("a", "b"))),
)

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=64)
_tokens = st.builds(
    SessionToken,
    st.sampled_from(SessionKind),
    st.binary(min_size=1, max_size=64).map(Secret),
    st.integers(0, 2**62),
    st.integers(0, 2**62),
    st.text(string.digits, min_size=12, max_size=12),
    _texts,
    _texts,
    st.builds(
        PassedSession,
        st.none() | _texts,
        st.lists(_texts, max_size=3).map(tuple),
        st.lists(st.tuples(_texts, _texts), max_size=3).map(tuple),
        st.lists(_texts, max_size=3).map(tuple),
    ),
    st.none() | _texts,
    st.none() | _texts,
    st.lists(st.tuples(_texts, st.lists(_texts, max_size=2).map(tuple)), max_size=2).map(tuple),
)


@given(_tokens, _texts)
def test_what_was_sealed_is_what_opens(token: SessionToken, access_key_id: str) -> None:
    text = TOKENS.seal(access_key_id, token)
    assert TOKENS.open(access_key_id, text) == token
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")
    assert len(text) <= MAX_TOKEN_LENGTH


def test_two_tokens_of_one_session_differ() -> None:
    assert TOKENS.seal(KEY_ID, TOKEN) != TOKENS.seal(KEY_ID, TOKEN)


def refused(access_key_id: str, text: str, tokens: SessionTokens = TOKENS) -> bool:
    with pytest.raises(NotASessionToken) as caught:
        tokens.open(access_key_id, text)
    assert caught.value.__cause__ is None
    return True


def test_every_changed_bit_is_refused() -> None:
    text = TOKENS.seal(KEY_ID, TOKEN)
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    for place in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[place] ^= 1 << bit
            assert refused(KEY_ID, base64.urlsafe_b64encode(changed).rstrip(b"=").decode())


def test_every_changed_character_is_refused() -> None:
    text = TOKENS.seal(KEY_ID, TOKEN)
    for place in range(len(text)):
        for other in {"A", "b", "-", "+", "=", "é", "\udcff", ""} - {text[place]}:
            assert refused(KEY_ID, text[:place] + other + text[place + 1 :])
    for alphabet in (string.ascii_letters, string.digits):  # the last one has bits that mean nothing
        for other in set(alphabet) - {text[-1]}:
            assert refused(KEY_ID, text[:-1] + other)


@pytest.mark.parametrize("further", ["=", "A", "AAAA", "\n", " ", "."])
def test_what_is_added_is_refused(further: str) -> None:
    text = TOKENS.seal(KEY_ID, TOKEN)
    assert refused(KEY_ID, text + further)
    assert refused(KEY_ID, further + text)


def test_a_token_is_of_its_access_key_and_key() -> None:
    text = TOKENS.seal(KEY_ID, TOKEN)
    assert refused(KEY_ID[:-1], text)
    assert refused("AKIAIOSFODNN7EXAMPLE", text)
    assert refused(KEY_ID, text, SessionTokens(AESGCMSecretSealer(bytes(31) + b"1")))


def test_what_is_sealed_for_something_else_is_no_token() -> None:
    sealer = AESGCMSecretSealer(bytes(32))
    secret = sealer.seal(b"sealgate/v1/iam/access-key/" + KEY_ID.encode(), b"s" * 40)
    assert refused(KEY_ID, base64.urlsafe_b64encode(b"\1" + secret).decode().rstrip("="))
    not_a_document = sealer.seal(b"sealgate/v1/sts/session-token/" + KEY_ID.encode(), b"\x90")
    assert refused(KEY_ID, base64.urlsafe_b64encode(b"\1" + not_a_document).decode().rstrip("="))


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_other_text_is_refused(text: str) -> None:
    assert refused(KEY_ID, text)


def test_long_text_is_refused_unread() -> None:
    assert refused(KEY_ID, "A" * (MAX_TOKEN_LENGTH + 1))


def test_nothing_shows_the_secret() -> None:
    assert "ssss" not in repr(TOKEN)
    assert b"s" * 8 not in base64.urlsafe_b64decode(TOKENS.seal(KEY_ID, TOKEN) + "==")


def test_what_is_packed_is_bounded() -> None:
    assert packed_percent(PassedSession()) is None
    assert packed_percent(PassedSession("{}")) == 1
    incompressible = PassedSession(base64.b85encode(bytes(range(256)) * 3).decode() * 4)
    assert 0 < (packed_percent(incompressible) or 0) <= 100
    keys = [f"{place:03}{chr(0x4E00 + place * 7)}" * 20 for place in range(50)]
    tags = tuple((key, "".join(chr(0x4E00 + (place * 31 + ord(key[1]) * at) % 20000) for at in range(256)))
                 for place, key in enumerate(keys))  # fmt: skip
    with pytest.raises(TooLarge) as caught:
        packed_percent(PassedSession(tags=tags))
    assert caught.value.percent > 100
    with pytest.raises(TooLarge):
        TOKENS.seal(KEY_ID, replace(TOKEN, passed=PassedSession(tags=tags)))


def test_what_would_unfold_too_far_is_not_packed() -> None:
    with pytest.raises(TooLarge):
        packed_percent(PassedSession("a" * 200_000))


def test_the_fullest_token_fits() -> None:
    """As much as can be packed, and the longest of everything else."""
    text = base64.b85encode(b"".join(value.to_bytes(4, "big") for value in range(0, 2**32, 2**32 // 700))).decode()
    passed = PassedSession(text)
    assert len(text) < MAX_PACKED_BYTES
    claims = tuple((f"{'i' * 255}:{name}", ("v" * 255,)) for name in ("aud", "sub"))
    longest = replace(TOKEN, name="n" * 64, passed=passed, source_identity="s" * 256, provider="p" * 300, claims=claims)
    assert TOKENS.open(KEY_ID, TOKENS.seal(KEY_ID, longest)) == longest
