"""The ASGI application of a process that serves: ``sitefleet.serving.asgi:application``.

Warm when it is handed out: for all sites, or for that one which ``SITE_ID`` in the environment
names.
"""

from sitefleet.serving.application import load_asgi

application = load_asgi()

from sitefleet.serving.warm import warm_server  # noqa: E402 - needs the apps, loaded by now

warm_server(application, asgi=True)
