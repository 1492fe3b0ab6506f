"""``manage.py resolvehost``: which site answers a host, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from sitefleet.exceptions import InvalidHost
from sitefleet.explain import PROCESS, Explanation, explain
from sitefleet.management.output import FleetCommand, as_json, printable, table

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

UNKNOWN, MALFORMED = 1, 2


class Command(FleetCommand):
    """Tell which site answers a host, step by step."""

    help = (
        "Tell which site answers a host (and path): each step, what it said, and which won."
        " Exit status 0: a site, 1: unknown host, 2: malformed host."
    )
    examples = (
        "  manage.py resolvehost www.example.org\n"
        "  manage.py resolvehost example.org/de/news/\n"
        "  manage.py resolvehost gh.localhost:8000 --json"
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the arguments."""
        parser.add_argument(
            "host", metavar="HOST[/PATH]", help="as in an address; a scheme is fine"
        )
        parser.add_argument("--json", action="store_true", help="print JSON for scripts")

    def handle(self, **options: Any) -> None:
        """Print the explanation."""
        text = options["host"].partition("://")[2] or options["host"]
        host, slash, path = text.partition("/")
        try:
            explanation = explain(host, slash + path if slash else "/")
        except InvalidHost as error:
            message = f"400: {error}"
            raise CommandError(message, returncode=MALFORMED) from None
        self.stdout.write(_json(explanation) if options["json"] else printable(_text(explanation)))
        if explanation.match is None:
            raise CommandError(_way_out(explanation), returncode=UNKNOWN)


def _text(explanation: Explanation) -> str:
    rows = [
        (f"{number}", told.step, told.asked, told.said, "<- wins" if told.won else "")
        for number, told in enumerate(explanation.steps, 1)
    ]
    return "\n".join(
        [
            f"Host         {explanation.asked}",
            f"Normal form  {explanation.normal_form}",
            f"Environment  {explanation.environment}",
            "",
            table(("", "step", "looked for", "said", ""), rows),
            "",
            f"Answer       {explanation.answer}",
        ]
    )


def _way_out(explanation: Explanation) -> str:
    host = explanation.normal_form
    sentences = [f"No site answers {host}."]
    if explanation.environment != "live":
        sentences.append(f"Hosts have the form {explanation.environment} here.")
    if any(told.step == PROCESS for told in explanation.steps):
        sentences.append("This process is for one site alone: run it without SITE_ID for all.")
    elif explanation.looked_up:
        sentences.append(f"To give it to a site: manage.py sites alias add SITE {host}")
    return " ".join(sentences)


def _json(explanation: Explanation) -> str:
    match = explanation.match
    site = None
    if match is not None:
        site = {"id": match.site.pk, "slug": match.slug, "name": match.site.name}
        site |= {"state": match.state, "how": match.how, "path_prefix": match.path_prefix}
        site |= {"redirect": match.redirect}
    return as_json(
        {
            "host": explanation.asked,
            "normal_form": explanation.normal_form,
            "environment": explanation.environment,
            "steps": [asdict(told) for told in explanation.steps],
            "site": site,
            "answer": explanation.answer,
        }
    )
