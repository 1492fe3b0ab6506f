"""The ASGI application of a server that is forked: ``sitefleet.serving.asgi_to_fork:application``.

Warm when it is handed out, for the sites that the server forks. It is warmed by WSGI: event loops
and their threads do not survive a fork.
"""

from sitefleet.serving.application import load_asgi, load_wsgi

application = load_asgi()

from sitefleet.serving.warm import warm_server  # noqa: E402 - needs the apps, loaded by now

warm_server(load_wsgi())
