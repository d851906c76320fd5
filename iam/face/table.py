"""The table of operations: which of IAM's and STS's are served, and by what."""

from __future__ import annotations

from collections.abc import Mapping

from iam.face.call import Handler
from iam.face.operations import sts

SERVED: Mapping[str, Mapping[str, Handler]] = {
    "iam": {},
    "sts": {"GetCallerIdentity": sts.get_caller_identity},
}
"""By the service's name, then the operation's. A new one needs `python -m tests.iam.face.generate_models`."""
