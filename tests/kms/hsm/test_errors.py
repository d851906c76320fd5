from __future__ import annotations

import pytest
from pkcs11 import exceptions as p11

from kms.hsm.errors import CredentialRejected, RootLost, translate
from kms.hsm.interface import RootError, RootMisconfigured, RootUnavailable, UnwrapFailed

TABLE = [
    # What reference tests with SoftHSM saw when a token, a session or the whole module was gone.
    (p11.SessionHandleInvalid(), RootLost),
    (p11.ObjectHandleInvalid(), RootLost),
    (p11.KeyHandleInvalid(), RootLost),
    (p11.WrappingKeyHandleInvalid(), RootLost),
    (p11.UnwrappingKeyHandleInvalid(), RootLost),
    (p11.SessionClosed(), RootLost),
    (p11.DeviceRemoved(), RootLost),
    (p11.DeviceError(), RootLost),
    (p11.TokenNotPresent(), RootLost),
    (p11.GeneralError(), RootLost),
    (p11.UserNotLoggedIn(), RootLost),
    (p11.PKCS11Error("Initialisation error (not initialized). Should never see this."), RootLost),
    (p11.PKCS11Error("Unmapped error code 0x80000001"), RootLost),
    (p11.PinIncorrect(), CredentialRejected),
    (p11.PinLocked(), CredentialRejected),
    (p11.PinLenRange(), CredentialRejected),
    (p11.UserPinNotInitialized(), RootMisconfigured),
    (p11.MechanismInvalid(), RootMisconfigured),
    (p11.WrappedKeyInvalid(), UnwrapFailed),
    (p11.WrappedKeyLenRange(), UnwrapFailed),
]


@pytest.mark.parametrize(("error", "becomes"), TABLE, ids=lambda value: getattr(value, "__name__", repr(value)))
def test_each_answer_has_one_meaning(error: p11.PKCS11Error, becomes: type[RootError]) -> None:
    translated = translate(error, "testing")
    assert type(translated) is becomes
    assert str(translated).startswith("testing: ")


def test_every_exception_of_the_binding_is_translated() -> None:
    kinds = [kind for kind in vars(p11).values() if isinstance(kind, type) and issubclass(kind, p11.PKCS11Error)]
    assert len(kinds) > 60
    for kind in kinds:
        assert isinstance(translate(kind(), "testing"), RootUnavailable | RootMisconfigured | UnwrapFailed)


def test_a_wrong_pin_is_the_only_thing_never_tried_again() -> None:
    rejected = {type(error).__name__ for error, becomes in TABLE if becomes is CredentialRejected}
    assert rejected == {"PinIncorrect", "PinLocked", "PinLenRange"}
    assert issubclass(CredentialRejected, RootMisconfigured)
    assert not issubclass(RootLost, RootMisconfigured)
