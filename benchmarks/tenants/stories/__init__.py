"""What each site, or tenant, has of its own."""
