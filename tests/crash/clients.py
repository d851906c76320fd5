"""Clients that write without pause, each to keys of its own, and what they know held against what a gateway has."""

from __future__ import annotations

import functools
import hashlib
import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.crash.model import ALWAYS, Content, Found, Histories, State, Write
from tests.harness import Gateway, wait_until

BUCKETS = {"crash-plain": False, "crash-versions": True}
"""Names, and whether the bucket has versions."""

PART_BYTES = 5 << 20
SIZES = (0, 3_000, 100_000, 300_000)
"""Of bodies, in the index and in files, of one or more pieces."""

KEYS_OF_A_CLIENT = 4
MOST_VERSIONS = 4
"""Of a key, before some are removed."""

MOST_NAMED = {"alias": 10, "bucket": 15, "key": 40, "user": 40}
"""That a client makes of a kind, each of which is looked for after each round; a KMS key may have 50 aliases."""

NAMED_SHARE = 0.04
"""Of what clients do, unless more of it is asked for."""


@functools.lru_cache(maxsize=8)
def _patient(gateway: Gateway, endpoint_url: str, service: str) -> Any:
    return gateway.client(service, read_timeout=60, retries={"total_max_attempts": 12, "mode": "standard"})


def patient(gateway: Gateway, service: str) -> Any:
    """A client that asks again: what was just started is sealed until the key process has opened its root."""
    return _patient(gateway, gateway.endpoint_url, service)


class Moments:
    """Numbers that grow, across all clients. `tell` is told each, before what comes after it happens."""

    def __init__(self, tell: Callable[[int], None] = lambda number: None) -> None:
        self._numbers = itertools.count(1)
        self._tell = tell
        self._lock = threading.Lock()

    def next(self) -> int:
        with self._lock:
            number = next(self._numbers)
            self._tell(number)
            return number


@dataclass(frozen=True, slots=True)
class Plan:
    """A write: what the key holds once it was done, how it is asked for, whether its condition must fail (None: it
    may), which version it removes, and whether anything can be seen of it at all."""

    content: Content
    ask: Callable[[], Any]
    must_fail: bool | None = False
    removed: str | None = None
    is_seen: bool = True


class Client:
    """One writer. Nothing is retried."""

    def __init__(self, gateway: Gateway, bucket: str, name: str, seed: int, kms_key: str, moments: Moments) -> None:
        self._gateway = gateway
        self._bucket = bucket
        self._name = name
        self._random = random.Random(f"{seed} {name}")
        self._kms_key = kms_key
        self._moments = moments
        self._endpoint_url = ""
        self._clients: dict[str, Any] = {}
        self.keys = [f"{name}/{number}" for number in range(KEYS_OF_A_CLIENT)]
        self.states = {key: State() for key in self.keys}
        self.bodies: dict[Content, bytes] = {}
        self.histories = Histories()
        self.told: Counter[str] = Counter()
        self.named_share = NAMED_SHARE

    @property
    def bucket(self) -> str:
        return self._bucket

    def client(self, service: str) -> Any:
        """A gateway that was started again listens elsewhere."""
        if self._endpoint_url != self._gateway.endpoint_url:
            self._endpoint_url = self._gateway.endpoint_url
            self._clients = {each: self._gateway.client(each, read_timeout=60) for each in ("s3", "kms", "iam")}
        return self._clients[service]

    def work(self) -> None:
        """One write, of a random kind, to a random key; now and then something else is made, which has a name."""
        if self._random.random() < self.named_share and self._make_named():
            return
        key = self._random.choice(self.keys)
        plan = self._plan(key)
        write = Write(key, plan.content, self._moments.next(), removed=plan.removed)
        if plan.is_seen:
            self.histories.events.setdefault(key, []).append(write)
        answer = self._ask(write, plan.ask, plan.must_fail)
        if answer is not None:
            write.version = answer.get("VersionId") if BUCKETS[self._bucket] and plan.removed is None else None
        if plan.is_seen:
            self.states[key].apply(write)

    def _ask(
        self, write: Write, ask: Callable[[], Any], must_fail: bool | None = False, *, is_named: bool = False
    ) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = ask()
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if is_named and status >= 500:  # the key process went away: "it may or may not have been done"
                self.told["unanswered"] += 1
                return None
            assert status == 503 or (status in (404, 412) and must_fail is not False), (write, error)
            write.is_refused = True
            self.told["refused" if status == 503 else "failed conditions"] += 1
            write.ended = self._moments.next()
        except BotoCoreError:
            self.told["unanswered"] += 1
        else:
            assert must_fail is not True, write
            self.told["acknowledged"] += 1
            write.ended = self._moments.next()
            return answer
        return None

    def _make_named(self) -> bool:
        """Whether there is room for one more."""
        number = sum(self.told.values())
        name = f"{self._name.replace('/', '-')}-{number}"
        kms, iam = self.client("kms"), self.client("iam")
        asks: dict[str, Callable[[], Any]] = {
            "user": lambda: iam.create_user(UserName=name),
            "key": lambda: kms.create_key(Description=name),
            "alias": lambda: kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=self._kms_key),
            "bucket": lambda: self.client("s3").create_bucket(Bucket=f"named-{name}"),
        }
        made = Counter(each.partition("/")[0] for each in self.histories.named)
        room = [kind for kind, most in MOST_NAMED.items() if made[kind] < most]
        if not room:
            return False
        kind = self._random.choice(room)
        ask = asks[kind]
        write = Write(f"{kind}/{name}", None, self._moments.next())
        self.histories.named[write.key] = write
        answer = self._ask(write, ask, is_named=True)
        if answer is not None and kind == "key":
            write.key = f"key/{answer['KeyMetadata']['KeyId']}"
            self.histories.named[write.key] = self.histories.named.pop(f"{kind}/{name}")
        return True

    def _plan(self, key: str) -> Plan:
        state = self.states[key]
        if len(state.versions) > MOST_VERSIONS:
            return self._remove(key, self._random.choice(list(state.versions)))
        kinds = (self._put, self._upload, self._copy, self._delete, self._create, self._replace, self._update)
        return self._random.choices(kinds, (8, 1, 3, 3, 2, 2, 2))[0](key)

    def _named(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": key}

    @property
    def _encryption(self) -> dict[str, Any]:
        return self._random.choice(
            [
                {"ServerSideEncryption": "AES256"},
                {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._kms_key},
                {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._kms_key, "BucketKeyEnabled": True},
            ]
        )

    def _body(self, size: int) -> tuple[bytes, Content]:
        body = self._random.randbytes(size)
        return body, hashlib.sha256(body).hexdigest()

    def _put(self, key: str, must_fail: bool | None = False, **options: Any) -> Plan:
        body, content = self._body(self._random.choice(SIZES))
        put = {**self._named(key), **self._encryption, **options}
        return Plan(content, lambda: self.client("s3").put_object(Body=body, **put), must_fail)

    def _create(self, key: str) -> Plan:
        current = self.states[key].current
        return self._put(key, None if len(current) > 1 else current != {None}, IfNoneMatch="*")

    def _replace(self, key: str) -> Plan:
        """Under a condition that is never met: nothing may change."""
        if self.states[key].current == {None}:
            return self._put(key)
        return self._put(key, None if None in self.states[key].current else True, IfMatch=f'"{"0" * 32}"')

    def _delete(self, key: str) -> Plan:
        return Plan(None, lambda: self.client("s3").delete_object(**self._named(key)))

    def _remove(self, key: str, version: str) -> Plan:
        removed = {**self._named(key), "VersionId": version}
        return Plan(None, lambda: self.client("s3").delete_object(**removed), removed=version)

    def _copy(self, key: str) -> Plan:
        """Of another key, if it is known what that holds."""
        source = self._random.choice(self.keys)
        current = self.states[source].current
        if source == key or len(current) > 1 or None in current:
            return self._put(key)
        copied = {**self._named(key), **self._encryption, "CopySource": self._named(source)}
        return Plan(next(iter(current)), lambda: self.client("s3").copy_object(**copied))

    def _update(self, key: str) -> Plan:
        """Of the key that opens it: what it holds stays the same, and so do its versions."""
        current = self.states[key].current
        if len(current) > 1 or None in current:
            return self._put(key)
        target = self._named(key)

        def ask() -> dict[str, Any]:
            s3 = self.client("s3")
            mode = {"SSEKMS": {"KMSKeyArn": self._kms_key, "BucketKeyEnabled": self._random.random() < 0.5}}
            s3.update_object_encryption(**target, ObjectEncryption=mode)
            return {}

        return Plan(next(iter(current)), ask, is_seen=False)

    def _upload(self, key: str) -> Plan:
        body, content = self._body(PART_BYTES + 1000)
        encryption = self._encryption

        def ask() -> Any:
            s3, upload = self.client("s3"), self._named(key)
            upload["UploadId"] = s3.create_multipart_upload(**upload, **encryption)["UploadId"]
            done = []
            for number, part in enumerate((body[:PART_BYTES], body[PART_BYTES:]), 1):
                answer = s3.upload_part(**upload, PartNumber=number, Body=part)
                done.append({"PartNumber": number, "ETag": answer["ETag"]})
            return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})

        return Plan(content, ask)


@dataclass(slots=True)
class Workload:
    """Several clients that write while `running`; `at` of `check` is a moment in their past, which the gateway has."""

    gateway: Gateway
    clients: list[Client] = field(default_factory=list)

    @classmethod
    def make(cls, gateway: Gateway, *, clients: int, seed: int, moments: Moments | None = None) -> Workload:
        """On a running gateway without the buckets."""
        s3 = patient(gateway, "s3")
        for bucket, has_versions in BUCKETS.items():
            s3.create_bucket(Bucket=bucket)
            if has_versions:
                s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        kms_key = patient(gateway, "kms").create_key()["KeyMetadata"]["Arn"]
        moments = moments or Moments()
        buckets = itertools.cycle(BUCKETS)
        made = [Client(gateway, next(buckets), f"client-{n}", seed, kms_key, moments) for n in range(clients)]
        return cls(gateway, made)

    @property
    def told(self) -> Counter[str]:
        return sum((client.told for client in self.clients), Counter())

    @contextmanager
    def running(self) -> Iterator[None]:
        """All clients write until the block ends. What a client found wrong is raised then."""
        stopping = threading.Event()

        def work(client: Client) -> None:
            while not stopping.is_set():
                client.work()

        with ThreadPoolExecutor(len(self.clients)) as threads:
            working: list[Future[None]] = [threads.submit(work, client) for client in self.clients]
            try:
                yield
            finally:
                stopping.set()
            for each in working:
                each.result(120)

    def make_named(self, share: float = NAMED_SHARE) -> None:
        """Let so much of what clients do from now on be KMS keys, aliases and users."""
        for client in self.clients:
            client.named_share = share

    def wait_for_acknowledged(self, more: int) -> None:
        target = self.told["acknowledged"] + more
        wait_until(lambda: self.told["acknowledged"] >= target, f"{more} more writes were acknowledged", 60)

    def check(self, gateway: Gateway | None = None, at: int = ALWAYS - 1) -> list[str]:
        """What is wrong with what `gateway` has, which nobody writes to: what was acknowledged and is not there, what
        nobody wrote, what cannot be read whole. Without `gateway` the clients go on from what was found."""
        asked = gateway or self.gateway
        problems = _problems_of_named(asked, self.clients, at)
        s3 = patient(asked, "s3")
        for bucket, has_versions in BUCKETS.items():
            try:
                found = _found(s3, bucket, has_versions, problems)
            except ClientError as error:
                problems.append(f"{bucket} cannot be listed: {error}")
                continue
            for client in self.clients:
                if client.bucket != bucket:
                    continue
                for key in client.keys:
                    current, versions = found.pop(key, (None, {}))
                    state = client.states[key] if gateway is None else client.histories.state(key, at)
                    for problem in state.problems(current, versions, has_versions=has_versions):
                        problems.append(f"{bucket}/{key} {problem}")
                    if gateway is None:
                        state.apply(Found(key, current, versions))
                        client.histories.events[key] = [Found(key, current, versions)]
            problems += [f"{bucket}/{key} is there, and nobody wrote it" for key in found]
        return problems


def _found(
    s3: Any, bucket: str, has_versions: bool, problems: list[str]
) -> dict[str, tuple[Content, dict[str, Content]]]:
    """Of each key what it holds, and its versions by their ids."""
    if not has_versions:
        listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {each["Key"]: (_read(s3, bucket, each, problems), {}) for each in listed}
    found: dict[str, tuple[Content, dict[str, Content]]] = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        rows = [(each, False) for each in page.get("Versions", [])]
        rows += [(each, True) for each in page.get("DeleteMarkers", [])]
        for each, is_marker in rows:
            content = None if is_marker else _read(s3, bucket, each, problems, VersionId=each["VersionId"])
            versions = found.setdefault(each["Key"], (None, {}))[1]
            versions[each["VersionId"]] = content
            if each["IsLatest"]:
                found[each["Key"]] = (content, versions)
    return found


def _read(s3: Any, bucket: str, listed: Any, problems: list[str], **version: str) -> Content:
    try:
        body = s3.get_object(Bucket=bucket, Key=listed["Key"], **version)["Body"].read()
    except (ClientError, BotoCoreError) as error:
        problems.append(f"{bucket}/{listed['Key']} cannot be read: {error}")
        return "unreadable"
    if len(body) != listed["Size"]:
        problems.append(f"{bucket}/{listed['Key']} has {len(body)} bytes and is listed with {listed['Size']}")
    return hashlib.sha256(body).hexdigest()


def _problems_of_named(gateway: Gateway, clients: list[Client], at: int) -> list[str]:
    kms, iam = patient(gateway, "kms"), patient(gateway, "iam")
    there = {f"key/{each['KeyId']}" for page in kms.get_paginator("list_keys").paginate() for each in page["Keys"]}
    for page in kms.get_paginator("list_aliases").paginate():
        there |= {each["AliasName"] for each in page["Aliases"]}
    for page in iam.get_paginator("list_users").paginate():
        there |= {f"user/{each['UserName']}" for each in page["Users"]}
    named = (each["Name"].removeprefix("named-") for each in patient(gateway, "s3").list_buckets()["Buckets"])
    there |= {f"bucket/{each}" for each in named}
    return [f"{name} is lost" for each in clients for name in each.histories.must_exist(at) if name not in there]
