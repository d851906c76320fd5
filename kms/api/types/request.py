"""What every request to the key service is: a value that names its operation and the type of its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, get_args

R = TypeVar("R")

PAIR_SECONDS = 25.0
"""More time for what makes key pairs: of RSA, which takes seconds, in some HSMs tens of them."""

EncryptionContext = Mapping[str, str]
"""Additional authenticated data of a symmetric operation: not secret, order-free, empty is the same as absent."""


class Request(Generic[R]):
    """One operation of the KMS API, asked for. Subclasses are frozen dataclasses named as the API spells them.

    `is_idempotent`: doing it twice is as good as once, so that a client may repeat it when the connection broke.
    `extra_seconds`: how much longer than others it may take. `is_about_trail`: asks the audit trail for something, so
    that it is no call to be told itself, and needs no root.
    """

    __slots__ = ()
    is_idempotent: ClassVar[bool] = True
    extra_seconds: ClassVar[float] = 0.0
    is_about_trail: ClassVar[bool] = False

    @classmethod
    def operation_name(cls) -> str:
        return cls.__name__

    @classmethod
    def result_type(cls) -> Any:
        """R, as the subclass names it; `NoneType` for operations whose answer says nothing."""
        (base,) = cls.__orig_bases__  # type: ignore[attr-defined]  # set by typing for each subclass of a generic
        return get_args(base)[0]
