"""Signals of processes that serve."""

from __future__ import annotations

from django.dispatch import Signal

#: Sent in a process that was just forked from one that had the project loaded, ahead of its first
#: request: start threads again here, and open what two processes must not share. ``site_id`` is
#: the primary key of the site that the process is for. What a receiver raises is logged, no more.
post_fork = Signal()
