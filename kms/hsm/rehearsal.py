"""Trying a token out with session keys, before anything is stored in it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

from pkcs11 import exceptions as p11

from kms.hsm.cryptoki import Cryptoki
from kms.hsm.driver import Driver
from kms.hsm.interface import RootMisconfigured, UnwrapFailed
from kms.hsm.profiles.choice import notices_changes, profiles, prove_profile
from kms.hsm.profiles.interface import RootSession, SigningKey, WrappingProfile
from kms.hsm.root_keys import ROOT_MAC, generate

if TYPE_CHECKING:
    from pkcs11.types import Object, Session

_LABEL = "sealgate-rehearsal"
_ID = bytes(16)


def find_profile(session: Session, cryptoki: Cryptoki, driver: Driver) -> WrappingProfile:
    """The first profile the driver allows that the token can do. Raises RootMisconfigured, saying what failed."""
    failures = []
    for profile in profiles(driver):
        failure = rehearse(session, cryptoki, profile)
        if failure is None:
            return profile
        failures.append(f"{profile.name}: {failure}")
    raise RootMisconfigured(f"the token offers no wrapping profile we know ({'; '.join(failures)})")


def rehearse(session: Session, cryptoki: Cryptoki, profile: WrappingProfile) -> str | None:
    """None, or why the profile does not serve on this token. Leaves nothing behind.

    Raises PKCS11Error when the token is lost meanwhile, and what a token without HMAC answers.
    """
    made: list[Object] = list(generate(session, ROOT_MAC, _ID, _LABEL, is_stored=False))
    root_mac = cast("SigningKey", made[0])
    try:
        root = generate(session, profile.plan, _ID, _LABEL, is_stored=False)
        made.extend(root)
        at = RootSession(session, cryptoki, root[0], root_mac)
        wrapped = prove_profile(at, profile)
        return None if notices_changes(at, profile, wrapped) else "a changed byte is not noticed"
    except (RootMisconfigured, UnwrapFailed) as error:
        return str(error)
    except LOST:
        raise
    except p11.PKCS11Error as error:
        return str(error) if type(error) is p11.PKCS11Error else type(error).__name__
    finally:
        for key in made:
            with contextlib.suppress(p11.PKCS11Error):
                key.destroy()


LOST = (p11.DeviceRemoved, p11.TokenNotPresent, p11.SessionClosed, p11.SessionHandleInvalid, p11.UserNotLoggedIn)
