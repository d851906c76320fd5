"""Clients that write without pause, each to keys of its own, and what they know held against what a gateway has."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.crash.model import EXPIRING, Content, Found, Histories, Write, new_state
from tests.harness import Gateway, wait_until

BUCKETS = {"crash-plain": False, "crash-versions": True}
"""Names, and whether the bucket has versions."""

PART_BYTES = 5 << 20
SIZES = (0, 3_000, 100_000, 300_000)
"""Of bodies, in the index and in files, of one or more pieces."""

KEYS_OF_A_CLIENT = 4
MOST_VERSIONS = 4
"""Of a key, before some are removed."""

NAMES_OF_A_CLIENT = 2
"""Of users, aliases, empty buckets and KMS keys each. All but keys come and go; keys change their descriptions."""

NAMED_SHARE = 0.08
"""Of a client's writes, those to things with names."""

THERE = "there"
"""What a user, an alias or an empty bucket holds."""

READERS = 4
SETTLING = "settling"


@functools.lru_cache(maxsize=8)
def _patient(gateway: Gateway, endpoint_url: str, service: str) -> Any:
    return gateway.client(service, read_timeout=60, retries={"total_max_attempts": 12, "mode": "standard"})


def patient(gateway: Gateway, service: str) -> Any:
    """A client that asks again: what was just started is sealed until the key process has opened its root."""
    return _patient(gateway, gateway.endpoint_url, service)


class Services:
    """Clients of a gateway, which all threads share. One that was started again listens elsewhere."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._endpoint_url = ""
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()

    def of(self, service: str) -> Any:
        """Nothing is retried."""
        with self._lock:
            if self._endpoint_url != self._gateway.endpoint_url:
                self._endpoint_url = self._gateway.endpoint_url
                self._made = {}
            if service not in self._made:
                self._made[service] = self._gateway.client(service, read_timeout=60)
            return self._made[service]

    def patient(self, service: str) -> Any:
        return patient(self._gateway, service)

    def wait_until_open(self) -> None:
        """That keys can be used: a look now and then is cheaper than a retry that backs off."""

        def is_open() -> bool:
            try:
                self.of("kms").list_keys(Limit=1)
            except (ClientError, BotoCoreError):
                return False
            return True

        wait_until(is_open, "keys can be used", 120)


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
    """One writer. Nothing is retried. `touched`: keys that were written to, or other names, since they were read.
    `may_expire`: one of its keys may."""

    def __init__(
        self,
        services: Services,
        bucket: str,
        name: str,
        seed: int,
        kms_keys: Sequence[str],
        moments: Moments,
        *,
        may_expire: bool = False,
    ) -> None:
        self._services = services
        self._bucket = bucket
        self._name = name
        self._random = random.Random(f"{seed} {name}")
        self._kms_keys = kms_keys
        self._moments = moments
        self.named_share = NAMED_SHARE
        self.keys = [f"{name}/{number}" for number in range(KEYS_OF_A_CLIENT)]
        if may_expire:
            self.keys.append(f"{EXPIRING}{name}")
        self.states = {key: new_state(key) for key in self.keys}
        self.histories = Histories()
        self.named = Histories()
        self.touched: set[str] = set()
        self.told: Counter[str] = Counter()

    @property
    def bucket(self) -> str:
        return self._bucket

    def client(self, service: str) -> Any:
        return self._services.of(service)

    @property
    def _kms_key(self) -> str:
        return self._random.choice(self._kms_keys)

    def work(self) -> None:
        """One write, of a random kind, to a random key; now and then to something else that has a name."""
        if self._random.random() < self.named_share:
            self._write_named()
            return
        key = self._random.choice(self.keys)
        plan = self._plan(key)
        self.touched.add(key)
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
            expected = (400, 404, 409) if is_named else (404, 412)
            assert status == 503 or (status in expected and must_fail is not False), (write, error)
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

    def _write_named(self) -> None:
        """A user, an alias or an empty bucket comes or goes; a KMS key is made, or described otherwise."""
        kind = self._random.choice(("user", "alias", "key", "bucket"))
        keys = [name for name in self.named.events if name.startswith("key/")]
        if kind == "key" and len(keys) < NAMES_OF_A_CLIENT:
            self._make_key()
            return
        number = self._random.randrange(NAMES_OF_A_CLIENT)
        name = keys[number] if kind == "key" else f"{kind}/{self._name}-{number}"
        current = self.named.state(name).current
        content: Content
        if kind == "key":
            content = self._random.randbytes(8).hex()
        else:
            content = THERE if current == {None} or (len(current) > 1 and self._random.random() < 0.5) else None
        write = Write(name, content, self._moments.next())
        self.named.events.setdefault(name, []).append(write)
        self.touched.add(name)
        self._ask(
            write,
            functools.partial(self._named_call, name, content),
            None if len(current) > 1 else False,
            is_named=True,
        )

    def _named_call(self, name: str, content: Content) -> dict[str, Any]:
        kms, iam = self.client("kms"), self.client("iam")
        kind, _, own = name.partition("/")
        if kind == "key":
            return dict(kms.update_key_description(KeyId=own, Description=content))
        if kind == "user":
            return dict(iam.delete_user(UserName=own) if content is None else iam.create_user(UserName=own))
        if kind == "bucket":
            s3, named = self.client("s3"), {"Bucket": f"named-{own}"}
            return dict(s3.delete_bucket(**named) if content is None else s3.create_bucket(**named))
        if content is None:
            return dict(kms.delete_alias(AliasName=name))
        return dict(kms.create_alias(AliasName=name, TargetKeyId=self._kms_key))

    def _make_key(self) -> None:
        """Nobody knows the name of one that was not answered."""
        description = self._random.randbytes(8).hex()
        write = Write("key/unknown", description, self._moments.next())
        answer = self._ask(write, lambda: self.client("kms").create_key(Description=description), is_named=True)
        if answer is not None:
            write.key = f"key/{answer['KeyMetadata']['KeyId']}"
            self.named.events[write.key] = [write]
            self.touched.add(write.key)

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

        return Plan(content, ask, None if self.states[key].may_expire else False)


@dataclass(slots=True)
class Workload:
    """Several clients that write while `running`; `at` of `check` is a moment in their past, which the gateway has."""

    services: Services
    kms_keys: list[str]
    clients: list[Client] = field(default_factory=list)
    settled: int = 0
    read: Bodies = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        gateway: Gateway,
        *,
        clients: int,
        seed: int,
        moments: Moments | None = None,
        may_expire: bool = False,
    ) -> Workload:
        """On a running gateway without the buckets. `may_expire`: each client has a key of which it may."""
        services = Services(gateway)
        services.wait_until_open()
        s3 = services.patient("s3")
        for bucket, has_versions in BUCKETS.items():
            s3.create_bucket(Bucket=bucket)
            if has_versions:
                s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        kms = services.patient("kms")
        kms_keys = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
        services.patient("iam").create_user(UserName=SETTLING)
        moments = moments or Moments()
        buckets = itertools.cycle(BUCKETS)
        made = [
            Client(services, next(buckets), f"client-{n}", seed, kms_keys, moments, may_expire=may_expire)
            for n in range(clients)
        ]
        return cls(services, kms_keys, made)

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

    def wait_for_acknowledged(self, more: int) -> None:
        target = self.told["acknowledged"] + more
        wait_until(lambda: self.told["acknowledged"] >= target, f"{more} more writes were acknowledged", 60)

    def check(self, *, everything: bool = True) -> list[str]:
        """What is wrong with what the gateway has, which nobody writes to: what was acknowledged and is not there, what
        nobody wrote, what cannot be read whole. The clients go on from what was found.

        Without `everything` the bodies of those keys are read that were written to since they were read last; that
        the others are listed as they were is looked at all the same.
        """
        self._settle()
        touched = set().union(*(client.touched for client in self.clients))
        if everything:
            self.read.clear()
        for where in [each for each in self.read if each[1] in touched]:
            del self.read[where]
        problems, found = self._look(self.services, self.read)
        for client in self.clients:
            named = found[""]
            for key in client.keys:
                current, versions = found[client.bucket].pop(key, (None, {}))
                has_versions = BUCKETS[client.bucket]
                told = client.states[key].problems(current, versions, has_versions=has_versions)
                problems += [f"{client.bucket}/{key} {problem}" for problem in told]
                client.states[key].apply(Found(key, current, versions))
                client.histories.events[key] = [Found(key, current, versions)]
            for name in client.named.events:
                current, _ = named.pop(name, (None, {}))
                told = client.named.state(name).problems(current, {}, has_versions=False)
                problems += [f"{name} {problem}" for problem in told]
                client.named.events[name] = [Found(name, current, {})]
            client.touched.clear()
        return problems + _made_by_nobody(found)

    def _settle(self) -> None:
        """One commit to each store. Until then a write without an answer may be nowhere to be seen and yet come true:
        a process that dies after SQLite synced its commit and before it told the others leaves it to the next commit,
        which takes its place, or to the next one who recovers the file, when all are gone (docs/durability.md)."""
        self.settled += 1
        policy = {"Effect": "Deny", "Action": f"s3:Get{self.settled}*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
        self.services.patient("iam").put_user_policy(UserName=SETTLING, PolicyName="p", PolicyDocument=document)
        self.services.patient("kms").update_key_description(KeyId=self.kms_keys[0], Description=f"{self.settled}")
        tagging = {"TagSet": [{"Key": SETTLING, "Value": f"{self.settled}"}]}
        self.services.patient("s3").put_bucket_tagging(Bucket=next(iter(BUCKETS)), Tagging=tagging)

    def check_past(self, gateway: Gateway, at: int) -> list[str]:
        """The same of `gateway`, which has what this one had at the moment `at`. No client learns of it."""
        services = Services(gateway)
        services.wait_until_open()
        problems, found = self._look(services, {})
        for client in self.clients:
            for key in client.keys:
                current, versions = found[client.bucket].pop(key, (None, {}))
                told = client.histories.state(key, at).problems(current, versions, has_versions=BUCKETS[client.bucket])
                problems += [f"{client.bucket}/{key} {problem}" for problem in told]
            for name in client.named.events:
                current, _ = found[""].pop(name, (None, {}))
                told = client.named.state(name, at).problems(current, {}, has_versions=False)
                problems += [f"{name} {problem}" for problem in told]
        return problems + _made_by_nobody(found)

    def _look(self, services: Services, read: Bodies) -> tuple[list[str], dict[str, Contents]]:
        problems: list[str] = []
        found: dict[str, Contents] = {}
        s3 = services.patient("s3")
        for bucket, has_versions in BUCKETS.items():
            try:
                found[bucket] = _found(s3, bucket, has_versions, read, problems)
            except ClientError as error:
                problems.append(f"{bucket} cannot be listed: {error}")
                found[bucket] = {}
        found[""] = _named_contents(services, set().union(*(client.named.events for client in self.clients)))
        return problems, found


Contents = dict[str, tuple[Content, dict[str, Content]]]
"""Of each key what it holds, and its versions by their ids."""

Bodies = dict[tuple[str, str, str], tuple[tuple[Any, ...], Content]]
"""What was read of a bucket, key and version id, and how it was listed then."""


def _made_by_nobody(found: dict[str, Contents]) -> list[str]:
    return [
        f"{bucket}/{key} is there, and nobody wrote it"
        for bucket, keys in found.items()
        for key, (current, versions) in keys.items()
        if current is not None or versions
    ]


def _found(s3: Any, bucket: str, has_versions: bool, read: Bodies, problems: list[str]) -> Contents:
    """What `read` has of versions that are listed as they were then is not read again."""
    rows: list[dict[str, Any]] = []
    markers: list[dict[str, Any]] = []
    if has_versions:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            rows += page.get("Versions", [])
            markers += page.get("DeleteMarkers", [])
    else:
        rows = [{**each, "IsLatest": True} for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    contents: dict[tuple[str, str], Content] = {(each["Key"], each["VersionId"]): None for each in markers}
    expired: set[tuple[str, str]] = set()

    def content(row: dict[str, Any]) -> Content:
        where = bucket, row["Key"], row.get("VersionId", "")
        listed = row["ETag"], row["Size"], row["LastModified"]
        if where not in read or read[where][0] != listed:
            try:
                read[where] = listed, _read(s3, bucket, row, problems)
            except _Expired:
                expired.add(where[1:])
                return None
        return read[where][1]

    with ThreadPoolExecutor(READERS) as readers:
        named = [(row["Key"], row.get("VersionId", "")) for row in rows]
        contents.update(zip(named, readers.map(content, rows), strict=True))
    found: Contents = {}
    for row in rows + markers:
        key, version = row["Key"], row.get("VersionId", "")
        if (key, version) in expired:
            continue
        current, versions = found.get(key, (None, {}))
        if has_versions:
            versions[version] = contents[key, version]
        found[key] = (contents[key, version] if row["IsLatest"] else current, versions)
    return found


class _Expired(Exception):
    """What was listed has gone since, as it may."""


def _read(s3: Any, bucket: str, listed: Any, problems: list[str]) -> Content:
    """Raises _Expired."""
    version = {"VersionId": listed["VersionId"]} if "VersionId" in listed else {}
    try:
        body = s3.get_object(Bucket=bucket, Key=listed["Key"], **version)["Body"].read()
    except (ClientError, BotoCoreError) as error:
        is_gone = isinstance(error, ClientError) and error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        if is_gone and listed["Key"].startswith(EXPIRING):
            raise _Expired from error
        problems.append(f"{bucket}/{listed['Key']} cannot be read: {error}")
        return "unreadable"
    if len(body) != listed["Size"]:
        problems.append(f"{bucket}/{listed['Key']} has {len(body)} bytes and is listed with {listed['Size']}")
    return hashlib.sha256(body).hexdigest()


def _named_contents(services: Services, known: set[str]) -> Contents:
    """Of KMS keys those that are `known`, of the rest what clients make."""
    kms, iam = services.patient("kms"), services.patient("iam")
    found: dict[str, Content] = {}
    for page in kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 1000}):
        for each in page["Keys"]:
            if (name := f"key/{each['KeyId']}") in known:
                found[name] = kms.describe_key(KeyId=each["KeyId"])["KeyMetadata"]["Description"]
    for page in kms.get_paginator("list_aliases").paginate():
        found |= {each["AliasName"]: THERE for each in page["Aliases"] if each["AliasName"].startswith("alias/client-")}
    for page in iam.get_paginator("list_users").paginate():
        found |= {f"user/{each['UserName']}": THERE for each in page["Users"] if each["UserName"].startswith("client-")}
    for each in services.patient("s3").list_buckets()["Buckets"]:
        kind, _, name = each["Name"].partition("-")
        if kind == "named":
            found[f"bucket/{name}"] = THERE
    return {name: (content, {}) for name, content in found.items()}
