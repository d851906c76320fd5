"""Private keys of protection hsm: SoftHSM2 takes RSA and curves, NSS softokn RSA only; what is refused is said."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass
from pkcs11 import exceptions as p11

from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.hsm.description import RootDescription
from kms.hsm.interface import (
    HeldPrivateKey,
    KeyLetGo,
    NotOffered,
    PrivateKeyType,
    Protection,
    RootError,
    SignatureScheme,
    UnwrapFailed,
)
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.profiles.interface import RootSession
from kms.hsm.provision import provision_root
from kms.hsm.recovery import RecoveringRoot
from kms.hsm.uri import parse_uri
from kms.keys import held_pairs
from kms.keys.held_pairs import PAIR_KINDS, agree_inside, decrypt_inside, load_public_key, sign_inside
from kms.keys.private_keys import PublicKey
from kms.keys.record_format import parse_header
from kms.keys.rsa_encryption import encrypt
from kms.keys.signatures import WrongSignature, verify
from kms.keys.specs import SPECS, algorithms_of
from kms.keys.wrapping import hold_private_record, hold_record, make_record, open_record, public_key_of_record
from tests.kms.hsm.conftest import PIN, AnyToken, SoftToken

pytestmark = pytest.mark.hsm

KEY_ID = UUID("1234abcd-12ab-34cd-56ef-1234567890ab")
CURVES = {
    "ECC_NIST_P256": ec.SECP256R1(),
    "ECC_NIST_P384": ec.SECP384R1(),
    "ECC_NIST_P521": ec.SECP521R1(),
    "ECC_SECG_P256K1": ec.SECP256K1(),
}
MADE = [(spec, usage) for spec in PAIR_KINDS for usage in SPECS[spec].algorithms if spec != "RSA_3072"]
SIGNER: dict[str, Any] = {"created_us": 1, "key_usage": "SIGN_VERIFY", "protection": Protection.HSM}
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
    arguments = {**SIGNER, "key_spec": key_spec, "material": pkcs8(key)}
    if not takes_curves:
        with pytest.raises(NotOffered, match="protection is software"):
            make_record(root, KEY_ID, 1, **arguments)
        return
    record = make_record(root, KEY_ID, 1, **arguments)
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


@pytest.mark.parametrize(("key_spec", "key_usage"), MADE)
def test_pairs_are_made_and_do_all_that_spec_and_usage_offer_or_are_refused(
    root: PKCS11Root, takes_curves: bool, key_spec: str, key_usage: str
) -> None:
    arguments = {**SIGNER, "key_spec": key_spec, "key_usage": key_usage}
    # NSS unwraps no curves; SoftHSM2 has OAEP with SHA-1 alone, and a key that does half of it is none.
    if key_usage == "ENCRYPT_DECRYPT" if takes_curves else key_spec.startswith("ECC"):
        with pytest.raises(NotOffered, match=r"sha256.*can only be software|kind.*software"):
            make_record(root, KEY_ID, 1, **arguments)
        return
    record = make_record(root, KEY_ID, 1, **arguments)
    assert parse_header(record).protection is Protection.HSM
    public = load_public_key(public_key_of_record(root, record, KEY_ID, 1))
    held = hold_private_record(root, record, KEY_ID, 1)
    for algorithm in algorithms_of(key_spec, key_usage):
        check(held, public, algorithm)
    held.close()


def check(held: HeldPrivateKey, public: PublicKey, algorithm: str) -> None:
    """The held key does it, as the other half says by software."""
    if algorithm.startswith("RSAES"):
        assert isinstance(public, rsa.RSAPublicKey)
        assert decrypt_inside(held, algorithm, encrypt(public, algorithm, b"plaintext")) == b"plaintext"
        for wrong in (bytes(public.key_size // 8), b"x"):
            with pytest.raises(KMSError) as caught:
                decrypt_inside(held, algorithm, wrong)
            assert (caught.value.code, caught.value.message) == ("InvalidCiphertextException", "")
    elif algorithm == "ECDH":
        assert isinstance(public, ec.EllipticCurvePublicKey)
        for _ in range(50):  # also secrets that begin with zeros
            peer = ec.generate_private_key(public.curve)
            assert agree_inside(held, peer.public_key()) == peer.exchange(ec.ECDH(), public)
    else:
        digest = hashlib.new("sha" + algorithm[-3:], b"message").digest()
        for message, message_type in ((b"message", "RAW"), (digest, "DIGEST")):
            signature = sign_inside(held, algorithm, message, message_type)
            verify(public, algorithm, b"message", "RAW", signature)
            verify(public, algorithm, digest, "DIGEST", signature)
            with pytest.raises(WrongSignature):
                verify(public, algorithm, b"another", "RAW", signature)


def test_no_private_key_is_here_while_a_pair_is_made(
    root: PKCS11Root, takes_curves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In SoftHSM2. NSS does not pad what it wraps: a pair of another length than a multiple of 8 is made here."""
    made: list[str] = []
    generate = held_pairs.generate_private_key
    monkeypatch.setattr(held_pairs, "generate_private_key", lambda spec: made.append(spec) or generate(spec))
    before = count_private(root)
    make_record(root, KEY_ID, 1, **SIGNER, key_spec="RSA_2048")
    assert not takes_curves or made == []
    assert count_private(root) == before


def count_private(root: PKCS11Root) -> int:
    """Session objects of private and public keys."""

    def count(at: RootSession) -> int:
        classes = (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)
        return sum(
            len(list(at.session.get_objects({Attribute.CLASS: each, Attribute.TOKEN: False}))) for each in classes
        )

    return root._call("counting", count)


def test_a_record_of_a_pair_says_whose_public_key_it_is(root: PKCS11Root, rsa_key: rsa.RSAPrivateKey) -> None:
    record = make_record(root, KEY_ID, 1, **SIGNER, key_spec="RSA_2048", material=pkcs8(rsa_key))
    public_key = public_key_of_record(root, record, KEY_ID, 1)
    expected = rsa_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public_key == expected
    start = record.index(public_key)
    for position in (start - 1, start, start + 20, len(record) - 33):
        changed = bytearray(record)
        changed[position] ^= 1
        for read in (public_key_of_record, hold_private_record):
            with pytest.raises(UnwrapFailed):
                read(root, bytes(changed), KEY_ID, 1)
    with pytest.raises(UnwrapFailed):
        public_key_of_record(root, record, KEY_ID, 2)


def test_a_key_for_agreement_and_one_for_signatures_are_not_mixed_up(token: SoftToken) -> None:
    """Root keys of their own: what one wrapped, the other does not unwrap, and neither for another use."""
    root = token.open()
    key = pkcs8(ec.generate_private_key(ec.SECP256R1()))
    for key_type, other in (
        (PrivateKeyType.EC, PrivateKeyType.EC_AGREEMENT),
        (PrivateKeyType.EC_AGREEMENT, PrivateKeyType.EC),
    ):
        wrapped = root.wrap_private_key(key, key_type)
        with pytest.raises(UnwrapFailed):
            root.hold_private_key(wrapped, other)
        root.hold_private_key(wrapped, key_type).close()

        def attack(at: RootSession, wrapped: bytes = wrapped, key_type: PrivateKeyType = key_type) -> bytes:
            is_for_agreement = key_type is PrivateKeyType.EC_AGREEMENT
            wrapping_key = at.root_strict_agreement if is_for_agreement else at.root_strict_private
            assert wrapping_key is not None
            with pytest.raises(p11.PKCS11Error):
                wrapping_key.unwrap_key(
                    ObjectClass.PRIVATE_KEY,
                    KeyType.EC,
                    wrapped,
                    mechanism=root._holder._mechanism,
                    store=False,
                    capabilities=MechanismFlag.SIGN if is_for_agreement else MechanismFlag.DERIVE,
                    template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
                )
            return b""

        root._call("attacking", attack)
    root.close()


def test_agreement_leaves_nothing_in_the_token(token: SoftToken) -> None:
    root = token.open()
    key = ec.generate_private_key(ec.SECP256R1())
    held = root.hold_private_key(
        root.wrap_private_key(pkcs8(key), PrivateKeyType.EC_AGREEMENT), PrivateKeyType.EC_AGREEMENT
    )

    def count(at: RootSession) -> int:
        return len(list(at.session.get_objects({Attribute.TOKEN: False})))

    before = root._call("counting", count)
    peer = ec.generate_private_key(ec.SECP256R1()).public_key()
    for _ in range(3):
        assert agree_inside(held, peer) == key.exchange(ec.ECDH(), peer)
    assert root._call("counting", count) == before
    with pytest.raises(RootError):
        held.sign(SignatureScheme.ECDSA, bytes(32), "sha256")
    held.close()
    root.close()


def test_what_no_token_takes_is_refused(root: PKCS11Root) -> None:
    key = pkcs8(ed25519.Ed25519PrivateKey.generate())
    with pytest.raises(NotOffered, match="ECC_NIST_EDWARDS25519"):
        make_record(root, KEY_ID, 1, **SIGNER, key_spec="ECC_NIST_EDWARDS25519", material=key)


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
    private = make_record(root, KEY_ID, 1, **SIGNER, key_spec="RSA_2048", material=pkcs8(rsa_key))
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
