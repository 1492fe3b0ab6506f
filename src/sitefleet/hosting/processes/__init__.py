"""Processes, and what they need of the system.

Their project, run directory, sockets, pipes and logs.
"""
