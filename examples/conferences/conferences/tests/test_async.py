"""Requests to three conferences in one event loop."""

import asyncio

from conferences.tests.base import ConferenceTestCase, text_of
from sitefleet.test import async_client_for

ROUNDS = 8


class AsyncTests(ConferenceTestCase):
    async def test_requests_that_overlap_get_their_own_conference(self) -> None:
        sites = self.sites * ROUNDS
        paths = ["/", "/talks/", "/sponsors/api/sponsors/"]
        asked = [(site, paths[number % 3]) for number, site in enumerate(sites + sites[:1] + sites)]
        clients = [async_client_for(site) for site, _ in asked]
        answers = await asyncio.gather(
            *(client.get(path) for client, (_, path) in zip(clients, asked, strict=True))
        )
        for (site, _), answer in zip(asked, answers, strict=True):
            self.assertEqual(answer.status_code, 200)
            self.assert_own(site, text_of(answer))
