"""C_Encrypt, C_Decrypt, C_Sign and C_DeriveKey by handles, through ctypes: where python-pkcs11 is in the way.

python-pkcs11 0.10 hands CK_GCM_PARAMS a pointer into immutable bytes, so that a token that writes the IV back writes
into somebody's constant; asks NSS for the length of a GCM ciphertext in a way that it refuses; and binds an object to
the session that found it, though PKCS#11 lets every session of a process use it (v2.40 base, §2.6.7).

Handles are numbers: whoever passes them holds the module (`Module.calls`) and knows that they are of its generation.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

from pkcs11 import Attribute
from pkcs11 import exceptions as p11

from kms.hsm.templates import CKAttribute, PackedTemplate

# The order of CK_FUNCTION_LIST (PKCS#11 v2.40 base, §3.6) as far as the last one used.
FUNCTIONS: Final = (
    "C_Initialize",
    "C_Finalize",
    "C_GetInfo",
    "C_GetFunctionList",
    "C_GetSlotList",
    "C_GetSlotInfo",
    "C_GetTokenInfo",
    "C_GetMechanismList",
    "C_GetMechanismInfo",
    "C_InitToken",
    "C_InitPIN",
    "C_SetPIN",
    "C_OpenSession",
    "C_CloseSession",
    "C_CloseAllSessions",
    "C_GetSessionInfo",
    "C_GetOperationState",
    "C_SetOperationState",
    "C_Login",
    "C_Logout",
    "C_CreateObject",
    "C_CopyObject",
    "C_DestroyObject",
    "C_GetObjectSize",
    "C_GetAttributeValue",
    "C_SetAttributeValue",
    "C_FindObjectsInit",
    "C_FindObjects",
    "C_FindObjectsFinal",
    "C_EncryptInit",
    "C_Encrypt",
    "C_EncryptUpdate",
    "C_EncryptFinal",
    "C_DecryptInit",
    "C_Decrypt",
    "C_DecryptUpdate",
    "C_DecryptFinal",
    "C_DigestInit",
    "C_Digest",
    "C_DigestUpdate",
    "C_DigestKey",
    "C_DigestFinal",
    "C_SignInit",
    "C_Sign",
    "C_SignUpdate",
    "C_SignFinal",
    "C_SignRecoverInit",
    "C_SignRecover",
    "C_VerifyInit",
    "C_Verify",
    "C_VerifyUpdate",
    "C_VerifyFinal",
    "C_VerifyRecoverInit",
    "C_VerifyRecover",
    "C_DigestEncryptUpdate",
    "C_DecryptDigestUpdate",
    "C_SignEncryptUpdate",
    "C_DecryptVerifyUpdate",
    "C_GenerateKey",
    "C_GenerateKeyPair",
    "C_WrapKey",
    "C_UnwrapKey",
    "C_DeriveKey",
)


class FunctionList(ctypes.Structure):
    """The head of CK_FUNCTION_LIST."""

    _fields_ = [("version", ctypes.c_ubyte * 2), *((name, ctypes.c_void_p) for name in FUNCTIONS)]


class RawMechanism(ctypes.Structure):
    """CK_MECHANISM; `parameter` is the address of a structure that its maker keeps alive."""

    _fields_ = [("mechanism", ctypes.c_ulong), ("parameter", ctypes.c_void_p), ("length", ctypes.c_ulong)]


class GCMParameters(ctypes.Structure):
    """CK_GCM_PARAMS with ulIvBits, as the headers of v2.40 errata 01 and v3 have it."""

    _fields_ = [
        ("iv", ctypes.c_void_p),
        ("iv_length", ctypes.c_ulong),
        ("iv_bits", ctypes.c_ulong),
        ("associated_data", ctypes.c_void_p),
        ("associated_data_length", ctypes.c_ulong),
        ("tag_bits", ctypes.c_ulong),
    ]


class PSSParameters(ctypes.Structure):
    """CK_RSA_PKCS_PSS_PARAMS."""

    _fields_ = [("hash", ctypes.c_ulong), ("mgf", ctypes.c_ulong), ("salt_length", ctypes.c_ulong)]


class OAEPParameters(ctypes.Structure):
    """CK_RSA_PKCS_OAEP_PARAMS."""

    _fields_ = [
        ("hash", ctypes.c_ulong),
        ("mgf", ctypes.c_ulong),
        ("source", ctypes.c_ulong),
        ("source_data", ctypes.c_void_p),
        ("source_length", ctypes.c_ulong),
    ]


class ECDHParameters(ctypes.Structure):
    """CK_ECDH1_DERIVE_PARAMS."""

    _fields_ = [
        ("kdf", ctypes.c_ulong),
        ("shared_data_length", ctypes.c_ulong),
        ("shared_data", ctypes.c_void_p),
        ("public_data_length", ctypes.c_ulong),
        ("public_data", ctypes.c_void_p),
    ]


_Init = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong)
_Operate = ctypes.CFUNCTYPE(
    ctypes.c_ulong, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p
)

_Derive = ctypes.CFUNCTYPE(
    ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p
)
_GetAttributes = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong)
_Destroy = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


class Cryptoki:
    """The four operations of one loaded module. Each call blocks, releases the GIL, and raises PKCS11Error."""

    def __init__(self, functions: FunctionList) -> None:
        self._encrypt = _Init(functions.C_EncryptInit), _Operate(functions.C_Encrypt)
        self._decrypt = _Init(functions.C_DecryptInit), _Operate(functions.C_Decrypt)
        self._sign = _Init(functions.C_SignInit), _Operate(functions.C_Sign)
        self._derive = _Derive(functions.C_DeriveKey)
        self._get_attributes = _GetAttributes(functions.C_GetAttributeValue)
        self._destroy = _Destroy(functions.C_DestroyObject)

    def encrypt(self, session: int, mechanism: RawMechanism, key: int, data: bytes, max_size: int) -> bytes:
        init, operate = self._encrypt
        _require_ok(init(session, ctypes.addressof(mechanism), key))
        return _answer(operate, session, data, max_size)

    def decrypt(self, session: int, mechanism: RawMechanism, key: int, data: bytes, max_size: int) -> bytes:
        self.begin_decrypt(session, mechanism, key)
        return self.finish_decrypt(session, data, max_size)

    def begin_decrypt(self, session: int, mechanism: RawMechanism, key: int) -> None:
        """C_DecryptInit alone: what it refuses is the mechanism or the key, not the ciphertext."""
        init, _ = self._decrypt
        _require_ok(init(session, ctypes.addressof(mechanism), key))

    def finish_decrypt(self, session: int, data: bytes, max_size: int) -> bytes:
        """C_Decrypt, which ends what `begin_decrypt` began, also when it fails."""
        _, operate = self._decrypt
        return _answer(operate, session, data, max_size)

    def sign(self, session: int, mechanism: RawMechanism, key: int, data: bytes, max_size: int) -> bytes:
        init, operate = self._sign
        _require_ok(init(session, ctypes.addressof(mechanism), key))
        return _answer(operate, session, data, max_size)

    def derive(self, session: int, mechanism: RawMechanism, key: int, template: PackedTemplate, max_size: int) -> bytes:
        """C_DeriveKey by a template of a readable session object; its value, the object being destroyed again."""
        derived = ctypes.c_ulong()
        _require_ok(
            self._derive(
                session,
                ctypes.addressof(mechanism),
                key,
                template.address,
                template.count,
                ctypes.addressof(derived),
            )
        )
        try:
            value = ctypes.create_string_buffer(max_size)
            attribute = CKAttribute(Attribute.VALUE, ctypes.addressof(value), max_size)
            _require_ok(self._get_attributes(session, derived.value, ctypes.addressof(attribute), 1))
            return value.raw[: attribute.length]
        finally:
            _require_ok(self._destroy(session, derived.value))


def _answer(operate: Any, session: int, data: bytes, max_size: int) -> bytes:
    output, size = ctypes.create_string_buffer(max_size), ctypes.c_ulong(max_size)
    _require_ok(operate(session, data, len(data), ctypes.addressof(output), ctypes.addressof(size)))
    return output.raw[: size.value]


def plain(mechanism: int) -> RawMechanism:
    """A mechanism without parameter."""
    return RawMechanism(mechanism, None, 0)


# CKR_* (PKCS#11 v2.40 base, §5.1) as python-pkcs11 names them; what is missing becomes a PKCS11Error with its number,
# which counts as a loss (kms/hsm/errors.py).
_ERRORS: Final[dict[int, type[p11.PKCS11Error]]] = {
    0x002: p11.HostMemory,
    0x005: p11.GeneralError,
    0x006: p11.FunctionFailed,
    0x007: p11.ArgumentsBad,
    0x020: p11.DataInvalid,
    0x021: p11.DataLenRange,
    0x030: p11.DeviceError,
    0x031: p11.DeviceMemory,
    0x032: p11.DeviceRemoved,
    0x040: p11.EncryptedDataInvalid,
    0x041: p11.EncryptedDataLenRange,
    0x050: p11.FunctionCancelled,
    0x054: p11.FunctionNotSupported,
    0x060: p11.KeyHandleInvalid,
    0x062: p11.KeySizeRange,
    0x063: p11.KeyTypeInconsistent,
    0x070: p11.MechanismInvalid,
    0x071: p11.MechanismParamInvalid,
    0x082: p11.ObjectHandleInvalid,
    0x090: p11.OperationActive,
    0x0B0: p11.SessionClosed,
    0x0B3: p11.SessionHandleInvalid,
    0x0E0: p11.TokenNotPresent,
    0x101: p11.UserNotLoggedIn,
}


def _require_ok(answer: int) -> None:
    if answer:
        kind = _ERRORS.get(answer)
        raise kind() if kind else p11.PKCS11Error(f"CKR code {answer:#x}")
