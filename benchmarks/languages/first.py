"""One of two URLconfs that differ in nothing but their name."""

from benchmarks.languages.patterns import all_patterns

urlpatterns = all_patterns()
