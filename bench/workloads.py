"""What is asked of an endpoint: families of cases, each a list of requests for one run.

The order of the cases matters: what one wrote is what the next ones read, and the last deletes it.
"""

from __future__ import annotations

import itertools
import json
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import quote

from bench.endpoint import prepare
from bench.load import STALL_SECONDS, Prepared, Refused, drive
from tests.clients.raw import RawClient, canonical_query

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
LARGE_PIECE = os.urandom(MIB)
FOLDERS = 200
PAGE_KEYS = 1000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each: requests a run, clients at once, keys in the bucket that is listed, bytes of large objects."""

    operations: int = 4000
    clients: int = 32
    keys: int = 10_000
    large_bytes: int = GIB // 4
    body_bytes: int = 4 * KIB


@dataclass(frozen=True, slots=True)
class Case:
    """`requests` makes those of one run, given its number. `body_bytes`: what each moves, where that is the point."""

    name: str
    requests: Callable[[int], list[Prepared]]
    clients: int
    body_bytes: int = 0


Family = Callable[["Bench"], Iterator[Case]]


class Bench:
    """Cases against one endpoint, in buckets of their own."""

    def __init__(self, raw: RawClient, sizes: Sizes, sse: dict[str, str], status_of_delete: int = 204) -> None:
        """`sse`: headers of every PUT."""
        self.raw = raw
        self.sizes = sizes
        self.sse = sse
        self.bucket = f"bench-{os.urandom(6).hex()}"
        self.status_of_delete = status_of_delete

    def at_once(self, requests: list[Prepared], clients: int = 32) -> None:
        """Send what is not measured."""
        drive(self.raw.address, requests, clients)

    def make_bucket(self, name: str) -> None:
        self.at_once([prepare(self.raw, "PUT", f"/{name}")])

    def fill(self, name: str, keys: Sequence[str]) -> None:
        """Empty objects. The first alone in each folder, for those that keep folders."""
        put = [prepare(self.raw, "PUT", f"/{name}/{key}", headers=self.sse) for key in keys[:FOLDERS]]
        self.at_once(put, 1)
        for start in range(FOLDERS, len(keys), 10_000):
            self.at_once(
                [prepare(self.raw, "PUT", f"/{name}/{key}", headers=self.sse) for key in keys[start:][:10_000]]
            )

    def put(self, key: str, body: bytes, *, repeat: int = 0, is_signed: bool = False) -> Prepared:
        target = f"/{self.bucket}/{key}"
        return prepare(self.raw, "PUT", target, headers=self.sse, body=body, repeat=repeat, is_signed=is_signed)

    def get(self, key: str, first: int | None = None, length: int = 0) -> Prepared:
        if first is None:
            return prepare(self.raw, "GET", f"/{self.bucket}/{key}")
        headers = {"range": f"bytes={first}-{first + length - 1}"}
        return prepare(self.raw, "GET", f"/{self.bucket}/{key}", headers=headers, status=206)

    def expect(self, element: bytes, count: int, bucket: str, parameters: dict[str, str]) -> None:
        """Raises Refused where a listing holds another number of `element`: pages of less cost less."""
        target = _listing_target(bucket, parameters)
        with closing(HTTPConnection(*self.raw.address, timeout=STALL_SECONDS)) as connection:
            connection.request("GET", target, headers=self.raw.sign("GET", target).headers)
            found = connection.getresponse().read().count(element)
        if found != count:
            raise Refused(f"a page of {found}, not {count}")

    def listing(self, bucket: str, **parameters: str) -> Prepared:
        return prepare(self.raw, "GET", _listing_target(bucket, parameters))


def _listing_target(bucket: str, parameters: Mapping[str, str]) -> str:
    query = canonical_query("&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items()))
    return f"/{bucket}?{query}"


def small(bench: Bench) -> Iterator[Case]:
    """PUT, GET, HEAD and DELETE of small objects, each signed, PUT with the digest of its body."""
    sizes = bench.sizes
    body = os.urandom(sizes.body_bytes)
    keys = [f"small/{number:07}" for number in range(sizes.operations)]
    size = f"{sizes.body_bytes // KIB} KiB"

    def puts(run: int) -> list[Prepared]:
        # Alone, so that who keeps a folder for each prefix has it (rclone fails where several requests make one).
        bench.at_once([bench.put(f"{run}/small/first", body)])
        return [bench.put(f"{run}/{key}", body, is_signed=True) for key in keys]

    def deletes(run: int) -> list[Prepared]:
        status = bench.status_of_delete
        return [prepare(bench.raw, "DELETE", f"/{bench.bucket}/{run}/{key}", status=status) for key in keys]

    def gets(_run: int) -> list[Prepared]:
        return [bench.get(f"0/{key}") for key in keys]

    def heads(_run: int) -> list[Prepared]:
        return [prepare(bench.raw, "HEAD", f"/{bench.bucket}/0/{key}") for key in keys]

    yield Case(f"PUT {size}", puts, sizes.clients)
    yield Case(f"GET {size}", gets, sizes.clients)
    yield Case(f"GET {size}, one client", lambda run: gets(run)[: sizes.operations // 4], 1)
    yield Case("HEAD", heads, sizes.clients)
    yield Case("mixed", lambda run: _mixed(bench, run, keys, body), sizes.clients)
    yield Case("DELETE", deletes, sizes.clients)


def _mixed(bench: Bench, run: int, keys: list[str], body: bytes) -> list[Prepared]:
    """Seven in ten read, two write over what is there, and one asks for a head or a page of 100 keys."""
    chance = random.Random(run)  # the same mix for every endpoint
    makers = [
        *[lambda key: bench.get(f"0/{key}")] * 14,
        *[lambda key: bench.put(f"0/{key}", body, is_signed=True)] * 4,
        lambda key: prepare(bench.raw, "HEAD", f"/{bench.bucket}/0/{key}"),
        lambda key: bench.listing(bench.bucket, **{"list-type": "2", "max-keys": "100", "start-after": f"0/{key}"}),
    ]
    return [chance.choice(makers)(chance.choice(keys)) for _ in range(len(keys))]


def listing(bench: Bench) -> Iterator[Case]:
    """In a bucket of many keys: pages of 1000 from anywhere, its folders, reads of any key, new keys between."""
    sizes = bench.sizes
    body = os.urandom(sizes.body_bytes)
    pages = max(10, sizes.operations // 40)
    name = f"{bench.bucket}-list"
    bench.make_bucket(name)
    keys = [f"folder-{number % FOLDERS:03}/key-{number:08}" for number in range(sizes.keys)]
    bench.fill(name, keys)
    starts = sorted(keys)[: max(1, len(keys) - PAGE_KEYS)]  # that a whole page comes after

    def page(after: str) -> dict[str, str]:
        return {"list-type": "2", "max-keys": str(PAGE_KEYS), "start-after": after}

    def flat(run: int) -> list[Prepared]:
        chance = random.Random(run)
        bench.expect(b"<Key>", min(PAGE_KEYS, len(keys) - 1), name, page(starts[0]))
        return [bench.listing(name, **page(chance.choice(starts))) for _ in range(pages)]

    def folders(_run: int) -> list[Prepared]:
        whole = {"list-type": "2", "delimiter": "/"}
        bench.expect(b"<CommonPrefixes>", min(FOLDERS, len(keys)), name, whole)
        return [bench.listing(name, **whole)] * pages

    def any_key(run: int) -> list[str]:
        chance = random.Random(run)
        return [chance.choice(keys) for _ in range(sizes.operations)]

    def gets(run: int) -> list[Prepared]:
        return [prepare(bench.raw, "GET", f"/{name}/{key}") for key in any_key(run)]

    def puts(run: int) -> list[Prepared]:
        return [
            prepare(bench.raw, "PUT", f"/{name}/{key}+{run}", headers=bench.sse, body=body, is_signed=True)
            for key in dict.fromkeys(any_key(run))
        ]

    yield Case(f"LIST {PAGE_KEYS}", flat, 4)
    yield Case(f"LIST {min(FOLDERS, sizes.keys)} folders", folders, 4)
    yield Case("GET of any key, empty", gets, sizes.clients)
    yield Case(f"PUT {sizes.body_bytes // KIB} KiB between them", puts, sizes.clients)


def large(bench: Bench) -> Iterator[Case]:
    """Whole large objects, in one request, alone and four at once; ranges of one."""
    total = bench.sizes.large_bytes
    repeat = total // MIB
    size = f"{repeat} MiB"
    every = itertools.count()

    def puts(count: int, *, is_signed: bool = False) -> list[Prepared]:
        return [
            bench.put(f"large/{next(every) % 4}", LARGE_PIECE, repeat=repeat, is_signed=is_signed) for _ in range(count)
        ]

    def ranges(run: int, length: int, count: int) -> list[Prepared]:
        chance = random.Random(run)
        return [bench.get("large/0", chance.randrange(total - length), length) for _ in range(count)]

    yield Case(f"PUT {size}", lambda _: puts(1), 1, total)
    yield Case(f"PUT {size}, signed payload", lambda _: puts(1, is_signed=True), 1, total)
    yield Case(f"PUT {size}, 4 at once", lambda _: puts(4), 4, total)
    yield Case(f"GET {size}", lambda _: [bench.get("large/0")], 1, total)
    yield Case(f"GET {size}, 4 at once", lambda _: [bench.get(f"large/{each}") for each in range(4)], 4, total)
    yield Case(f"ranges of 1 MiB of {size}", lambda run: ranges(run, MIB, 256), 4, MIB)
    yield Case(f"ranges of 4 KiB of {size}", lambda run: ranges(run, 4 * KIB, bench.sizes.operations // 4), 4)


def kms(bench: Bench) -> Iterator[Case]:
    """Data keys made and opened over HTTP; for endpoints that are a KMS, too."""
    context = {"aws:s3:arn": "arn:aws:s3:::bucket/some/object/key"}

    def asked(operation: str, document: dict[str, object]) -> Prepared:
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"TrentService.{operation}"}
        body = json.dumps(document).encode()
        return prepare(bench.raw, "POST", "/", headers=headers, body=body, is_signed=True, service="kms")

    def answer(operation: str, document: dict[str, object]) -> dict[str, str]:
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"TrentService.{operation}"}
        answered = bench.raw.request("POST", "/", headers, json.dumps(document).encode(), service="kms")
        found: dict[str, str] = json.loads(answered.body)
        return found

    key = answer("CreateKey", {})["KeyMetadata"]["Arn"]  # type: ignore[index]
    wanted: dict[str, object] = {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context}
    blob = answer("GenerateDataKey", wanted)["CiphertextBlob"]
    opened: dict[str, object] = {"KeyId": key, "CiphertextBlob": blob, "EncryptionContext": context}
    count, clients = bench.sizes.operations, bench.sizes.clients
    yield Case("KMS GenerateDataKey", lambda _: [asked("GenerateDataKey", wanted)] * count, clients)
    yield Case("KMS Decrypt", lambda _: [asked("Decrypt", opened)] * count, clients)


FAMILIES: dict[str, Family] = {"small": small, "listing": listing, "large": large, "kms": kms}
