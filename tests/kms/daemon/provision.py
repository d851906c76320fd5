"""`python -m tests.kms.daemon.provision DIRECTORY KIND [URL]`: a root and a key store, on PostgreSQL at URL if given.

KIND "pkcs11" is a token of SoftHSM2, or a file root where that is not installed; "file" is a file root.

A process of its own, because a PKCS#11 module is one for a whole process. Prints the root settings as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kms.api.secrets import SecretBytes
from kms.hsm.file_root import FileRoot
from kms.hsm.interface import Root
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.provision import create_softhsm_token, find_softhsm, provision_root
from kms.hsm.uri import TokenURI, parse_uri
from kms.service.initialise import initialise_key_store
from kms.store.opening import KeyDatabase
from tests.conformance.key_service import REGION

PIN = SecretBytes(b"correct-horse-1234")


def provision(directory: Path, kind: str, url: str | None = None) -> dict[str, str]:
    pin_file = directory / "pin"
    pin_file.touch(0o600)
    pin_file.write_bytes(PIN.reveal())
    module = find_softhsm() if kind == "pkcs11" else None
    root: Root
    if module is None:
        path = directory / "root"
        description = FileRoot.create(path, passphrase=PIN)
        root = FileRoot.open(path, passphrase=PIN)
        settings = {"kind": "file", "root_file": str(path)}
    else:
        token = create_softhsm_token(directory / "hsm", "sealgate", SecretBytes(b"officer-5678"), PIN, module)
        description = provision_root(TokenURI(module, token.label), PIN)
        root = PKCS11Root.open(parse_uri(description.uri), PIN, description.check_value)
        settings = {"kind": "pkcs11", "uri": description.uri, "softhsm_conf": str(token.config)}
    database = None if url is None else KeyDatabase(url=url)
    initialise_key_store(
        directory / "keys.sqlite", root, region=REGION, check_value=description.check_value, database=database
    )
    root.close()
    return settings | {"pin_file": str(pin_file)}


if __name__ == "__main__":
    print(json.dumps(provision(Path(sys.argv[1]), *sys.argv[2:])))
