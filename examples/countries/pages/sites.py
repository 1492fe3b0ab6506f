"""What the pages want to know of the fleet."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib.sites.models import Site
from django.contrib.staticfiles import finders
from django.utils.translation import get_language_info

from sitefleet import override_site
from sitefleet.addresses import site_url
from sitefleet.models import SiteConfig
from sitefleet.states import State

PORTAL = "portal"


@dataclass(frozen=True)
class Entry:
    """One site as the portal and the switcher show it."""

    slug: str
    name: str
    url: str
    host: str
    domain: str
    state: str
    language: str
    language_name: str

    @property
    def flag(self) -> str:
        own = f"pages/flags/{self.slug}.svg"
        return own if finders.find(own) else f"pages/flags/{PORTAL}.svg"

    @property
    def is_open(self) -> bool:
        return self.state == State.ACTIVE


def slug_of(site: Site) -> str:
    return site.siteconfig.slug


def fleet() -> list[Entry]:
    """Return the sites of the fleet, the portal last."""
    configs = SiteConfig.objects.select_related("site").order_by("site_id")
    entries = [_entry(config) for config in configs]
    return sorted(entries, key=lambda entry: entry.slug == PORTAL)


def _entry(config: SiteConfig) -> Entry:
    site = config.presented_site()
    with override_site(site):
        language = settings.LANGUAGE_CODE
    return Entry(
        slug=config.slug,
        name=site.name,
        url=site_url(site),
        host=site.domain,
        domain=config.production_domain,
        state=config.state,
        language=language,
        language_name=get_language_info(language)["name_local"],
    )
