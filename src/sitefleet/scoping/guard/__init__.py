"""No statement on rows of sites runs that is for no site, and none reaches another site's rows."""

from sitefleet.scoping.guard.compiler import install, is_installed, uninstall

__all__ = ["install", "is_installed", "uninstall"]
