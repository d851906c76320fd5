"""`sealgate audit`: exit statuses, and what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from gateway.config import format_settings
from kms.audit.event import Decision, Resource
from kms.audit.files import PUBLIC_KEYS_NAME
from kms.audit.signatures import format_pem
from kms.hsm import software_signing
from tests.kms.audit.trails import SoftSigner, TrailMaker, event, lines, small_trail

SIGNER = SoftSigner()
PEM = format_pem(software_signing.public_key(SIGNER.key))
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def trail(tmp_path: Path) -> TrailMaker:
    """A trail with its public key beside, in a data directory."""
    (tmp_path / "sealgate.toml").write_text(format_settings({"": {"region": "us-east-1"}}))
    maker = small_trail(tmp_path / "audit", SIGNER)
    (maker.directory / PUBLIC_KEYS_NAME).write_text(PEM)
    return maker


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["audit", *(str(argument) for argument in arguments)])


def test_verify_takes_a_data_directory_or_the_trail_itself(trail: TrailMaker) -> None:
    for place in (trail.directory.parent, trail.directory, trail.directory.parent / "sealgate.toml"):
        result = run("verify", "--expect-final", place)
        assert result.exit_code == 0, result.output
        assert "16 lines in 3 files, 9 of them events." in result.output
        assert f"Last line: 16:{trail.head.hash}" in result.output


def test_verify_exits_with_1_for_a_change_and_says_where(trail: TrailMaker) -> None:
    trail.path.write_bytes(trail.path.read_bytes().replace(b"Decrypt", b"Encrypt", 1))
    result = run("verify", trail.directory)
    assert result.exit_code == 1
    assert f"PROBLEM  {trail.path.name}:" in result.output
    assert "NOT whole" in result.output


def test_verify_tells_what_is_not_covered(trail: TrailMaker) -> None:
    trail.add(event(99))
    result = run("verify", trail.directory)
    assert result.exit_code == 0
    assert "Not yet covered by a checkpoint: 2 lines" in result.output
    assert run("verify", "--expect-final", trail.directory).exit_code == 1


def test_verify_with_another_key_fails(trail: TrailMaker, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(format_pem(software_signing.public_key(SoftSigner().key)))
    assert run("verify", "--public-key", other, trail.directory).exit_code == 1
    right = tmp_path / "right.pem"
    right.write_text(PEM)
    assert run("verify", "--public-key", other, "--public-key", right, trail.directory).exit_code == 0


def test_verify_asks_for_a_line_noted_down(trail: TrailMaker) -> None:
    assert run("verify", "--contains", f"16:{trail.head.hash}", trail.directory).exit_code == 0
    assert run("verify", "--contains", f"17:{trail.head.hash}", trail.directory).exit_code == 1
    assert run("verify", "--contains", "nonsense", trail.directory).exit_code == 2


def test_verify_of_archived_trails(trail: TrailMaker) -> None:
    min(trail.directory.glob("audit-*.jsonl")).unlink()
    assert run("verify", trail.directory).exit_code == 1
    assert run("verify", "--partial", trail.directory).exit_code == 0


def test_verify_without_a_key_fails(trail: TrailMaker) -> None:
    (trail.directory / PUBLIC_KEYS_NAME).unlink()
    assert run("verify", trail.directory).exit_code == 1
    assert run("verify", trail.directory / "nowhere").exit_code == 2


def test_public_key_prints_pem(trail: TrailMaker) -> None:
    assert run("public-key", trail.directory.parent).output == PEM
    (trail.directory / PUBLIC_KEYS_NAME).write_text("no key")
    assert run("public-key", trail.directory).exit_code == 1
    (trail.directory / PUBLIC_KEYS_NAME).unlink()
    assert run("public-key", trail.directory).exit_code == 1


def test_tail_prints_what_matches_for_people(trail: TrailMaker) -> None:
    denied = Decision("kms:Decrypt", KEY, "Deny", "statement NoDecrypt of the key policy")
    trail.add(
        event(
            100,
            resources=(Resource(KEY, "111122223333"),),
            resource_arn="arn:aws:s3:::bucket/evil\x1b[2J",
            decisions=(denied,),
            error_code="AccessDeniedException",
        )
    )
    assert len(run("tail", trail.directory).output.splitlines()) == 10
    [line] = run("tail", "--errors", "--key", KEY, trail.directory).output.splitlines()
    assert line.split("  ") == [
        "2026-01-01T00:01:40.000000Z",
        "Decrypt",
        "AccessDeniedException",
        "arn:aws:iam::111122223333:root",
        KEY,
        "arn:aws:s3:::bucket/evil\\x1b[2J",
        "(statement NoDecrypt of the key policy)",
    ]
    assert run("tail", "--since", "2026-01-01T00:01:00Z", "--event", "decrypt", trail.directory).output.count("\n") == 1
    assert run("tail", "--principal", "nobody", trail.directory).output == ""


def test_tail_prints_lines_as_they_are(trail: TrailMaker) -> None:
    output = run("tail", "--json", trail.directory).stdout_bytes.splitlines()
    assert output == [line for line in lines(trail.directory) if b'"record":"event"' in line]


def test_tail_refuses_what_is_no_time(trail: TrailMaker) -> None:
    assert run("tail", "--since", "yesterday", trail.directory).exit_code == 2
