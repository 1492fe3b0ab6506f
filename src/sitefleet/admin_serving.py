"""How a site is served, in the admin: its mode, and a typed field for each option.

Processes and memory are the platform's, so only superusers change them; others see them. An empty
field means: the project's value counts, which the field shows as a hint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin import widgets
from django.core.exceptions import ValidationError
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext, pgettext_lazy

from sitefleet.conf import get_conf
from sitefleet.hosting.planning.fleet import MODES, SHARED
from sitefleet.hosting.planning.options import (
    INTERFACES,
    MOST_PATHS,
    NAMES,
    RANGES,
    Options,
    make_options,
)
from sitefleet.states import Mode, clean_serving, is_dedicated, usable_serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.contrib.sites.models import Site
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from sitefleet.models import SiteConfig

    AdminBase = admin.ModelAdmin[Site]
else:
    AdminBase = admin.ModelAdmin

PREFIX = "serving_"
LINK = "open_link"
#: Those whose value has several lines.
LINES = ("warm_up", "environment")


def may_change(request: HttpRequest) -> bool:
    """Tell whether somebody may change how sites are served."""
    return bool(getattr(request.user, "is_superuser", False))


def form_fields(config: SiteConfig | None) -> dict[str, forms.Field]:
    """Return the fields for how a site is served, or a site that is being added."""
    own = usable_serving(config.serving) if config else {}
    project = make_options(get_conf().SERVING.get("options", {}))
    fields: dict[str, forms.Field] = {"mode": _mode_field()}
    for name in NAMES:
        if name != "environment" or own.get(name) or get_conf().SERVING.get(name):
            fields[PREFIX + name] = _field(name, project, own)
    return fields


def initial(config: SiteConfig) -> dict[str, Any]:
    """Return what these fields show of a site."""
    own = usable_serving(config.serving)
    mode = config.mode if config.mode in MODES else ""
    return {"mode": mode} | {PREFIX + name: _text(value) for name, value in own.items()}


def given(form: forms.Form | forms.ModelForm[Any]) -> dict[str, Any]:
    """Return what was changed in a form that is valid, as `configure_site` takes it."""
    changed: dict[str, Any] = {}
    options = {}
    for field in form.changed_data:
        if field == "mode":
            changed["mode"] = form.cleaned_data["mode"]
        elif field.startswith(PREFIX):
            name = field.removeprefix(PREFIX)
            options[name] = _value(name, form.cleaned_data[field])
    return changed | ({"serving": options} if options else {})


def fieldset(fields: Iterable[str]) -> tuple[Any, dict[str, Any]]:
    """Return the part of the form with these fields, or what is shown where there are none.

    It is folded away until somebody opens it.
    """
    names = [*fields]
    hint = _("Where a field is empty the project's value counts, which it shows in grey.")
    explained = hint if names else ""
    shown = names or ["mode", "serving"]
    return pgettext("sitefleet", "Serving"), {
        "fields": shown,
        "classes": ["collapse"],
        "description": explained,
    }


class ModeFilter(admin.SimpleListFilter):
    """Sites by the mode that counts for them: their own, else the project's."""

    title = pgettext_lazy("sitefleet", "mode")
    parameter_name = "mode"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """Return the modes."""
        return [(mode, mode) for mode in MODES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Site]) -> QuerySet[Site]:
        """Return the sites of the chosen mode; all where none is chosen."""
        if self.value() not in MODES:
            return queryset
        default = get_conf().SERVING.get("mode", SHARED)
        return queryset.filter(is_dedicated(default, negated=self.value() == SHARED))


class ServingShown(AdminBase):
    """Shows how sites are served."""

    @admin.display(description=pgettext_lazy("sitefleet", "mode"), ordering="siteconfig__mode")
    def mode(self, site: Site) -> str:
        """Show the mode."""
        config = getattr(site, "siteconfig", None)
        mode = config.mode if config and config.mode in MODES else None
        return str(mode or get_conf().SERVING.get("mode", SHARED))

    @admin.display(description=gettext_lazy("options of its processes"))
    def serving(self, site: Site) -> str:
        """Show the site's own options to people who may not change them."""
        config = getattr(site, "siteconfig", None)
        own = usable_serving(config.serving) if config else {}
        rows = ((name, _text(value).replace("\n", " ")) for name, value in own.items())
        return format_html_join("", "<div>{}: {}</div>", rows) or "-"

    def get_readonly_fields(self, request: HttpRequest, obj: Site | None = None) -> Any:
        """Return what is only shown; the mode too, to people who may not change it."""
        shown = super().get_readonly_fields(request, obj)
        return shown if may_change(request) else (*shown, "mode")

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Return the filters; one for the mode where the project says how it is served."""
        filters = super().get_list_filter(request)
        return (*filters, ModeFilter) if get_conf().SERVING else filters

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns; the mode where the project says how it is served."""
        columns = super().get_list_display(request)
        if not get_conf().SERVING:
            return columns
        # Ahead of the link, which is long: what is behind it is cut on a narrow screen.
        return (*(name for name in columns if name != LINK), "mode", *({LINK} & {*columns}))


def _mode_field() -> forms.Field:
    default = get_conf().SERVING.get("mode", SHARED)
    choices = [("", _("the project's: %s") % default), *Mode.choices]
    return forms.ChoiceField(label=pgettext("sitefleet", "Mode"), choices=choices, required=False)


def _field(name: str, project: Options, own: dict[str, Any]) -> forms.Field:
    default = getattr(project, name)
    label = name.replace("_", " ").capitalize()
    hint = _text(default).replace("\n", " ") or pgettext("sitefleet", "none")
    common: dict[str, Any] = {"label": label, "required": False}
    if name == "interface":
        choices = [("", _("the project's: %s") % hint), *((value, value) for value in INTERFACES)]
        return forms.ChoiceField(choices=choices, help_text=_help(name), **common)
    common |= {"validators": [_validator(name, own)], "help_text": _help(name)}
    if name in LINES:
        area = widgets.AdminTextareaWidget(attrs={"rows": 3, "placeholder": hint})
        return forms.CharField(widget=area, **common)
    number = widgets.AdminIntegerFieldWidget(attrs={"placeholder": hint})
    return forms.IntegerField(widget=number, **common)


def _validator(name: str, own: dict[str, Any]) -> Callable[[Any], None]:
    def validate(value: Any) -> None:
        try:
            clean_serving({name: _value(name, value)}, own)
        except ValidationError as error:
            # Of the text that JSON has for it nobody here has heard.
            in_json = any(f"{name} is a " in text for text in error.messages)
            told = _LINES[name]() if name in LINES and in_json else error.messages
            raise ValidationError(told) from None

    return validate


def _value(name: str, value: Any) -> Any:
    """Return the value of a field as it is stored; None where it is empty."""
    if value in (None, ""):
        return None
    if name not in LINES:
        return value
    lines = [line.strip() for line in str(value).splitlines() if line.strip()]
    if name == "warm_up":
        return lines
    return {key: text for key, _, text in (line.partition("=") for line in lines)}


def _text(value: Any) -> Any:
    if isinstance(value, dict):
        return "\n".join(f"{key}={text}" for key, text in value.items())
    return "\n".join(value) if isinstance(value, (list, tuple)) else str(value)


def _help(name: str) -> str:
    text = _HELP[name]()
    if name not in RANGES:
        return text
    least, most = RANGES[name]
    return text % {"least": least, "most": most}


#: What is said of a field with lines that cannot be read.
_LINES: dict[str, Callable[[], str]] = {
    "warm_up": lambda: (
        _("Write at most %d paths, one on each line, such as /news/: each begins with a slash.")
        % MOST_PATHS
    ),
    "environment": lambda: _("Write one variable on each line, such as FLAVOUR=mild."),
}
_HELP: dict[str, Callable[[], str]] = {
    "workers": lambda: _("Processes at most: %(least)d to %(most)d."),
    "threads": lambda: _("Requests that a process answers at once: %(least)d to %(most)d."),
    "timeout": lambda: _(
        "Seconds until a request that is not answered is given up: %(least)d to %(most)d."
    ),
    "max_requests": lambda: _(
        "Requests after which a process is replaced, up to %(most)d. 0: never."
    ),
    "memory_limit": lambda: _(
        "Megabytes of its own until a process is replaced, up to %(most)d. 0: no limit."
    ),
    "idle": lambda: _("Seconds without a request until a process ends, up to %(most)d. 0: never."),
    "niceness": lambda: _("How far it stands back behind other sites: %(least)d to %(most)d."),
    "interface": lambda: _("ASGI is for WebSockets and long streams."),
    "warm_up": lambda: _("Paths that are asked for ahead of the first request, one on each line."),
    "environment": lambda: _("Variables, NAME=VALUE, one on each line."),
}
