"""Objects whose references nobody counts any more: so that a child does not copy them to read them.

To look at an object Python counts a reference up and down again, which is a write, so that the
kernel gives a forked process a copy of the page. From Python 3.12 on *immortal* objects are left
alone (PEP 683); which ones are is decided by the number in their counter. Here all that a parent
has loaded gets the number that ``None`` has. On a large project that halves what a child owns.

CPython gives no name to this, so that it is done for versions where it is tested, and where a look
at the counter of ``None`` shows what is expected. What is immortal is never freed, and nothing else
becomes of it: the collector leaves it alone, counters of all other objects stay right, and code in
C that asks whether it is the only one to know an object hears no, and takes a copy.

Left as they were are objects that do something when they are freed (open files and sockets,
suspended generators and coroutines, whatever has ``__del__``), and frames, which Python hands from
the running function to who looks at it by its counter.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import sysconfig
from inspect import getattr_static
from types import CodeType, FrameType

#: Versions of CPython whose objects begin with a counter of which the lower half is looked at.
TESTED = ((3, 12), (3, 13))
#: What is in the counter of an immortal object, in those (Include/object.h).
IMMORTAL = 0xFFFFFFFF


def is_possible() -> bool:
    """Return whether this Python is known to leave such objects alone."""
    return (
        sys.implementation.name == "cpython"
        and sys.version_info[:2] in TESTED
        and sys.byteorder == "little"
        and sys.maxsize > 2**32
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
        and not hasattr(sys, "gettotalrefcount")  # a debug build has opinions of its own
        and _counter(None).value == IMMORTAL
    )


def make_immortal() -> int:
    """Make all objects immortal that can be found; return how many became so. Call it once."""
    if not is_possible():
        return 0
    made = 0
    # By the collector: what it tracks, and what that refers to and it does not track.
    found: list[object] = gc.get_objects()
    kept: dict[int, bool] = {}  # by the id of types: they may refuse to be hashed
    while found:
        item = found.pop()
        kind = type(item)
        if id(kind) not in kept:
            kept[id(kind)] = is_kept(kind)
        if kept[id(kind)]:
            continue
        counter = _counter(item)
        if counter.value != IMMORTAL:
            counter.value = IMMORTAL
            made += 1
        elif not gc.is_tracked(item):
            continue
        constants = item.co_consts if type(item) is CodeType else ()
        others = (*gc.get_referents(item), *constants)
        found += [o for o in others if not gc.is_tracked(o) and _counter(o).value != IMMORTAL]
    return made


def is_kept(kind: type) -> bool:
    """Return whether objects of a type keep their counter: something happens when they are freed.

    Looked up without running any code of the type or of its metaclass.
    """
    return kind is FrameType or getattr_static(kind, "__del__", None) is not None


def _counter(item: object) -> ctypes.c_uint32:
    return ctypes.c_uint32.from_address(id(item))
