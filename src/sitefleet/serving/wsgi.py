"""The WSGI application of a process that serves: ``sitefleet.serving.wsgi:application``.

Warm when it is handed out: for all sites, or for that one which ``SITE_ID`` in the environment
names.
"""

from sitefleet.serving.application import load_wsgi

application = load_wsgi()

from sitefleet.serving.warm import warm_server  # noqa: E402 - needs the apps, loaded by now

warm_server(application)
