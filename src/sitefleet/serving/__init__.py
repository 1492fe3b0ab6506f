"""What runs Django inside of the processes that serve the fleet; `sitefleet.hosting` runs those."""
