"""What every page of the desk has in common: who is let in, the navigation, and how a change is tried and told."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import aiohttp_jinja2
from aiohttp import web
from multidict import MultiMapping

from fingerprint.domain.problems import PROBLEM_KINDS, ProblemCode, TwitchAudioError
from server.access.identity.credentials import Caller, current_caller
from server.audit.entries import Who
from server.middleware.session import account
from server.web.admin.sections import Change, Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Who is at the desk, as the log names them, and the token that their forms carry."""

    who: Who
    csrf: str


@dataclass(frozen=True, slots=True)
class Tab:
    """A place in the desk's navigation; the overview's slug is empty."""

    slug: str
    title: str


OVERVIEW: Final = Tab("", "Overview")
SETTINGS: Final = Tab("settings", "Settings")
RECOGNIZERS: Final = Tab("recognizers", "Recognizers")
LOGS: Final = Tab("logs", "Logs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of a form: done, or refused with what was typed; neither when no form was sent."""

    done: Change | None = None
    error: TwitchAudioError | None = None
    form: Form | None = None


NOT_TRIED: Final = Tried()


def let_in(request: web.Request) -> Operator:
    """The operator who asks. Raises TwitchAudioError `login-required`, `forbidden`."""
    looks = account(request)
    if looks.login is None:
        detail = "The operator's desk is for those whom TWITCHAUDIO_ADMINS names, signed in with Twitch."
        if not looks.can_sign_in:
            detail += " Nobody can sign in here: TWITCH_CLIENT_ID is not set. `twitchaudio admin` does the same."
        raise TwitchAudioError(ProblemCode.LOGIN_REQUIRED, detail)
    if not looks.admin:
        raise TwitchAudioError(ProblemCode.FORBIDDEN, "TWITCHAUDIO_ADMINS does not name you.")
    address = (current_caller.get(None) or Caller()).who.address
    who = Who(id=f"id:{looks.user_id}", name=looks.login, address=address)
    return Operator(who=who, csrf=looks.csrf_token)


async def attempt(request: web.Request, work: Callable[[Form], Awaitable[Change]]) -> Tried:
    """Do what a form asks for; a refusal is told beside the form, with everything still in it."""
    if request.method != "POST":
        return NOT_TRIED
    form = await read_form(request)
    try:
        return Tried(done=await work(form))
    except TwitchAudioError as error:
        return Tried(error=error, form=form)


async def read_form(request: web.Request) -> Form:
    """A form's fields; files are passed over."""
    sent = cast("MultiMapping[object]", await request.post())
    names = dict.fromkeys(sent.keys())
    return Form({name: [value for value in sent.getall(name) if isinstance(value, str)] for name in names})


def render(
    template: str,
    request: web.Request,
    *,
    operator: Operator,
    tabs: Sequence[Tab],
    here: str,
    heading: str,
    tried: Tried = NOT_TRIED,
    **context: Any,
) -> web.Response:
    """A page of the desk."""
    values: Mapping[str, Any] = {
        "page": "admin",
        "account": account(request),
        "operator": operator,
        "tabs": tabs,
        "here": here,
        "heading": heading,
        "done": tried.done,
        "error": None if tried.error is None else tried.error.problem.detail,
        **context,
    }
    status = 200 if tried.error is None else PROBLEM_KINDS[tried.error.code].status
    response = aiohttp_jinja2.render_template(f"admin/{template}", request, values, status=status)
    if tried.done is None or tried.done.secret is None:
        response.enable_compression()  # the length of a page with a secret must not tell of its parts
    return response
