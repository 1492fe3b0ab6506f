import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.sites.models import Site

from sitefleet import (
    activate,
    carry_site,
    deactivate,
    get_current_site,
    get_current_site_id,
    override_site,
)
from sitefleet.current import active_site_id
from sitefleet.exceptions import NoCurrentSite

pytestmark = pytest.mark.usefixtures("quiet_settings")


@pytest.fixture
def quiet_settings(settings):
    """No look at the database: these tests are about ids."""
    settings.SITEFLEET = {"FRESHNESS": 3600}


def test_there_is_no_current_site_to_begin_with():
    assert active_site_id() is None
    with pytest.raises(NoCurrentSite) as raised:
        get_current_site_id()
    for way_out in ("SiteMiddleware", "override_site", "carry_site", "--site", "SITEFLEET_SITE"):
        assert way_out in str(raised.value)


def test_override_nests_and_restores():
    with override_site(1):
        with override_site(2):
            assert get_current_site_id() == 2
        assert get_current_site_id() == 1
    assert active_site_id() is None


def test_override_restores_after_an_exception():
    with override_site(1):
        with pytest.raises(ZeroDivisionError), override_site(2):
            _ = 1 / 0
        assert get_current_site_id() == 1


def test_override_with_none_means_the_default_site(settings):
    settings.SITE_ID = 7
    with override_site(1), override_site(None):
        assert active_site_id() is None
        assert get_current_site_id() == 7


def test_override_takes_a_site_as_well():
    with override_site(Site(pk=3)):
        assert get_current_site_id() == 3


def test_one_override_can_be_entered_again_inside_of_itself():
    two = override_site(2)
    with override_site(1):
        with two, override_site(3), two:
            assert get_current_site_id() == 2
        assert get_current_site_id() == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("germany", r"get_site\('germany'\)"),
        (Site(domain="x.org"), "must be saved"),
        (True, "not True"),
        (1.0, "not 1.0"),
        (object(), "Expected a Site"),
    ],
)
def test_what_is_no_site_is_a_type_error(value, message):
    with pytest.raises(TypeError, match=message):
        override_site(value)
    with pytest.raises(TypeError, match=message):
        activate(value)


def test_activate_and_deactivate():
    activate(1)
    try:
        assert get_current_site_id() == 1
        with override_site(2):
            activate(3)
            assert get_current_site_id() == 3
            deactivate()
            assert active_site_id() is None
        assert get_current_site_id() == 1
    finally:
        deactivate()
    assert active_site_id() is None


async def test_override_works_with_async_with():
    async with override_site(1):
        await asyncio.sleep(0)
        async with override_site(2):
            assert get_current_site_id() == 2
        assert get_current_site_id() == 1
    assert active_site_id() is None


def test_one_override_decorates_a_function_for_many_threads():
    barrier = threading.Barrier(8)
    two = override_site(2)

    @two
    def look():
        barrier.wait(5)
        with override_site(threading.get_ident()):
            barrier.wait(5)
        return get_current_site_id()

    with ThreadPoolExecutor(8) as pool:
        assert [future.result() for future in [pool.submit(look) for _ in range(8)]] == [2] * 8
    assert look.__name__ == "look"


async def test_one_override_decorates_a_coroutine_for_many_tasks():
    two = override_site(2)

    @two
    async def look(number):
        await asyncio.sleep(0)
        async with override_site(number):
            await asyncio.sleep(0)
            assert get_current_site_id() == number
        return get_current_site_id()

    assert await asyncio.gather(*(look(number) for number in range(20))) == [2] * 20
    assert active_site_id() is None


def test_a_decorated_generator_has_its_site_at_every_step():
    @override_site(2)
    def numbers():
        heard = yield get_current_site_id()
        while heard != "stop":
            try:
                heard = yield (heard, get_current_site_id())
            except ValueError as error:
                heard = yield (str(error), get_current_site_id())
        return get_current_site_id()

    with override_site(1):
        generator = numbers()
        assert next(generator) == 2
        assert get_current_site_id() == 1
        assert generator.send("a") == ("a", 2)
        with override_site(3):
            assert generator.throw(ValueError("b")) == ("b", 2)
            assert get_current_site_id() == 3
        with pytest.raises(StopIteration) as stopped:
            generator.send("stop")
        assert stopped.value.value == 2
        assert get_current_site_id() == 1


def test_a_decorated_generator_delegates_and_returns():
    @override_site(2)
    def inner():
        yield get_current_site_id()
        return "returned"

    def outer():
        result = yield from inner()
        yield result, active_site_id()

    assert list(outer()) == [2, ("returned", None)]


def test_a_decorated_generator_is_closed_under_its_site():
    seen = []

    @override_site(2)
    def numbers():
        try:
            yield 1
        finally:
            seen.append(get_current_site_id())

    generator = numbers()
    next(generator)
    generator.close()
    dropped = numbers()
    next(dropped)
    del dropped
    gc.collect()
    assert seen == [2, 2]


def test_an_exception_in_a_decorated_generator_leaves_nothing():
    @override_site(2)
    def numbers():
        yield 1
        message = "on purpose"
        raise KeyError(message)

    with override_site(1):
        with pytest.raises(KeyError):
            list(numbers())
        assert get_current_site_id() == 1


async def test_a_decorated_async_generator_has_its_site_at_every_step():
    seen = []

    @override_site(2)
    async def numbers():
        heard = None
        try:
            while True:
                await asyncio.sleep(0)
                try:
                    heard = yield (heard, get_current_site_id())
                except ValueError as error:
                    heard = str(error)
        finally:
            await asyncio.sleep(0)
            seen.append(get_current_site_id())

    async with override_site(1):
        generator = numbers()
        assert await anext(generator) == (None, 2)
        assert get_current_site_id() == 1
        assert await generator.asend("a") == ("a", 2)
        assert await generator.athrow(ValueError("b")) == ("b", 2)
        assert get_current_site_id() == 1
        await generator.aclose()
        assert get_current_site_id() == 1
    assert seen == [2]


async def test_async_generators_take_turns_each_under_its_site():
    async def numbers():
        for _ in range(3):
            await asyncio.sleep(0)
            yield get_current_site_id()

    one, two = override_site(1)(numbers)(), override_site(2)(numbers)()
    seen = [(await anext(one), await anext(two), active_site_id()) for _ in range(3)]
    assert seen == [(1, 2, None)] * 3
    assert [item async for item in one] == []


def test_an_abandoned_generator_leaks_no_further_than_the_block_around_it():
    def forgets():
        with override_site(2):
            yield

    with override_site(1):
        generator = forgets()
        next(generator)
    assert active_site_id() is None
    with override_site(3):
        generator.close()
        assert get_current_site_id() == 3


def test_a_carried_function_keeps_its_site_and_a_pool_keeps_nothing():
    with ThreadPoolExecutor(1) as pool:
        with override_site(1):
            carried = carry_site(get_current_site_id)
        with override_site(2):
            assert pool.submit(carried).result() == 1
            assert carried() == 1
            assert get_current_site_id() == 2
        assert pool.submit(active_site_id).result() is None


def test_there_is_nothing_to_carry_without_a_site():
    with pytest.raises(NoCurrentSite):
        carry_site(print)


def test_the_current_site_is_the_row(site, other_site):
    with override_site(other_site):
        assert get_current_site() == other_site
        assert get_current_site().domain == "two.example.org"
    with override_site(987654), pytest.raises(Site.DoesNotExist):
        get_current_site()


def test_a_request_that_has_a_site_tells_it(site, rf):
    request = rf.get("/")
    request.site = site
    assert get_current_site(request) is site
