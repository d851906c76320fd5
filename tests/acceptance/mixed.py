"""Clients that ask for everything about objects, in every mode, and know what each answer must be.

Each has keys of its own, so that it knows what they hold; nothing is retried. While something is away, `refusing` are
the modes whose keys cannot be had: a request that needs one of them is refused with 503, and has changed nothing; any
other must succeed.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.clients.access import take_customer_keys
from tests.harness import Gateway
from tests.properties.encryption import BUCKET_KEY, CUSTOMERS, MODES

SIZES = (0, 700, 40_000)
"""Of bodies, in the index and in files."""

KEYS_OF_A_CLIENT = 12
UPDATABLE = ("AES256", "aws:kms", BUCKET_KEY)
"""Modes from which UpdateObjectEncryption goes; it goes to the latter two."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A request: which modes' keys it needs, and what holds once it was answered."""

    name: str
    needs: Set[str]
    ask: Callable[[], Any]
    after: Callable[[Any], None]


@dataclass(slots=True)
class Object:
    mode: str
    body: bytes


@dataclass(slots=True)
class Upload:
    key: str
    upload_id: str
    mode: str
    body: bytes | None = None
    etag: str = ""


@dataclass(slots=True)
class Client:
    s3: Any
    bucket: str
    name: str
    kms_key: str
    random: random.Random
    objects: dict[str, Object] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)

    def plans(self) -> Iterator[Plan]:
        """Whatever can be asked for now, one of each kind, with keys and modes at random."""
        mode = self.random.choice(MODES)
        key = f"{self.name}/{self.random.randrange(KEYS_OF_A_CLIENT)}"
        yield self._put(key, mode)
        yield self._create(key, mode)
        yield Plan("list", set(), lambda: self.s3.list_objects_v2(**self._in, Prefix=f"{self.name}/"), self._listed)
        if self.objects:
            known = self.random.choice(list(self.objects))
            yield from self._of_object(known, key, mode)
        if self.uploads:
            yield from self._of_upload(self.random.choice(self.uploads))

    @property
    def _in(self) -> dict[str, str]:
        return {"Bucket": self.bucket}

    def _named(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": key}

    def _written(self, mode: str) -> dict[str, Any]:
        if mode in CUSTOMERS:
            return self._brought(mode)
        if mode == "AES256":
            return {"ServerSideEncryption": mode}
        if mode == BUCKET_KEY:
            return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key, "BucketKeyEnabled": True}
        return {"ServerSideEncryption": mode, "SSEKMSKeyId": self.kms_key}

    def _brought(self, mode: str, prefix: str = "") -> dict[str, Any]:
        if mode not in CUSTOMERS:
            return {}
        return {f"{prefix}SSECustomerAlgorithm": "AES256", f"{prefix}SSECustomerKey": CUSTOMERS[mode].decode()}

    def _put(self, key: str, mode: str) -> Plan:
        body = self.random.randbytes(self.random.choice(SIZES))

        def after(answer: Any) -> None:
            self.objects[key] = Object(mode, body)

        return Plan(
            "put", {mode}, lambda: self.s3.put_object(**self._named(key), Body=body, **self._written(mode)), after
        )

    def _create(self, key: str, mode: str) -> Plan:
        def after(answer: Any) -> None:
            self.uploads.append(Upload(key, answer["UploadId"], mode))

        created = self._named(key) | self._written(mode)
        return Plan("create", {mode}, lambda: self.s3.create_multipart_upload(**created), after)

    def _of_object(self, key: str, other: str, mode: str) -> Iterator[Plan]:
        found, named = self.objects[key], self._named(key)
        brought = self._brought(found.mode)
        copied = {
            "CopySource": f"{self.bucket}/{key}",
            **self._named(other),
            **self._brought(found.mode, "CopySource"),
            **self._written(mode),
        }

        def is_read(answer: Any) -> None:
            assert answer["Body"].read() == found.body

        def is_ranged(answer: Any) -> None:
            assert answer["Body"].read() == found.body[5:300]

        def is_head(answer: Any) -> None:
            assert answer["ContentLength"] == len(found.body)

        def is_copied(answer: Any) -> None:
            self.objects[other] = Object(mode, found.body)

        def is_deleted(answer: Any) -> None:
            del self.objects[key]

        yield Plan("get", {found.mode}, lambda: self.s3.get_object(**named, **brought), is_read)
        if len(found.body) > 5:
            ranged = {**named, **brought, "Range": "bytes=5-299"}
            yield Plan("range", {found.mode}, lambda: self.s3.get_object(**ranged), is_ranged)
        yield Plan("head", set(), lambda: self.s3.head_object(**named, **brought), is_head)
        if other != key:
            yield Plan("copy", {found.mode, mode}, lambda: self.s3.copy_object(**copied), is_copied)
        yield Plan("delete", set(), lambda: self.s3.delete_object(**named), is_deleted)
        if found.mode in UPDATABLE:
            yield self._update(key, found)

    def _update(self, key: str, found: Object) -> Plan:
        mode = self.random.choice(UPDATABLE[1:])
        asked = {"SSEKMS": {"KMSKeyArn": self.kms_key, "BucketKeyEnabled": mode == BUCKET_KEY}}

        def after(answer: Any) -> None:
            found.mode = mode

        update = self.s3.update_object_encryption
        return Plan("update", {found.mode, mode}, lambda: update(**self._named(key), ObjectEncryption=asked), after)

    def _of_upload(self, upload: Upload) -> Iterator[Plan]:
        named = {**self._named(upload.key), "UploadId": upload.upload_id}
        brought = self._brought(upload.mode)
        body = self.random.randbytes(self.random.choice(SIZES))

        def is_put(answer: Any) -> None:
            upload.body, upload.etag = body, answer["ETag"]

        def is_completed(answer: Any) -> None:
            assert upload.body is not None
            self.objects[upload.key] = Object(upload.mode, upload.body)
            self.uploads.remove(upload)

        def is_aborted(answer: Any) -> None:
            self.uploads.remove(upload)

        part = {**named, "PartNumber": 1, **brought}
        yield Plan("part", {upload.mode}, lambda: self.s3.upload_part(**part, Body=body), is_put)
        yield from self._copy_part(upload, part)
        if upload.body is not None:
            done = {"Parts": [{"PartNumber": 1, "ETag": upload.etag}]}
            needs = {upload.mode}
            complete = self.s3.complete_multipart_upload
            yield Plan("complete", needs, lambda: complete(**named, MultipartUpload=done, **brought), is_completed)
        yield Plan("list parts", set(), lambda: self.s3.list_parts(**named), lambda answer: None)
        yield Plan("abort", set(), lambda: self.s3.abort_multipart_upload(**named), is_aborted)

    def _copy_part(self, upload: Upload, part: dict[str, Any]) -> Iterator[Plan]:
        if not self.objects:
            return
        key = self.random.choice(list(self.objects))
        source = self.objects[key]
        copied = {**part, "CopySource": f"{self.bucket}/{key}", **self._brought(source.mode, "CopySource")}

        def is_copied(answer: Any) -> None:
            upload.body, upload.etag = source.body, answer["CopyPartResult"]["ETag"]

        ask = self.s3.upload_part_copy
        yield Plan("part copy", {upload.mode, source.mode}, lambda: ask(**copied), is_copied)

    def _listed(self, answer: Any) -> None:
        listed = {each["Key"]: each["Size"] for each in answer.get("Contents", [])}
        assert listed == {key: len(each.body) for key, each in self.objects.items()}

    def check(self) -> None:
        """That everything is as it was acknowledged, and nothing else is there."""
        self._listed(self.s3.list_objects_v2(**self._in, Prefix=f"{self.name}/"))
        for key, each in self.objects.items():
            answer = self.s3.get_object(**self._named(key), **self._brought(each.mode))
            assert answer["Body"].read() == each.body, key
        uploads = self.s3.list_multipart_uploads(**self._in, Prefix=f"{self.name}/").get("Uploads", [])
        assert {each["UploadId"] for each in uploads} == {each.upload_id for each in self.uploads}
        for upload in self.uploads:
            named = {**self._named(upload.key), "UploadId": upload.upload_id}
            parts = self.s3.list_parts(**named).get("Parts", [])
            assert [each["ETag"] for each in parts] == ([] if upload.body is None else [upload.etag])


@dataclass(slots=True)
class Told:
    """How requests of each kind were answered, and the longest that one took."""

    served: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    longest_seconds: float = 0.0

    def __add__(self, other: Told) -> Told:
        longest = max(self.longest_seconds, other.longest_seconds)
        return Told(self.served + other.served, self.refused + other.refused, longest)


class MixedClients:
    def __init__(self, gateway: Gateway, bucket: str, *, clients: int, seed: int) -> None:
        s3 = gateway.client("s3", user_agent="mixed", max_pool_connections=clients)  # a bucket key is for one agent
        s3.create_bucket(Bucket=bucket)
        take_customer_keys(s3, bucket)
        kms_key = str(gateway.client("kms").create_key()["KeyMetadata"]["Arn"])
        self.clients = [
            Client(s3, bucket, f"client-{number}", kms_key, random.Random(f"{seed} {number}"))
            for number in range(clients)
        ]

    def fill(self) -> None:
        """Every client has an object, and an upload with a part, in every mode; bucket keys are open, either way."""

        def fill(client: Client) -> None:
            for number, mode in enumerate(MODES):
                for plan in (client._put(f"{client.name}/{number}", mode), client._create(f"{client.name}/up", mode)):
                    plan.after(plan.ask())
                part = next(client._of_upload(client.uploads[-1]))
                part.after(part.ask())
            client.check()

        self._each(fill)

    def ask(self, requests: int, *, refusing: Set[str] = frozenset(), may_refuse: Set[str] = frozenset()) -> Told:
        """Many requests of all clients at once.

        Those that need a key of a mode in `refusing` must be refused, of one in `may_refuse` may be, all others
        must be served.
        """
        share = requests // len(self.clients)

        def ask(client: Client) -> Told:
            told = Told()
            for _ in range(share):
                self._ask(client.random.choice(list(client.plans())), refusing, may_refuse, told)
            return told

        return sum(self._each(ask), Told())

    def _ask(self, plan: Plan, refusing: Set[str], may_refuse: Set[str], told: Told) -> None:
        began = time.monotonic()
        try:
            answer = plan.ask()
        except ClientError as error:
            answer = error
        told.longest_seconds = max(told.longest_seconds, time.monotonic() - began)
        if isinstance(answer, ClientError):
            metadata = answer.response["ResponseMetadata"]
            assert plan.needs & (refusing | may_refuse), (plan.name, plan.needs, answer)
            assert (metadata["HTTPStatusCode"], answer.response["Error"]["Code"]) == (503, "ServiceUnavailable")
            assert int(metadata["HTTPHeaders"]["retry-after"]) >= 1
            told.refused[plan.name] += 1
        else:
            assert not plan.needs & refusing, (plan.name, plan.needs)
            plan.after(answer)
            told.served[plan.name] += 1

    def check(self) -> None:
        self._each(lambda client: client.check())

    def _each(self, work: Callable[[Client], Any]) -> list[Any]:
        """Of all clients at once; what one of them found wrong is raised."""
        with ThreadPoolExecutor(len(self.clients)) as threads:
            return list(threads.map(work, self.clients, timeout=300))
