"""Public suffixes: names below which strangers register, such as ``co.uk`` and ``github.io``.

No site may be called so. The list is shipped with the package (``data/public_suffix_list.dat``,
made by ``tools/update_public_suffixes.py``) and nothing is ever downloaded. The rules are those of
publicsuffix.org, with one difference: a top-level name that the list does not know, such as
``intranet`` or ``localhost``, counts as private, since people do run sites on such names.
"""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def _rules() -> frozenset[str]:
    text = resources.files("sitefleet").joinpath("data/public_suffix_list.dat").read_text("ascii")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("//"))


def is_public_suffix(name: str) -> bool:
    """Tell whether a host name in normal form, without port, is a public suffix."""
    rules = _rules()
    if f"!{name}" in rules:
        return False
    # As browsers read it, the rule *.ck makes ck itself a public suffix too.
    return not rules.isdisjoint((name, f"*.{name}", f"*.{name.partition('.')[2]}"))
