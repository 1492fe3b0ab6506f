"""gunicorn's workers, without gunicorn's master: the one module that knows its internals.

A process that somebody else has forked serves a listening socket that it has inherited, by the
same classes as in any gunicorn. What they need of a master is made here. Nothing of it is promised
by gunicorn: tests run each supported version.
"""

from __future__ import annotations

import ast
import os
import signal
from importlib import import_module
from inspect import isfunction
from typing import TYPE_CHECKING, Any

from sitefleet.exceptions import SiteError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from sitefleet.hosting.planning.options import Options

#: The versions, by their first number, whose workers are known to run here.
SUPPORTED = {
    "wsgi": (25, 26, 27),
    # Earlier ones do not tell the application that a WebSocket was closed, take no notice of
    # X-Forwarded-Proto under ASGI, and 25 loses count of its connections.
    "asgi": (27,),
}
INSTALL = 'pip install --upgrade "django-sitefleet[serve]"'
#: Exit status of a process whose application could not be started.
NOT_STARTED = 3
#: What workers import at their start or at the first request.
NEEDED = {
    "": ("gunicorn.config", "gunicorn.glogging", "gunicorn.instrument.statsd"),
    "wsgi": ("gunicorn.workers.sync", "gunicorn.workers.gthread", "concurrent.futures.thread"),
    "asgi": (
        "gunicorn.arbiter",
        "gunicorn.workers.gasgi",
        "gunicorn.asgi.lifespan",
        "gunicorn.asgi.websocket",
    ),
}
CLASSES = {
    "sync": ("gunicorn.workers.sync", "SyncWorker"),
    "gthread": ("gunicorn.workers.gthread", "ThreadWorker"),
    "asgi": ("gunicorn.workers.gasgi", "ASGIWorker"),
}
#: What `preload` has made: each forked process owns two megabytes more where it does so itself.
_made: dict[str, Any] = {}
#: gunicorn's upper limit for the first line of a request, in bytes.
LONGEST_REQUEST_LINE = 8190
#: What is the same for all sites, see `settings_for`.
FIXED: dict[str, Any] = {
    "keepalive": 0,
    "limit_request_line": LONGEST_REQUEST_LINE,
    # The peer is always a router of ours: at a unix socket, or on this machine.
    "forwarded_allow_ips": "127.0.0.1,::1",
    "secure_scheme_headers": {"X-FORWARDED-PROTO": "https"},
    "forwarder_headers": "",
    "header_map": "drop",
    "loglevel": "warning",
    "accesslog": None,
    "errorlog": "-",
}


def preload(interface: str) -> None:
    """Import all that workers need for ``wsgi`` or ``asgi``: processes forked later share it.

    Raises SiteError when gunicorn is missing, or of a version that is not known to run here.
    """
    check_version(interface)
    for name in (*NEEDED[""], *NEEDED[interface]):
        import_module(name)
    if not _made:
        _made["config"] = _make_config()
        _made["log"] = _make_log(_made["config"])
    for name in ("asgi",) if interface == "asgi" else ("sync", "gthread"):
        _made[name] = _worker_class(name)


def check_version(interface: str) -> None:
    """Raise SiteError unless gunicorn is installed, in a version for ``wsgi`` or ``asgi``."""
    try:
        gunicorn = import_module("gunicorn")
    except ImportError as error:
        message = f"gunicorn, which answers the requests, is not installed: {INSTALL}."
        raise SiteError(message) from error
    known = SUPPORTED[interface]
    if gunicorn.version_info[0] not in known:
        versions = ", ".join(map(str, known))
        message = (
            f"gunicorn {gunicorn.__version__} is installed; {interface.upper()} is served by"
            f" version {versions}: {INSTALL}."
        )
        raise SiteError(message)


def why_not_lines(text: str, lines: str) -> str:
    """Return why gunicorn would not take lines at the end of a configuration; empty if it would.

    It takes no notice of names that it does not know. Here those that are assigned to are refused,
    unless they are in capitals or begin with ``_``; and so are hooks in the place of those that the
    configuration has, if nothing in the lines speaks of these.
    """
    names: dict[str, Any] = {"__name__": "__config__"}
    exec(compile(text, "gunicorn.conf.py", "exec", dont_inherit=True), names)  # noqa: S102 - ours
    known, lines = dict(names), lines.strip()
    try:
        exec(compile(lines, "lines", "exec", dont_inherit=True), names)  # noqa: S102 - as gunicorn
    except SyntaxError as error:
        return f"{error.msg}: {error.text or ''}"
    except BaseException as error:  # noqa: BLE001 - code of the project may raise anything
        return f"{type(error).__name__}: {error}"
    config = import_module("gunicorn.config").Config()
    for name in names.keys() & config.settings.keys():
        try:
            config.set(name, names[name])
        except Exception as error:  # noqa: BLE001 - each setting has rules of its own
            return f"{name} = {names[name]!r}: {error}"
    if gone := _gone(lines, known, names):
        return f"the {gone} that is there is needed: keep it, _ours = {gone}, and call it in yours"
    unknown = _assigned(lines) - known.keys() - config.settings.keys()
    return "".join(f"gunicorn has no option {name!r}" for name in sorted(unknown)[:1])


def _gone(lines: str, before: dict[str, Any], names: dict[str, Any]) -> str:
    """Return the first function that is another after lines that do not use it; else nothing."""
    nodes = [node for node in ast.walk(ast.parse(lines)) if isinstance(node, ast.Name)]
    used = {node.id for node in nodes if isinstance(node.ctx, ast.Load)}
    ours = {name for name, value in before.items() if isfunction(value)}
    return min((name for name in ours - used if names.get(name) is not before[name]), default="")


def _assigned(lines: str) -> set[str]:
    targets = [
        target
        for statement in ast.parse(lines).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
    ]
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_") and not name.isupper()}


def serve(  # noqa: PLR0913 - all but the first three by name
    listener: socket.socket,
    app: Callable[..., Any],
    options: Options,
    *,
    interface: str,
    name: str,
    on_ready: Callable[[], None] = lambda: None,
) -> int:
    """Serve a listening socket by a WSGI or ASGI application; return an exit status.

    For a process that has been forked for this, and from its main thread: signals are those of a
    gunicorn worker from here on (SIGTERM ends it gracefully, within ``options.timeout`` seconds;
    SIGINT and SIGQUIT at once), and none is blocked. ``on_ready`` is called when it is about to
    accept connections, after signals were set. It also ends when its parent has gone.

    There is no limit to requests here, and nobody sees that it hangs: both are matters of the
    parent. Errors go to `sys.stderr`. Status 0: ended as it was told; 3: the application could not
    be started; others as `sys.exit` was called. Threads may be left, so that the caller ends the
    process by `os._exit`. Raises SiteError, as `preload`.
    """
    name_of_class = worker_class_name(interface, options.threads)
    if name_of_class not in _made:
        preload(interface)
    signal.set_wakeup_fd(-1)  # what wakes the parent is none of ours
    config, log = _made["config"], _made["log"]
    for key, value in _settings_of(options, interface).items():
        config.set(key, value)
    config.set("proc_name", name)
    kind = _made[name_of_class]
    # The timeout is how long it waits for a connection before it looks whether it is to end.
    worker = kind(1, os.getppid(), [_Listener(listener)], _Application(app), 1, config, log)
    worker.pid = os.getpid()
    worker.on_ready = on_ready
    try:
        worker.init_process()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        log.exception("This process cannot serve")
        return NOT_STARTED
    return 0


def worker_class_name(interface: str, threads: int) -> str:
    """Return gunicorn's name of a class: asgi, else sync for one thread, else gthread."""
    if interface == "asgi":
        return "asgi"
    return "sync" if threads == 1 else "gthread"


def _make_config() -> Any:
    """Return gunicorn's configuration, of nothing but this: no file, no variable counts."""
    config = import_module("gunicorn.config").Config()
    for key, value in FIXED.items():
        config.set(key, value)
    config.set("asgi_loop", "asyncio")  # uvloop would cost each process megabytes
    return config


def _make_log(config: Any) -> Any:
    class Log(import_module("gunicorn.glogging").Logger):  # type: ignore[misc]
        """Leaves the project's loggers alone: no other program inherits their files from here."""

        def close_on_exec(self) -> None:
            """Do nothing: it would look at each logger that there is."""

    return Log(config)


def settings_for(options: Options, interface: str) -> dict[str, Any]:
    """Return gunicorn's settings for a server behind a router of ours.

    The router sets ``X-Forwarded-Proto``, so that alone is believed, and no other header of a
    client becomes anything but itself. Connections are not kept: a process may end at any time.
    """
    return {**_settings_of(options, interface), **FIXED}


def _settings_of(options: Options, interface: str) -> dict[str, Any]:
    settings = {
        # A worker of ASGI has an event loop, and gunicorn complains of threads.
        "threads": options.threads if interface == "wsgi" else 1,
        "timeout": options.timeout,
        "graceful_timeout": options.timeout,
    }
    if interface == "wsgi":
        # More connections wait in the backlog, where any process may take them.
        settings["worker_connections"] = options.threads
    return settings


def _worker_class(name: str) -> Any:
    module, class_name = CLASSES[name]
    import_module("gunicorn.workers.base").WorkerTmp = _Nothing  # type: ignore[attr-defined]

    class Announced(getattr(import_module(module), class_name)):  # type: ignore[misc]
        """Says once that it is ready, where it would tell its master that it lives."""

        said = False

        def notify(self) -> None:
            if not self.said:
                self.said = True
                self.on_ready()
                signal.pthread_sigmask(signal.SIG_SETMASK, ())

    return Announced


class _Nothing:
    """Stands where gunicorn has the file by whose date its master sees that a worker lives.

    A file for each process could not be made on a full disk.
    """

    def __init__(self, _config: Any) -> None:
        self._number = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def fileno(self) -> int:
        return self._number


class _Listener:
    """A listening socket as gunicorn's workers want it, which own the copy in ``sock``.

    That has the lowest free number: select(2) takes none beyond 1023.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock.dup()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)

    def __str__(self) -> str:
        return str(self.sock.getsockname())


class _Application:
    """Where gunicorn asks for the application; it has one name for WSGI and ASGI."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    def wsgi(self) -> Callable[..., Any]:
        return self._app
