"""Why a host leads where it does: the pipeline, told step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitefleet import hosts
from sitefleet.conf import get_conf, process_site_id
from sitefleet.databases import site_connection
from sitefleet.environments import Environment, get_environment
from sitefleet.lookup import forced_match, listed_match
from sitefleet.pipeline import (
    ALIAS_REDIRECTED,
    ALIAS_SERVED,
    UNKNOWN,
    Entry,
    Match,
    Row,
    Step,
    decide,
    look_up,
    steps_for,
)
from sitefleet.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The step of a process that is for one site alone.
PROCESS = "SITE_ID of process"
#: The only step of a host that is none of this environment.
OUTSIDE = "environment"


@dataclass(frozen=True, slots=True)
class Told:
    """One step: what was looked for, and what came of it."""

    step: str
    asked: str
    said: str
    won: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole way of a host and path."""

    asked: str
    normal_form: str
    environment: str
    steps: tuple[Told, ...]
    match: Match | None
    answer: str

    @property
    def looked_up(self) -> bool:
        """Whether the host fits this environment, so that names were looked for at all."""
        return any(told.step != OUTSIDE for told in self.steps)


def explain(host: str, path: str = "/") -> Explanation:
    """Resolve a host and a path as a request would, and tell each step. Raises InvalidHost."""
    normal = hosts.normalize(host)
    environment = get_environment()
    where = environment.format or "live"
    if get_conf().SITE:
        forced = forced_match(normal)
        told = Told("forced site", f"SITEFLEET_SITE={get_conf().SITE}", _name(forced), won=True)
        return Explanation(host, normal, where, (told,), forced, _answer(forced, path, environment))
    entry, told_steps = _look(normal, environment)
    own = process_site_id()
    if own is not None:
        entry, told = _narrow(entry, own, path)
        told_steps.append(told)
    match = listed_match(normal) if entry is UNKNOWN else entry.at(path)
    if entry.below:
        told_steps += _tell_prefixes(entry.below, match)
    elif entry is UNKNOWN and match is not None:
        told_steps.append(Told(match.how, match.name, _name(match), won=True))
    return Explanation(
        host, normal, where, tuple(told_steps), match, _answer(match, path, environment)
    )


def _narrow(entry: Entry, own: int, path: str) -> tuple[Entry, Told]:
    """Leave to a process that is for one site alone what leads there."""
    match, narrowed = entry.at(path), entry.only(own)
    said = "leads there" if narrowed is not UNKNOWN else "leads nowhere"
    if match is not None and match.site.pk != own:
        said = f"{_name(match)} is served by other processes"
    return narrowed, Told(PROCESS, f"site {own} alone", said)


def _look(host: str, environment: Environment) -> tuple[Entry, list[Told]]:
    steps = steps_for(host, environment, www=get_conf().WWW)
    if not steps:
        said = f"does not fit {environment.format}, so it is not looked up"
        return UNKNOWN, [Told(OUTSIDE, host, said)]
    rows = look_up(steps, environment, site_connection())
    entry, winner = decide(host, steps, rows, environment, {})
    return entry, [*_tell(steps, rows, winner)]


def _tell(steps: list[Step], rows: list[Row], winner: Step | None) -> Iterator[Told]:
    for step in steps:
        asked = step.name or f"slug {step.slug}"
        found = [row for row in rows if row.answers(step)]
        said = ", ".join(_describe(row) for row in found) or "nothing"
        yield Told(step.how, asked, said, won=step is winner)


def _describe(row: Row) -> str:
    kinds = {ALIAS_SERVED: "alias of ", ALIAS_REDIRECTED: "redirecting alias of "}
    prefix = f" below {row.path_prefix}" if row.path_prefix else ""
    return f"{kinds.get(row.kind, '')}{row.label} ({row.slug or row.pk}){prefix}"


def _tell_prefixes(below: tuple[Match, ...], match: Match | None) -> Iterator[Told]:
    for candidate in below:
        yield Told("path prefix", candidate.path_prefix, _name(candidate), won=candidate is match)
    if match is not None and match not in below:
        yield Told("path prefix", "no prefix", _name(match), won=True)


def _name(match: Match) -> str:
    return f"{match.site.name} ({match.slug})"


def _answer(match: Match | None, path: str, environment: Environment) -> str:
    if match is None:
        return "404, the page for unknown hosts"
    states = {
        State.MAINTENANCE: "503, the maintenance page (members of staff see the site)",
        State.SUSPENDED: "404, the site is suspended",
        State.ARCHIVED: (
            "the site, read-only (archived)"
            if get_conf().ARCHIVED_READ_ONLY
            else "410, the site is archived"
        ),
    }
    if match.state in states:
        return states[State(match.state)]
    if match.redirect:
        return f"301 (308 but for GET and HEAD) to {environment.scheme}://{match.redirect}{path}"
    if match.path_prefix and path == match.path_prefix:
        return f"301 to {path}/"
    return f"the site {_name(match)}"
