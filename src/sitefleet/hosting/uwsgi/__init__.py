"""uWSGI: an Emperor with a vassal per dedicated site, started by the first connection.

All but `program` and `talk` is pure text. What the measures and traps behind it are is told where
they matter; sources are the C files of uWSGI 2.0.21 and 2.0.31, named beside.
"""
