"""The Emperor's query of the view ``sitefleet_vassals``, and how it reaches the database.

The view has the numbers of each site; the query adds what only the fleet that runs knows: where
files and sockets are, the mode of sites that do not say, and which variables sites may set.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from sitefleet.hosting.planning.fleet import DEDICATED
from sitefleet.hosting.uwsgi.ini import LONGEST_VALUE, SAFE_VALUE, Unusable, is_safe, of_site

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sitefleet.hosting.planning.fleet import Fleet
    from sitefleet.hosting.uwsgi.ini import Places

#: Stands for the id of the site in text that is the same for all sites.
ID = 424242
_SAFE_IN_SQL = re.compile(r"[A-Za-z0-9_.,:/=\[\](){}*+?^| -]")
#: What libpq is told, of what Django's settings say to psycopg.
_WORDS = frozenset(
    {
        *("host", "hostaddr", "port", "user", "dbname", "service", "passfile", "options"),
        *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "ssl_min_protocol_version"),
        *("gssencmode", "krbsrvname", "channel_binding", "target_session_attrs", "client_encoding"),
    }
)
#: Seconds for which a site that is not dedicated any more keeps its vassal, beside those in which
#: the supervisor sees it.
LEAVING = 4
#: Seconds for which the Emperor, which starts sites in the same loop, waits for a database.
CONNECT_TIMEOUT = 2
#: Seconds for which it waits for an answer: a migration may have locked the table.
QUERY_TIMEOUT = 1
#: A server that is gone between the two is noticed after about as long.
_WATCHED = {
    "tcp_user_timeout": f"{CONNECT_TIMEOUT * 1000}",
    "keepalives_idle": "1",
    "keepalives_interval": "1",
    "keepalives_count": "2",
}


def literal(text: str) -> str:
    """Return a text constant of SQL that means nothing in a file of uWSGI, whatever is in it.

    It needs ``standard_conforming_strings``, which is on since PostgreSQL 9.1.
    """
    if all(map(_SAFE_IN_SQL.match, text)):
        return f"'{text}'"
    escaped = (c if _SAFE_IN_SQL.match(c) else f"\\+{ord(c):06X}" for c in text)
    return f"U&'{''.join(escaped)}'"


def query(view: str, fleet: Fleet, inherited: Mapping[str, str], places: Places) -> str:
    """Return what the Emperor asks, in one line, of which the last statement has the answer.

    ``view`` is the qualified name, quoted; ``inherited`` are the variables that processes have
    where a site does not set them.
    """
    serving = fleet.serving
    head = [("include", places.common), *of_site(ID, places.sockets)[1:]]
    text = "".join(f"{name} = {value}\n" for name, value in head)
    same = (literal(part) for part in f"[uwsgi]\n{text}".split(f"site-{ID}"))
    variables = (_variable(name, inherited.get(name, "")) for name in serving.environment)
    config = " || ".join((" || key || ".join(same), "config", *variables))
    common = literal(json.dumps(serving.options.get("environment", {})))
    leaving = int((2 * fleet.freshness + LEAVING) * 1_000_000)
    modes = (DEDICATED, "") if serving.mode == DEDICATED else (DEDICATED,)
    return (
        # Of this transaction alone, as a pooler may hand the connection to others.
        f"SET LOCAL statement_timeout = '{QUERY_TIMEOUT}s'; "
        # The epoch stands in the name too, so that a change is a new vassal on the same path, which
        # starts while the old one ends. A reload in place hands the new lines on through a pipe:
        # after two within a second the vassal reads those of the change before, for ever.
        f"SELECT key || '.' || epoch || '.ini', {config}, epoch, uid, gid,"
        f" {literal(places.sockets + '/')} || socket FROM ("
        "SELECT name, config, epoch, uid, gid, socket, split_part(name, '.', 1) AS key,"
        f" coalesce(environment, {common}::jsonb) AS environment"
        f" FROM {view} WHERE mode IN ({', '.join(map(literal, modes))})"
        # What has just left stays until the router knows: what waits at its socket is not lost.
        f" OR epoch > extract(epoch FROM clock_timestamp()) * 1000000 - {leaving}) AS vassals"
        # No site at all is a table that is being restored, not a fleet without dedicated sites:
        # a division by zero, so that the Emperor, which stops what it does not see, stops none.
        f" WHERE 1 / (EXISTS (SELECT FROM {view}))::int = 1"
    )


def assume(role: str) -> str:
    """Return what comes before the query, where the settings have ``assume_role``."""
    return f"SELECT set_config('role', {literal(role)}, true); " if role else ""


def _variable(name: str, inherited: str) -> str:
    """Return the lines for one variable: what the site says, else what we have ourselves."""
    value = f"(environment->>'{name}')"
    other = f"env = {name}={inherited}\n" if is_safe(inherited) else f"unenv = {name}\n"
    return (
        f"CASE WHEN jsonb_typeof(environment->'{name}') = 'string'"
        f" AND length{value} <= {LONGEST_VALUE} AND {value} ~ {literal(f'^({SAFE_VALUE})$')}"
        f" THEN {literal(f'env = {name}=')} || {value} || chr(10) ELSE {literal(other)} END"
    )


def conninfo(parameters: Mapping[str, str]) -> str:
    """Return the words by which libpq connects. Raises Unusable for what cannot be told so.

    No password: that is in the file which ``passfile`` names, as what is here gets into logs.
    """
    words = {name: value for name, value in parameters.items() if name in _WORDS and value}
    words |= {"connect_timeout": str(CONNECT_TIMEOUT), "application_name": "sitefleet-emperor"}
    words |= _WATCHED
    if bad := [name for name, value in words.items() if re.search(r"[;%]|\$\(|@\(|[^ -~]", value)]:
        message = f"{bad[0]} of the database has characters that uWSGI reads otherwise."
        raise Unusable(message)
    return " ".join(f"{name}={_quoted(value)}" for name, value in words.items())


def password_file(password: str) -> str:
    """Return the line of a password file of libpq, for any server. Raises Unusable."""
    if "\n" in password or "\r" in password:
        message = (
            "The password of the database has a line break, which a password file cannot hold."
        )
        raise Unusable(message)
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    return f"*:*:*:*:{escaped}\n"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
