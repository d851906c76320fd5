from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kms.epoch import Epoch, EpochLocked, MemoryEpoch, SharedEpoch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "epoch"


def test_readers_see_what_the_writer_raised(path: Path) -> None:
    early = SharedEpoch.open_reader(path)
    assert early.value == 0
    writer = SharedEpoch.open_writer(path)
    late = SharedEpoch.open_reader(path)
    before = writer.value
    assert early.value == late.value == before > 0
    assert writer.advance() == before + 1
    assert early.value == late.value == before + 1
    for epoch in (early, late, writer):
        epoch.close()


def test_the_epoch_never_goes_down_over_restarts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = SharedEpoch.open_reader(path)
    writer = SharedEpoch.open_writer(path)
    last = writer.advance()
    writer.close()
    # Also when the clock was set back meanwhile.
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    writer = SharedEpoch.open_writer(path)
    assert writer.value == reader.value == last + 1
    writer.close()
    reader.close()


def test_a_lost_file_begins_above_what_was_counted(path: Path) -> None:
    writer = SharedEpoch.open_writer(path)
    last = writer.advance()
    writer.close()
    path.unlink()
    writer = SharedEpoch.open_writer(path)
    assert writer.value > last
    writer.close()


def test_there_is_one_writer(path: Path) -> None:
    writer = SharedEpoch.open_writer(path)
    with pytest.raises(EpochLocked):
        SharedEpoch.open_writer(path)
    value = writer.value
    writer.close()
    second = SharedEpoch.open_writer(path)
    assert second.value >= value + 1
    second.close()


def test_readers_cannot_raise_it(path: Path) -> None:
    reader = SharedEpoch.open_reader(path)
    with pytest.raises(TypeError):
        reader.advance()
    reader.close()


def test_another_process_sees_it_at_once(path: Path) -> None:
    writer = SharedEpoch.open_writer(path)
    program = (
        "import sys; from pathlib import Path; from kms.epoch import SharedEpoch\n"
        "epoch = SharedEpoch.open_reader(Path(sys.argv[1]))\n"
        "for line in sys.stdin: print(epoch.value, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for _ in range(20):
            expected = writer.advance()
            reader.stdin.write("?\n")
            reader.stdin.flush()
            assert int(reader.stdout.readline()) == expected
        reader.stdin.close()
    writer.close()


@pytest.mark.parametrize("kind", ["memory", "shared"])
def test_no_raise_is_lost_between_threads(path: Path, kind: str) -> None:
    epoch: Epoch = MemoryEpoch() if kind == "memory" else SharedEpoch.open_writer(path)
    before = epoch.value
    threads = [threading.Thread(target=lambda: [epoch.advance() for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert epoch.value == before + 2000
    if isinstance(epoch, SharedEpoch):
        epoch.close()
