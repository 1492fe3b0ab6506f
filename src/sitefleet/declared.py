"""Settings that each site may have a value of its own for: what ``SITE_SETTINGS`` declares.

A declaration that cannot be used is told by the system checks, and counts as if it was not there:
its setting is that of the project, on all sites.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from django.conf import global_settings
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from sitefleet.conf import get_conf
from sitefleet.django_settings import PER_SITE, SECRET, TABLE
from sitefleet.kinds import KINDS, Custom, Kind, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from django import forms

    _Found = tuple[dict[str, "Declaration"], list["Mistake"]]

#: Stands for: there is no such value.
MISSING: Any = object()
#: Keys that each declaration may have; a type has more.
COMMON = ("type", "field", "default", "label", "help")
#: Bytes of JSON that all values of one site may have: each process holds them.
SIZE = 64 * 1024
#: Words, between underscores, in the names of secrets.
SECRET_WORDS = frozenset(
    """
    APIKEY APIKEYS CREDENTIAL CREDENTIALS DSN KEY KEYS PASS PASSPHRASE PASSWD PASSWORD PASSWORDS
    PRIVATE PWD SECRET SECRETS SIGNATURE SIGNATURES TOKEN TOKENS
    """.split()  # noqa: SIM905 - read as words
)
#: Words that say of a key that it is none.
PUBLIC_WORDS = frozenset({"PUBLIC", "PUBLISHABLE"})


@dataclass(frozen=True, slots=True)
class Declaration:
    """One setting that sites may have values of their own for."""

    name: str
    kind: Kind
    default: Any = MISSING
    """The value where neither the site nor the project has one."""
    label: Any = ""
    help: Any = ""

    def form_field(self, hint: str, **kwargs: Any) -> forms.Field:
        """Return a field for a site's own value; ``hint`` tells what holds where there is none."""
        label = self.label or self.name
        return self.kind.form_field(hint, label=label, help_text=self.help, **kwargs)


class Mistake(NamedTuple):
    """What is wrong with a declaration, as a system check tells it."""

    id: str
    message: str
    hint: str


def declarations() -> dict[str, Declaration]:
    """Return the declarations that can be used, by name. Raises InvalidSetting."""
    return _read()[0]


def find_problems() -> list[Mistake]:
    """Return what is wrong with the declarations. Raises InvalidSetting."""
    return _read()[1]


def parse(name: str, text: str) -> Any:
    """Return the value of a text, as on a command line, for a declared setting.

    Raises ValidationError for what is no value, and for a name that is not declared.
    """
    declaration = declarations().get(name)
    if declaration is None:
        raise ValidationError({"settings": [_not_declared(name)]})
    try:
        return declaration.kind.parse(text)
    except ValidationError as error:
        raise ValidationError({"settings": [_tell(name, error)]}) from None


def clean_settings(values: Any, stored: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Return the values of one site, Python's or JSON's, as JSON keeps them.

    None takes a value away. What is ``stored`` already passes as it is: it may belong to a
    declaration that is gone, or was another one then, and is not to be lost by that.

    Raises ValidationError that names each setting and what is wrong with its value, and for
    values that are too large together and larger than what is stored.
    """
    if not isinstance(values, dict):
        raise ValidationError({"settings": [_("Expected a dictionary of values by name.")]})
    declared = declarations()
    cleaned, problems = {}, []
    for name, value in values.items():
        if value is None:
            continue
        if _is_in(stored, name, value):
            cleaned[name] = value
        elif name not in declared:
            problems.append(_not_declared(name))
        else:
            kind = declared[name].kind
            try:
                cleaned[name] = kind.dump(kind.clean(value))
            except ValidationError as error:
                problems.append(_tell(name, error))
    size = _size(cleaned)
    if size > SIZE and size > _size(stored):
        told = _("All values of a site may have %(limit)s KB of JSON; these have %(size)s.")
        problems.append(told % {"limit": SIZE // 1024, "size": -(-size // 1024)})
    if problems:
        raise ValidationError({"settings": problems})
    return cleaned


def _size(values: Mapping[str, Any]) -> int:
    try:
        text = json.dumps(dict(values), ensure_ascii=False)
    except RecursionError:  # Came by raw SQL: no value that is given is nested like that.
        return 0
    return len(text.encode(errors="surrogatepass"))


def _is_in(stored: Mapping[str, Any], name: str, value: Any) -> bool:
    if name not in stored or type(stored[name]) is not type(value):
        return False
    return stored[name] is value or bool(stored[name] == value)


def _not_declared(name: str) -> str:
    near = get_close_matches(str(name).upper(), declarations(), 1)
    if near:
        message = _("%(name)s is not declared in SITE_SETTINGS. Did you mean %(near)s?")
        return message % {"name": name, "near": near[0]}
    return _("%(name)s is not declared in SITE_SETTINGS.") % {"name": name}


def _tell(name: str, error: ValidationError) -> str:
    return f"{name}: {' '.join(error.messages)}"


# --- reading the declarations ------------------------------------------------


class _Cache:
    """What was read last, and from what; ``override_settings`` brings another dictionary."""

    last: ClassVar[tuple[object, _Found]] = (None, ({}, []))


def _read() -> _Found:
    source = get_conf().SITE_SETTINGS
    last = _Cache.last
    if last[0] is not source:
        found: _Found = {}, []
        for name, spec in source.items():
            wrong = [*_refusals(name), *_wrong_type(name, spec), *_wrong_keys(name, spec)]
            declared = None if wrong else _declare(name, spec)
            if isinstance(declared, Declaration):
                found[0][name] = declared
            else:
                found[1].extend([declared] if declared else wrong)
        _Cache.last = last = (source, found)
    return last[1]


def _refusals(name: str) -> Iterator[Mistake]:
    """Yield why a setting of this name must not be per site."""
    row = TABLE.get(name)
    if row is not None and row.verdict not in (PER_SITE, SECRET):
        message = f"SITE_SETTINGS declares {name}, which cannot be per site. {row.why}"
        yield Mistake("sitefleet.E342", message, row.way)
    elif (row is None and _is_secret(name)) or (row is not None and row.verdict == SECRET):
        yield Mistake(
            "sitefleet.E343",
            f"SITE_SETTINGS declares {name}: by its name it is a secret, and values of sites are"
            " seen in the admin, in exports and in dumps.",
            "Keep secrets in settings.py or the environment, by site where need be:"
            f' {name} = {{"gh": os.environ["GH_{name}"]}}',
        )


def _is_secret(name: str) -> bool:
    words = set(name.split("_"))
    return bool(words & SECRET_WORDS) and not words & PUBLIC_WORDS


def _type_of(name: str, spec: Mapping[Any, Any]) -> Any:
    """Return the type that is given, or the usual one of a setting of Django."""
    row = TABLE.get(name)
    given = spec.get("type", row.types[0] if row is not None and row.types else None)
    return given if given is None or isinstance(given, str) else shorten(given)


def _wrong_type(name: str, spec: Mapping[Any, Any]) -> Iterator[Mistake]:
    given, row = _type_of(name, spec), TABLE.get(name)
    if "field" in spec:
        if "type" in spec:
            yield _misuse(name, "it has a 'type' and a 'field'", "Take one of them out.")
    elif row is not None and row.verdict == PER_SITE and given not in row.types:
        wanted = f"the type {row.types[0]!r}" if row.types else "a 'field' of your own"
        yield _misuse(name, f"its type is {given!r}", f"Django wants {wanted} there.")
    elif given is None:
        yield _misuse(name, "it has no type", f"Types are: {', '.join(KINDS)}.")
    elif given not in KINDS:
        yield _misuse(name, f"there is no type {shorten(given)}", _near(given, KINDS))


def _wrong_keys(name: str, spec: Mapping[Any, Any]) -> Iterator[Mistake]:
    given = None if "field" in spec else _type_of(name, spec)
    known = [*COMMON, *(KINDS[given].options if given in KINDS else ())]
    for key in spec:
        if key not in known:
            yield _misuse(name, f"there is no key {shorten(key)}", _near(key, known))
    for key in ("label", "help"):
        if not isinstance(spec.get(key, ""), (str, Promise)):
            yield _misuse(name, f"{key!r} is {shorten(spec[key])}", "It is a text.")
    if "default" in spec and hasattr(global_settings, name):
        hint = f"Set it in settings.py: {name} = {spec['default']!r}"
        yield _misuse(name, "its default is never used: Django has one of its own", hint)


def _near(word: object, known: Iterable[str]) -> str:
    near = get_close_matches(str(word), known, 1)
    return f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(known)}."


def _declare(name: str, spec: Mapping[str, Any]) -> Declaration | Mistake:
    own = {key: value for key, value in spec.items() if key not in COMMON}
    try:
        kind = _custom(spec["field"]) if "field" in spec else KINDS[_type_of(name, spec)](**own)
    except Exception as error:  # noqa: BLE001 - code of the project: it is told, whatever it is
        told = f"its 'field' cannot be used: {type(error).__name__}: {error}"
        return _misuse(name, told, 'It is a form field, as in "field": "django.forms.SlugField".')
    for problem in kind.problems():
        return _misuse(name, problem, f"Correct SITE_SETTINGS[{name!r}].")
    default = spec.get("default", MISSING)
    try:
        if default is not MISSING and default is not None:
            default = kind.clean(default)
    except ValidationError as error:
        told = f"its default cannot be used: {' '.join(error.messages)}"
        return _misuse(name, told, "The default is a value of this type, or None.")
    return Declaration(name, kind, default, spec.get("label", ""), spec.get("help", ""))


def _custom(field: Any) -> Kind:
    return Custom(import_string(field) if isinstance(field, str) else field)


def _misuse(name: str, told: str, hint: str) -> Mistake:
    message = f"SITE_SETTINGS[{name!r}] cannot be used: {told.rstrip('.')}."
    return Mistake("sitefleet.E341", message, hint)
