"""Writes `iam/face/models/` from botocore's models: `python -m tests.iam.face.generate_models`.

Shapes are those of the requests that `iam.face.table` serves. `test_models.py` proves that what is checked in equals
what this makes of the installed models.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session

from iam.face.table import SERVED
from tests.kms.face.generate_model import shape_entries

DIRECTORY = Path(__file__).parents[3] / "iam" / "face" / "models"

_TEXT = '''"""Operations of the AWS {title} API and the shapes of the requests that are served.

Made by tests/iam/face/generate_models.py from botocore's model (API version {version}); not edited by hand.
"""

from __future__ import annotations

from iam.face.shapes import Kind, Model, Shape

_OPERATIONS = (
{operations}
)

_INPUTS: dict[str, str] = {{
{inputs}
}}

_SHAPES: dict[str, Shape] = {{
{shapes}
}}

{title} = Model({name}, {quoted_version}, {namespace}, _OPERATIONS, _INPUTS, _SHAPES)
'''


def load_description(name: str) -> dict[str, Any]:
    description: dict[str, Any] = botocore.session.get_session().get_service_model(name)._service_description
    return description


def render(name: str) -> str:
    """The text of `iam/face/models/<name>.py`."""
    description = load_description(name)
    metadata, operations = description["metadata"], sorted(description["operations"])
    given = {each: description["operations"][each].get("input") for each in operations if each in SERVED[name]}
    inputs = {each: shape["shape"] for each, shape in given.items() if shape is not None}
    return _TEXT.format(
        title=name.upper(),
        name=json.dumps(name),
        version=metadata["apiVersion"],
        quoted_version=json.dumps(metadata["apiVersion"]),
        namespace=json.dumps(metadata.get("xmlNamespace", "")),
        operations="\n".join(f"    {json.dumps(each)}," for each in operations),
        inputs="\n".join(f"    {json.dumps(each)}: {json.dumps(shape)}," for each, shape in inputs.items()),
        shapes=shape_entries(description["shapes"], inputs.values()),
    )


if __name__ == "__main__":
    for service in SERVED:
        (DIRECTORY / f"{service}.py").write_text(render(service), encoding="utf-8")
