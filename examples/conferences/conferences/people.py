"""Who takes part in the current conference. Accounts are those of all conferences."""

from django.contrib.auth.models import User
from django.db.models import Q


def people(*more: User) -> Q:
    """Return the condition for users who have a talk or a ticket here, and for ``more``.

    No conference is named: the joins lead to rows of the current one alone.
    """
    here = Q(talks__isnull=False) | Q(ticket__isnull=False)
    return here | Q(pk__in=[user.pk for user in more])
