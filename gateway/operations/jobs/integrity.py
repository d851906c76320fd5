"""What is told of jobs that were tampered with."""

from __future__ import annotations


def not_authentic(job_id: str) -> str:
    """What an integrity event says of such a job."""
    return f"job {job_id} is not authentic"
