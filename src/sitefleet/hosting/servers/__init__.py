"""gunicorn and granian: their configurations, and what is known of their internals."""
