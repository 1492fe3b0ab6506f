"""An app whose rows belong to sites, in every way there is."""
