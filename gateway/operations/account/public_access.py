"""The public access block of an account (API reference: API_control_PutPublicAccessBlock, …).

With that of a bucket the stricter is in force (`Services.block_of`): from the answer on, in every worker.
"""

from __future__ import annotations

from dataclasses import asdict

from gateway.operations.context import Call
from gateway.operations.render import xml_response
from gateway.protocol.control import NAMESPACE, named_account
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.public_access import PublicAccessBlockConfiguration


async def put(call: Call) -> Response:
    _own_account(call)
    block = PublicAccessBlockConfiguration.parse(await call.read_document()).block
    await call.services.put_account_block(
        call.caller, frozenset(name for name, is_on in asdict(block).items() if is_on)
    )
    return Response()


async def get(call: Call) -> Response:
    account_id = _own_account(call)
    block = call.services.account_block(account_id)
    if block is None:
        raise S3Error("NoSuchPublicAccessBlockConfiguration", fields={"AccountId": account_id})
    return xml_response(PublicAccessBlockConfiguration(block, NAMESPACE))


async def delete(call: Call) -> Response:
    """Idempotent."""
    _own_account(call)
    await call.services.put_account_block(call.caller, None)
    return Response(status=204)


def _own_account(call: Call) -> str:
    """The account that the request names, which nobody but its own principals may ask about.

    Raises S3Error InvalidRequest, AccessDenied.
    """
    account_id = named_account(call.request.headers)
    if account_id != call.account_id:
        raise S3Error(
            "AccessDenied",
            decided_by="another account",
            reason="refused because only principals of an account may ask about its public access block",
        )
    return account_id
