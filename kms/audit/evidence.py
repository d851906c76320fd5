"""What a trail tells of a key's end: who scheduled its deletion, when it was destroyed, which backups have it.

Fed by a verifier, line by line (`Verifier.on_record`), so that nothing is found that the chain does not hold.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from kms.audit.event import EVENT_SOURCE, SERVICE_EVENT, Event
from kms.audit.lines import Checkpoint, FileStart, Head, Record

DELETE_KEY: Final = "DeleteKey"
SCHEDULE: Final = "ScheduleKeyDeletion"
BACK_UP: Final = "BackUpKeyStore"

MAX_BACKUPS: Final = 1000
"""Those that are kept; of the ones before only the number is."""


@dataclass(slots=True)
class Evidence:
    """About the key `key_arn`, which was there from `created` to `destroyed`.

    Of several lines of a kind the last counts: a deletion may have been cancelled, a key process killed between the
    line and the deed. `checkpoint` is the first that covers `deleted`; `backups` are of the key store while it had the
    key, the last MAX_BACKUPS of `backup_count`.
    """

    key_arn: str
    created: datetime
    destroyed: datetime
    node: str = ""
    scheduled: tuple[Head, Event] | None = None
    deleted: tuple[Head, Event] | None = None
    checkpoint: tuple[Head, Checkpoint] | None = None
    backups: deque[tuple[Head, Event]] = field(default_factory=lambda: deque(maxlen=MAX_BACKUPS))
    backup_count: int = 0

    def take(self, head: Head, record: Record) -> None:
        match record:
            case FileStart():
                self.node = record.node
            case Checkpoint():
                if self.checkpoint is None and self.deleted is not None and record.covers >= self.deleted[0].seq:
                    self.checkpoint = head, record
            case Event() if record.event_name == BACK_UP and record.event_type == SERVICE_EVENT:
                self._take_backup(head, record)
            case Event():
                self._take_event(head, record)

    def _take_backup(self, head: Head, event: Event) -> None:
        if self.created <= event.event_time <= self.destroyed:
            self.backup_count += 1
            self.backups.append((head, event))

    def _take_event(self, head: Head, event: Event) -> None:
        if event.error_code is not None or all(resource.arn != self.key_arn for resource in event.resources):
            return
        if event.event_name == SCHEDULE and event.event_source == EVENT_SOURCE:
            self.scheduled = head, event
        elif event.event_name == DELETE_KEY and event.event_type == SERVICE_EVENT:
            self.deleted, self.checkpoint = (head, event), None
