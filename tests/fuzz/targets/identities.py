"""IAM and STS: requests of the query protocol."""

from __future__ import annotations

from gateway.protocol.xml.documents.query import error_document
from iam.face.errors import IAMError
from iam.face.models.iam import IAM
from iam.face.parameters import MAX_PARAMETERS, convert, parse_form
from iam.face.query import find_operation, model_of
from iam.face.request import ParsedRequest
from tests.fuzz.inputs import text_of
from tests.fuzz.target import check_bounded, target
from tests.iam.face.test_parameters import MODEL


@target("query-protocol", b"Action=CreateUser", b"Action=GetCallerIdentity", b"Version=2010-05-08",
        b"Version=2011-06-15",
        b"&UserName=u", b"&Path=%2Fa%2F", b"&Tags.member.1.Key=k", b"&Tags.member.1.Value=v", b"&Tags.member.01.Key=k",
        b"&Tags=", b".member.", b".1", b"&PolicyDocument=%7B%7D", b"&MaxItems=1", b"&Marker=a", b"&a.b.c.d.e.f.g.h.i=",
        b"&Tags.entry.1=", b"%ED%A0%80", b"%zz")  # fmt: skip
def query_protocol(data: bytes) -> str:
    """A form is refused by IAMError, bounded, or its members are of the kinds that the model gives them.

    By the models of the services, and by one that has every kind of shape.
    """
    try:
        parameters = parse_form(text_of(data))
        assert len(parameters) <= MAX_PARAMETERS
        model, name = model_of(parameters), parameters.get("Action", "")
        if model is not None and name in model.inputs:
            parsed = ParsedRequest(parameters, name, model)
            assert str(parsed)
        convert(parameters, "Request", MODEL)
        find_operation(parameters)
    except IAMError as error:
        document = error_document(error.code, error.message, error.fault, IAM.namespace, "R")
        check_bounded(len(document), len(data))
        return f"{error.code} {error.message[:24]}"
    return "ok"
