"""What is done to a gateway while it is used, and which refusals that excuses.

A spell of weather begins before the first thing is done and ends when everything is well again: a request that was
under way in between may be refused as that weather allows, any other must be served.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.acceptance.observe import readiness
from tests.crash.clients import patient
from tests.crash.disk import wait_for_children
from tests.harness import Gateway, wait_until

WELL_SECONDS = 120.0
"""Within which everything is well again after each spell."""

ROTATIONS_OF_A_KEY = 20
"""Of the 25 on demand that AWS allows; then the next key is used."""


class Kind(Enum):
    WORKER_KILLED = "worker killed"
    WORKER_ENDED = "worker ended in order"
    KMSD_KILLED = "kmsd killed"
    HSM_AWAY = "HSM away"
    KEY_DISABLED = "key disabled"


BREAKS_CONNECTIONS = {Kind.WORKER_KILLED, Kind.WORKER_ENDED}
TAKES_KEYS = {Kind.KMSD_KILLED, Kind.HSM_AWAY}


@dataclass(slots=True)
class Spell:
    kind: Kind
    began: float
    ended: float | None = None
    kms_key: str = ""


class Weather:
    def __init__(self) -> None:
        self._spells: list[Spell] = []
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    @contextmanager
    def spell(self, kind: Kind, *, kms_key: str = "") -> Iterator[None]:
        spell = Spell(kind, time.monotonic(), kms_key=kms_key)
        with self._lock:
            self._spells.append(spell)
            self.counts[kind.value] += 1
        try:
            yield
        finally:
            spell.ended = time.monotonic()

    def since(self, moment: float) -> list[Spell]:
        """What there was at any time from `moment` until now."""
        with self._lock:
            spells = list(self._spells)
        return [each for each in spells if each.ended is None or each.ended >= moment]


@dataclass(slots=True)
class Keys:
    """The KMS keys that visitors write with, by visitor; the first one's are disabled and enabled again."""

    kms: Any
    use: Callable[[int, str], None]
    current: list[str]
    rotations: Counter[str] = field(default_factory=Counter)

    def rotate(self, number: int) -> None:
        key = self.current[number]
        if self.rotations[key] == ROTATIONS_OF_A_KEY:
            key = self.current[number] = str(self.kms.create_key()["KeyMetadata"]["Arn"])
            self.use(number, key)
        self.kms.rotate_key_on_demand(KeyId=key)
        self.rotations[key] += 1
        rotated = self.kms.list_key_rotations(KeyId=key)["Rotations"]
        assert len(rotated) == self.rotations[key], (key, rotated)


class Token:
    """The HSM's token: a directory that is there or not."""

    def __init__(self, gateway: Gateway) -> None:
        self._home = gateway.data / "softhsm" / "tokens"
        self._away = Path(f"{gateway.data}.away")

    def take_away(self) -> None:
        self._home.rename(self._away)

    def put_back(self) -> None:
        if self._away.exists():
            self._away.rename(self._home)


class Changes:
    """All that is done to the gateway, one thing after the other. The first worker is never touched: what it holds
    after two hours is what is looked at; nor is kmsd, but for once at the beginning."""

    def __init__(self, gateway: Gateway, weather: Weather, keys: Keys, *, away_seconds: float, seed: int) -> None:
        self._gateway = gateway
        self._weather = weather
        self._keys = keys
        self._away_seconds = away_seconds
        self._random = random.Random(f"{seed} weather")
        self._kms = patient(gateway, "kms")
        self._kept_worker = min(gateway.children("gateway.worker"))
        self._probe = keys.current[0]
        self._turn = 0
        self.problems: list[str] = []
        self._s3 = patient(gateway, "s3")
        self._s3.create_bucket(Bucket="weather")
        sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._probe}
        self._s3.put_object(Bucket="weather", Key="probe", Body=b"probe", **sealed)
        self._cycle: list[Callable[[], None]] = [
            self.rotate,
            self.kill_worker,
            self.disable_key,
            self.rotate,
            self.end_worker,
            *([self.take_hsm_away] if gateway.root == "softhsm" else []),
        ]

    @property
    def kept_worker(self) -> int:
        return self._kept_worker

    def next(self) -> None:
        self._cycle[self._turn % len(self._cycle)]()
        self._turn += 1

    def rotate(self) -> None:
        """Nothing is excused by it."""
        self._keys.rotate(self._weather.counts["key rotated"] % len(self._keys.current))
        self._weather.counts["key rotated"] += 1

    def kill_worker(self) -> None:
        with self._weather.spell(Kind.WORKER_KILLED):
            self._end_a_worker(signal.SIGKILL)

    def end_worker(self) -> None:
        with self._weather.spell(Kind.WORKER_ENDED):
            self._end_a_worker(signal.SIGTERM)

    def _end_a_worker(self, number: signal.Signals) -> None:
        others = [pid for pid in self._gateway.children("gateway.worker") if pid != self._kept_worker]
        victim, opened = self._random.choice(others), self._unsealed()
        os.kill(victim, number)
        wait_until(lambda: victim not in self._gateway.children("gateway.worker"), "the worker is gone", WELL_SECONDS)
        self._wait_until_well()
        # Health is that of any worker; one that starts is sealed for a moment, and stays so while the HSM is away.
        wait_until(lambda: self._unsealed() > opened, "the new worker is unsealed", WELL_SECONDS)

    def _unsealed(self) -> int:
        """How many workers, ever, said that they have their keys."""
        return self._gateway.log_path.read_bytes().count(b"gateway.app: unsealed")

    def kill_kmsd(self) -> None:
        with self._weather.spell(Kind.KMSD_KILLED):
            [victim] = self._gateway.children("kms.daemon")
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: victim not in self._gateway.children("kms.daemon"), "kmsd is gone", WELL_SECONDS)
            self._wait_until_well()

    def take_hsm_away(self) -> None:
        token = Token(self._gateway)
        with self._weather.spell(Kind.HSM_AWAY):
            token.take_away()
            try:
                time.sleep(self._away_seconds)  # so long it is away
            finally:
                token.put_back()
            self._wait_until_well()

    def disable_key(self) -> None:
        """A disabled key opens nothing from the answer on, in any worker; enabled again it does."""
        key = self._probe
        with self._weather.spell(Kind.KEY_DISABLED, kms_key=key):
            self._kms.disable_key(KeyId=key)
            try:
                for _ in range(4):
                    self._expect("KMS.DisabledException")
                time.sleep(self._away_seconds)  # so long it is disabled
                self._expect("KMS.DisabledException")
            finally:
                self._kms.enable_key(KeyId=key)
            self._expect("")

    def _expect(self, code: str) -> None:
        """That the object under the key that is disabled now and then is read, or refused so."""
        self._s3.close()  # the next connection goes to any worker
        found = ""
        try:
            body = self._s3.get_object(Bucket="weather", Key="probe")["Body"].read()
        except ClientError as error:
            found = error.response["Error"]["Code"]
        else:
            assert body == b"probe"
        if found != code:
            self.problems.append(f"an object under a key: {found or 'was read'}, expected {code or 'that it is read'}")

    def _wait_until_well(self) -> None:
        wait_for_children(self._gateway, self._gateway.workers)
        wait_until(lambda: readiness(self._gateway)[0], "it is ready again", WELL_SECONDS)

        def serves_kms() -> bool:
            try:
                self._kms.generate_data_key(KeyId=self._keys.current[-1], KeySpec="AES_256")
            except ClientError:
                return False
            return True

        wait_until(serves_kms, "the KMS serves again", WELL_SECONDS)
