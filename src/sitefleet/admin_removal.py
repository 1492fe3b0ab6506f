"""Sites are deleted in the admin under themselves: else the rows that go with them are not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from sitefleet.current import override_site

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.sites.models import Site
    from django.db.models import QuerySet
    from django.http import HttpRequest

    AdminBase = admin.ModelAdmin[Site]
else:
    AdminBase = admin.ModelAdmin


class SiteRemoval(AdminBase):
    """Looks for what goes with a site, and deletes it, with that site as the current one."""

    def get_deleted_objects(self, objs: Iterable[Site], request: HttpRequest) -> Any:
        """Return what would go, is missing a permission, or is protected: Django's tuple."""
        everything: list[Any] = []
        counts: dict[str, int] = {}
        forbidden: set[str] = set()
        protected: list[Any] = []
        for site in objs:
            with override_site(site):
                found, count, missing, kept = super().get_deleted_objects([site], request)
            everything += found
            for name, number in count.items():
                counts[name] = counts.get(name, 0) + number
            forbidden |= missing
            protected += kept
        return everything, counts, forbidden, protected

    def delete_model(self, request: HttpRequest, obj: Site) -> None:
        """Delete a site, and what goes with it."""
        with override_site(obj):
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Site]) -> None:
        """Delete the chosen sites one by one."""
        for site in queryset:
            self.delete_model(request, site)
