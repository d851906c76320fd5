from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kms.hsm.interface import RootMisconfigured
from kms.hsm.uri import MAX_URI_LENGTH, TokenURI, format_uri, parse_uri

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")

GOOD = [
    ("pkcs11:token=sealgate?module-path=/usr/lib/softhsm/libsofthsm2.so", TokenURI(MODULE, "sealgate")),
    (
        "pkcs11:object=root;token=a%20b%3bc;serial=39aa;type=secret-key;id=%00%01%02%03%04%05%06%07%08%09%0a%0B%0C%0d%0e%ff"
        "?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin%20file",
        TokenURI(MODULE, "a b;c", "39aa", "root", bytes(range(15)) + b"\xff", Path("/run/pin file")),
    ),
    (
        "pkcs11:token=t%C3%BCr?pin-source=/run/pin&module-path=%2Fusr/lib/softhsm/libsofthsm2.so",
        TokenURI(MODULE, "tür", pin_source=Path("/run/pin")),
    ),
    (
        "pkcs11:token=t?pin-source=file:///run/pin&module-path=/usr/lib/softhsm/libsofthsm2.so",
        TokenURI(MODULE, "t", pin_source=Path("/run/pin")),
    ),
]

BAD = [
    ("", "begins with"),
    ("PKCS11:token=t?module-path=/m", "begins with"),
    ("pkcs11:", "lacks module-path"),
    ("pkcs11:token=t", "lacks module-path"),
    ("pkcs11:?module-path=/m", "lacks token"),
    ("pkcs11:token=?module-path=/m", "token .* 1 to 32"),
    ("pkcs11:token=" + "t" * 33 + "?module-path=/m", "token .* 1 to 32"),
    ("pkcs11:token=%ff?module-path=/m", "not UTF-8"),
    ("pkcs11:token=\udcff?module-path=/m", "is UTF-8"),
    ("pkcs11:token=a%00?module-path=/m", "no NUL"),
    ("pkcs11:token=a%2?module-path=/m", "name=value"),
    ("pkcs11:token=a%zz?module-path=/m", "name=value"),
    ("pkcs11:token=t;?module-path=/m", "name=value"),
    ("pkcs11:token=t;serial?module-path=/m", "name=value"),
    ("pkcs11:token=t;token=u?module-path=/m", "twice"),
    ("pkcs11:token=t;serial=12345678901234567?module-path=/m", "serial"),
    ("pkcs11:token=t;id=%01?module-path=/m", "16 bytes"),
    ("pkcs11:token=t;type=private?module-path=/m", "type"),
    ("pkcs11:token=t;slot-id=1?module-path=/m", "slot-id"),
    ("pkcs11:token=t;manufacturer=x?module-path=/m&module-name=y", "manufacturer, module-name"),
    ("pkcs11:token=t?module-path=m.so", "absolute"),
    ("pkcs11:token=t?module-path=/m&pin-source=|pinentry", "commands are refused"),
    ("pkcs11:token=t?module-path=/m&pin-source=pin", "absolute"),
    ("pkcs11:token=t?module-path=/" + "m" * MAX_URI_LENGTH, "at most"),
]


@pytest.mark.parametrize(("text", "uri"), GOOD)
def test_uri_is_parsed(text: str, uri: TokenURI) -> None:
    assert parse_uri(text) == uri
    assert parse_uri(format_uri(uri)) == uri


@pytest.mark.parametrize(("text", "message"), BAD)
def test_uri_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(RootMisconfigured, match=message):
        parse_uri(text)


def test_pin_value_is_refused_and_not_repeated() -> None:
    with pytest.raises(RootMisconfigured, match="pin-source") as caught:
        parse_uri("pkcs11:token=t?module-path=/m&pin-value=hunter2")
    assert "hunter2" not in str(caught.value)


def test_mac_label_follows_the_root_label() -> None:
    assert TokenURI(MODULE, "t", label="root").mac_label == "root-mac"


def texts(limit: int) -> st.SearchStrategy[str]:
    characters = st.characters(exclude_characters="\0", codec="utf-8")
    return st.text(characters, min_size=1, max_size=limit).filter(lambda text: len(text.encode()) <= limit)


paths = st.text(st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=40).map(
    lambda name: Path("/x") / name
)


@settings(max_examples=60)
@given(st.builds(
    TokenURI, module_path=paths, token=texts(32), serial=st.none() | texts(16), label=texts(64),
    root_id=st.none() | st.binary(min_size=16, max_size=16), pin_source=st.none() | paths,
))  # fmt: skip
def test_parse_is_the_inverse_of_format(uri: TokenURI) -> None:
    assert parse_uri(format_uri(uri)) == uri


@settings(max_examples=100)
@given(st.text(max_size=80).map("pkcs11:".__add__))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parse_uri(text)
    except RootMisconfigured:
        return
