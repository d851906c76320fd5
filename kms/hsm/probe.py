"""What a token can do, found by doing all of it: the matrix of `sealgate hsm probe`, and the driver profile that fits.

Works with session objects alone, in one session, and leaves nothing behind. Logs in once: a wrong PIN is not repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pkcs11 import exceptions as p11

from kms.api.secrets import SecretBytes
from kms.hsm.driver import DEFAULT, Driver, IVMode, Wrapping
from kms.hsm.errors import translate
from kms.hsm.interface import RootError
from kms.hsm.module import Module, load
from kms.hsm.probe_checks import CHECKS, Bench, Check, Refused
from kms.hsm.profiles.choice import profiles
from kms.hsm.profiles.gcm import GCMProfile
from kms.hsm.profiles.interface import WrappingProfile
from kms.hsm.profiles.rsa_oaep import SHA_1, RSAOAEPProfile
from kms.hsm.rehearsal import LOST, rehearse
from kms.hsm.tokens import find_token, log_in, token_serial
from kms.hsm.uri import TokenURI

if TYPE_CHECKING:
    from pkcs11.types import Session, Token

RATE_SECONDS = 0.1
"""How long each operation is repeated to say how often a second it goes."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the matrix. `detail` says how it failed, or what is to be known; `rate` is operations a second."""

    group: str
    name: str
    works: bool
    detail: str = ""
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Probed:
    """`driver` is the profile that fits, None when the token cannot hold a root; `missing` says what it lacks."""

    token: str
    findings: tuple[Finding, ...]
    driver: Driver | None
    missing: tuple[str, ...]


def probe(uri: TokenURI, pin: SecretBytes, driver: Driver = DEFAULT) -> Probed:
    """Try everything on the token. `driver` says how to initialise the module and which mechanisms are a vendor's.

    Raises RootLost (absent or lost token), CredentialRejected (wrong PIN, after a single attempt), RootMisconfigured.
    """
    module = load(uri.module_path, driver)
    module.ready()
    try:
        with module.calls():
            token = find_token(module, uri)
            session = log_in(token, pin)
            try:
                wrapping, best = _try_profiles(session, module, driver)
                others = [_run(check, Bench(session, module.cryptoki, driver)) for check in CHECKS]
                sessions = _count_sessions(token)
            finally:
                session.close()
    except p11.PKCS11Error as error:
        raise translate(error, f"probing token {uri.token!r}") from error
    return Probed(
        token=f"{token.label!r} (serial {token_serial(token)}), {token.manufacturer_id} {token.model}".rstrip(),
        findings=(*wrapping, *others, Finding("token", "sessions at once", True, sessions.text)),
        driver=None if best is None else replace(_driver_for(best, driver), max_sessions=sessions.usable),
        missing=tuple(_missing((*wrapping, *others))),
    )


def _try_profiles(session: Session, module: Module, driver: Driver) -> tuple[list[Finding], WrappingProfile | None]:
    findings, best = [], None
    for profile in profiles(replace(driver, wrapping=None, gcm_iv=None)):
        failure = rehearse(session, module.cryptoki, profile)
        findings.append(Finding("root, by wrapping profile", _profile_name(profile), failure is None, failure or ""))
        if failure is None and best is None:
            best = profile
    return findings, best


def _profile_name(profile: WrappingProfile) -> str:
    if isinstance(profile, GCMProfile):
        return f"gcm, IV {profile.iv_mode.value}"
    if isinstance(profile, RSAOAEPProfile):
        return f"rsa-oaep, {'SHA-1' if profile.hash_number == SHA_1 else 'SHA-256'}"
    return profile.name


def _driver_for(best: WrappingProfile, driver: Driver) -> Driver:
    iv_mode = best.iv_mode if isinstance(best, GCMProfile) else None
    return replace(driver, wrapping=Wrapping(best.name), gcm_iv=None if iv_mode is None else IVMode(iv_mode))


def _run(check: Check, bench: Bench) -> Finding:
    try:
        detail, operation = check.try_it(bench)
        rate = None if operation is None else measure(operation)
    except Refused as refused:
        return Finding(check.group, check.name, False, str(refused))
    except LOST:
        raise
    except p11.PKCS11Error as error:
        name = str(error) if type(error) is p11.PKCS11Error else type(error).__name__
        return Finding(check.group, check.name, False, name)
    except RootError as error:
        return Finding(check.group, check.name, False, str(error))
    finally:
        bench.clean_up()
    return Finding(check.group, check.name, True, detail, rate)


def measure(operation: Callable[[], object]) -> float:
    """How many times a second."""
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < RATE_SECONDS:
        operation()
        count += 1
    return count / elapsed


@dataclass(frozen=True, slots=True)
class _Sessions:
    usable: int
    text: str


def _count_sessions(token: Token) -> _Sessions:
    """How many of those a root would like to open can be, beside the one that holds the login."""
    opened: list[Session] = []
    try:
        while len(opened) <= DEFAULT.max_sessions:
            opened.append(token.open())
    except p11.SessionCount:
        # One owns held keys; what is left does the work.
        return _Sessions(max(1, len(opened) - 1), f"{len(opened) + 1} at most")
    finally:
        for session in opened:
            session.close()
    return _Sessions(DEFAULT.max_sessions, f"{len(opened) + 1} or more")


def _missing(findings: Sequence[Finding]) -> list[str]:
    return [finding.name for finding in findings if not finding.works and finding.group != "root, by wrapping profile"]
