"""Apps of other people: they know nothing of sitefleet. Tests copy them into projects."""
