"""What black-box tests look at besides answers: refusals of SDK calls, and what lies in the blob store."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.harness import Gateway

Refusal = tuple[int, str]
"""HTTP status and error code; the code of a HEAD is its status, since there is no body."""


def error_of(call: Callable[..., Any], **parameters: Any) -> Any:
    """The error response that a boto3 call gets. Fails if it succeeds."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response


def refusal(call: Callable[..., Any], **parameters: Any) -> Refusal:
    response = error_of(call, **parameters)
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def headers_of(response: Any) -> dict[str, str]:
    return dict(response["ResponseMetadata"]["HTTPHeaders"])


def stored_files(gateway: Gateway) -> set[Path]:
    """Every file of the blob store, temporary ones included; the notes of the index beside it are none."""
    store = gateway.data / "store"
    return {path for name in ("blobs", "tmp") for path in (store / name).rglob("*") if path.is_file()}


def faults(gateway: Gateway) -> list[str]:
    """Lines of the log that tell of a defect: 500 answers and tracebacks."""
    lines = gateway.log_path.read_text(errors="replace").splitlines()
    return [line for line in lines if '"status":500' in line or "Traceback" in line]


def unexplained(gateway: Gateway) -> list[str]:
    """Lines of the access log about requests that were refused, and do not say by what."""
    lines = gateway.log_path.read_text(errors="replace").splitlines()
    refused = [line for line in lines if '"status":403' in line or '"status":401' in line]
    return [line for line in refused if '"decided_by":null' in line or '"reason":null' in line]


def random_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def md5_hex(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def content_md5(body: bytes) -> str:
    """The value of a Content-MD5 header."""
    return base64_of(hashlib.md5(body, usedforsecurity=False).digest())
