import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocol.aws_chunked import MAX_LINE_BYTES, MAX_TRAILER_BYTES, ChunkedDecoder
from gateway.protocol.errors import S3Error

CRC32 = "x-amz-checksum-crc32"
KIB8 = 8192


@dataclass
class Chain:
    """A chain of signatures as SigV4's, for signing and for verifying: each covers the one before."""

    previous: str = "seed"
    seen: list[str] = field(default_factory=list)

    def sign(self, kind: str, digest: str) -> str:
        self.previous = hmac.digest(b"key", f"{kind}\n{self.previous}\n{digest}".encode(), "sha256").hex()
        return self.previous

    def verify_chunk(self, signature: str, payload_sha256_hex: str) -> None:
        self.seen.append(payload_sha256_hex)
        if self.sign("chunk", payload_sha256_hex) != signature:
            raise S3Error("SignatureDoesNotMatch")

    def verify_trailer(self, signature: str, trailer_sha256_hex: str) -> None:
        self.seen.append("trailer")
        if self.sign("trailer", trailer_sha256_hex) != signature:
            raise S3Error("SignatureDoesNotMatch")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def encode(chunks: Sequence[bytes], *, signed: bool, trailers: Sequence[tuple[str, str]] = ()) -> bytes:
    chain = Chain()
    wire = b""
    for chunk in (*chunks, b""):
        extension = f";chunk-signature={chain.sign('chunk', sha256(chunk))}" if signed else ""
        wire += f"{len(chunk):x}{extension}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    for name, value in trailers:
        wire += f"{name}:{value}\r\n".encode()
    if signed and trailers:
        canonical = "".join(f"{name}:{value}\n" for name, value in trailers)
        wire += f"x-amz-trailer-signature:{chain.sign('trailer', sha256(canonical.encode()))}\r\n".encode()
    return wire + b"\r\n"


def decoder(signed: bool, length: int, names: Sequence[str] = ()) -> ChunkedDecoder:
    return ChunkedDecoder(
        signed=signed, trailer_names=names, verifier=Chain() if signed else None, decoded_length=length
    )


def decode(decoder: ChunkedDecoder, pieces: Sequence[bytes]) -> tuple[bytes, dict[str, str]] | str:
    """The payload and the trailers, or the code of the error."""
    payload = b""
    try:
        for piece in pieces:
            payload += b"".join(decoder.feed(piece))
        return payload, decoder.finish()
    except S3Error as error:
        assert not decoder.is_done or error.code == "IncompleteBody"
        return error.code


def check(wire: bytes, expected: object, *, signed: bool, length: int, names: Sequence[str] = ()) -> None:
    """The same verdict whole, byte by byte, and cut at every place (of short bodies)."""
    assert decode(decoder(signed, length, names), [wire]) == expected
    if len(wire) < 600:
        assert decode(decoder(signed, length, names), [wire[i : i + 1] for i in range(len(wire))]) == expected
        for cut in range(0, len(wire), 3):
            assert decode(decoder(signed, length, names), [wire[:cut], b"", wire[cut:]]) == expected


@pytest.mark.parametrize("signed", [False, True])
def test_bodies_without_trailer(signed: bool) -> None:
    check(encode([], signed=signed), (b"", {}), signed=signed, length=0)
    check(encode([b"hello"], signed=signed), (b"hello", {}), signed=signed, length=5)
    body = bytes(range(256)) * 32
    check(
        encode([body, b"\r\n0\r\n\r\n"], signed=signed), (body + b"\r\n0\r\n\r\n", {}), signed=signed, length=KIB8 + 7
    )


@pytest.mark.parametrize("signed", [False, True])
def test_bodies_with_trailer(signed: bool) -> None:
    trailers = [(CRC32, "AAAAAA==")]
    check(
        encode([b"hello"], signed=signed, trailers=trailers),
        (b"hello", {CRC32: "AAAAAA=="}),
        signed=signed,
        length=5,
        names=[CRC32],
    )


UNSIGNED: list[tuple[bytes, int, Sequence[str], object]] = [
    (b"5\r\nhello\r\n0\r\n\r\n", 5, [], (b"hello", {})),
    (b"A\r\n0123456789\r\n0\r\n\r\n", 10, [], (b"0123456789", {})),
    (b"0005;chunk-signature=ignored\r\nhello\r\n00\r\n\r\n", 5, [], (b"hello", {})),
    (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 5, [], (b"abcde", {})),  # small chunks are fine without signatures
    (b"0\r\nX-Amz-Checksum-CRC32: AAAAAA== \r\n\r\n", 0, [CRC32], (b"", {CRC32: "AAAAAA=="})),
    (b"0\r\nx-amz-checksum-crc32:AAAAAA==\n\n", 0, [CRC32], (b"", {CRC32: "AAAAAA=="})),
    (b"0\r\nx-amz-checksum-crc32:\r\n\r\n", 0, [CRC32], (b"", {CRC32: ""})),
    # cut off
    (b"", 0, [], "IncompleteBody"),
    (b"5", 5, [], "IncompleteBody"),
    (b"5\r\nhell", 5, [], "IncompleteBody"),
    (b"5\r\nhello", 5, [], "IncompleteBody"),
    (b"5\r\nhello\r\n", 5, [], "IncompleteBody"),
    (b"5\r\nhello\r\n0\r\n", 5, [], "IncompleteBody"),
    (b"5\r\nhello\r\n0\r\n\r", 5, [], "IncompleteBody"),
    # malformed
    (b"\r\n", 0, [], "IncompleteBody"),
    (b"x\r\n", 0, [], "IncompleteBody"),
    (b"-1\r\n", 0, [], "IncompleteBody"),
    (b"0x5\r\nhello\r\n0\r\n\r\n", 5, [], "IncompleteBody"),
    (b"5\nhello\r\n0\r\n\r\n", 5, [], "IncompleteBody"),
    (b"5\r\nhello0\r\n\r\n", 5, [], "IncompleteBody"),
    (b"4\r\nhello\r\n0\r\n\r\n", 5, [], "IncompleteBody"),
    (b"5\r\nhello\r\n0\r\n\r\nmore", 5, [], "IncompleteBody"),
    (b"f" * 17 + b"\r\n", 5, [], "IncompleteBody"),
    (b"f" * 16 + b"\r\n", 5, [], "IncompleteBody"),
    (b"0" * MAX_LINE_BYTES, 5, [], "IncompleteBody"),
    (b"0;" + b"a" * MAX_LINE_BYTES + b"\r\n\r\n", 0, [], "IncompleteBody"),
    # other lengths than declared
    (b"5\r\nhello\r\n0\r\n\r\n", 4, [], "IncompleteBody"),
    (b"5\r\nhello\r\n0\r\n\r\n", 6, [], "IncompleteBody"),
    # trailers
    (b"0\r\n\r\n", 0, [CRC32], "MalformedTrailerError"),
    (b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", 0, [], "MalformedTrailerError"),
    (b"0\r\nx-amz-checksum-sha1:AAAAAA==\r\n\r\n", 0, [CRC32], "MalformedTrailerError"),
    (b"0\r\nx-amz-checksum-crc32:A\r\nx-amz-checksum-crc32:A\r\n\r\n", 0, [CRC32], "MalformedTrailerError"),
    (b"0\r\nx-amz-checksum-crc32\r\n\r\n", 0, [CRC32], "MalformedTrailerError"),
    (b"0\r\nx-amz-checksum-crc32:\x00\r\n\r\n", 0, [CRC32], "MalformedTrailerError"),
    (b"0\r\nx-amz-checksum-crc32:\xc3\xa9\r\n\r\n", 0, [CRC32], "MalformedTrailerError"),
    (b"0\r\nx-amz-trailer-signature:A\r\n\r\n", 0, [], "MalformedTrailerError"),
]


@pytest.mark.parametrize(("wire", "length", "names", "expected"), UNSIGNED)
def test_unsigned_bodies(wire: bytes, length: int, names: Sequence[str], expected: object) -> None:
    check(wire, expected, signed=False, length=length, names=names)


def test_the_trailer_section_is_bounded() -> None:
    line = b"x-amz-checksum-crc32:" + b"A" * 400 + b"\r\n"
    names = [CRC32, *(f"x-{i}" for i in range(20))]
    lines = b"".join(f"x-{i}:".encode() + b"A" * 400 + b"\r\n" for i in range(20))
    assert len(lines) > MAX_TRAILER_BYTES
    assert decode(decoder(False, 0, names), [b"0\r\n" + line + lines + b"\r\n"]) == "MalformedTrailerError"


def test_a_decoder_keeps_no_more_than_a_line() -> None:
    unfinished = decoder(False, 1 << 30)
    with pytest.raises(S3Error):
        for _ in range(MAX_LINE_BYTES + 1):
            unfinished.feed(b"0")


def test_payload_is_handed_out_without_copies_and_before_its_chunk_ends() -> None:
    data = b"100000\r\n" + bytes(1000)
    (piece,) = decoder(False, 1 << 20).feed(data)
    assert piece.obj is data and len(piece) == 1000


def signed_wire() -> bytes:
    return encode([b"a" * KIB8, b"tail"], signed=True, trailers=[(CRC32, "AAAAAA==")])


FIRST_CHUNK = len("2000;chunk-signature=") + 64 + 2 + KIB8 + 2

TAMPERED: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("payload", lambda wire: wire.replace(b"tail", b"tali"), "SignatureDoesNotMatch"),
    (
        "chunk signature",
        lambda wire: wire.replace(b"chunk-signature=", b"chunk-signature=0")[:-1],
        "SignatureDoesNotMatch",
    ),
    ("no extension", lambda wire: b"2000" + wire[wire.index(b"\r\n") :], "SignatureDoesNotMatch"),
    ("trailer value", lambda wire: wire.replace(b"AAAAAA==", b"AAAAAQ=="), "SignatureDoesNotMatch"),
    ("trailer unsigned", lambda wire: wire[: wire.index(b"x-amz-trailer-sig")] + b"\r\n", "IncompleteBody"),
    ("trailer dropped", lambda wire: wire.replace(b"x-amz-checksum-crc32:AAAAAA==\r\n", b""), "MalformedTrailerError"),
    (
        "trailer after signature",
        lambda wire: wire[:-2] + b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        "MalformedTrailerError",
    ),
    ("cut after first chunk", lambda wire: wire[:FIRST_CHUNK], "IncompleteBody"),
    ("ended after first chunk", lambda wire: wire[:FIRST_CHUNK] + b"0\r\n\r\n", "SignatureDoesNotMatch"),
]


@pytest.mark.parametrize(("what", "tamper", "code"), TAMPERED, ids=[row[0] for row in TAMPERED])
def test_tampered_signed_bodies(what: str, tamper: Callable[[bytes], bytes], code: str) -> None:
    wire = signed_wire()
    payload, trailers = b"a" * KIB8 + b"tail", {CRC32: "AAAAAA=="}
    check(wire, (payload, trailers), signed=True, length=len(payload), names=[CRC32])
    changed = tamper(wire)
    assert changed != wire
    check(changed, code, signed=True, length=len(payload), names=[CRC32])


def test_the_chain_covers_every_chunk_the_last_one_and_the_trailer() -> None:
    chain = Chain()
    body = ChunkedDecoder(signed=True, trailer_names=[CRC32], verifier=chain, decoded_length=KIB8 + 4)
    body.feed(signed_wire())
    assert body.finish() == {CRC32: "AAAAAA=="}
    assert chain.seen == [sha256(b"a" * KIB8), sha256(b"tail"), sha256(b""), "trailer"]


def test_empty_lines_before_the_trailer_signature_are_tolerated() -> None:
    wire = signed_wire().replace(b"AAAAAA==\r\n", b"AAAAAA==\n\r\n\r\n")
    check(wire, (b"a" * KIB8 + b"tail", {CRC32: "AAAAAA=="}), signed=True, length=KIB8 + 4, names=[CRC32])


def test_only_the_last_signed_chunk_may_be_small() -> None:
    check(encode([b"x", b"y"], signed=True), "InvalidChunkSizeError", signed=True, length=2)
    check(encode([b"x" * KIB8, b"y"], signed=True), (b"x" * KIB8 + b"y", {}), signed=True, length=KIB8 + 1)
    check(encode([b"x" * (KIB8 - 1), b"y"], signed=True), "InvalidChunkSizeError", signed=True, length=KIB8)


def cut(wire: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({place % (len(wire) + 1) for place in cuts})
    return [wire[start:end] for start, end in zip([0, *places], [*places, len(wire)], strict=True)]


CUTS = st.lists(st.integers(0, 10**6), max_size=12)


@settings(max_examples=60)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.booleans(), st.booleans(), CUTS, st.data())
def test_any_split_gives_the_same_payload_and_verdict(
    chunks: list[bytes], signed: bool, has_trailer: bool, cuts: list[int], data: st.DataObject
) -> None:
    if signed:
        chunks = [chunk * (KIB8 // len(chunk) + 1) for chunk in chunks]
    trailers = [(CRC32, "AAAAAA==")] if has_trailer else []
    names = [name for name, _ in trailers]
    payload = b"".join(chunks)
    wire = encode(chunks, signed=signed, trailers=trailers)
    assert decode(decoder(signed, len(payload), names), cut(wire, cuts)) == (payload, dict(trailers))
    position = data.draw(st.integers(0, len(wire) - 1))
    changed = wire[:position] + bytes([data.draw(st.integers(0, 255))]) + wire[position + 1 :]
    whole = decode(decoder(signed, len(payload), names), [changed])
    assert decode(decoder(signed, len(payload), names), cut(changed, cuts)) == whole
    if signed:
        assert isinstance(whole, str) or whole == (payload, dict(trailers))


GRAMMAR = st.lists(
    st.sampled_from(
        [b"0", b"5", b"\r\n", b"\n", b"hello", b";", b"chunk-signature=" + b"0" * 64, CRC32.encode(), b":A"]
    )
    | st.binary(max_size=4),
    max_size=14,
).map(b"".join)


@given(GRAMMAR, st.booleans(), st.booleans(), CUTS)
def test_nothing_but_s3_errors_and_the_same_one_for_every_split(
    wire: bytes, signed: bool, has_trailer: bool, cuts: list[int]
) -> None:
    names = [CRC32] if has_trailer else []
    whole = decode(decoder(signed, 5, names), [wire])
    assert decode(decoder(signed, 5, names), cut(wire, cuts)) == whole
    assert isinstance(whole, str) or len(whole[0]) == 5
