"""``manage.py sites clone``, ``export``, ``import`` and ``delete``: one site as a thing."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from sitefleet.lookup import get_site
from sitefleet.management import removal
from sitefleet.management.output import as_json, printable, table
from sitefleet.management.streams import STANDARD, opened, read_map, written
from sitefleet.registry import get_config
from sitefleet.scoping.transfer.cloning import clone_site
from sitefleet.scoping.transfer.deleting import delete_site
from sitefleet.scoping.transfer.export import Exporter, snapshot
from sitefleet.scoping.transfer.fileformat import read, write
from sitefleet.scoping.transfer.importing import import_site
from sitefleet.scoping.transfer.options import ImportOptions
from sitefleet.states import State
from sitefleet.terminal import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.core.management.base import CommandParser

    from sitefleet.models import SiteConfig
    from sitefleet.scoping.transfer.options import ImportReport

    Options = dict[str, Any]

#: Seconds until a bar is shown, and between two of its states.
PATIENCE, BEAT = 1.0, 0.1


class Patient(Progress):
    """A progress bar for what takes longer than a second."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self.next = monotonic() + PATIENCE

    def __call__(self, done: int, total: int, label: str = "") -> None:
        """Show that ``done`` of ``total`` is done, now and then."""
        if monotonic() >= self.next:
            self.next = monotonic() + BEAT
            super().__call__(done, total, label)


@contextmanager
def _bar(options: Options) -> Iterator[Patient]:
    bar = Patient(quiet=bool(options["json"]))
    try:
        yield bar
    finally:
        bar.clear()


def add_arguments(parser_of: Callable[..., CommandParser]) -> None:
    """Add the actions; ``parser_of`` makes a parser of name, help and examples."""
    clone = parser_of(
        "clone",
        "copy a site, its rows and its files, to a new site",
        "  manage.py sites clone gh gh-2027 --domain 2027.example.gh\n"
        "  manage.py sites clone gh gh-2027 --domain 2027.example.gh --dry-run",
    )
    clone.add_argument("site", help="id, slug or domain")
    clone.add_argument("slug", help="short name of the new site")
    clone.add_argument("--domain", default="", help="its production domain")
    _add_new_site(clone)
    clone.add_argument("--no-media", action="store_false", dest="media", help="no files")
    export = parser_of(
        "export",
        "write a site, its rows and its files, into one file",
        "  manage.py sites export gh gh.jsonl.gz\n"
        "  manage.py sites export gh - | ssh other manage.py sites import - ",
    )
    export.add_argument("site", help="id, slug or domain")
    export.add_argument("file", help="where to; gzipped if it ends in .gz; - is standard output")
    export.add_argument("--force", action="store_true", help="replace the file if there is one")
    export.add_argument("--no-media", action="store_false", dest="media", help="no files")
    comes_in = parser_of(
        "import",
        "make a new site of an exported one",
        "  manage.py sites import gh.jsonl.gz --dry-run\n"
        "  manage.py sites import gh.jsonl.gz --slug gh-2 --domain gh-2.example.org",
    )
    comes_in.add_argument("file", help="what export has written; - is standard input")
    comes_in.add_argument("--slug", default="", help="another slug than that of the file")
    comes_in.add_argument("--domain", help="another domain; aliases then stay behind")
    _add_new_site(comes_in)
    _add_unknown(comes_in)
    delete = parser_of(
        "delete",
        "delete a site, its rows and its files; asks for the slug first",
        "  manage.py sites delete gh --dry-run\n  manage.py sites delete gh --no-input",
    )
    delete.add_argument("site", help="id, slug or domain")
    delete.add_argument(
        "--no-input", action="store_false", dest="interactive", help="do not ask, for scripts"
    )
    delete.add_argument("--keep-media", action="store_false", dest="media", help="keep its files")
    for parser in (clone, export, comes_in):
        parser.add_argument(
            "--exclude",
            action="append",
            default=[],
            metavar="app.Model",
            help="leave out rows of this model, and what hangs on them (repeatable)",
        )
    for parser in (clone, export, comes_in, delete):
        parser.add_argument("--dry-run", action="store_true", help="count it, change nothing")
        parser.add_argument("--json", action="store_true", help="print JSON for scripts")


def _add_new_site(parser: CommandParser) -> None:
    parser.add_argument("--name", default="", help="its name for people")
    parser.add_argument("--path-prefix", help="serve it below this path of its domain")
    parser.add_argument(
        "--state",
        choices=State.values,
        default=State.MAINTENANCE.value,
        help="default: maintenance, until somebody has looked at it",
    )


def _add_unknown(parser: CommandParser) -> None:
    parser.add_argument(
        "--map",
        metavar="FILE",
        help='which shared rows here are meant, as JSON: {"auth.User": {"5": 17}}',
    )
    parser.add_argument(
        "--create-users", action="store_true", help="make accounts that are not here, inactive"
    )
    parser.add_argument(
        "--drop-unknown",
        action="store_true",
        help="do without shared rows that are not here: NULL, else the row is left out",
    )
    parser.add_argument(
        "--skip-unknown", action="store_true", help="leave out models and fields not known here"
    )


def clone(options: Options) -> list[str]:
    """Copy a site to a new one."""
    wishes = _wishes(options, domain=options["domain"])
    source = get_site(options["site"])
    with _bar(options) as bar:
        report = clone_site(source, wishes, with_media=options["media"], progress=bar)
    return _told(("Cloned", "Would clone"), report, options)


def import_(options: Options) -> list[str]:
    """Make a new site of a file."""
    mapped = read_map(options["map"]) if options["map"] else {}
    names = ("drop_unknown", "create_users", "skip_unknown", "domain")
    wishes = _wishes(options, map=mapped, **{name: options[name] for name in names})
    with _bar(options) as bar, opened(options["file"]) as stream:
        report = import_site(read(stream), wishes, bar)
    return _told(("Imported", "Would import"), report, options)


def export(options: Options) -> list[str]:
    """Write a site into a file."""
    with _bar(options) as bar:
        exporter = Exporter(
            get_site(options["site"]),
            exclude=options["exclude"],
            with_media=options["media"],
            progress=bar,
        )
        with snapshot(exporter.graph.using):
            if options["dry_run"]:
                counts = exporter.count()
            else:
                with written(options["file"], force=options["force"]) as stream:
                    packed = options["file"].endswith(".gz")
                    write(exporter.records(), stream, packed=packed)
                counts = dict(exporter.counts)
    if options["json"]:
        facts = _facts(get_config(exporter.site), options, counts)
        lines = [as_json(facts | {"files": exporter.files, "missing": exporter.missing})]
    else:
        lines = [_rows(counts)] + ([] if options["dry_run"] else [f"{exporter.files} files."])
        lines += [f"Left behind: {name!r}, a link, or not there." for name in exporter.missing]
    if options["file"] == STANDARD and not options["dry_run"]:
        sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))
        return []
    return lines


def delete(options: Options) -> list[str]:
    """Delete a site with all that belongs to it."""
    config = get_config(get_site(options["site"]))
    name = f"{config.site.name} ({config.slug}, id {config.pk})"
    if options["interactive"] and not options["dry_run"]:
        counts = delete_site(config.site, dry_run=True)
        removal.ask_for_slug(config, _rows(counts))
    with _bar(options) as bar:
        counts = delete_site(
            config.site, dry_run=options["dry_run"], with_media=options["media"], progress=bar
        )
    if options["json"]:
        return [as_json(_facts(config, options, counts))]
    return [f"{'Would delete' if options['dry_run'] else 'Deleted'} {name}", _rows(counts)]


def _wishes(options: Options, **more: Any) -> ImportOptions:
    names = ("slug", "name", "path_prefix", "state", "dry_run")
    return ImportOptions(
        exclude=tuple(options["exclude"]), **{name: options[name] for name in names}, **more
    )


def _told(verbs: tuple[str, str], report: ImportReport, options: Options) -> list[str]:
    site = report.site
    assert site is not None  # noqa: S101 - for the type: it has been made
    slug, dry_run = site.siteconfig.slug, options["dry_run"]
    if options["json"]:
        facts = _facts(site.siteconfig, options, report.rows)
        facts["site"] = None if dry_run else site.pk
        return [as_json(facts | {"files": report.files, "left_out": report.left_out})]
    # A rehearsal does not know the key, which the database counts anew.
    key = "" if dry_run else f", id {site.pk}"
    lines = [f"{verbs[dry_run]} {site.name} ({slug}{key}), {options['state']}", _rows(report.rows)]
    lines.append(f"{report.files} files.")
    return lines + [
        f"{number} rows of {label} were left out: they need what is not here."
        for label, number in report.left_out.items()
    ]


def _facts(config: SiteConfig, options: Options, rows: dict[str, int]) -> Options:
    """Return what the JSON of each of the actions has."""
    return {
        "site": config.pk,
        "slug": config.slug,
        "dry_run": bool(options["dry_run"]),
        "rows": rows,
    }


def _rows(counts: dict[str, int]) -> str:
    return table(("model", "rows"), [(label, str(counts[label])) for label in sorted(counts)])
