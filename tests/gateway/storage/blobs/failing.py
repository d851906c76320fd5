"""A system call that fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn


def failing(code: int) -> Callable[..., NoReturn]:
    """Whatever it is called with, it raises the OSError of `code`."""

    def fail(*_arguments: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    return fail
