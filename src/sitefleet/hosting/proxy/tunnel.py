"""What a WebSocket is told when the router ends (RFC 6455 7.4.1: 1001, going away).

The frames of a tunnel are not read, so one that is cut in the middle of a frame sees an error
instead.
"""

#: As a server sends it, and as a client does: with a mask, here of zeros.
GOING_AWAY = b"\x88\x02\x03\xe9"
GOING_AWAY_MASKED = b"\x88\x82\x00\x00\x00\x00\x03\xe9"
