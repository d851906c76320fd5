"""Unwrapping of material, against what `cryptography` wraps as a client would."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding, aes_key_wrap, aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kms.api.secrets import SecretBytes
from kms.keys.import_token import ALGORITHMS
from kms.keys.imported import WRAPPING_KEY_BITS, NotUnwrapped, check_of_material, make_wrapping_key, unwrap_material

MATERIAL = bytes(range(32))


@pytest.fixture(scope="module")
def pair() -> tuple[SecretBytes, rsa.RSAPublicKey]:
    pkcs8, public = make_wrapping_key("RSA_2048")
    return pkcs8, public_key(public)


def public_key(spki: bytes) -> rsa.RSAPublicKey:
    key = load_der_public_key(spki)
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def oaep(public: rsa.RSAPublicKey, data: bytes, hash_: HashAlgorithm, mgf: HashAlgorithm | None = None) -> bytes:
    return public.encrypt(data, OAEP(MGF1(mgf or hash_), hash_, None))


def wrapped(public: rsa.RSAPublicKey, algorithm: str, material: bytes = MATERIAL) -> bytes:
    hash_ = SHA1() if algorithm.endswith("SHA_1") else SHA256()
    if algorithm.startswith("RSAES"):
        return oaep(public, material, hash_)
    key = os.urandom(32)
    return oaep(public, key, hash_) + aes_key_wrap_with_padding(key, material)


@pytest.mark.parametrize("spec", WRAPPING_KEY_BITS)
def test_wrapping_keys_have_their_size(spec: str) -> None:
    _, public = make_wrapping_key(spec)
    assert public_key(public).key_size == WRAPPING_KEY_BITS[spec]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_material_comes_out_as_wrapped(pair: tuple[SecretBytes, rsa.RSAPublicKey], algorithm: str) -> None:
    pkcs8, public = pair
    assert unwrap_material(pkcs8, algorithm, wrapped(public, algorithm)).reveal() == MATERIAL


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_algorithm_takes_nothing_of_another(pair: tuple[SecretBytes, rsa.RSAPublicKey], algorithm: str) -> None:
    pkcs8, public = pair
    for other in set(ALGORITHMS) - {algorithm}:
        with pytest.raises(NotUnwrapped):
            unwrap_material(pkcs8, algorithm, wrapped(public, other))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_was_changed_or_cut_is_refused(pair: tuple[SecretBytes, rsa.RSAPublicKey], algorithm: str) -> None:
    pkcs8, public = pair
    whole = wrapped(public, algorithm)
    for position in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[position] ^= 1
        with pytest.raises(NotUnwrapped):
            unwrap_material(pkcs8, algorithm, bytes(changed))
    for given in (b"\0", whole[:-1], whole[:255], whole[:256][:-8], whole + b"\0", os.urandom(len(whole))):
        with pytest.raises(NotUnwrapped):
            unwrap_material(pkcs8, algorithm, given)


def test_paddings_and_keys_that_are_not_the_named_ones(pair: tuple[SecretBytes, rsa.RSAPublicKey]) -> None:
    pkcs8, public = pair
    short = os.urandom(16)
    cases = [
        ("RSAES_OAEP_SHA_256", public.encrypt(MATERIAL, PKCS1v15())),
        ("RSAES_OAEP_SHA_256", oaep(public, MATERIAL, SHA256(), SHA1())),
        ("RSA_AES_KEY_WRAP_SHA_256", oaep(public, short, SHA256()) + aes_key_wrap_with_padding(short, MATERIAL)),
        ("RSA_AES_KEY_WRAP_SHA_256", oaep(public, MATERIAL, SHA256()) + aes_key_wrap(MATERIAL, MATERIAL)),
        ("RSA_AES_KEY_WRAP_SHA_256", oaep(public, MATERIAL, SHA256())),
    ]
    for algorithm, given in cases:
        with pytest.raises(NotUnwrapped):
            unwrap_material(pkcs8, algorithm, given)


@pytest.mark.parametrize(
    ("key", "wrapped_key", "material"),
    [
        (
            "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
            "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
            "c37b7e6492584340bed12207808941155068f738",
        ),
        (
            "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
            "afbeb0f07dfbf5419200f2ccb50bb24f",
            "466f7250617369",
        ),
    ],
)
def test_the_padded_key_wrap_is_rfc_5649s(key: str, wrapped_key: str, material: str) -> None:
    """RFC 5649 §6: both examples."""
    assert aes_key_unwrap_with_padding(bytes.fromhex(key), bytes.fromhex(wrapped_key)).hex() == material


def test_material_is_recognised_for_one_key() -> None:
    key_id = bytes(16)
    check = check_of_material(key_id, SecretBytes(MATERIAL))
    assert check_of_material(key_id, SecretBytes(MATERIAL)) == check
    assert len(check) == 32
    assert check_of_material(key_id, SecretBytes(MATERIAL[:-1] + b"\0")) != check
    assert check_of_material(bytes(15) + b"\1", SecretBytes(MATERIAL)) != check
