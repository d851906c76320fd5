"""Who is at the other end of a Unix socket, as the kernel says."""

from __future__ import annotations

import socket
import struct

_LINUX_UCRED = struct.Struct("3i")  # pid, uid, gid: struct ucred, unix(7)
_XUCRED = struct.Struct("=IIhhI")  # cr_version, cr_uid, cr_ngroups, padding, first group: <sys/ucred.h>
_XUCRED_BYTES = 76
_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1


def peer_uid(connection: socket.socket) -> int:
    """The effective user id of the peer when it connected (SO_PEERCRED; LOCAL_PEERCRED on macOS). Raises OSError."""
    if hasattr(socket, "SO_PEERCRED"):
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _LINUX_UCRED.size)
        return int(_LINUX_UCRED.unpack(credentials)[1])
    credentials = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES)
    version, uid, *_ = _XUCRED.unpack_from(credentials)
    if version != 0:
        raise OSError(f"struct xucred of version {version} is not known")
    return int(uid)
