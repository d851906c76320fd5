"""Writes the table of `docs/access.md`: `python -m tests.rights_table`. Which operation asks for which action on what.

`tests/test_rights.py` proves that what is written is what the tables of operations declare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.operations.control import CONTROL_OPERATIONS
from gateway.operations.rights import rights_of
from gateway.operations.rows import SERVED
from iam.face.rights import ASKS_NOTHING
from iam.face.rights import RIGHTS as IDENTITY_RIGHTS
from iam.rights import ANY, Right
from kms.face.rights import RIGHTS as KMS_RIGHTS
from tests.harness import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "access.md"
BEGIN = "<!-- made by tests/rights_table.py: begin -->\n"
END = "<!-- made by tests/rights_table.py: end -->\n"

Rights = Mapping[str, tuple[Right, ...]]

S3_RIGHTS: Rights = {row.name: rights_of(row) for row in SERVED}
CONTROL_RIGHTS: Rights = {row.name.removeprefix("s3control:"): rights_of(row) for row in CONTROL_OPERATIONS}
SERVICES: Mapping[str, Rights] = {"s3": S3_RIGHTS, "s3control": CONTROL_RIGHTS, "kms": KMS_RIGHTS, **IDENTITY_RIGHTS}
"""What is declared, by service and operation."""

_TITLES = {
    "s3": "S3",
    "s3control": "S3 Control",
    "kms": "KMS",
    "iam": "IAM",
    "organizations": "Organizations",
    "sts": "STS",
}


def needed(rights: tuple[Right, ...]) -> tuple[Right, ...]:
    """Those without which the operation is refused."""
    return tuple(right for right in rights if not right.is_optional)


def is_plain(service: str, name: str, rights: tuple[Right, ...]) -> bool:
    """One right, which is called as the operation is."""
    return len(rights) == 1 and rights[0].action == f"{service}:{name}"


def render() -> str:
    """The text between the marks."""
    return "\n".join([*_lines(), ""])


def _lines() -> Iterator[str]:
    for service, declared in SERVICES.items():
        rights = {name: needed(each) for name, each in declared.items()}
        yield from ("", f"### {_TITLES[service]}", "")
        odd = {name: each for name, each in sorted(rights.items()) if not is_plain(service, name, each)}
        by_kind: dict[str, list[str]] = {}
        for name in sorted(rights.keys() - odd.keys()):
            by_kind.setdefault(rights[name][0].on, []).append(name)
        if by_kind:
            yield f"By the action of their own name, `{service}:` and the name:"
            yield ""
            for kind, names in sorted(by_kind.items()):
                yield f"- on {_kind(kind)}: {', '.join(names)}."
            yield ""
        yield from ("| operation | asks for |", "|---|---|")
        for name, each in odd.items():
            yield f"| {name} | {'; '.join(map(_told, each)) or f'nothing: {ASKS_NOTHING[name]}'} |"
    yield ""


def _told(right: Right) -> str:
    of = f", {right.of}" if right.of else ""
    return f"`{right.action}` on {_kind(right.on)}{of}" + (f" ({right.when})" if right.when else "")


def _kind(kind: str) -> str:
    return "`*`" if kind == ANY else f"the {kind}"


def written() -> str:
    """What stands between the marks of the document."""
    return DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    DOCUMENT.write_text(before + BEGIN + render() + END + rest.partition(END)[2], encoding="utf-8")
