"""Whom schemas are for: the models that both packages want to be told."""
