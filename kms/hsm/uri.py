"""PKCS#11 URIs (RFC 7512) for the parts that name a root: module, token, root key, and where the PIN lies.

    pkcs11:token=sealgate;serial=39aa0c7d9be5c1f1;object=sealgate-root;id=%9a…?module-path=/usr/lib/…/libsofthsm2.so

A URI that says something we would not honour is refused, not half obeyed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from kms.hsm.interface import RootMisconfigured

MAX_URI_LENGTH = 4096
DEFAULT_LABEL = "sealgate-root"
ROOT_ID_SIZE = 16

_TOKEN_LABEL_SIZE = 32  # CK_TOKEN_INFO.label
_SERIAL_SIZE = 16  # CK_TOKEN_INFO.serialNumber
_MAX_OBJECT_LABEL = 64

_PATH_SAFE = ":[]@!$'()*+,=&"  # pk11-res-avail of RFC 7512 §2.3, and "&", which only ends a query attribute
_QUERY_SAFE = ":[]@!$'()*+,=/?|"
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class TokenURI:
    """A parsed URI. `serial` and `root_id` are None when the URI leaves them open; then the match must be unique."""

    module_path: Path
    token: str
    serial: str | None = None
    label: str = DEFAULT_LABEL
    root_id: bytes | None = None
    pin_source: Path | None = None

    @property
    def mac_label(self) -> str:
        """CKA_LABEL of the HMAC key that belongs to the root key; the two share one CKA_ID."""
        return self.label + "-mac"


def parse_uri(text: str) -> TokenURI:
    """Raises RootMisconfigured, naming the attribute that is missing, doubled, unknown or out of bounds."""
    if len(text) > MAX_URI_LENGTH:
        raise RootMisconfigured(f"a PKCS#11 URI has at most {MAX_URI_LENGTH} characters")
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of a command line that were no UTF-8
        raise RootMisconfigured("a PKCS#11 URI is UTF-8") from None
    if not text.startswith("pkcs11:"):
        raise RootMisconfigured("a PKCS#11 URI begins with 'pkcs11:' (RFC 7512)")
    path, _, query = text.removeprefix("pkcs11:").partition("?")
    attributes = _attributes(path, ";") | _attributes(query, "&")
    _refuse_unserved(attributes)
    if "module-path" not in attributes:
        raise RootMisconfigured("the PKCS#11 URI lacks module-path, the file of the PKCS#11 module")
    if "token" not in attributes:
        raise RootMisconfigured("the PKCS#11 URI lacks token, the token's label")
    module_path = Path(_text(attributes, "module-path", MAX_URI_LENGTH))
    if not module_path.is_absolute():
        raise RootMisconfigured("module-path in the PKCS#11 URI is an absolute path")
    return TokenURI(
        module_path=module_path,
        token=_text(attributes, "token", _TOKEN_LABEL_SIZE),
        serial=_text(attributes, "serial", _SERIAL_SIZE) if "serial" in attributes else None,
        label=_text(attributes, "object", _MAX_OBJECT_LABEL) if "object" in attributes else DEFAULT_LABEL,
        root_id=_root_id(attributes),
        pin_source=_pin_source(attributes),
    )


def format_uri(uri: TokenURI) -> str:
    """The inverse of `parse_uri`."""
    path = [f"token={quote(uri.token, safe=_PATH_SAFE)}"]
    if uri.serial is not None:
        path.append(f"serial={quote(uri.serial, safe=_PATH_SAFE)}")
    path.append(f"object={quote(uri.label, safe=_PATH_SAFE)}")
    if uri.root_id is not None:
        # RFC 7512 §2.3 asks for every octet of an id to be escaped.
        path.append("id=" + "".join(f"%{octet:02x}" for octet in uri.root_id))
    path.append("type=secret-key")
    query = [f"module-path={quote_from_bytes(bytes(uri.module_path), safe=_QUERY_SAFE)}"]
    if uri.pin_source is not None:
        query.append(f"pin-source=file:{quote_from_bytes(bytes(uri.pin_source), safe=_QUERY_SAFE)}")
    return "pkcs11:" + ";".join(path) + "?" + "&".join(query)


_KNOWN = frozenset({"token", "serial", "object", "id", "type", "module-path", "pin-source"})


def _refuse_unserved(attributes: dict[str, bytes]) -> None:
    if "pin-value" in attributes:
        raise RootMisconfigured(
            "pin-value in a PKCS#11 URI is refused: configuration and process lists would show the PIN; use pin-source"
        )
    unknown = attributes.keys() - _KNOWN
    if unknown:
        raise RootMisconfigured(f"the PKCS#11 URI has attributes that are not served: {', '.join(sorted(unknown))}")
    if attributes.get("type", b"secret-key") != b"secret-key":
        raise RootMisconfigured("type in the PKCS#11 URI is secret-key")


def _attributes(part: str, separator: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for attribute in part.split(separator) if part else ():
        name, equals, value = attribute.partition("=")
        if not name or not equals or _BAD_ESCAPE.search(value):
            raise RootMisconfigured("an attribute of the PKCS#11 URI is not of the form name=value with %XX escapes")
        if name in found:
            raise RootMisconfigured(f"the PKCS#11 URI names {name} twice")
        found[name] = unquote_to_bytes(value)
    return found


def _text(attributes: dict[str, bytes], name: str, limit: int) -> str:
    value = attributes[name]
    if not 0 < len(value) <= limit or b"\0" in value:
        raise RootMisconfigured(f"{name} in the PKCS#11 URI has 1 to {limit} bytes and no NUL")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise RootMisconfigured(f"{name} in the PKCS#11 URI is not UTF-8") from None


def _root_id(attributes: dict[str, bytes]) -> bytes | None:
    root_id = attributes.get("id")
    if root_id is not None and len(root_id) != ROOT_ID_SIZE:
        raise RootMisconfigured(f"id in the PKCS#11 URI has {ROOT_ID_SIZE} bytes, each written as %XX")
    return root_id


def _pin_source(attributes: dict[str, bytes]) -> Path | None:
    if "pin-source" not in attributes:
        return None
    source = _text(attributes, "pin-source", MAX_URI_LENGTH)
    path = Path(source.removeprefix("file://").removeprefix("file:"))
    if not path.is_absolute():
        raise RootMisconfigured("pin-source in the PKCS#11 URI is an absolute path or file: URI; commands are refused")
    return path
