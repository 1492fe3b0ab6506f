"""``manage.py forsites``: a command on many sites."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.management import get_commands
from django.core.management.base import CommandError

from sitefleet.lookup import get_site
from sitefleet.management import USAGE_ERROR
from sitefleet.management.fleet import Job, Result, run_jobs
from sitefleet.management.output import FleetCommand, as_json
from sitefleet.registry import all_configs
from sitefleet.states import State
from sitefleet.terminal import Progress

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

FAILED = 1


class Command(FleetCommand):
    """Run a command on many sites."""

    help = (
        "Run a management command on many sites, one after the other or in parallel."
        " Exit status 0: all succeeded, 1: one failed, 2: nothing was run."
    )
    examples = (
        "  manage.py forsites --all -- clearsessions\n"
        "  manage.py forsites --state active --exclude gh --parallel 4 -- send_newsletter\n"
        "  manage.py forsites --site de --site us --keep-going --json -- rebuild_index --full"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the arguments."""
        states = ", ".join(State.values)
        parser.add_argument("--all", action="store_true", help="every site, whatever its state")
        parser.add_argument(
            "--site", action="append", default=[], help="this site: id, slug or domain (repeatable)"
        )
        parser.add_argument(
            "--state", action="append", default=[], choices=State.values, metavar="STATE",
            help=f"sites in this state: {states} (repeatable)",
        )  # fmt: skip
        parser.add_argument(
            "--exclude",
            action="append",
            default=[],
            metavar="SITE",
            help="but not this (repeatable)",
        )
        parser.add_argument(
            "--parallel", type=int, default=1, metavar="N", help="run in N processes (default: 1)"
        )
        parser.add_argument(
            "--keep-going", action="store_true", help="go on with other sites when one fails"
        )
        parser.add_argument("--json", action="store_true", help="print JSON for scripts")
        parser.add_argument("--dry-run", action="store_true", help="only list the sites")
        parser.add_argument(
            "command", nargs="+", metavar="COMMAND", help="behind --, with its options"
        )

    def handle(self, **options: Any) -> None:
        """Run the command on the sites."""
        command = options["command"]
        if command[0] not in get_commands():
            message = f"Unknown command: {command[0]!r}. `manage.py help` lists all."
            raise CommandError(message, returncode=USAGE_ERROR)
        if options["parallel"] < 1:
            message = "--parallel takes a number of processes, at least 1."
            raise CommandError(message, returncode=USAGE_ERROR)
        jobs = [Job(pk, slug, tuple(command)) for pk, slug in self._chosen(options)]
        if options["dry_run"]:
            self.stdout.write("\n".join(f"[{job.slug}] {' '.join(command)}" for job in jobs))
            return
        try:
            results = self._run(jobs, options)
        except BrokenProcessPool:
            message = (
                "The processes of --parallel could not start, or died. Does manage.py call"
                " execute_from_command_line below `if __name__ == '__main__':`?"
            )
            raise CommandError(message, returncode=FAILED) from None
        if options["json"]:
            self.stdout.write(as_json([asdict(result) for result in results]))
        self._sum_up(len(jobs), results)

    def _chosen(self, options: dict[str, Any]) -> list[tuple[int, str]]:
        if not (options["all"] or options["site"] or options["state"]):
            message = "Say which sites: --all, --site SITE or --state STATE."
            raise CommandError(message, returncode=USAGE_ERROR)
        named = {get_site(key).pk for key in options["site"]}
        excluded = {get_site(key).pk for key in options["exclude"]}
        rows = all_configs().values_list("pk", "slug", "state")
        chosen = [
            (pk, slug)
            for pk, slug, state in rows
            if (options["all"] or pk in named or state in options["state"]) and pk not in excluded
        ]
        if not chosen:
            message = "No site is left to run on."
            raise CommandError(message, returncode=USAGE_ERROR)
        return chosen

    def _run(self, jobs: list[Job], options: dict[str, Any]) -> list[Result]:
        progress = Progress(quiet=options["json"])
        results = []
        for result in run_jobs(jobs, options["parallel"], keep_going=options["keep_going"]):
            results.append(result)
            progress.clear()
            if not options["json"]:
                self._show(result)
            progress(len(results), len(jobs), result.slug)
        progress.clear()
        return results

    def _show(self, result: Result) -> None:
        for stream, text in ((self.stdout, result.stdout), (self.stderr, result.stderr)):
            for line in text.splitlines():
                stream.write(f"[{result.slug}] {line}")

    def _sum_up(self, total: int, results: list[Result]) -> None:
        failed = [result for result in results if result.status]
        parts = [
            f"{total} site{'' if total == 1 else 's'}",
            f"{len(results) - len(failed)} succeeded",
        ]
        if failed:
            names = ", ".join(f"{result.slug}: exit {result.status}" for result in failed)
            parts.append(f"{len(failed)} failed ({names})")
        if len(results) < total:
            parts.append(f"{total - len(results)} not run")
        summary = ", ".join(parts) + "."
        if failed:
            raise CommandError(summary, returncode=FAILED)
        self.stderr.write(summary, self.style.SUCCESS)
