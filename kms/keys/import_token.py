"""Import tokens: the private half of a wrapping key, for whom it was made, and until when.

    token  = header ‖ wrapped ‖ sealed ‖ HMAC-SHA256(root-mac, "sealgate/v1/import-token" ‖ header ‖ wrapped ‖ sealed)
    header = version 1 ‖ algorithm ‖ key id (16) ‖ expires_us (BE64) ‖ length of region ‖ region
             ‖ length of wrapped (BE16)

`wrapped` is a key of its own that the root wraps; `sealed` is the PKCS#8 under AES-256-GCM with the key expanded from
it: one key, one message, so that the nonce is constant. Nothing is kept here about a token that was given out. It
serves until it expires, for the key, region and algorithm that it names, and the root that made it.
Pure but for the calls to the root, which block.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from kms.api.secrets import SecretBytes
from kms.hsm.interface import Root

_LABEL: Final = b"sealgate/v1/import-token"
_SEAL_LABEL: Final = b"sealgate/v1/import-token/private-key"
_VERSION: Final = 1
_NONCE: Final = bytes(12)
_KEY_SIZE: Final = 32
_MAC_SIZE: Final = 32
_FIXED: Final = struct.Struct(">BB16sQB")
_WRAPPED_SIZE: Final = struct.Struct(">H")

ALGORITHMS: Final = {
    "RSAES_OAEP_SHA_1": 1,
    "RSAES_OAEP_SHA_256": 2,
    "RSA_AES_KEY_WRAP_SHA_1": 3,
    "RSA_AES_KEY_WRAP_SHA_256": 4,
}
"""Numbers of the format, which may be added to."""

_ALGORITHM_NAMES: Final = {number: name for name, number in ALGORITHMS.items()}


class InvalidToken(ValueError):
    """No token that this root made, or a changed one."""


@dataclass(frozen=True, slots=True)
class ImportTerms:
    """What a token is good for: `key_id` is the 16 bytes of a key's id."""

    key_id: bytes
    region: str
    algorithm: str
    expires_us: int


def make_token(root: Root, terms: ImportTerms, pkcs8: SecretBytes) -> bytes:
    """A token with the private key in `pkcs8`: 3.1 KiB for RSA-4096. Three calls of the root."""
    wrapped = root.generate_wrapped_key()
    header = _format_header(terms) + _WRAPPED_SIZE.pack(len(wrapped))
    sealed = AESGCM(_expand(root.unwrap_key(wrapped))).encrypt(_NONCE, pkcs8.reveal(), header + wrapped)
    authenticated = header + wrapped + sealed
    return authenticated + root.mac(_LABEL + authenticated)


def open_token(root: Root, token: bytes) -> tuple[ImportTerms, SecretBytes]:
    """The terms and the private key (PKCS#8). Two calls of the root; the HMAC comes first.

    Raises InvalidToken for what this root did not make. Whether the terms are kept is for the caller to see.
    """
    authenticated, tag = token[:-_MAC_SIZE], token[-_MAC_SIZE:]
    if not hmac.compare_digest(root.mac(_LABEL + authenticated), tag):
        raise InvalidToken("the import token is not of this root")
    # From here on the bytes are our own, of a format that this release knows or does not.
    if authenticated[0] != _VERSION:
        raise InvalidToken(f"import token format {authenticated[0]} is not known to this release")
    _, algorithm, key_id, expires_us, region_size = _FIXED.unpack_from(authenticated)
    region_end = _FIXED.size + region_size
    start = region_end + _WRAPPED_SIZE.size
    end = start + _WRAPPED_SIZE.unpack_from(authenticated, region_end)[0]
    key = _expand(root.unwrap_key(authenticated[start:end]))
    pkcs8 = AESGCM(key).decrypt(_NONCE, authenticated[end:], authenticated[:end])
    region = authenticated[_FIXED.size : region_end].decode()
    return ImportTerms(key_id, region, _ALGORITHM_NAMES[algorithm], expires_us), SecretBytes(pkcs8)


def _format_header(terms: ImportTerms) -> bytes:
    region = terms.region.encode()
    return _FIXED.pack(_VERSION, ALGORITHMS[terms.algorithm], terms.key_id, terms.expires_us, len(region)) + region


def _expand(token_key: SecretBytes) -> bytes:
    """The sealing key (RFC 5869 §2.3). The HMAC binds it to the rest, so that it needs no commitment of its own."""
    return HKDFExpand(SHA256(), _KEY_SIZE, _SEAL_LABEL).derive(token_key.reveal())
