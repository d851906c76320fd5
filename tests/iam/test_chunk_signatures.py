"""The chain of chunk signatures: order matters, and a break is final. AWS's examples are in `test_aws_vectors`."""

from __future__ import annotations

import hmac
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iam.chunk_signatures import ChunkVerifier
from iam.errors import AuthenticationError, Reason
from iam.signing_keys import SigningKey

KEY = b"k" * 32
TIMESTAMP = "20130524T000000Z"
SCOPE = "20130524/us-east-1/s3/aws4_request"
SEED = "0" * 64


def verifier() -> ChunkVerifier:
    return ChunkVerifier(SigningKey(KEY), TIMESTAMP, SCOPE, SEED)


def hashed(data: bytes) -> str:
    return sha256(data).hexdigest()


def chunk_signatures(chunks: list[bytes]) -> list[str]:
    """Written after the reference once more, apart from the code under test."""
    signatures = [SEED]
    for chunk in chunks:
        to_sign = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", TIMESTAMP, SCOPE, signatures[-1], hashed(b""), hashed(chunk)])
        signatures.append(hmac.new(KEY, to_sign.encode(), sha256).hexdigest())
    return signatures[1:]


def trailer_signature(previous: str, trailer: bytes) -> str:
    to_sign = "\n".join(["AWS4-HMAC-SHA256-TRAILER", TIMESTAMP, SCOPE, previous, hashed(trailer)])
    return hmac.new(KEY, to_sign.encode(), sha256).hexdigest()


def check_refused(checking: ChunkVerifier, signature: str, chunk: bytes) -> None:
    with pytest.raises(AuthenticationError) as caught:
        checking.verify_chunk(signature, hashed(chunk))
    assert caught.value.reason is Reason.SIGNATURE_MISMATCH


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=6), st.binary(max_size=20))
def test_a_whole_chain_is_accepted(chunks: list[bytes], trailer: bytes) -> None:
    checking = verifier()
    signatures = chunk_signatures([*chunks, b""])
    for chunk, signature in zip([*chunks, b""], signatures, strict=True):
        checking.verify_chunk(signature, hashed(chunk))
    checking.verify_trailer(trailer_signature(signatures[-1], trailer), hashed(trailer))


def test_a_swapped_chunk_is_refused() -> None:
    first, second = chunk_signatures([b"one", b"two"])
    check_refused(verifier(), second, b"two")
    checking = verifier()
    checking.verify_chunk(first, hashed(b"one"))
    check_refused(checking, first, b"one")


@pytest.mark.parametrize("signature", ["", "0" * 64, "é" * 64, "\udcff", "A" * 5000])
def test_a_wrong_signature_is_refused(signature: str) -> None:
    check_refused(verifier(), signature, b"one")


def test_upper_case_hex_is_refused() -> None:
    check_refused(verifier(), chunk_signatures([b"one"])[0].upper(), b"one")


def test_after_a_refusal_everything_is_refused() -> None:
    first = chunk_signatures([b"one"])[0]
    checking = verifier()
    check_refused(checking, "0" * 64, b"one")
    check_refused(checking, first, b"one")


def test_a_trailer_is_no_chunk() -> None:
    with pytest.raises(AuthenticationError):
        verifier().verify_trailer(chunk_signatures([b"one"])[0], hashed(b"one"))


def test_repr_is_blank() -> None:
    assert repr(verifier()) == "ChunkVerifier()"
