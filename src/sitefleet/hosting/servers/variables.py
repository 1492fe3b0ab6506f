"""Variables in the environment of servers, which speak for who has started them."""

#: The descriptor by which processes of a server tell of themselves: see
#: `sitefleet.hosting.servers.told`.
READY = "SITEFLEET_READY"
#: How files begin in which a process names the page that it warms up with: see
#: `sitefleet.serving.suspects`.
ASKING = "SITEFLEET_ASKING"
#: How the files begin in which a process counts requests: see `sitefleet.hosting.servers.counts`.
COUNTS = "SITEFLEET_COUNTS"
#: The ids of the sites that a server forks processes for, with commas: it warms up for them.
FORKS = "SITEFLEET_FORKS"
