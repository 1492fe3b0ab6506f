"""The generation of sites: another number after each change that anybody makes to them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import pgettext_lazy

#: Rows of the table of generations: the one that triggers write to, and the registry's lock.
TOKEN_ROW, LOCK_ROW = 1, 2
GENERATION_BITS = 53


class Generation(models.Model):
    """One row whose token is another one after each change of what the resolver reads.

    Database triggers change it, so raw SQL and ``QuerySet.update()`` count. The token is random
    and no counter: after a rollback or a restored backup no old value comes back with other data.
    """

    token = models.BigIntegerField()

    class Meta:
        verbose_name = pgettext_lazy("sitefleet", "generation")
        verbose_name_plural = pgettext_lazy("sitefleet", "generations")

    def __str__(self) -> str:
        return str(self.token)
