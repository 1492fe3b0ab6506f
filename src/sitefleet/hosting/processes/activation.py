"""Starts a program with a socket that it finds as systemd would have handed it down.

Run by ``python -m sitefleet.hosting.processes.activation DESCRIPTOR NAME PROGRAM [ARGUMENT ...]``.
The socket becomes descriptor 3, and the number of the process goes into its environment, which
is known only now: see sd_listen_fds(3).
"""

from __future__ import annotations

import os
import sys

FIRST = 3


def main(descriptor: str, name: str, *argv: str) -> None:
    """Become the program."""
    if int(descriptor) == FIRST:
        os.set_inheritable(FIRST, True)  # noqa: FBT003 - as it is called there
    else:
        os.dup2(int(descriptor), FIRST)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": name}
    os.execv(argv[0], argv)  # noqa: S606 - a program of the router's, no shell


if __name__ == "__main__":
    main(*sys.argv[1:])
