"""Sphinx configuration; builds without a network, warnings are errors (`make docs`)."""

from importlib.metadata import version as installed_version

import django
from django.conf import settings

# Enough Django for autodoc to import every module.
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "django.contrib.sites",
        "sitefleet",
    ],
    SECRET_KEY="only for building the documentation",  # noqa: S106 - signs nothing
    SITE_ID=1,
    USE_TZ=True,
)
django.setup()

project = "sitefleet"
author = "django-sitefleet contributors"
copyright = author
release = installed_version("django-sitefleet")
version = ".".join(release.split(".")[:2])

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"

nitpicky = True
# Names of other projects cannot be looked up without a network.
nitpick_ignore_regex = [
    # Names that are imported for annotations only, and type variables.
    (r"py:class", r"Site|Http(Request|Response|ResponseBase)|CollectorRegistry|(models\.)?Model"),
    (r"py:class", r"(dict|tuple)\[str|Progress|Record|(sitefleet\.current\.)?[FT]"),
    (r"py:.*", r"(django|asgiref|collections|contextvars|prometheus_client|typing|types)\..*"),
    # A class for each type that docs/follow/settings.md lists.
    (r"py:class", r"sitefleet\.kinds\.base\.Kind"),
]

html_theme = "furo"
html_title = f"sitefleet {release}"
