"""`python -m tests.kms.daemon.rotate KEYS DIE_AT BATCH [remove]`: rotates the root of a key store. A process of its
own, because a PKCS#11 module is one for a whole process, and because it kills itself before step DIE_AT (0: never).

Standard input: the root's settings as JSON. Prints the steps that it took, and what came of them, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import msgspec

from kms.daemon.rotation import Place, opened, remove_older, rotate, standing
from kms.daemon.settings import RootSettings
from kms.service import root_rotation


def main() -> None:
    keys_path, die_at, batch = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=list[RootSettings], dec_hook=lambda kind, v: kind(v))
    place, target = Place(keys_path, order[0]), order[1] if len(order) > 1 else None
    root_rotation.BATCH = batch
    steps: list[str] = []

    def note(step: str) -> None:
        steps.append(step)
        if len(steps) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    removes = sys.argv[4:] == ["remove"]
    with opened(place) as (store, roots):
        moved, unreadable = 0, 0
        if not removes or standing(store, roots).is_unfinished:
            result = rotate(place, store, roots, target=target, note=note)
            moved, unreadable = result.moved, len(result.unreadable)
        removed = remove_older(place, store, roots, note=note) if removes else None
        found = standing(store, roots)
        print(
            json.dumps(
                {
                    "steps": steps,
                    "moved": moved,
                    "unreadable": unreadable,
                    "current": found.current.root_id.hex(),
                    "under": {each.root_id.hex(): each.count for each in found.records},
                    "states": {root.root_id.hex(): root.state for root in found.roots},
                    "destroyed": removed.destroyed if removed else {},
                    "failed": removed.failed if removed else {},
                }
            )
        )


if __name__ == "__main__":
    main()
