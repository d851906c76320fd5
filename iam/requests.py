"""What a signature covers of an HTTP request, without any HTTP library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class SignableRequest(Protocol):
    """The head of a request as it arrived.

    `target_path` and `target_query` are what stands before and after the first "?" of the request target, undecoded.
    `headers` maps lower-case names to values, several of one name joined with ","; text that was not UTF-8 on the wire
    is carried as surrogate escapes. The gateway's own request type fits this.
    """

    @property
    def method(self) -> str: ...

    @property
    def target_path(self) -> str: ...

    @property
    def target_query(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A `SignableRequest` of one's own making."""

    method: str
    target_path: str
    target_query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
