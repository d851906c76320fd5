"""docs/formats/session-token.md is true: its worked example opens, and opens by what the page says alone."""

from __future__ import annotations

import base64
import hmac
import re
import struct
import zlib
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.sealing.row import RowSealer
from gateway.service_keys import IndexKeySecretSealer
from iam.secrets import Secret
from iam.session_tokens import PassedSession, SessionKind, SessionToken, SessionTokens
from kms.api.secrets import SecretBytes

PAGE = (Path(__file__).parents[2] / "docs/formats/session-token.md").read_text()
HEX = dict(re.findall(r"^([a-z, 0-9]+?) *= ([0-9a-f]+)$", PAGE, re.MULTILINE))
TEXT = "".join(re.findall(r"```token\n(.*?)```", PAGE, re.DOTALL)[0].split())
KEY_ID = "ASIARZPUZDIKCI2FM6EQ"
SECRET = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def test_the_example_opens() -> None:
    key = SecretBytes(bytes.fromhex(HEX["index key, epoch 1"]))
    tokens = SessionTokens(IndexKeySecretSealer(RowSealer({1: key}, 1)))
    assert tokens.open(KEY_ID, TEXT) == SessionToken(
        SessionKind.ROLE,
        Secret(SECRET),
        1_767_225_600_000_000,
        1_767_229_200_000_000,
        "123456789012",
        "AROADBQP57FF2AEXAMPLE",
        "alice",
        PassedSession(tags=(("team", "red"),), transitive=("team",)),
        "alice@example.com",
    )


def test_the_example_opens_by_what_the_page_says() -> None:
    """A second implementation, which shares no code with the first."""
    token = base64.urlsafe_b64decode(TEXT + "=" * (-len(TEXT) % 4))
    version, epoch, revision, salt = struct.unpack_from(">BIQ16s", token)
    assert (version, epoch, revision, salt.hex()) == (1, 1, 0, HEX["salt"])
    message = b"sealgate/v1/row" + b"access-key-secre" + struct.pack(">Q", 0) + salt
    key = hmac.digest(bytes.fromhex(HEX["index key, epoch 1"]), message, "sha256")
    columns = (b"identity", b"sealgate/v1/sts/session-token/" + KEY_ID.encode())
    clear = b"".join(struct.pack(">I", len(each)) + each for each in columns)
    document = AESGCM(key).decrypt(bytes(12), token[29:], clear)
    assert document.hex() == HEX["document"]
    members = msgspec.msgpack.decode(document)
    assert [members[0], members[1], *members[4:9]] == [
        "role", SECRET, "123456789012", "AROADBQP57FF2AEXAMPLE", "alice", "alice@example.com", None
    ]  # fmt: skip
    assert members[10].hex() == HEX["packed"]
    assert msgspec.msgpack.decode(zlib.decompress(members[10])) == [None, [], [["team", "red"]], ["team"]]
