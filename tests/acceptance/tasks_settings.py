"""The test project with tasks in the database, and with a default site that none may get."""

from tests.settings import *  # noqa: F403 - a project of its own
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_tasks_db"]
SITE_ID = 1
TASKS = {
    "default": {
        "BACKEND": "sitefleet.persite.tasks.SiteBackend",
        "OPTIONS": {"BACKEND": "django_tasks_db.DatabaseBackend"},
    },
}
