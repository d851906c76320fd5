"""A second implementation of docs/formats/ciphertext-blob.md, written from that page; shares no code with kms.keys."""

from __future__ import annotations

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def context_bytes(context: dict[str, str]) -> bytes:
    encoded = {k.encode("utf-8"): v.encode("utf-8") for k, v in context.items()}
    out = struct.pack(">I", len(encoded))
    for key in sorted(encoded):
        out += struct.pack(">I", len(key)) + key + struct.pack(">I", len(encoded[key])) + encoded[key]
    return out


def expand(key: bytes, derived_from: bytes) -> tuple[bytes, bytes]:
    label = b"\x01" + b"sealgate/v1/ciphertext-blob/message-key"
    secret = hmac.new(key, label + derived_from, hashlib.sha256).digest()
    info = b"sealgate/v1/ciphertext-blob/expand"
    first = hmac.new(secret, info + b"\x01", hashlib.sha256).digest()
    second = hmac.new(secret, first + info + b"\x02", hashlib.sha256).digest()
    return first, second


def seal(key: bytes, key_id: bytes, version: int, salt: bytes, plaintext: bytes, context: dict[str, str]) -> bytes:
    derived_from = b"\x01\x01" + key_id + struct.pack(">I", version) + salt
    message_key, commitment = expand(key, derived_from)
    encryptor = Cipher(algorithms.AES(message_key), modes.GCM(bytes(12))).encryptor()
    encryptor.authenticate_additional_data(derived_from + commitment + context_bytes(context))
    ciphertext = encryptor.update(plaintext) + encryptor.finalize()
    return derived_from + commitment + ciphertext + encryptor.tag


def open_(key: bytes, blob: bytes, context: dict[str, str]) -> bytes:
    message_key, commitment = expand(key, blob[:54])
    assert blob[54:86] == commitment
    decryptor = Cipher(algorithms.AES(message_key), modes.GCM(bytes(12), blob[-16:])).decryptor()
    decryptor.authenticate_additional_data(blob[:86] + context_bytes(context))
    return decryptor.update(blob[86:-16]) + decryptor.finalize()
