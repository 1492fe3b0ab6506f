"""The run directory: sockets, logs and generated files of one running fleet."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from sitefleet.exceptions import SiteError

#: What the kernel has room for in the address of a unix socket (``sun_path``, with its end).
LONGEST_SOCKET = 107
#: The longest name of a socket that is made here, with its slash.
LONGEST_NAME = len("/s/site-9223372036854775807.sock")
PID = "pid"
#: Who asks whether a fleet runs holds the lock meanwhile: how often, and after how many seconds
#: each, it is tried again.
LOOKS, LOOK = 5, 0.01
#: Keeps the directory out of Git; and tells, with that of the sockets, that it is one of ours.
IGNORED = ".gitignore"


class RunDir:
    """Paths in the run directory of one fleet; `lock` makes it that of this process."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()
        self.sockets = self.root / "s"
        self.logs = self.root / "logs"
        self.files = self.root / "etc"
        """Generated configurations."""
        self.counts = self.root / "counts"
        """Requests by site: see `sitefleet.hosting.servers.counts`."""
        self._folders = (self.sockets, self.logs, self.files, self.counts)
        self.control = self.root / "control.sock"
        self._lock: int | None = None

    def make(self) -> None:
        """Make the directories, for this user alone. Raises SiteError where that cannot be."""
        if reason := self.why_too_long():
            raise SiteError(reason)
        try:
            _make_private(self.root)
            if reason := self._why_not_ours():
                raise SiteError(reason)
            for folder in self._folders:
                _make_private(folder)
            self._ignore()
            with tempfile.TemporaryFile(dir=self.sockets):
                pass
        except OSError as error:
            message = f"Sockets cannot be made in {self.root}: {error.strerror}."
            raise SiteError(message) from error

    def why_too_long(self) -> str:
        """Return why the path cannot hold sockets; empty when it can."""
        over = len(os.fsencode(self.root)) + LONGEST_NAME - LONGEST_SOCKET
        if over <= 0:
            return ""
        return (
            f"{self.root} is too long for sockets in it, by {over} bytes:"
            ' name a shorter directory by SITEFLEET["SERVING"]["run_dir"] or --run-dir.'
        )

    def _why_not_ours(self) -> str:
        """Return why nothing is to be written here: somebody else's files are here already."""
        found = {path.name for path in self.root.iterdir()}
        own = {path.name for path in (*self._folders, self.control)}
        begun = found <= own | {IGNORED, PID}  # by a start that got no further
        if begun or ({IGNORED, self.sockets.name} <= found and "manage.py" not in found):
            return ""
        return f"{self.root} has other files in it: name a directory of its own by --run-dir."

    def _ignore(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with suppress(FileExistsError), open(os.open(self.root / IGNORED, flags, 0o600), "w") as it:  # noqa: PTH123
            it.write("*\n")

    def lock(self) -> None:
        """Make this directory that of this process, until it ends. Raises SiteError if taken."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self.root / PID, flags, 0o600)
        try:
            _lock_soon(handle)
        except BlockingIOError:
            owner = os.read(handle, 20).decode(errors="replace").strip()
            os.close(handle)
            message = f"A fleet runs in {self.root} already (process {owner}): sitefleet stop."
            raise SiteError(message) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._lock = handle

    def unlock(self) -> None:
        """Leave it to others."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def is_taken(self) -> bool:
        """Whether a fleet runs here."""
        try:
            handle = os.open(self.root / PID, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def socket(self, key: str) -> Path:
        """Return the path of the socket of an instance."""
        return self.sockets / f"{key}.sock"


def _make_private(folder: Path) -> None:
    """Make a directory for this user alone, or take one that nobody else has had a hand in.

    Raises SiteError for another one: its owner could put sockets of his own there; and OSError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        reason = "is a link, and not a directory"
    elif found.st_uid != os.geteuid():
        reason = f"belongs to another user ({found.st_uid})"
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        reason = "can be written to by others"
    else:
        folder.chmod(0o700)
        return
    message = f"{folder} {reason}: take it away, or name another directory by --run-dir."
    raise SiteError(message)


def run_dir_of(project: Path, named: str = "") -> RunDir:
    """Return the run directory of a project: the one that is named, below it if relative."""
    return RunDir(project / (named or ".sitefleet"))


def _lock_soon(handle: int) -> None:
    """Lock a file. Raises BlockingIOError when it is another's, and not for a moment only."""
    for _ in range(LOOKS):
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(LOOK)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def make_prefix(folder: Path, name: str) -> Path:
    """Return what names of files may begin with; those that begin so already are removed."""
    for path in folder.glob(f"{name}.*"):
        path.unlink(missing_ok=True)
    return folder / name


def write_file(path: Path, text: str) -> None:
    """Write a file in one step: whoever reads it gets all of the old or all of the new.

    Raises OSError.
    """
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
