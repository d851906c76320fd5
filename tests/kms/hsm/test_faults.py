"""A real token behind a module that goes wrong on command: every loss, at every step, is survived or refused soon.

The steps are not listed here but taken from a trace of the healthy call, so that a call more is a case more.
"""

from __future__ import annotations

import hmac
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from kms.api.secrets import SecretBytes
from kms.hsm import pkcs11 as pkcs11_root
from kms.hsm.driver import MAX_SESSIONS
from kms.hsm.interface import (
    HeldKey,
    HeldPrivateKey,
    PairKind,
    PrivateKeyType,
    Protection,
    Root,
    RootError,
    RootMisconfigured,
    RootUnavailable,
    SignatureScheme,
    UnwrapFailed,
)
from kms.hsm.provision import SOFTHSM_ENVIRONMENT, write_softhsm_config
from kms.hsm.recovery import RecoveringRoot, RootState
from tests.hsm_faults.build import build, find_compiler
from tests.hsm_faults.codes import CKR, CREDENTIALS, LOSSES
from tests.hsm_faults.control import ANY, EVERY, FUNCTIONS, Faults
from tests.kms.hsm.conftest import SoftToken

# python-pkcs11 0.10 ends a search that did not begin, at once and in its own session, and the module rightly objects.
_SEARCH_ENDED_TWICE = "ignore:.*pkcs11._pkcs11.OperationContext.__del__:pytest.PytestUnraisableExceptionWarning"

pytestmark = [pytest.mark.hsm, pytest.mark.filterwarnings(_SEARCH_ENDED_TWICE)]

MESSAGE = b"a record"
HELD = SecretBytes(bytes(range(32)))
_OURS, _PEER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
PRIVATE = SecretBytes(_OURS.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
POINT = _PEER.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
SHARED_SECRET = _PEER.exchange(ec.ECDH(), _OURS.public_key())

MAX_CALLS = 400
"""Calls of the module that one call of the root may make at most, its recovery included: it needs some 90."""


@dataclass
class FaultyToken:
    """A token behind the faulty module, and roots in it whose clock is the test's."""

    token: SoftToken
    faults: Faults
    now: float = 0.0

    def open(self) -> Root:
        return self.token.open()

    def root(self) -> RecoveringRoot:
        return RecoveringRoot(self.open, clock=lambda: self.now)

    def steps(self, call: Callable[[], object]) -> list[str]:
        """The functions of the module that a call makes use of, in order."""
        before = self.faults.calls()
        call()
        return self.faults.trace(before)


@pytest.fixture(scope="session")
def faulty_module(softhsm_template: SoftToken, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Faults]:
    """The module, over SoftHSM, and what it obeys: one for the process, as modules are."""
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("no C compiler, and no ziglang package")
    directory = tmp_path_factory.mktemp("faults")
    faults = Faults(directory / "control")
    os.environ.update(faults.environment(softhsm_template.uri.module_path))
    return build(compiler, directory), faults


@pytest.fixture
def faulty(
    faulty_module: tuple[Path, Faults], softhsm_environment: Path, softhsm_template: SoftToken, tmp_path: Path
) -> Iterator[FaultyToken]:
    module, faults = faulty_module
    shutil.copytree(softhsm_template.directory, tmp_path / "hsm")
    os.environ[SOFTHSM_ENVIRONMENT] = str(write_softhsm_config(tmp_path / "hsm"))
    uri = softhsm_template.root.uri.replace(str(softhsm_environment), str(module))
    token = SoftToken(tmp_path / "hsm", replace(softhsm_template.root, uri=uri))
    faults.heal()
    softhsm_template.module.finalize()
    token.module.finalize()
    yield FaultyToken(token, faults)
    faults.heal()
    token.module.finalize()


@dataclass(frozen=True)
class Operation:
    """One call of a root and what it answers when all is well."""

    root: RecoveringRoot
    wrapped: bytes
    key: SecretBytes
    tag: bytes
    held: HeldKey
    held_private: HeldPrivateKey
    held_agreement: HeldPrivateKey

    @classmethod
    def on(cls, root: RecoveringRoot) -> Operation:
        wrapped = root.generate_wrapped_key()
        held = root.hold_key(root.wrap_key(HELD, Protection.HSM))
        private, agreement = (
            root.hold_private_key(root.wrap_private_key(PRIVATE, key_type), key_type)
            for key_type in (PrivateKeyType.EC, PrivateKeyType.EC_AGREEMENT)
        )
        root.sign(bytes(32))  # python-pkcs11 asks once what type a key is
        return cls(root, wrapped, root.unwrap_key(wrapped), root.mac(MESSAGE), held, private, agreement)

    def generate(self) -> bool:
        return len(self.root.generate_wrapped_key()) == len(self.wrapped)

    def unwrap(self) -> bool:
        return self.root.unwrap_key(self.wrapped) == self.key

    def mac(self) -> bool:
        return self.root.mac(MESSAGE) == self.tag

    def random(self) -> bool:
        return len(self.root.random(32)) == 32

    def check(self) -> bool:
        self.root.check()
        return True

    def sign(self) -> bool:
        return len(self.root.sign(bytes(32))) == 64

    def hold(self) -> bool:
        held = self.root.hold_key(self.root.wrap_key(HELD, Protection.HSM))
        tag = held.mac(MESSAGE)
        held.close()
        return tag == hmac.digest(HELD.reveal(), MESSAGE, "sha256")

    def derive(self) -> bool:
        return self.held.mac(MESSAGE) == hmac.digest(HELD.reveal(), MESSAGE, "sha256")

    def sign_inside(self) -> bool:
        return len(self.held_private.sign(SignatureScheme.ECDSA, bytes(32), "sha256")) == 64

    def agree_inside(self) -> bool:
        return self.held_agreement.agree(POINT) == SHARED_SECRET

    def make_pair(self) -> bool:
        pair = self.root.generate_wrapped_pair(PairKind(PrivateKeyType.EC, "secp256r1"))
        held = self.root.hold_private_key(pair.wrapped, PrivateKeyType.EC)
        signature = held.sign(SignatureScheme.ECDSA, bytes(32), "sha256")
        held.close()
        return len(signature) == 64

    def by_name(self, name: str) -> Callable[[], bool]:
        call: Callable[[], bool] = getattr(self, name)
        return call


OPERATIONS = (
    "generate",
    "unwrap",
    "mac",
    "random",
    "check",
    "sign",
    "hold",
    "derive",
    "sign_inside",
    "agree_inside",
    "make_pair",
)

CODES_AT_A_STEP = 3
"""Of the codes, in turn: each is met by every operation, somewhere. `--every-fault`: all of them at each step."""

operation_of = pytest.mark.parametrize("operation", OPERATIONS)


CodesAt = Callable[..., Sequence[CKR]]


@pytest.fixture
def codes_at(request: pytest.FixtureRequest) -> CodesAt:
    """The codes that a step of an operation fails with."""

    def some(step: int, operation: str = OPERATIONS[0]) -> Sequence[CKR]:
        at = CODES_AT_A_STEP * step + OPERATIONS.index(operation)
        return [LOSSES[(at + number) % len(LOSSES)] for number in range(CODES_AT_A_STEP)]

    return (lambda *_: LOSSES) if request.config.getoption("every_fault") else some


def test_the_module_counts_and_forwards(faulty: FaultyToken) -> None:
    assert len(FUNCTIONS) == 68  # CK_FUNCTION_LIST of v2.40
    steps = faulty.steps(lambda: faulty.root().probe())
    assert {"C_Initialize", "C_OpenSession", "C_Login", "C_UnwrapKey", "C_Sign"} <= set(steps)
    assert sum(faulty.faults.counts().values()) == faulty.faults.calls()


@operation_of
def test_a_loss_at_any_step_costs_the_caller_nothing(faulty: FaultyToken, operation: str, codes_at: CodesAt) -> None:
    root = faulty.root()
    call = Operation.on(root).by_name(operation)
    for step, name in enumerate(faulty.steps(call)):
        for code in codes_at(step, operation):
            logins = faulty.faults.calls("C_Login")
            faulty.faults.fail(ANY, code, skip=step)
            assert call(), f"{code.name} at step {step}, {name}"
            assert faulty.faults.is_used_up
            assert state_of(root) is RootState.READY
            assert faulty.faults.calls("C_Login") <= logins + 1


def test_a_data_key_costs_one_call_of_the_hsm_inside_and_none_in_software(faulty: FaultyToken) -> None:
    """The derivation: C_SignInit and C_Sign, with nothing searched, unwrapped or read."""
    operation = Operation.on(faulty.root())
    assert faulty.steps(operation.derive) == ["C_SignInit", "C_Sign"]


@operation_of
def test_a_loss_after_the_effect_costs_the_caller_nothing(faulty: FaultyToken, operation: str) -> None:
    """The module did what it was asked, and the answer was lost on the way."""
    call = Operation.on(faulty.root()).by_name(operation)
    for step, name in enumerate(faulty.steps(call)):
        for code in (CKR.DEVICE_ERROR, CKR.SESSION_HANDLE_INVALID):
            faulty.faults.fail(ANY, code, skip=step, after=True)
            assert call(), f"{code.name} after step {step}, {name}"


@operation_of
def test_a_function_that_always_fails_opens_the_breaker_and_heals(
    faulty: FaultyToken, operation: str, codes_at: CodesAt
) -> None:
    root = faulty.root()
    call = Operation.on(root).by_name(operation)
    for number, name in enumerate(sorted(set(faulty.steps(call)))):
        for code in codes_at(number, operation):
            told = f"{code.name} of {name}"
            faulty.faults.fail(name, code, times=EVERY)
            before = faulty.faults.calls()
            with pytest.raises(RootUnavailable):
                call()
            assert faulty.faults.calls() - before <= MAX_CALLS, told
            assert state_of(root) is RootState.DEGRADED, told
            before = faulty.faults.calls()
            with pytest.raises(RootUnavailable):
                call()
            assert faulty.faults.calls() == before, "the breaker was open, and the token was asked"
            faulty.faults.heal()
            faulty.now += root.status.retry_after_seconds
            assert call(), told
            assert state_of(root) is RootState.READY


@pytest.mark.slow
def test_a_loss_at_any_step_of_opening_is_tried_again(faulty: FaultyToken, codes_at: CodesAt) -> None:
    faulty.root().probe()
    faulty.token.module.finalize()
    for step, name in enumerate(faulty.steps(lambda: faulty.root().probe())):
        for code in codes_at(step):
            root = faulty.root()
            faulty.token.module.finalize()
            faulty.faults.fail(ANY, code, skip=step)
            root.probe()
            assert faulty.faults.is_used_up
            heals(faulty, root, f"{code.name} at step {step}, {name}")


@pytest.mark.slow
def test_a_loss_at_any_step_of_a_recovery_opens_the_breaker_and_heals(faulty: FaultyToken, codes_at: CodesAt) -> None:
    root = faulty.root()
    call = Operation.on(root).by_name("unwrap")
    faulty.faults.lose_sessions()
    for step in range(len(faulty.steps(call))):
        for code in codes_at(step):
            faulty.faults.lose_sessions()
            faulty.faults.fail(ANY, code, skip=step)
            before = faulty.faults.calls()
            try:
                assert call()
            except RootUnavailable:
                assert state_of(root) is not RootState.READY
            assert faulty.faults.calls() - before <= MAX_CALLS
            heals(faulty, root, f"{code.name} at step {step}")
            assert call()


def state_of(root: RecoveringRoot) -> RootState:
    return root.status.state


def heals(faulty: FaultyToken, root: RecoveringRoot, what: str) -> None:
    """After what it says, the very next attempt opens the root."""
    status = root.status
    if status.state is not RootState.READY:
        assert 1 <= status.retry_after_seconds <= 15, what
        faulty.now += status.retry_after_seconds
    assert root.probe().state is RootState.READY, what
    assert len(root.mac(MESSAGE)) == 32, what


def test_lost_sessions_cost_the_caller_nothing(faulty: FaultyToken) -> None:
    operation = Operation.on(faulty.root())
    for name in OPERATIONS:
        faulty.faults.lose_sessions()
        assert operation.by_name(name)(), name


def test_a_device_removed_until_initialised_costs_the_caller_nothing(faulty: FaultyToken) -> None:
    operation = Operation.on(faulty.root())
    for name in OPERATIONS:
        initialised = faulty.faults.calls("C_Initialize")
        faulty.faults.remove_device()
        assert operation.by_name(name)(), name
        assert faulty.faults.calls("C_Initialize") == initialised + 1


def test_a_device_removed_for_good_is_refused_at_once_until_it_is_back(faulty: FaultyToken) -> None:
    root = faulty.root()
    operation = Operation.on(root)
    faulty.faults.remove_device(for_good=True)
    with pytest.raises(RootUnavailable, match="DeviceRemoved"):
        operation.unwrap()
    before = faulty.faults.calls()
    for name in OPERATIONS:
        with pytest.raises(RootUnavailable):
            operation.by_name(name)()
    assert faulty.faults.calls() == before
    delays = []
    for _ in range(6):
        delays.append(root.status.retry_after_seconds)
        faulty.now += delays[-1]
        assert root.probe().state is RootState.DEGRADED
    assert delays == [1, 2, 4, 8, 15, 15]
    faulty.faults.put_back()
    faulty.now += 15
    assert operation.unwrap()


@pytest.mark.parametrize("code", CREDENTIALS, ids=lambda code: code.name)
def test_a_refused_pin_reaches_the_token_once(faulty: FaultyToken, code: CKR) -> None:
    faulty.faults.fail("C_Login", code, times=EVERY)
    logins, root = faulty.faults.calls("C_Login"), faulty.root()
    for _ in range(5):
        with pytest.raises(RootMisconfigured):
            root.mac(MESSAGE)
        root.probe()
        faulty.now += 1000
    assert faulty.faults.calls("C_Login") == logins + 1
    assert state_of(root) is RootState.MISCONFIGURED


@pytest.mark.parametrize("code", CREDENTIALS, ids=lambda code: code.name)
def test_a_pin_refused_in_a_recovery_reaches_the_token_once(faulty: FaultyToken, code: CKR) -> None:
    root = faulty.root()
    operation = Operation.on(root)
    logins = faulty.faults.calls("C_Login")
    faulty.faults.lose_sessions()
    faulty.faults.fail("C_Login", code, times=EVERY)
    for _ in range(5):
        with pytest.raises(RootMisconfigured):
            operation.unwrap()
        faulty.now += 1000
    assert faulty.faults.calls("C_Login") == logins + 1


def test_somebody_else_in_this_process_may_be_logged_in(faulty: FaultyToken) -> None:
    faulty.faults.fail("C_Login", CKR.USER_ALREADY_LOGGED_IN, after=True)
    assert Operation.on(faulty.root()).unwrap()


@pytest.mark.parametrize("code", [CKR.GENERAL_ERROR, CKR.FUNCTION_FAILED, CKR.DEVICE_ERROR])
def test_an_error_that_passes_is_no_verdict_about_a_wrapped_key(faulty: FaultyToken, code: CKR) -> None:
    """SoftHSM says to a changed key what any module says to trouble of its own: only what it says twice counts."""
    operation = Operation.on(faulty.root())
    changed = bytes(40)
    for times in (1, 2):
        faulty.faults.fail("C_UnwrapKey", code, times=times)
        try:
            assert operation.unwrap()
        except RootUnavailable:
            assert times > 1
    faulty.faults.heal()
    faulty.now += 15
    with pytest.raises(UnwrapFailed):
        operation.root.unwrap_key(changed)
    assert operation.unwrap()


def test_a_hanging_call_keeps_its_session_and_no_other(faulty: FaultyToken) -> None:
    operation = Operation.on(faulty.root())
    faulty.faults.hang("C_UnwrapKey")
    with Calling(operation.unwrap) as hanging:
        wait_for(lambda: faulty.faults.hanging == 1)
        for name in OPERATIONS:
            assert operation.by_name(name)(), name
        assert not hanging.is_over
        faulty.faults.release()
        assert hanging.result() is True


def test_when_all_sessions_hang_callers_are_refused_and_it_heals(
    faulty: FaultyToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pkcs11_root, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr("kms.hsm.module.DRAIN_SECONDS", 0.05)
    root = faulty.root()
    operation = Operation.on(root)
    faulty.faults.hang("C_UnwrapKey", times=EVERY)
    calls = [Calling(operation.unwrap) for _ in range(MAX_SESSIONS)]
    wait_for(lambda: faulty.faults.hanging == MAX_SESSIONS)
    with pytest.raises(RootUnavailable, match="hang"):
        operation.mac()
    assert state_of(root) is RootState.DEGRADED
    before = faulty.faults.calls()
    with pytest.raises(RootUnavailable):
        operation.mac()
    assert faulty.faults.calls() == before
    faulty.faults.heal()
    for call in calls:
        call.join()
    heals(faulty, root, "all sessions hung")
    assert operation.unwrap()


def test_a_recovery_that_hangs_refuses_the_others_and_heals(faulty: FaultyToken) -> None:
    root = RecoveringRoot(faulty.open, clock=lambda: faulty.now, wait_seconds=0.01)
    operation = Operation.on(root)
    faulty.faults.lose_sessions()
    steps = faulty.steps(operation.unwrap)
    recovery = steps[steps.index("C_Finalize") :]
    for name in sorted(set(recovery)):
        faulty.faults.lose_sessions()
        # The first call of all meets the loss; these hang after it.
        faulty.faults.hang(name, skip=1 if name == steps[0] else 0)
        with Calling(operation.unwrap) as recovering:
            wait_for(lambda: faulty.faults.hanging == 1)
            with pytest.raises(RootUnavailable):
                operation.mac()
            assert not recovering.is_over
            faulty.faults.release()
            assert recovering.result() is True, name
        faulty.faults.heal()


def test_a_slow_token_is_asked_by_several_sessions_at_once(faulty: FaultyToken) -> None:
    operation = Operation.on(faulty.root())
    faulty.faults.hang("C_UnwrapKey", times=EVERY)
    calls = [Calling(operation.unwrap) for _ in range(MAX_SESSIONS)]
    wait_for(lambda: faulty.faults.hanging == MAX_SESSIONS)
    faulty.faults.heal()
    assert [call.result() for call in calls] == [True] * MAX_SESSIONS


def test_a_token_of_few_sessions_is_asked_one_after_the_other(faulty: FaultyToken) -> None:
    operation = Operation.on(faulty.root())
    faulty.faults.fail("C_OpenSession", CKR.SESSION_COUNT, times=EVERY)
    calls = [Calling(operation.unwrap) for _ in range(MAX_SESSIONS)]
    assert [call.result() for call in calls] == [True] * MAX_SESSIONS


class Calling:
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._results: list[object] = []

        def run() -> None:
            try:
                self._results.append(call())
            except RootError as error:
                self._results.append(error)

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Calling:
        return self

    def __exit__(self, *_: object) -> None:
        self.join()

    @property
    def is_over(self) -> bool:
        return bool(self._results)

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive(), "the call hangs"

    def result(self) -> object:
        self.join()
        return self._results[0]


def wait_for(condition: Callable[[], bool]) -> None:
    """Until the module says so: what it does shows in memory, and rings no bell."""
    pause = threading.Event()
    for _ in range(30_000):
        if condition():
            return
        pause.wait(0.001)
    raise AssertionError("the module did not get there")
