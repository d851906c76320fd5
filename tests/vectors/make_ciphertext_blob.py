"""Writes ciphertext-blob.json: `python -m tests.vectors.make_ciphertext_blob` from the root of the repository.

Inputs are derived from labels, so that the file is the same whenever it is written. The expected bytes come from
`kms.keys.ciphertext`; tests/kms/keys/test_ciphertext.py checks them with a second implementation.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from kms.keys.ciphertext import seal_blob
from kms.keys.context import canonical_context

PATH = Path(__file__).with_name("ciphertext-blob.json")

CASES: list[tuple[str, int, int, dict[str, str]]] = [
    ("one byte, no context", 1, 1, {}),
    ("data key, S3 context", 1, 32, {"aws:s3:arn": "arn:aws:s3:::bucket/key"}),
    ("order of pairs is that of UTF-8 bytes", 2, 32, {"b": "2", "a": "1", "é": "3", "": "empty key", "z": ""}),
    ("highest version", 2**32 - 1, 16, {"purpose": "test"}),
    ("longest plaintext", 7, 4096, {"a": "bc"}),
    ("beyond the basic plane, where UTF-16 orders otherwise", 3, 33, {"\U0001f511": "key", "\uffee": "half"}),
]


def stream(label: str, length: int) -> bytes:
    return hashlib.shake_256(b"sealgate test vector " + label.encode()).digest(length)


def vectors() -> list[dict[str, object]]:
    out: list[dict[str, object]] = []
    for name, key_version, length, context in CASES:
        key, key_id, salt = stream(f"{name}/key", 32), stream(f"{name}/key id", 16), stream(f"{name}/salt", 32)
        plaintext = stream(f"{name}/plaintext", length)
        canonical = canonical_context(context)
        blob = seal_blob(key, key_id, key_version, salt=salt, plaintext=plaintext, context=canonical)
        out.append(
            {
                "name": name,
                "key": key.hex(),
                "key_id": key_id.hex(),
                "key_version": key_version,
                "salt": salt.hex(),
                "plaintext": plaintext.hex(),
                "encryption_context": context,
                "canonical_context": canonical.hex(),
                "ciphertext_blob": blob.hex(),
            }
        )
    return out


if __name__ == "__main__":
    PATH.write_text(json.dumps(vectors(), indent=1, ensure_ascii=True) + "\n", "utf-8")
