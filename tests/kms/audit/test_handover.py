"""Handovers: a key kept from before a rotation verifies what follows, and nothing else does."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kms.audit.event import API_CALL, SERVICE_EVENT, Event
from kms.audit.handover import SWITCH, BadHandover, hand_over, successor
from kms.audit.signatures import key_id
from kms.audit.verify import Report, Verifier
from kms.hsm import software_signing
from tests.kms.audit.trails import SoftSigner, TrailMaker, event, small_trail

OLD, NEW, NEWEST = SoftSigner(), SoftSigner(), SoftSigner()


def public_key(signer: SoftSigner) -> bytes:
    return software_signing.public_key(signer.key)


def switch(details: dict[str, Any]) -> Event:
    return event(1, SWITCH, event_type=SERVICE_EVENT, details={"root": "ab", **details})


def check(directory: Path, signer: SoftSigner = OLD, **options: Any) -> Report:
    return Verifier(signer.public_keys(), **options).verify(directory)


def sentences(report: Report) -> list[str]:
    return [problem.sentence for problem in report.problems]


@pytest.fixture
def maker(tmp_path: Path) -> TrailMaker:
    """A trail whose root is about to be rotated."""
    made = TrailMaker(tmp_path, OLD)
    made.begin_file()
    made.check("start")
    return made


def test_the_key_before_vouches_for_the_next_over_several_rotations(maker: TrailMaker) -> None:
    for old, new in ((OLD, NEW), (NEW, NEWEST)):
        maker.add(switch(hand_over(old, public_key(new))))
        maker.signer = new
        maker.add(event(2))
        maker.check()
    maker.check("stop")
    report = check(maker.directory, ends_with_stop=True)
    assert (report.problems, report.uncovered, report.checkpoints) == ([], 0, 4)
    assert len(report.notes) == 2
    assert key_id(public_key(NEWEST)) in report.notes[1].sentence


def test_the_line_may_come_after_checkpoints_of_the_new_key_and_twice(maker: TrailMaker) -> None:
    maker.signer = NEW
    maker.check()
    told = switch(hand_over(OLD, public_key(NEW)))
    maker.add(told)
    maker.begin_file()
    maker.add(told)
    maker.check()
    assert check(maker.directory).problems == []


def test_a_handover_vouches_for_one_key_alone(maker: TrailMaker) -> None:
    maker.add(switch(hand_over(OLD, public_key(NEW))))
    maker.signer = NEWEST
    maker.check()
    assert sentences(check(maker.directory)) == [
        f"the checkpoint is signed with another key ({key_id(public_key(NEWEST))})"
    ]


def test_a_change_of_key_without_a_handover_is_refused(maker: TrailMaker) -> None:
    maker.add(switch({}))
    maker.signer = NEW
    maker.check()
    assert len(sentences(check(maker.directory))) == 1


def test_who_knows_the_new_key_alone_does_not_trust_the_older(maker: TrailMaker) -> None:
    maker.add(switch(hand_over(OLD, public_key(NEW))))
    maker.signer = NEW
    maker.check()
    assert len(sentences(check(maker.directory, NEW))) == 1


def test_a_key_that_vouches_for_itself_gains_nothing(maker: TrailMaker) -> None:
    maker.add(switch(hand_over(NEW, public_key(NEW))))
    maker.signer = NEW
    maker.check()
    assert len(sentences(check(maker.directory))) == 1


def changed(name: str, value: Callable[[dict[str, str]], str]) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda details: {**details, name: value(details)}


FORGERIES: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "another key": changed("auditKey", lambda _: base64.b64encode(public_key(NEWEST)).decode()),
    "signed by itself": changed("auditKeySignature", lambda _: hand_over(NEW, public_key(NEW))["auditKeySignature"]),
    "of another key's handover": changed(
        "auditKeySignature", lambda _: hand_over(OLD, public_key(NEWEST))["auditKeySignature"]
    ),
    "a changed bit": changed(
        "auditKeySignature",
        lambda details: base64.b64encode(
            bytes(byte ^ (not place) for place, byte in enumerate(base64.b64decode(details["auditKeySignature"])))
        ).decode(),
    ),
    "no signature": changed("auditKeySignature", lambda _: ""),
    "no base64": changed("auditKeySignature", lambda _: "é"),
    "no key": changed("auditKey", lambda _: base64.b64encode(b"x" * 91).decode()),
    "no curve that is known": changed(
        "auditKey",
        lambda _: base64.b64encode(
            public_key(NEW).replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030207"))
        ).decode(),
    ),
    "a key that is no base64": changed("auditKey", lambda _: "?"),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_handover_is_a_problem_and_gives_no_trust(
    maker: TrailMaker, forge: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    forged = switch(forge(hand_over(OLD, public_key(NEW))))
    with pytest.raises(BadHandover):
        successor(forged, OLD.public_keys())
    maker.add(forged)
    maker.signer = NEW
    maker.check()
    told = sentences(check(maker.directory))
    assert len(told) == 2
    assert "the handover to another key is forged" in told[0]
    assert "signed with another key" in told[1]


@pytest.mark.parametrize(
    "details", [{}, {"auditKey": 1}, {"auditKeySignature": "x"}, {"auditKey": "x", "auditKeySignature": "x"}]
)
def test_an_event_without_a_whole_handover_says_nothing(details: dict[str, Any]) -> None:
    assert successor(switch(details), OLD.public_keys()) is None


def test_a_handover_is_an_act_of_the_service_and_of_no_caller(tmp_path: Path) -> None:
    told = switch(hand_over(OLD, public_key(NEW)))
    for other in (msgspec.structs.replace(told, event_type=API_CALL), msgspec.structs.replace(told, event_name="X")):
        assert successor(other, OLD.public_keys()) is None


def test_a_checkpoints_signature_is_no_handover(tmp_path: Path) -> None:
    maker = small_trail(tmp_path, OLD)
    details = hand_over(OLD, public_key(NEW))
    details["auditKeySignature"] = base64.b64encode(OLD.checkpoint(maker.head).signature).decode()
    with pytest.raises(BadHandover):
        successor(switch(details), OLD.public_keys())


def test_a_signer_whose_signature_does_not_verify_hands_nothing_over() -> None:
    class Odd(SoftSigner):
        def sign(self, digest: bytes) -> bytes:
            return bytes(64)

    with pytest.raises(BadHandover):
        hand_over(Odd(), public_key(NEW))
