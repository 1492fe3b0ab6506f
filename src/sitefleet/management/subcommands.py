"""What each action of ``manage.py sites`` does: options in, lines out."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db.models import Count

from sitefleet import hosts
from sitefleet.current import override_site
from sitefleet.environments import get_environment
from sitefleet.hosting.planning.fleet import SHARED
from sitefleet.lookup import get_site
from sitefleet.management import removal, transfer
from sitefleet.management.options import clear_cache, set_options
from sitefleet.management.output import as_json, one_line, table
from sitefleet.management.serving import facts_of, mode_of_site, set_serving
from sitefleet.models import Alias, SiteConfig
from sitefleet.populate import populate
from sitefleet.registry import (
    add_alias,
    add_site,
    all_configs,
    change_site,
    find_alias,
    get_config,
    promote_alias,
    set_state,
)
from sitefleet.sync import sync
from sitefleet.terminal import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    Options = dict[str, Any]


def list_sites(options: Options) -> list[str]:
    """List all sites."""
    configs = all_configs().annotate(aliases=Count("site__fleet_aliases"))
    if options["state"]:
        configs = configs.filter(state=options["state"])
    facts = [{**_facts(config), "aliases": config.aliases} for config in configs]
    if options["json"]:
        return [as_json(facts)]
    if not facts:
        return ["No sites yet. Add one: manage.py sites add SLUG --domain DOMAIN --name NAME"]
    head = ["id", "slug", "name", "state", "domain", "here", "aliases"]
    if any(fact["mode"] != SHARED for fact in facts):
        head.append("mode")
    for fact in facts:
        fact |= {"here": fact["url"], "domain": hosts.display(fact["domain"])}
    rows = [[str(fact[key]) for key in head] for fact in facts]
    return [table(head, rows)]


def show(options: Options) -> list[str]:
    """Show one site."""
    config = get_config(get_site(options["site"]))
    aliases = list(config.site.fleet_aliases.values("name", "redirect"))
    own = {name: getattr(config, name) for name in ("theme", "urlconf", "settings")}
    serving = facts_of(config)
    facts = {
        **_facts(config),
        "aliases": aliases,
        "column": config.site.domain,
        **own,
        **serving,
    }
    if options["json"]:
        return [as_json(facts)]
    names = [
        f"{alias['name']} ({'redirects' if alias['redirect'] else 'served'})" for alias in aliases
    ]
    labels = {
        "id": facts["id"],
        "slug": facts["slug"],
        "name": facts["name"],
        "state": facts["state"],
        "production domain": hosts.display(facts["domain"]) or "none",
        "path prefix": facts["path_prefix"] or "none",
        "address here": facts["url"] or "none",
        "aliases": ", ".join(names) or "none",
        "Site.domain": facts["column"],
        "theme": facts["theme"] or "none",
        "URLconf": facts["urlconf"] or "that of the project",
        "mode": serving["mode"] if serving["own_mode"] else f"{serving['mode']} (the project's)",
    }
    labels |= {name: one_line(value) for name, value in sorted(serving["serving"].items())}
    labels |= {name: one_line(value) for name, value in sorted(config.settings.items())}
    return [f"{label:18} {value}" for label, value in labels.items()]


def add(options: Options) -> list[str]:
    """Add a site with its aliases."""
    site = add_site(
        options["slug"],
        name=options["name"],
        domain=options["domain"],
        path_prefix=options["path_prefix"],
        state=options["state"],
    )
    for name in options["alias"]:
        add_alias(site, name)
    return [f"Added {_line(get_config(site))}"]


def rename(options: Options) -> list[str]:
    """Change the domain, slug, name or path prefix of a site."""
    given = {key: options[key] for key in ("domain", "slug", "name", "path_prefix")}
    if all(value is None for value in given.values()):
        message = "Say what to change: a DOMAIN, --slug, --name or --path-prefix."
        raise CommandError(message, returncode=2)
    site = get_site(options["site"])
    old = get_config(site).production_domain
    config = change_site(site, **given)
    lines = [f"Renamed {_line(config)}"]
    if options["keep"] and old and old != config.production_domain:
        add_alias(site, old)
        lines.append(f"{old} redirects there.")
    return lines


def state(options: Options) -> list[str]:
    """Set the state of a site."""
    config = set_state(get_site(options["site"]), options["state"])
    return [f"{config.site.name} ({config.slug}) is {config.state}."]


def confirm_removal(options: Options) -> None:
    """Ask, before the fleet is locked, whether a site is to go."""
    removal.confirm(get_config(get_site(options["site"])))


def remove(options: Options) -> list[str]:
    """Remove a site with all that belongs to it; a rehearsal runs nobody's signals."""
    config = get_config(get_site(options["site"]))
    lines = [f"Removed {_line(config)}", removal.rows_of(config.site)]
    if not options["dry_run"]:
        with override_site(config.site):  # whose rows go with it
            config.site.delete()
    return lines


def alias_add(options: Options) -> list[str]:
    """Give a site a further name."""
    site = get_site(options["site"])
    alias = add_alias(site, options["name"], redirect=not options["serve"])
    verb = "redirects to" if alias.redirect else "serves"
    return [f"{alias.name} {verb} {site.name}."]


def alias_remove(options: Options) -> list[str]:
    """Take a name away."""
    alias = _alias(options["name"])
    alias.delete()
    return [f"{alias.name} no longer leads to {alias.site.name}."]


def alias_promote(options: Options) -> list[str]:
    """Make an alias the domain of its site."""
    return [f"Promoted {_line(promote_alias(_alias(options['name'])))}"]


def run_populate(options: Options) -> list[str]:
    """Create and update the sites of the settings."""
    report = populate(dry_run=options["dry_run"])
    if options["json"]:
        return [as_json(asdict(report))]
    lines = [f"created    {slug}" for slug in report.created]
    lines += [f"updated    {slug}" for slug in report.updated]
    lines += [f"not in the settings (nothing done): {slug}" for slug in report.missing_in_settings]
    counts = f"{len(report.created)} created, {len(report.updated)} updated"
    return [*lines, f"{counts}, {len(report.unchanged)} unchanged."]


def run_sync(options: Options) -> list[str]:
    """Write the hosts of this environment into ``Site.domain``."""
    progress = Progress(quiet=options["json"])
    changes = sync(production=options["production"], dry_run=options["dry_run"], progress=progress)
    progress.clear()
    if options["json"]:
        return [as_json([asdict(change) for change in changes])]
    lines = [f"{change.slug}: {change.before} -> {change.after}" for change in changes]
    where = "production" if options["production"] else get_environment().format or "live"
    return [*lines, f"{len(changes)} of {SiteConfig.objects.count()} sites differ from {where}."]


def _facts(config: SiteConfig) -> dict[str, Any]:
    environment = get_environment()
    host = config.host(environment)
    prefix = config.path_prefix if environment.is_live else ""
    return {
        "id": config.pk,
        "slug": config.slug,
        "name": config.site.name,
        "state": config.state,
        "domain": config.production_domain + config.path_prefix,
        "path_prefix": config.path_prefix,
        "mode": mode_of_site(config),
        "url": f"{environment.scheme}://{host}{prefix}/" if host else "",
    }


def _line(config: SiteConfig) -> str:
    facts = _facts(config)
    where = facts["url"] or f"no host here: `manage.py sites rename {config.slug} DOMAIN` gives one"
    return f"{facts['name']} ({facts['slug']}, id {facts['id']}) at {where}"


def _alias(name: str) -> Alias:
    alias = find_alias(name)
    if alias is None:
        message = f"There is no alias {name!r}. `manage.py sites show SITE` lists those of a site."
        raise CommandError(message, returncode=2)
    return alias


ACTIONS: dict[str, Callable[[Options], list[str]]] = {
    "list": list_sites,
    "show": show,
    "add": add,
    "rename": rename,
    "state": state,
    "set": set_options,
    "clearcache": clear_cache,
    "serving": set_serving,
    "remove": remove,
    "clone": transfer.clone,
    "export": transfer.export,
    "import": transfer.import_,
    "delete": transfer.delete,
    "populate": run_populate,
    "sync": run_sync,
    "alias add": alias_add,
    "alias remove": alias_remove,
    "alias promote": alias_promote,
}
