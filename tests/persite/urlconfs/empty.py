"""No URLconf."""
