"""What GenerateDataKey and Decrypt cost: at the KeyService interface, over kmsd's socket, and over HTTP with SigV4.

    python -m bench.kms_calls [--seconds 3] [--calls 64]

Starts a gateway with one worker and a token (SoftHSM2 where it is installed) in a scratch directory, and stops it. Each
figure is given as operations a second on the wall clock, with `--calls` under way at once, and as CPU microseconds of
the process that does the work: on a busy machine the second is the one to trust. Its reciprocal is what one core would
serve if it did nothing else. Budgets: design, section 8.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from iam.principals import Caller, root_principal
from kms.api import types as t
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService
from kms.client import KMSClient
from kms.epoch import MemoryEpoch
from kms.hsm.check_value import make_check_value
from kms.hsm.file_root import FileRoot
from kms.service.core import ServiceSettings
from kms.service.initialise import initialise_key_store
from kms.service.service import EmbeddedKeyService
from kms.store.sqlite import SQLiteKeyStore
from tests.clients.raw import RawClient
from tests.harness import REGION, Gateway

CONTEXT = {"aws:s3:arn": "arn:aws:s3:::bucket/some/object/key"}
CALLER = Caller(root_principal("111122223333"), "B" * 16, "127.0.0.1")

Action = Callable[[], Awaitable[object]]
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    per_second: float
    cpu_us: dict[str, float]

    def line(self) -> str:
        spent = ", ".join(f"{process} {us:6.0f} us" for process, us in self.cpu_us.items())
        return f"{self.name:44} {self.per_second:9.0f}/s   CPU: {spent}"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


async def measure(name: str, action: Action, *, seconds: float, calls: int, processes: dict[str, int]) -> Result:
    """Run `action` with `calls` under way for `seconds`."""
    for _ in range(3):
        await asyncio.gather(*(action() for _ in range(calls)))
    before = {process: cpu_seconds(pid) for process, pid in processes.items()}
    start = time.perf_counter()
    done = 0

    async def lane() -> None:
        nonlocal done
        while time.perf_counter() - start < seconds:
            await action()
            done += 1

    await asyncio.gather(*(lane() for _ in range(calls)))
    elapsed = time.perf_counter() - start
    spent = {process: (cpu_seconds(pid) - before[process]) / done * 1e6 for process, pid in processes.items()}
    return Result(name, done / elapsed, spent)


async def operations(service: KeyService, caller: Caller) -> dict[str, Action]:
    key = await service.call(caller, t.CreateKey())
    made = await service.call(caller, t.GenerateDataKey(key.key_arn, 32, CONTEXT))
    wanted = t.GenerateDataKey(key.key_arn, 32, CONTEXT)
    opened = t.Decrypt(made.ciphertext.ciphertext_blob, key.key_arn, CONTEXT)
    return {
        "GenerateDataKey": lambda: service.call(caller, wanted),
        "Decrypt": lambda: service.call(caller, opened),
    }


def new_root(directory: Path) -> FileRoot:
    passphrase = SecretBytes(b"for a benchmark")
    FileRoot.create(directory / "root", passphrase=passphrase)
    return FileRoot.open(directory / "root", passphrase=passphrase)


def new_key_store(directory: Path, root: FileRoot) -> SQLiteKeyStore:
    path = directory / "keys.sqlite"
    initialise_key_store(path, root, region=REGION, check_value=make_check_value(root))
    return SQLiteKeyStore(path)


async def in_process(directory: Path, seconds: float, calls: int) -> list[Result]:
    root = new_root(directory)
    store = new_key_store(directory, root)
    async with EmbeddedKeyService(store, root, MemoryEpoch(), ServiceSettings(REGION)) as service:
        results = [
            await measure(f"KeyService {name}", action, seconds=seconds, calls=calls, processes={"self": os.getpid()})
            for name, action in (await operations(service, CALLER)).items()
        ]
    root.close()
    store.close()
    return results


async def over_the_socket(gateway: Gateway, seconds: float, calls: int) -> list[Result]:
    [kmsd] = gateway.children("kms.daemon")
    client = KMSClient(gateway.data / "run" / "kms.sock")
    processes = {"kmsd": kmsd, "client": os.getpid()}
    results = [
        await measure(f"kmsd socket {name}", action, seconds=seconds, calls=calls, processes=processes)
        for name, action in (await operations(client, CALLER)).items()
    ]
    await client.close()
    return results


class Lane:
    """A kept-alive connection that sends a request made beforehand; it reads no more of the answer than it must."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> bytes:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(body.decode(errors="replace"))
        return body

    def close(self) -> None:
        self._writer.close()


def signed_request(raw: RawClient, operation: str, document: dict[str, object]) -> bytes:
    body = json.dumps(document).encode()
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"TrentService.{operation}"}
    signed = raw.sign_body("POST", "/", headers, body, service="kms")
    lines = [f"{name}: {value}" for name, value in {**signed.headers, "content-length": str(len(body))}.items()]
    return "\r\n".join(["POST / HTTP/1.1", *lines, "", ""]).encode() + body


async def over_http(gateway: Gateway, seconds: float, calls: int) -> list[Result]:
    [worker], [kmsd] = gateway.children("gateway.worker"), gateway.children("kms.daemon")
    raw = RawClient(gateway)
    lanes = [Lane(*await asyncio.open_connection(*raw.address)) for _ in range(calls)]
    free = list(lanes)
    key = json.loads(await lanes[0].ask(signed_request(raw, "CreateKey", {})))["KeyMetadata"]["Arn"]
    wanted = {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": CONTEXT}
    generate = signed_request(raw, "GenerateDataKey", wanted)
    blob = json.loads(await lanes[0].ask(generate))["CiphertextBlob"]
    decrypt = signed_request(raw, "Decrypt", {"KeyId": key, "CiphertextBlob": blob, "EncryptionContext": CONTEXT})
    assert len(base64.b64decode(blob)) > 100

    async def ask(request: bytes) -> None:
        lane = free.pop()
        try:
            await lane.ask(request)
        finally:
            free.append(lane)

    processes = {"worker": worker, "kmsd": kmsd}
    results = []
    for name, request in (("GenerateDataKey", generate), ("Decrypt", decrypt)):
        action = lambda request=request: ask(request)  # noqa: E731 - binds this turn's request
        results.append(await measure(f"HTTP {name}", action, seconds=seconds, calls=calls, processes=processes))
    for lane in lanes:
        lane.close()
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each figure is measured")
    parser.add_argument("--calls", type=int, default=64, help="calls under way at once")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        results = asyncio.run(in_process(directory, asked.seconds, asked.calls))
        gateway = Gateway(directory / "data").init().start()
        try:
            results += asyncio.run(over_the_socket(gateway, asked.seconds, asked.calls))
            results += asyncio.run(over_http(gateway, asked.seconds, asked.calls))
        finally:
            gateway.stop()
    for result in results:
        print(result.line())


if __name__ == "__main__":
    main()
