"""Write a golden data set by this release: `python -m tests.golden.generate NAME` (README.md)."""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.golden.contents import fill, tell
from tests.harness import running_gateway

HERE = Path(__file__).parent
NOT_KEPT = {"run", "sockets"}
"""What belongs to running processes alone."""


def main(name: str) -> None:
    target = HERE / name
    target.mkdir()
    with tempfile.TemporaryDirectory() as directory:
        with running_gateway(Path(directory), root="file") as gateway:
            known = fill(gateway)
            told = tell(gateway, known)
            gateway.stop()
            gateway.sealgate("kms", "backup", str(gateway.data), str(gateway.data / "kms-backup"))
        with tarfile.open(target / "data.tar.xz", "w:xz") as archive:
            archive.add(gateway.data, "data", filter=_kept)
    (target / "expected.json").write_text(json.dumps({"known": known, "told": told}, indent=1, sort_keys=True) + "\n")


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Nothing of the processes, and nothing of the machine: neither its users nor sockets."""
    parts = Path(member.name).parts
    if len(parts) > 2 and parts[1] in NOT_KEPT:
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member if member.isfile() or member.isdir() else None


if __name__ == "__main__":
    main(sys.argv[1])
