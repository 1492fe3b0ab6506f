"""The one bridge: ``settings.SITE_ID`` is the id of the current site, and always a true int.

The sites framework, and all third-party code that uses it, reads ``settings.SITE_ID``. This file
puts one data descriptor on the class of Django's settings object: what is read is the current
site's id, else the value in the settings. Nothing is subclassed, nothing lazy is handed out, no
manager is patched. ``override_settings(SITE_ID=...)`` and assignment work as ever: they change the
default. ``SITEFLEET = {"FOLLOW_SITE_ID": False}`` leaves all of this out.

The traps that forbid the other ways: an int *subclass* is read by C code (``json``, ``%d``, SQL
parameters) with its frozen value; a lazy object fails ``sites.E101``, ``json`` and pickle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sitefleet.current import current_state
from sitefleet.exceptions import InvalidSetting, NoCurrentSite
from sitefleet.following import configured, follow
from sitefleet.following import stop_following as stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.conf import LazySettings

NAME = "SITE_ID"


def configured_site_id() -> int | None:
    """Return the ``SITE_ID`` of the settings themselves, or None."""
    value: Any = configured(NAME, None)
    # Anything else is handed out as it is: Django's check sites.E101 tells what is wrong with it.
    return int(value) if isinstance(value, int) else value


def follow_current_site(
    default: Callable[[], int | None],
    before_read: Callable[..., None] = lambda *_, **__: None,
) -> None:
    """Let ``settings.SITE_ID`` follow the current site, else ``default()``.

    ``before_read`` is called at each look with that id, and whether the site was ``entered``.
    """

    def read(_: LazySettings) -> Any:
        state = current_state.get()
        active = None if state is None else state[0]
        if active is not None:
            before_read(active)
            return active
        try:
            value = default()
        except (InvalidSetting, NoCurrentSite) as error:
            # What stands in the settings, then: Django's checks look here, ahead of ours and of
            # the first `migrate`. Without settings or database no other code gets far.
            raise AttributeError(NAME) from error
        before_read(value, entered=False)
        if value is None:
            raise AttributeError(NAME)  # as for any setting that is not set
        return value

    follow(NAME, read)


def stop_following() -> None:
    """Take the bridge down again (for tests)."""
    stop(NAME)
