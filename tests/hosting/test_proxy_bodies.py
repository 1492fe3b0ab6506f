"""Bodies of messages: where they end, however they are cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitefleet.hosting.proxy.bodies import BadChunk, Chunks, Sized, chunk


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5), st.integers(1, 30))
def test_chunks_carry_the_same_however_they_are_cut(pieces, step):
    data = b"".join(chunk([piece]) for piece in pieces) + b"0;x=y\r\nX-Trailer: a\r\n\r\nmore"
    chunks, found = Chunks(), []
    for at in range(0, len(data), step):
        assert not chunks.rest
        found += chunks.feed(data[at : at + step])
        if chunks.done:
            assert chunks.rest + data[at + step :] == b"more"
            break
    assert chunks.done
    assert b"".join(found) == b"".join(pieces)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"0x1\r\na\r\n",
        b"+1\r\na\r\n",
        b" 1\r\na\r\n",
        b"1 \r\na\r\n",
        b"1 ;x\r\na\r\n",
        b"1\na\r\n",
        b"1\r\naa\r\n",
        b"1\r\na\n",
        b"1\r\na\rb",
        b"1;x=\0\r\na\r\n",
        b"1;x\ny\r\na\r\n",
        b"g\r\n",
        b"F" * 16 + b"\r\n",
        b"1;" + b"x" * 5000,
        b"0\r\nno header\r\n\r\n",
        b"0\r\n X: a\r\n\r\n",
        b"0\r\n" + b"X: aaaaaaaaaa\r\n" * 2000 + b"\r\n",
    ],
    ids=lambda data: repr(data[:16]),
)
def test_chunks_that_can_be_read_in_two_ways_are_refused(data):
    with pytest.raises(BadChunk):
        Chunks().feed(data)
    with pytest.raises(BadChunk):
        feed_bytes(Chunks(), data)


def feed_bytes(chunks, data):
    for byte in data:
        chunks.feed(bytes((byte,)))


def test_a_body_ends_after_its_bytes():
    body = Sized(3)
    assert (body.feed(b"ab"), body.done) == ([b"ab"], False)
    assert (body.feed(b"cdef"), body.done, body.rest) == ([b"c"], True, b"def")
