"""Plain values for the tests of hosting."""

from sitefleet.hosting.planning.fleet import Fleet, Serving, Site
from sitefleet.hosting.planning.options import make_options


def site(pk, slug=None, mode="dedicated", **more):
    slug = slug or f"s{pk}"
    options = make_options(more.pop("options", {}))
    values = {"name": slug.title(), "state": "active", "names": (f"{slug}.test",)}
    return Site(
        id=pk,
        slug=slug,
        mode=mode,
        url=f"http://{slug}.test/",
        options=options,
        **{**values, **more},
    )


def fleet(*sites, shared=3, serving=None, **more):
    total = shared + sum(one.mode == "dedicated" for one in sites)
    return Fleet(1, tuple(sites), more.pop("total", total), Serving(**(serving or {})), **more)
