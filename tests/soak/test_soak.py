"""A few seconds of `python -m tests.soak`, whose two hours are in docs/durability.md, and what it would notice."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.harness import running_gateway
from tests.soak.run import Soak, soak
from tests.soak.verdict import JUDGED_SECONDS, judge
from tests.soak.visitors import BUCKET, VERSIONS, Told, visitors
from tests.soak.weather import Weather


@pytest.mark.slow
def test_a_short_soak_finds_nothing_and_tells_what_it_did(tmp_path: Path) -> None:
    report = soak(
        tmp_path, Soak(6, rate=40, pause_seconds=0.1, away_seconds=0.5, sample_seconds=1, root="file", seed=1)
    )
    assert report.all_problems() == []
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["checks"] > 0
    assert {"put", "get", "list"} < told["served"].keys()
    assert told["weather"]["kmsd killed"] == 1
    assert told["figures"]["worker kept: resident MiB"]["most"] > 10
    assert {each.name for each in tmp_path.glob("*.svg")} >= {"memory.svg", "descriptors.svg", "files.svg"}
    assert "too short for a verdict" in (tmp_path / "report.md").read_text()


@pytest.mark.slow
def test_content_that_is_not_what_was_written_and_answers_that_are_not_excused_are_told(tmp_path: Path) -> None:
    with running_gateway(tmp_path, root="file") as gateway:
        told, s3 = Told(), gateway.client("s3")
        [visitor] = visitors(gateway, Weather(), told, count=1, seed=1)
        for plan in (visitor.mixed._put("visitor-0/1", "AES256"), visitor._put_version()):
            visitor._ask(plan)
        visitor.check()
        assert (told.problems, told.checks, told.served.total()) == ([], 1, 2)

        size = len(visitor.mixed.objects["visitor-0/1"].body)
        s3.put_object(Bucket=BUCKET, Key="visitor-0/1", Body=b"x" * size)
        s3.put_object(Bucket=VERSIONS, Key="visitor-0/other", Body=b"nobody's")
        visitor.check()
        visitor._ask(visitor.mixed._put("visitor-0/1", "AES256"))
        visitor.check()
        assert len(told.problems) == 2

        key = visitor.mixed.kms_key
        gateway.client("kms").disable_key(KeyId=key)
        visitor._ask(visitor.mixed._put("visitor-0/1", "aws:kms"))
        assert len(told.problems) == 3
        assert "KMS.DisabledException" in told.problems[-1]


def series(slope_per_hour: float, hours: float = 2.0) -> tuple[list[float], list[float]]:
    """Of noisy samples each 5 seconds, after a warm-up."""
    noise = random.Random(1)
    seconds = [5.0 * number for number in range(int(hours * 720))]
    values = [
        100 - 20 / (1 + at / 60) + slope_per_hour * at / 3600 + noise.uniform(-2, 2) + 50 * (noise.random() < 0.01)
        for at in seconds
    ]
    return seconds, values


def test_what_grows_is_told_from_what_is_noisy_and_had_to_warm_up() -> None:
    assert not judge("kmsd: resident MiB", *series(0)).is_growing
    growing = judge("kmsd: resident MiB", *series(10))
    assert growing.is_growing
    assert growing.slope_per_hour == pytest.approx(10, abs=1)
    assert not judge("audit trail, bytes", *series(10)).is_growing  # may grow


def test_a_run_that_is_all_warm_up_is_not_judged() -> None:
    seconds, values = series(1000, JUDGED_SECONDS / 3600)
    assert not judge("kmsd: threads", seconds, values).is_growing


def test_no_samples_are_no_growth() -> None:
    assert not judge("kmsd: threads", [], []).is_growing
