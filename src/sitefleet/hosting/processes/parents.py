"""A process that is not to outlive its parent: Linux alone can promise that."""

from __future__ import annotations

import ctypes
import os
from signal import SIGTERM

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def end_with(parent: int) -> bool:
    """Let the kernel tell this process to end when its parent does, see prctl(2).

    Returns False where the parent has ended already. Nothing but system calls, so that it may be
    called between a fork and an exec.
    """
    _libc.prctl(PR_SET_PDEATHSIG, SIGTERM)
    return os.getppid() == parent
