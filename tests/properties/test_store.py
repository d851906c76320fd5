"""The store is a dict with versions, through any sequence of operations."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.gateway.gateway_in_process import Answer
from tests.properties.encryption import BUCKET_KEY, CUSTOMERS, DSSE, MODES, SSE, asked, brought, brought_for_source
from tests.properties.in_process import Store, child, children, decoded, root, upload_id_of
from tests.properties.model import NULL, Bucket, Version
from tests.properties.strategies import SIZES, body

NAMES = ("k", "a/b", "é +%\n", "\U0001f600")
KEYS = st.sampled_from(NAMES)
TAGS = st.dictionaries(st.sampled_from(("a", "b c", "é")), st.sampled_from(("", "x", "y+z")), max_size=2)
METADATA = st.dictionaries(st.sampled_from(("a", "b")), st.sampled_from(("x", "y z")), max_size=2)
NUMBERS = st.integers(0, 30)
ENCRYPTIONS = st.sampled_from((None, None, *MODES, "customer B"))
NOT_UPDATED = (DSSE, *CUSTOMERS)
"""What UpdateObjectEncryption does not take as a source (API_UpdateObjectEncryption)."""


@dataclass
class Told:
    """What HEAD says, with and without the encryption, and what attributes, tags and listings do."""

    headers: Mapping[str, str]
    encryption: Mapping[str, str]
    documents: list[tuple[int, bytes | str | None]]


class StoreMachine(RuleBasedStateMachine):
    """Each rule asks the gateway and the model, and compares the answers."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._bucket = store.new_bucket()
        self._kms_keys = (store.new_kms_key(), store.new_kms_key())
        self._model = Bucket()
        self._known = [NULL]  # version ids that were told once, also of versions that are gone
        self._count = 0

    def _ask(self, method: str, key: str | None, query: Mapping[str, str] | None = None, **options: object) -> Answer:
        path = f"/{self._bucket}" if key is None else f"/{self._bucket}/{key}"
        return self._store.ask(method, path, query, **options)

    def _version_id(self, number: int) -> str | None:
        """One of those that were told, or none."""
        return None if number == 0 else self._known[number % len(self._known)]

    def _new_body(self, size: int) -> bytes:
        self._count += 1
        return body(size, (self._bucket, self._count))

    def _written(self, answer: Answer, key: str, version: Version) -> None:
        """A write succeeded: its version id is told if it has one of its own, and it is the newest version now."""
        assert answer.status == 200, answer.body
        told = answer.headers.get("x-amz-version-id")
        if self._model.versioning == "Enabled":
            assert told and told not in self._known
            self._known.append(told)
        else:
            assert told is None
        etag = answer.headers.get("ETag") or answer.text("ETag") or ""
        self._model.put(key, replace(version, version_id=told or NULL, etag=etag))

    @rule(status=st.sampled_from(("Enabled", "Suspended")))
    def set_versioning(self, status: str) -> None:
        document = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"
        assert self._ask("PUT", None, {"versioning": ""}, body=document.encode()).status == 200
        self._model.versioning = status

    @rule(key=KEYS, size=SIZES, metadata=METADATA, tags=TAGS, encryption=ENCRYPTIONS)
    def put(self, key: str, size: int, metadata: dict[str, str], tags: dict[str, str], encryption: str | None) -> None:
        data = self._new_body(size)
        headers = {f"x-amz-meta-{name}": value for name, value in metadata.items()}
        if tags:
            headers["x-amz-tagging"] = "&".join(f"{_form(name)}={_form(value)}" for name, value in tags.items())
        answer = self._ask("PUT", key, headers={**headers, **asked(encryption)}, body=data)
        self._written(answer, key, Version("", data, metadata, tags, encryption=encryption))
        if encryption in (None, "AES256"):
            assert answer.headers["ETag"] == f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'

    def _etag(self, number: int) -> str:
        """One that an object has or had, or that none has."""
        # In the order of the model: their own differs from run to run, and Hypothesis repeats runs.
        etags = list(dict.fromkeys(version.etag for _, version, _ in self._model.all_versions()))
        return etags[number % len(etags)] if number and etags else '"0123456789abcdef0123456789abcdef"'

    @rule(key=KEYS, size=SIZES, number=st.none() | NUMBERS)
    def put_if(self, key: str, size: int, number: int | None) -> None:
        """If there is no object yet, or if it is the one that is meant."""
        etag = None if number is None else self._etag(number)
        data = self._new_body(size)
        answer = self._ask(
            "PUT", key, headers={"if-none-match": "*"} if etag is None else {"if-match": etag}, body=data
        )
        refused = self._model.refusal(key, etag, etag is None)
        if refused:
            assert (answer.status, answer.code) == (refused, "PreconditionFailed" if refused == 412 else "NoSuchKey")
        else:
            self._written(answer, key, Version("", data))

    @rule(key=KEYS, number=NUMBERS)
    def delete_if(self, key: str, number: int) -> None:
        etag = self._etag(number)
        answer = self._ask("DELETE", key, headers={"if-match": etag})
        refused = self._model.refusal(key, etag, False)
        if refused:
            assert (answer.status, answer.code) == (refused, "PreconditionFailed" if refused == 412 else "NoSuchKey")
            return
        assert answer.status == 204
        is_marker = answer.headers.get("x-amz-delete-marker") == "true"
        self._deleted(key, None, answer.headers.get("x-amz-version-id"), is_marker=is_marker)

    @rule(key=KEYS, to=KEYS)
    def rename(self, key: str, to: str) -> None:
        answer = self._ask("PUT", to, {"renameObject": ""}, headers={"x-amz-rename-source": _quoted(key)})
        if self._model.versioning is not None:
            assert (answer.status, answer.code) == (409, "InvalidBucketState")
        elif self._model.current(key) is None:
            assert (answer.status, answer.code) == (404, "NoSuchKey")
        elif key == to:
            assert (answer.status, answer.code) == (400, "InvalidRequest")
        else:
            assert answer.status == 200, answer.body
            self._model.rename(key, to)

    @rule(key=KEYS, number=NUMBERS, is_head=st.booleans())
    def get(self, key: str, number: int, is_head: bool) -> None:
        version_id = self._version_id(number)
        self._check_get(key, version_id, "HEAD" if is_head else "GET")

    @rule(key=KEYS, number=NUMBERS, bringing=ENCRYPTIONS)
    def get_by_another_key(self, key: str, number: int, bringing: str | None) -> None:
        version_id = self._version_id(number)
        found = self._model.version(key, version_id)
        if found is None or found.body is None or brought(found.encryption) == brought(bringing):
            return
        query = None if version_id is None else {"versionId": version_id}
        answer = self._ask("GET", key, query, headers=brought(bringing))
        is_other = bool(brought(found.encryption) and brought(bringing))
        assert (answer.status, answer.code) == ((403, "AccessDenied") if is_other else (400, "InvalidRequest"))

    def _check_get(self, key: str, version_id: str | None, method: str = "GET") -> None:
        query = None if version_id is None else {"versionId": version_id}
        expected = self._model.version(key, version_id)
        answer = self._ask(method, key, query, headers=brought(expected.encryption if expected else None))
        code = None if method == "HEAD" or answer.status == 200 else answer.code
        if expected is None:
            # Without versioning there is no version but the key's one object.
            is_named = version_id is not None and self._model.versioning is not None
            wanted = "NoSuchVersion" if is_named else "NoSuchKey"
            assert (answer.status, code) in ((404, wanted), (404, None))
            return
        if self._model.versioning is not None:
            assert answer.headers["x-amz-version-id"] == expected.version_id
        if expected.body is None:
            assert answer.headers["x-amz-delete-marker"] == "true"
            assert answer.status == (404 if version_id is None else 405)
            return
        assert answer.status == 200, answer.body
        assert answer.body == (b"" if method == "HEAD" else expected.body)
        told = {name[11:]: value for name, value in answer.headers.items() if name.startswith("x-amz-meta-")}
        assert told == expected.metadata
        assert answer.headers["ETag"] == expected.etag
        assert answer.headers.get("x-amz-tagging-count") == (str(len(expected.tags)) if expected.tags else None)

    @rule(key=KEYS, number=NUMBERS)
    def delete(self, key: str, number: int) -> None:
        version_id = self._version_id(number)
        answer = self._ask("DELETE", key, None if version_id is None else {"versionId": version_id})
        assert answer.status == 204
        marker = answer.headers.get("x-amz-delete-marker")
        self._deleted(key, version_id, answer.headers.get("x-amz-version-id"), is_marker=marker == "true")

    def _deleted(self, key: str, version_id: str | None, told: str | None, *, is_marker: bool) -> None:
        """What a deletion told about a version or a marker is so, and both are gone, or there."""
        if version_id is not None:
            expected = self._model.version(key, version_id)
            assert is_marker == (expected is not None and expected.body is None)
            self._model.remove(key, version_id) if expected else None
            return
        assert is_marker == (self._model.versioning is not None)
        if self._model.versioning == "Enabled":
            assert told and told not in self._known
            self._known.append(told)
        elif self._model.versioning == "Suspended":
            assert told == NULL
        if self._model.versioning is not None or self._model.current(key):
            self._model.delete(key, told)

    @rule(which=st.lists(st.tuples(KEYS, NUMBERS), min_size=1, max_size=4, unique=True), quiet=st.booleans())
    def delete_several(self, which: list[tuple[str, int]], quiet: bool) -> None:
        named = [(key, self._version_id(number)) for key, number in which]
        if len({key for key, _ in named}) < len(named) or (quiet and self._model.versioning == "Enabled"):
            quiet = False  # the ids of markers are told in the answer alone
        entries = "".join(
            f"<Object><Key>{key.replace(chr(10), '&#10;')}</Key>"
            + (f"<VersionId>{version_id}</VersionId>" if version_id else "")
            + "</Object>"
            for key, version_id in named
        )
        document = f"<Delete><Quiet>{str(quiet).lower()}</Quiet>{entries}</Delete>".encode()
        answer = self._ask("POST", None, {"delete": ""}, body=document, headers={"content-md5": _md5(document)})
        assert answer.status == 200, answer.body
        assert children(root(answer), "Error") == []
        told = children(root(answer), "Deleted")
        assert len(told) == (0 if quiet else len(named))
        for place, (key, version_id) in enumerate(named):
            if quiet:
                gone = self._model.version(key, version_id)
                is_marker = gone is not None and gone.body is None if version_id else self._model.versioning is not None
                self._deleted(key, version_id, NULL, is_marker=is_marker)
                continue
            assert child(told[place], "Key") == key
            is_marker = child(told[place], "DeleteMarker") == "true"
            self._deleted(key, version_id, child(told[place], "DeleteMarkerVersionId"), is_marker=is_marker)

    @rule(shares=st.booleans())
    def let_copies_share(self, shares: bool) -> None:
        """Which no answer shows."""
        self._store.let_copies_share(self._bucket, shares)

    @rule(source=KEYS, number=NUMBERS, to=KEYS, metadata=st.none() | METADATA, encryption=ENCRYPTIONS)
    def copy(self, source: str, number: int, to: str, metadata: dict[str, str] | None, encryption: str | None) -> None:
        version_id = self._version_id(number)
        named = f"/{self._bucket}/{_quoted(source)}" + (f"?versionId={version_id}" if version_id else "")
        expected = self._model.version(source, version_id)
        headers = {"x-amz-copy-source": named, **asked(encryption)}
        headers |= brought_for_source(expected.encryption if expected else None)
        if metadata is not None:
            headers["x-amz-metadata-directive"] = "REPLACE"
            headers |= {f"x-amz-meta-{name}": value for name, value in metadata.items()}
        answer = self._ask("PUT", to, headers=headers)
        if expected is None or expected.body is None:
            assert answer.status in (400, 404), answer.body
            return
        is_encrypted_anew = encryption is not None or expected.encryption not in (None, "AES256")
        is_unchanged = source == to and metadata is None and not is_encrypted_anew
        if is_unchanged and (version_id is None or answer.status == 400):
            # Onto itself, and nothing changes.
            assert (answer.status, answer.code) == (400, "InvalidRequest")
            assert expected == self._model.current(source)
            return
        kept = expected.metadata if metadata is None else metadata
        self._written(answer, to, Version("", expected.body, kept, expected.tags, encryption=encryption))

    @rule(key=KEYS, number=NUMBERS, tags=TAGS)
    def tag(self, key: str, number: int, tags: dict[str, str]) -> None:
        version_id = self._version_id(number)
        query = {"tagging": ""} | ({} if version_id is None else {"versionId": version_id})
        written = "".join(f"<Tag><Key>{name}</Key><Value>{value}</Value></Tag>" for name, value in tags.items())
        tagging = f"<Tagging><TagSet>{written}</TagSet></Tagging>".encode()
        method, document = ("PUT", tagging) if tags else ("DELETE", b"")
        answer = self._ask(method, key, query, body=document, headers={"content-md5": _md5(document)})
        expected = self._model.version(key, version_id)
        if expected is None or expected.body is None:
            assert answer.status in (404, 405), answer.body
            return
        assert answer.status == (200 if tags else 204), answer.body
        self._model.tag(key, expected.version_id, tags)
        told = self._ask("GET", key, query)
        pairs = [each for tag_set in children(root(told), "TagSet") for each in children(tag_set, "Tag")]
        assert {child(each, "Key"): child(each, "Value") for each in pairs} == tags

    @rule(
        key=KEYS,
        number=NUMBERS,
        changes=st.lists(st.tuples(st.sampled_from((0, 1)), st.booleans()), min_size=1, max_size=3),
    )
    def update_encryption(self, key: str, number: int, changes: list[tuple[int, bool]]) -> None:
        """By one key or the other, with a bucket key or without: nothing else changes of this version or of another."""
        version_id = self._version_id(number)
        objects = [(each, found.version_id) for each, found, _ in self._model.all_versions() if found.body is not None]
        if objects and number % 4:
            key, version_id = objects[number % len(objects)]
        for which, has_bucket_key in changes:
            before = self._told(key, version_id)
            expected = self._model.version(key, version_id)
            arn = self._kms_keys[which]
            bucket_key = f"<BucketKeyEnabled>{str(has_bucket_key).lower()}</BucketKeyEnabled>"
            kms = f"<SSE-KMS><KMSKeyArn>{arn}</KMSKeyArn>{bucket_key}</SSE-KMS>"
            document = f"<ObjectEncryption>{kms}</ObjectEncryption>".encode()
            query = {"encryption": ""} | ({} if version_id is None else {"versionId": version_id})
            answer = self._ask("PUT", key, query, body=document, headers={"content-md5": _md5(document)})
            if expected is None or expected.body is None:
                wanted = 404 if expected is None or version_id is None else 405
            else:
                wanted = 400 if expected.encryption in NOT_UPDATED else 200
            assert answer.status == wanted, answer.body
            if expected is not None and wanted == 200:
                self._model.encrypt(key, expected.version_id, BUCKET_KEY if has_bucket_key else "aws:kms")
                more = {f"{SSE}-bucket-key-enabled": "true"} if has_bucket_key else {}
                before.encryption = {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": arn, **more}
            assert self._told(key, version_id) == before

    def _told(self, key: str, version_id: str | None) -> Told:
        """All that is told of a version, and of its bucket."""
        query = {} if version_id is None else {"versionId": version_id}
        found = self._model.version(key, version_id)
        bringing = brought(found.encryption if found else None)
        head = self._ask("HEAD", key, query, headers={**bringing, "x-amz-checksum-mode": "ENABLED"})
        wanted = {"x-amz-object-attributes": "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"}
        others = (
            self._ask("GET", key, {**query, "attributes": ""}, headers={**bringing, **wanted}),
            self._ask("GET", key, {**query, "tagging": ""}),
            self._ask("GET", None, {"list-type": "2", "encoding-type": "url"}),
            self._ask("GET", None, {"versions": "", "encoding-type": "url"}),
        )
        return Told(
            {name: value for name, value in head.headers.items() if not name.startswith(SSE)},
            {name: value for name, value in head.headers.items() if name.startswith(SSE)},
            [(each.status, each.body if each.status == 200 else each.code) for each in others],
        )

    @rule(key=KEYS, size=SIZES, tags=TAGS, is_aborted=st.booleans(), encryption=ENCRYPTIONS)
    def upload(self, key: str, size: int, tags: dict[str, str], is_aborted: bool, encryption: str | None) -> None:
        headers = {"x-amz-meta-a": "x", **asked(encryption)}
        if tags:
            headers["x-amz-tagging"] = "&".join(f"{_form(name)}={_form(value)}" for name, value in tags.items())
        upload_id = upload_id_of(self._ask("POST", key, {"uploads": ""}, headers=headers))
        data = self._new_body(size)
        named_part = {"uploadId": upload_id, "partNumber": "7"}
        part = self._ask("PUT", key, named_part, body=data, headers=brought(encryption))
        assert part.status == 200
        if is_aborted:
            assert self._ask("DELETE", key, {"uploadId": upload_id}).status == 204
            return
        named = f"<Part><PartNumber>7</PartNumber><ETag>{part.headers['ETag']}</ETag></Part>"
        document = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
        answer = self._ask("POST", key, {"uploadId": upload_id}, body=document)
        self._written(answer, key, Version("", data, {"a": "x"}, tags, encryption=encryption))

    @invariant()
    def listings_are_the_model(self) -> None:
        answer = self._ask("GET", None, {"list-type": "2", "encoding-type": "url"})
        listed = children(root(answer), "Contents")
        shown = [(decoded(child(each, "Key")), int(child(each, "Size") or 0)) for each in listed]
        bodies = {key: self._model.versions[key][0].body for key in self._model.shown()}
        assert shown == [(key, len(data or b"")) for key, data in bodies.items()]
        answer = self._ask("GET", None, {"versions": "", "encoding-type": "url"})
        told = [
            (decoded(child(each, "Key")), child(each, "VersionId"), child(each, "IsLatest") == "true")
            for each in children(root(answer), "Version", "DeleteMarker")
        ]
        assert told == [(key, version.version_id, is_latest) for key, version, is_latest in self._model.all_versions()]

    def teardown(self) -> None:
        """Every version is what it was, whatever came after it."""
        for key, version, _ in list(self._model.all_versions()):
            self._check_get(key, version.version_id)
        for key in NAMES:
            self._check_get(key, None)
        for key, version, _ in list(self._model.all_versions()):
            assert self._ask("DELETE", key, {"versionId": version.version_id}).status == 204


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _form(text: str) -> str:
    return text.replace("+", "%2B").replace(" ", "+").replace("é", "%C3%A9")


def _quoted(key: str) -> str:
    return "".join(f"%{byte:02X}" for byte in key.encode())


def test_the_store_is_a_dict_with_versions(store: Store) -> None:
    run_state_machine_as_test(
        lambda: StoreMachine(store),
        settings=settings(
            max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    store.check_nothing_is_left()
