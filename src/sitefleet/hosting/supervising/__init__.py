"""Keeps a fleet running while it changes, and answers what is asked of it: `sitefleet up`."""
