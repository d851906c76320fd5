"""How the key store remembers where a root is: `RootSettings` as JSON, its paths relative to the key store's directory.

So a data directory may be moved, as long as what lies in it moves with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import msgspec

from kms.daemon.settings import RootSettings, SettingsError
from kms.hsm.uri import format_uri, parse_uri


def format_location(settings: RootSettings, directory: Path) -> str:
    """JSON; what lies in `directory` or beside it is named relative to it."""

    def relative(path: Path) -> Path:
        inside = path.absolute().is_relative_to(directory.absolute().parent)
        return Path(os.path.relpath(path, directory)) if inside else path.absolute()

    return msgspec.json.encode(_with_paths(settings, relative), enc_hook=str).decode()


def parse_location(text: str, directory: Path) -> RootSettings:
    """The inverse of `format_location`. Raises SettingsError."""
    try:
        settings = msgspec.json.decode(text, type=RootSettings, dec_hook=lambda kind, value: kind(value))
    except (msgspec.DecodeError, TypeError) as error:
        raise SettingsError(f"the key store says in words of another release where a root is: {error}") from None
    return _with_paths(settings, lambda path: directory / path)


def resolve_location(text: str, configured: RootSettings, directory: Path) -> RootSettings:
    """Where a root is: as written down, except that for a root in the configured token the configuration tells the
    way to the token (an operator may have moved the PIN's file since)."""
    stored = parse_location(text, directory)
    if stored.kind != configured.kind:
        return stored
    if stored.kind == "pkcs11" and _token(stored) == _token(configured):
        return replace(configured, uri=stored.uri)
    if stored.root_file is not None and stored.root_file.resolve() == (configured.root_file or Path()).resolve():
        return configured
    return stored


def successor_file(root_file: Path, root_id: bytes) -> Path:
    """Where a file root lies that took the place of the one in `root_file`: beside it, named by its id."""
    return root_file.with_name(f"root-{root_id.hex()[:8]}")


def places_of(configured: RootSettings, root_id: bytes, label: str) -> list[RootSettings]:
    """Where the root of this id and label can be, going by the configuration alone: in its token, or in its file or
    one that a rotation made beside it."""
    if configured.kind == "pkcs11":
        uri = replace(parse_uri(configured.uri), root_id=root_id, label=label)
        return [replace(configured, uri=format_uri(uri))]
    assert configured.root_file is not None
    files = configured.root_file, successor_file(configured.root_file, root_id)
    return [replace(configured, root_file=path) for path in files if path.exists()]


def _token(settings: RootSettings) -> tuple[Path, str]:
    uri = parse_uri(settings.uri)
    return uri.module_path.resolve(), uri.token


def _with_paths(settings: RootSettings, change: Callable[[Path], Path]) -> RootSettings:
    values = ((field.name, getattr(settings, field.name)) for field in fields(settings))
    paths: dict[str, Any] = {name: change(value) for name, value in values if isinstance(value, Path)}
    return replace(settings, **paths)
