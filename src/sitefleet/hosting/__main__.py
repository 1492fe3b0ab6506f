"""``python -m sitefleet.hosting`` is `sitefleet`."""

import sys

from sitefleet.hosting.cli import main

if __name__ == "__main__":
    sys.exit(main())
