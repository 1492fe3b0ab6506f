import pytest

from sitefleet.hosting.planning.fleet import Serving
from sitefleet.hosting.planning.settings import parse_bind, read_serving, why_not_serving


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"drivr": "zygote"}, "did you mean 'driver'?"),
        ({"driver": "zyg"}, "'driver' is one of zygote"),
        ({"router": ["nginx"]}, "'router' is one of"),
        ({"bind": "8000"}, "'bind' is a host and a port"),
        ({"bind": "localhost:99999"}, "'bind'"),
        ({"trusted_proxies": ["10.0.0.1/8"]}, "'trusted_proxies' is a list of networks"),
        ({"trusted_proxies": "10.0.0.0/8"}, "'trusted_proxies'"),
        ({"environment": ["flavour"]}, "'environment' is a list of variables"),
        ({"environment": ["FLAVOUR", "LD_PRELOAD"]}, "'environment' cannot have LD_PRELOAD"),
        ({"environment": ["DJANGO_SETTINGS_MODULE"]}, "cannot have DJANGO_SETTINGS_MODULE"),
        ({"environment": ["SITE_ID"]}, "cannot have SITE_ID"),
        ({"options": {"environment": {"PYTHONPATH": "x"}}}, "cannot set PYTHONPATH"),
        ({"options": {"workers": 0}}, "'options': workers is"),
        ({"shared": {"environment": {"A": "1"}}}, "SERVING['environment'] does not list it"),
        ({"immortal": 0}, "'immortal' is True or False"),
        ({"raw": {"apache": ""}}, "'raw' is a dictionary of text by server"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_settings_that_cannot_be_used_are_told(values, said):
    assert said in why_not_serving(values)


def test_the_defaults_can_be_used():
    assert not why_not_serving({})
    assert read_serving({}) == Serving()


def test_lists_of_the_settings_become_values_that_compare():
    values = {"trusted_proxies": ["10.0.0.0/8"], "environment": ["FLAVOUR"]}
    assert not why_not_serving(values)
    assert read_serving(values) == Serving(
        trusted_proxies=("10.0.0.0/8",), environment=("FLAVOUR",)
    )


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("[::1]:80", ("::1", 80)),
        (":80", ("0.0.0.0", 80)),  # noqa: S104 - nothing is bound
        ("localhost", None),
        ("localhost:", None),
        ("localhost:http", None),
        ("localhost:65536", None),
        ("localhost:" + "9" * 5000, None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_bind_is_a_host_and_a_port(text, bind):
    assert parse_bind(text) == bind
