"""What upload bodies are framed in: aws-chunked, with and without signatures."""

from __future__ import annotations

from gateway.protocol.aws_chunked import MAX_LINE_BYTES, ChunkedDecoder
from gateway.protocol.errors import S3Error
from iam.chunk_signatures import ChunkVerifier
from iam.errors import AuthenticationError
from iam.signing_keys import SigningKey
from tests.fuzz.inputs import first_line, number_of, refused
from tests.fuzz.target import target

SIGNING_KEY = bytes(range(32))
TIMESTAMP = "20130524T000000Z"
SCOPE = "20130524/us-east-1/s3/aws4_request"
SEED = "0" * 64
SIGNED_PAYLOADS = (b"", b"a" * 8192 + b"b" * 100, bytes(range(256)))
"""What was signed under SIGNING_KEY, in the corpus."""

_MAX_LENGTH = 1 << 20


def new_verifier() -> ChunkVerifier:
    return ChunkVerifier(SigningKey(SIGNING_KEY), TIMESTAMP, SCOPE, SEED)


@target("aws-chunked", b"chunk-signature=", b";", b"\r\n", b"0\r\n", b"0\r\n\r\n", b"x-amz-checksum-crc32:",
        b"x-amz-trailer-signature:", b"AAAAAA==", b"signed", b"unsigned", b"ffffffffffffffff", b"2000;")  # fmt: skip
def aws_chunked(data: bytes) -> str:
    """Whatever the pieces in which a body arrives, the payload and the trailers are the same, or the refusal is.

    There is never more payload than was declared, exactly so much where a body is whole, and where chunks are signed it
    is one that was signed. First line: `signed` or `unsigned`, the declared length, the names of trailers.
    """
    line, body = first_line(data)
    kind, _, rest = line.partition(" ")
    length, *names = rest.split(" ")
    decoded_length = number_of(length, 0, _MAX_LENGTH)
    is_signed = kind == "signed"
    sizes = (len(body) or 1, 1 + sum(body[:7]) % 97, 1) if len(body) < 2048 else (len(body), 1 + sum(body[:7]) % 997)
    results = {_decoded(body, size, is_signed, decoded_length, names) for size in sizes}
    assert len(results) == 1, results
    outcome, payload, _ = results.pop()
    if outcome == "ok" and is_signed:
        assert payload in SIGNED_PAYLOADS, "chunks that nobody signed"
    return outcome


def _decoded(
    body: bytes, size: int, is_signed: bool, decoded_length: int, names: list[str]
) -> tuple[str, bytes, tuple[tuple[str, str], ...]]:
    decoder = ChunkedDecoder(
        signed=is_signed,
        trailer_names=names,
        verifier=new_verifier() if is_signed else None,
        decoded_length=decoded_length,
    )
    payload = bytearray()
    try:
        for at in range(0, len(body), size):
            for piece in decoder.feed(body[at : at + size]):
                payload += piece
            assert len(payload) <= decoded_length
            assert len(decoder._line) < MAX_LINE_BYTES  # what is kept of what was not understood yet
        trailers = decoder.finish()
    except S3Error as error:
        return refused(error, len(body)), b"", ()
    except AuthenticationError as error:
        return error.reason.value, b"", ()
    assert decoder.is_done and len(payload) == decoded_length
    return "ok", bytes(payload), tuple(sorted(trailers.items()))
