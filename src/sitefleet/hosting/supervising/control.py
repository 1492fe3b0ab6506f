"""The door of a running fleet: a unix socket in its run directory, for its user alone.

One line of JSON asks, one answers: ``{"do": "reload", "site": "de"}``.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sitefleet.exceptions import SiteError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from sitefleet.hosting.processes.run_dir import RunDir

#: Bytes of a question: that for a log names all there are, one for each of thousands of sites.
LONGEST = 1024 * 1024
#: Seconds in which an answer is awaited: a reload tries the code first.
PATIENCE = 120.0
DONE, REFUSED, USAGE = 0, 1, 2

Answer = dict[str, Any]


class Refused(SiteError):
    """The running fleet does not do what it was asked for."""

    def __init__(self, text: str, status: int = REFUSED) -> None:
        super().__init__(text)
        self.status = status


class Control:
    """Answers at the control socket; ``actions`` by name, each called with what was asked."""

    def __init__(
        self, path: Path, actions: Mapping[str, Callable[[Answer], Awaitable[Answer]]]
    ) -> None:
        self.path = path
        self.actions = actions
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises OSError."""
        self.path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, str(self.path), limit=LONGEST
            )
        finally:
            os.umask(before)

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, asyncio.CancelledError):  # ValueError: a line too long
            answer = await self._answer(await reader.readline())
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> Answer:
        try:
            asked = json.loads(line)
            action = self.actions[asked["do"]]
        except (ValueError, TypeError, KeyError):
            return {"error": f"Known are: {', '.join(self.actions)}.", "status": USAGE}
        try:
            return await action(asked)
        except Refused as error:
            return {"error": str(error), "status": error.status}
        except Exception as error:  # noqa: BLE001 - the fleet goes on
            return {"error": f"{type(error).__name__}: {error}", "status": REFUSED}


def ask(run_dir: RunDir, action: str, **values: Any) -> Answer:
    """Ask the fleet that runs in a run directory. Raises Refused where none runs, or it refuses."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(run_dir.control))
            client.sendall(json.dumps({"do": action, **values}).encode() + b"\n")
            with client.makefile("rb") as answers:
                line = answers.readline()
    except (FileNotFoundError, ConnectionError):
        raise Refused(f"No fleet runs in {run_dir.root}.") from None
    except OSError as error:
        raise Refused(f"The fleet in {run_dir.root} does not answer: {error}.") from None
    if not line.endswith(b"\n"):
        raise Refused(f"The fleet in {run_dir.root} ended before it answered.")
    answer: Answer = json.loads(line)
    if "error" in answer:
        raise Refused(answer["error"], answer["status"])
    return answer
