"""Serving the fleet: from plain values to running servers. Nothing here knows Django.

Its folders, each importing only those before it:

- `planning`: what there is, and what should run.
- `processes`: processes, and what they need of the system.
- `context`: what drivers and routers are handed, and what they promise.
- `servers`: gunicorn and granian.
- `zygote`, `uwsgi` and `proxy`: how each of these works.
- `drivers` run what is planned, `routers` lead each host to it.
- `supervising` keeps it running while the fleet changes.
- `cli`: the command.

What runs *inside* of the processes, and so needs Django, is `sitefleet.serving`.
"""
