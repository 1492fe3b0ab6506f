"""A project in six languages with 1,000 URL patterns; its page has a menu of ten links."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SECTIONS, PAGES = 10, 100
#: In the middle: half of the patterns come before it.
PATH = f"/de/section-{SECTIONS // 2}/page-{PAGES // 2}/"
MODULES = ("benchmarks.languages.first", "benchmarks.languages.second")
STACK = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
SETTINGS: dict[str, Any] = {
    "ROOT_URLCONF": MODULES[0],
    "LANGUAGE_CODE": "en",
    "LANGUAGES": [(code, code) for code in ("en", "de", "fr", "es", "it", "nl")],
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [str(Path(__file__).parent / "templates")],
        }
    ],
}
