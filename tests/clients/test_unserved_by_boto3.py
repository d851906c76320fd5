"""Operations of the S3 model that are not served, asked for by boto3's own methods."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.model import Shape

from gateway.operations.unserved import UNSERVED
from tests.clients.checks import error_of
from tests.harness import Gateway

MODEL = botocore.session.get_session().get_service_model("s3")
NAMES = sorted({operation.name for operation in UNSERVED} & set(MODEL.operation_names))


def filled(shape: Shape, bucket: str, name: str = "") -> Any:
    """A value of a shape with all that is required and nothing else."""
    match shape.type_name:
        case "structure":
            members = list(shape.members)[:1] if shape.is_tagged_union else shape.required_members
            return {member: filled(shape.members[member], bucket, member) for member in members}
        case "list":
            return [filled(shape.member, bucket)]
        case "string":
            known = {"Bucket": bucket, "Key": "key", "CopySource": f"{bucket}/key", "RenameSource": "key"}
            return known.get(name) or (shape.enum[0] if shape.enum else "t" * shape.metadata.get("min", 4))
        case "integer" | "long":
            return 1
        case "boolean":
            return False
        case "timestamp":
            return "2030-01-01T00:00:00Z"
        case "blob":
            return b"data"
    raise AssertionError(f"no value for {shape.type_name}")


def ask(s3: Any, name: str, bucket: str) -> tuple[int, str]:
    """Status and code of the answer to a minimal request."""
    method = {operation: method for method, operation in s3.meta.method_to_api_mapping.items()}[name]
    answer = error_of(getattr(s3, method), **filled(MODEL.operation_model(name).input_shape, bucket))
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


@pytest.fixture(scope="module")
def kept(s3: Any, shared_bucket: str) -> str:
    """A bucket with an object that none of the operations may touch."""
    s3.put_object(Bucket=shared_bucket, Key="key", Body=b"kept")
    return shared_bucket


def test_most_operations_are_in_the_model_of_the_sdk() -> None:
    assert len(NAMES) > 10


@pytest.mark.parametrize("name", NAMES)
def test_it_answers_not_implemented(s3: Any, kept: str, name: str) -> None:
    before = s3.head_object(Bucket=kept, Key="key")
    assert ask(s3, name, kept) == (501, "NotImplemented")
    after = s3.get_object(Bucket=kept, Key="key")
    assert after["Body"].read() == b"kept"
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])


@pytest.fixture(scope="module")
def anonymous(gateway: Gateway) -> Any:
    return gateway.client("s3", signature_version=UNSIGNED)


@pytest.mark.parametrize("name", NAMES)
def test_strangers_do_not_learn_what_is_served(anonymous: Any, kept: str, name: str) -> None:
    assert ask(anonymous, name, kept) == (403, "AccessDenied")
