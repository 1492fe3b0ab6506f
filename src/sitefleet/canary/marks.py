"""Marks: strings that stand for one site and one model, and can be told from any other text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.contrib.sites.models import Site

#: Small letters and digits only: no escaping of HTML, JSON, URLs or mails changes them.
START, END = "canary", "zz"
TOKEN_BYTES = 4
_MARK = re.compile(rf"{START}([0-9a-f]{{{2 * TOKEN_BYTES}}})(?:x([a-y0-9]+){END})?", re.IGNORECASE)


class Sighting(NamedTuple):
    """A mark that was found in a text: whose it is, and of what."""

    slug: str
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of one site, and how it looks in each model."""

    token: str

    def of(self, label: str, max_length: int | None = None) -> str:
        """Return the mark for what ``label`` names, the bare one where there is no room."""
        known = re.sub("[^a-y0-9]", "", label.lower())
        long, short = f"{START}{self.token}x{known}{END}", f"{START}{self.token}"
        text = long if known and (max_length is None or len(long) <= max_length) else short
        return text if max_length is None or len(text) <= max_length else ""


class Marks:
    """One mark for each of several sites."""

    def __init__(self, sites: Sequence[tuple[Site, str]]) -> None:
        self.by_pk = {site.pk: Mark(token_hex(TOKEN_BYTES)) for site, _ in sites}
        self._slugs = {self.by_pk[site.pk].token: slug for site, slug in sites}
        self._labels: dict[str, str] = {}

    def of(self, site: Site, label: str, max_length: int | None = None) -> str:
        """Return the mark of a site for ``label``; empty where it does not fit."""
        mark = self.by_pk[site.pk].of(label, max_length)
        found = _MARK.fullmatch(mark)
        if found and found[2]:
            self._labels[found[2]] = label
        return mark

    def in_text(self, text: str) -> Iterator[Sighting]:
        """Yield the marks in a text, each once."""
        seen = {(found[1].lower(), (found[2] or "").lower()) for found in _MARK.finditer(text)}
        for token, known in sorted(seen):
            if token in self._slugs:
                yield Sighting(self._slugs[token], self._labels.get(known, "some text"))
