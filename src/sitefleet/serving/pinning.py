"""A process that becomes that of one site, after a fork."""

from __future__ import annotations

import os

from sitefleet import lookup
from sitefleet.conf import PROCESS_SITE
from sitefleet.resolver import resolver
from sitefleet.serving.signals import post_fork

#: Pins of another kind, which would go before ours.
FORCED_SITE = "SITEFLEET_SITE"


def become_site(pk: int) -> None:
    """Make this process one for a site alone, as if ``SITE_ID`` had always been in its environment.

    All that was remembered of hosts and sites is forgotten: in the parent it was for all sites.
    Sends `post_fork`. The parent has closed its connections to databases before it forked.
    """
    os.environ.pop(FORCED_SITE, None)
    os.environ[PROCESS_SITE] = str(pk)
    lookup.forget_pinned()
    resolver.reset()
    post_fork.send_robust(sender=None, site_id=pk)
