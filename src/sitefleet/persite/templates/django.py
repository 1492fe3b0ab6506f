"""Django's template engine, with the theme of the current site in front.

There is one chain of loaders for each theme, made of those that are configured, with Django's own
filesystem loader for the folder of the theme put first, inside of the cached loader where there is
one. So each theme has a cache of its own, and Django's loaders are used as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.template.backends import django
from django.template.loaders.base import Loader
from django.utils.functional import cached_property
from django.utils.module_loading import import_string

from sitefleet.themes import ByTheme

if TYPE_CHECKING:
    from django.template import Engine

    from sitefleet.themes import Folders

FILESYSTEM = "django.template.loaders.filesystem.Loader"


class DjangoTemplates(django.DjangoTemplates):
    """Django's backend; templates of the current site's theme win over those of all."""

    #: The folder of a theme that this reads; what the checks know it by.
    theme_kind = "templates"

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(params)
        loaders: Any = ThemedLoaders(self.engine)
        # Where Django keeps the loaders once it has made them.
        self.engine.template_loaders = loaders


class ThemedLoaders(Sequence[Loader]):
    """The loaders of an engine: at each look those of the theme that is current then."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.themes = ByTheme("templates", self._chain)

    @cached_property
    def shared(self) -> list[Loader]:
        """Those that are configured: where there is no theme."""
        return self.engine.get_template_loaders(self.engine.loaders)

    def __iter__(self) -> Iterator[Loader]:
        return iter(self.themes.current() or self.shared)

    def __len__(self) -> int:
        return len(self.themes.current() or self.shared)

    def __getitem__(self, index: Any) -> Any:
        return (self.themes.current() or self.shared)[index]

    def _chain(self, folders: Folders) -> list[Loader]:
        first = (FILESYSTEM, list(folders))
        return self.engine.get_template_loaders(_put_first(first, self.engine.loaders))


def _put_first(first: Any, loaders: Sequence[Any]) -> list[Any]:
    """Return ``loaders`` with another one in front: inside of what wraps the first of them."""
    if loaders and _is_wrapper(loaders[0]):
        path, wrapped, *others = loaders[0]
        return [(path, _put_first(first, wrapped), *others), *loaders[1:]]
    return [first, *loaders]


def _is_wrapper(loader: Any) -> bool:
    """Tell whether a configured loader is one that takes a list of loaders, as the cached one."""
    if isinstance(loader, str) or len(loader) == 1:
        return False
    inner = loader[1]
    return isinstance(inner, (list, tuple)) and bool(inner) and all(map(_is_loader, inner))


def _is_loader(value: Any) -> bool:
    if isinstance(value, (list, tuple)) and value:
        value = value[0]
    try:
        found = import_string(value) if isinstance(value, str) else None
    except ImportError:
        return False  # The path of a folder.
    return isinstance(found, type) and issubclass(found, Loader)
