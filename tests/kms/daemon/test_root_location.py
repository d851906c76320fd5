from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kms.daemon.root_location import format_location, parse_location, places_of, resolve_location
from kms.daemon.settings import RootSettings, SettingsError
from kms.hsm.uri import parse_uri

URI = "pkcs11:token=one;object=sealgate-root?module-path=/usr/lib/module.so"
NEXT = "pkcs11:token=one;object=sealgate-root;id=" + "%0a" * 16 + "?module-path=/usr/lib/module.so"


def test_what_lies_in_the_data_directory_moves_with_it(tmp_path: Path) -> None:
    here, there = tmp_path / "a" / "kms", tmp_path / "b" / "kms"
    settings = RootSettings(kind="pkcs11", uri=URI, pin_file=here.parent / "pin", driver_file=Path("/etc/driver.toml"))
    text = format_location(settings, here)
    moved = parse_location(text, there)
    assert moved.pin_file is not None
    assert (moved.pin_file.resolve(), moved.driver_file) == (there.parent / "pin", Path("/etc/driver.toml"))
    assert str(tmp_path) not in text


def test_the_configuration_tells_the_way_to_its_own_token(tmp_path: Path) -> None:
    configured = RootSettings(kind="pkcs11", uri=URI, pin_file=Path("/new/pin"))
    text = format_location(RootSettings(kind="pkcs11", uri=NEXT, pin_file=Path("/old/pin")), tmp_path)
    assert resolve_location(text, configured, tmp_path) == replace(configured, uri=NEXT)
    elsewhere = replace(configured, uri=URI.replace("token=one", "token=two"))
    assert resolve_location(text, elsewhere, tmp_path).pin_file == Path("/old/pin")


def test_a_root_is_looked_for_where_the_configuration_says_and_nowhere_else(tmp_path: Path) -> None:
    configured = RootSettings(kind="pkcs11", uri=NEXT + "&pin-source=file:/pin")
    (place,) = places_of(configured, bytes(range(16)), "moved")
    uri = parse_uri(place.uri)
    assert (uri.token, uri.label, uri.root_id) == ("one", "moved", bytes(range(16)))
    assert replace(place, uri="") == replace(configured, uri="")
    assert parse_uri(configured.uri).pin_source == uri.pin_source
    in_file = RootSettings(kind="file", root_file=tmp_path / "root", key_file=tmp_path / "key")
    assert places_of(in_file, bytes(16), "any") == []
    for name in ("root-00000000", "root", "root-11111111"):
        (tmp_path / name).touch()
    found = places_of(in_file, bytes(16), "any")
    assert [place.root_file for place in found] == [tmp_path / "root", tmp_path / "root-00000000"]
    assert {place.key_file for place in found} == {tmp_path / "key"}


def test_words_of_another_release_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        parse_location('{"uri": 7}', tmp_path)
