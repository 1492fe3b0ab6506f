"""How the name of a host is written: one spelling for each name. Pure; knows no Django.

A host is kept as text, ``name`` or ``name:port``, in *normal form*: lower case, no trailing dot,
internationalised labels in their ASCII form, IPv6 compressed and in brackets, and no port where it
is the default port of HTTP or HTTPS. A *name* for a site may also be a wildcard, ``*.example.org``,
which stands for every host below ``example.org``, at any depth, and not for ``example.org`` itself.

Sources: RFC 1035 2.3.4 (lengths), RFC 5890 (labels), RFC 3986 3.2.2 (IP literals).
"""

from __future__ import annotations

import ipaddress
import re

from sitefleet.exceptions import InvalidHost

MAX_NAME = 253
MAX_LABEL = 63
MAX_PORT = 65535
DEFAULT_PORTS = frozenset({80, 443})

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
#: IDNA 2003 (the standard library) turns these into other letters, browsers do not: two names.
_DEVIATIONS = frozenset("ßς\u200c\u200d")


def normalize(text: str) -> str:
    """Return ``text``, a host with or without a port, in normal form.

    Raises InvalidHost with the reason when it is none.
    """
    name, port = _split_port(text, text)
    name = _ipv6(name, text) if name.startswith("[") else _domain(name, text)
    return name if port is None else f"{name}:{port}"


def normalize_header(text: str) -> str:
    """Return the value of a Host header in normal form.

    Like `normalize`, but a header is ASCII (RFC 9110 7.2): clients send the punycode form.
    """
    if not text.isascii():
        raise InvalidHost(text, "a Host header is ASCII; clients send the xn-- form")
    return normalize(text)


def normalize_name(text: str, *, wildcard: bool = False) -> str:
    """Return ``text``, a name that somebody gives to a site, in normal form.

    With ``wildcard`` the first label may be ``*``. Raises InvalidHost; its reason says what to
    take out, since people paste whole addresses here.
    """
    name = text.strip()
    if "://" in name:
        raise InvalidHost(text, "give the name without the scheme (http://)")
    if "/" in name:
        raise InvalidHost(text, "give the name without a path (no slash)")
    if any(character.isspace() for character in name):
        raise InvalidHost(text, "a name has no spaces")
    if "*" not in name:
        return normalize(name)
    if not wildcard:
        raise InvalidHost(text, "only an alias can be a wildcard")
    rest = name.removeprefix("*.")
    if rest == name or "*" in rest:
        raise InvalidHost(text, "a wildcard is the whole first label, as in *.example.org")
    parent = normalize(rest)
    if is_ip(parent) or len(split(parent)[0]) > MAX_NAME - 2:
        raise InvalidHost(text, "a wildcard stands before a domain name")
    return f"*.{parent}"


def split(host: str) -> tuple[str, str]:
    """Split a host in normal form into its name and its port (``""`` when there is none)."""
    name, separator, port = host.rpartition(":")
    if not separator or host.endswith("]"):
        return host, ""
    return name, port


def is_ip(host: str) -> bool:
    """Tell whether a host in normal form is an IP address."""
    name, _ = split(host)
    return name.startswith("[") or _last_label_is_number(name)


def wildcards(host: str) -> list[str]:
    """Return the wildcard names that stand for a host in normal form, the longest first.

    ``a.b.example.org:81`` gives ``*.b.example.org:81``, ``*.b.example.org``, ``*.example.org:81``
    and so on. IP addresses have none.
    """
    name, port = split(host)
    if is_ip(host):
        return []
    found = []
    while "." in name:
        name = name.partition(".")[2]
        if port:
            found.append(f"*.{name}:{port}")
        found.append(f"*.{name}")
    return found


def www_twin(name: str) -> str:
    """Return ``www.example.org`` for ``example.org`` and the other way round."""
    return name.removeprefix("www.") if name.startswith("www.") else f"www.{name}"


def display(host: str) -> str:
    """Return a host in normal form as people write it: internationalised labels in Unicode."""
    labels = []
    for label in host.split("."):
        try:
            labels.append(label.encode("ascii").decode("idna"))
        except UnicodeError:
            labels.append(label)
    return ".".join(labels)


def _split_port(text: str, whole: str) -> tuple[str, int | None]:
    if text.startswith("["):
        name, bracket, rest = text.partition("]")
        name += bracket
    else:
        name, colon, rest = text.partition(":")
        rest = colon + rest
    if not rest:
        return name, None
    digits = rest.removeprefix(":")
    if digits == rest or not (digits.isascii() and digits.isdigit()):
        raise InvalidHost(whole, "the port is a number after one colon")
    # The length first: int() of a very long text is slow and, past a limit, refused by Python.
    port = int(digits) if len(digits) <= len(str(MAX_PORT)) else MAX_PORT + 1
    if not 0 < port <= MAX_PORT:
        raise InvalidHost(whole, f"the port is not between 1 and {MAX_PORT}")
    return name, None if port in DEFAULT_PORTS else port


def _ipv6(name: str, whole: str) -> str:
    try:
        address = ipaddress.IPv6Address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise InvalidHost(whole, "the brackets hold no IPv6 address") from None
    if address.scope_id is not None or not name.endswith("]"):
        raise InvalidHost(whole, "the brackets hold no IPv6 address")
    # One address, one name; and how Python writes these has changed with 3.13.
    mapped = address.ipv4_mapped
    return f"[{address.compressed}]" if mapped is None else str(mapped)


def _domain(name: str, whole: str) -> str:
    if len(name) > MAX_NAME + 1:
        raise InvalidHost(whole[:80], f"it is longer than {MAX_NAME} characters")
    labels = _DOTS.split(name)
    if len(labels) > 1 and not labels[-1]:
        labels.pop()
    name = ".".join(_label(label, whole) for label in labels)
    if len(name) > MAX_NAME:
        raise InvalidHost(whole[:80], f"it is longer than {MAX_NAME} characters")
    if _last_label_is_number(name):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise InvalidHost(whole, "it ends in a number but is no IPv4 address") from None
    return name


def _label(label: str, whole: str) -> str:
    if not label:
        raise InvalidHost(whole, "it is empty or has an empty label")
    if not label.isascii():
        if _DEVIATIONS.intersection(label.lower()):
            raise InvalidHost(whole, "write names with ß, ς or joiners in their xn-- form")
        try:
            label = label.encode("idna").decode("ascii")
        except UnicodeError:
            reason = "it has letters that no domain name has, or newer ones: write the xn-- form"
            raise InvalidHost(whole, reason) from None
    label = label.lower()
    if len(label) > MAX_LABEL:
        raise InvalidHost(whole[:80], f"a label is longer than {MAX_LABEL} characters")
    if not _LABEL.fullmatch(label):
        raise InvalidHost(whole, "labels are letters, digits and inner hyphens")
    return label


def _last_label_is_number(name: str) -> bool:
    return name.rpartition(".")[2].isdigit()
