"""The ways in which the writer of `freshness` changes a site."""

from __future__ import annotations

from django.contrib.sites.models import Site
from django.db import connection

from sitefleet.models import SiteConfig


def _save(pk: int, state: str) -> None:
    config = SiteConfig.objects.get(pk=pk)
    config.state = state
    config.save()


def _update(pk: int, state: str) -> None:
    SiteConfig.objects.filter(pk=pk).update(state=state)


def _raw_sql(pk: int, state: str) -> None:
    with connection.cursor() as cursor:
        sql = "UPDATE sitefleet_siteconfig SET state = %s WHERE site_id = %s"
        cursor.execute(sql, [state, pk])


def _delete(pk: int, _: str) -> None:
    Site.objects.get(pk=pk).delete()


CHANGES = {"save()": _save, "update()": _update, "raw SQL": _raw_sql, "delete()": _delete}
