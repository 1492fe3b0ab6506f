"""Configuration files for gunicorn, as text: the shared server, and a group of dedicated sites.

They are stock gunicorn and import nothing from here, so that they can be read, kept and run by
hand. The hooks in them do what gunicorn leaves to its users: share memory, watch requests and
memory, and give each worker its site.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sitefleet.hosting.processes.project import VARIABLE
from sitefleet.hosting.servers.variables import FORKS
from sitefleet.hosting.servers.workers import settings_for, worker_class_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sitefleet.hosting.planning.options import Options
    from sitefleet.hosting.planning.plan import Instance
    from sitefleet.hosting.processes.project import Project

#: What is handed to a server, by interface; both are warm when they are handed out.
APPLICATIONS = {
    "wsgi": "sitefleet.serving.wsgi:application",
    "asgi": "sitefleet.serving.asgi:application",
}
#: The same, for a server that loads it once and forks.
APPLICATIONS_TO_FORK = {**APPLICATIONS, "asgi": "sitefleet.serving.asgi_to_fork:application"}
#: Where a worker's sign of life cannot be held up by a slow disk.
MEMORY_FOLDER = "/dev/shm"  # noqa: S108 - gunicorn makes its files there by mkstemp

HEAD = """\
# Written by sitefleet, anew at each start and change. It is stock gunicorn's:
# lines of your own go into SITEFLEET["SERVING"]["raw"]["gunicorn"] of the settings.
# By hand: gunicorn --config {file}
import gc
import os
import signal
import sys
import traceback
from threading import get_ident
from time import monotonic

"""

HOOKS = '''

def on_starting(server):
    # The sockets belong to who started this server: they stay when it ends.
    server.systemd = True
    before = os.umask(0o077)
    for address in bind:
        if address.startswith("unix:"):
            os.makedirs(os.path.dirname(address[5:]), exist_ok=True)
    os.umask(before)


def tell(pid, site):
    """Let who has started this server know of a process."""
    ready = int(os.environ.get("SITEFLEET_READY", "-1"))
    if ready >= 0:
        try:
            os.write(ready, b"%d %d\\n" % (pid, site))
        except OSError:
            pass


def post_worker_init(worker):
    """Let a request cost its process that takes too long, and replace a process too large."""
    notify, begun, due = worker.notify, {}, [monotonic() + 2]

    def watched(environ, start_response):
        begun[get_ident()] = monotonic()
        try:
            return answer(environ, start_response)
        finally:
            del begun[get_ident()]

    def look():
        notify()
        now = monotonic()
        for thread, since in begun.copy().items():
            if now - since > timeout:
                stack = "".join(traceback.format_stack(sys._current_frames().get(thread)))
                worker.log.critical("No answer in %s seconds:\\n%s", timeout, stack)
                os._exit(1)
        if worker.nr >= worker.most:
            os.kill(os.getpid(), signal.SIGTERM)
        if memory_limit and now > due[0]:
            due[0] = now + 2
            if private_megabytes() > memory_limit:
                worker.log.warning("More than %s MB: it is replaced.", memory_limit)
                os.kill(os.getpid(), signal.SIGTERM)

    if worker_class == "gthread":  # of one thread gunicorn sees itself that it hangs
        answer, worker.wsgi = worker.wsgi, watched
    worker.notify = look
    worker.most = worker.max_requests
    if worker_class == "asgi":  # else it ends without a signal, of which WebSockets would hear
        worker.max_requests = sys.maxsize
    tell(os.getpid(), getattr(worker, "site_id", 0))


def worker_exit(server, worker):
    if worker.nr >= getattr(worker, "most", sys.maxsize):
        tell(-os.getpid(), getattr(worker, "site_id", 0))


def private_megabytes():
    try:
        with open("/proc/self/smaps_rollup") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("Private_")) / 1024
    except OSError:
        return 0
'''

PRELOADED = """

def when_ready(server):
    # All is loaded and no worker is forked yet: what is there now is shared by all of them.
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()
    gc.collect()
    gc.freeze()
"""

NICE = """

def post_fork(server, worker):
    os.nice(niceness)
"""

SITES = '''

SORRY = (
    b"HTTP/1.1 503 Service Unavailable\\r\\nContent-Type: text/plain\\r\\nRetry-After: 1\\r\\n"
    b"Cache-Control: no-store\\r\\nConnection: close\\r\\n\\r\\n"
    b"This site cannot be reached at the moment. Please try again soon.\\n"
)


def pre_fork(server, worker):
    # The first site that has fewer workers than it should have.
    running = [other.site for other in server.WORKERS.values()]
    short = (at for at, site in enumerate(sites) if running.count(at) < site["workers"])
    worker.site = next(short, 0)


def post_fork(server, worker):
    """Make the new process one of its site alone."""
    mine = server.LISTENERS[worker.site]
    for listener in server.LISTENERS:
        if listener is not mine:
            listener.close()
    worker.sockets = [mine]
    worker.site_id = sites[worker.site]["id"]
    os.nice(niceness)
    try:
        from sitefleet.serving.pinning import become_site

        become_site(worker.site_id)
    except BaseException:
        # Whatever status a site ends with: 3 and 4 would end gunicorn, and all sites with it.
        traceback.print_exc()
        tell(0, worker.site_id)
        apologize(mine.sock, monotonic() + 1)
        os._exit(1)


def apologize(listener, until):
    # Nobody is let wait for a site that does not start.
    listener.settimeout(0.1)
    while monotonic() < until:
        try:
            client, _ = listener.accept()
            with client:
                client.settimeout(1)
                client.recv(65536)
                client.sendall(SORRY)
        except OSError:
            pass
'''


def shared_file(
    instance: Instance, bind: str, raw: str = "", project: Project | None = None
) -> str:
    """Return the configuration of a shared server.

    ``bind`` is its socket: ``fd://7`` for one that it inherits, or ``unix:/path``, whose folder it
    makes. With ``project`` it needs nothing else to be run.
    """
    options = instance.options
    preload = options.interface == "wsgi"  # event loops and their threads do not survive a fork
    values = {
        "wsgi_app": APPLICATIONS[options.interface],
        "bind": [bind],
        "workers": options.workers,
        "preload_app": preload,
        **_common(instance.key, options),
    }
    hooks = HOOKS + PRELOADED * preload + NICE * bool(options.niceness)
    head = HEAD.format(file=f"{instance.key}.gunicorn.py")
    return head + _lines(values, options.environment, project) + hooks + _own(raw)


def sites_file(
    name: str,
    instances: Sequence[Instance],
    binds: Sequence[str],
    raw: str = "",
    project: Project | None = None,
) -> str:
    """Return the configuration of a server for sites with the same options, workers apart.

    ``binds`` are their sockets in the same order; all else is as in `shared_file`.
    """
    options = instances[0].options
    sites = [
        {"id": item.site, "slug": item.slug, "workers": item.options.workers} for item in instances
    ]
    values = {
        "wsgi_app": APPLICATIONS_TO_FORK[options.interface],
        "bind": list(binds),
        "sites": sites,
        "workers": sum(item.options.workers for item in instances),
        "preload_app": True,
        **_common(name, options),
        "niceness": options.niceness,
    }
    variables = {**options.environment, FORKS: ",".join(str(item.site) for item in instances)}
    head = HEAD.format(file=f"{name}.py")
    hooks = HOOKS + PRELOADED + SITES
    return head + _lines(values, variables, project) + hooks + _own(raw)


def _common(name: str, options: Options) -> dict[str, Any]:
    values = {
        "worker_class": worker_class_name(options.interface, options.threads),
        **settings_for(options, options.interface),
        "max_requests": options.max_requests,
        # Those that have started together are not to end together.
        "max_requests_jitter": options.max_requests // 10 if options.workers > 1 else 0,
        "memory_limit": options.memory_limit,
        "proc_name": name,
        # Servers of one user would all want the same one.
        "control_socket_disable": True,
    }
    if os.path.isdir(MEMORY_FOLDER):  # noqa: PTH112 - nothing else here needs a path
        values["worker_tmp_dir"] = MEMORY_FOLDER
    if options.niceness:
        values["niceness"] = options.niceness
    return values


def _lines(values: dict[str, Any], variables: dict[str, str], project: Project | None) -> str:
    if project is not None:
        values = {"chdir": str(project.root), **values}
        variables = {VARIABLE: project.settings, **variables}
    set_them = f"os.environ.update({variables!r})\n" if variables else ""
    return set_them + "".join(f"{key} = {value!r}\n" for key, value in values.items())


def _own(raw: str) -> str:
    return f"\n\n# From the settings.\n{raw.strip()}\n" if raw.strip() else ""
