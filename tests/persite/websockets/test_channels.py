"""Consumers and groups of Channels have the site."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from channels.layers import BaseChannelLayer, get_channel_layer

from sitefleet import override_site
from sitefleet.exceptions import NoCurrentSite
from sitefleet.persite.websockets import group
from sitefleet.registry import set_state
from tests.persite.websockets.wire import (
    ONE,
    TWO,
    Socket,
    opened,
    run,
)


def test_consumers_have_the_site_sync_and_async(channels, fleet):
    async def scenario():
        for one, host, prefix in zip(fleet, (ONE, TWO, ONE), ("", "", "/de"), strict=True):
            async with opened(channels, host, f"{prefix}/async/") as socket:
                assert await socket.say('"where"') == f"[{one.pk}, {one.pk}]"
            async with opened(channels, host, f"{prefix}/sync/") as socket:
                assert await socket.say('"where"') == f"[{one.pk}, {one.pk}]"

    run(scenario)


def test_groups_of_one_name_are_one_for_each_site(channels, site, other_site):
    async def scenario():
        async with (
            opened(channels, ONE, "/async/") as one,
            opened(channels, ONE, "/sync/") as same,
            opened(channels, TWO, "/async/") as other,
        ):
            assert await one.say('"hello"') == f'["hello", {site.pk}]'
            assert (await same.get())["text"] == f'["hello", {site.pk}]'
            assert await other.say('"who"') == '["", null]', "and not the hello of the other site"
            layer = get_channel_layer()
            with override_site(other_site):
                await layer.group_send(group("room"), {"type": "told", "text": "from a task"})
            assert (await other.get())["text"] == f'["from a task", {other_site.pk}]'
            assert one.outgoing.empty()

    run(scenario)


def test_row_34_consumers_are_closed_and_clean_up(channels, site):
    async def scenario():
        socket = Socket(channels, ONE, "/async/")
        await socket.open()
        await sync_to_async(set_state)(site, "archived")
        assert (await socket.get())["code"] == 4410
        await asyncio.wait_for(socket.task, 2)

    run(scenario)


def test_a_group_name_holds_the_site_and_is_one_that_channels_takes(site, other_site):
    names = set()
    for one in (site, other_site):
        with override_site(one):
            names |= {group("room"), group(f"{site.pk}.room")}
            assert BaseChannelLayer().require_valid_group_name(group("room-1_a.b"))
    assert len(names) == 4
    with pytest.raises(NoCurrentSite):
        group("room")
