"""Variables in the environment of servers, which speak for who has started them."""

#: The descriptor by which a server tells that it answers: one byte from each process that does.
READY = "SITEFLEET_READY"
#: Set where a server is to take the place of one that runs: end rather than serve a project whose
#: URLconf does not load.
STRICT = "SITEFLEET_STRICT"
#: How files begin in which a process names the page that it warms up with: see
#: `sitefleet.serving.suspects`.
ASKING = "SITEFLEET_ASKING"
