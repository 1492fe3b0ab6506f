"""The asyncio router: a process that leads each host to the socket of its instance.

::

    __main__, channel              the process, and its line to the supervisor
    server                         accepts, keeps time, stops
    client, upstream, wire         the two sides of a request, and a socket
    state, routes                  limits; which host leads where; counters
    requests, forwarded            pure: what comes, and what instances get
    responses, bodies, pages       pure: what goes back
    tunnel                         how WebSockets are told that it ends

One request is one connection to the instance, since a child that ends would lose what it was sent
on an old one. Nothing is buffered whole: each side is read no faster than the other one takes it.
"""
