"""Mails name the site's own host, whatever host the request came in on.

Django's own mails ask for the current site, so their links are right without this. What builds
links from the request (``request.build_absolute_uri()``) names the host that was asked for: a
served alias, an odd port, a host that ``ALLOWED_HOSTS`` lists. With

``EMAIL_BACKEND = "sitefleet.persite.mail.EmailBackend"`` (Django 6.1: ``BACKEND`` in ``MAILERS``)

such links become ones to the host of the site in this environment, and the real backend sends.
Other hosts are not touched, nor is any mail that is sent outside of requests.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import django
from django.conf import settings
from django.core import checks
from django.core.exceptions import SynchronousOnlyOperation
from django.core.mail import EmailAlternative
from django.core.mail.backends.base import BaseEmailBackend
from django.db import DatabaseError
from django.urls import get_script_prefix
from django.utils.functional import Promise
from django.utils.module_loading import import_string

from sitefleet import hosts
from sitefleet.conf import Conf, get_conf
from sitefleet.current import current_state
from sitefleet.dotted import imported, names_a
from sitefleet.environments import get_environment
from sitefleet.exceptions import InvalidHost, InvalidSetting
from sitefleet.following import configured
from sitefleet.options import asked_site
from sitefleet.resolver import resolver

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.core.mail import EmailMessage

    from sitefleet.presented import Shown

BACKEND = "sitefleet.persite.mail.EmailBackend"
SMTP = "django.core.mail.backends.smtp.EmailBackend"
#: What Django's test set-up puts in the place of all others.
OF_TESTS = "django.core.mail.backends.locmem.EmailBackend"

#: Ports of one message that are looked up.
PORTS = 8

#: A link to one of some hosts. Without a scheme only where links stand; never inside of another
#: address. The host ends there: alias.example.evil.test and alias.example@evil.test are others.
_LINK = r"""
    (?: (?<![\w/]) https?: | (?<![^\s"'(=>]) ) //
    (?P<name>{names}) (?: \. (?=[:/?\#]) )? (?P<port>:[0-9]+)?
    (?! \.* (?: [\w@%-] | :\S ) )
    (?P<mount> {mount} (?! \.* [\w%~-] ) )?
"""


class EmailBackend(BaseEmailBackend):
    """Sends by another backend, with links to the site's own host.

    That one is named by the option ``backend`` in ``MAILERS``, else by
    ``SITEFLEET["MAIL_BACKEND"]``; all other options are its own. Messages whose links were changed
    stay so: what was sent is what the message says.
    """

    def __init__(
        self, *args: Any, backend: str = "", alias: str | None = None, **options: Any
    ) -> None:
        super().__init__(alias=alias)
        if alias is not None:  # Django 6.1
            options["alias"] = alias
        self.inner: BaseEmailBackend = import_string(_inner_path(backend))(*args, **options)

    def open(self) -> bool | None:
        """Open the connection of the real backend."""
        return self.inner.open()

    def close(self) -> None:
        """Close the connection of the real backend."""
        self.inner.close()

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Send messages; return how many were sent."""
        messages = list(email_messages)
        links = links_of_request()
        if links is not None:
            for message in messages:
                links.put_into(message)
        return self.inner.send_messages(messages)


class Links:
    """What becomes of links to a host on which the site of a request was asked for."""

    def __init__(self, asked: str, view: Shown) -> None:
        own = hosts.normalize(view.host)
        self.pk = view.pk
        self.own = f"{get_environment().scheme}://{own}"
        self.own_name = hosts.split(own)[0]
        self.path_prefix = quote(view.path_prefix, safe="/~")
        # What the server mounts the project at stays in front of the prefix of the site.
        self.mount = get_script_prefix().rstrip("/")
        names = "|".join(re.escape(name) for name in sorted({asked, self.own_name}))
        pattern = _LINK.format(names=names, mount=re.escape(self.mount))
        self.pattern = re.compile(pattern, re.IGNORECASE | re.VERBOSE)
        #: Whether hosts with a port are those of others, as far as one message has asked.
        self.others: dict[str, bool] = {}

    def put_into(self, message: EmailMessage) -> None:
        """Change the links in the bodies and in the headers of a message."""
        self.others.clear()
        message.body = self.rewrite(message.body)
        headers = message.extra_headers
        message.extra_headers = {name: self.rewrite(value) for name, value in headers.items()}
        alternatives: list[Any] = getattr(message, "alternatives", [])
        for number, (content, mimetype) in enumerate(alternatives):
            if mimetype.startswith("text/"):
                alternatives[number] = EmailAlternative(self.rewrite(content), mimetype)

    def rewrite(self, text: Any) -> Any:
        """Return a text with its links changed; anything else as it is."""
        if not isinstance(text, (str, Promise)):
            return text
        return self.pattern.sub(self._own_link, str(text))

    def _own_link(self, found: re.Match[str]) -> str:
        name, port, mount = found["name"].lower(), found["port"], found["mount"]
        if port and self._is_of_others(f"{name}{port}"):
            return found[0]
        if not self.path_prefix or name == self.own_name:
            return f"{self.own}{mount or ''}"
        # Under any other name the site is at the root; static files are at the root everywhere.
        static = tuple(url for url in (settings.STATIC_URL, settings.MEDIA_URL) if url)
        if mount is None or f"{mount}{found.string[found.end() :]}".startswith(static):
            return f"{self.own}{mount or ''}"
        return f"{self.own}{mount}{self.path_prefix}"

    def _is_of_others(self, host: str) -> bool:
        """Tell whether a host with a port is one of other sites: any other port is made up.

        A message is looked up `PORTS` of them: who writes into it must not make many queries.
        """
        if host not in self.others:
            self.others[host] = len(self.others) < PORTS and self._leads_to_others(host)
        return self.others[host]

    def _leads_to_others(self, host: str) -> bool:
        try:
            entry = resolver.find(host)
        except (DatabaseError, InvalidHost, SynchronousOnlyOperation):
            return False
        sites = {match.site.pk for match in (entry.root, *entry.below) if match is not None}
        return bool(sites) and self.pk not in sites


def links_of_request() -> Links | None:
    """Return what to do with links in a mail that is sent now; None outside of requests.

    None also for a site that has no host of its own here.
    """
    state, view = current_state.get(), asked_site()
    if state is None or not state[1] or view is None:
        return None
    try:
        return Links(state[1], view)
    except InvalidHost:  # a name that came in past all validation, or none
        return None


def _inner_path(backend: str) -> str:
    return backend or get_conf().MAIL_BACKEND


def connect() -> None:
    """Register the checks."""
    checks.register(check_mailers)


def check_mailers(**_: Any) -> list[checks.CheckMessage]:
    """Look at where mails go."""
    try:
        fallback = get_conf().MAIL_BACKEND
    except InvalidSetting:
        return []  # check_settings says it.
    mailers = list(_mailers())
    ours = [(name, inner) for name, path, inner in mailers if path == BACKEND]
    others = [name for name, path, _ in mailers if path not in {BACKEND, OF_TESTS}]
    found: list[checks.CheckMessage] = [
        checks.Error(
            f"{name} sends by {inner or fallback!r}, which is no backend that could.",
            hint=f'Name the real one, such as "{SMTP}".',
            id="sitefleet.E381",
        )
        for name, inner in ours
        if not _can_send(inner or fallback)
    ]
    if others and not ours and fallback != Conf().MAIL_BACKEND:
        found.append(
            checks.Warning(
                "SITEFLEET['MAIL_BACKEND'] is set, but mails do not go by way of sitefleet.",
                hint=f'Write "{BACKEND}" for {others[0]}.',
                id="sitefleet.W382",
            )
        )
    found += [
        checks.Warning(
            f"{name} sends mails with links to whatever host a request came in on.",
            hint=f'Write "{BACKEND}" there as well, with the real one as its option "backend".',
            id="sitefleet.W383",
        )
        for name in others
        if ours
    ]
    return found


def _mailers() -> Iterator[tuple[str, str, str]]:
    """Yield the name of each mailer, its backend, and the one that ours is told to send by."""
    mailers = configured("MAILERS", None) if django.VERSION >= (6, 1) else None
    if mailers is None:
        yield "EMAIL_BACKEND", configured("EMAIL_BACKEND"), ""
        return
    for alias, config in mailers.items():
        inner = config.get("OPTIONS", {}).get("backend", "")
        yield f"MAILERS[{alias!r}]", config.get("BACKEND", SMTP), inner


def _can_send(path: str) -> bool:
    return imported(path) is not None and not names_a(path, EmailBackend)
