"""Sites in the admin: one form for a site, its configuration and its aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.sites import admin as django_sites_admin
from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from sitefleet.addresses import site_url

from sitefleet.exceptions import SiteError
from sitefleet.models import (
    Alias,
    SiteConfig,
    State,
    clean_domain,
    clean_path_prefix,
    ensure_free,
    validate_slug,
)
from sitefleet.registry import add_site, change_site, get_config, set_state

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    FormBase = forms.ModelForm[Site]
    AdminBase = admin.ModelAdmin[Site]
    InlineBase = admin.TabularInline[Alias, Site]
else:
    FormBase, AdminBase, InlineBase = forms.ModelForm, admin.ModelAdmin, admin.TabularInline


class SiteForm(FormBase):
    """A site: what is in Django's row and what is in ours, in one form."""

    domain = forms.CharField(
        label=_("Production domain"),
        required=False,
        help_text=_("The one canonical name, such as example.org. Empty: not in production yet."),
    )
    slug = forms.CharField(
        label=_("Slug"),
        validators=[validate_slug],
        help_text=SiteConfig._meta.get_field("slug").help_text,
    )
    path_prefix = forms.CharField(
        label=_("Path prefix"),
        required=False,
        help_text=SiteConfig._meta.get_field("path_prefix").help_text,
    )
    state = forms.ChoiceField(label=_("State"), choices=State.choices, initial=State.ACTIVE)

    class Meta:
        model = Site
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            config = get_config(self.instance)
            for name in ("slug", "path_prefix", "state"):
                self.initial.setdefault(name, getattr(config, name))
            self.initial.setdefault("domain", config.production_domain)

    def clean_slug(self) -> str:
        """Refuse a slug that another site has."""
        slug = self.cleaned_data["slug"].lower()
        if SiteConfig.objects.filter(slug=slug).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("The slug %(slug)s is taken."), params={"slug": slug})
        return str(slug)

    def clean_path_prefix(self) -> str:
        """Bring the prefix into normal form."""
        return clean_path_prefix(self.cleaned_data["path_prefix"])

    def clean(self) -> dict[str, Any]:
        """See that the domain can be had."""
        cleaned = super().clean() or self.cleaned_data
        domain, prefix = cleaned.get("domain", ""), cleaned.get("path_prefix", "")
        try:
            if domain:
                cleaned["domain"] = clean_domain(domain)
                ensure_free(cleaned["domain"], site=self.instance.pk or 0, path_prefix=prefix)
            elif prefix:
                raise ValidationError(_("A site below a path prefix needs a domain."))
        except ValidationError as error:
            self.add_error("domain", error)
        return cleaned


class AliasInline(InlineBase):
    """The aliases of a site, below its form."""

    model = Alias
    extra = 1


@admin.action(description=_("Set to active"))
def set_active(modeladmin: SiteAdmin, request: HttpRequest, queryset: QuerySet[Site]) -> None:
    """Set the chosen sites to active."""
    _set_states(queryset, State.ACTIVE)


@admin.action(description=_("Set to maintenance"))
def set_maintenance(modeladmin: SiteAdmin, request: HttpRequest, queryset: QuerySet[Site]) -> None:
    """Set the chosen sites to maintenance."""
    _set_states(queryset, State.MAINTENANCE)


def _set_states(sites: QuerySet[Site], state: State) -> None:
    for site in sites:
        set_state(site, state)


class SiteAdmin(AdminBase):
    """Sites, with all that sitefleet knows of them."""

    form = SiteForm
    inlines = (AliasInline,)
    fields = ("name", "slug", "domain", "path_prefix", "state", "open_link")
    readonly_fields = ("open_link",)
    list_display = ("name", "slug", "production_domain", "state", "open_link")
    list_filter = ("siteconfig__state",)
    list_select_related = ("siteconfig",)
    search_fields = (
        "name",
        "domain",
        "siteconfig__slug",
        "siteconfig__domain",
        "fleet_aliases__name",
    )
    ordering = ("name",)
    actions = (set_active, set_maintenance)

    @admin.display(description=_("slug"), ordering="siteconfig__slug")
    def slug(self, site: Site) -> str:
        """Show the slug."""
        return get_shown_config(site).slug

    @admin.display(description=_("production domain"), ordering="domain")
    def production_domain(self, site: Site) -> str:
        """Show the production domain, with the path prefix."""
        config = get_shown_config(site)
        return f"{config.production_domain}{config.path_prefix}" or "–"

    @admin.display(description=_("state"), ordering="siteconfig__state")
    def state(self, site: Site) -> str:
        """Show the state."""
        return str(get_shown_config(site).get_state_display())

    @admin.display(description=_("here"))
    def open_link(self, site: Site | None) -> str:
        """Link to the site in this environment."""
        if site is None or not site.pk:
            return "–"
        try:
            url = site_url(site.pk)
        except (SiteError, Site.DoesNotExist):
            return "–"
        return format_html('<a href="{}" target="_blank" rel="noopener">{}</a>', url, url)

    def save_model(self, request: HttpRequest, obj: Site, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Save through the registry, which keeps row, configuration and environment in step."""
        data = form.cleaned_data
        given = {key: data[key] for key in ("slug", "name", "domain", "path_prefix")}
        if change:
            change_site(obj, **given)
            set_state(obj, data["state"])
        else:
            site = add_site(**given, state=data["state"])
            obj.pk, obj.domain, obj._state.adding = site.pk, site.domain, False
        obj.refresh_from_db()


def get_shown_config(site: Site) -> SiteConfig:
    """Return the configuration of a listed site, without a query where it came with the list."""
    config: SiteConfig | None = getattr(site, "siteconfig", None)
    return config if config is not None else get_config(site)


admin.site.unregister(django_sites_admin.Site)
admin.site.register(Site, SiteAdmin)
