"""The asyncio router: a process that leads each host to the socket of its instance.

::

    __main__, channel              the process, and its line to the supervisor
    server                         accepts, keeps time, stops
    client, connection             the client's side of a request
    upstream, wire                 the instance's side, and its socket
    state, routes                  limits; which host leads where
    requests, forwarded            pure: what comes, and what instances get
    responses, bodies, pages       pure: what goes back
    tunnel                         how WebSockets are told that it ends

One request is one connection to the instance, since a child that ends would lose what it was sent
on an old one. An instance is asked when the first part of a body is there; the rest is not
buffered: each side is read no faster than the other one takes it.
"""
