"""What `sitefleet` takes on its command line."""

from __future__ import annotations

from argparse import (
    ArgumentParser,
    ArgumentTypeError,
    BooleanOptionalAction,
    RawDescriptionHelpFormatter,
)
from pathlib import Path
from typing import TYPE_CHECKING

from sitefleet.hosting.cli import client, logs, plan, up
from sitefleet.hosting.planning.fleet import DRIVERS, MODES, ROUTERS, SHARED_SERVERS
from sitefleet.hosting.planning.settings import parse_bind
from sitefleet.hosting.supervising.journal import own_version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Command = Callable[..., int]

MOST_LINES = 1_000_000


def make_parser() -> ArgumentParser:
    """Return the parser; what it returns has the function of the command as ``run``."""
    parser = ArgumentParser(
        prog="sitefleet",
        description="Serve one Django project, a fleet of sites.",
        epilog="Exit status: 0 done, 1 refused or failed, 2 wrong usage.",
    )
    parser.add_argument("--version", action="version", version=f"sitefleet {own_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for run, add_own, text, examples in _commands():
        made = commands.add_parser(
            run.__name__,
            help=text[0].lower() + text[1:-1],
            description=text,
            epilog="\n".join(("examples:", *(f"  sitefleet {example}" for example in examples))),
            formatter_class=RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=run)
        _add_common(made)
        add_own(made)
    return parser


def _commands() -> tuple[tuple[Command, Callable[[ArgumentParser], None], str, Sequence[str]], ...]:
    """Return the function of each command, what adds its options, what it does, examples."""
    reloading = "Let processes run the code as it is now; no request is lost."
    rendered = ("render --router nginx", "render --driver gunicorn --out deploy/")
    logged = ("logs", "logs de --follow", "logs router --lines 100")
    return (
        (up.up, _add_up, "Serve all sites.", ("up", "up --mode dedicated --bind 0.0.0.0:80")),
        (plan.plan, _add_plan, "Show what would run, and why.", ("plan", "plan --json")),
        (plan.render, _add_render, "Show the configurations that servers would get.", rendered),
        (
            client.status,
            _add_status,
            "Show what runs.",
            ("status", "status --once --all", "status --json"),
        ),
        (client.reload, _add_reload, reloading, ("reload", "reload de")),
        (client.stop, _add_stop, "Stop the fleet, and wait until it has.", ("stop",)),
        (logs.logs, _add_logs, "Show the last lines of the logs.", logged),
    )


def _add_common(parser: ArgumentParser) -> None:
    parser.add_argument("--project", type=Path, metavar="DIR", help="folder of manage.py")
    parser.add_argument("--settings", default="", metavar="MODULE", help="Django's settings module")
    parser.add_argument(
        "--run-dir", type=_absolute, default="", metavar="DIR", help="for sockets, logs and files"
    )


def _add_serving(parser: ArgumentParser) -> None:
    parser.add_argument("--bind", type=_bind, metavar="HOST:PORT", help="where the router listens")
    parser.add_argument("--driver", choices=DRIVERS, help="what runs dedicated sites")
    parser.add_argument("--router", choices=ROUTERS, help="what stands in front")
    parser.add_argument("--server", choices=SHARED_SERVERS, help="what runs shared sites")
    parser.add_argument("--mode", choices=MODES, help="of sites that do not say themselves")
    parser.add_argument(
        "--format", metavar="FORMAT", help="hosts of this environment: {slug}.localhost:8000"
    )


def _add_up(parser: ArgumentParser) -> None:
    _add_serving(parser)
    parser.add_argument(
        "--reload",
        action=BooleanOptionalAction,
        help="run code as it is after each change of it (default: in DEBUG)",
    )
    parser.add_argument("--quiet", action="store_true", help="do not show what processes say")


def _add_plan(parser: ArgumentParser) -> None:
    _add_serving(parser)
    parser.add_argument("--json", action="store_true", help="for scripts")
    parser.add_argument("--all", action="store_true", help="each site, shared ones too")


def _add_render(parser: ArgumentParser) -> None:
    _add_serving(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="write files there")


def _add_status(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for scripts; once")
    parser.add_argument("--once", action="store_true", help="once, on a terminal too")
    parser.add_argument("--all", action="store_true", help="sites of which nothing runs, too")


def _add_reload(parser: ArgumentParser) -> None:
    parser.add_argument("site", nargs="?", default="", metavar="SITE", help="slug, id or router")


def _add_stop(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="(default: 60)"
    )


def _add_logs(parser: ArgumentParser) -> None:
    parser.add_argument(
        "site", nargs="?", default="", metavar="SITE", help="slug, id or name of a process"
    )
    parser.add_argument("--lines", type=_count, default=20, metavar="N", help="(default: 20)")
    parser.add_argument("--follow", action="store_true", help="go on with those that come")
    parser.add_argument(
        "--all", action="store_true", help="from before the start, and of what runs no more, too"
    )


def _bind(text: str) -> str:
    if parse_bind(text) is None:
        raise ArgumentTypeError(f"{text!r} is no host and port, such as 127.0.0.1:8000")
    return text


def _absolute(text: str) -> str:
    return str(Path(text).absolute()) if text else ""  # argparse asks for the default, too


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= MOST_LINES):
        raise ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_LINES}")
    return int(text)
