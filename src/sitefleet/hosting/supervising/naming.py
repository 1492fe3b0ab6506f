"""Which instance or process a word on a command line means."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from sitefleet.hosting.drivers.gunicorn import groups
from sitefleet.hosting.planning.fleet import DEDICATED
from sitefleet.hosting.processes.logs import OWN
from sitefleet.hosting.supervising.control import USAGE, Refused

if TYPE_CHECKING:
    from sitefleet.hosting.planning.plan import Plan

#: The router, whatever it is.
ROUTER = "router"
#: What a fleet that runs has in any case, beside instances.
PROCESSES = (ROUTER, OWN, "reader")


def find_key(plan: Plan, word: str, others: tuple[str, ...] = (), command: str = "logs") -> str:
    """Return the key of the instance that a slug, an id or a key means, or one of ``others``.

    Raises Refused: with the nearest name there is, or for a shared site with what to ask for.
    """
    known = {decision.site.slug: decision.instance for decision in plan.decisions}
    known |= {str(decision.site.id): decision.instance for decision in plan.decisions}
    shared = {slug: "shared" for slug, _ in plan.fleet.examples} | {
        word: decision.instance
        for decision in plan.decisions
        if decision.mode != DEDICATED
        for word in (decision.site.slug, str(decision.site.id))
    }
    names = {name: name for name in (*(one.key for one in plan.instances), *others)}
    known = {**shared, **known, **names}
    if word in shared and word not in names:
        raise Refused(f"{word} is shared: sitefleet {command} {shared[word]}.")
    if word in known:
        return known[word]
    near = get_close_matches(word, known, 1)
    hint = f" Did you mean {near[0]}?" if near else " See sitefleet status --all."
    message = f"There is no dedicated site and no process {word!r}.{hint}"
    raise Refused(message, USAGE)


def name_of(plan: Plan, key: str) -> str:
    """Return the slug of a dedicated site by the key of its instance; any other key as it is."""
    return next((one.slug for one in plan.dedicated if one.key == key), key)


def logs_elsewhere(plan: Plan) -> dict[str, str]:
    """Return the names of logs by what speaks there and has another name.

    A router that is a program, and sites of which several have one server.
    """
    serving, found = plan.fleet.serving, {}
    if serving.driver == "gunicorn":
        found = {one.key: group for group, several in groups(plan.dedicated) for one in several}
    return found if serving.router == "asyncio" else {**found, ROUTER: serving.router}


def log_of(plan: Plan, name: str) -> tuple[str, int]:
    """Return the name of the log of an instance or a process, and how many of them speak there."""
    elsewhere = logs_elsewhere(plan)
    log = elsewhere.get(name, name)
    return log, max(1, list(elsewhere.values()).count(log))
