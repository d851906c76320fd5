from __future__ import annotations

import threading

import pytest

from kms.hsm.drain import DrainLock, DrainTimeout


def test_many_share() -> None:
    lock = DrainLock()
    with lock.shared(0), lock.shared(0):
        pass
    with lock.alone(0):
        pass


def test_alone_waits_until_the_others_have_left() -> None:
    lock, inside, leave, order = DrainLock(), threading.Event(), threading.Event(), list[str]()

    def share() -> None:
        with lock.shared(0):
            inside.set()
            leave.wait(60)
            order.append("left")

    thread = threading.Thread(target=share)
    thread.start()
    assert inside.wait(60)
    with pytest.raises(DrainTimeout), lock.alone(0.01):
        order.append("never")
    with lock.shared(0):  # the drain that timed out lets newcomers in again
        pass
    leave.set()
    with lock.alone(10):
        order.append("alone")
    thread.join()
    assert order == ["left", "alone"]


def test_newcomers_wait_while_one_is_alone() -> None:
    lock = DrainLock()
    with lock.alone(0):
        with pytest.raises(DrainTimeout), lock.shared(0.01):
            pass
        with pytest.raises(DrainTimeout), lock.alone(0.01):
            pass
    with lock.shared(0):
        pass


def test_an_error_inside_lets_go() -> None:
    lock = DrainLock()
    with pytest.raises(KeyError), lock.shared(0):
        raise KeyError
    with pytest.raises(KeyError), lock.alone(0):
        raise KeyError
    with lock.alone(0):
        pass


def test_nobody_is_inside_while_one_is_alone() -> None:
    lock, inside, violations = DrainLock(), [0], list[int]()
    counter = threading.Lock()

    def share() -> None:
        for _ in range(300):
            with lock.shared(10):
                with counter:
                    inside[0] += 1
                with counter:
                    inside[0] -= 1

    def alone() -> None:
        for _ in range(100):
            with lock.alone(10):
                violations.append(inside[0])

    threads = [threading.Thread(target=work) for work in (share, share, share, alone)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert violations == [0] * 100
