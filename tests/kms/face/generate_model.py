"""Writes `kms/face/model.py` from botocore's KMS model: `python -m tests.kms.face.generate_model`.

`test_model.py` proves that what is checked in equals what this makes of the installed model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import botocore.session

TARGET = Path(__file__).parents[3] / "kms" / "face" / "model.py"

_HEADER = '''"""Operations of the AWS KMS API and the shapes of their requests.

Made by tests/kms/face/generate_model.py from botocore's KMS model (API version {version}); not edited by hand.
"""

from __future__ import annotations

from iam.face.shapes import Kind, Shape

TARGET_PREFIX = {prefix}

INPUTS: dict[str, str] = {{
{inputs}
}}
"""Every operation of the API, with the shape of its request."""

SHAPES: dict[str, Shape] = {{
{shapes}
}}
'''


def load_description() -> dict[str, Any]:
    model = botocore.session.get_session().get_service_model("kms")
    description: dict[str, Any] = model._service_description
    return description


def render(description: dict[str, Any]) -> str:
    """The text of `kms/face/model.py`."""
    inputs = {name: operation["input"]["shape"] for name, operation in sorted(description["operations"].items())}
    return _HEADER.format(
        version=description["metadata"]["apiVersion"],
        prefix=json.dumps(description["metadata"]["targetPrefix"]),
        inputs="\n".join(f"    {json.dumps(name)}: {json.dumps(shape)}," for name, shape in inputs.items()),
        shapes=shape_entries(description["shapes"], inputs.values()),
    )


def shape_entries(shapes: dict[str, Any], roots: Iterable[str]) -> str:
    """The entries of SHAPES for all that `roots` lead to; generators of other services' models use it, too."""
    names = sorted(_reachable(shapes, roots))
    return "\n".join(line for name in names for line in _entry(name, shapes[name]))


def _reachable(shapes: dict[str, Any], roots: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            shape = shapes[name]
            children = [shape[part] for part in ("member", "value") if part in shape]
            waiting += [child["shape"] for child in [*children, *shape.get("members", {}).values()]]
    return found


def _entry(name: str, shape: dict[str, Any]) -> Iterator[str]:
    yield f"    {json.dumps(name)}: Shape("
    yield f"        Kind.{shape['type'].upper()},"
    for parameter, key in (("minimum", "min"), ("maximum", "max")):
        if key in shape:
            yield f"        {parameter}={shape[key]},"
    if "pattern" in shape:
        yield f"        pattern={json.dumps(shape['pattern'])},"
    if "enum" in shape:
        yield from _texts("enum", shape["enum"])
    if shape.get("sensitive"):
        yield "        is_sensitive=True,"
    if shape.get("members"):
        yield "        members={"
        yield from (
            f"            {json.dumps(member)}: {json.dumps(child['shape'])},"
            for member, child in shape["members"].items()
        )
        yield "        },"
    if shape.get("required"):
        yield from _texts("required", shape["required"])
    for parameter, key in (("item", "member"), ("value", "value")):
        if key in shape:
            yield f"        {parameter}={json.dumps(shape[key]['shape'])},"
    yield "    ),"


def _texts(parameter: str, texts: list[str]) -> Iterator[str]:
    if len(texts) == 1:
        yield f"        {parameter}=({json.dumps(texts[0])},),"
        return
    yield f"        {parameter}=("
    yield from (f"            {json.dumps(text)}," for text in texts)
    yield "        ),"


if __name__ == "__main__":
    TARGET.write_text(render(load_description()), encoding="utf-8")
