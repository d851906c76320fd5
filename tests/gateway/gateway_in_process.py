"""A whole gateway in this process, without sockets: dispatcher, SQLite index, file blobs, embedded KMS.

Requests are signed by botocore, so the signature path is the real one. For tests of operations in milliseconds; the
same over real sockets and processes is `tests/clients`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from botocore.auth import S3SigV4Auth, S3SigV4PostAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.bucket_key_store import IndexBucketKeys
from gateway.config import LimitSettings
from gateway.operations.context import Services
from gateway.operations.key_watch import KeyWatch
from gateway.operations.rows import OPERATIONS
from gateway.operations.sealed_rows import SealedRows
from gateway.owners import owners, owners_by_id
from gateway.protocol.messages import Request, Response
from gateway.sealing.bucket_keys import BucketKeyLimits, BucketKeys
from gateway.sealing.data_keys import DataKeys
from gateway.server.brakes import Brakes
from gateway.server.dispatch import Dispatcher, Unsealed
from gateway.server.door import Door
from gateway.server.kms_edge import KMSEdge
from gateway.server.rate_table import RateTable
from gateway.service_keys import IndexKeySecretSealer, open_service_keys
from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.index.sqlite.index import SQLiteIndex, open_sqlite_index
from iam.authenticator import Authenticator
from iam.credentials import Account, Credential
from iam.face.service import IdentityService
from iam.key_uses import AccessKeyUses
from iam.principals import root_principal
from iam.secrets import Secret
from iam.session_tokens import SessionTokens
from iam.sessions import Sessions
from iam.store.sqlite import SQLiteIdentityStore
from kms.api.service import KeyService
from kms.epoch import SharedEpoch
from kms.hsm.check_value import make_check_value
from kms.service.core import ServiceSettings
from kms.service.initialise import initialise_key_store
from kms.service.service import EmbeddedKeyService
from kms.store.sqlite import SQLiteKeyStore
from tests.kms.roots import MemoryRoot

REGION = "us-east-1"
HOST = "127.0.0.1:9000"
ACCOUNT_ID = "123456789012"
OTHER_ACCOUNT_ID = "210987654321"
CREDENTIALS = {
    ACCOUNT_ID: Credentials("AKIAEXAMPLEEXAMPLE01", "secret-of-the-first-account-0123456789012"),
    OTHER_ACCOUNT_ID: Credentials("AKIAEXAMPLEEXAMPLE02", "secret-of-the-other-account-0123456789012"),
}


class PiecesBody:
    """A request body that arrives in given pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self.was_read = False

    async def read(self) -> bytes:
        self.was_read = True
        return self._pieces.pop(0) if self._pieces else b""


@dataclass(slots=True)
class Answer:
    """A response with its body collected."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        return self.text("Code")

    def text(self, name: str) -> str | None:
        """The text of the first element of that name, whatever its namespace."""
        for element in ElementTree.fromstring(self.body).iter():  # our own answer
            if element.tag.rpartition("}")[2] == name:
                return element.text
        return None


@dataclass(slots=True)
class InProcessGateway:
    dispatcher: Dispatcher
    services: Services
    index: SQLiteIndex
    blobs_directory: Path
    kms: KeyService
    root: MemoryRoot
    tokens: SessionTokens
    events: list[tuple[str, str]] = field(default_factory=list)

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        """Sign and send one request: see `request`."""
        return await self._send(self.request(method, path, **options))

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | list[bytes] = b"",
        account_id: str = ACCOUNT_ID,
        credentials: Credentials | None = None,
        service: str = "s3",
    ) -> Request:
        """A signed request, to be sent once; `path` is unencoded. A list is a body in pieces.

        Without `credentials` the root user of the account signs.
        """
        pieces = body if isinstance(body, list) else [body]
        raw_path = quote(path, safe="/~")
        raw_query = urlencode(query or {}, quote_via=quote)
        url = f"http://{HOST}{raw_path}" + (f"?{raw_query}" if raw_query else "")
        length = str(sum(map(len, pieces)))
        request = AWSRequest(method, url, {"Content-Length": length, **(headers or {})}, b"".join(pieces))
        signer = S3SigV4Auth if service == "s3" else SigV4Auth
        signer(credentials or CREDENTIALS[account_id], service, REGION).add_auth(request)
        headers = {name.lower(): value for name, value in request.headers.items()} | {"host": HOST}
        return _received(method, raw_path, raw_query, headers, pieces)

    async def post_form(self, path: str, fields: Mapping[str, str], data: bytes) -> Answer:
        """A browser form with these fields, whose policy allows just them; the root user of the account signs."""
        conditions: list[object] = [{name: value} for name, value in fields.items()]
        conditions.append({"bucket": path.removeprefix("/")})
        expiration = (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
        request = AWSRequest("POST", f"http://{HOST}{path}")
        request.context["s3-presign-post-fields"] = dict(fields)
        request.context["s3-presign-post-policy"] = {"expiration": expiration, "conditions": conditions}
        S3SigV4PostAuth(CREDENTIALS[ACCOUNT_ID], "s3", REGION).add_auth(request)
        form = b"".join(
            f'--form\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in request.context["s3-presign-post-fields"].items()
        )
        file = (
            b'--form\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + data + b"\r\n--form--\r\n"
        )
        headers = {
            "host": HOST,
            "content-type": "multipart/form-data; boundary=form",
            "content-length": str(len(form + file)),
        }
        return await self._send(_received("POST", path, "", headers, [form + file]))

    async def _send(self, request: Request) -> Answer:
        return await collect(await self.dispatcher.handle(request))


def _received(method: str, path: str, query: str, headers: dict[str, str], pieces: list[bytes]) -> Request:
    """As it comes off the wire, with names of headers in small letters."""
    return Request(
        method=method,
        target_path=path,
        target_query=query,
        headers=headers,
        body=PiecesBody([piece for piece in pieces if piece]),
        content_length=int(headers["content-length"]),
        request_id="0123456789ABCDEF",
        remote_ip="127.0.0.1",
        is_secure=False,
    )


async def collect(response: Response) -> Answer:
    if isinstance(response.body, bytes):
        return Answer(response.status, response.headers, response.body)
    body = b"".join([bytes(piece) async for piece in response.body])
    assert len(body) == response.content_length
    return Answer(response.status, response.headers, body)


@asynccontextmanager
async def in_process_gateway(
    directory: Path,
    *,
    inline_limit_bytes: int = 16_384,
    around_kms: Callable[[KeyService], KeyService] = lambda kms: kms,
    cuts: bool = False,
    around_blobs: Callable[[BlobStore], BlobStore] = lambda blobs: blobs,
    open_index: Callable[[], Awaitable[Any]] | None = None,
) -> AsyncIterator[InProcessGateway]:
    """`around_kms` puts something in front of the KMS, for all but the opening of the service's own keys.
    `cuts`: what moves data under a KMS key that is disabled is broken off. `around_blobs` puts a store around the one
    in files. `open_index` opens one that is empty; without it there is one in SQLite."""
    root = MemoryRoot()
    initialise_key_store(directory / "keys.sqlite", root, region=REGION, check_value=make_check_value(root))
    key_store = SQLiteKeyStore(directory / "keys.sqlite")
    epoch = SharedEpoch.open_writer(directory / "epoch")
    index: Any
    if open_index is None:
        index = await open_sqlite_index(directory / "index.sqlite", durable=False)
    else:
        index = await open_index()
    blobs = around_blobs(FileBlobStore(directory / "store", "test", fsync=False))
    async with EmbeddedKeyService(key_store, root, epoch, ServiceSettings(REGION)) as embedded:
        keys = await open_service_keys(embedded, index, request_id="test", make=True)
        kms = around_kms(embedded)
        identities = _identities(directory, IndexKeySecretSealer(keys.rows, keys.identities))
        events: list[tuple[str, str]] = []
        tokens = SessionTokens(IndexKeySecretSealer(keys.rows))
        identity_service = IdentityService(
            lambda: SQLiteIdentityStore(
                directory / "identities.sqlite", IndexKeySecretSealer(keys.rows, keys.identities)
            ),
            AccessKeyUses(),
            tokens,
        )
        rows = SealedRows(keys.rows)
        store = IndexBucketKeys(index, rows, lambda kind, detail: events.append((kind, detail)))
        bucket_keys = BucketKeys(kms, store, lambda: epoch.value, BucketKeyLimits())
        key_watch = KeyWatch(kms, lambda: epoch.value) if cuts else None
        services = Services(
            index=index,
            blobs=blobs,
            rows=rows,
            data_keys=DataKeys(kms, keys.sse_s3, bucket_keys),
            region=REGION,
            inline_limit_bytes=inline_limit_bytes,
            owner_of=owners(identities),
            owner_by_id=owners_by_id(identities),
            account_access=identities.account_access,
            put_account_block=identity_service.put_account_block,
            integrity_event=lambda kind, detail: events.append((kind, detail)),
            key_watch=key_watch,
        )
        sessions = Sessions(tokens, identities)
        authenticator = Authenticator(REGION, identities.find_credential, open_session=sessions.credential)
        unsealed = Unsealed(services, Door(authenticator), identity_service)
        brakes = Brakes(RateTable.private(), LimitSettings())
        dispatcher = Dispatcher(
            operations=OPERATIONS,
            kms_edge=KMSEdge(kms, brakes),
            brakes=brakes,
            region=REGION,
            domains=(),
            unsealed=lambda: unsealed,
            integrity_event=services.integrity_event,
        )
        yield InProcessGateway(dispatcher, services, index, directory / "store", kms, root, tokens, events)
        bucket_keys.close()
        if key_watch is not None:
            await key_watch.close()
        await identity_service.close()
        identities.close()
    await index.close()
    await blobs.close()
    epoch.close()
    key_store.close()


def _identities(directory: Path, sealer: IndexKeySecretSealer) -> SQLiteIdentityStore:
    identities = SQLiteIdentityStore(directory / "identities.sqlite", sealer)
    for account_id, credentials in CREDENTIALS.items():
        identities.create_account(Account(account_id, account_id.ljust(64, "0"), f"account {account_id}", 0))
        secret = Secret(credentials.secret_key.encode())
        identities.create_access_key(Credential(credentials.access_key, secret, root_principal(account_id)), 0)
    return identities
