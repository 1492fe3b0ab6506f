"""How the processes of one site run: a typed list of options, each with its limits.

They are kept in the database and edited in the admin, so nothing here can name a program, a file
or a raw line of a server's configuration: those come from the settings alone (``SERVING["raw"]``).
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

#: What the field's other programs call an option of ours.
OTHER_NAMES = {
    "harakiri": "timeout",
    "max-requests": "max_requests",
    "processes": "workers",
    "reload-on-rss": "memory_limit",
    "cheap": "idle",
}
INTERFACES = ("wsgi", "asgi")
DAY = 86_400
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_RESERVED = re.compile(
    r"SITE_ID|SITEFLEET_.*|DJANGO_.*|PYTHON.*|LD_.*|PATH|HOME|IFS|ENV|BASH_ENV|GUNICORN_.*"
    r"|UWSGI_.*|GRANIAN_.*|GCONV_PATH|OPENSSL_.*"
)


def is_reserved(name: object) -> bool:
    """Tell whether a variable decides which code runs, and for which site: rows may not set it."""
    return isinstance(name, str) and _RESERVED.fullmatch(name) is not None


class InvalidOptions(ValueError):
    """Options of a site cannot be used; ``problems`` has a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return " ".join(self.problems)


@dataclass(frozen=True, slots=True)
class Options:
    """How the processes of one site run. All numbers are whole."""

    workers: int = 1
    """Processes at most, 1 to 64; the first starts with the first connection."""

    threads: int = 2
    """Requests that a process answers at once, 1 to 64 (WSGI)."""

    timeout: int = 30
    """Seconds after which a request that is not answered yet costs its process, 1 to a day."""

    max_requests: int = 0
    """Requests after which a process is replaced. 0: never."""

    memory_limit: int = 0
    """Megabytes of its own after which a process is replaced. 0: no limit."""

    idle: int = 60
    """Seconds without a request after which a process ends. 0: never, and it starts at once."""

    niceness: int = 0
    """0 to 19: how far its processes stand back behind those of others."""

    interface: str = "wsgi"
    """``wsgi``, or ``asgi`` for sites with WebSockets or long streams."""

    warm_up: tuple[str, ...] = ()
    """Paths that are asked for before the first request comes, under the site's own host."""

    environment: dict[str, str] = field(default_factory=dict)
    """Variables of its processes, of those that ``SERVING["environment"]`` lists."""

    def as_json(self) -> dict[str, Any]:
        """Return all of them as JSON keeps them."""
        return {**asdict(self), "warm_up": list(self.warm_up)}


def _number(lowest: int, highest: int, unit: str) -> Callable[[Any], str]:
    def why_not(value: Any) -> str:
        good = isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest
        return "" if good else f"is a whole number{unit}, from {lowest} to {highest}"

    return why_not


def _why_not_interface(value: Any) -> str:
    return "" if value in INTERFACES else "is wsgi or asgi"


def _why_not_paths(value: Any) -> str:
    good = isinstance(value, (list, tuple)) and len(value) <= MOST_PATHS
    good = good and all(isinstance(path, str) and _PATH.fullmatch(path) for path in value)
    return "" if good else f'is a list of at most {MOST_PATHS} paths, such as ["/", "/news/"]'


def _why_not_variables(value: Any) -> str:
    good = isinstance(value, dict) and all(
        isinstance(name, str)
        and _VARIABLE.fullmatch(name)
        and isinstance(text, str)
        and len(text) <= LONGEST_TEXT
        and text.isprintable()
        for name, text in value.items()
    )
    if isinstance(value, dict) and (bad := next(filter(is_reserved, value), "")):
        return f"cannot set {bad}: it would decide what code runs"
    return "" if good else 'is a dictionary of text, such as {"FLAVOUR": "mild"}'


MOST_PATHS = 50
LONGEST_TEXT = 1000
_PATH = re.compile(r"/[!-~]{0,500}")
#: The lowest and the highest value of options that are numbers.
RANGES = {
    "workers": (1, 64),
    "threads": (1, 64),
    "timeout": (1, DAY),
    "max_requests": (0, 10_000_000),
    "memory_limit": (0, 1_048_576),
    "idle": (0, DAY),
    "niceness": (0, 19),
}
UNITS = {"timeout": " of seconds", "memory_limit": " of megabytes", "idle": " of seconds"}
RULES: dict[str, Callable[[Any], str]] = {
    **{name: _number(*both, UNITS.get(name, "")) for name, both in RANGES.items()},
    "interface": _why_not_interface,
    "warm_up": _why_not_paths,
    "environment": _why_not_variables,
}
NAMES = tuple(item.name for item in fields(Options))


def clean_options(values: Any, variables: Collection[str] = ()) -> dict[str, Any]:
    """Return what is given of a site's options, under our names, as JSON keeps it.

    ``variables`` are those that ``environment`` may set. None takes an option away. Raises
    InvalidOptions, which names each option and what is wrong with it.
    """
    if not isinstance(values, dict):
        raise InvalidOptions(['Options are a dictionary, such as {"workers": 5}.'])
    cleaned: dict[str, Any] = {}
    problems = []
    for given, value in values.items():
        name = OTHER_NAMES.get(str(given), str(given))
        if value is None:
            continue
        if name not in RULES:
            problems.append(_unknown(str(given)))
        elif reason := RULES[name](value):
            problems.append(f"{name} {reason}.")
        elif name in cleaned:
            problems.append(f"{name} is given twice.")
        else:
            cleaned[name] = list(value) if isinstance(value, tuple) else value
    problems += [
        f"environment cannot set {name}: SERVING['environment'] does not list it."
        for name in cleaned.get("environment", {})
        if name not in variables
    ]
    if problems:
        raise InvalidOptions(problems)
    return cleaned


def make_options(*layers: Mapping[str, Any]) -> Options:
    """Return the options that layers of clean values give, later ones before earlier ones.

    What cannot be used, as raw SQL may have put it there, counts as not given.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        usable = {name: value for name, value in layer.items() if name in RULES}
        merged |= {name: value for name, value in usable.items() if not RULES[name](value)}
    if "warm_up" in merged:
        merged["warm_up"] = tuple(merged["warm_up"])
    return Options(**merged)


def parse_option(name: str, text: str) -> Any:
    """Return the value of a text, as on a command line. Raises InvalidOptions."""
    name = OTHER_NAMES.get(name, name)
    if name not in RULES:
        raise InvalidOptions([_unknown(name)])
    default = getattr(Options(), name)
    if isinstance(default, int):
        number = text.strip()
        if not (number.isascii() and number.isdigit() and len(number) <= len(str(2**31))):
            raise InvalidOptions([f"{name} {RULES[name](None)}."])
        return int(number)
    if isinstance(default, tuple):
        return text.split()
    if isinstance(default, dict):
        pairs = (word.partition("=") for word in text.split())
        return {key: value for key, _, value in pairs}
    return text.strip()


def _unknown(name: str) -> str:
    near = get_close_matches(name, RULES, 1)
    hint = f"Did you mean {near[0]}?" if near else f"Known are: {', '.join(RULES)}."
    return f"There is no option {name!r}. {hint}"
