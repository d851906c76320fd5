"""An OpenID Connect issuer for tests: real signatures by joserfc, published over a real socket."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from joserfc import jwk, jwt

AUDIENCE = "sts.amazonaws.com"
SUBJECT = "system:serviceaccount:ns:reader"


class Signer:
    """A key of an issuer; tokens are good for an hour unless their claims say otherwise."""

    def __init__(self, algorithm: str = "RS256", key_id: str = "key-1") -> None:
        self.algorithm = algorithm
        self.key_id = key_id
        parameters = {"kid": key_id}
        self.key: Any = (
            jwk.ECKey.generate_key({"ES256": "P-256", "ES384": "P-384"}[algorithm], parameters)
            if algorithm.startswith("ES")
            else jwk.RSAKey.generate_key(2048, parameters)
        )

    @property
    def public(self) -> dict[str, Any]:
        return {**self.key.as_dict(private=False), "use": "sig", "alg": self.algorithm}

    def key_set(self) -> bytes:
        return json.dumps({"keys": [self.public]}).encode()

    def token(self, issuer: str, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """Claims that are None are left out."""
        now = int(time.time())
        said = {"iss": issuer, "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "exp": now + 3600, **claims}
        head = {"alg": self.algorithm, "kid": self.key_id, **(header or {})}
        said = {name: value for name, value in said.items() if value is not None}
        return str(jwt.encode(head, said, self.key, algorithms=[self.algorithm]))


class Issuer:
    """`documents` are what is answered, by path; `asked` the paths that were asked for."""

    def __init__(self, url: str, signer: Signer) -> None:
        self.url = url
        self.signer = signer
        self.asked: list[str] = []
        self.status = 200
        self.delay_seconds = 0.0
        self.documents: dict[str, bytes] = {}
        self.publish(signer)

    @property
    def name(self) -> str:
        return self.url.partition("://")[2]

    def publish(self, *signers: Signer, **configuration: Any) -> None:
        path = "/" + self.name.partition("/")[2]
        described = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **configuration}
        keys = {"keys": [signer.public for signer in signers]}
        self.documents = {
            f"{path.rstrip('/')}/.well-known/openid-configuration": json.dumps(described).encode(),
            f"{path.rstrip('/')}/keys": json.dumps(keys).encode(),
        }

    def token(self, **claims: Any) -> str:
        return self.signer.token(self.url, **claims)


@contextmanager
def running_issuer(
    signer: Signer | None = None, path: str = "/realms/test", tls: tuple[Path, Path] | None = None
) -> Iterator[Issuer]:
    """An issuer at a free port of 127.0.0.1: by plain HTTP, or at localhost with a certificate and its key."""
    made: list[Issuer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer = made[0]
            issuer.asked.append(self.path)
            time.sleep(issuer.delay_seconds)
            document = issuer.documents.get(self.path)
            status = 404 if document is None else issuer.status
            self.send_response(status)
            self.send_header("Content-Length", str(len(document or b"")))
            if 300 <= status < 400:
                self.send_header("Location", f"{issuer.url}/elsewhere")
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(document or b"")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    origin = f"http://127.0.0.1:{server.server_port}"
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        origin = f"https://localhost:{server.server_port}"
    made.append(Issuer(f"{origin}{path}", signer or Signer()))
    thread.start()
    try:
        yield made[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
