"""Where everybody tells of stored bytes that are not what was written."""

from __future__ import annotations

import logging
from functools import partial

from gateway.operations.scrub.passes import Telling
from gateway.server import metrics

_log = logging.getLogger(__name__)


def integrity_event(kind: str, detail: str) -> None:
    """Stored bytes that are not what was written: logged, counted, never served."""
    metrics.count_integrity_event(kind)
    _log.error("integrity event: %s %s", kind, detail)


def telling(scrub: str) -> Telling:
    """What a scrub of that name finds: logged, and counted."""
    return Telling(integrity_event, partial(metrics.count_scrubbed, scrub), metrics.SCRUBBED_BYTES.inc)
