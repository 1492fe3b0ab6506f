"""What the tests ask, and how they change a site in front of or behind Django's back."""

from django.contrib.sites.models import Site
from django.db import connection

from sitefleet import override_site
from sitefleet.registry import change_site
from sitefleet.resolver import resolver


def found(host):
    match = resolver.find(host).root
    return match and match.site.pk


def domain_of(pk):
    with override_site(pk):
        return Site.objects.get_current().domain


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


WAYS = {
    "orm": lambda pk: change_site(Site(pk=pk), domain="new.example.org"),
    "sql": lambda pk: sql("UPDATE django_site SET domain = 'new.example.org' WHERE id = %s", pk),
}
