"""The run directory: sockets, logs and generated files of one running fleet."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sitefleet.exceptions import SiteError

#: What the kernel has room for in the address of a unix socket (``sun_path``, with its end).
LONGEST_SOCKET = 107
#: The longest name of a socket that is made here, with its slash.
LONGEST_NAME = len("/s/site-9223372036854775807.sock")


class RunDir:
    """Paths in the run directory of one fleet; `lock` makes it that of this process."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()
        self.sockets = self.root / "s"
        self.logs = self.root / "logs"
        self.files = self.root / "etc"
        """Generated configurations."""
        self.control = self.root / "control.sock"
        self._lock: int | None = None

    def make(self) -> None:
        """Make the directories, for this user alone. Raises SiteError for a path too long."""
        longest = len(os.fsencode(self.root)) + LONGEST_NAME
        if longest > LONGEST_SOCKET:
            message = (
                f"{self.root} is too long for sockets in it, by {longest - LONGEST_SOCKET} bytes:"
                ' name a shorter directory by SITEFLEET["SERVING"]["run_dir"] or --run-dir.'
            )
            raise SiteError(message)
        for folder in (self.root, self.sockets, self.logs, self.files):
            folder.mkdir(parents=folder == self.root, exist_ok=True, mode=0o700)

    def lock(self) -> None:
        """Make this directory that of this process, until it ends. Raises SiteError if taken."""
        handle = os.open(self.root / "pid", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 20).decode(errors="replace").strip()
            os.close(handle)
            message = f"A fleet runs in {self.root} already (process {owner}): sitefleet stop."
            raise SiteError(message) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._lock = handle

    def socket(self, key: str) -> Path:
        """Return the path of the socket of an instance."""
        return self.sockets / f"{key}.sock"
