"""Preflight requests, and what CORS adds to the answers of all others."""

from __future__ import annotations

from functools import lru_cache

from gateway.operations.context import Services
from gateway.protocol.addressing import Address
from gateway.protocol.cross_origin import (
    NO_BUCKET,
    NOT_ALLOWED,
    NOT_ENABLED,
    CrossOriginRequest,
    answer_headers,
    forbidden,
    origin_of,
    preflight_without_origin,
)
from gateway.protocol.messages import Request, Response
from gateway.protocol.xml.documents.cors import CORSConfiguration
from gateway.storage.errors import NoSuchBucket

KEPT_CONFIGURATIONS = 64
"""Configurations kept parsed; each may have 64 KB of text, most have less than one."""


async def preflight(services: Services, address: Address, request: Request) -> Response:
    """The answer to OPTIONS, which nobody signs: browsers ask it before they send what a page of another origin wants.

    Raises S3Error BadRequest or AccessForbidden. Order of the checks as recorded from AWS.
    """
    if origin_of(request.headers) is None:
        raise preflight_without_origin()
    try:
        configuration = await _configuration(services, address)
    except NoSuchBucket:
        raise forbidden(NO_BUCKET, request.headers, "BUCKET") from None
    if configuration is None:
        raise forbidden(NOT_ENABLED, request.headers, "BUCKET")
    headers = answer_headers(configuration, CrossOriginRequest.of_preflight(request.headers))
    if headers is None:
        raise forbidden(NOT_ALLOWED, request.headers, "BUCKET" if address.key is None else "OBJECT")
    return Response(headers=headers)


async def cross_origin_headers(services: Services, address: Address, request: Request) -> dict[str, str]:
    """What the answer to a request of another origin carries, be it an error: without, no script may read it.

    Decided before the operation, which may change the rules or delete the bucket. Empty where nothing is allowed, and
    for whoever names no origin.
    """
    asked = CrossOriginRequest.of_actual(request.method, request.headers)
    if asked is None or address.bucket is None:
        return {}
    try:
        configuration = await _configuration(services, address)
    except NoSuchBucket:
        return {}
    return {} if configuration is None else answer_headers(configuration, asked) or {}


async def _configuration(services: Services, address: Address) -> CORSConfiguration | None:
    """None for a bucket without rules. Raises storage's NoSuchBucket, also for an address without bucket."""
    if address.bucket is None:
        raise NoSuchBucket
    document = services.rows.open_bucket(await services.index.get_bucket(address.bucket))
    return None if document.cors is None else _parsed(document.cors)


@lru_cache(maxsize=KEPT_CONFIGURATIONS)
def _parsed(text: str) -> CORSConfiguration:
    return CORSConfiguration.parse(text.encode())
