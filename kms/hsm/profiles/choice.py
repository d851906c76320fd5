"""Which profile a token has: chosen by doing it, never by a mechanism's flags.

Flags lie (SoftHSM's hold garbage; CKM_AES_KEY_WRAP_PAD means two different paddings), so a profile wraps, unwraps,
compares, and must refuse what was changed.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from pkcs11 import exceptions as p11

from kms.hsm.driver import Driver, IVMode, Wrapping
from kms.hsm.interface import KEY_SIZE, RootMisconfigured, UnwrapFailed
from kms.hsm.profiles.cbc_hmac import CBCHMACProfile
from kms.hsm.profiles.gcm import GCMProfile
from kms.hsm.profiles.interface import MAC_SIZE, RootSession, WrappingProfile
from kms.hsm.profiles.key_wrap import KeyWrapProfile
from kms.hsm.profiles.refusals import UNSUPPORTED
from kms.hsm.profiles.rsa_oaep import SHA_1, SHA_256, RSAOAEPProfile

_PROBE_MESSAGE: Final = b"sealgate/v1/root-probe"


def profiles(driver: Driver) -> tuple[WrappingProfile, ...]:
    """What the driver allows, the best first; several of one name are variants of it, told apart by trying only."""
    modes = tuple(IVMode) if driver.gcm_iv is None else (driver.gcm_iv,)
    found: tuple[WrappingProfile, ...] = (
        KeyWrapProfile(driver.key_wrap_mechanism),
        *(GCMProfile(driver.gcm_mechanism, mode) for mode in modes),
        CBCHMACProfile(driver.cbc_mechanism),
        *(RSAOAEPProfile(number) for number in (SHA_256, SHA_1)),
    )
    return tuple(profile for profile in found if driver.wrapping in {None, Wrapping(profile.name)})


def choose_profile(at: RootSession, candidates: Sequence[WrappingProfile]) -> tuple[WrappingProfile, bytes]:
    """The first of the candidates that works with the root key of `at`, and one wrapped key as a known good one.

    Raises RootMisconfigured, saying for each what failed; PKCS11Error for a failure that says nothing about it.
    """
    require_mac(at)
    failures = []
    for profile in candidates:
        try:
            return profile, prove_profile(at, profile)
        except UNSUPPORTED as error:
            failures.append(f"{profile.name}: {type(error).__name__}")
        except RootMisconfigured as error:
            failures.append(f"{profile.name}: {error}")
    raise RootMisconfigured(f"the token offers no wrapping profile we know ({'; '.join(failures)})")


def prove_profile(at: RootSession, profile: WrappingProfile) -> bytes:
    """Wrap, unwrap and compare; a wrapped key. Raises RootMisconfigured for one that answers wrongly, PKCS11Error."""
    wrapped = profile.generate(at)
    key = profile.unwrap(at, wrapped)
    if len(key) != KEY_SIZE or profile.unwrap(at, wrapped) != key or profile.unwrap(at, profile.wrap(at, key)) != key:
        raise RootMisconfigured("what was wrapped does not come back the same each time")
    return wrapped


def notices_changes(at: RootSession, profile: WrappingProfile, wrapped: bytes) -> bool:
    """Whether unwrapping refuses a changed byte, of which tokens take different views of how to say it."""
    try:
        profile.unwrap(at, wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
    except (UnwrapFailed, p11.PKCS11Error):
        return True
    return False


def require_mac(at: RootSession) -> None:
    """Raises RootMisconfigured for a root-mac that does not authenticate; PKCS11Error when it does not work at all."""
    tag = at.mac(_PROBE_MESSAGE)
    if len(tag) != MAC_SIZE or not hmac.compare_digest(at.mac(_PROBE_MESSAGE), tag):
        raise RootMisconfigured("the token's CKM_SHA256_HMAC does not answer 32 bytes, the same each time")
