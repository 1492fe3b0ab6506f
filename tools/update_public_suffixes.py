"""Make ``src/sitefleet/data/public_suffix_list.dat`` from the installed ``publicsuffixlist``.

The rules are written in the ASCII form in which sitefleet keeps host names, one a line, without
the comments but with the licence. Run by ``make suffixes``; a test fails when the two differ.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

TARGET = Path(__file__).parent.parent / "src/sitefleet/data/public_suffix_list.dat"
HEADER = """\
// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.
//
// The rules of the Public Suffix List (https://publicsuffix.org/), in ASCII form.
"""


def rules() -> list[str]:
    """Return the rules of the installed list, sorted, in ASCII form."""
    source = resources.files("publicsuffixlist").joinpath("public_suffix_list.dat")
    found = set()
    for line in source.read_text("utf-8").splitlines():
        rule = line.split("//")[0].strip()
        if rule:
            mark = "!" if rule.startswith("!") else ""
            found.add(mark + ".".join(_ascii(label) for label in rule.removeprefix("!").split(".")))
    return sorted(found)


def _ascii(label: str) -> str:
    return label if label == "*" else label.encode("idna").decode("ascii")


def render() -> str:
    """Return the text of the data file."""
    return HEADER + "\n".join(rules()) + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(render(), "ascii")
