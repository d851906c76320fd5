"""PostObject: an upload from a browser form (API reference: RESTObjectPOST), once the form was read and checked."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.object import put
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.objects import PostResponse


async def handle(call: Call) -> Response:
    """The object is put as any other; the browser is answered as the form asks for."""
    assert call.form is not None
    upload = call.form.upload
    response = await put.handle(call)
    etag = response.headers["ETag"]
    response.headers["Location"] = call.object_url
    redirect = upload.redirect_url(call.bucket_name, etag)
    if redirect is not None:
        response.status, response.headers["Location"] = 303, redirect
    elif upload.status == 201:
        response.status, response.headers["Content-Type"] = 201, "application/xml"
        response.body = PostResponse(call.object_url, call.bucket_name, call.key, etag).format()
    else:
        response.status = upload.status
    return response
