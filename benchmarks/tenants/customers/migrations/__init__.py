"""Tables of the schema `public`."""
