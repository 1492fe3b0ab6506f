"""One site as a thing: export it to a file, import it elsewhere, clone it, delete it.

Above a graph of what belongs to a site, which is found from the models (`graph`), there is one
stream of records (`export`) and one that takes it (`importing`); a file of JSON lines is what the
stream looks like on its way (`fileformat`), and a clone is both ends joined (`cloning`). What is
shared is told and found again (`references`), files come along (`media`), keys wait on the disk
(`keys`). `deleting` walks the same graph backwards.
"""
