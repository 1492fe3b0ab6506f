"""The test project as it is served: with the promise of freshness that it has by default."""

import os

from tests.settings import *  # noqa: F403 - a project's settings

SITEFLEET = {"FRESHNESS": 1.0, "LISTEN": bool(os.environ.get("TEST_LISTEN"))}
SITEFLEET |= {"SERVING": {"driver": "apache"}} if os.environ.get("TEST_BAD_SERVING") else {}
