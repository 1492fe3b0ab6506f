"""Who is meant here: what somebody has said by ``--map``, where a file leaves it open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps

from sitefleet.exceptions import TransferRefused
from sitefleet.scoping.crossing import unguarded
from sitefleet.scoping.transfer.references import is_of_a_site
from sitefleet.scoping.transfer.values import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

FORM = '--map wants {"app.Model": {"key there": key here}}'


class Mapping:
    """Rows here, by model and the key there. What is wrong is refused before anything is done."""

    def __init__(self, said: Any, using: str) -> None:
        """Raise TransferRefused for models, keys and rows that are none."""
        self._rows: dict[tuple[type[Model], str], Model] = {}
        self._used: set[tuple[type[Model], str]] = set()
        for model, old, new in _entries(said):
            if (model, old) in self._rows:
                message = f"--map names {model._meta.label} {old} twice."
                raise TransferRefused(message)
            self._rows[model, old] = _row(model, new, using)

    def find(self, model: type[Model], old: Any, to: str) -> Any:
        """Return the value of ``to`` of the row that is meant; None where nothing was said."""
        row = self._rows.get((model, str(old)))
        if row is None:
            return None
        self._used.add((model, str(old)))
        return getattr(row, to)

    def refuse_unused(self) -> None:
        """Raise TransferRefused for entries that the file never asked for: they are a mistake."""
        unused = [f"{model._meta.label} {old}" for model, old in self._rows.keys() - self._used]
        if unused:
            message = f"--map names what the file does not refer to: {', '.join(sorted(unused))}."
            raise TransferRefused(message)


def _entries(said: Any) -> Iterator[tuple[type[Model], str, Any]]:
    if not isinstance(said, dict) or not all(isinstance(keys, dict) for keys in said.values()):
        message = f"{FORM}."
        raise TransferRefused(message)
    for label, keys in said.items():
        try:
            model: Any = apps.get_model(label)
        except (LookupError, ValueError, AttributeError, TypeError):
            message = f"--map names the model {label!r}, which is not here; {FORM}."
            raise TransferRefused(message) from None
        for old, new in keys.items():
            yield model._meta.concrete_model, str(old), new


def _row(model: type[Model], new: Any, using: str) -> Model:
    if isinstance(new, bool) or not isinstance(new, (int, str)):
        message = f"--map names {model._meta.label} {new!r}, which is no key; {FORM}."
        raise TransferRefused(message)
    key = decode(model._meta.pk, new)
    with unguarded():  # that it is of no site is what is asked below
        row = model._base_manager.using(using).filter(pk=key).first()
    if row is None or is_of_a_site(row):
        message = f"--map names {model._meta.label} {new}, which is not here, or not shared."
        raise TransferRefused(message)
    return row
