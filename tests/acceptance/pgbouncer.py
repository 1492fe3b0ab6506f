"""A pgbouncer before the PostgreSQL server of the tests: transactions share its connections."""

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.postgres import ACCOUNT, missing

PORT = 6432
CONFIG = """
[databases]
* = host={server}
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {size}
server_check_delay = 0
logfile = {folder}/log
"""


@contextmanager
def running_pgbouncer(server, users, size=2):
    """Start one with that many connections for each database; yield what Django needs to know."""
    path = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if path is None:
        missing("pgbouncer is not installed")
    folder = Path(tempfile.mkdtemp(prefix="sitefleet-pgb-"))
    process = None
    try:
        (folder / "users").write_text("".join(f'"{user}" ""\n' for user in users))
        config = CONFIG.format(server=server.folder, folder=folder, port=PORT, size=size)
        (folder / "ini").write_text(config)
        account = {}
        if not os.getuid():  # it refuses to run as root
            shutil.chown(folder, ACCOUNT, ACCOUNT)
            account = {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []}
        command = [path, "-q", str(folder / "ini")]
        process = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, **account)
        deadline = time.monotonic() + 20
        while not (folder / f".s.PGSQL.{PORT}").exists():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield {"HOST": str(folder), "PORT": PORT, "DISABLE_SERVER_SIDE_CURSORS": True}
    finally:
        if process is not None:
            process.terminate()
            process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)
