"""`gcm`: AES-GCM by C_Encrypt and C_Decrypt, for tokens that do not wrap.

    wrapped = IV (12) ‖ ciphertext (32) ‖ tag (16)      the IV ours (`caller`), or the token's (`zero-writeback`)
    wrapped = ciphertext (32) ‖ tag (16) ‖ IV (16)      as the token appends it (`appended`)

Keys pass through this process in the clear when they are made. IVs of 96 random bits allow 2**32 keys under one root,
more than any installation has (NIST SP 800-38D, §8.3).
"""

from __future__ import annotations

import ctypes
from typing import Final

from kms.hsm.cryptoki import GCMParameters, RawMechanism
from kms.hsm.driver import IVMode
from kms.hsm.interface import KEY_SIZE, RootMisconfigured, UnwrapFailed
from kms.hsm.key_plan import encrypting_plan
from kms.hsm.profiles.interface import RootSession

IV_SIZE = 12
APPENDED_IV_SIZE = 16
TAG_SIZE = 16
SEALED_SIZE = KEY_SIZE + TAG_SIZE

_ASSOCIATED_DATA: Final = b"sealgate/v1/root-gcm"


class _Parameters:
    """CK_GCM_PARAMS with buffers of its own, which a token may write into. Lives as long as the call."""

    def __init__(self, iv: bytes) -> None:
        self._iv = ctypes.create_string_buffer(iv, max(1, len(iv)))
        self._associated_data = ctypes.create_string_buffer(_ASSOCIATED_DATA, len(_ASSOCIATED_DATA))
        self._size = len(iv)
        self._structure = GCMParameters(
            ctypes.addressof(self._iv) if iv else None,
            len(iv),
            len(iv) * 8,
            ctypes.addressof(self._associated_data),
            len(_ASSOCIATED_DATA),
            TAG_SIZE * 8,
        )

    @property
    def iv(self) -> bytes:
        return self._iv.raw[: self._size]

    def mechanism(self, number: int) -> RawMechanism:
        return RawMechanism(number, ctypes.addressof(self._structure), ctypes.sizeof(self._structure))


class GCMProfile:
    name = "gcm"

    def __init__(self, mechanism: int, iv_mode: IVMode) -> None:
        self.mechanism = mechanism
        self.iv_mode = iv_mode
        self.plan = encrypting_plan(mechanism)

    def generate(self, at: RootSession) -> bytes:
        return self.wrap(at, at.random(KEY_SIZE))

    def wrap(self, at: RootSession, key: bytes) -> bytes:
        if self.iv_mode is IVMode.CALLER:
            given = at.random(IV_SIZE)
        else:
            given = bytes(IV_SIZE) if self.iv_mode is IVMode.ZERO_WRITEBACK else b""
        parameters = _Parameters(given)
        mechanism = parameters.mechanism(self.mechanism)
        max_size = SEALED_SIZE + APPENDED_IV_SIZE
        sealed = at.cryptoki.encrypt(at.handle, mechanism, at.root.handle, key, max_size)
        if self.iv_mode is not IVMode.APPENDED:
            return self._iv_used(parameters) + sealed
        if len(sealed) != max_size:
            raise RootMisconfigured("the token appended no IV of 16 bytes: gcm_iv = 'appended' is not its way")
        return sealed

    def unwrap(self, at: RootSession, wrapped: bytes) -> bytes:
        is_appended = self.iv_mode is IVMode.APPENDED
        size = SEALED_SIZE + (APPENDED_IV_SIZE if is_appended else IV_SIZE)
        if len(wrapped) != size:
            raise UnwrapFailed(f"a wrapped key has {size} bytes, not {len(wrapped)}")
        iv, sealed = (wrapped[SEALED_SIZE:], wrapped[:SEALED_SIZE]) if is_appended else (wrapped[:12], wrapped[12:])
        parameters = _Parameters(iv)
        mechanism = parameters.mechanism(self.mechanism)
        # Some modules want room for the tag in the output as well.
        return at.cryptoki.decrypt(at.handle, mechanism, at.root.handle, sealed, SEALED_SIZE)

    def _iv_used(self, parameters: _Parameters) -> bytes:
        """The IV after the call. One that the token should have chosen and did not would be zero for every key."""
        iv = parameters.iv
        if not any(iv):
            raise RootMisconfigured(f"the token used an IV of zeros: gcm_iv = {self.iv_mode.value!r} is not its way")
        return iv
