"""Clients of a soak: each asks for something at its pace, knows what the answer must be, and says what was wrong.

Most of it is what `tests.acceptance.mixed` asks for; the rest is here: versions, uploads in real parts, connections
that are cut in either direction, requests that must be refused, calls of the KMS and of IAM, buckets that come and go.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.acceptance import mixed
from tests.acceptance.mixed import Object, Plan
from tests.clients.access import policy_text, statement, take_customer_keys
from tests.clients.checks import random_bytes
from tests.clients.raw import RawClient, head
from tests.crash.clients import patient
from tests.harness import Gateway
from tests.properties.encryption import BUCKET_KEY, CUSTOMERS, DSSE, MODES
from tests.soak.weather import BREAKS_CONNECTIONS, TAKES_KEYS, Kind, Spell, Weather

BUCKET, VERSIONS = "soak", "soak-versions"
KMS_MODES = frozenset({"aws:kms", BUCKET_KEY, DSSE})
OF_THE_KMS = frozenset({"the KMS"})
"""What calls of the KMS itself need."""

PART_BYTES = 5 << 20
BIG = random_bytes(3 << 20)
"""Read in pieces, and never to its end."""

VERSIONS_OF_A_KEY = 4
REQUESTS_OF_A_CONNECTION = 150
SHARE_OF_MIXED = 0.75
MOST_PROBLEMS = 50

CHANGES = {"put", "copy", "delete", "update", "complete"}
"""Plans of `mixed.Client` whose effect does not depend on the answer."""


@dataclass(slots=True)
class Told:
    """What all visitors saw, by kind: answers, refusals that were excused, connections that broke."""

    served: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    checks: int = 0
    longest_seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, counter: Counter[str], name: str) -> None:
        with self.lock:
            counter[name] += 1

    def fail(self, problem: str) -> None:
        with self.lock:
            self.problems.append(problem)


class Visitor:
    """One client. `run` asks `rate` times a second until `stopping`."""

    def __init__(self, gateway: Gateway, number: int, kms_key: str, weather: Weather, told: Told, *, seed: int) -> None:
        self._gateway = gateway
        self.name = f"visitor-{number}"
        self._weather = weather
        self._told = told
        self._random = random.Random(f"{seed} {self.name}")
        self._numbers = itertools.count()
        self._s3 = gateway.client("s3", user_agent="soak", read_timeout=60)  # a bucket key is for one agent
        self._kms = gateway.client("kms", read_timeout=60)
        self._iam = gateway.client("iam", read_timeout=60)
        self._patient = patient(gateway, "s3")
        self._raw = RawClient(gateway)
        self.mixed = mixed.Client(self._s3, BUCKET, self.name, kms_key, random.Random(f"{seed} {number} mixed"))
        self._versions: dict[str, list[tuple[str, bytes]]] = {}
        self._others: list[Callable[[], Plan | None]] = [
            self._put_version, self._put_version, self._get_version, self._remove_version, self._list_versions,
            self._cut_upload, self._cut_download, self._bad_request, self._bad_request,
            self._encrypt, self._data_key, self._sign, self._describe, self._user, self._bucket,
        ]  # fmt: skip

    @staticmethod
    def prepare(gateway: Gateway) -> None:
        """What all visitors share."""
        s3 = patient(gateway, "s3")
        for bucket in (BUCKET, VERSIONS):
            s3.create_bucket(Bucket=bucket)
        take_customer_keys(s3, BUCKET)
        s3.put_bucket_versioning(Bucket=VERSIONS, VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket=BUCKET, Key="big", Body=BIG, ServerSideEncryption="aws:kms")
        kms = patient(gateway, "kms")
        for alias, spec in (("pair", {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}), ("shared", {})):
            kms.create_alias(AliasName=f"alias/{alias}", TargetKeyId=kms.create_key(**spec)["KeyMetadata"]["KeyId"])

    def use_key(self, kms_key: str) -> None:
        self.mixed.kms_key = kms_key

    def run(self, rate: float, check_seconds: float, stopping: threading.Event) -> None:
        """Whoever is late does not hurry: the load is to be the same whatever the machine does besides."""
        due = time.monotonic()
        check_due = due + check_seconds * self._random.uniform(0.5, 1.5)
        for turn in itertools.count(1):
            due = max(due + self._random.uniform(0.5, 1.5) / rate, time.monotonic())
            if stopping.wait(max(0.0, due - time.monotonic())):
                return
            if len(self._told.problems) >= MOST_PROBLEMS:
                return
            try:
                if turn % REQUESTS_OF_A_CONNECTION == 0:
                    self._s3.close()  # the next ones go to any worker
                if time.monotonic() > check_due and not self._weather.since(time.monotonic()):
                    self.check()
                    check_due = time.monotonic() + check_seconds
                elif (plan := self._plan()) is not None:
                    self._ask(plan)
            except Exception as error:
                self._told.fail(f"{self.name}: {type(error).__name__}: {error}")
                raise

    def _plan(self) -> Plan | None:
        chance = self._random.random()
        if chance < 0.004:
            return self._upload_in_parts()
        if chance < SHARE_OF_MIXED:
            return self._random.choice(list(self.mixed.plans()))
        return self._random.choice(self._others)()

    def _ask(self, plan: Plan) -> None:
        began = time.monotonic()
        try:
            plan.after(plan.ask())
        except ClientError as error:
            spells = self._weather.since(began)
            if not self._is_excused(plan, error, spells):
                self._told.fail(f"{self.name}: {plan.name} {sorted(plan.needs)}: {error} {_of(error)}, during {spells}")
            self._told.count(self._told.refused, f"{plan.name}: {error.response['Error']['Code']}")
            if _of(error)["HTTPStatusCode"] == 500:
                self._settle(plan)  # of the KMS: it may or may not have been done
        except (BotoCoreError, OSError) as error:
            spells = self._weather.since(began)
            if not any(each.kind in BREAKS_CONNECTIONS for each in spells):
                self._told.fail(f"{self.name}: {plan.name}: {type(error).__name__}: {error}, during {spells}")
            self._told.count(self._told.broken, f"{plan.name}: {type(error).__name__}")
            self._settle(plan)
        except AssertionError as error:
            self._told.fail(f"{self.name}: {plan.name} {sorted(plan.needs)}: answered otherwise: {str(error)[:300]}")
        else:
            self._told.count(self._told.served, plan.name)
        with self._told.lock:
            self._told.longest_seconds = max(self._told.longest_seconds, time.monotonic() - began)

    def _is_excused(self, plan: Plan, error: ClientError, spells: list[Spell]) -> bool:
        code, answer = error.response["Error"]["Code"], _of(error)
        needs_keys = bool(plan.needs & (KMS_MODES | OF_THE_KMS))
        if needs_keys and any(each.kind in TAKES_KEYS for each in spells):
            refused_by_s3 = (answer["HTTPStatusCode"], code) == (503, "ServiceUnavailable")
            refused_by_kms = answer["HTTPStatusCode"] == 500 and bool(plan.needs & OF_THE_KMS)
            return (refused_by_s3 or refused_by_kms) and int(answer["HTTPHeaders"].get("retry-after", 0)) >= 1
        is_disabled = any(each.kind is Kind.KEY_DISABLED for each in spells)
        return is_disabled and needs_keys and code == "KMS.DisabledException" and self.name == "visitor-0"

    # After an answer that did not come

    def _settle(self, plan: Plan) -> None:
        """Find out what became of a request that was not answered: as before or as asked for, whole in either case."""
        if plan.name in CHANGES:
            self._settle_objects(plan)
        for upload in self._patient.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{self.name}/").get("Uploads", []):
            with suppress(self._patient.exceptions.NoSuchUpload):
                self._patient.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
        self.mixed.uploads.clear()
        self._settle_versions()

    def _settle_objects(self, plan: Plan) -> None:
        before = {key: replace(each) for key, each in self.mixed.objects.items()}
        plan.after({})
        for key in before.keys() | self.mixed.objects.keys():
            old, new = before.get(key), self.mixed.objects.get(key)
            if old == new:
                continue
            if self._holds(key, new):
                continue
            if not self._holds(key, old):
                self._told.fail(f"{key}: after a {plan.name} without answer neither what was there nor what was sent")
            if old is None:
                del self.mixed.objects[key]
            else:
                self.mixed.objects[key] = old

    def _holds(self, key: str, expected: Object | None) -> bool:
        named = {"Bucket": BUCKET, "Key": key}
        brought: dict[str, str] = {}
        if expected is not None and expected.mode in CUSTOMERS:
            brought = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMERS[expected.mode].decode()}
        try:
            answer = self._patient.get_object(**named, **brought)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return expected is None
            if _of(error)["HTTPStatusCode"] == 400:  # another's key, or none, of the two that are possible
                return False
            raise
        if expected is None or answer["Body"].read() != expected.body:
            return False
        mode = str(answer.get("ServerSideEncryption", "customer A"))
        return (BUCKET_KEY if answer.get("BucketKeyEnabled") else mode) == expected.mode

    def _settle_versions(self) -> None:
        """Versions are taken as they are; what is known of them must be there, or be what was to be removed."""
        found: dict[str, list[tuple[str, bytes]]] = {}
        for each in self._listed_versions(self._patient):
            named = {"Bucket": VERSIONS, "Key": each["Key"], "VersionId": each["VersionId"]}
            body = self._patient.get_object(**named)["Body"].read()
            found.setdefault(each["Key"], []).append((each["VersionId"], body))
        for key, known in self._versions.items():
            lost = set(known) - set(found.get(key, []))
            if len(lost) > 1:
                self._told.fail(f"{key}: versions are lost: {sorted(version for version, _ in lost)}")
        self._versions = found

    def check(self) -> None:
        """Everything that this visitor knows, against what is there."""
        began = time.monotonic()
        try:
            self.mixed.check()
            known = {(key, version): body for key, each in self._versions.items() for version, body in each}
            listed = self._listed_versions(self._s3)
            assert {(each["Key"], each["VersionId"]) for each in listed} == known.keys()
            for (key, version), body in known.items():
                assert self._s3.get_object(Bucket=VERSIONS, Key=key, VersionId=version)["Body"].read() == body
        except (ClientError, BotoCoreError) as error:
            if not self._weather.since(began):  # else it began meanwhile: the next one looks again
                self._told.fail(f"{self.name}: check: {error}")
        except AssertionError as error:
            self._told.fail(f"{self.name}: what is there is not what was written: {str(error)[:300]}")
        else:
            with self._told.lock:
                self._told.checks += 1

    # Versions

    def _listed_versions(self, s3: Any) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = []
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=VERSIONS, Prefix=f"{self.name}/"):
            assert "DeleteMarkers" not in page
            listed += page.get("Versions", [])
        return listed

    def _put_version(self) -> Plan:
        key = f"{self.name}/{self._random.randrange(4)}"
        body = self._random.randbytes(self._random.choice((10, 30_000)))
        if len(self._versions.get(key, [])) >= VERSIONS_OF_A_KEY:
            return self._removal(key)

        def after(answer: Any) -> None:
            self._versions.setdefault(key, []).insert(0, (answer["VersionId"], body))

        ask = self._s3.put_object
        return Plan("put version", set(), lambda: ask(Bucket=VERSIONS, Key=key, Body=body), after)

    def _get_version(self) -> Plan | None:
        known = [(key, *each) for key, versions in self._versions.items() for each in versions]
        if not known:
            return None
        key, version, body = self._random.choice(known)
        named = {"Bucket": VERSIONS, "Key": key, "VersionId": version}

        def after(answer: Any) -> None:
            assert answer["Body"].read() == body

        return Plan("get version", set(), lambda: self._s3.get_object(**named), after)

    def _remove_version(self) -> Plan | None:
        keys = [key for key, versions in self._versions.items() if versions]
        return self._removal(self._random.choice(keys)) if keys else None

    def _removal(self, key: str) -> Plan:
        version = self._random.choice(self._versions[key])
        named = {"Bucket": VERSIONS, "Key": key, "VersionId": version[0]}

        def after(answer: Any) -> None:
            self._versions[key].remove(version)

        return Plan("remove version", set(), lambda: self._s3.delete_object(**named), after)

    def _list_versions(self) -> Plan:
        def after(answer: Any) -> None:
            known = {(key, version) for key, each in self._versions.items() for version, _ in each}
            assert {(each["Key"], each["VersionId"]) for each in answer} == known

        return Plan("list versions", set(), lambda: self._listed_versions(self._s3), after)

    # Larger things

    def _upload_in_parts(self) -> Plan:
        """Whole, with a range over the border of its parts; then it is deleted again."""
        mode = self._random.choice(MODES)
        named = {"Bucket": BUCKET, "Key": f"parts/{self.name}"}
        written, brought = self.mixed._written(mode), self.mixed._brought(mode)
        bodies = [self._random.randbytes(PART_BYTES), self._random.randbytes(1 << 20)]

        def ask() -> bytes:
            upload = {**named, "UploadId": self._s3.create_multipart_upload(**named, **written)["UploadId"]}
            parts = []
            for number, body in enumerate(bodies, 1):
                etag = self._s3.upload_part(**upload, **brought, PartNumber=number, Body=body)["ETag"]
                parts.append({"PartNumber": number, "ETag": etag})
            self._s3.complete_multipart_upload(**upload, **brought, MultipartUpload={"Parts": parts})
            border = f"bytes={PART_BYTES - 70_000}-{PART_BYTES + 69_999}"
            ranged: bytes = self._s3.get_object(**named, **brought, Range=border)["Body"].read()
            self._s3.delete_object(**named)
            return ranged

        def after(answer: bytes) -> None:
            assert answer == bodies[0][-70_000:] + bodies[1][:70_000]

        return Plan("upload in parts", {mode}, ask, after)

    def _cut_upload(self) -> Plan:
        """A body that ends in its middle changes nothing: `mixed` knows what the key holds."""
        key, length = f"{self.name}/{self._random.randrange(mixed.KEYS_OF_A_CLIENT)}", 400_000
        target = f"/{BUCKET}/{key}"
        sent = self._random.randbytes(self._random.randrange(length))

        def ask() -> None:
            signed = self._raw.sign("PUT", target, {"x-amz-server-side-encryption": "aws:kms"})
            with self._raw.connect() as connection:
                connection.send(head("PUT", target, {**signed.headers, "content-length": str(length)}))
                with suppress(ConnectionError):  # refused and closed before all was sent
                    connection.send(sent)

        return Plan("cut upload", set(), ask, lambda answer: None)

    def _cut_download(self) -> Plan:
        target = f"/{BUCKET}/big"

        def ask() -> bytes:
            with self._raw.connect() as connection:
                connection.send(head("GET", target, self._raw.sign("GET", target).headers))
                received = b""
                while len(received) < 65_536 and (piece := connection.socket.recv(65_536)):
                    received += piece
                    if len(received) >= 12 and not received.startswith(b"HTTP/1.1 200"):
                        break  # a refusal has no such length
                return received

        def after(received: bytes) -> None:
            first, _, body = received.partition(b"\r\n\r\n")
            if first.startswith(b"HTTP/1.1 200"):
                assert BIG.startswith(body)
            else:
                assert first.startswith(b"HTTP/1.1 503") and self._weather.since(time.monotonic() - 60), first

        return Plan("cut download", KMS_MODES, ask, after)

    # What must be refused

    def _bad_request(self) -> Plan:
        s3, raw, named = self._s3, self._raw, {"Bucket": BUCKET, "Key": "big"}
        missing = {"Bucket": BUCKET, "Key": f"{self.name}/missing"}
        wrong = RawClient(self._gateway, secret="not" * 13 + "n")
        completed = f"/{BUCKET}/{self.name}/x?uploadId=none"
        cases: list[tuple[str, Callable[[], Any]]] = [
            ("NoSuchKey", lambda: s3.get_object(**missing)),
            ("NoSuchBucket", lambda: s3.list_objects_v2(Bucket=f"nobodys-{next(self._numbers)}")),
            ("InvalidRange", lambda: s3.get_object(**named, Range=f"bytes={len(BIG)}-")),
            ("PreconditionFailed", lambda: s3.get_object(**named, IfMatch='"other"')),
            ("InvalidArgument", lambda: s3.get_object(**named, VersionId="none")),
            ("KeyTooLongError", lambda: s3.put_object(Bucket=BUCKET, Key="k" * 1025, Body=b"")),
            ("BadDigest", lambda: s3.put_object(**missing, Body=b"body", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")),
            ("NoSuchUpload", lambda: s3.list_parts(**missing, UploadId="none")),
            ("MalformedXML", lambda: raw.request("POST", completed, body=b"<CompleteMultipartUpload>")),
            ("SignatureDoesNotMatch", lambda: wrong.request("GET", f"/{BUCKET}/big")),
            ("InvalidAccessKeyId", lambda: RawClient(self._gateway, "AKIAUNKNOWN", "x").request("GET", f"/{BUCKET}")),
        ]
        code, request = self._random.choice(cases)

        def ask() -> str:
            try:
                return str(request().code)
            except ClientError as error:
                return str(error.response["Error"]["Code"])

        def after(answer: str) -> None:
            assert answer == code, (answer, code)

        return Plan(f"refused: {code}", set(), ask, after)

    # The KMS and identities

    def _encrypt(self) -> Plan:
        text, context = self._random.randbytes(200), {"number": str(next(self._numbers))}

        def ask() -> bytes:
            blob = self._kms.encrypt(KeyId="alias/shared", Plaintext=text, EncryptionContext=context)["CiphertextBlob"]
            opened: bytes = self._kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"]
            return opened

        def after(answer: bytes) -> None:
            assert answer == text

        return Plan("kms encrypt", OF_THE_KMS, ask, after)

    def _data_key(self) -> Plan:
        def ask() -> bool:
            made = self._kms.generate_data_key(KeyId="alias/shared", KeySpec="AES_256")
            return bool(self._kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"])

        def after(answer: bool) -> None:
            assert answer

        return Plan("kms data key", OF_THE_KMS, ask, after)

    def _sign(self) -> Plan:
        named = {"KeyId": "alias/pair", "Message": self._random.randbytes(100), "SigningAlgorithm": "ECDSA_SHA_256"}

        def ask() -> bool:
            signature = self._kms.sign(**named)["Signature"]
            return bool(self._kms.verify(**named, Signature=signature)["SignatureValid"])

        def after(answer: bool) -> None:
            assert answer

        return Plan("kms sign", OF_THE_KMS, ask, after)

    def _describe(self) -> Plan:
        def after(answer: Any) -> None:
            assert answer["KeyMetadata"]["Enabled"]

        return Plan("kms describe", OF_THE_KMS, lambda: self._kms.describe_key(KeyId="alias/shared"), after)

    def _user(self) -> Plan:
        name = f"{self.name}-{next(self._numbers)}"

        def ask() -> None:
            self._iam.create_user(UserName=name)
            key = self._iam.create_access_key(UserName=name)["AccessKey"]
            document = json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/big"}
            ]})  # fmt: skip
            self._iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
            self._iam.delete_user_policy(UserName=name, PolicyName="p")
            self._iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
            self._iam.delete_user(UserName=name)

        return Plan("user", OF_THE_KMS, ask, lambda answer: None)  # kmsd's trail has a line for each

    def _bucket(self) -> Plan:
        name = f"{self.name}-{next(self._numbers)}"

        def ask() -> None:
            self._s3.create_bucket(Bucket=name)
            allowed = statement("Deny", "*", "s3:GetObject", on=f"{name}/none")
            self._s3.put_bucket_policy(Bucket=name, Policy=policy_text(allowed))
            self._s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
            self._s3.delete_bucket(Bucket=name)

        return Plan("bucket", set(), ask, lambda answer: None)


def _of(error: ClientError) -> dict[str, Any]:
    answer: dict[str, Any] = error.response["ResponseMetadata"]
    return answer


def visitors(gateway: Gateway, weather: Weather, told: Told, *, count: int, seed: int) -> Iterator[Visitor]:
    """Each with a KMS key of its own."""
    Visitor.prepare(gateway)
    kms = patient(gateway, "kms")
    for number in range(count):
        key = str(kms.create_key()["KeyMetadata"]["Arn"])
        yield Visitor(gateway, number, key, weather, told, seed=seed)
