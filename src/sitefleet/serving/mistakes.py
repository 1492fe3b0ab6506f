"""Django's error page for a project that cannot be loaded, as its application in DEBUG.

Without it a URLconf that cannot be imported would be imported again for each request, by each
middleware that the error comes to, and by the page that is to tell of it: see ``get_caller`` in
``django.views.debug``.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.utils.log import log_response
from django.views.debug import technical_500_response

from sitefleet.serving.asking import MARK

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

#: What the page is told to be of: no view.
NOWHERE = SimpleNamespace(_func_path="")


def show(request: HttpRequest, error: Exception) -> HttpResponse:
    """Return the page, and write the traceback into the log: once for each who asks."""
    request.resolver_match = NOWHERE  # type: ignore[assignment]
    response = technical_500_response(request, type(error), error, error.__traceback__)
    if MARK in getattr(request, "scope", request.META):
        response._has_been_logged = True  # type: ignore[attr-defined] # noqa: SLF001 - nobody asks
    log_response(
        "The project cannot be loaded: %s",
        request.path,
        response=response,
        request=request,
        exception=error,
    )
    return response


class MistakeWSGI(WSGIHandler):
    """Answers each request with the page of one error."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__()

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's
        """Take none: it may be what cannot be loaded."""
        self._middleware_chain = lambda request: show(request, self.error)


class MistakeASGI(ASGIHandler):
    """The same for ASGI."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__()

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's
        """Take none, as above."""

        async def answer(request: Any) -> HttpResponse:
            return show(request, self.error)

        self._middleware_chain = answer
