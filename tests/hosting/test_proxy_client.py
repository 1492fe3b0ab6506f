"""The client's side of the asyncio router: what it takes, and for how long."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from sitefleet.hosting.proxy.client import FIRST, MOST_AHEAD, Client
from sitefleet.hosting.proxy.server import Server
from sitefleet.hosting.proxy.state import Limits, Stage, State
from tests.hosting.proxy_heads import head


class Clock:
    """A loop that only tells the time."""

    now = 1000.0

    def time(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(clock):
    made = Client(State(clock, Limits()), set(), lambda: None)
    transport = Mock()
    transport.get_extra_info.return_value = ("127.0.0.1", 1)
    transport.is_closing.return_value = False
    made.connection_made(transport)
    return made


def pass_time(client, clock, seconds, data=b""):
    """Let time pass, in which the client sends something each second."""
    for _ in range(seconds):
        clock.now += 1
        client.check(clock.now)
        if data:
            client.data_received(data)


def ask(client):
    """Put it into the state in which an instance answers it."""
    client.stage = Stage.ANSWER
    upstream = client._upstream = Mock(wants_body=True, has_answered=True)
    upstream.is_late.return_value = False
    return upstream


def test_a_client_that_takes_nothing_can_send_no_more_than_a_little(client):
    client.pause_writing()
    client.data_received(b"G" * MOST_AHEAD)
    client.transport.pause_reading.assert_not_called()
    client.data_received(b"G")
    client.transport.pause_reading.assert_called_once()
    client._buffer = b""
    client.resume_writing()
    client.transport.resume_reading.assert_called_once()


@pytest.mark.parametrize("stage", [Stage.HEAD, Stage.BODY, Stage.ANSWER, Stage.TUNNEL])
def test_a_client_that_takes_nothing_is_given_up_whatever_it_sends(client, clock, stage):
    upstream = ask(client)
    client.stage = stage
    client.pause_writing()
    pass_time(client, clock, 60, b"x")
    client.transport.abort.assert_not_called()
    pass_time(client, clock, 1)
    client.transport.abort.assert_called_once()
    upstream.close.assert_called_once()


def test_a_client_that_takes_something_in_time_is_kept(client, clock):
    ask(client)
    for _ in range(3):
        client.pause_writing()
        pass_time(client, clock, 50)
        client.resume_writing()
    pass_time(client, clock, 100)
    client.transport.abort.assert_not_called()


@pytest.mark.parametrize("stage", list(Stage))
def test_a_client_that_says_no_more_has_its_time_to_take_the_rest(client, clock, stage):
    upstream = ask(client)
    client.stage = stage
    client.transport.get_write_buffer_size.return_value = 1
    client.eof_received()
    upstream.close.assert_called_once()
    pass_time(client, clock, 60)
    client.transport.abort.assert_not_called()
    pass_time(client, clock, 1)
    client.transport.abort.assert_called_once()


def test_a_client_that_has_left_unnoticed_can_be_given_up(client, clock):
    client.transport.write_eof.side_effect = OSError("Transport endpoint is not connected")
    client.data_received(b"GET")
    pass_time(client, clock, 11)
    client.transport.write_eof.assert_called_once()
    assert client.stage is Stage.CLOSING


async def test_what_goes_wrong_with_one_client_does_not_stop_the_time_of_all():
    server = Server(Mock())
    server.clients.add(Mock(check=Mock(side_effect=OSError)))
    with pytest.raises(OSError):  # noqa: PT011 - the one above
        server._tick()
    assert not server._clock.cancelled()
    server._clock.cancel()


def test_an_instance_gets_no_more_time_by_what_its_client_sends(client, clock):
    upstream = ask(client)
    begun = clock.now
    client.want_body()
    pass_time(client, clock, 5, b"x")
    upstream.is_late.assert_called_with(clock.now - begun)


def test_an_empty_line_starts_the_time_for_a_head(client, clock):
    client._is_new = False
    pass_time(client, clock, 30)
    client.data_received(b"\r\n")
    pass_time(client, clock, 10)
    client.transport.write.assert_not_called()
    pass_time(client, clock, 1)
    assert client.transport.write.call_args.args[0].startswith(b"HTTP/1.1 408 ")


@pytest.fixture
def asked(client, monkeypatch):
    """Give what instances are asked, by this client."""
    found = []
    monkeypatch.setattr(client._state.routes, "find", lambda name: name)

    class Instance(SimpleNamespace):
        wants_body = False

        def __init__(self, state, client, request, first):
            super().__init__(first=first)

        def start(self, target):
            found.append(self.first)

    monkeypatch.setattr("sitefleet.hosting.proxy.client.Upstream", Instance)
    return found


def test_an_instance_is_asked_when_a_small_body_is_whole(client, asked):
    client.data_received(head("Content-Length: 5", method="POST") + b"hell")
    assert asked == []
    client.data_received(b"o")
    assert asked == [b"hello"]


def test_an_instance_is_asked_when_a_chunked_body_is_whole(client, asked):
    client.data_received(head("Transfer-Encoding: chunked", method="POST") + b"2\r\nhe\r\n")
    client.data_received(b"3\r\nllo\r\n0\r\n")
    assert asked == []
    client.data_received(b"\r\n")
    assert asked == [b"5\r\nhello\r\n0\r\n\r\n"]


def test_an_instance_is_asked_when_the_first_part_of_a_large_body_is_there(client, asked):
    client.data_received(head(f"Content-Length: {2 * FIRST}", method="POST"))
    client.data_received(b"x" * (FIRST - 1))
    assert asked == []
    client.data_received(b"x")
    assert asked == [b"x" * FIRST]


def test_the_first_part_of_a_body_has_a_time_limit_whatever_is_sent(client, clock, asked):
    client.data_received(head("Content-Length: 1000", method="POST"))
    pass_time(client, clock, 60, b"x")
    client.transport.write.assert_not_called()
    pass_time(client, clock, 1)
    assert client.transport.write.call_args.args[0].startswith(b"HTTP/1.1 408 ")
    assert asked == []


@pytest.mark.parametrize(("body", "is_asked"), [(b"", True), (b"h", False)], ids=["waits", "sends"])
def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(client, asked, body, is_asked):
    lines = ("Expect: 100-Continue", "Content-Length: 2")
    client.data_received(head(*lines, method="POST") + body)
    written = [call.args[0] for call in client.transport.write.call_args_list]
    assert written == [b"HTTP/1.1 100 Continue\r\n\r\n"] * is_asked
    assert asked == []
