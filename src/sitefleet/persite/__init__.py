"""What follows the current site: one island a file, each of use without the others.

Each is switched on by the setting that Django has for it; its module says which.
"""
