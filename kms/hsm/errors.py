"""From PKCS#11's return codes to the root's few errors, in one table.

python-pkcs11 turns a `CKR_*` into an exception of its own type, or, for the codes it never expects and those it does
not know, into a bare `PKCS11Error` (CKR_CRYPTOKI_NOT_INITIALIZED is one). What the table does not name is therefore
taken for a loss: one recovery is tried, and the caller is told to come back later.
"""

from __future__ import annotations

from pkcs11 import exceptions as p11

from kms.hsm.interface import RootError, RootMisconfigured, RootUnavailable, UnwrapFailed


class RootLost(RootUnavailable):
    """Sessions or handles are gone, or the device failed: initialising the module anew may bring the root back."""


class CredentialRejected(RootMisconfigured):
    """The PIN or passphrase was refused. Never tried again by itself: HSMs lock after three to ten wrong PINs."""


_CREDENTIAL = (p11.PinIncorrect, p11.PinInvalid, p11.PinLenRange, p11.PinLocked, p11.PinExpired)

_MISCONFIGURED = (
    p11.UserPinNotInitialized,
    p11.NoSuchKey,
    p11.MultipleObjectsReturned,
    p11.MultipleTokensReturned,
    p11.MechanismInvalid,
    p11.MechanismParamInvalid,
    p11.FunctionNotSupported,
    p11.AttributeSensitive,
    p11.AttributeTypeInvalid,
    p11.AttributeValueInvalid,
    p11.AttributeReadOnly,
    p11.TemplateIncomplete,
    p11.TemplateInconsistent,
    p11.KeySizeRange,
    p11.KeyTypeInconsistent,
    p11.KeyNotWrappable,
    p11.KeyUnextractable,
    p11.WrappingKeySizeRange,
    p11.WrappingKeyTypeInconsistent,
    p11.UnwrappingKeySizeRange,
    p11.UnwrappingKeyTypeInconsistent,
    p11.SessionReadOnly,
    p11.TokenWriteProtected,
    p11.RandomNoRNG,
    p11.PinTooWeak,
)

_UNWRAP = (
    p11.WrappedKeyInvalid,
    p11.WrappedKeyLenRange,
    p11.EncryptedDataInvalid,
    p11.EncryptedDataLenRange,
    p11.DataInvalid,
    p11.DataLenRange,
)

_TABLE: tuple[tuple[tuple[type[p11.PKCS11Error], ...], type[RootError]], ...] = (
    (_CREDENTIAL, CredentialRejected),
    (_MISCONFIGURED, RootMisconfigured),
    (_UNWRAP, UnwrapFailed),
)


def translate(error: p11.PKCS11Error, doing: str) -> RootError:
    """The `RootError` for what the module raised while `doing` ("unwrapping a key"). Names the code, no values."""
    reason = type(error).__name__
    if type(error) is p11.PKCS11Error:
        reason = str(error)
    for types, becomes in _TABLE:
        if isinstance(error, types):
            return becomes(f"{doing}: the token answered {reason}")
    return RootLost(f"{doing}: the token answered {reason}")
