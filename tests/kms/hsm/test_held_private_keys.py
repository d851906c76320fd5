"""Private keys of protection hsm: SoftHSM2 takes RSA and curves, NSS softokn RSA only; what is refused is said."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass
from pkcs11 import exceptions as p11

from kms.api.secrets import SecretBytes
from kms.hsm.description import RootDescription
from kms.hsm.interface import (
    HeldPrivateKey,
    KeyLetGo,
    NotOffered,
    PrivateKeyType,
    Protection,
    SignatureScheme,
    UnwrapFailed,
)
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.profiles.interface import RootSession
from kms.hsm.provision import provision_root
from kms.hsm.recovery import RecoveringRoot
from kms.hsm.uri import parse_uri
from kms.keys.wrapping import hold_private_record, hold_record, make_record, open_record
from tests.kms.hsm.conftest import PIN, AnyToken, SoftToken

pytestmark = pytest.mark.hsm

KEY_ID = UUID("1234abcd-12ab-34cd-56ef-1234567890ab")
CURVES = {
    "ECC_NIST_P256": ec.SECP256R1(),
    "ECC_NIST_P384": ec.SECP384R1(),
    "ECC_NIST_P521": ec.SECP521R1(),
    "ECC_SECG_P256K1": ec.SECP256K1(),
}
HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


@pytest.fixture(scope="session")
def made() -> dict[Path, RootDescription]:
    return {}


@pytest.fixture
def root(any_token: AnyToken, made: dict[Path, RootDescription]) -> Iterator[PKCS11Root]:
    if any_token.directory not in made:
        made[any_token.directory] = provision_root(replace(any_token.uri, label="held-private"), PIN, any_token.driver)
    root = PKCS11Root.open(parse_uri(made[any_token.directory].uri), PIN, driver=any_token.driver)
    yield root
    root.close()


@pytest.fixture
def takes_curves(any_token: AnyToken) -> bool:
    return not any_token.driver.library_parameters


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pkcs8(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> SecretBytes:
    return SecretBytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def hold(root: PKCS11Root, key: rsa.RSAPrivateKey) -> HeldPrivateKey:
    return root.hold_private_key(root.wrap_private_key(pkcs8(key), PrivateKeyType.RSA), PrivateKeyType.RSA)


@pytest.mark.parametrize("key_spec", CURVES)
@pytest.mark.parametrize("hash_name", HASHES)
def test_a_curve_key_signs_inside_or_is_refused(
    root: PKCS11Root, takes_curves: bool, key_spec: str, hash_name: str
) -> None:
    key = ec.generate_private_key(CURVES[key_spec])
    arguments = {"created_us": 1, "key_spec": key_spec, "protection": Protection.HSM, "material": pkcs8(key)}
    if not takes_curves:
        with pytest.raises(NotOffered, match="protection is software"):
            make_record(root, KEY_ID, 1, **arguments)  # type: ignore[arg-type]
        return
    record = make_record(root, KEY_ID, 1, **arguments)  # type: ignore[arg-type]
    held = hold_private_record(root, record, KEY_ID, 1)
    digest = hashlib.new(hash_name, b"message").digest()
    signature = held.sign(SignatureScheme.ECDSA, digest, hash_name)
    half = len(signature) // 2
    assert half == (key.key_size + 7) // 8
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    key.public_key().verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(HASHES[hash_name])))
    held.close()


@pytest.mark.parametrize("hash_name", HASHES)
def test_an_rsa_key_signs_inside(root: PKCS11Root, rsa_key: rsa.RSAPrivateKey, hash_name: str) -> None:
    held, digest, algorithm = hold(root, rsa_key), hashlib.new(hash_name, b"message").digest(), HASHES[hash_name]
    for scheme, how in (
        (SignatureScheme.RSA_PKCS1, padding.PKCS1v15()),
        (SignatureScheme.RSA_PSS, padding.PSS(padding.MGF1(algorithm), len(digest))),
    ):
        signature = held.sign(scheme, digest, hash_name)
        rsa_key.public_key().verify(signature, digest, how, Prehashed(algorithm))  # type: ignore[arg-type]
    held.close()


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
def test_an_rsa_key_decrypts_inside_or_says_what_is_missing(
    root: PKCS11Root, rsa_key: rsa.RSAPrivateKey, hash_name: str, any_token: AnyToken
) -> None:
    algorithm = hashes.SHA1() if hash_name == "sha1" else hashes.SHA256()
    sealed = rsa_key.public_key().encrypt(b"plaintext", padding.OAEP(padding.MGF1(algorithm), algorithm, None))
    held = hold(root, rsa_key)
    if hash_name == "sha256" and not any_token.driver.library_parameters:
        with pytest.raises(NotOffered, match="sha256"):
            held.decrypt(sealed, hash_name)
    else:
        assert held.decrypt(sealed, hash_name) == b"plaintext"
    held.close()


def test_a_ciphertext_that_does_not_decrypt_is_no_loss_of_the_token(
    root: PKCS11Root, rsa_key: rsa.RSAPrivateKey, any_token: AnyToken
) -> None:
    """Anybody who may call Decrypt can send one: it must not make the module start anew."""
    held, generation = hold(root, rsa_key), root._module.generation
    good = rsa_key.public_key().encrypt(b"plaintext", padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    for wrong in (bytes(256), b"\xff" * 256, bytes([good[0], good[1] ^ 1]) + good[2:], good[:-1], good + b"\0", b"x"):
        with pytest.raises(UnwrapFailed):
            held.decrypt(wrong, "sha1")
    assert held.decrypt(good, "sha1") == b"plaintext"
    root._module.ready()
    assert root._module.generation == generation
    held.close()


@pytest.mark.parametrize("bits", [3072, 4096])
def test_longer_rsa_keys(root: PKCS11Root, bits: int) -> None:
    key = rsa.generate_private_key(65537, bits)
    held, digest = hold(root, key), hashlib.sha256(b"message").digest()
    signature = held.sign(SignatureScheme.RSA_PKCS1, digest, "sha256")
    key.public_key().verify(signature, digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
    held.close()


def test_what_no_token_takes_is_refused(root: PKCS11Root) -> None:
    key = pkcs8(ed25519.Ed25519PrivateKey.generate())
    with pytest.raises(NotOffered, match="ECC_NIST_EDWARDS25519"):
        make_record(
            root, KEY_ID, 1, created_us=1, key_spec="ECC_NIST_EDWARDS25519", protection=Protection.HSM, material=key
        )


def test_what_is_no_private_key_is_refused(root: PKCS11Root) -> None:
    with pytest.raises(NotOffered):
        root.wrap_private_key(SecretBytes(bytes(64)), PrivateKeyType.RSA)
    for size in (0, 4089):
        with pytest.raises(ValueError, match="4088"):
            root.wrap_private_key(SecretBytes(bytes(size)), PrivateKeyType.RSA)


def test_a_held_private_key_cannot_be_read(root: PKCS11Root, rsa_key: rsa.RSAPrivateKey) -> None:
    held = hold(root, rsa_key)

    def look(at: RootSession) -> bytes:
        (key,) = list(at.session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.TOKEN: False}))
        assert key[Attribute.SENSITIVE] and not key[Attribute.EXTRACTABLE]
        for secret in (Attribute.PRIVATE_EXPONENT, Attribute.PRIME_1):
            with pytest.raises(p11.AttributeSensitive):
                key[secret]
        return b""

    root._call("looking", look)
    assert repr(held) == "TokenPrivateKey()"
    held.close()
    with pytest.raises(KeyLetGo):
        held.sign(SignatureScheme.RSA_PKCS1, bytes(32), "sha256")


def test_a_wrapped_private_key_comes_out_of_softhsm_in_no_other_way(
    token: SoftToken, rsa_key: rsa.RSAPrivateKey
) -> None:
    root = token.open()
    wrapped = root.wrap_private_key(pkcs8(rsa_key), PrivateKeyType.RSA)
    readable = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}

    def attack(at: RootSession) -> bytes:
        assert at.root_strict_private is not None
        for key in (at.root_strict_private, at.root_strict):
            assert key is not None
            for object_class, key_type, capabilities in (
                (ObjectClass.SECRET_KEY, KeyType.GENERIC_SECRET, MechanismFlag.SIGN),
                (ObjectClass.SECRET_KEY, KeyType.AES, MechanismFlag.ENCRYPT),
                (ObjectClass.PRIVATE_KEY, KeyType.RSA, MechanismFlag.SIGN),
            ):
                with pytest.raises(p11.PKCS11Error):
                    key.unwrap_key(
                        object_class,
                        key_type,
                        wrapped,
                        mechanism=root._holder._mechanism,
                        store=False,
                        capabilities=capabilities,
                        template=readable,
                    )
        return b""

    root._call("attacking", attack)
    root.close()


def test_records_of_secret_and_private_keys_are_not_mixed_up(root: PKCS11Root, rsa_key: rsa.RSAPrivateKey) -> None:
    private = make_record(
        root, KEY_ID, 1, created_us=1, key_spec="RSA_2048", protection=Protection.HSM, material=pkcs8(rsa_key)
    )
    secret = make_record(root, KEY_ID, 1, created_us=1, protection=Protection.HSM)
    with pytest.raises(ValueError, match="to be held"):
        hold_record(root, private, KEY_ID, 1)
    with pytest.raises(ValueError, match="to be held"):
        hold_private_record(root, secret, KEY_ID, 1)
    for record in (private, secret):
        with pytest.raises(NotOffered, match="never leaves"):
            open_record(root, record, KEY_ID, 1)
    in_software = make_record(root, KEY_ID, 1, created_us=1, key_spec="RSA_2048", material=pkcs8(rsa_key))
    assert open_record(root, in_software, KEY_ID, 1) == pkcs8(rsa_key)


def test_a_module_that_starts_anew_holds_private_keys_again(token: SoftToken, rsa_key: rsa.RSAPrivateKey) -> None:
    root = RecoveringRoot(token.open, first_delay_seconds=0.0, max_delay_seconds=0.0)
    held = root.hold_private_key(root.wrap_private_key(pkcs8(rsa_key), PrivateKeyType.RSA), PrivateKeyType.RSA)
    digest = hashlib.sha256(b"message").digest()
    first = held.sign(SignatureScheme.RSA_PKCS1, digest, "sha256")
    token.module.suspect(token.module.generation)
    token.module.ready()
    assert held.sign(SignatureScheme.RSA_PKCS1, digest, "sha256") == first
    held.close()
    root.close()
