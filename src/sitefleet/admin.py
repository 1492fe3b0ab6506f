"""Sites in the admin: one form for a site, its configuration and its aliases."""
