"""What each part takes for the current site."""

from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.core.files.storage import default_storage
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import get_script_prefix, get_urlconf, reverse, set_urlconf
from django.utils import timezone, translation
from django.utils.translation import get_language, gettext

from sitefleet import activate, get_current_site_id, override_site
from sitefleet.current import current_state
from sitefleet.persite.cache import make_key
from sitefleet.prefixes import mounted_prefix


def told():
    """Tell the current site as each part has it; no query."""
    return {
        "site": get_current_site_id(),
        "setting": settings.SITE_ID,
        "tickets": settings.TICKETS,
        "from": settings.DEFAULT_FROM_EMAIL,
        "language": get_language(),
        "text": gettext("Monday"),
        "zone": timezone.get_current_timezone_name(),
        "theme": render_to_string("look.html"),
        "static": static("look.css"),
        "urlconf": settings.ROOT_URLCONF,
        "where": reverse("where"),
        "media": default_storage.url("a.txt"),
        "cached": cache.get_or_set("who", get_current_site_id, 60),
        "key": make_key("k", "", 1).partition(".")[0],
        "signed": signing.Signer().sign("a"),
    }


def leave_behind(other=None, *, urls=True):
    """Do what code does that forgets to clean up: enter a site, a language, a time zone, URLs."""
    if other is not None:
        override_site(other).__enter__()
        activate(other)
    translation.activate("es")
    timezone.activate("Asia/Tokyo")
    if urls:
        set_urlconf("tests.attacks.urls_blue")


def nothing_is_left():
    """Tell whether this thread is as it was before anything was served; say what is not."""
    left = {
        "state": current_state.get(),
        "urlconf": get_urlconf(),
        "script prefix": get_script_prefix().strip("/"),
        "path prefix": mounted_prefix(),
        "language": "" if get_language() == "en-us" else get_language(),
        "zone": timezone.get_current_timezone_name().removeprefix("America/Chicago"),
    }
    assert not any(left.values()), left
    return True
