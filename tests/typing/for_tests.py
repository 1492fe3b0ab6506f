"""`sitefleet.test` and manage.py as users write them. Never run: mypy reads it, strictly."""

import sys
from typing import assert_type

from django.contrib.sites.models import Site
from django.test import AsyncClient, Client

from sitefleet.management import execute_from_command_line
from sitefleet.test import AsyncSiteClient, SiteClient, async_client_for, client_for, forget_sites


def as_djangos(client: Client, async_client: AsyncClient) -> None:
    pass


def clients(site: Site) -> None:
    assert_type(client_for(site), SiteClient)
    assert_type(client_for(1, enforce_csrf_checks=True), SiteClient)
    as_djangos(client_for(site), async_client_for(site))
    assert_type(async_client_for(site), AsyncSiteClient)
    assert_type(forget_sites(), None)


def manage() -> None:
    execute_from_command_line(sys.argv)
    execute_from_command_line()
