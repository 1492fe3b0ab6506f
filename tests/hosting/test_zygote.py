"""The zygote without a process: when a child starts and ends, what is counted, what is told."""

import fcntl
import os
import random
import select
import socket
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import SimpleNamespace

import pytest

from sitefleet.hosting.planning.options import make_options
from sitefleet.hosting.processes import apology
from sitefleet.hosting.zygote import before_fork, channel, descriptors, limits
from sitefleet.hosting.zygote.counting import Counter
from sitefleet.hosting.zygote.nursery import Nursery
from sitefleet.hosting.zygote.parent import Parent
from sitefleet.hosting.zygote.program import Served, read_served
from sitefleet.hosting.zygote.rules import (
    ABORT,
    END,
    KILL,
    MEGABYTE,
    PAUSES,
    RUNNING,
    STARTING,
    STOPPING,
    Child,
    Held,
    has_failed_to_start,
    judge,
)
from sitefleet.hosting.zygote.slots import Load, Slots
from sitefleet.hosting.zygote.telling import statuses

NOW = 1000.0


def open_now():
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def held_with(**options):
    return Held(Served("site-1", 1, make_options(options)), descriptor=9)


def child_of(held, pid=1, state=RUNNING, started=NOW - 100, **more):
    child = Child(pid, 0, 2, started, state, **more)
    held.children[pid] = child
    return child


@pytest.mark.parametrize(
    ("options", "load", "memory", "expected"),
    [
        ({"idle": 60}, Load(last=NOW - 60), 0, END),
        ({"idle": 60}, Load(last=NOW - 59), 0, None),
        ({"idle": 60}, Load(last=NOW - 90, in_flight=1), 0, None),
        ({"idle": 0}, Load(), 0, None),
        ({"timeout": 30}, Load(in_flight=1, since=NOW - 31), 0, ABORT),
        ({"timeout": 30}, Load(in_flight=1, since=NOW - 29), 0, None),
        ({"timeout": 30}, Load(in_flight=1, beat=NOW - 31), 0, ABORT),
        ({"max_requests": 5}, Load(requests=5, last=NOW), 0, END),
        ({"max_requests": 5}, Load(requests=4, last=NOW), 0, None),
        ({"memory_limit": 50}, Load(last=NOW), 51 * MEGABYTE, END),
        ({"memory_limit": 50}, Load(last=NOW), 50 * MEGABYTE, None),
        ({"memory_limit": 50}, Load(last=NOW), 101 * MEGABYTE, KILL),
        ({"memory_limit": 0}, Load(last=NOW), 9999 * MEGABYTE, None),
    ],
)
def test_a_process_ends_for_a_reason_alone(options, load, memory, expected):
    held = held_with(**options)
    verdict = judge(child_of(held), load, held, NOW, memory)
    assert (verdict and verdict[0]) == expected


def test_who_was_told_to_end_is_killed_when_its_time_is_over_and_not_before():
    held = held_with()
    child = child_of(held, state=STOPPING, kill_at=NOW)
    assert judge(child, Load(), held, NOW, 0)[0] == KILL
    child.kill_at = NOW + 0.1
    assert judge(child, Load(), held, NOW, 0) is None


def test_pauses_between_starts_that_fail_grow_up_to_a_limit_and_end_with_a_good_one():
    held = held_with()
    found = [held.failed("broken", NOW) for _ in range(len(PAUSES) + 2)]
    assert found == [*PAUSES, PAUSES[-1], PAUSES[-1]]
    assert held.retry_at == NOW + PAUSES[-1]
    held.started_well()
    assert (held.why, held.retry_at) == ("", 0.0)
    assert held.failed("broken", NOW) == PAUSES[0]


def test_a_process_that_was_killed_once_is_no_failure_and_twice_at_once_is():
    held = held_with()
    young = child_of(held, started=NOW - 0.1)
    assert not has_failed_to_start(held, young, Load(), NOW)
    assert has_failed_to_start(held, young, Load(), NOW)
    assert not has_failed_to_start(held, young, Load(requests=1), NOW)
    assert not has_failed_to_start(held, young, Load(), NOW)


@pytest.mark.parametrize(
    ("workers", "states", "expected"),
    [
        (1, [RUNNING], False),
        (2, [RUNNING], True),
        (2, [RUNNING, RUNNING], False),
        (2, [RUNNING, STOPPING], True),
        (2, [STOPPING], False),
        (3, [RUNNING, "starting"], False),
    ],
)
def test_one_more_process_comes_up_to_the_limit_and_one_at_a_time(workers, states, expected):
    held = held_with(workers=workers)
    for pid, state in enumerate(states):
        child_of(held, pid, state)
    assert held.may_grow() is expected


@pytest.fixture
def counted():
    """Slots, and what makes an application that counts in the first of them."""
    slots, rung = Slots(2), []

    def make(application, interface="wsgi", **options):
        options = make_options({"interface": interface, **options})
        counter = Counter(slots.cells, row, options, lambda: rung.append(1))
        return counter.wrap(application, interface)

    row = slots.take()
    make.rung, make.load = rung, lambda: slots.load(row, 2)
    return make


def test_a_request_counts_from_its_beginning_to_the_close_of_its_answer(counted):
    seen = []

    def application(_environ, _start_response):
        seen.append(counted.load())
        return [b"answer"]

    answer = counted(application)({}, None)
    assert seen[0].in_flight == 1
    assert 0 < seen[0].since <= monotonic()
    assert counted.load().since == 0  # the answer is there: no clock runs while it is sent
    assert counted.load().in_flight == 1
    assert list(answer) == [b"answer"]
    answer.close()
    answer.close()
    assert (counted.load().requests, counted.load().in_flight) == (1, 0)


def test_the_clock_runs_while_a_stream_is_made(counted):
    def parts():
        yield counted.load()

    (seen,) = counted(lambda *_: parts())({}, None)
    assert seen.since > 0


def test_a_request_that_raises_has_ended(counted):
    def application(*_):
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - it is the one above
        counted(application)({}, None)
    assert counted.load().in_flight == 0


def test_a_file_keeps_its_type_so_that_the_server_can_send_it_and_is_counted(counted):
    class File:
        closed = False

        def close(self):
            self.closed = True

    file = File()
    assert counted(lambda *_: file)({"wsgi.file_wrapper": File}, None) is file
    assert counted.load().in_flight == 1
    file.close()
    assert file.closed
    assert counted.load().in_flight == 0


def test_a_file_that_is_closed_twice_gives_its_lane_back_once(counted):
    class File:
        def close(self):
            pass

    application = counted(lambda *_: File(), threads=2)
    file = application({"wsgi.file_wrapper": File}, None)
    file.close()
    file.close()
    for _ in range(2):  # in a lane each
        application({"wsgi.file_wrapper": File}, None)
    assert counted.load().in_flight == 2


def test_enough_is_told_once_when_there_were_enough(counted):
    application = counted(lambda *_: [], max_requests=2)
    rung = []
    for _ in range(4):
        application({}, None).close()
        rung.append(len(counted.rung))
    assert rung == [0, 1, 1, 1]


def test_a_slot_that_is_used_again_is_empty():
    slots = Slots(1)
    row = slots.take()
    assert slots.take() is None
    slots.cells[row] = 5.0
    slots.give_back(row)
    assert slots.load(slots.take(), 64) == Load()


def test_a_site_and_its_sockets_travel_in_one_message():
    served = Served("site-1", 1, make_options({"workers": 3}))
    one, other = channel.make_pair()
    with one, other, socket.socket() as listener:
        channel.send(one, {"do": "serve", "sites": [served.as_json()]}, [listener.fileno()])
        message, (descriptor,) = channel.receive(other)
        assert os.fstat(descriptor).st_ino == os.fstat(listener.fileno()).st_ino
        os.close(descriptor)
        assert read_served(message["sites"][0]) == served
        one.close()
        assert channel.receive(other) is None


def test_what_no_child_needs_does_not_travel():
    given = {"warm_up": ["/" + '"' * 400] * 50, "environment": {"A": "b" * 1000}, "threads": 7}
    served = Served("site-1", 1, make_options(given))
    assert len(channel.encode(served.as_json())) < 500
    assert read_served(served.as_json()) == Served("site-1", 1, make_options({"threads": 7}))


@pytest.mark.parametrize("text", ["x" * 4000, "\u20ac" * 4000, "x"], ids=["long", "wide", "short"])
def test_messages_are_split_so_that_each_can_be_sent(text):
    items = [f"{number} {text}" for number in range(250)]
    found = list(channel.split(items))
    assert [item for some in found for item in some] == items
    assert max(map(len, found)) <= channel.AT_ONCE
    one, other = channel.make_pair()
    with one, other:
        for some in found:
            channel.send(one, {"is": "problems", "problems": some})
            assert channel.receive(other) == ({"is": "problems", "problems": some}, [])


def test_a_message_that_is_too_long_is_not_sent():
    one, other = channel.make_pair()
    with one, other, pytest.raises(channel.BadMessage):
        channel.send(one, {"text": "x" * channel.LONGEST})


@pytest.mark.parametrize(
    "data", [b"[]" + b" " * channel.LONGEST, b"{", b"\xff"], ids=["cut", "half", "noise"]
)
def test_a_bad_message_is_skipped_and_its_sockets_are_closed(data):
    one, other = channel.make_pair()
    with one, other, socket.socket() as listener:
        before = open_now()
        socket.send_fds(one, [data], [listener.fileno()])
        channel.send(one, {"do": "drain"})
        with pytest.raises(channel.BadMessage):
            channel.receive(other)
        assert channel.receive(other) == ({"do": "drain"}, [])
        assert open_now() == before


def test_what_is_told_of_sites_fits_into_messages():
    failing = [held_with() for _ in range(150)]
    for held in failing:
        held.why = "\U0001f600" * 1000
    found = list(statuses(failing, Slots(1)))
    assert sum(map(len, found)) == 150
    assert max(len(channel.encode({"rows": rows})) for rows in found) <= channel.LONGEST


def test_what_the_supervisor_does_not_read_at_once_it_is_told_later(monkeypatch):
    monkeypatch.setattr(descriptors, "raise_limit", lambda: (1024, 1024))
    one, other = channel.make_pair()
    parent = Parent(one)
    other.setblocking(False)
    found = []
    with one, other:
        for number in range(200):  # 2 MB, while nobody reads
            parent.tell({"number": number, "text": "x" * 10_000})
        while True:
            with suppress(BlockingIOError):
                while True:
                    found.append(channel.receive(other)[0]["number"])
            if len(found) == 200:
                break
            assert dict(parent._poll.poll(0)) == {one.fileno(): select.EPOLLOUT}
            parent._event(one.fileno(), NOW)
        assert parent._poll.poll(0) == []
        own = parent.descriptors - {one.fileno(), parent._poll.fileno()}
        parent._poll.close()  # by itself: else it closes a number that may be another's by then
        channel.close_all(own)
    assert found == list(range(200))


def test_of_what_is_written_to_the_bell_only_the_words_of_children_count():
    heard, bell = os.pipe()
    held = held_with(workers=2)
    child = child_of(held, pid=123, state=STARTING)
    with select.epoll() as poll:
        nursery = Nursery(poll, SimpleNamespace(heard=heard), "")
        nursery._children[123] = held, child
        os.write(bell, b"x\n r \xff e12x r99999 r99999999999999999999\nr5\nrubbishr123\n")
        nursery.hear()
    os.close(heard)
    os.close(bell)
    assert child.state == RUNNING


def test_generators_of_random_numbers_are_found_and_seeded_anew_after_a_fork(monkeypatch):
    hooks = []
    monkeypatch.setattr(os, "register_at_fork", lambda **given: hooks.append(given))
    generator, twin = random.Random(1), random.Random(1)  # noqa: S311 - it is about these
    strange = random.SystemRandom()
    found = before_fork.find_generators()
    assert any(item is generator for item in found)
    assert not any(item is strange for item in found)
    before_fork.reseed_after_fork([generator])
    hooks[0]["after_in_child"]()
    assert generator.getrandbits(64) != twin.getrandbits(64)


def test_threads_and_connections_are_told_with_what_to_do():
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait, name="metrics")
    thread.start()
    one, other = socket.socketpair()
    try:
        (told,) = [line for line in before_fork.find_threads() if "metrics" in line]
        assert "post_fork" in told
        assert before_fork.find_connections([one.fileno()]) != []
    finally:
        go_on.set()
        thread.join()
        one.close()
        other.close()


def test_a_site_gets_a_cgroup_of_its_own_with_its_limit(tmp_path):
    limits.enter_cgroup(str(tmp_path), "site-1", make_options({"memory_limit": 10, "workers": 2}))
    folder = tmp_path / "site-1"
    assert (folder / "cgroup.procs").read_text() == str(os.getpid())
    assert (folder / "memory.max").read_text() == str(30 * MEGABYTE)


def test_who_waits_is_answered_when_it_has_asked_or_when_its_time_is_over():
    with select.epoll() as poll, socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        moved = []

        def own(descriptor):
            moved.append(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 200))
            os.close(descriptor)
            return moved[0]

        apologies = apology.Apologies(poll, own)
        with socket.create_connection(server.getsockname()) as client:
            wait = select.poll()
            wait.register(server, select.POLLIN)
            wait.poll(2000)
            apologies.accept(server.fileno(), 7.0, NOW)
            assert apologies.due == NOW + apology.PATIENCE
            apologies.end_late(NOW + apology.PATIENCE)
            client.settimeout(2)
            head = client.recv(1000).decode()
    assert moved[0] >= 200  # where a child of another site closes it
    assert head.startswith("HTTP/1.1 503")
    assert "Retry-After: 7\r\n" in head
