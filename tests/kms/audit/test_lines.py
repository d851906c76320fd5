"""Lines and checkpoints, and the worked example of docs/formats/audit-line.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kms.audit.event import Event
from kms.audit.files import file_name, first_seq_of
from kms.audit.lines import (
    GENESIS,
    MAX_LINE_BYTES,
    Checkpoint,
    FileStart,
    Head,
    MalformedLine,
    Record,
    Repair,
    Trouble,
    chain,
    encode_record,
    parse_place,
    parse_record,
)
from kms.audit.signatures import BadPublicKey, is_signed, load_public_key, load_public_keys
from kms.audit.verify import Verifier
from tests.kms.audit.trails import SoftSigner, event, file_start

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "formats" / "audit-line.md"
SIGNER = SoftSigner()

RECORDS: list[Record] = [
    event(1),
    event(2, error_code="NotFoundException", error_message="Alias «ä\n\u2028» is not found.", key_version=3),
    file_start(),
    SIGNER.checkpoint(GENESIS),
    Repair("2026", 3, 0, "0" * 64, "audit-1.cut-3"),
    Trouble("2026", "2025", "No space left on device", 1, 2, 3),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_comes_back_from_its_line_with_its_place(record: Record) -> None:
    line, head = chain(Head(41, "ab" * 32), encode_record(record))
    assert parse_place(line) == (42, "ab" * 32)
    assert parse_record(line) == record
    assert head.seq == 42
    assert b"\n" not in line
    assert json.loads(line)["seq"] == 42


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"seq":1}',
        b'{"seq":"1","prev":""}',
        b'{"seq":1.5,"prev":""}',
        b'{"seq":1,"prev":""}x',
        b'{"later":' + b"[" * 5000,
        bytes(20),
    ],
)
def test_what_has_no_place_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedLine):
        parse_place(line)


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b'{"record":"other"}',
        b'{"record":"event"}',
        b'{"record":"file","format":"1"}',
        b'{"record":"file","later":' + b"[" * 5000,
    ],
)
def test_what_is_no_record_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedLine):
        parse_record(line)


def test_fields_of_a_later_release_are_ignored() -> None:
    line = encode_record(file_start())[:-1] + b',"later":1}'
    assert parse_record(line) == file_start()


def test_the_largest_request_fits_a_line() -> None:
    """512 KiB of control characters, which JSON writes as six bytes each, beside the rest of a line."""
    context = {"requestParameters": "\x01" * (512 * 1024)}
    assert len(encode_record(event(request_parameters=context))) < MAX_LINE_BYTES


def test_file_names_sort_as_their_numbers() -> None:
    names = [file_name(number) for number in (1, 2, 10, 999, 10**15)]
    assert names == sorted(names)
    assert [first_seq_of(Path(name)) for name in names] == [1, 2, 10, 999, 10**15]


def test_a_signature_verifies_under_its_own_key_alone() -> None:
    checkpoint = SIGNER.checkpoint(Head(5, "ab" * 32))
    assert is_signed(checkpoint, SIGNER.public_keys())
    assert not is_signed(checkpoint, SoftSigner().public_keys())
    assert not is_signed(checkpoint, {})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time", "2027"),
        ("node", "0" * 32),
        ("epoch", 2),
        ("reason", "stop"),
        ("covers", 6),
        ("hash", "cd" * 32),
        ("signature", bytes(64)),
        ("signature", b""),
        ("signature", bytes(65)),
        ("signature", b"\xff" * 64),
    ],
)
def test_a_signature_is_of_every_field(field: str, value: object) -> None:
    checkpoint = SIGNER.checkpoint(Head(5, "ab" * 32))
    fields = {name: getattr(checkpoint, name) for name in checkpoint.__struct_fields__}
    assert not is_signed(Checkpoint(**{**fields, field: value}), SIGNER.public_keys())


def pem(curve: ec.EllipticCurve) -> str:
    key = ec.generate_private_key(curve).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_pem_text_may_hold_several_keys() -> None:
    assert len(load_public_keys([pem(ec.SECP256R1()) + pem(ec.SECP256R1()), pem(ec.SECP256R1())])) == 3


@pytest.mark.parametrize("text", ["", "no key", pem(ec.SECP384R1()), pem(ec.SECP256R1()).replace("M", "N", 3)])
def test_what_is_no_p256_key_is_refused(text: str) -> None:
    with pytest.raises(BadPublicKey):
        load_public_keys([text])


def test_what_is_no_key_in_der_form_is_refused() -> None:
    with pytest.raises(BadPublicKey):
        load_public_key(b"no key")


def example() -> tuple[list[bytes], str]:
    """The lines and the public key of the document's block."""
    block = DOCUMENT.read_text("utf-8").split("## Worked example")[1].split("```")[1].strip()
    text, _, key = block.partition("-----BEGIN")
    return text.strip().encode().split(b"\n"), f"-----BEGIN{key}\n"


def test_the_worked_example_verifies(tmp_path: Path) -> None:
    lines, key = example()
    (tmp_path / file_name(1)).write_bytes(b"".join(line + b"\n" for line in lines))
    report = Verifier(load_public_keys([key]), ends_with_stop=True).verify(tmp_path)
    assert (report.problems, report.notes, report.lines, report.events) == ([], [], 3, 1)


def test_the_worked_example_is_what_we_write() -> None:
    lines, _ = example()
    head = GENESIS
    kinds = []
    for line in lines:
        record = parse_record(line)
        kinds.append(type(record))
        made, head = chain(head, encode_record(record))
        assert made == line
    assert kinds == [FileStart, Event, Checkpoint]


def test_the_document_names_every_field() -> None:
    text = DOCUMENT.read_text("utf-8")
    for record in RECORDS:
        for name in json.loads(encode_record(record)):
            assert f"`{name}`" in text, name
