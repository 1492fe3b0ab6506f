"""The tables, and a field that is added to one of them later."""
