"""A PKCS#11 module, loaded once in a process and initialised for threads; python-pkcs11 does everything after that.

python-pkcs11 0.10 calls `C_Initialize(NULL_PTR)`, which promises the module that only one thread will call it, and
then releases the GIL around every call: two threads crash SoftHSM within a second. So the module is initialised here,
through ctypes, with CKF_OS_LOCKING_OK (PKCS#11 v2.40 base, §5.4), and handed to python-pkcs11 by `lib.__new__`, which
loads the function list and does not initialise. Never call `pkcs11.lib(path)` in the same process.

A token that was lost and is back is seen again only after C_Finalize and C_Initialize (with SoftHSM nothing less
helps). Both pull every session from under every thread; a call that runs meanwhile would crash. Hence the order:

    a caller meets a loss     → suspect(generation)
    the next one who opens    → ready(): drain all callers, finalise, initialise, generation + 1
    callers of old sessions   → see that the generation moved on, and open anew

Handles of an old generation must never be used: numbers begin anew and may mean somebody else's session.

The process must not fork after `load` and go on using the module in the child: PKCS#11 leaves that undefined.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pkcs11 import _pkcs11

from kms.hsm.cryptoki import Cryptoki, FunctionList
from kms.hsm.drain import DrainLock, DrainTimeout
from kms.hsm.driver import DEFAULT, Driver
from kms.hsm.errors import RootLost
from kms.hsm.interface import RootMisconfigured, RootUnavailable

if TYPE_CHECKING:
    from pkcs11.types import Slot

CKF_OS_LOCKING_OK = 0x2
CKR_OK = 0x0
CKR_CANT_LOCK = 0xA
CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191

DRAIN_SECONDS = 5.0
"""How long a restart waits for running calls; as long as one call of the key service may take."""


class _InitializeArgs(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS without mutex functions of our own."""

    _fields_ = [
        ("create_mutex", ctypes.c_void_p),
        ("destroy_mutex", ctypes.c_void_p),
        ("lock_mutex", ctypes.c_void_p),
        ("unlock_mutex", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    ]


class _NSSInitializeArgs(ctypes.Structure):
    """The same with NSS's LibraryParameters before the reserved pointer (nss: lib/util/pkcs11t.h)."""

    _fields_ = [
        *_InitializeArgs._fields_[:-1],
        ("library_parameters", ctypes.c_char_p),
        ("reserved", ctypes.c_void_p),
    ]


_call_with_pointer = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)
_call_init_token = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


class Module:
    """One loaded module. Get it from `load`; there is one for each path in a process, and it is never unloaded."""

    def __init__(self, path: Path, driver: Driver = DEFAULT) -> None:
        self.path = path
        self._driver = driver
        self._lock = DrainLock()
        self._one_at_a_time = threading.Lock()
        self._state = threading.Lock()
        self._initialised = False
        self._suspected = False
        self._generation = 0
        try:
            # Kept open for good: python-pkcs11 and the function pointers below point into it.
            self._dll = ctypes.CDLL(str(path))
            functions = ctypes.POINTER(FunctionList)()
            answer = self._dll.C_GetFunctionList(ctypes.byref(functions))
        except (OSError, AttributeError) as error:
            raise RootMisconfigured(f"cannot load the PKCS#11 module {path}: {error}") from error
        if answer != CKR_OK:
            raise RootMisconfigured(f"the PKCS#11 module {path} gave no function list (code {answer:#x})")
        self._initialize = _call_with_pointer(functions.contents.C_Initialize)
        self._finalize = _call_with_pointer(functions.contents.C_Finalize)
        self._init_token = _call_init_token(functions.contents.C_InitToken)
        self.cryptoki = Cryptoki(functions.contents)
        self._library = _pkcs11.lib.__new__(_pkcs11.lib, str(path))  # type: ignore[call-arg]  # a Cython class

    @property
    def generation(self) -> int:
        """Counts initialisations; sessions and handles belong to the generation they were opened in."""
        return self._generation

    @contextmanager
    def calls(self, timeout_seconds: float = DRAIN_SECONDS) -> Iterator[None]:
        """Every use of the module happens inside: keeps a restart out. Raises RootUnavailable while one drags on."""
        try:
            with self._lock.shared(timeout_seconds), self._turn(timeout_seconds):
                yield
        except DrainTimeout:
            raise RootUnavailable(f"the PKCS#11 module {self.path} is being initialised anew") from None

    @contextmanager
    def _turn(self, timeout_seconds: float) -> Iterator[None]:
        """For a module that cannot lock: one caller at a time. Raises RootUnavailable when none leaves in time."""
        if self._driver.os_locking:
            yield
            return
        if not self._one_at_a_time.acquire(timeout=timeout_seconds):
            raise RootUnavailable(f"calls into {self.path}, which takes one at a time, hang")
        try:
            yield
        finally:
            self._one_at_a_time.release()

    def drive(self, driver: Driver) -> None:
        """Initialise by another driver profile from now on. Raises RootMisconfigured when that comes too late."""
        with self._state:
            if self._initialised and _initialised_by(driver) != _initialised_by(self._driver):
                raise RootMisconfigured(f"{self.path} is in use by another driver profile in this process")
            self._driver = driver

    def suspect(self, generation: int) -> None:
        """Report a loss met in `generation`: the next `ready` restarts the module, unless somebody did already."""
        with self._state:
            if generation == self._generation:
                self._suspected = True

    def ready(self) -> None:
        """Initialise the module if that was not done yet, or anew if it is suspected.

        Raises RootUnavailable when running calls do not drain, RootLost when the module refuses to initialise (SoftHSM
        does while its token directory is missing), RootMisconfigured when it cannot serve threads.
        """
        if self._initialised and not self._suspected:
            return
        try:
            with self._lock.alone(DRAIN_SECONDS), self._state:
                if not self._initialised or self._suspected:
                    self._restart()
        except DrainTimeout:
            raise RootLost(f"calls into {self.path} hang, so it cannot be initialised anew yet") from None

    def slots(self) -> list[Slot]:
        """All slots, with and without token. To be called inside `calls`; raises PKCS11Error."""
        return self._library.get_slots()

    def init_token(self, slot_id: int, so_pin: bytes, label: str) -> None:
        """C_InitToken: make (or wipe!) the token in a slot. To be called inside `calls`; raises RootMisconfigured."""
        answer = self._init_token(slot_id, so_pin, len(so_pin), label.encode().ljust(32))
        if answer != CKR_OK:
            raise RootMisconfigured(f"the module refused to initialise a token (C_InitToken answered {answer:#x})")

    def finalize(self) -> None:
        """End the module's work, if running calls leave in time; the next `ready` begins anew."""
        with contextlib.suppress(DrainTimeout), self._lock.alone(DRAIN_SECONDS), self._state:
            if self._initialised:
                self._finalize(None)
                self._initialised = False
                self._generation += 1

    def _restart(self) -> None:
        ours = self._initialised
        if ours:
            # Its answer does not matter: a module that lost its device may fail here and still initialise below.
            self._finalize(None)
        self._generation += 1
        self._initialised = False
        arguments = self._arguments()
        answer = self._initialize(ctypes.addressof(arguments))
        if answer == CKR_CRYPTOKI_ALREADY_INITIALIZED and not ours:
            raise RootMisconfigured(
                f"something else in this process initialised {self.path} first, and whether for threads is unknown"
            )
        if answer == CKR_CANT_LOCK:
            raise RootMisconfigured(f"the PKCS#11 module {self.path} cannot be used by threads (CKR_CANT_LOCK)")
        if answer not in (CKR_OK, CKR_CRYPTOKI_ALREADY_INITIALIZED):
            raise RootLost(f"the PKCS#11 module {self.path} does not initialise (C_Initialize answered {answer:#x})")
        self._initialised = True
        self._suspected = False

    def _arguments(self) -> ctypes.Structure:
        flags = CKF_OS_LOCKING_OK if self._driver.os_locking else 0
        if not self._driver.library_parameters:
            return _InitializeArgs(flags=flags)
        return _NSSInitializeArgs(flags=flags, library_parameters=self._driver.library_parameters.encode())


def _initialised_by(driver: Driver) -> tuple[bool, str]:
    return driver.os_locking, driver.library_parameters


_modules: dict[Path, Module] = {}
_modules_lock = threading.Lock()


def load(path: Path, driver: Driver | None = None) -> Module:
    """The module at `path`, loaded at the first call. Raises RootMisconfigured when there is none.

    `driver` says how to initialise it; without one it stays as it was first loaded.
    """
    resolved = path.resolve()
    with _modules_lock:
        module = _modules.get(resolved)
        if module is None:
            module = Module(resolved, driver or DEFAULT)
            atexit.register(module.finalize)
            _modules[resolved] = module
    if driver is not None:
        module.drive(driver)
    return module
