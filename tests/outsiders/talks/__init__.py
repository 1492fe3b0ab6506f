"""Talks of a conference, by somebody else."""
