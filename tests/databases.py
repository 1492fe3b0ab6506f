"""Databases with real transactions: a SQLite file, and threads that meet there."""

import shutil
from contextlib import contextmanager
from threading import Barrier, Thread

import pytest
from asgiref.sync import SyncToAsync
from django.core.management import call_command
from django.db import connections

from sitefleet.resolver import resolver


def together(function, times, *, timeout=60):
    """Call `function(number)` in that many threads at once; return results and exceptions."""
    barrier = Barrier(times)
    results = [None] * times

    def run(number):
        try:
            barrier.wait(timeout)
            results[number] = function(number)
        except Exception as error:  # noqa: BLE001 - handed to the test
            results[number] = error
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
        assert not thread.is_alive()
    return results


def elsewhere(function, *args):
    """Call `function` in another thread, that is on another connection; return what it returns."""
    result = together(lambda _: function(*args), 1)[0]
    if isinstance(result, Exception):
        raise result
    return result


def in_sync_thread(function):
    """Call `function` in the thread in which asynchronous tests do what waits; it outlives them."""
    return SyncToAsync.single_thread_executor.submit(function).result()


def forget_connection():
    connection = connections["default"]
    connection.close()
    if connection.connection is not None:  # Django keeps databases in memory open
        connection.connection.close()
        connection.connection = None
    del connections["default"]


@contextmanager
def using_database(**changes):
    """Let the alias ``default`` be another database, in all threads."""
    before, connection = connections.settings["default"], connections["default"]
    connections.settings["default"] = {**before, **changes}
    del connections["default"]
    in_sync_thread(forget_connection)
    resolver.reset()
    try:
        yield
    finally:
        connections["default"].close()
        in_sync_thread(forget_connection)
        connections.settings["default"] = before
        connections["default"] = connection
        resolver.reset()


def sqlite_file(path):
    """Return the settings of a SQLite file."""
    options = {"timeout": 30, "transaction_mode": "IMMEDIATE"}
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": options}


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory, django_db_setup, django_db_blocker):
    """The path of a SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("database") / "template.sqlite3"
    with django_db_blocker.unblock(), using_database(**sqlite_file(path)):
        call_command("migrate", run_syncdb=True, verbosity=0)
    return path


@pytest.fixture
def file_database(migrated_file, tmp_path, django_db_blocker):
    """A SQLite file of this test alone, as the default database."""
    path = tmp_path / "file.sqlite3"
    shutil.copy(migrated_file, path)
    with django_db_blocker.unblock(), using_database(**sqlite_file(path)):
        yield path
