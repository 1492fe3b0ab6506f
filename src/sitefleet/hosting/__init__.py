"""Serving the fleet: from plain values to running servers. Nothing here knows Django.

`fleet` says what there is, `plan` what should run, `drivers` run it, `routers` lead each host to
it, and `supervisor` keeps it running while the fleet changes. What runs *inside* of the processes,
and so needs Django, is `sitefleet.serving`.
"""
