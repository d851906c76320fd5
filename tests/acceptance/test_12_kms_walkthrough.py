"""docs/kms.md, block by block, as a person would paste it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from kms.hsm.provision import find_softhsm
from tests.harness import REPOSITORY, running_gateway

pytestmark = pytest.mark.slow

EXPECTED = {
    "Keys, aliases, tags": ["Enabled", "alias/billing", "stage"],
    "Data keys: encrypting as an application does": ["arn:aws:kms:", "InvalidCiphertextException"],
    "Small secrets, and moving them to another key": ["correct horse"],
    "Rotation": ["180", "ON_DEMAND", "correct horse", "False", "True"],
    "Your own key material": ["Enabled", "PendingImport"],
    "Who may use a key": ["default", "Decrypt", "Encrypt"],
    "Signatures and MACs": ["True", "Verified OK", "ValidationException"],
    "RSA, key agreement, data key pairs": ["correct horse", "ECDH", "ECC_NIST_P384", "RSA_2048"],
    "Keys that never leave the HSM": ["True", "UnsupportedOperationException"],
    "Several regions": ["Enabled", "correct horse", "REPLICA"],
    "Checking before doing": ["DryRunOperationException"],
    "Off, on, and gone": ["DisabledException", "PendingDeletion", "Disabled"],
}
"""What each section's output must hold, by heading; the test fails when a section has no entry. Names of
errors are printed only where a call failed and said so; one that fails otherwise ends the script."""

HELD = "Keys that never leave the HSM"
"""The one section that needs a token."""


def sections() -> list[tuple[str, str]]:
    """Headings of docs/kms.md with the shell blocks below them."""
    text = (REPOSITORY / "docs" / "kms.md").read_text()
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return [
        (title, "\n".join(re.findall(r"```sh\n(.*?)```", body, re.DOTALL)))
        for title, body in zip(parts[::2], parts[1::2], strict=True)
    ]


def test_every_block_works_in_order(tmp_path: Path) -> None:
    assert [title for title, _ in sections()] == list(EXPECTED)
    expected = {title: wanted for title, wanted in EXPECTED.items() if title != HELD or find_softhsm() is not None}
    script = "\n".join(f"echo '== {title}'\n{block}" for title, block in sections() if title in expected)
    work = tmp_path / "work"
    work.mkdir()
    with running_gateway(tmp_path, environment={"SEALGATE_KMS_OTHER_REGIONS": "eu-central-1"}) as gateway:
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script],
            cwd=work,
            env=gateway.aws_environment(),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    told = dict(zip(expected, done.stdout.split("== ")[1:], strict=True))
    for title, wanted in expected.items():
        for text in wanted:
            assert text in told[title], f"{title}: {told[title]}"
