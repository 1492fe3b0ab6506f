"""Folders of themes for tests, and a fleet whose first two sites have the themes red and blue."""

import pytest

from sitefleet.registry import configure_site

DJANGO = "sitefleet.persite.templates.django.DjangoTemplates"
PROCESSORS = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]


@pytest.fixture
def write(tmp_path):
    """Write a file below `tmp_path`, and return its path."""

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def theme_dirs(settings, tmp_path):
    settings.SITEFLEET = {
        "FRESHNESS": 3600,
        "THEME_DIRS": [tmp_path / "themes", tmp_path / "more_themes"],
    }
    for folder in settings.SITEFLEET["THEME_DIRS"]:
        folder.mkdir()
    return settings.SITEFLEET["THEME_DIRS"]


@pytest.fixture
def engine(settings, theme_dirs, tmp_path):
    """Let templates of Django follow the site; what else there is in TEMPLATES stays."""
    settings.TEMPLATES = [
        {
            "BACKEND": DJANGO,
            "DIRS": [tmp_path / "templates"],
            "APP_DIRS": True,
            "OPTIONS": {"context_processors": PROCESSORS},
        }
    ]


@pytest.fixture
def sites(theme_dirs, write, fleet):
    """Two sites with themes, and a third that has none."""
    for site, theme in zip(fleet, ("red", "blue"), strict=False):
        configure_site(site, theme=theme)
        for kind in ("templates", "jinja2", "static"):
            (theme_dirs[0] / theme / kind).mkdir(parents=True)
    return fleet
