"""The standalone decryptor on whole objects: manifests, the places where blobs lie, and hostile ones of each."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import blob_open
from gateway.blob_open import BlobError, asked_of_kms, main
from gateway.commands.blob import blob as blob_group
from gateway.protocol.modes import BlobKind
from gateway.sealing.ids import new_id
from gateway.sealing.stream import BlobSealer
from kms.api.secrets import SecretBytes
from tests.gateway.sealing.material import SMALL, body, envelope, key

SIZES = (SMALL + 1, 0, 3, 2 * SMALL)


@dataclass
class Object:
    """A manifest and its parts in files, and what the decryptor is asked by."""

    directory: Path
    keys: list[SecretBytes]
    names: list[str]
    descriptor: dict[str, object]

    @property
    def plaintext(self) -> bytes:
        return b"".join(body(size, str(number)) for number, size in enumerate(SIZES))

    def seal(self, plaintext: bytes, descriptor: bytes, kind: BlobKind) -> tuple[str, bytes, bytes]:
        """Id, commitment and bytes of a blob under the object's keys."""
        second = self.keys[1] if len(self.keys) > 1 else None
        sealer = BlobSealer(self.keys[0], new_id(), second_key=second, seg_log2=14)
        segments = sealer.seal(plaintext)
        stored = sealer.header + segments + sealer.footer(envelope(kind=kind), descriptor)
        return sealer.header[16:32].hex(), sealer.commitment, stored

    def write_manifest(self) -> None:
        _, _, stored = self.seal(b"", json.dumps(self.descriptor).encode(), BlobKind.MANIFEST)
        (self.directory / "manifest").write_bytes(stored)

    def open(self, *more: str) -> int:
        arguments = [str(self.directory / "manifest"), "--key-file", str(self.directory / "key0"), *more]
        if len(self.keys) > 1:
            arguments += ["--second-key-file", str(self.directory / "key1")]
        return main([*arguments, "--blobs", str(self.directory / "blobs"), "-o", str(self.directory / "out")])

    def part(self, number: int) -> Path:
        return self.directory / "blobs" / self.names[number][:2] / self.names[number]


@pytest.fixture(params=[1, 2], ids=["one layer", "two layers"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Object:
    made = Object(tmp_path, [key() for _ in range(request.param)], [], {})
    entries, blob_ids = [], []
    for number, size in enumerate(SIZES):
        name, commitment, stored = made.seal(body(size, str(number)), b"{}", BlobKind.PART)
        made.names.append(name)
        made.part(number).parent.mkdir(parents=True, exist_ok=True)
        made.part(number).write_bytes(stored)
        blob_ids.append(base64.b64encode(bytes.fromhex(name)).decode())
        entries.append([number + 1, size, base64.b64encode(commitment).decode(), "etag"])
    made.descriptor.update(key="k", size=sum(SIZES), document={"etag": "e"}, parts=entries, blob_ids=blob_ids)
    made.write_manifest()
    for number, secret in enumerate(made.keys):
        (tmp_path / f"key{number}").write_bytes(secret.reveal())
    return made


def test_a_manifest_is_opened_as_its_object(made: Object) -> None:
    assert made.open() == 0
    assert (made.directory / "out").read_bytes() == made.plaintext


def test_it_opens_objects_alone(made: Object) -> None:
    alone = made.directory / "alone.py"
    alone.write_bytes(Path(blob_open.__file__).read_bytes())
    more = ["--second-key-file", made.directory / "key1"] if len(made.keys) > 1 else []
    asked = [made.directory / "manifest", "--key-file", made.directory / "key0", *more]
    run = subprocess.run(
        [sys.executable, "-I", alone, *asked, "--blobs", made.directory / "blobs"], capture_output=True, check=True
    )
    assert hashlib.sha256(run.stdout).digest() == hashlib.sha256(made.plaintext).digest()


def _swap(made: Object) -> None:
    one, other = made.part(0).read_bytes(), made.part(3).read_bytes()
    made.part(0).write_bytes(other)
    made.part(3).write_bytes(one)


def _other_blob_under_the_same_keys(made: Object) -> None:
    """As who holds the keys could write one: what the manifest says of it is not so."""
    _, _, stored = made.seal(body(SIZES[0], "another"), b"{}", BlobKind.PART)
    made.part(0).write_bytes(stored)


def _flip(place: int) -> Callable[[Object], None]:
    def flip(made: Object) -> None:
        stored = bytearray(made.part(3).read_bytes())
        stored[place] ^= 1
        made.part(3).write_bytes(stored)

    return flip


def _tell(**members: object) -> Callable[[Object], None]:
    def tell(made: Object) -> None:
        made.descriptor.update(members)
        made.write_manifest()

    return tell


def _alter_first_part(place: int, value: object) -> Callable[[Object], None]:
    def alter(made: Object) -> None:
        made.descriptor["parts"][0][place] = value  # type: ignore[index]
        made.descriptor["size"] = sum(entry[1] for entry in made.descriptor["parts"])  # type: ignore[misc, attr-defined]
        made.write_manifest()

    return alter


DAMAGE: dict[str, Callable[[Object], object]] = {
    "parts swapped": _swap,
    "another blob": _other_blob_under_the_same_keys,
    "a part is missing": lambda made: made.part(1).unlink(),
    "a part is empty": lambda made: made.part(1).write_bytes(b""),
    "a part is cut": lambda made: made.part(3).write_bytes(made.part(3).read_bytes()[:-1]),
    "header": _flip(40),
    "commitment": _flip(70),
    "last segment": _flip(128 + SMALL + 40),
    "footer": _flip(-33),
    "tail": _flip(-1),
    "another size": _tell(size=1),
    "fewer parts": _tell(blob_ids=[]),
    "ids that are none": _tell(blob_ids=["?"] * len(SIZES)),
    "parts that are none": _tell(parts=[1, 2, 3, 4]),
    "no list": _tell(parts={"a": 1}, blob_ids=7),
    "length of a part": _alter_first_part(1, SIZES[0] + 1),
    "commitment of a part": _alter_first_part(2, base64.b64encode(bytes(32)).decode()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_does_not_fit_gives_a_sentence_and_no_file(
    made: Object, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    DAMAGE[damage](made)
    assert made.open() == 1
    told = capsys.readouterr().err
    assert told.startswith("blob_open: ")
    assert told.count("\n") == 1
    assert not (made.directory / "out").exists()
    assert not list(made.directory.glob("*.partial"))


def test_without_places_a_manifest_is_an_empty_blob(made: Object) -> None:
    keys = ["--key-file", str(made.directory / "key0")]
    keys += ["--second-key-file", str(made.directory / "key1")] if len(made.keys) > 1 else []
    out = made.directory / "out"
    assert main([str(made.directory / "manifest"), *keys, "-o", str(out)]) == 0
    assert out.read_bytes() == b""


def index_file(path: Path, blobs: dict[str, bytes]) -> Path:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE inline_blob (blob_id BLOB PRIMARY KEY, data BLOB)")
        rows = [(bytes.fromhex(name), stored) for name, stored in blobs.items()]
        database.executemany("INSERT INTO inline_blob VALUES (?, ?)", rows)
    return path


def older_index_file(path: Path, blobs: dict[str, bytes]) -> Path:
    """As before schema 9: inline blobs by numbers of their own."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE blob (blob_no INTEGER PRIMARY KEY, blob_id BLOB)")
        database.execute("CREATE TABLE inline_blob (blob_no INTEGER PRIMARY KEY, data BLOB)")
        for number, (name, stored) in enumerate(blobs.items()):
            database.execute("INSERT INTO blob VALUES (?, ?)", (number, bytes.fromhex(name)))
            database.execute("INSERT INTO inline_blob VALUES (?, ?)", (number, stored))
    return path


@pytest.mark.parametrize("index_of", [index_file, older_index_file])
def test_small_blobs_lie_in_the_index(made: Object, index_of: Callable[[Path, dict[str, bytes]], Path]) -> None:
    inline = {made.names[number]: made.part(number).read_bytes() for number in (1, 2)}
    index = index_of(made.directory / "index ?#.sqlite", inline)
    for number in (1, 2):
        made.part(number).unlink()
    assert made.open() == 1
    assert made.open("--blobs", str(index)) == 0
    assert (made.directory / "out").read_bytes() == made.plaintext


@pytest.mark.parametrize("made", [1], indirect=True)
def test_a_blob_is_named_by_its_id(made: Object) -> None:
    for number in (0, 2):
        index = index_file(made.directory / f"{number}.sqlite", {made.names[2]: made.part(2).read_bytes()})
        asked = [made.names[number], "--key-file", str(made.directory / "key0"), "-o", str(made.directory / "out")]
        asked += ["--blobs", str(made.part(0).parent), "--blobs", str(index)]
        for run in (main, lambda given: CliRunner().invoke(blob_group, ["open", *given]).exit_code):
            (made.directory / "out").unlink(missing_ok=True)
            assert run(asked) == 0
            assert (made.directory / "out").read_bytes() == body(SIZES[number], str(number))
    assert main(["0" * 32, *asked[1:]]) == 1


@pytest.mark.parametrize("made", [1], indirect=True)
@pytest.mark.parametrize("hostile", ["no database", "another database", "endless view", "text for bytes"])
def test_hostile_indexes(
    made: Object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hostile: str
) -> None:
    made.part(1).unlink()
    index = made.directory / "index.sqlite"
    statements = {
        "another database": "CREATE TABLE t (a)",
        "endless view": "CREATE VIEW inline_blob AS WITH RECURSIVE n(x) AS "
        "(SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS blob_id, x AS data FROM n WHERE x < 0",
        "text for bytes": "CREATE TABLE inline_blob (blob_id, data); "
        f"INSERT INTO inline_blob VALUES (x'{made.names[1]}', 'text')",
    }
    if hostile in statements:
        with closing(sqlite3.connect(index)) as database:
            database.executescript(statements[hostile])
    else:
        index.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    monkeypatch.setattr(blob_open, "INDEX_SECONDS", 0.3)
    assert made.open("--blobs", str(index)) == 1
    assert capsys.readouterr().err.count("\n") == 1


def footer_of(document: bytes, *, plain_length: int = 0, descriptor: int = 16) -> bytes:
    """A blob whose tail is consistent, around any envelope."""
    header = b"SEALGT\r\n\x01\x01\x0e\x00" + bytes(116)
    lengths = struct.pack(">QII", plain_length, len(document), descriptor)
    checksum = zlib.crc32(header + document + bytes(min(descriptor, 99)) + lengths)
    body = bytes(16 + min(plain_length, 99))
    return (
        header + body + document + bytes(min(descriptor, 99)) + lengths + struct.pack(">I4x", checksum) + b"\r\nTGLAES"
    )


KMS_WRAP = '"wraps":[{"mode":2,"wrapped":"AAAA","key_arn":"arn:aws:kms:eu-de:1:key/0"}]'


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"version":2}',
        b'{"version":1}',
        b'{"version":1,"mode":[2],"wraps":7}',
        b'{"version":1,"mode":2,"wraps":7,"encryption_context":{}}',
        b'{"version":1,"mode":2,"encryption_context":{},"wraps":[{"mode":2,"wrapped":"AAAA"}]}',
        b'{"version":1,"mode":2,"encryption_context":{},"wraps":[7]}',
        ('{"version":1,"mode":2,"encryption_context":[],' + KMS_WRAP + "}").encode(),
        ('{"version":1,"mode":3,"encryption_context":{},' + KMS_WRAP + "}").encode(),
        ('{"version":1,"mode":1,"encryption_context":{},' + KMS_WRAP + "}").encode(),
        ('{"version":1,"mode":2,"encryption_context":{},' + KMS_WRAP.replace("arn:", "") + "}").encode(),
    ],
)
def test_a_hostile_envelope_asks_nothing_of_the_kms(tmp_path: Path, document: bytes) -> None:
    (tmp_path / "blob").write_bytes(footer_of(document))
    asked = ["open", str(tmp_path / "blob"), "--kms-endpoint", "http://127.0.0.1:1"]
    run = CliRunner().invoke(blob_group, asked)
    assert (run.exit_code, run.output.count("\n")) == (1, 1), run.output
    assert "does not answer" not in run.output


@pytest.mark.parametrize(("plain_length", "descriptor"), [(1 << 63, 16), (0, 1 << 31), (1 << 41, 1 << 31)])
def test_lengths_that_no_blob_has_are_refused_before_they_are_read(
    made: Object, capsys: pytest.CaptureFixture[str], plain_length: int, descriptor: int
) -> None:
    stored = bytearray((made.directory / "manifest").read_bytes())
    stored[-32:-16] = struct.pack(">QII", plain_length, 100, descriptor)
    (made.directory / "manifest").write_bytes(stored)
    assert made.open() == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("http://kms.example", "https"),
        ("file:///etc/passwd", "no URL"),
        ("http://[", "no URL"),
        ("http://127.0.0.1:1", "does not answer"),
        ("http://127.0.0.1:99999", "no URL"),
        ("http://127.0.0.1:port", "no URL"),
    ],
)
def test_a_kms_that_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str, told: str) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x" * 20)
    (tmp_path / "blob").write_bytes(
        footer_of(f'{{"version":1,"mode":2,"encryption_context":{{}},{KMS_WRAP}}}'.encode())
    )
    run = CliRunner().invoke(blob_group, ["open", str(tmp_path / "blob"), "--kms-endpoint", endpoint])
    assert (run.exit_code, run.output.count("\n")) == (1, 1), run.output
    assert told in run.output


def test_what_is_asked_of_the_kms_for_each_mode() -> None:
    wrap = {"mode": 4, "wrapped": base64.b64encode(b"by the KMS").decode(), "key_arn": "arn"}
    local = {"mode": 1, "wrapped": base64.b64encode(bytes(69)).decode(), "key_arn": None}
    asked = asked_of_kms({"mode": 4, "wraps": [wrap, local], "encryption_context": {"a": "b"}})
    assert asked == {"CiphertextBlob": wrap["wrapped"], "KeyId": "arn", "EncryptionContext": {"a": "b"}}
    with pytest.raises(BlobError, match="no key of the KMS"):
        asked_of_kms({"mode": 1, "wraps": [local], "encryption_context": {}})
