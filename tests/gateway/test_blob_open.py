from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import blob_open
from gateway.blob_open import Blob, BlobError, bucket_data_key, customer_data_key, main, parse_key, service_data_key
from gateway.commands.blob import blob as blob_group
from gateway.protocol.modes import Mode, Wrap
from gateway.sealing.customer_keys import customer_wrap
from gateway.sealing.format import lp
from gateway.sealing.stream import BlobSealer
from gateway.sealing.wraps import bucket_key_wrap, local_wrap
from tests.gateway.sealing.material import SMALL, SealedBlob, envelope, key, sealed_blob

SOURCE = Path(blob_open.__file__)

pytestmark = pytest.mark.usefixtures("unrecorded")  # a blob is sealed once more, to have another footer


@pytest.fixture
def files(tmp_path: Path) -> Path:
    blob = sealed_blob(2 * SMALL + 3, label="file")
    (tmp_path / "blob").write_bytes(blob.stored)
    (tmp_path / "key").write_bytes(blob.data_key.reveal())
    (tmp_path / "hex").write_text(blob.data_key.reveal().hex() + "\n")
    (tmp_path / "plaintext").write_bytes(blob.plaintext)
    return tmp_path


def test_it_needs_nothing_of_ours() -> None:
    tree = ast.parse(SOURCE.read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    ours = {name.split(".")[0] for name in imported} - sys.stdlib_module_names
    assert ours == {"cryptography"}


def test_it_runs_alone_from_anywhere(files: Path) -> None:
    copy = files / "copied.py"
    copy.write_bytes(SOURCE.read_bytes())
    run = subprocess.run(
        [sys.executable, "-I", copy, files / "blob", "--key-file", files / "hex"], capture_output=True, check=True
    )
    assert run.stdout == (files / "plaintext").read_bytes()


@pytest.mark.parametrize("name", ["key", "hex"])
def test_plaintext_and_descriptor_go_to_files(files: Path, name: str) -> None:
    out, descriptor = files / "out", files / "descriptor"
    arguments = [files / "blob", "--key-file", files / name, "-o", out, "--descriptor", descriptor]
    assert main([str(argument) for argument in arguments]) == 0
    assert out.read_bytes() == (files / "plaintext").read_bytes()
    assert out.stat().st_mode & 0o777 == 0o600
    assert descriptor.read_bytes() == b'{"key":"x"}'
    assert not list(files.glob("*.partial"))


def test_a_damaged_blob_leaves_no_file(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = bytearray((files / "blob").read_bytes())
    stored[128 + SMALL + 16] ^= 1
    (files / "blob").write_bytes(stored)
    assert main([str(files / "blob"), "--key-file", str(files / "key"), "-o", str(files / "out")]) == 1
    assert "segment 1 is damaged" in capsys.readouterr().err
    assert not (files / "out").exists()
    assert not list(files.glob("*.partial"))


@pytest.mark.parametrize("wrong", ["other", "short", "missing"])
def test_a_wrong_key_is_one_sentence_and_no_traceback(
    files: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    (files / "other").write_bytes(key().reveal())
    (files / "short").write_bytes(b"abc")
    assert main([str(files / "blob"), "--key-file", str(files / wrong)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("blob_open: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("text", [b"", b"ab" * 31, b"ab" * 33, b"zz" * 32, "ä".encode() * 20, bytes(31), bytes(33)])
def test_keys_are_32_bytes_or_64_digits(text: bytes) -> None:
    with pytest.raises(BlobError, match="32 bytes"):
        parse_key(text)


def opened(blob: SealedBlob, stored: bytes) -> bytes:
    keys = [secret.reveal() for secret in (blob.data_key, blob.second_key) if secret]
    return b"".join(Blob(io.BytesIO(stored), keys).segments())


@pytest.mark.parametrize("two_layers", [False, True])
def test_every_bit_of_a_blob_counts(two_layers: bool) -> None:
    blob = sealed_blob(2, two_layers=two_layers)
    assert opened(blob, blob.stored) == blob.plaintext
    for bit in range(8 * len(blob.stored)):
        changed = bytearray(blob.stored)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BlobError):
            opened(blob, bytes(changed))


def test_a_blob_of_any_other_length_is_refused() -> None:
    blob = sealed_blob(2)
    for length in range(len(blob.stored)):
        with pytest.raises(BlobError):
            opened(blob, blob.stored[:length])
    with pytest.raises(BlobError):
        opened(blob, blob.stored + b"\0")


def test_dropped_and_swapped_segments_are_refused() -> None:
    blob = sealed_blob(2 * SMALL)
    step = SMALL + 16
    first, second = blob.segments[:step], blob.segments[step:]
    for segments in (second + first, first + first, second + second, first, second):
        with pytest.raises(BlobError):
            opened(blob, blob.header + segments + blob.footer)


def test_as_many_keys_as_layers() -> None:
    one, two = sealed_blob(1), sealed_blob(1, two_layers=True)
    with pytest.raises(BlobError, match="2 layer"):
        Blob(io.BytesIO(two.stored), [two.data_key.reveal()])
    with pytest.raises(BlobError, match="1 layer"):
        Blob(io.BytesIO(one.stored), [one.data_key.reveal()] * 2)


CUSTOMER_KEY = key()


def under_a_customer_key(size: int = 2 * SMALL + 3) -> SealedBlob:
    """A blob whose footer holds its data key wrapped by CUSTOMER_KEY."""
    blob, bound = sealed_blob(size), envelope()
    aad = lp((bound.account_id.encode(), bound.bucket_id, bound.row_uid))
    wrapped = customer_wrap(CUSTOMER_KEY, blob.data_key, aad, account_id=bound.account_id, bucket_id=bound.bucket_id)
    told = envelope(mode=Mode.SSE_C, wraps=(Wrap(Mode.SSE_C, wrapped),))
    sealer = BlobSealer(blob.data_key, blob.blob_id, seg_log2=14, salt=blob.header[32:64])
    segments = sealer.seal(blob.plaintext)
    return replace(blob, header=sealer.header, segments=segments, footer=sealer.footer(told, b'{"key":"x"}'))


@pytest.mark.parametrize("form", ["bytes", "hex", "base64"])
def test_the_customers_key_alone_opens_a_blob(tmp_path: Path, form: str) -> None:
    blob, secret = under_a_customer_key(), CUSTOMER_KEY.reveal()
    (tmp_path / "blob").write_bytes(blob.stored)
    forms = {"bytes": secret, "hex": secret.hex().encode() + b"\n", "base64": base64.b64encode(secret) + b"\n"}
    (tmp_path / "key").write_bytes(forms[form])
    arguments = ["blob", "--customer-key-file", "key", "-o", "out", "--descriptor", "descriptor"]
    assert main([each if each.startswith("-") else str(tmp_path / each) for each in arguments]) == 0
    assert (tmp_path / "out").read_bytes() == blob.plaintext
    assert (tmp_path / "descriptor").read_bytes() == b'{"key":"x"}'


def data_key_of(stored: bytes, customer_key: bytes) -> bytes:
    return customer_data_key(io.BytesIO(stored), customer_key)


def test_another_customers_key_is_told_as_such() -> None:
    stored = under_a_customer_key().stored
    for wrong in (key().reveal(), CUSTOMER_KEY.reveal()[:31] + b"?"):
        with pytest.raises(BlobError, match="not the customer's key"):
            data_key_of(stored, wrong)


def test_a_blob_under_no_customers_key_is_told_as_such() -> None:
    with pytest.raises(BlobError, match="not under a customer's key"):
        data_key_of(sealed_blob(1).stored, CUSTOMER_KEY.reveal())


def test_a_damaged_blob_gives_no_other_data_key() -> None:
    """Whatever bit is changed, the data key is the right one or there is none; what it opens is verified besides."""
    blob = under_a_customer_key(2)
    for bit in range(8 * 128, 8 * len(blob.stored)):
        changed = bytearray(blob.stored)
        changed[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(BlobError):
            assert data_key_of(bytes(changed), CUSTOMER_KEY.reveal()) == blob.data_key.reveal()
    for length in range(len(blob.stored)):
        with contextlib.suppress(BlobError):
            assert data_key_of(blob.stored[:length], CUSTOMER_KEY.reveal()) == blob.data_key.reveal()


BUCKET_KEY = bytearray(key().reveal())


def under_a_bucket_key(size: int = 2 * SMALL + 3) -> SealedBlob:
    """A blob whose footer holds its data key wrapped by BUCKET_KEY."""
    blob, bound = sealed_blob(size), envelope()
    aad = lp((bound.bucket_id, bound.row_uid, "ö/key".encode()))
    wrap = Wrap(Mode.SSE_KMS_BUCKET_KEY, bucket_key_wrap(BUCKET_KEY, b"from the KMS", blob.data_key, aad), "arn", 1)
    context = {"aws:s3:arn": "arn:aws:s3:::bucket"}
    told = envelope(mode=wrap.mode, wraps=(wrap,), encryption_context=context, object_key="ö/key")
    sealer = BlobSealer(blob.data_key, blob.blob_id, seg_log2=14, salt=blob.header[32:64])
    segments = sealer.seal(blob.plaintext)
    return replace(blob, header=sealer.header, segments=segments, footer=sealer.footer(told, b'{"key":"x"}'))


def test_the_bucket_key_opens_a_blob(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blob = under_a_bucket_key()
    (tmp_path / "blob").write_bytes(blob.stored)
    (tmp_path / "key").write_bytes(BUCKET_KEY)
    assert main([str(tmp_path / "blob"), "--show-bucket-key"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "CiphertextBlob": base64.b64encode(b"from the KMS").decode(),
        "KeyId": "arn",
        "EncryptionContext": {"aws:s3:arn": "arn:aws:s3:::bucket"},
    }
    arguments = ["blob", "--bucket-key-file", "key", "-o", "out", "--descriptor", "descriptor"]
    assert main([each if each.startswith("-") else str(tmp_path / each) for each in arguments]) == 0
    assert (tmp_path / "out").read_bytes() == blob.plaintext
    assert (tmp_path / "descriptor").read_bytes() == b'{"key":"x"}'


def test_another_bucket_key_or_a_damaged_blob_gives_no_data_key() -> None:
    blob = under_a_bucket_key(2)
    with pytest.raises(BlobError, match="not the one"):
        bucket_data_key(io.BytesIO(blob.stored), key().reveal())
    with pytest.raises(BlobError, match="not under a bucket key"):
        bucket_data_key(io.BytesIO(sealed_blob(1).stored), bytes(BUCKET_KEY))
    for bit in range(8 * 128, 8 * len(blob.stored)):
        changed = bytearray(blob.stored)
        changed[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(BlobError):
            assert bucket_data_key(io.BytesIO(changed), bytes(BUCKET_KEY)) == blob.data_key.reveal()


SERVICE_KEY = key()


def under_the_service_key(mode: Mode, size: int = 2 * SMALL + 3, epoch: int = 3) -> SealedBlob:
    """As the gateway writes it: by SSE-S3, by DSSE-KMS (its second key), or a manifest by SSE-C."""
    blob, bound = sealed_blob(size, two_layers=mode is Mode.DSSE_KMS), envelope()
    fields = (bound.account_id.encode(), bound.bucket_id, bound.row_uid)
    if blob.second_key is not None:
        before, secret, fields = (Wrap(mode, b"from the KMS", "arn", 1),), blob.second_key, (*fields, b"\1")
    else:
        before, secret = (Wrap(mode, bytes(113)),) if mode is Mode.SSE_C else (), blob.data_key
    wraps = (*before, Wrap(Mode.SSE_S3, local_wrap(SERVICE_KEY, epoch, secret, lp(fields))))
    sealer = BlobSealer(blob.data_key, blob.blob_id, second_key=blob.second_key, seg_log2=14, salt=blob.header[32:64])
    segments = sealer.seal(blob.plaintext)
    footer = sealer.footer(envelope(mode=mode, wraps=wraps), b'{"key":"x"}')
    return replace(blob, header=sealer.header, segments=segments, footer=footer)


@pytest.mark.parametrize("mode", [Mode.SSE_S3, Mode.DSSE_KMS, Mode.SSE_C])
@pytest.mark.parametrize("by_command", [False, True], ids=["alone", "sealgate"])
def test_the_services_key_opens_what_it_wrapped(tmp_path: Path, mode: Mode, *, by_command: bool) -> None:
    blob = under_the_service_key(mode)
    for name, content in (("blob", blob.stored), ("kms", blob.data_key.reveal()), ("service", SERVICE_KEY.reveal())):
        (tmp_path / name).write_bytes(content)
    arguments = [str(tmp_path / "blob"), "--service-key-file", str(tmp_path / "service")]
    arguments += ["--key-file", str(tmp_path / "kms")] if mode is Mode.DSSE_KMS else []
    arguments += ["-o", str(tmp_path / "out"), "--descriptor", str(tmp_path / "descriptor")]
    if by_command:
        assert CliRunner().invoke(blob_group, ["open", *arguments]).exit_code == 0
    else:
        assert main(arguments) == 0
    assert (tmp_path / "out").read_bytes() == blob.plaintext
    assert (tmp_path / "descriptor").read_bytes() == b'{"key":"x"}'


def service_key_of(stored: bytes, service_key: bytes = SERVICE_KEY.reveal()) -> bytes:
    return service_data_key(io.BytesIO(stored), service_key)


@pytest.mark.parametrize("mode", [Mode.SSE_S3, Mode.DSSE_KMS, Mode.SSE_C])
def test_another_service_key_or_a_damaged_blob_gives_no_data_key(mode: Mode) -> None:
    blob = under_the_service_key(mode, 2)
    right = (blob.second_key or blob.data_key).reveal()
    assert service_key_of(blob.stored) == right
    with pytest.raises(BlobError, match="not the one"):
        service_key_of(blob.stored, key().reveal())
    with pytest.raises(BlobError, match="nothing in this blob"):
        service_key_of(under_a_customer_key(1).stored)
    for bit in range(8 * 128, 8 * len(blob.stored)):
        changed = bytearray(blob.stored)
        changed[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(BlobError):
            assert service_key_of(bytes(changed)) == right


def test_the_second_key_of_two_layers_opens_nothing_as_the_first_of_one() -> None:
    """The envelope says whose place a wrap is for, in clear: who changes that gets no key."""
    blob = under_the_service_key(Mode.DSSE_KMS, 2)
    told = blob.stored.replace(b'"mode":4,"wraps"', b'"mode":1,"wraps"')
    assert told != blob.stored
    with pytest.raises(BlobError, match="not the one"):
        service_key_of(told)


def test_one_layer_is_not_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blob = under_the_service_key(Mode.DSSE_KMS, 2)
    (tmp_path / "blob").write_bytes(blob.stored)
    (tmp_path / "kms").write_bytes(blob.data_key.reveal())
    (tmp_path / "service").write_bytes(SERVICE_KEY.reveal())
    for option, name in (("--service-key-file", "service"), ("--key-file", "kms")):
        assert main([str(tmp_path / "blob"), option, str(tmp_path / name)]) == 1
        assert "2 layer(s)" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--service-key-file", "a", "--second-key-file", "b", "--key-file", "c"], []])
def test_keys_that_do_not_go_together(files: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(files / "blob"), *arguments])
    there = [str(files / "key") if not each.startswith("-") else each for each in arguments]
    assert CliRunner().invoke(blob_group, ["open", str(files / "blob"), *there]).exit_code == 2


def test_a_data_key_or_a_customers_key(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--key-file", "a", "--customer-key-file", "b"])
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
