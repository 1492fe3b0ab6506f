"""Servers that are measured from outside, by their answers and by what the kernel says."""
