"""What uWSGI's driver asks Django, once: ``python -m sitefleet.serving.emperor`` says it in JSON.

A process of its own, so that nothing of Django gets into the supervisor, and the password of the
database into no plan, no log and no list of processes: it goes through a pipe.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

import django
from django.apps import apps
from django.db import DatabaseError, connections, router

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

VIEW = "sitefleet_vassals"


def describe() -> dict[str, Any]:
    """Return how to reach the view of vassals, and the Python that is to run them.

    ``view`` is its qualified name, quoted, and empty where there is none; ``parameters`` are those
    of libpq that the settings have, ``password`` is apart from them; ``role`` is the one that is
    assumed after the connection is made, if any.
    """
    # Without an import of models, which this module would do before the apps are loaded.
    connection = connections[router.db_for_read(apps.get_model("sitefleet", "SiteConfig"))]
    view, role, parameters = "", "", {}
    if connection.vendor == "postgresql":
        view = find_view(connection)
        role = connection.settings_dict["OPTIONS"].get("assume_role") or ""
        parameters = {
            name: str(value)
            for name, value in connection.get_connection_params().items()
            if isinstance(value, (str, int)) and not isinstance(value, bool)
        }
    return {
        "view": view,
        "role": role,
        "password": parameters.pop("password", ""),
        "parameters": parameters,
        "home": sys.prefix if sys.prefix != sys.base_prefix else "",
        "paths": [path for path in dict.fromkeys(sys.path) if path and not _is_standard(path)],
        "version": ".".join(map(str, sys.version_info[:3])),
    }


def _is_standard(path: str) -> bool:
    """Whether a folder comes with Python itself."""
    standard = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    folder = path.removesuffix("/lib-dynload")
    return folder in standard or path.endswith(".zip")


def find_view(connection: BaseDatabaseWrapper) -> str:
    """Return the qualified name of the view, as this connection sees it; empty without it."""
    statement = (
        "SELECT format('%%I.%%I', nspname, relname) FROM pg_class"
        " JOIN pg_namespace ON pg_namespace.oid = relnamespace"
        " WHERE pg_class.oid = to_regclass(%s)"
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, [VIEW])
            row = cursor.fetchone()
    except DatabaseError:
        return ""
    return row[0] if row else ""


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(json.dumps(describe()))
