"""How dates are written in Ghana; Django has no formats for it."""

DATE_FORMAT = "j F Y"
