"""Links that sites put around the addresses in what their users write, so that they count who follows them.

The address itself is a parameter of such a link, and is taken from there: nothing is asked of anybody. Short
links hold none, and are refused.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

_LINK: Final = re.compile(r"https?:/+([a-z0-9.-]+?)\.?(?::[0-9]*)?(/[^?#]*)?\?([^#]*)", re.ASCII | re.IGNORECASE)
_SHORT: Final = re.compile(r"(?:https?:/+)?([a-z0-9.-]+?)\.?/+[^/]", re.ASCII | re.IGNORECASE)
_ADDRESS: Final = re.compile(r"(?:https?:/+|//)?[a-z0-9.-]+\.[a-z]{2,}", re.ASCII | re.IGNORECASE)
_GOOGLE: Final = re.compile(r"(?:www\.)?google(?:\.[a-z]{2,3}){1,2}", re.ASCII)

# fmt: off
_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "away.vk.com": ("to",),
    "deref-gmx.net": ("redirecturl",),
    "deref-web.de": ("redirecturl",),
    "disq.us": ("url",),
    "duckduckgo.com": ("uddg",),
    "exit.sc": ("url",),
    "gate.sc": ("url",),
    "getpocket.com": ("url",),
    "l.facebook.com": ("u",),
    "l.instagram.com": ("u",),
    "l.messenger.com": ("u",),
    "l.threads.com": ("u",),
    "l.threads.net": ("u",),
    "l.wl.co": ("u",),
    "link.zhihu.com": ("target",),
    "lm.facebook.com": ("u",),
    "m.facebook.com": ("u",),
    "m.vk.com": ("to",),
    "m.youtube.com": ("q",),
    "out.reddit.com": ("url",),
    "slack-redir.net": ("url",),
    "steamcommunity.com": ("u", "url"),
    "t.me": ("url",),
    "t.umblr.com": ("z",),
    "vk.com": ("to",),
    "vk.ru": ("to",),
    "www.facebook.com": ("u",),
    "www.linkedin.com": ("url",),
    "www.pixiv.net": ("url",),
    "www.youtube.com": ("q",),
    "youtube.com": ("q",),
}
"""Hosts, and in which parameters of their links the address is; names are in lower case."""

_BARE: Final = frozenset({"anon.to", "anonym.to", "href.li", "nullrefer.com", "www.deviantart.com"})
"""Hosts whose links have the address behind the `?`, without a name."""

_SHORTENERS: Final = frozenset({
    "amzn.to", "bit.ly", "buff.ly", "cutt.ly", "dlvr.it", "fb.me", "goo.gl", "is.gd", "lnkd.in", "ow.ly", "rb.gy",
    "rebrand.ly", "shorturl.at", "t.co", "t.ly", "tiny.cc", "tinyurl.com", "tr.ee", "v.gd",
})
# fmt: on
_OUTLOOK: Final = ".safelinks.protection.outlook.com"
_MAX_DEPTH: Final = 3
"""A link on one site is at times pasted on another one, which wraps it again."""


def carried_address(word: str) -> str:
    """The address inside a link of a site that wraps addresses; any other word as it is."""
    for _ in range(_MAX_DEPTH):
        inner = _inner(word)
        if inner is None:
            break
        word = inner
    return word


def is_short_link(word: str) -> bool:
    """Whether a word is a link of a service whose links do not say where they lead."""
    found = _SHORT.match(word)
    return found is not None and found[1].lower() in _SHORTENERS


def _inner(word: str) -> str | None:
    found = _LINK.fullmatch(word.partition("#")[0])
    if found is None:
        return None
    host, query = found[1].lower(), found[3].replace("&amp;", "&")
    if host in _BARE:
        return query if _ADDRESS.match(query) else None
    names = _names(host)
    if not names:
        return None
    try:
        pairs = parse_qsl(query, max_num_fields=100)
    except ValueError:
        return None
    values = (value for name, value in pairs if name.lower() in names)
    return next((value.strip() for value in values if _ADDRESS.match(value.strip())), None)


def _names(host: str) -> tuple[str, ...]:
    if _GOOGLE.fullmatch(host):
        return ("q", "url")
    return ("url",) if host.endswith(_OUTLOOK) else _PARAMETERS.get(host, ())
