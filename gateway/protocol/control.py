"""S3 Control: the API for what an account says about all its buckets, on S3's own endpoint.

Its paths begin with its version, and an account is named by a header that S3 does not have, so that a bucket of the
name `v20180820` is still a bucket. SDKs put the account into the host's name as well, unless the host is an address;
that counts for nothing here. Source: Amazon S3 API Reference, "Amazon S3 Control".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.protocol.errors import S3Error
from gateway.protocol.percent import decode

ACCOUNT_HEADER = "x-amz-account-id"
NAMESPACE = "http://awss3control.amazonaws.com/doc/2018-08-20/"
PREFIX = "/v20180820/"

TAGS_PREFIX = f"{PREFIX}tags/"
"""What has tags is named in the rest of the path, by its ARN."""

JOBS_PATH = f"{PREFIX}jobs"
"""Of S3 Batch Operations; what has its own path under it is one job."""

_BUCKET_ARN = re.compile(r"arn:aws:s3:::([A-Za-z0-9._-]{3,255})")
_ACCOUNT_ID = re.compile("[0-9]{12}")


def is_control_request(target_path: str, headers: Mapping[str, str]) -> bool:
    return target_path.startswith(PREFIX) and ACCOUNT_HEADER in headers


def named_account(headers: Mapping[str, str]) -> str:
    """The account that a request is about. Raises S3Error InvalidRequest for what is none."""
    account_id = headers[ACCOUNT_HEADER]
    if not _ACCOUNT_ID.fullmatch(account_id):
        raise S3Error("InvalidRequest", "Invalid or missing x-amz-account-id: an account id has 12 digits.")
    return account_id


def tagged_bucket(target_path: str) -> str | None:
    """The bucket whose tags a request is about; None for what is no bucket, or has no tags.

    Raises S3Error InvalidURI.
    """
    if not target_path.startswith(TAGS_PREFIX):
        return None
    named = _BUCKET_ARN.fullmatch(decode(target_path.removeprefix(TAGS_PREFIX)))
    return None if named is None else named[1]


def named_job(target_path: str) -> tuple[str, str] | None:
    """The id and the rest of a path under that of jobs: `status`, `priority`, or nothing. Raises S3Error InvalidURI."""
    if not target_path.startswith(f"{JOBS_PATH}/"):
        return None
    job_id, _, rest = target_path.removeprefix(f"{JOBS_PATH}/").partition("/")
    return decode(job_id), rest
