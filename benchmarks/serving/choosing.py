"""The modes side by side, with what the measures have found: for the page that helps to choose."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks import figures

UNKNOWN = "not measured yet"
HEAD = ["", "shared", "dedicated, `zygote`", "dedicated, `gunicorn`", "dedicated, `uwsgi`"]


def render(results: dict[str, Any]) -> str:
    """Write the table, of results by name of their measure."""
    found = {name: stamped["figures"] for name, stamped in results.items()}
    cases = {case["engine"]: case for case in found.get("processes", {}).get("cases", ())}
    names = ("driver `zygote`", "driver `gunicorn`", "uWSGI")
    zygote, gunicorn, uwsgi = (cases.get(name) for name in names)
    rows: list[list[object]] = [
        [
            "memory of one more site, in use",
            _remembered(found),
            _on_both(cases),
            _memory(gunicorn),
            _memory(uwsgi),
        ],
        ["... not in use", "nothing", "a socket", "the same", "a socket"],
        ["a thousand sites in use at once", "one process", _crowd(found), "not meant for", UNTRIED],
        ["first answer after a rest", AS_ANY, _first(zygote), AS_ANY, _first(uwsgi)],
        ["a site that is added answers", _added(found, "shared"), _added(found, "dedicated")],
        ["throughput against plain Django", _ratio(found)],
    ]
    width = len(HEAD)
    return figures.table(HEAD, [row + [""] * (width - len(row)) for row in rows])


UNTRIED, AS_ANY = "not tried", "as any other"


def _remembered(found: dict[str, Any]) -> str:
    """Tell what a process remembers of a site."""
    if "memory" not in found:
        return UNKNOWN
    taken = found["memory"]["megabytes"]
    sites = min(5_000, found["memory"]["sites"])
    return f"{(taken['sites'] - taken['start']) * 1024 / sites:.1f} kB"


def _memory(case: dict[str, Any] | None) -> str:
    if case is None:
        return UNKNOWN
    # The two processes of a server of its own share with each other, a child with its parent.
    key = "private" if case["engine"].startswith("driver") else "pss"
    one, many = (median(each[key] for each in case[when]) for when in ("one", "many"))
    return f"{one:.0f} to {many:.0f} MB"


def _on_both(cases: dict[str, dict[str, Any]]) -> str:
    """Tell of a forked process, and how it is on a newer Python."""
    name = "driver `zygote`"
    newer = (case for engine, case in cases.items() if engine.startswith(f"{name} on "))
    more = [f"on Python {case['python']} {_memory(case)}" for case in newer]
    return "; ".join([_memory(cases.get(name)), *more])


def _first(case: dict[str, Any] | None) -> str:
    return UNKNOWN if case is None else figures.seconds(median(case["seconds"]))


def _crowd(found: dict[str, Any]) -> str:
    crowd = found.get("crowd", {})
    return f"{crowd['pss'] / 1024:.1f} GB" if "pss" in crowd else UNKNOWN


def _added(found: dict[str, Any], name: str) -> str:
    values = found.get("live", {}).get("seconds", {}).get(name)
    return f"within {figures.seconds(max(values))}" if values else UNKNOWN


def _ratio(found: dict[str, Any]) -> str:
    for case in found.get("shared", {}).get("cases", ()):
        if case["case"] == "sitefleet, gunicorn":
            return f"{case['ratio']['median']:.2f}"
    return UNKNOWN
