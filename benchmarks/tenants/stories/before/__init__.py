"""The migrations as they were before the last one was written."""
