"""``--site`` for every command: the entry point for ``manage.py``."""
