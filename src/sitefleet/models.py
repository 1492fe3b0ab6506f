"""What sitefleet knows of a site beside Django's ``Site``: how it is configured, its further names.

The production domain of a site is kept once. In the live environment it is ``Site.domain``, where
all the world looks for it, and ``SiteConfig.domain`` is NULL. While another environment has
borrowed that column (``manage.py sites sync``) the production domain waits in
``SiteConfig.domain``. Sites below a path prefix share a domain, which Django's unique column
cannot hold; they always keep theirs here. Empty text there means: no production domain.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from sitefleet.declared import clean_settings
from sitefleet.environments import Environment, get_environment
from sitefleet.fields import RisingField
from sitefleet.generation import LOCK_ROW, Generation
from sitefleet.naming import (
    HOST_LENGTH,
    PREFIX_LENGTH,
    SLUG_LENGTH,
    THEME_LENGTH,
    URLCONF_LENGTH,
    clean_domain,
    clean_path_prefix,
    validate_slug,
    validate_theme,
    validate_urlconf,
)
from sitefleet.presented import NO_OPTIONS, Options, Stored, present, row_domain
from sitefleet.states import Mode, State, clean_serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from django.db.models import QuerySet


class SiteConfig(models.Model):
    """The configuration of one site."""

    site = models.OneToOneField(
        Site,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="siteconfig",
        verbose_name=pgettext_lazy("sitefleet", "site"),
    )
    slug = models.CharField(
        pgettext_lazy("sitefleet", "slug"),
        max_length=SLUG_LENGTH,
        unique=True,
        validators=[validate_slug],
        help_text=_("Short name of the site: in commands, and in its host outside of production."),
    )
    domain = models.CharField(  # noqa: DJ001 - NULL is not empty: see above
        _("production domain, while Site.domain is borrowed"),
        max_length=HOST_LENGTH,
        null=True,
        blank=True,
        default=None,
        editable=False,
        db_index=True,  # the constraint below is a partial index, which look-ups cannot use
    )
    path_prefix = models.CharField(
        _("path prefix"),
        max_length=PREFIX_LENGTH,
        blank=True,
        default="",
        help_text=_("Serve the site below this path of its domain, as in /de. Usually empty."),
    )
    state = models.CharField(
        pgettext_lazy("sitefleet", "state"),
        max_length=11,
        choices=State.choices,
        default=State.ACTIVE,
    )
    theme = models.CharField(
        pgettext_lazy("sitefleet", "theme"),
        max_length=THEME_LENGTH,
        blank=True,
        default="",
        help_text=_("Folder in THEME_DIRS with templates and static files. Empty: none."),
    )
    urlconf = models.CharField(
        pgettext_lazy("sitefleet", "URLconf"),
        max_length=URLCONF_LENGTH,
        blank=True,
        default="",
        help_text=_("One of URLCONFS. Empty: that of the project."),
    )
    settings = models.JSONField(
        pgettext_lazy("sitefleet", "settings"),
        blank=True,
        default=dict,
        help_text=_("Values of SITE_SETTINGS for this site, by name."),
    )
    cache_generation = RisingField(default=0, editable=False)
    mode = models.CharField(
        pgettext_lazy("sitefleet", "mode"),
        max_length=9,
        blank=True,
        default="",
        choices=Mode,
        help_text=_("Processes of its own, or one with other sites. Empty: as the project says."),
    )
    serving = models.JSONField(
        pgettext_lazy("sitefleet", "serving"),
        blank=True,
        default=dict,
        help_text=_("Options of its processes, by name, such as workers."),
    )
    updated_at = models.DateTimeField(
        _("updated at"), auto_now=True, db_default=Now(), editable=False
    )

    #: The URLconf, the settings and the options of its processes that the database has.
    _stored: tuple[str, dict[str, Any], Any] = "", {}, None

    class Meta:
        verbose_name = _("site configuration")
        verbose_name_plural = _("site configurations")
        constraints = (
            models.UniqueConstraint(
                fields=["domain", "path_prefix"],
                condition=~Q(domain=""),
                name="sitefleet_unique_address",
            ),
            models.CheckConstraint(
                condition=Q(path_prefix="") | Q(domain__isnull=False),
                name="sitefleet_prefix_keeps_domain",
            ),
        )

    def __str__(self) -> str:
        return self.slug

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save in normal form. Raises ValidationError."""
        self.clean()
        validate_slug(self.slug)
        super().save(*args, **kwargs)
        self.note_stored()

    @classmethod
    def from_db(cls, db: str | None, field_names: Any, values: Any, **kwargs: Any) -> Self:
        """Remember what the database has: see `clean`."""
        config = super().from_db(db, field_names, values, **kwargs)
        config.note_stored()
        return config

    def note_stored(self) -> None:
        """Remember the URLconf, the settings and the options as what the database has."""
        known = self.__dict__  # without what is deferred
        settings, serving = known.get("settings", {}), known.get("serving")
        with suppress(RecursionError):  # raw SQL nests values deeper than `clean` lets in
            settings, serving = deepcopy(settings), deepcopy(serving)
        self._stored = known.get("urlconf", ""), settings, serving

    def clean(self) -> None:
        """Bring slug and path prefix into normal form. Raises ValidationError.

        A URLconf, values of settings and options that are stored already pass: who takes a site
        off the net must not be kept from it by a declaration that is gone.
        """
        self.slug = self.slug.strip().lower()
        try:
            self.path_prefix = clean_path_prefix(self.path_prefix)
        except ValidationError as error:
            raise ValidationError({"path_prefix": error.messages}) from None
        validate_theme(self.theme)
        urlconf, settings, serving = self._stored
        if self.urlconf != urlconf:
            validate_urlconf(self.urlconf)
        self.settings = clean_settings(self.settings, settings)
        if self.serving != serving:
            self.serving = clean_serving(self.serving, serving)

    def options(self) -> Options:
        """Return what follows the site (see `sitefleet.presented`)."""
        values = self.theme, self.urlconf, self.cache_generation, Stored(self.settings)
        return Options(*values) if any(values) else NO_OPTIONS

    @property
    def production_domain(self) -> str:
        """The one canonical name of the site in production; empty when it has none."""
        if self.domain is not None:
            return self.domain
        return row_domain(self.site)

    def host(self, environment: Environment | None = None) -> str:
        """Return the site's host in this environment; empty when it has none."""
        return (environment or get_environment()).host_of(self.slug, self.production_domain)

    def presented_site(self) -> Site:
        """Return the site as it is handed out (see `sitefleet.presented`)."""
        environment = get_environment()
        prefix = self.path_prefix if environment.is_live else ""
        return present(self.site, self.host(environment), prefix, self.slug, self.options())


class Alias(models.Model):
    """A further name that leads to a site: exact, or a wildcard such as ``*.example.org``."""

    site = models.ForeignKey(
        Site,
        on_delete=models.CASCADE,
        related_name="fleet_aliases",
        verbose_name=pgettext_lazy("sitefleet", "site"),
    )
    name = models.CharField(pgettext_lazy("sitefleet", "name"), max_length=HOST_LENGTH, unique=True)
    redirect = models.BooleanField(
        pgettext_lazy("sitefleet", "redirect"),
        default=True,
        help_text=_("Redirect to the site's domain; otherwise serve the site under this name."),
    )

    class Meta:
        verbose_name = pgettext_lazy("sitefleet", "alias")
        verbose_name_plural = pgettext_lazy("sitefleet", "aliases")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save in normal form, each name once in the fleet. Raises ValidationError."""
        with registry_lock(kwargs.get("using")):
            self.clean()
            super().save(*args, **kwargs)

    def clean(self) -> None:
        """Bring the name into normal form and see that it is free. Raises ValidationError."""
        try:
            self.name = clean_domain(self.name, wildcard=True)
            ensure_free(self.name, alias=self.pk)
        except ValidationError as error:
            raise ValidationError({"name": error.messages}) from None


@contextmanager
def registry_lock(using: str | None = None) -> Iterator[None]:
    """Open a transaction in which nobody else can change which name leads to which site.

    The first statement writes, so that SQLite takes its lock before anything is read; other
    databases wait for the row. It is a row of its own: the one that the triggers write to is
    locked last by everybody else, and to lock it first would be a deadlock.
    """
    using = using or router.db_for_write(SiteConfig)
    with transaction.atomic(using=using):
        Generation.objects.using(using).filter(pk=LOCK_ROW).update(token=F("token"))
        yield


def ensure_free(
    name: str, *, site: int | None = None, path_prefix: str = "", alias: int | None = None
) -> None:
    """Raise ValidationError, which names the site that has it, unless ``name`` is free.

    ``site`` is the primary key of the site that is to have it as its domain, below
    ``path_prefix``; without one it is to be the alias with the primary key ``alias``.
    """
    aliases = Alias.objects.filter(name=name).exclude(pk=alias or 0)
    taken = aliases.select_related("site").first()
    if taken is not None:
        own = taken.site_id == site
        message = _(
            "%(name)s is already an alias of this site; promote it with"
            " “manage.py sites alias promote %(name)s”."
        )
        raise _taken(name, taken.site, message if own else _("%(name)s is an alias of %(owner)s."))
    for owner in sites_named(name).exclude(pk=site or 0).select_related("siteconfig"):
        config = getattr(owner, "siteconfig", None)
        if site is None or (config.path_prefix if config else "") == path_prefix:
            raise _taken(name + path_prefix, owner, _("%(name)s is the domain of %(owner)s."))


def sites_named(domain: str) -> QuerySet[Site]:
    """Return the sites that have this production domain: several, below path prefixes."""
    return Site.objects.filter(
        Q(siteconfig__domain=domain) | Q(domain=domain, siteconfig__domain__isnull=True)
    )


def _taken(name: str, owner: Site, message: Any) -> ValidationError:
    config = getattr(owner, "siteconfig", None)
    label = f"{owner.name} ({config.slug if config else owner.pk})"
    return ValidationError(message, code="taken", params={"name": name, "owner": label})
