from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from kms.api.secrets import SecretBytes
from kms.hsm.errors import CredentialRejected, RootLost
from kms.hsm.interface import RootError, RootIdentity, RootMisconfigured, RootUnavailable, UnwrapFailed
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.recovery import RecoveringRoot, RootState
from tests.conformance.root import RootContract
from tests.kms.hsm.conftest import PIN, SoftToken

IDENTITY = RootIdentity("kw", b"r" * 16, "root")


def state_of(root: RecoveringRoot) -> RootState:
    return root.status.state


@dataclass
class Device:
    """A token in a test's hand: `failure` is what opening and calls raise, None is a healthy device."""

    failure: RootError | None = None
    broken_sessions: bool = False
    identity: RootIdentity = IDENTITY
    opened: int = 0
    closed: int = 0
    now: float = 100.0
    hold: Callable[[], None] = field(default=lambda: None)

    def open(self) -> Any:
        self.opened += 1
        self.hold()
        if self.failure:
            raise self.failure
        return FakeRoot(self)

    def root(self) -> RecoveringRoot:
        return RecoveringRoot(self.open, clock=lambda: self.now, wait_seconds=5.0)


class FakeRoot:
    def __init__(self, device: Device) -> None:
        self._device = device
        self.identity = device.identity
        self._lost = False

    def mac(self, message: bytes) -> bytes:
        self._lost = self._lost or self._device.failure is not None
        if self._lost or self._device.broken_sessions:
            raise RootLost("the session is gone")
        return message

    def unwrap_key(self, wrapped: bytes) -> SecretBytes:
        raise UnwrapFailed("changed")

    def check(self) -> None:
        if isinstance(self._device.failure, RootMisconfigured):
            raise self._device.failure
        self.mac(b"")

    def close(self) -> None:
        self._device.closed += 1


def test_sealed_until_the_first_call() -> None:
    device = Device()
    root = device.root()
    assert (state_of(root), device.opened) == (RootState.SEALED, 0)
    assert root.mac(b"m") == b"m"
    assert (state_of(root), root.status.retry_after_seconds, device.opened) == (RootState.READY, 0, 1)
    assert root.identity == IDENTITY


def test_identity_opens_a_sealed_root() -> None:
    assert Device().root().identity == IDENTITY
    with pytest.raises(RootUnavailable):
        Device(failure=RootLost("absent")).root().identity  # noqa: B018


def test_absent_at_the_start_it_unseals_when_it_comes() -> None:
    device = Device(failure=RootLost("absent"))
    root = device.root()
    assert root.probe().state is RootState.SEALED
    assert root.status.detail == "absent"
    assert root.status.retry_after_seconds == 1
    with pytest.raises(RootUnavailable, match="absent"):
        root.mac(b"m")
    assert device.opened == 1  # the breaker is open: nothing was tried
    device.failure, device.now = None, device.now + 1.0
    assert root.mac(b"m") == b"m"


def test_back_off_doubles_up_to_its_bound_and_starts_over_after_success() -> None:
    device = Device(failure=RootLost("absent"))
    root = device.root()
    delays = []
    for _ in range(7):
        root.probe()
        attempts, start = device.opened, device.now
        while device.opened == attempts:
            device.now += 0.25
            root.probe()
        delays.append(device.now - start)
    assert delays == [1, 2, 4, 8, 15, 15, 15]
    device.failure, device.now = None, device.now + 15
    assert root.probe().state is RootState.READY
    device.failure = RootLost("pulled")
    with pytest.raises(RootUnavailable):
        root.mac(b"m")
    assert (state_of(root), root.status.retry_after_seconds) == (RootState.DEGRADED, 1)


def test_a_lost_session_costs_the_caller_nothing() -> None:
    device = Device()
    root = device.root()
    root.mac(b"m")
    device.failure = RootLost("pulled for a moment")
    lost = root._root
    assert lost is not None
    with pytest.raises(RootLost):
        lost.mac(b"m")
    device.failure = None
    assert root.mac(b"m") == b"m"
    assert (device.opened, device.closed) == (2, 1)


def test_one_retry_and_no_more() -> None:
    device = Device()
    root = device.root()
    root.mac(b"m")
    device.broken_sessions = True
    with pytest.raises(RootUnavailable, match="session is gone"):
        root.mac(b"m")
    assert (device.opened, device.closed) == (2, 2)
    with pytest.raises(RootUnavailable):
        root.mac(b"m")
    assert device.opened == 2
    assert state_of(root) is RootState.DEGRADED
    device.broken_sessions, device.now = False, device.now + 1
    assert root.mac(b"m") == b"m"


def test_identity_stays_known_while_degraded() -> None:
    device = Device()
    root = device.root()
    root.mac(b"m")
    device.failure = RootLost("pulled")
    with pytest.raises(RootUnavailable):
        root.mac(b"m")
    assert root.identity == IDENTITY


def test_a_wrong_pin_is_tried_once_and_never_again() -> None:
    device = Device(failure=CredentialRejected("PinIncorrect"))
    root = device.root()
    for _ in range(50):
        with pytest.raises(RootMisconfigured, match="PinIncorrect"):
            root.mac(b"m")
        root.probe()
        device.now += 1_000
    assert device.opened == 1
    assert state_of(root) is RootState.MISCONFIGURED
    assert root.status.retry_after_seconds == 0
    assert "restarted" in root.status.detail


def test_a_pin_changed_while_running_is_tried_once() -> None:
    device = Device()
    root = device.root()
    root.mac(b"m")
    device.failure = CredentialRejected("PinIncorrect")
    for _ in range(3):
        with pytest.raises(RootMisconfigured):
            root.mac(b"m")
        device.now += 1_000
    assert device.opened == 2


def test_other_misconfigurations_heal_when_the_right_token_comes() -> None:
    device = Device(failure=RootMisconfigured("foreign root"))
    root = device.root()
    assert root.probe().state is RootState.MISCONFIGURED
    assert root.status.retry_after_seconds == 15
    device.failure, device.now = None, device.now + 15
    assert root.probe().state is RootState.READY


def test_another_root_in_place_of_the_lost_one_is_refused() -> None:
    device = Device()
    root = device.root()
    root.mac(b"m")
    device.broken_sessions, device.identity = True, RootIdentity("kw", b"x" * 16, "root")
    with pytest.raises(RootMisconfigured, match="not the one used before"):
        root.mac(b"m")
    assert state_of(root) is RootState.MISCONFIGURED
    assert device.closed == device.opened == 2
    device.broken_sessions, device.identity, device.now = False, IDENTITY, device.now + 15
    assert root.mac(b"m") == b"m"


def test_a_check_that_finds_a_foreign_root_takes_it_out_of_use() -> None:
    device = Device()
    root = device.root()
    root.check()
    device.failure = RootMisconfigured("foreign root")
    with pytest.raises(RootMisconfigured, match="foreign"):
        root.check()
    assert state_of(root) is RootState.MISCONFIGURED
    with pytest.raises(RootMisconfigured):
        root.mac(b"m")
    assert device.opened == 1


def test_refused_bytes_are_no_loss() -> None:
    device = Device()
    root = device.root()
    with pytest.raises(UnwrapFailed):
        root.unwrap_key(bytes(40))
    assert (state_of(root), device.opened) == (RootState.READY, 1)


def test_callers_that_lose_it_together_share_one_recovery() -> None:
    device = Device()
    root = device.root()
    root.mac(b"m")
    barrier, results = threading.Barrier(6), list[bytes]()
    first: Any = root._root
    first._lost = True

    def call() -> None:
        barrier.wait(60)
        results.append(root.mac(b"m"))

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [b"m"] * 6
    assert (device.opened, device.closed) == (2, 1)


def test_nobody_hangs_behind_an_attempt_that_hangs() -> None:
    entered, release = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        release.wait(60)

    device = Device(hold=hang)
    root = RecoveringRoot(device.open, clock=lambda: device.now, wait_seconds=0.01)
    thread = threading.Thread(target=root.probe)
    thread.start()
    assert entered.wait(60)
    for _ in range(3):
        with pytest.raises(RootUnavailable):
            root.mac(b"m")
    assert state_of(root) is RootState.SEALED
    assert device.opened == 1
    release.set()
    thread.join()
    assert root.mac(b"m") == b"m"


def test_half_open_lets_one_try_and_refuses_the_others_at_once() -> None:
    entered, release = threading.Event(), threading.Event()
    device = Device(failure=RootLost("absent"))
    root = device.root()
    root.probe()

    def hang() -> None:
        entered.set()
        release.wait(60)

    device.hold, device.now = hang, device.now + 1
    thread = threading.Thread(target=root.probe)
    thread.start()
    assert entered.wait(60)
    with pytest.raises(RootUnavailable, match="absent"):
        root.mac(b"m")
    assert device.opened == 2
    release.set()
    thread.join()


def test_an_error_of_the_program_does_not_seal_for_good() -> None:
    device = Device()

    def fail() -> None:
        raise KeyError("bug")

    device.hold = fail
    root = device.root()
    with pytest.raises(KeyError):
        root.mac(b"m")
    device.hold, device.now = (lambda: None), device.now + 1
    assert root.mac(b"m") == b"m"


def test_closed_it_stays_closed() -> None:
    device = Device()
    root = device.root()
    root.mac(b"m")
    root.close()
    root.close()
    with pytest.raises(RootUnavailable, match="closed"):
        root.mac(b"m")
    assert root.probe().state is RootState.DEGRADED
    assert (device.opened, device.closed) == (1, 1)


def test_errors_raised_again_and_again_do_not_grow() -> None:
    root = Device(failure=RootLost("absent")).root()
    raised = []
    for _ in range(4):
        with pytest.raises(RootUnavailable) as caught:
            root.mac(b"m")
        raised.append(caught.value)
    assert len({id(error) for error in raised}) == 4
    assert len({len(traceback.extract_tb(error.__traceback__)) for error in raised[1:]}) == 1


@pytest.mark.hsm
class TestWithSoftHSM(RootContract):
    @pytest.fixture
    def root(self, token: SoftToken) -> Any:
        root = RecoveringRoot(token.open)
        yield root
        root.close()

    @pytest.fixture
    def another_root(self, tmp_path: Any) -> Any:
        from kms.hsm.file_root import FileRoot, create_key_file

        create_key_file(tmp_path / "key")
        FileRoot.create(tmp_path / "root", key_file=tmp_path / "key")
        return FileRoot.open(tmp_path / "root", key_file=tmp_path / "key")


@pytest.mark.hsm
def test_a_token_pulled_and_put_back_heals_without_restart(token: SoftToken) -> None:
    now = [0.0]
    root = RecoveringRoot(token.open, clock=lambda: now[0])
    wrapped = root.generate_wrapped_key()
    key = root.unwrap_key(wrapped)
    token.pull()
    for _ in range(3):
        with pytest.raises(RootUnavailable):
            root.unwrap_key(wrapped)
    assert state_of(root) is RootState.DEGRADED
    token.put_back()
    with pytest.raises(RootUnavailable):  # the breaker is still open
        root.unwrap_key(wrapped)
    now[0] += 1
    assert root.unwrap_key(wrapped) == key
    assert state_of(root) is RootState.READY
    root.close()


@pytest.mark.hsm
def test_a_token_that_was_away_unnoticed_costs_nobody_an_error(token: SoftToken) -> None:
    root = RecoveringRoot(token.open)
    tag = root.mac(b"message")
    token.pull()
    lost = root._root
    assert lost is not None
    with pytest.raises(RootLost):
        lost.mac(b"message")
    token.put_back()
    assert root.mac(b"message") == tag
    root.close()


@pytest.mark.hsm
def test_sealed_at_the_start_it_unseals_when_the_token_comes(token: SoftToken) -> None:
    now = [0.0]
    token.pull()
    root = RecoveringRoot(token.open, clock=lambda: now[0])
    assert root.probe().state is RootState.SEALED
    token.put_back()
    now[0] += 1
    assert root.probe().state is RootState.READY
    root.close()


@pytest.mark.hsm
def test_a_wrong_pin_reaches_the_token_once(token: SoftToken) -> None:
    attempts, now = [0], [0.0]

    def open_root() -> PKCS11Root:
        attempts[0] += 1
        return token.open(SecretBytes(b"wrong-pin"))

    root = RecoveringRoot(open_root, clock=lambda: now[0])
    for _ in range(5):
        with pytest.raises(RootMisconfigured, match="PinIncorrect"):
            root.mac(b"message")
        now[0] += 100
    assert attempts == [1]
    assert state_of(root) is RootState.MISCONFIGURED


@pytest.mark.hsm
def test_threads_live_through_losses(token: SoftToken) -> None:
    """Four threads use one root while the token goes and comes; each call answers rightly or says unavailable."""
    root = RecoveringRoot(token.open, first_delay_seconds=0.001, max_delay_seconds=0.002)
    wrapped = root.generate_wrapped_key()
    key = root.unwrap_key(wrapped)
    wrong: list[BaseException] = []
    served, stop = [0], threading.Event()

    def use() -> None:
        while not stop.is_set():
            try:
                assert root.unwrap_key(wrapped) == key
                served[0] += 1
            except CredentialRejected as error:
                wrong.append(error)
                return
            except (RootUnavailable, RootMisconfigured):  # keys found missing while the directory moves are the latter
                continue
            except BaseException as error:
                wrong.append(error)
                return

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        before = served[0]
        token.pull()
        while state_of(root) is RootState.READY and not wrong:
            stop.wait(0.001)
        token.put_back()
        while served[0] < before + 4 and not wrong:
            stop.wait(0.001)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert PKCS11Root.open(token.uri, PIN, token.root.check_value).unwrap_key(wrapped) == key
