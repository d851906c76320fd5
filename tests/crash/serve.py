"""`python -m tests.crash.serve`: as `python -m gateway`, but what was killed is started again at once each time.

The pause that the supervisor makes grows with each end that follows another, up to five seconds: here each is meant.
"""

from __future__ import annotations

from gateway import processes
from gateway.commands.main import main

PROGRAM = ("-m", "tests.crash.serve")

if __name__ == "__main__":
    processes.LONGEST_PAUSE_SECONDS = processes.FIRST_PAUSE_SECONDS
    main()
