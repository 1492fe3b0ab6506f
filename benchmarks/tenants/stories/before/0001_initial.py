"""The tables."""

from importlib import import_module

Migration = import_module("benchmarks.tenants.stories.migrations.0001_initial").Migration
