"""The zygote: one parent has loaded and warmed the project, and forks a process per site from it.

`parent` holds the sites' listening sockets and forks on the first connection, `child` is what a
forked process does, `rules` decide, without touching anything, when one ends and when the next one
starts. What there is of Django comes in from above, as `program.Program`.
"""
