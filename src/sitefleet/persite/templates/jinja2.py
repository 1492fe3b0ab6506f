"""Jinja2, with the theme of the current site in front.

Each theme has an overlay of the environment, which is Jinja's way to share all but loader and
cache: so filters and globals are those of the project, and what is compiled or imported for one
theme stays there.

In a template of a theme ``{% extends %}`` of its own name means the one behind it, as in Django. In
Jinja a name means one template, so what templates of a theme extend goes through a filter that
tells them apart. ``{% include %}`` is left alone: a template may well include itself, for a tree.

What ``{% import %}`` makes of a template, Jinja keeps on the template, with whatever was set there:
so one site would see what another has set. Here it is made anew for each import.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.template.backends import jinja2 as django_jinja2
from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, Template, pass_context
from jinja2.ext import Extension
from jinja2.lexer import Token
from jinja2.utils import internalcode

from sitefleet.themes import ByTheme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, MutableMapping

    from jinja2.environment import TemplateModule
    from jinja2.lexer import TokenStream
    from jinja2.runtime import Context

    from sitefleet.themes import Folders

#: ``2::base.html`` is the first ``base.html`` behind the first two folders. No file is named so.
BEHIND = "::"
FILTER = "sitefleet_parent"


class Jinja2(django_jinja2.Jinja2):
    """Django's backend; templates of the current site's theme win over those of all."""

    #: The folder of a theme that this reads; what the checks know it by.
    theme_kind = "jinja2"
    shared: Environment

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.themes = ByTheme(self.theme_kind, self._overlay)

    @property
    def env(self) -> Environment:
        """The environment of the current theme."""
        return self.themes.current() or self.shared

    @env.setter
    def env(self, environment: Environment) -> None:
        kind = environment.template_class
        if not issubclass(kind, FreshModules):
            environment.template_class = type(kind.__name__, (FreshModules, kind), {})
        self.shared = environment

    def _overlay(self, folders: Folders) -> Environment:
        loader = ThemeLoader(folders, self.shared.loader)
        return self.shared.overlay(loader=loader, extensions=[ExtendsBehind])


class FreshModules(Template):
    """A template that is evaluated each time it is imported, or included without context."""

    @internalcode
    def _get_default_module(self, ctx: Context | None = None) -> TemplateModule:
        if self.environment.is_async:
            return super()._get_default_module(ctx)  # which refuses
        return self.make_module(self._further_globals(ctx))

    async def _get_default_module_async(self, ctx: Context | None = None) -> TemplateModule:
        return await self.make_module_async(self._further_globals(ctx))

    def _further_globals(self, ctx: Context | None) -> dict[str, Any]:
        """Return the globals of the template that imports this one, as Jinja hands them on."""
        keys = () if ctx is None else ctx.globals_keys - self.globals.keys()
        return {key: ctx.parent[key] for key in keys} if ctx is not None else {}


class ThemeLoader(ChoiceLoader):
    """Templates of the folders of a theme, then those of all sites."""

    def __init__(self, folders: Folders, shared: BaseLoader | None) -> None:
        loaders: list[BaseLoader] = [FileSystemLoader(folder) for folder in folders]
        super().__init__(loaders if shared is None else [*loaders, shared])
        self.prefixes = [f"{folder}{os.sep}" for folder in folders]

    def name_behind(self, name: str, filename: str) -> str | None:
        """Return a name for the template behind one of the theme; None for any other one."""
        for number, prefix in enumerate(self.prefixes, 1):
            if filename.startswith(prefix):
                return f"{number}{BEHIND}{name}"
        return None

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        loader, name = self._part(template)
        return loader.get_source(environment, name)

    def load(
        self,
        environment: Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002 - Jinja's name for it
    ) -> Template:
        loader, name = self._part(name)
        return loader.load(environment, name, globals)

    def _part(self, name: str) -> tuple[BaseLoader, str]:
        """Return what to look in, and for what name there."""
        skip, found, plain = name.partition(BEHIND)
        if found and skip.isdecimal():
            return ChoiceLoader(self.loaders[int(skip) :]), plain
        return ChoiceLoader(self.loaders), name


class ExtendsBehind(Extension):
    """Let ``{% extends NAME %}`` in a template of a theme read ``{% extends (NAME)|filter %}``."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters[FILTER] = parent_of

    def filter_stream(self, stream: TokenStream) -> TokenStream | Iterable[Token]:
        loader: Any = self.environment.loader
        here = stream.name
        behind = loader.name_behind(here, stream.filename) if here and stream.filename else None
        return stream if here is None or behind is None else _rewrite(stream, here, behind)


def _rewrite(stream: TokenStream, here: str, behind: str) -> Iterator[Token]:
    names = ("lparen", "("), ("string", here), ("comma", ","), ("string", behind), ("rparen", ")")
    begins = extends = False
    for token in stream:
        if extends and token.type == "block_end":
            extends = False
            yield from _tokens(token, ("rparen", ")"), ("pipe", "|"), ("name", FILTER), *names)
        yield token
        if begins and token.test("name:extends"):
            extends = True
            yield from _tokens(token, ("lparen", "("))
        begins = token.type == "block_begin"


def _tokens(beside: Token, *parts: tuple[str, str]) -> list[Token]:
    return [Token(beside.lineno, kind, value) for kind, value in parts]


@pass_context  # so that Jinja does not take it for a constant
def parent_of(context: Context, name: Any, here: str, behind: str) -> Any:
    """Return what ``{% extends name %}`` means in the template ``here`` of a theme."""
    environment = context.environment
    if isinstance(name, str) and environment.join_path(name, here) == here:
        return environment.get_template(behind)
    return name
