"""Settings of a light project, as `benchmarks.project` makes them of what the environment says."""

from __future__ import annotations

import json
import os

from benchmarks.project import settings_for

_made = settings_for(json.loads(os.environ["BENCHMARK_SPEC"]))
if "SITEFLEET" in _made:
    _made["SITEFLEET"] |= {"SERVING": json.loads(os.environ.get("BENCHMARK_SERVING", "{}"))}
globals().update(_made)
