"""One measure a file: ``run(quick=...)`` gives figures, ``render`` and ``headline`` write them."""
