"""``manage.py sites``: list and change the fleet."""

from __future__ import annotations

from argparse import SUPPRESS
from contextlib import ExitStack
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.db import router, transaction

from sitefleet.management import subcommands, transfer
from sitefleet.management.output import ExampleFormatter, FleetCommand, printable
from sitefleet.management.serving import DEFAULT
from sitefleet.models import SiteConfig, registry_lock
from sitefleet.resolver import resolver
from sitefleet.states import Mode, State

if TYPE_CHECKING:
    from collections.abc import Callable

    Add = Callable[..., CommandParser]

READING = ("list", "show")
#: These lock the fleet themselves, as long as they must.
TRANSFERRING = ("clone", "export", "import", "delete")


class Command(FleetCommand):
    """List and change the fleet."""

    help = (
        "List, add and change sites; without an action, list. Each action has its own --help."
        " Exit status 0: done, 1: refused, and nothing was changed, 2: wrong usage or unknown site."
    )
    examples = (
        "  manage.py sites list\n"
        '  manage.py sites add gh --domain example.gh --name "Example Ghana"\n'
        "  manage.py sites clone gh gh-2027 --domain 2027.example.gh\n"
        "  manage.py sites alias add gh www.example.gh\n"
        "  manage.py sites state gh maintenance\n"
        "  manage.py sites populate --dry-run\n"
        "  manage.py sites sync"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the actions."""
        common = _common_options(parser)
        actions = parser.add_subparsers(dest="action", metavar="ACTION")
        parser.set_defaults(action="list", state=None, json=False)
        add = partial(actions.add_parser, parents=[common])
        self._add_reading(add)
        self._add_changing(add)
        self._add_following(add)
        self._add_fleet_wide(add)
        transfer.add_arguments(partial(_parser, add))
        alias = _parser(
            add,
            "alias",
            "further names of a site",
            "  manage.py sites alias add gh www.example.gh",
        )
        names = alias.add_subparsers(dest="alias_action", metavar="ACTION", required=True)
        self._add_alias(partial(names.add_parser, parents=[common]))

    def handle(self, **options: Any) -> None:
        """Carry out the action; with ``--dry-run`` all but the commit."""
        action = " ".join(filter(None, (options["action"], options.get("alias_action"))))
        run = subcommands.ACTIONS[action]
        dry_run = bool(options.get("dry_run"))
        if action == "remove" and options["interactive"] and not dry_run:
            subcommands.confirm_removal(options)
        with ExitStack() as stack:
            if action not in (*READING, *TRANSFERRING):
                using = router.db_for_write(SiteConfig)
                # An action of several steps is done as a whole or not at all.
                stack.enter_context(registry_lock(using))
                if dry_run:
                    stack.callback(resolver.reset)
                    stack.callback(transaction.set_rollback, rollback=True, using=using)
            lines = run(options)
        for line in lines:
            self.stdout.write(line if options.get("json") else printable(line))
        if dry_run and not options.get("json"):
            self.stdout.write("Dry run: nothing was changed.", self.style.WARNING)

    def _add_reading(self, add: Add) -> None:
        listing = _parser(
            add, "list", "list all sites", "  manage.py sites list --state archived --json"
        )
        listing.add_argument("--state", choices=State.values, help="only sites in this state")
        _json(listing)
        show = _parser(
            add, "show", "show all that is known of one site", "  manage.py sites show gh"
        )
        _site(show)
        _json(show)

    def _add_changing(self, add: Add) -> None:
        new = _parser(
            add, "add", "add a site", '  manage.py sites add gh --domain example.gh --name "Ghana"'
        )
        new.add_argument("slug", help="short name: small letters, digits, hyphens")
        new.add_argument("--domain", default="", help="production domain")
        new.add_argument("--name", default="", help="name for people; default: the domain")
        new.add_argument("--path-prefix", default="", help="serve it below this path of the domain")
        new.add_argument("--state", choices=State.values, default=State.ACTIVE.value)
        new.add_argument(
            "--alias",
            action="append",
            default=[],
            help="a further name, which redirects (repeatable)",
        )
        _dry_run(new)
        rename = _parser(
            add,
            "rename",
            "give a site another domain, slug, name or path prefix",
            "  manage.py sites rename gh example.com.gh --keep",
        )
        _site(rename)
        rename.add_argument("domain", nargs="?", help="the new production domain")
        rename.add_argument("--keep", action="store_true", help="keep the old domain as an alias")
        rename.add_argument("--slug", help="the new slug")
        rename.add_argument("--name", help="the new name")
        rename.add_argument("--path-prefix", help="the new path prefix; empty for none")
        _dry_run(rename)
        state = _parser(
            add, "state", "set the state of a site", "  manage.py sites state gh archived"
        )
        _site(state)
        state.add_argument("state", choices=State.values)
        _dry_run(state)
        remove = _parser(
            add,
            "remove",
            "remove a site with all that belongs to it; asks for the slug first",
            "  manage.py sites remove gh --dry-run\n  manage.py sites remove gh --no-input",
        )
        _site(remove)
        remove.add_argument(
            "--no-input", action="store_false", dest="interactive", help="do not ask, for scripts"
        )
        _dry_run(remove)

    def _add_following(self, add: Add) -> None:
        values = _parser(
            add,
            "set",
            "set the theme, the URLconf or declared settings of a site",
            "  manage.py sites set gh theme=gold DEFAULT_FROM_EMAIL=news@example.gh\n"
            "  manage.py sites set gh DEFAULT_FROM_EMAIL=",
        )
        _site(values)
        values.add_argument(
            "values",
            nargs="+",
            metavar="NAME=VALUE",
            help="theme, urlconf or a name in SITE_SETTINGS; without a VALUE the site's own goes",
        )
        _dry_run(values)
        serving = _parser(
            add,
            "serving",
            "whether a site has processes of its own, and how they run; shows it as well",
            "  manage.py sites serving gh --mode dedicated workers=5 timeout=30\n"
            '  manage.py sites serving gh warm_up="/ /news/" environment="FLAVOUR=mild" idle=\n'
            "  manage.py sites serving gh --mode default",
        )
        _site(serving)
        serving.add_argument(
            "--mode",
            choices=(*Mode.values, DEFAULT),
            help="processes of its own, those of all, or as SERVING in the settings says",
        )
        # "+" and yet not required: "*" would be satisfied with nothing in front of --mode.
        options = serving.add_argument(
            "values",
            nargs="+",
            default=[],
            metavar="NAME=VALUE",
            help="an option, such as workers; without a VALUE that of the project counts",
        )
        options.required = False
        _take_words_between_options(serving)
        _dry_run(serving)
        _json(serving)
        clear = _parser(
            add,
            "clearcache",
            "clear what the cache has of a site; the others keep theirs",
            "  manage.py sites clearcache gh",
        )
        _site(clear)
        _dry_run(clear)

    def _add_fleet_wide(self, add: Add) -> None:
        populate = _parser(
            add,
            "populate",
            'create or update the sites of SITEFLEET["SITES"]; nothing is removed',
            "  manage.py sites populate --dry-run",
        )
        _dry_run(populate)
        _json(populate)
        sync = _parser(
            add,
            "sync",
            "write this environment's hosts into Site.domain, for other people's code",
            "  manage.py sites sync\n  manage.py sites sync --production --dry-run",
        )
        sync.add_argument(
            "--production", action="store_true", help="write the production names back"
        )
        _dry_run(sync)
        _json(sync)

    def _add_alias(self, add: Add) -> None:
        new = _parser(
            add,
            "add",
            "give a site a further name",
            "  manage.py sites alias add gh '*.example.gh' --serve",
        )
        _site(new)
        new.add_argument("name", help="a host name, or a wildcard such as *.example.org")
        new.add_argument(
            "--serve", action="store_true", help="serve the site there, do not redirect"
        )
        _dry_run(new)
        remove = _parser(
            add, "remove", "take a name away", "  manage.py sites alias remove www.example.gh"
        )
        remove.add_argument("name")
        _dry_run(remove)
        promote = _parser(
            add,
            "promote",
            "make an alias the domain of its site; the domain becomes an alias",
            "  manage.py sites alias promote example.com.gh",
        )
        promote.add_argument("name")
        _dry_run(promote)


def _common_options(parser: CommandParser) -> CommandParser:
    """Return Django's own options once more, so that they may stand behind the action too."""
    common = CommandParser(add_help=False)
    for action in parser._actions:  # noqa: SLF001 - argparse tells in no other way what it has
        if action.dest != "help":
            again = copy(action)
            # What stands in front of the action counts, unless it is said again.
            again.default, again.help = SUPPRESS, SUPPRESS
            common._add_action(again)  # noqa: SLF001 - nor takes it
    return common


def _parser(add: Add, name: str, help_text: str, examples: str) -> CommandParser:
    return add(
        name,
        help=help_text,
        description=help_text,
        epilog=f"examples:\n{examples}",
        formatter_class=ExampleFormatter,
    )


def _take_words_between_options(parser: CommandParser) -> None:
    """Let NAME=VALUE stand behind options too: argparse takes one row of them and no more.

    Its own `parse_known_intermixed_args` calls the method that is replaced here.
    """
    parse = parser.parse_known_args

    def parse_all(*given: Any, **named: Any) -> Any:
        found, rest = parse(*given, **named)
        words = [word for word in rest if "=" in word and not word.startswith("-")]
        found.values = [*found.values, *words]
        return found, [word for word in rest if word not in words]

    parser.parse_known_args = parse_all  # type: ignore[method-assign]


def _site(parser: CommandParser) -> None:
    parser.add_argument("site", help="id, slug or domain")


def _json(parser: CommandParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")


def _dry_run(parser: CommandParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="show it, change nothing")
