"""Each answer tells which process gave it: that is how forks are counted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse


def tell_process(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Add headers with the process, its niceness, and the site that it is for."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["X-Process"] = str(os.getpid())
        response["X-Niceness"] = str(os.nice(0))
        response["X-Site"] = os.environ.get("SITE_ID", "")
        return response

    return middleware
