"""Runs the checks that one island has registered: all of Django's take longer, and a database."""

from django.core.checks.registry import registry


def run_checks_of(island, *, deploy=False):
    found = []
    for check in registry.get_checks(include_deployment_checks=deploy):
        if check.__module__ == island.__name__:
            found += check(app_configs=None, databases=None)
    return found
