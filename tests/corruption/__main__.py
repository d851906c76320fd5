"""`python -m tests.corruption --flips N`: flip a bit at N places, a quarter in each of what there is.

These are blobs, index, key store and identity database.

Prints how many were noticed, and by column those that were not. Exits with 1 if one was not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.corruption.estate import made_estate
from tests.corruption.flips import Found, flip_blobs, flip_identities, flip_index, flip_keys, room_for_keys


async def run(flips: int, seed: int, directory: Path) -> Found:
    found, randoms = Found(), random.Random(seed)
    async with made_estate(directory) as estate:
        room = room_for_keys(directory)
        await flip_blobs(estate, flips - 3 * (flips // 4), randoms, found)
        await flip_index(estate, flips // 4, randoms, found)
        await flip_keys(estate, room, flips // 4, randoms, found)
        await flip_identities(room, flips // 4, randoms, found)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corruption", description=__doc__)
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(run(options.flips, options.seed, Path(directory)))
    print(f"{options.flips} flips, seed {options.seed}, in {time.monotonic() - began:.0f} s")
    for where, count in found.noticed.items():
        print(f"{where}: {count} noticed")
    for where, count in sorted(found.unnoticed.items()):
        print(f"NOT NOTICED: {count} in {where}")
    return bool(found.unnoticed)


if __name__ == "__main__":
    sys.exit(main())
