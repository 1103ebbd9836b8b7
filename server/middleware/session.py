"""The website's session cookie, the signed-in user, and CSRF tokens.

Pages and templates call `account(request)` for the user and for the CSRF token that their forms need.

The cookie holds the session's id and the state of sign-ins in progress; the rest is in the database. On https it
is Secure, and `__Host-` where the website has its host for itself. Requests with a bearer token or an API key are
not authenticated by the cookie, so that only requests that another website could cause need a CSRF token.
"""

import contextlib
import json
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp_session import AbstractStorage, Session, get_session
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.web_addresses import read_address
from server import keys
from server.access.identity.addresses import Networks, parse_address
from server.access.identity.limits import SESSION_LIFETIME
from server.access.identity.session_keys import SessionKeys
from server.access.request_context import RequestContext
from server.audit.entries import Who
from server.middleware.forms import read_form

COOKIE: Final = "twitchaudio"
SECURE_COOKIE: Final = "__Host-twitchaudio"
PREFIXED_COOKIE: Final = "__Secure-twitchaudio"
"""The secure cookie of a website below a path: browsers take `__Host-` for whole hosts only."""
CSRF_FIELD: Final = "csrf_token"
CSRF_HEADER: Final = "X-CSRF-Token"
SESSION_ID: Final = "id"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
_COOKIE_LIMIT: Final = 4_096
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
"""A host name or address, and maybe a port: no sign that could end an address that is shown, or begin another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The viewer of a page, as pages and templates need them."""

    can_sign_in: bool = False
    login: str | None = None
    user_id: str | None = None
    csrf_token: str = ""
    """For the form field `csrf_token` and the header `X-CSRF-Token`; empty unless the viewer is signed in."""
    admin: bool = False
    local: Who | None = None
    """The operator on this machine, who came by a link and has no account at Twitch."""


NOBODY: Final = Account()
ACCOUNT: Final = web.RequestKey("account", Account)


def public_scheme(request: web.Request, configured: URL | None, trusted: Networks) -> str:
    """The website's scheme as visitors see it, `https` or `http`. Headers of untrusted proxies are ignored."""
    if configured is not None:
        return configured.scheme
    said = _said_by_proxy(request, "X-Forwarded-Proto", trusted)
    scheme = None if said is None else said.lower()
    return scheme if scheme in ("http", "https") else request.scheme


def public_origin(request: web.Request, configured: URL | None, trusted: Networks) -> URL:
    """The website's address as visitors see it: the configured one, or else what the request or a proxy says.

    It has no slash at its end, and a path only if the configured one has.

    Raises TwitchAudioError `invalid-input` when that is no host.
    """
    if configured is not None:
        return configured
    # Not `request.host`: without a Host header, it would be this machine's name.
    host = _said_by_proxy(request, "X-Forwarded-Host", trusted) or request.headers.get("Host", "")
    if _HOST.fullmatch(host):
        with contextlib.suppress(ValueError):
            return read_address(f"{public_scheme(request, configured, trusted)}://{host}").origin()
    raise TwitchAudioError(ProblemCode.INVALID_INPUT, "The request does not say which host it is for.")


def _said_by_proxy(request: web.Request, header: str, trusted: Networks) -> str | None:
    """The value of a header from a trusted proxy: the last one, since proxies append theirs."""
    peer = None if request.remote is None else parse_address(request.remote)
    if peer is None or not trusted.contain(peer):
        return None
    values = request.headers.getall(header, [])
    return values[-1].rpartition(",")[2].strip() if values else None


class SealedCookieStorage(AbstractStorage):
    """Stores aiohttp sessions in a cookie that is encrypted with the first key, and decrypted with any key."""

    def __init__(
        self, session_keys: SessionKeys, is_secure: Callable[[web.Request], bool], path: str = ""
    ) -> None:
        super().__init__(
            cookie_name=COOKIE,
            max_age=int(SESSION_LIFETIME.total_seconds()),
            httponly=True,
            samesite="Lax",
            path=path or "/",
        )
        self._secure_name = PREFIXED_COOKIE if path else SECURE_COOKIE
        self._path = path or "/"
        self._keys = session_keys
        self._is_secure = is_secure

    async def load_session(self, request: web.Request) -> Session:
        """The session in the cookie; a new one if the cookie is missing, invalid or too old."""
        cookie = request.cookies.get(self._name(request), "")
        opened = self._keys.open_cookie(cookie, self.max_age or 0) if len(cookie) <= _COOKIE_LIMIT else None
        if opened is None:
            return Session(None, data=None, new=True, max_age=self.max_age)
        return Session(None, data=json.loads(opened), new=False, max_age=self.max_age)

    async def save_session(self, request: web.Request, response: web.StreamResponse, session: Session) -> None:
        """Set the cookie, or delete it when the session is empty."""
        secure = self._is_secure(request)
        name = self._name(request)
        if session.empty:
            response.del_cookie(name, path=self._path, secure=secure, httponly=True, samesite="Lax")
            return
        content = json.dumps({"created": session.created, "session": dict(session)}).encode()
        sealed = self._keys.seal_cookie(content)
        response.set_cookie(
            name, sealed, max_age=self.max_age, path=self._path, secure=secure, httponly=True, samesite="Lax"
        )

    def _name(self, request: web.Request) -> str:
        return self._secure_name if self._is_secure(request) else COOKIE


def keep_quiet_about_string_keys() -> None:
    """Silence aiohttp's warning about the text key under which aiohttp-session stores its session."""
    message = "It is recommended to use web.RequestKey"
    warnings.filterwarnings("ignore", message, web.NotAppKeyWarning, module="aiohttp_session")


async def session_id(request: web.Request) -> str | None:
    """The session id in the request's cookie, if any; the session may have ended."""
    found: object = (await get_session(request)).get(SESSION_ID)
    return found if isinstance(found, str) else None


def check_sessions(session_keys: SessionKeys, *, body_seconds: float) -> Middleware:
    """Create the middleware that adds the session to the credentials and rejects cross-site requests."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        context = request[keys.CONTEXT]
        credentials = context.credentials
        if credentials.key is not None or credentials.token is not None:
            return await handler(request)
        found = await session_id(request)
        if found is not None:
            if request.method not in _SAFE:
                await _check_csrf(request, session_keys, found, body_seconds)
            context.credentials = credentials.with_session(found)
        if wants_page(request):
            request[ACCOUNT] = await _account(request, session_keys, context)
        return await handler(request)

    return check


async def _check_csrf(request: web.Request, session_keys: SessionKeys, session: str, body_seconds: float) -> None:
    """Raise TwitchAudioError `csrf` unless one of our own pages sent the request."""
    token = request.headers.get(CSRF_HEADER)
    if token is None and request.content_type in FORMS and not request.path.startswith("/api/"):
        token = (await read_form(request, body_seconds)).get(CSRF_FIELD)
    # Browsers report which site a request comes from: refuse other sites even with a valid token.
    foreign = request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
    if foreign or token is None or not session_keys.is_csrf_token(token, session):
        detail = (
            "This was not sent by our own page, or by one from before you signed in. Load the page again. "
            f"Programs that use the session's cookie send its CSRF token as {CSRF_HEADER}."
        )
        raise TwitchAudioError(ProblemCode.CSRF, detail)


def wants_page(request: web.Request) -> bool:
    """Whether the client wants an HTML page: outside the API, with text/html in its Accept header."""
    return not request.path.startswith("/api/") and "text/html" in request.headers.get("Accept", "")


async def _account(request: web.Request, session_keys: SessionKeys, context: RequestContext) -> Account:
    access = request.app[keys.ACCESS]
    known = Account(can_sign_in=access.sessions is not None)
    session = context.credentials.session
    if session is None or access.sessions is None:
        return known
    # If the session cannot be checked, show the page as to a viewer who is not signed in.
    with contextlib.suppress(TwitchAudioError):
        signed_in = await access.sessions.find(session)
        # Now, because the handler may sign the viewer out.
        context.known_subject = access.audit_subject(context)
        if signed_in is None:
            del (await get_session(request))[SESSION_ID]
            context.credentials = context.credentials.with_session(None)
            return known
        return Account(
            can_sign_in=True,
            login=signed_in.user.login,
            user_id=signed_in.user.id,
            csrf_token=session_keys.csrf_token(session),
            admin=access.admins.contain(signed_in.user),
        )
    return known


def account(request: web.Request) -> Account:
    """The viewer of a page; `NOBODY` when no session was checked."""
    return request.get(ACCOUNT, NOBODY)
