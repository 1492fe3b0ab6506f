"""What is done when a process is told to end, beside what its server does."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds for which the server of this process may go on accepting connections when it was told to
#: end. gunicorn looks once in a second; `granian` says that it does not.
still_accepts = 1.5


def when_told_to_end(action: Callable[[], object]) -> None:
    """Call ``action`` at SIGTERM, before what is called then already.

    For the main thread, when the server has set its signals; where Python handles none, nothing is
    done. An event loop hears of the signal by `signal.set_wakeup_fd`, whoever handles it here.
    """
    own = signal.getsignal(signal.SIGTERM)
    if not callable(own):
        return

    def end(number: int, frame: Any) -> None:
        action()
        own(number, frame)

    signal.signal(signal.SIGTERM, end)
    signal.siginterrupt(signal.SIGTERM, False)  # noqa: FBT003 - it has no name for that
