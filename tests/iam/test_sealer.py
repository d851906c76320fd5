"""Sealed secrets open for their purpose, under their key, unchanged; else not."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag

from iam.sealer import AESGCMSecretSealer

KEY = bytes(range(32))
SECRET = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
GOLDEN = (
    "015cfb11b06835560a10e358491e1d244b942c49d983daf4c3e9db7d7d7df8d228049ed7db8f5b5b218008667"
    "83928b7103f208afc0b8a54d4bdf361923e243f9ec2f29857fcf89ca2b99c84015e6ebdcc8bac220382708092"
)
"""SECRET sealed under KEY for the purpose "golden" by the first release."""


def test_round_trip() -> None:
    sealer = AESGCMSecretSealer(KEY)
    sealed = sealer.seal(b"purpose", SECRET)
    assert len(sealed) == len(SECRET) + 49
    assert SECRET not in sealed
    assert AESGCMSecretSealer(KEY).open(b"purpose", sealed) == SECRET


def test_the_same_secret_never_seals_to_the_same_bytes() -> None:
    sealer = AESGCMSecretSealer(KEY)
    assert len({sealer.seal(b"p", SECRET) for _ in range(20)}) == 20


def test_what_an_earlier_release_sealed_opens() -> None:
    sealed = bytes.fromhex(GOLDEN)
    assert AESGCMSecretSealer(KEY).open(b"golden", sealed) == SECRET


def test_every_changed_byte_and_every_cut_is_refused() -> None:
    sealer = AESGCMSecretSealer(KEY)
    sealed = sealer.seal(b"p", SECRET)
    for index in range(len(sealed)):
        changed = bytearray(sealed)
        changed[index] ^= 1
        with pytest.raises((ValueError, InvalidTag)):
            sealer.open(b"p", bytes(changed))
        with pytest.raises((ValueError, InvalidTag)):
            sealer.open(b"p", sealed[:index])


def test_another_purpose_or_key_is_refused() -> None:
    sealed = AESGCMSecretSealer(KEY).seal(b"p", SECRET)
    with pytest.raises(InvalidTag):
        AESGCMSecretSealer(KEY).open(b"q", sealed)
    with pytest.raises(InvalidTag):
        AESGCMSecretSealer(bytes(32)).open(b"p", sealed)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_other_sizes_of_keys_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        AESGCMSecretSealer(bytes(size))


def test_repr_is_blank() -> None:
    assert repr(AESGCMSecretSealer(KEY)) == "AESGCMSecretSealer()"
