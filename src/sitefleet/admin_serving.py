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
from django.utils.translation import gettext_lazy

from sitefleet.conf import get_conf
from sitefleet.hosting.fleet import MODES, SHARED
from sitefleet.hosting.options import INTERFACES, NAMES, Options, make_options, parse_option
from sitefleet.states import Mode, clean_serving, usable_serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.contrib.sites.models import Site
    from django.http import HttpRequest

    from sitefleet.models import SiteConfig

    AdminBase = admin.ModelAdmin[Site]
else:
    AdminBase = admin.ModelAdmin

PREFIX = "serving_"
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
            fields[PREFIX + name] = _field(name, project)
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
    explained = _("Where a field is empty the project's value counts.") if names else ""
    shown = names or ["mode", "serving"]
    return _("Serving"), {"fields": shown, "classes": ["collapse"], "description": explained}


class ServingShown(AdminBase):
    """Shows how sites are served."""

    @admin.display(description=gettext_lazy("mode"), ordering="siteconfig__mode")
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

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns; the mode where the project says how it is served."""
        columns = super().get_list_display(request)
        return (*columns, "mode") if get_conf().SERVING else columns


def _mode_field() -> forms.Field:
    default = get_conf().SERVING.get("mode", SHARED)
    choices = [("", _("the project's: %s") % default), *Mode.choices]
    return forms.ChoiceField(label=_("Mode"), choices=choices, required=False)


def _field(name: str, project: Options) -> forms.Field:
    default = getattr(project, name)
    label = name.replace("_", " ").capitalize()
    hint = _("The project's: %s") % (_text(default).replace("\n", " ") or _("none"))
    common: dict[str, Any] = {"label": label, "required": False}
    if name == "interface":
        choices = [("", hint), *((value, value) for value in INTERFACES)]
        return forms.ChoiceField(choices=choices, help_text=_HELP[name](), **common)
    common |= {"validators": [_validator(name)], "help_text": _HELP[name]()}
    if name in LINES:
        area = widgets.AdminTextareaWidget(attrs={"rows": 3, "placeholder": hint})
        return forms.CharField(widget=area, **common)
    number = widgets.AdminIntegerFieldWidget(attrs={"placeholder": hint})
    return forms.IntegerField(widget=number, **common)


def _validator(name: str) -> Callable[[Any], None]:
    def validate(value: Any) -> None:
        try:
            clean_serving({name: _value(name, value)})
        except ValidationError as error:
            raise ValidationError(error.messages) from None

    return validate


def _value(name: str, value: Any) -> Any:
    """Return the value of a field as it is stored; None where it is empty."""
    if value in (None, ""):
        return None
    return parse_option(name, value) if name in LINES else value


def _text(value: Any) -> Any:
    if isinstance(value, dict):
        return "\n".join(f"{key}={text}" for key, text in value.items())
    return "\n".join(value) if isinstance(value, (list, tuple)) else str(value)


_HELP: dict[str, Callable[[], str]] = {
    "workers": lambda: _("Processes at most."),
    "threads": lambda: _("Requests that a process answers at once."),
    "timeout": lambda: _("Seconds until a request that is not answered is given up."),
    "max_requests": lambda: _("Requests after which a process is replaced. 0: never."),
    "memory_limit": lambda: _("Megabytes of its own until a process is replaced. 0: no limit."),
    "idle": lambda: _("Seconds without a request until a process ends. 0: never."),
    "niceness": lambda: _("0 to 19: how far it stands back behind other sites."),
    "interface": lambda: _("ASGI is for WebSockets and long streams."),
    "warm_up": lambda: _("Paths that are asked for ahead of the first request, one on each line."),
    "environment": lambda: _("Variables, NAME=VALUE, one on each line."),
}
