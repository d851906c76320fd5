"""`cbc+hmac`: AES-CBC by C_Encrypt, then an HMAC by root-mac, for tokens that neither wrap nor have AES-GCM.

    wrapped = IV (16) ‖ ciphertext (32) ‖ HMAC-SHA256(root-mac, "sealgate/v1/root-cbc+hmac" ‖ IV ‖ ciphertext)

The HMAC is verified before anything is decrypted. Keys pass through this process in the clear when they are made.
"""

from __future__ import annotations

import ctypes
import hmac
from typing import Final

from kms.hsm.cryptoki import RawMechanism
from kms.hsm.interface import KEY_SIZE, UnwrapFailed
from kms.hsm.key_plan import encrypting_plan
from kms.hsm.profiles.interface import MAC_SIZE, RootSession

IV_SIZE = 16
SEALED_SIZE = IV_SIZE + KEY_SIZE
WRAPPED_SIZE = SEALED_SIZE + MAC_SIZE

_LABEL: Final = b"sealgate/v1/root-cbc+hmac"


class CBCHMACProfile:
    name = "cbc+hmac"

    def __init__(self, mechanism: int) -> None:
        self.mechanism = mechanism
        self.plan = encrypting_plan(mechanism)

    def generate(self, at: RootSession) -> bytes:
        return self.wrap(at, at.random(KEY_SIZE))

    def wrap(self, at: RootSession, key: bytes) -> bytes:
        iv = at.random(IV_SIZE)
        buffer = ctypes.create_string_buffer(iv, IV_SIZE)
        mechanism = RawMechanism(self.mechanism, ctypes.addressof(buffer), IV_SIZE)
        sealed = iv + at.cryptoki.encrypt(at.handle, mechanism, at.root.handle, key, KEY_SIZE)
        return sealed + at.mac(_LABEL + sealed)

    def unwrap(self, at: RootSession, wrapped: bytes) -> bytes:
        if len(wrapped) != WRAPPED_SIZE:
            raise UnwrapFailed(f"a wrapped key has {WRAPPED_SIZE} bytes, not {len(wrapped)}")
        sealed, tag = wrapped[:SEALED_SIZE], wrapped[SEALED_SIZE:]
        if not hmac.compare_digest(at.mac(_LABEL + sealed), tag):
            raise UnwrapFailed("the root did not wrap these bytes, or they were changed")
        buffer = ctypes.create_string_buffer(sealed[:IV_SIZE], IV_SIZE)
        mechanism = RawMechanism(self.mechanism, ctypes.addressof(buffer), IV_SIZE)
        return at.cryptoki.decrypt(at.handle, mechanism, at.root.handle, sealed[IV_SIZE:], KEY_SIZE)
