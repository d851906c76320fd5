"""Commands of `sealgate` without the wait for their imports, which are most of what a small one takes.

A process that has imported all commands, and done nothing else, forks for each: what runs is the command line itself,
in a process of its own, with its own environment, directory and standard streams, to its own end. Tests use hundreds
of them to make what they need. What is about starting, signals or what the linker loads runs `python -m gateway`.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

_STREAMS = 3
_REQUEST_BYTES = 1 << 20
_STATUS_BYTES = 4


class Preloaded:
    """The forking process, from the first command on and for as long as this one lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], text: str = "", *, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` with captured output; `text` is what the command reads.

        Raises TimeoutExpired, and then the command may go on.
        """
        ours, theirs = socket.socketpair()
        with ours, ExitStack() as files:
            read, out, errors = streams = [files.enter_context(tempfile.TemporaryFile()) for _ in range(_STREAMS)]
            read.write(text.encode())
            read.seek(0)
            with theirs:
                handed = [theirs.fileno(), *(stream.fileno() for stream in streams)]
                socket.send_fds(self._begun(), [b"."], handed)
            request = {"arguments": list(arguments), "environment": dict(environment), "directory": str(Path.cwd())}
            ours.sendall(json.dumps(request).encode())
            ours.shutdown(socket.SHUT_WR)
            ours.settimeout(seconds)
            try:
                status = ours.recv(_STATUS_BYTES, socket.MSG_WAITALL)
            except TimeoutError:
                raise subprocess.TimeoutExpired(list(arguments), seconds) from None
            out.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(
                ["sealgate", *arguments],
                int.from_bytes(status, signed=True),
                out.read().decode(errors="replace"),
                errors.read().decode(errors="replace"),
            )

    def _begun(self) -> socket.socket:
        with self._lock:
            if self._control is None:
                self._control, theirs = socket.socketpair()
                with theirs:
                    process = subprocess.Popen(
                        [sys.executable, "-m", __name__, str(theirs.fileno())],
                        pass_fds=[theirs.fileno()],
                        stdin=subprocess.DEVNULL,
                        start_new_session=True,
                    )
                atexit.register(_end, process, self._control)
            return self._control


def _end(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    control.close()
    process.wait(30)


def _fork_for_each(control: socket.socket) -> None:
    """Until the other end is closed; returns then, and in the process of each command."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1 + _STREAMS)
        if not descriptors:
            os._exit(0)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            _become(socket.socket(fileno=descriptors[0]), descriptors[1:])
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _become(client: socket.socket, streams: Sequence[int]) -> None:
    """What the client asks for: returns in the command's process, while its parent waits and tells how it ended."""
    with client, client.makefile("rb") as file:
        request = json.loads(file.read(_REQUEST_BYTES))
        command = os.fork()
        if command:
            _, status = os.waitpid(command, 0)
            client.sendall(os.waitstatus_to_exitcode(status).to_bytes(_STATUS_BYTES, signed=True))
            os._exit(0)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["sealgate", *request["arguments"]]


def main() -> NoReturn:
    import click  # here, and not in the process that asks

    from gateway.commands.main import main as sealgate
    from gateway.sealing.ledger import from_environment, set_ledger

    context = click.Context(sealgate)
    for name in sealgate.list_commands(context):
        sealgate.get_command(context, name)
    gc.freeze()  # or each fork would pay for taking all of it apart at its end
    _fork_for_each(socket.socket(fileno=int(sys.argv[1])))
    set_ledger(from_environment(os.environ))
    sealgate(prog_name="sealgate")
    raise AssertionError("a command ends by SystemExit")


if __name__ == "__main__":
    main()
