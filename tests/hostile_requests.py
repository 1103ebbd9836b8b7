"""Random requests as bytes, much of them what no well-behaved HTTP client can send. The same for each seed."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

Route = tuple[str, str]
"""A method and a path's pattern, such as `/api/v1/clips/{slug}`."""

ODD: Final = (
    b"",
    b" ",
    b"\xff",
    b"\xc3\xa9",
    b"\xe2\x80\xae",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x8e\xb5",
    b"\x00",
    b"\x01\x1b[31m",
    b"\x7f",
    b"\t",
    b'"',
    b"''",
    b"\\",
    b";",
    b",,,",
    b"=",
    b"%",
    b"%00",
    b"%zz",
    b"%ed%a0%80",
    b"%ff%fe",
    b"%0d%0a",
    b"..%2f..%2f",
    b"-1",
    b"nan",
    b"1e999",
    b"9" * 400,
    b"a" * 3_000,
    b"<img src=x onerror=alert(1)>",
    b"{{7*7}}",
    b"${x}",
    b"[::1]",
    b"[",
    b"]:80",
    b"@",
    b"://",
    b"*",
    b"../",
    b"ta_" + b"0" * 36,
    b"ta_" + b"\xff" * 36,
    "ta_\uff14\uff12".encode(),
)

_HEADERS: Final[dict[bytes, Sequence[bytes]]] = {
    b"X-API-Key": (b"ta_%b", b"%b"),
    b"Authorization": (b"Bearer %b", b"Bearer ta_%b", b"Basic %b", b"%b", b"Bearer"),
    b"Cookie": (
        b"twitchaudio=%b",
        b"__Host-twitchaudio=%b",
        b"%b",
        b'twitchaudio="%b',
        b"a=%b; twitchaudio=gAAAA%b",
    ),
    b"Host": (b"%b", b"x:%b", b"[%b]", b"a b%b", b"x/%b", b"x@%b"),
    b"Origin": (b"http://%b", b"null", b"%b"),
    b"Referer": (b"http://x/%b", b"%b"),
    b"Accept": (b"text/html,%b", b"%b", b"*/*;q=%b"),
    b"Accept-Language": (b"%b",),
    b"Accept-Encoding": (b"gzip;q=%b", b"%b"),
    b"Prefer": (b"wait=%b", b"%b", b'wait="%b"', b"wait=0;%b"),
    b"X-Forwarded-For": (b"%b", b"1.2.3.4, %b", b"[%b]:1", b"1.2.3.4:%b"),
    b"X-Forwarded-Proto": (b"%b", b"https,%b"),
    b"X-Forwarded-Host": (b"%b", b"x:%b"),
    b"Forwarded": (b"for=%b",),
    b"If-None-Match": (b"%b", b'W/"%b"', b'"%b', b"*"),
    b"If-Modified-Since": (b"%b",),
    b"Range": (b"bytes=%b", b"%b"),
    b"Last-Event-ID": (b"%b",),
    b"Cache-Control": (b"max-age=%b", b"%b"),
    b"X-CSRF-Token": (b"%b",),
    b"Sec-Fetch-Site": (b"%b", b"same-origin", b"cross-site"),
    b"Content-Type": (
        b"%b",
        b"application/json; charset=%b",
        b"application/x-www-form-urlencoded; charset=%b",
        b"multipart/form-data; boundary=%b",
        b"multipart/form-data",
        b"multipart/form-data; boundary=x; charset=%b",
        b"text/html; charset=%b",
        b"application/json;;;%b",
    ),
    b"Content-Length": (b"%b", b"5", b"-1", b"+5", b"5, 5", b"99999999999999999999"),
    b"Content-Encoding": (b"gzip", b"deflate", b"br", b"%b"),
    b"Transfer-Encoding": (b"chunked", b"%b", b"gzip, chunked", b"chunked, identity"),
    b"Expect": (b"100-continue", b"%b"),
    b"Connection": (b"Upgrade", b"%b", b"close"),
    b"Upgrade": (b"websocket", b"h2c", b"%b"),
    b"X-%b": (b"%b",),
}

JSON_BODIES: Final = (
    b'{"channel": "%b"}',
    b'{"clip": "%b"}',
    b'{"video": "%b", "at": 1}',
    b'{"video": "123456789", "at": %b}',
    b'{"url": "%b"}',
    b'{"url": "https://www.twitch.tv/%b"}',
    b'{"code": "%b"}',
    b'{"reason": "other", "note": "%b"}',
    b'{"channel": NaN}',
    b"[" * 4_000,
    b'{"a":' * 3_000,
    b'{"channel": "a", "channel": "%b"}',
    b'\xef\xbb\xbf{"channel": "%b"}',
    b'{"channel": "\\ud800%b"}',
    b"null",
    b"%b",
)
_PART: Final = b'--x\r\nContent-Disposition: form-data; name="target"\r\n'
_MULTIPART: Final = (
    b'--x\r\nContent-Disposition: form-data; name="target"\r\n\r\n%b\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\na\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="target"; filename="%b"\r\n\r\na\r\n--x--\r\n',
    b"--x\r\nContent-Disposition: %b\r\n\r\na\r\n--x--\r\n",
    b"--x\r\n%b\r\n\r\na\r\n--x--\r\n",
    _PART + b"Content-Type: text/plain; charset=%b\r\n\r\na\r\n--x--\r\n",
    _PART + b"Content-Transfer-Encoding: %b\r\n\r\na\r\n--x--\r\n",
    _PART + b"Content-Transfer-Encoding: base64\r\n\r\n%b\r\n--x--",
    _PART + b"Content-Encoding: gzip\r\n\r\n%b\r\n--x--\r\n",
    _PART + b"Content-Length: %b\r\n\r\na\r\n--x--\r\n",
    b"--x\r\nContent-Type: multipart/mixed; boundary=%b\r\n\r\n--y\r\n\r\na\r\n--y--\r\n--x--\r\n",
    b'--x\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n%b\r\n--x\r\n'
    b'Content-Disposition: form-data; name="target"\r\n\r\na\r\n--x--\r\n',
    b"--x--\r\n%b",
    b"--x\r\n\r\n%b",
    b"--x%b",
    b"",
)
_FORMS: Final = (
    b"target=%b",
    b"target=%b&target=%b",
    b"%b=%b",
    b"code=%b",
    b"id=%b&reason=other&note=%b",
    b"csrf_token=%b",
    b"&" * 3_000,
    b"a=1&" * 3_000,
)
_QUERIES: Final = (
    b"id=%b",
    b"next=%b",
    b"limit=%b",
    b"before=%b",
    b"token=%b",
    b"code=%b&state=%b",
    b"%b",
    b"%b=%b",
)
_FILLERS: Final = (b"somechannel", b"AwkwardSlug-x_1", b"123456789", b"csv", b"home.css", b"wrong-song")
_METHODS: Final = (
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"TRACE",
    b"CONNECT",
    b"BREW",
    b"g\xff",
)


def hostile_requests(routes: Sequence[Route], seed: int) -> Iterator[bytes]:
    """Requests for all routes in turn, without end."""
    rng = random.Random(seed)
    while True:
        for method, pattern in routes:
            yield _request(rng, method.encode(), pattern)


def _request(rng: random.Random, method: bytes, pattern: str) -> bytes:
    if rng.random() < 0.1:
        method = rng.choice(_METHODS)
    headers = [
        (name, _filled(rng, rng.choice(_HEADERS[name]))) for name in rng.sample(list(_HEADERS), rng.randint(0, 3))
    ]
    headers = [(_filled(rng, name), value) for name, value in headers]
    named = {name for name, _ in headers}
    if b"Host" not in named and rng.random() < 0.97:
        headers.append((b"Host", b"localhost"))
    if b"Accept" not in named and rng.random() < 0.5:
        headers.append((b"Accept", b"text/html"))
    body = b""
    if method not in (b"GET", b"HEAD") or rng.random() < 0.05:
        content_type, bodies = rng.choice(
            (
                (b"application/json", JSON_BODIES),
                (b"application/x-www-form-urlencoded", _FORMS),
                (b"multipart/form-data; boundary=x", _MULTIPART),
            )
        )
        body = _filled(rng, rng.choice(bodies))
        if rng.random() < 0.2:
            cut = rng.randint(0, len(body))
            body = body[:cut] + rng.randbytes(rng.randint(0, 3)) + body[cut + 1 :]
        if b"Content-Type" not in named:
            headers.append((b"Content-Type", content_type))
        if not named & {b"Content-Length", b"Transfer-Encoding"}:
            headers.append((b"Content-Length", b"%d" % len(body)))
        elif b"Transfer-Encoding" in named and rng.random() < 0.8:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    rng.shuffle(headers)
    head = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"%b %b HTTP/1.%d\r\n%b\r\n%b" % (method, _path(rng, pattern), rng.random() < 0.97, head, body)


def _path(rng: random.Random, pattern: str) -> bytes:
    parts: list[bytes] = []
    for part in pattern.split("/"):
        if not part.startswith("{") and "{" not in part:
            parts.append(part.encode())
            continue
        start, _, rest = part.partition("{")
        filler = rng.choice(ODD if rng.random() < 0.5 else _FILLERS)
        parts.append(start.encode() + filler + rest.partition("}")[2].encode())
    path = b"/".join(parts)
    if rng.random() < 0.05:
        path = rng.choice((b"http://x%b", b"//%b", b"*%b", b"/%%2e%%2e%b", b"http://[%b", b"%b/%%")) % path
    if rng.random() < 0.4:
        path += b"?" + _filled(rng, rng.choice(_QUERIES))
    return path


def _filled(rng: random.Random, pattern: bytes) -> bytes:
    while b"%b" in pattern:
        fill: Callable[[], bytes] = rng.choice(
            (lambda: rng.choice(ODD), lambda: rng.choice(_FILLERS), lambda: rng.randbytes(rng.randint(0, 12)))
        )
        pattern = pattern.replace(b"%b", fill().replace(b"%b", b""), 1)
    return pattern
