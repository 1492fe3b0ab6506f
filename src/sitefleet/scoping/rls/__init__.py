"""PostgreSQL's row-level security as the second lock: what the guard does not see, obeys too.

`policies` has the SQL, `operations` puts it into migrations, `connection` tells each connection its
site, `status` reads what a database has, and `checks` says what is wrong with it.
"""
