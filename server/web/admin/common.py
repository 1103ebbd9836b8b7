"""Shared by all of the operator's pages: the check for an admin, the navigation, and the result of a form."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp_jinja2
from aiohttp import web

from fingerprint.domain.problems import PROBLEM_KINDS, ProblemCode, TwitchAudioError
from server import keys
from server.audit.entries import Who
from server.middleware.forms import read_form_values
from server.middleware.session import account
from server.own_command import as_typed
from server.web.admin.sections import Change, Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """The signed-in admin, as the audit log names them, and the CSRF token of their forms."""

    who: Who
    csrf: str


@dataclass(frozen=True, slots=True)
class Tab:
    """An entry of the navigation; the overview's slug is empty."""

    slug: str
    title: str


@dataclass(frozen=True, slots=True)
class Navigation:
    """What all of the operator's pages show: who is signed in, and where they can go."""

    operator: Operator
    tabs: Sequence[Tab]


OVERVIEW: Final = Tab("", "Overview")
SETTINGS: Final = Tab("settings", "Settings")
CATALOG: Final = Tab("catalog", "Catalog")
RECOGNIZERS: Final = Tab("recognizers", "Recognizers")
TWITCH: Final = Tab("twitch", "Twitch")
AUDIT_LOG: Final = Tab("logs", "Logs")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormResult:
    """The result of a form: `done`, or `error` with the form as it was sent; all None when none was sent."""

    done: Change | None = None
    error: TwitchAudioError | None = None
    form: Form | None = None


NO_FORM: Final = FormResult()


def require_admin(request: web.Request) -> Operator:
    """The operator who sent the request. Raises TwitchAudioError `login-required`, `forbidden`."""
    visitor = account(request)
    if visitor.local is not None:
        return Operator(who=visitor.local, csrf=visitor.csrf_token)
    if visitor.login is None:
        detail = "The admin pages are for the accounts listed in TWITCHAUDIO_ADMINS. Sign in with one of them."
        if request.app[keys.ACCESS].sessions is None:
            missing = [
                name
                for name, value in (
                    ("TWITCH_CLIENT_ID", request.app[keys.SETTINGS].twitch_client_id),
                    ("TWITCH_CLIENT_SECRET", request.app[keys.SETTINGS].twitch_client_secret),
                )
                if value is None
            ]
            detail += f" No one can sign in with Twitch here: {' and '.join(missing)} must be set."
            detail += " On this machine, the server prints a link at its start that opens these pages,"
            detail += " and `twitchaudio admin` does the same as they do."
        raise TwitchAudioError(ProblemCode.LOGIN_REQUIRED, as_typed(detail))
    if not visitor.admin:
        raise TwitchAudioError(ProblemCode.FORBIDDEN, "TWITCHAUDIO_ADMINS does not name you.")
    address = request[keys.CONTEXT].audit_subject.address
    who = Who(id=f"id:{visitor.user_id}", name=visitor.login, address=address)
    return Operator(who=who, csrf=visitor.csrf_token)


async def submit(request: web.Request, change: Callable[[Form], Awaitable[Change]]) -> FormResult:
    """Apply a posted form with `change`; its TwitchAudioError is shown beside the form as it was filled in."""
    if request.method != "POST":
        return NO_FORM
    form = Form(await read_form_values(request, request.app[keys.SETTINGS].limits.body_seconds))
    try:
        return FormResult(done=await change(form))
    except TwitchAudioError as error:
        return FormResult(error=error, form=form)


def render(
    template: str,
    request: web.Request,
    navigation: Navigation,
    here: Tab,
    *,
    result: FormResult = NO_FORM,
    **context: Any,
) -> web.Response:
    """The page of a tab, with the navigation and the result of its form."""
    values: Mapping[str, Any] = {
        "page": "admin",
        "account": account(request),
        "operator": navigation.operator,
        "tabs": navigation.tabs,
        "here": here.slug,
        "heading": here.title,
        "done": result.done,
        "error": None if result.error is None else as_typed(result.error.problem.detail),
        **context,
    }
    status = 200 if result.error is None else PROBLEM_KINDS[result.error.code].status
    response = aiohttp_jinja2.render_template(f"admin/{template}", request, values, status=status)
    if result.done is None or result.done.secret is None:
        response.enable_compression()  # compressed, a page's length could tell parts of a secret in it
    return response
