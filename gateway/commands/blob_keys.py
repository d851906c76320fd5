"""Keys for the decryptor from a KMS by its public API (API_Decrypt), so that they lie in no file.

Any KMS that speaks AWS's protocol will do, a gateway or its restored backup. Credentials are those that the AWS SDKs
find, and the region is that of the key's ARN.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import ssl
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.exceptions import AwsCrtError
from awscrt.http import HttpHeaders, HttpRequest

from gateway.blob_open import BUCKET_KEY, BlobError, Keys, asked_of_kms

CALL_SECONDS: Final = 30.0
MAX_ANSWER_BYTES: Final = 1 << 16
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class KMSRefusal(Exception):
    """The KMS could not be asked, or gave no key."""


def keys_from_kms(envelope: dict[str, Any], keys: Keys, endpoint: str) -> Keys:
    """`keys`, and the data key or bucket key that the KMS decrypts out of an envelope. Raises BlobError, KMSRefusal."""
    key = _decrypt(endpoint, asked_of_kms(envelope))
    return replace(keys, bucket=key) if envelope["mode"] == BUCKET_KEY else replace(keys, data=(key, *keys.data))


def _decrypt(endpoint: str, asked: dict[str, Any]) -> bytes:
    arn = asked["KeyId"].split(":")
    if len(arn) != 6 or not arn[3]:
        raise BlobError("the footer is damaged")
    status, answer = _post(endpoint, arn[3], "TrentService.Decrypt", json.dumps(asked).encode())
    try:
        document = json.loads(answer)
        if status != http.client.OK:
            raise KMSRefusal(f"the KMS refused: {document['__type']}: {document.get('message', '')}")
        key = base64.b64decode(document["Plaintext"], validate=True)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise KMSRefusal(f"{endpoint} answers (status {status}) as no KMS does") from None
    if len(key) != 32:
        raise KMSRefusal("the KMS decrypted something else than a data key")
    return key


def _post(endpoint: str, region: str, target: str, body: bytes) -> tuple[int, bytes]:
    """Status and body of one signed request, which is neither repeated nor redirected."""
    try:
        url = urlsplit(endpoint)
        host, port = url.hostname, url.port
    except ValueError:
        host = None
    if host is None or url.scheme not in {"http", "https"}:
        raise KMSRefusal(f"{endpoint} is no URL of a KMS")
    if url.scheme == "http" and host not in _LOOPBACK:
        raise KMSRefusal("a key is asked for by https alone, but of this machine itself")
    connection: http.client.HTTPConnection
    if url.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port, timeout=CALL_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=CALL_SECONDS)
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": target}
    signed = _sign(url.netloc.rpartition("@")[2], region, headers, body)
    try:
        connection.request("POST", "/", body, signed)
        answer = connection.getresponse()
        return answer.status, answer.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise KMSRefusal(f"the KMS at {endpoint} does not answer: {error}") from error
    finally:
        connection.close()


def _sign(host: str, region: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
    try:
        config = AwsSigningConfig(
            algorithm=AwsSigningAlgorithm.V4,
            signature_type=AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=AwsCredentialsProvider.new_default_chain(),
            region=region,
            service="kms",
            signed_body_value=hashlib.sha256(body).hexdigest(),
        )
        request = HttpRequest("POST", "/", HttpHeaders([("host", host), *headers.items()]))
        signed: Any = aws_sign_request(request, config).result(CALL_SECONDS)
    except (AwsCrtError, FutureTimeoutError) as error:
        raise KMSRefusal(f"no credentials for the KMS ({getattr(error, 'name', 'too slow')})") from error
    return dict(signed.headers)
