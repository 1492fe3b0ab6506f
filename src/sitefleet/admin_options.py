"""What follows a site, in the admin's form: its theme, its URLconf, its own values of settings.

The form has a field for each declared setting. An empty one means: the project's value counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin import widgets
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from sitefleet.conf import get_conf
from sitefleet.declared import MISSING, Declaration, declarations
from sitefleet.following import configured
from sitefleet.kinds import KINDS, shorten
from sitefleet.persite.settings import site_values
from sitefleet.themes import theme_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sitefleet.models import SiteConfig

PREFIX = "setting_"
#: From so many settings on they are folded away until somebody opens them.
MANY = 10
#: How the admin shows the fields of some types.
WIDGETS: dict[Any, dict[str, Any]] = {
    KINDS["date"]: {"widget": widgets.AdminDateWidget},
    KINDS["datetime"]: {
        "form_class": forms.SplitDateTimeField,
        "widget": widgets.AdminSplitDateTime,
    },
    KINDS["email"]: {"widget": widgets.AdminTextInputWidget},
    KINDS["json"]: {"widget": widgets.AdminTextareaWidget(attrs={"rows": 4})},
    KINDS["list"]: {"widget": widgets.AdminTextareaWidget(attrs={"rows": 4})},
    KINDS["str"]: {"widget": widgets.AdminTextInputWidget},
    KINDS["text"]: {"widget": widgets.AdminTextareaWidget(attrs={"rows": 6})},
    KINDS["time"]: {"widget": widgets.AdminTimeWidget},
    KINDS["url"]: {"widget": widgets.AdminTextInputWidget},
}
#: Too narrow for a placeholder.
NARROW = (forms.MultiWidget, widgets.AdminDateWidget, widgets.AdminTimeWidget)


def form_fields(config: SiteConfig | None) -> dict[str, forms.Field]:
    """Return the fields for what follows a site, or a site that is being added.

    A theme or a URLconf can be chosen where the project has any, or the site has one.
    """
    fields: dict[str, forms.Field] = {}
    theme, urlconf = (config.theme, config.urlconf) if config else ("", "")
    if get_conf().THEME_DIRS or theme:
        fields["theme"] = _choice(
            pgettext("sitefleet", "Theme"), theme_names(), theme, pgettext("sitefleet", "none")
        )
    if get_conf().URLCONFS or urlconf:
        fields["urlconf"] = _choice(
            pgettext("sitefleet", "URLconf"), get_conf().URLCONFS, urlconf, _("the project's")
        )
    wrong = site_values(config.settings)[1] if config else {}
    for name, declaration in declarations().items():
        field = _setting_field(declaration)
        if config and name in wrong:
            field.help_text = format_html(
                "{} <strong>{}</strong>",
                field.help_text,
                _("What is stored for it cannot be used: %s") % shorten(config.settings[name]),
            )
        fields[PREFIX + name] = field
    return fields


def initial(config: SiteConfig) -> dict[str, Any]:
    """Return what these fields show of a site."""
    own = site_values(config.settings)[0]
    return {"theme": config.theme, "urlconf": config.urlconf} | {
        PREFIX + name: value for name, value in own.items()
    }


def given_settings(form: forms.Form | forms.ModelForm[Any]) -> dict[str, Any]:
    """Return the settings that were changed in a form that is valid; None for an emptied one."""
    given = {}
    for field in form.changed_data:
        if field.startswith(PREFIX):
            value = form.cleaned_data[field]
            empty = value in form.fields[field].empty_values
            given[field.removeprefix(PREFIX)] = None if empty else value
    return given


def fieldsets(
    basic: Iterable[str], fields: Mapping[str, forms.Field], *, editable: bool
) -> list[tuple[Any, dict[str, Any]]]:
    """Return the parts of the form: the site itself, and its settings where any are declared."""
    first = [*basic, *(name for name in ("theme", "urlconf") if name in fields)]
    names = [name for name in fields if name.startswith(PREFIX)]
    parts: list[tuple[Any, dict[str, Any]]] = [(None, {"fields": first})]
    if names:
        shown = names if editable else ["own_settings"]
        classes = ["collapse"] if len(shown) > MANY else []
        explained = _("Where a field is empty the project's value counts.")
        part = {"fields": shown, "classes": classes, "description": explained if editable else ""}
        parts.append((_("Settings of this site"), part))
    return parts


def list_settings(config: SiteConfig) -> str:
    """Return a site's own values for people who may only look at them."""
    declared = declarations()
    own = site_values(config.settings)[0]
    rows = ((declared[name].label or name, show(declared[name], own[name])) for name in own)
    return format_html_join("", "<div>{}: {}</div>", rows) or "-"


def show(declaration: Declaration, value: Any) -> str:
    """Return a value as a person reads it."""
    if value == "":
        return "-"
    if isinstance(value, bool):
        return pgettext("sitefleet", "Yes") if value else pgettext("sitefleet", "No")
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "-"
    labels = dict(getattr(declaration.kind, "choices", dict)())
    return str(labels.get(value, value) if isinstance(value, (str, int)) else value)


def _setting_field(declaration: Declaration) -> forms.Field:
    value = configured(declaration.name, declaration.default)
    hint = _("The project has none")
    if value is not None and value is not MISSING:
        hint = _("The project's: %s") % show(declaration, value)
    field = declaration.form_field(hint, **WIDGETS.get(type(declaration.kind), {}))
    notes = [field.help_text] if field.help_text else []
    if isinstance(declaration.kind, KINDS["list"]):
        notes.append(_("One on each line."))
    if isinstance(field.widget, NARROW):
        field.widget.attrs.pop("placeholder", None)
        notes.append(f"{hint}.")
    field.help_text = format_html_join(" ", "{}", ((note,) for note in notes))
    return field


def _choice(label: str, names: Iterable[str], current: str, none: str) -> forms.Field:
    choices = [("", none), *((name, name) for name in names)]
    if current and current not in dict(choices):
        # It stays until somebody chooses another one.
        choices.append((current, _("%s (missing)") % current))
    return forms.ChoiceField(label=label, choices=choices, required=False)
