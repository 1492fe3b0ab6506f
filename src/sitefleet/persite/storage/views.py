"""Serving the files of a site on its own hosts: a view, and `sendfile` for views of a project.

Who uploads is not who runs the site. What a browser could run as a part of the site is sent as an
attachment, in a sandbox, and under the type that its name tells, never one that is guessed.
"""

from __future__ import annotations

import mimetypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.files.storage import storages
from django.core.handlers.asgi import ASGIRequest
from django.http import FileResponse, Http404, HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import content_disposition_header, http_date
from django.views.decorators.http import require_safe

from sitefleet.conf import get_conf
from sitefleet.persite.storage.backend import SiteStorage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from django.core.files.storage import Storage
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

#: Types, or beginnings of them, that a browser shows without running anything on the site's origin.
#: (PDF viewers keep the scripts of a document to themselves.)
INERT = ("image/", "audio/", "video/", "font/", "text/plain", "application/pdf")
#: Among those, what can hold scripts all the same.
ACTIVE = ("image/svg+xml",)
SANDBOX = "default-src 'none'; sandbox"
BLOCK = 64 * 1024


@require_safe
def serve_media(request: HttpRequest, name: str, storage: str = "default") -> HttpResponseBase:
    """Serve a file of the current site; the view for ``path("media/<path:name>", serve_media)``.

    ``name`` is that of the file in the inner storage, as it stands in its URL: ``sites/<id>/...``.
    Answers 404 for the files of other sites, and for what is no file. ``storage`` is an alias in
    ``STORAGES``. Raises ImproperlyConfigured when that does not follow the site. No query.
    """
    own = storages[storage]
    if not isinstance(own, SiteStorage):
        message = f"STORAGES[{storage!r}] does not follow the site: serve_media() serves no other."
        raise ImproperlyConfigured(message)
    inside = name.removeprefix(f"{own.folder}/")
    parts = inside.split("/")
    # One file, one URL: what the storage would put into normal form is refused here.
    if inside == name or {"", ".", ".."}.intersection(parts) or "\\" in inside:
        raise Http404
    return sendfile(request, inside, storage=own)


def sendfile(
    request: HttpRequest,
    name: str,
    *,
    storage: str | Storage = "default",
    as_attachment: bool = False,
    filename: str = "",
) -> HttpResponseBase:
    """Return a response with a file, for a view that has found out who may see it.

    ``name`` is the name that a row keeps, ``storage`` an alias in ``STORAGES`` or a storage, such
    as ``invoice.pdf.storage``; ``as_attachment`` and ``filename`` are as for Django's
    ``FileResponse``. With ``SITEFLEET["SENDFILE"]`` the server sends the file, where it lies below
    ``MEDIA_ROOT``; all else is streamed. For browsers, not for caches that people share.

    Raises Http404 when there is no such file. Reads from the disk: async views call it by
    ``sync_to_async``.
    """
    source = storages[storage] if isinstance(storage, str) else storage
    try:
        etag, modified = _validators(source, name)
        response = _send(request, source, name)
    except PermissionError:
        raise  # the operator's mistake, not the client's
    except (OSError, ValueError, SuspiciousFileOperation) as error:
        raise Http404 from error
    _describe(response, name, filename, as_attachment=as_attachment)
    if etag and modified:
        response["ETag"], response["Last-Modified"] = etag, http_date(modified)
    patch_cache_control(response, private=True)
    answer = get_conditional_response(request, etag, modified, cast("HttpResponse", response))
    if answer is not response:
        response.close()
    return cast("HttpResponse", answer)


def _validators(source: Storage, name: str) -> tuple[str | None, int | None]:
    """Return entity tag, in the form that nginx gives it, and time; None from a storage without."""
    try:
        modified = int(source.get_modified_time(name).timestamp())
        return f'"{modified:x}-{source.size(name):x}"', modified
    except NotImplementedError:
        return None, None


def _send(request: HttpRequest, source: Storage, name: str) -> HttpResponseBase:
    header = _for_server(source, name)
    if header:
        return HttpResponse(headers=header)
    file = source.open(name)  # which tells a folder from a file, too
    if request.method == "HEAD":
        file.close()
        return HttpResponse(headers={"Content-Length": source.size(name)})
    response = FileResponse(file)
    if isinstance(request, ASGIRequest):
        # Out of a plain iterator Django would make one list, of the whole file.
        response.streaming_content = _chunks(file)
    return response


def _for_server(source: Storage, name: str) -> dict[str, str]:
    """Return the header that makes the server send a file; empty where it cannot."""
    conf = get_conf()
    if not conf.SENDFILE:
        return {}
    try:
        path = Path(source.path(name))
    except NotImplementedError:
        return {}
    if not path.is_file():
        return {}
    if conf.SENDFILE == "x-sendfile":
        # As bytes: mod_xsendfile takes the header for the path itself and decodes nothing.
        return {"X-Sendfile": os.fsencode(path).decode("latin-1")}
    root = Path(settings.MEDIA_ROOT).absolute()
    if not settings.MEDIA_ROOT or not path.is_relative_to(root):
        return {}  # The location of nginx leads to that directory and no other.
    return {"X-Accel-Redirect": conf.SENDFILE_ROOT + quote(path.relative_to(root).as_posix())}


async def _chunks(file: Any) -> AsyncIterator[bytes]:
    read = sync_to_async(file.read, thread_sensitive=False)
    while chunk := await read(BLOCK):
        yield chunk


def _describe(response: HttpResponseBase, name: str, filename: str, *, as_attachment: bool) -> None:
    """Tell browsers what a file is, and what not to do with it."""
    shown = "".join(filter(str.isprintable, filename or Path(name).name))
    # Without the slash a name such as `data:text/plain,` would be read as a URL.
    content_type, encoding = mimetypes.guess_type(f"/{shown}")
    if encoding:
        content_type = "application/gzip" if encoding == "gzip" else None
    content_type = content_type or "application/octet-stream"
    if "script" in content_type or content_type == "text/css":
        # A page could take it in, whatever else is said of it; browsers refuse this type there.
        content_type = "application/octet-stream"
    inert = content_type.startswith(INERT) and content_type not in ACTIVE
    disposition = content_disposition_header(as_attachment or not inert, shown)
    response["Content-Type"] = content_type
    response["X-Content-Type-Options"] = "nosniff"
    if not inert:
        response["Content-Security-Policy"] = SANDBOX
    if disposition:
        response["Content-Disposition"] = disposition
