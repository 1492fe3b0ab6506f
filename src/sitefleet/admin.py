"""Sites in the admin: one form for a site, its configuration and its aliases."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.sites import admin as _django_admin  # noqa: F401 - registers Site: see below
from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from sitefleet import admin_options, admin_serving, hosts
from sitefleet.addresses import site_url
from sitefleet.admin_removal import SiteRemoval
from sitefleet.admin_serving import ServingShown
from sitefleet.environments import get_environment
from sitefleet.exceptions import InvalidHost, SiteError
from sitefleet.models import Alias, SiteConfig, ensure_free
from sitefleet.naming import SLUG_LENGTH, clean_domain, clean_path_prefix, validate_slug
from sitefleet.registry import (
    add_site,
    change_site,
    columns_for,
    configure_site,
    get_config,
    set_state,
)
from sitefleet.states import State

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    FormBase = forms.ModelForm[Site]
    AdminBase = admin.ModelAdmin[Site]
    InlineBase = admin.TabularInline[Alias, Site]
    FormSetBase = BaseInlineFormSet[Alias, Site, forms.ModelForm[Alias]]
else:
    FormBase, AdminBase, InlineBase = forms.ModelForm, admin.ModelAdmin, admin.TabularInline
    FormSetBase = BaseInlineFormSet


class SiteForm(FormBase):
    """A site: what is in Django's row and what is in ours, in one form."""

    domain = forms.CharField(
        label=_("Production domain"),
        required=False,
        help_text=_("The one canonical name, such as example.org. Empty: not in production yet."),
    )
    slug = forms.CharField(
        label=pgettext_lazy("sitefleet", "Slug"),
        max_length=SLUG_LENGTH,
        help_text=SiteConfig._meta.get_field("slug").help_text,
    )
    path_prefix = forms.CharField(
        label=_("Path prefix"),
        required=False,
        max_length=SiteConfig._meta.get_field("path_prefix").max_length,
        help_text=SiteConfig._meta.get_field("path_prefix").help_text,
    )
    state = forms.ChoiceField(
        label=pgettext_lazy("sitefleet", "State"), choices=State.choices, initial=State.ACTIVE
    )

    class Meta:
        model = Site
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            config = get_config(self.instance)
            for name in ("slug", "path_prefix", "state"):
                self.initial.setdefault(name, getattr(config, name))
            shown = admin_options.initial(config) | admin_serving.initial(config)
            for name, value in shown.items():
                if name in self.fields:
                    self.initial.setdefault(name, value)
            # Instead of what the model form has found in Django's row.
            self.initial["domain"] = config.production_domain

    def clean_slug(self) -> str:
        """Bring the slug into normal form; refuse one that another site has."""
        slug = self.cleaned_data["slug"].lower()
        validate_slug(slug)
        if SiteConfig.objects.filter(slug=slug).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("The slug %(slug)s is taken."), params={"slug": slug})
        return str(slug)

    def clean_path_prefix(self) -> str:
        """Bring the prefix into normal form."""
        return clean_path_prefix(self.cleaned_data["path_prefix"])

    def clean(self) -> dict[str, Any]:
        """See that the domain can be had."""
        cleaned = super().clean() or self.cleaned_data
        try:
            self._clean_address(cleaned)
        except ValidationError as error:
            self.add_error("domain", error)
        return cleaned

    def _clean_address(self, cleaned: dict[str, Any]) -> None:
        domain, prefix = cleaned.get("domain", ""), cleaned.get("path_prefix", "")
        if prefix and not domain:
            raise ValidationError(_("A site below a path prefix needs a domain."))
        if domain:
            cleaned["domain"] = domain = clean_domain(domain)
            ensure_free(domain, site=self.instance.pk or 0, path_prefix=prefix)
        columns_for(cleaned.get("slug", ""), domain, prefix, get_environment())

    def validate_unique(self) -> None:
        """Leave it to `clean`: sites below path prefixes may share a domain."""


class AliasFormSet(FormSetBase):
    """Aliases that are free of each other and of the domain that is saved with them."""

    def clean(self) -> None:
        """Refuse a name that is given twice in one form."""
        super().clean()
        taken = {self.instance.domain}
        for form in self.forms:
            if form in self.deleted_forms or not (form.has_changed() or form.instance.pk):
                continue
            if form.instance.name in taken and "name" not in form.errors:
                message = _("%(name)s is given to this site twice.")
                params = {"name": form.instance.name}
                form.add_error("name", ValidationError(message, params=params))
            taken.add(form.instance.name)


class AliasInline(InlineBase):
    """The aliases of a site, below its form."""

    model = Alias
    formset = AliasFormSet
    extra = 1


@admin.action(description=_("Set to active"), permissions=("change",))
def set_active(modeladmin: SiteAdmin, request: HttpRequest, queryset: QuerySet[Site]) -> None:
    """Set the chosen sites to active."""
    _set_states(modeladmin, request, queryset, State.ACTIVE)


@admin.action(description=_("Set to maintenance"), permissions=("change",))
def set_maintenance(modeladmin: SiteAdmin, request: HttpRequest, queryset: QuerySet[Site]) -> None:
    """Set the chosen sites to maintenance."""
    _set_states(modeladmin, request, queryset, State.MAINTENANCE)


def _set_states(
    modeladmin: SiteAdmin, request: HttpRequest, sites: QuerySet[Site], state: State
) -> None:
    count = len([set_state(site, state) for site in sites])
    message = ngettext(
        "%(count)d site is %(state)s now.", "%(count)d sites are %(state)s now.", count
    )
    modeladmin.message_user(request, message % {"count": count, "state": state.label})


class SiteAdmin(ServingShown, SiteRemoval):
    """Sites, with all that sitefleet knows of them."""

    form = SiteForm
    inlines = (AliasInline,)
    fields = ("name", "slug", "domain", "path_prefix", "state", "open_link")
    readonly_fields = ("open_link", "own_settings", "serving")
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

    @admin.display(description=pgettext_lazy("sitefleet", "slug"), ordering="siteconfig__slug")
    def slug(self, site: Site) -> str:
        """Show the slug."""
        return get_shown_config(site).slug

    @admin.display(description=_("production domain"), ordering="domain")
    def production_domain(self, site: Site) -> str:
        """Show the production domain, with the path prefix."""
        config = get_shown_config(site)
        return f"{config.production_domain}{config.path_prefix}" or "-"

    @admin.display(description=pgettext_lazy("sitefleet", "state"), ordering="siteconfig__state")
    def state(self, site: Site) -> str:
        """Show the state."""
        return str(get_shown_config(site).get_state_display())

    @admin.display(description=_("path prefix"))
    def path_prefix(self, site: Site) -> str:
        """Show the path prefix to people who may not change it."""
        return get_shown_config(site).path_prefix or "-"

    @admin.display(description=pgettext_lazy("sitefleet", "theme"))
    def theme(self, site: Site) -> str:
        """Show the theme to people who may not change it."""
        return get_shown_config(site).theme or "-"

    @admin.display(description=pgettext_lazy("sitefleet", "URLconf"))
    def urlconf(self, site: Site) -> str:
        """Show the URLconf to people who may not change it."""
        return get_shown_config(site).urlconf or "-"

    @admin.display(description=_("own values"))
    def own_settings(self, site: Site) -> str:
        """Show the site's own values to people who may not change them."""
        return admin_options.list_settings(get_shown_config(site))

    @admin.display(description=pgettext_lazy("sitefleet", "here"))
    def open_link(self, site: Site | None) -> str:
        """Link to the site in this environment."""
        if site is None or not site.pk:
            return "-"
        try:
            url = site_url(get_shown_config(site).presented_site())
        except SiteError:
            return "-"
        return format_html('<a href="{}" target="_blank" rel="noopener">{}</a>', url, url)

    def get_fieldsets(self, request: HttpRequest, obj: Site | None = None) -> Any:
        """Return the fields of the site, and those of its settings where any are declared."""
        editable = self.has_change_permission(request, obj) if obj else True
        fields = admin_options.form_fields(get_shown_config(obj) if obj else None)
        parts = admin_options.fieldsets(self.fields, fields, editable=editable)
        return [*parts, admin_serving.fieldset(self._serving_fields(request, obj))]

    def get_form(
        self,
        request: HttpRequest,
        obj: Site | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **kwargs: Any,
    ) -> Any:
        """Return the form, with a field for each setting that is declared now."""
        fields = admin_options.form_fields(get_shown_config(obj) if obj else None)
        fields |= self._serving_fields(request, obj)
        form = type(self.form.__name__, (self.form,), dict(fields))
        return super().get_form(request, obj, change, form=form, **kwargs)

    @staticmethod
    def _serving_fields(request: HttpRequest, obj: Site | None) -> dict[str, forms.Field]:
        if not admin_serving.may_change(request):
            return {}
        return admin_serving.form_fields(get_shown_config(obj) if obj else None)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Site], search_term: str
    ) -> tuple[QuerySet[Site], bool]:
        """Search as ever; whole names with other letters are found in their ASCII form too."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if not search_term.isascii():
            with suppress(InvalidHost):
                name = hosts.normalize(search_term.strip())
                more, _repeat = super().get_search_results(request, queryset, name)
                return found | more, True
        return found, may_repeat

    def save_model(self, request: HttpRequest, obj: Site, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Save through the registry, which keeps row, configuration and environment in step."""
        data = form.cleaned_data
        given = {key: data[key] for key in ("slug", "name", "domain", "path_prefix")}
        if change:
            change_site(obj, **given)
            set_state(obj, data["state"])
        else:
            obj.pk = add_site(**given, state=data["state"]).pk
        options = {key: data[key] for key in ("theme", "urlconf") if key in form.changed_data}
        options |= admin_serving.given(form)
        configure_site(obj, settings=admin_options.given_settings(form), **options)
        obj.refresh_from_db()


def get_shown_config(site: Site) -> SiteConfig:
    """Return the configuration of a listed site, without a query where it came with the list."""
    config: SiteConfig | None = getattr(site, "siteconfig", None)
    return config if config is not None else get_config(site)


# Whatever comes first in INSTALLED_APPS: Django's own has been registered by its import above.
if admin.site.is_registered(Site):
    admin.site.unregister(Site)
admin.site.register(Site, SiteAdmin)
