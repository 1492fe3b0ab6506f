"""Which instance or process a word on a command line means."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from sitefleet.hosting.control import USAGE, Refused

if TYPE_CHECKING:
    from sitefleet.hosting.plan import Plan


def find_key(plan: Plan, word: str, others: tuple[str, ...] = ()) -> str:
    """Return the key of the instance that a slug, an id or a key means, or one of ``others``.

    Raises Refused, with the nearest name there is.
    """
    known = {decision.site.slug: decision.instance for decision in plan.decisions}
    known |= {str(decision.site.id): decision.instance for decision in plan.decisions}
    known |= {name: name for name in (*(one.key for one in plan.instances), *others)}
    if word in known:
        return known[word]
    near = get_close_matches(word, known, 1)
    hint = f" Did you mean {near[0]}?" if near else " See sitefleet status --all."
    message = f"There is no dedicated site and no process {word!r}.{hint}"
    raise Refused(message, USAGE)
