"""The public access block of an account (API reference: API_control_PutPublicAccessBlock, …).

With that of a bucket the stricter is in force (`Services.block_of`): from the answer on, in every worker.
"""

from __future__ import annotations

from dataclasses import asdict

from gateway.operations.account.named import own_account
from gateway.operations.context import Call
from gateway.operations.render import xml_response
from gateway.protocol.control import NAMESPACE
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.public_access import PublicAccessBlockConfiguration

_WHAT = "its public access block"


async def put(call: Call) -> Response:
    own_account(call, _WHAT)
    block = PublicAccessBlockConfiguration.parse(await call.read_document()).block
    await call.services.put_account_block(
        call.caller, frozenset(name for name, is_on in asdict(block).items() if is_on)
    )
    return Response()


async def get(call: Call) -> Response:
    account_id = own_account(call, _WHAT)
    block = call.services.account_block(account_id)
    if block is None:
        raise S3Error("NoSuchPublicAccessBlockConfiguration", fields={"AccountId": account_id})
    return xml_response(PublicAccessBlockConfiguration(block, NAMESPACE))


async def delete(call: Call) -> Response:
    """Idempotent."""
    own_account(call, _WHAT)
    await call.services.put_account_block(call.caller, None)
    return Response(status=204)
