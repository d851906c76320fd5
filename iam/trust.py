"""The principals of AWS that a trust policy names, in its text.

IAM keeps a user or role in a trust policy as what it is, not as what it is called: one that is renamed is trusted on;
one that was deleted is called by its unique id, and another that is made under its name is not trusted for it. Source:
IAM User Guide, "AWS JSON policy elements: Principal".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def trusted_principals(text: str) -> tuple[str, ...]:
    """The names under "AWS" in a text that is a trust policy, as they stand there."""
    return tuple(name for names in _lists(json.loads(text)) for name in names)


def replace_principals(text: str, new_names: Mapping[str, str]) -> str:
    """The trust policy with other names for some principals; the text itself where it names none of them."""
    if not any(name in new_names for name in trusted_principals(text)):
        return text
    document = json.loads(text)
    for names in _lists(document):
        names[:] = [new_names.get(name, name) for name in names]
    return json.dumps(document, ensure_ascii=False)


def _lists(document: Any) -> Iterator[list[str]]:
    """The lists of names in a document, where changes of them are changes of it: a single name is made a list."""
    statements = document["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement["Principal"]
        names = principal.get("AWS", [])
        if isinstance(names, str):
            principal["AWS"] = names = [names]
        yield names
