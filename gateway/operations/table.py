"""Which operation a request asks for: one row per operation of the S3 model.

A row holds every fact of the same kind: how the operation is recognised, which action it needs, what body it takes,
and who answers it. An operation that is not served is a row too; it answers NotImplemented after authentication.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from gateway.operations.context import Call
from gateway.protocol.errors import S3Error, invalid_argument
from gateway.protocol.messages import Response
from gateway.protocol.query import Query
from iam.rights import Right

Handler = Callable[[Call], Awaitable[Response]]


class Target(Enum):
    """What the address of a request names."""

    __hash__ = object.__hash__  # members are their own; Enum's is a Python function, which each request called twice

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"


class Body(Enum):
    """What body an operation takes; the dispatcher refuses the rest before the handler runs."""

    NONE = "none"
    """Nothing; a body that comes along is not read."""
    DOCUMENT = "document"
    """An XML document of at most `MAX_DOCUMENT_BYTES`, read and verified through `Call.read_document`."""
    FORM = "form"
    """A browser form, which says who signed it, what for, and then the data (`gateway.operations.browser_form`)."""
    STREAM = "stream"
    """Object data, read and verified through `gateway.operations.upload`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One row.

    `query` names the parameters that must be present (in any order, with any value unless `name=value`), `header` a
    header that must be; among rows that match, the one with the most requirements is meant. `accepts` are subresources
    that may come along. With `authorises_each` the handler asks for `action` itself, on each object that the body
    names. `also` is what it may ask for besides (`gateway.operations.rights`).
    """

    name: str
    method: str
    target: Target
    action: str
    query: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ()
    header: str | None = None
    body: Body = Body.NONE
    authorises_each: bool = False
    also: tuple[Right, ...] = ()
    handler: Handler | None = None

    def matches(self, query: Query, headers: Mapping[str, str]) -> bool:
        if self.header is not None and self.header not in headers:
            return False
        for requirement in self.query:
            name, equals, value = requirement.partition("=")
            if not query.has(name) or (equals and query.get(name) != value):
                return False
        return True

    @property
    def weight(self) -> int:
        return len(self.query) + (self.header is not None)


VERSION_ID = "versionId"

_NO_SUBRESOURCES = frozenset({"annotationName", "id", "list-type", "select-type"})
"""Parameters that tell operations apart, and are nothing that could be read, written or deleted."""
_READING = frozenset({"GET", "HEAD"})


class OperationTable:
    """Rows by method and target, the most specific first."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self.operations = operations
        self._subresources: dict[Target, set[str]] = {target: {VERSION_ID} for target in Target}
        for row in operations:
            names = {requirement.partition("=")[0] for requirement in row.query} - _NO_SUBRESOURCES
            self._subresources[row.target] |= names
        self._every_subresource = set[str]().union(*self._subresources.values())
        rows: dict[tuple[str, Target], list[Operation]] = {}
        for operation in operations:
            rows.setdefault((operation.method, operation.target), []).append(operation)
        self._rows = {
            key: tuple(sorted(found, key=lambda row: row.weight, reverse=True)) for key, found in rows.items()
        }
        # Most requests have no query, and of twenty rows for an object one or two want none.
        self._rows_without_query = {
            key: tuple(row for row in found if not row.query) for key, found in self._rows.items()
        }

    def find(self, method: str, target: Target, query: Query, headers: Mapping[str, str]) -> Operation:
        """The operation meant.

        Raises S3Error MethodNotAllowed where no row answers; InvalidArgument for a version of what has none, or for two
        subresources at once.
        """
        rows = self._rows if query.raw else self._rows_without_query
        for row in rows.get((method, target), ()):
            if row.matches(query, headers):
                if row.handler is not None:
                    self._check_subresources(row, query)
                return row
        raise S3Error("MethodNotAllowed", fields={"Method": method[:32], "ResourceType": target.value.upper()})

    def _check_subresources(self, row: Operation, query: Query) -> None:
        """DELETE of an object's `?acl` is no DELETE of the object: what a row does not know may not be left aside.

        What can only belong to something else is left aside where nothing but reading is asked for, as on S3.
        """
        known = self._subresources[row.target] if row.method in _READING else self._every_subresource
        for name in query:
            if name not in known or name in row.accepts or name in row.query:
                continue
            if name == VERSION_ID:
                message = "This operation does not accept a version-id."
                raise invalid_argument(VERSION_ID, query.get(name) or "", message)
            if row.query:
                own = row.query[0].partition("=")[0]
                message = f"Conflicting query string parameters: {own}, {name}"
                raise invalid_argument("ResourceType", own, message)
            raise S3Error("MethodNotAllowed", fields={"Method": row.method, "ResourceType": name.upper()})
