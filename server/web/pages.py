"""The pages `/` and `/docs`, and problem details as pages for browsers."""

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from cachetools import LRUCache
from yarl import URL

from fingerprint import wire
from fingerprint.domain.identification import Identification
from fingerprint.domain.problems import PROBLEM_KINDS, Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import earlier, parse_target
from server import keys
from server.access.request_context import RequestContext
from server.access.rules.policy import Refusal
from server.access.rules.website import AccessMode, WebsiteSettings
from server.access.service import Access
from server.api.identifications import ask_if_allowed, find_shown
from server.api.openapi import openapi_document
from server.api.reports import file_report
from server.api.responses import is_operator
from server.channels.reports import NOTE_LIMIT, Reason
from server.middleware.forms import read_form
from server.middleware.operator_sessions import OPERATOR_SIGN_IN
from server.middleware.request_turns import another_turn
from server.middleware.session import Account, account, wants_page
from server.own_command import as_typed
from server.setting_formats import is_loopback
from server.songs.hearings import hearings_of
from server.web import api_docs
from server.web.answer import IDLE, NEEDLE, STAGES, WAITING, AnswerView, answer_view, ask_again_text, problem_view
from server.web.details import is_known_detail, translated_detail
from server.web.dial import dial_peaks
from server.web.examples import bot_commands, example_of, reachable_by_bots, start_examples
from server.web.languages import Language, known_languages, language_of, marked
from server.web.overlay_options import option_fields
from server.web.own_plays import answer_desk
from server.web.recent_songs import RecentSong, RecentSongs
from server.web.render import EncodedPage, in_time, render, rendered
from server.web.share import answer_card, card_response
from server.web.sign_in import CALLBACK, LOGIN
from server.web.visitor import Visitor, read_visitor
from server.web.ways_in import shared_target
from server.web.words import NETWORK, NO_MATCH, NO_MATCH_RECORDED, WORDS, Words, words_of

HOME_MODULES: Final = (
    "js/answer_texts.js",
    "js/api.js",
    "js/escape.js",
    "js/finds_store.js",
    "js/listening.js",
    "js/messages.js",
    "js/receiver.js",
    "js/times.js",
    "js/root.js",
    "js/lib/answer.js",
    "js/lib/targets.js",
)
"""What home.js imports, for the browser to fetch at once."""

STORE_SECONDS: Final = 5.0
"""How long a page waits for the database."""

TEMPLATES: Final = {
    AccessMode.OPEN: "unauthenticated.html",
    AccessMode.LOGIN: "authenticated.html",
    AccessMode.SUBSCRIBERS: "whitelisted.html",
}
"""The start page's template by access mode; each also depends on the visitor."""

SIGN_IN_HELPS: Final = frozenset({ProblemCode.LOGIN_REQUIRED, ProblemCode.TOKEN_INVALID})
"""Problems whose page has a button to sign in."""

COPIED_HEADERS: Final = ("Allow", "Retry-After")
"""Headers of a response with problem details that its page repeats."""


def words_json(language: Language) -> dict[str, dict[str, str]]:
    """The words for each problem code in a language, for scripts."""
    others = {"no-match": NO_MATCH, "no-match-recorded": NO_MATCH_RECORDED, "network": NETWORK}
    return {
        str(code): dataclasses.asdict(words.translated(language)) for code, words in {**WORDS, **others}.items()
    }


class Pages:
    """Handlers of the website's pages. `store_seconds` is how long each waits for the database."""

    def __init__(self, *, store_seconds: float, recent: RecentSongs) -> None:
        self._seconds = store_seconds
        self._recent = recent
        # `/docs`, by the address that its examples name and whether one can sign in.
        self._docs: LRUCache[tuple[str, bool], EncodedPage] = LRUCache(8)
        # What it says, by that address and whether to an operator: all that takes long to make.
        self._described: LRUCache[tuple[str, bool], str] = LRUCache(8)
        self._words = {language.code: words_json(language) for language in known_languages().values()}

    async def home(self, request: web.Request) -> web.Response:
        """`/` and `/?id=ID`: the start page, with an id also that identification in its current state.

        `/?target=TEXT` has the text in the field, and a script asks at once: a GET changes nothing.
        """
        language = language_of(request)
        identification_id = request.query.get("id")
        if not identification_id:
            typed = shared_target(request)
            return await self._home(request, IDLE, typed=typed, asks=bool(typed))
        try:
            async with in_time(self._seconds):
                found = await find_shown(request, identification_id)
        except TwitchAudioError as error:
            if error.code is not ProblemCode.BLACKLISTED:
                raise
            view = problem_view(error.problem, language)
            return await self._home(request, view, status=PROBLEM_KINDS[error.code].status)
        if found is None:
            problem = Problem(code=ProblemCode.NOT_FOUND, detail="There is no answer at this address.")
            return await self._home(request, problem_view(problem, language), status=404)
        await request.app[keys.SONGS].note_missing(hearings_of(found.identification))
        view = answer_view(found.identification, request.app[keys.CLOCK].now(), language)
        return await self._home(
            request, view, typed=ask_again_text(found.identification), found=found.identification
        )

    async def card(self, request: web.Request) -> web.Response:
        """`/cards/answers/{id}.png`: the picture that is shown with a link to an answer."""
        async with in_time(self._seconds):
            found = await find_shown(request, request.match_info["id"])
            website = (await request.app[keys.ACCESS].rules()).website
        return await card_response(request, found and answer_card(request, website, found.identification))

    async def ask(self, request: web.Request) -> web.Response:
        """`POST /`: the form without JavaScript. Starts or joins a job, and redirects to the answer's page."""
        form = await read_form(request, self._seconds)
        text = form.get("target", "")
        try:
            async with in_time(self._seconds):
                max_age = 0.0 if form.get("again") else None
                now = request.app[keys.CLOCK].now()
                target = earlier(parse_target(text), form.get("ago", ""), now)
                asked = await ask_if_allowed(request, target, max_age=max_age)
        except TwitchAudioError as error:
            view = problem_view(error.problem, language_of(request), ask_again=text)
            return await self._home(request, view, typed=text, status=PROBLEM_KINDS[error.code].status)
        raise web.HTTPSeeOther(location=str(request.rel_url.with_path("/").with_query(id=asked.identification.id)))

    async def redeem(self, request: web.Request) -> web.Response:
        """`POST /redeem`: the form for an access code."""
        code = (await read_form(request, self._seconds)).get("code", "")
        try:
            async with in_time(self._seconds):
                await request.app[keys.ACCESS].redeem_code(request[keys.CONTEXT], code.strip())
        except TwitchAudioError as error:
            view = problem_view(error.problem, language_of(request))
            return await self._home(request, view, status=PROBLEM_KINDS[error.code].status)
        raise web.HTTPSeeOther(location="/")

    async def report(self, request: web.Request) -> web.Response:
        """`POST /reports`: the form that reports a wrong answer."""
        form = await read_form(request, self._seconds)
        reason = form.get("reason", "")
        if reason not in list(Reason):
            raise TwitchAudioError(ProblemCode.INVALID_INPUT, "Say what is wrong: the song, or something else.")
        identification_id = form.get("id", "")[:100]
        async with in_time(self._seconds):
            note = form.get("note", "")[:NOTE_LIMIT]
            await file_report(
                request.app, request[keys.CONTEXT], identification_id, reason=Reason(reason), note=note
            )
        raise web.HTTPSeeOther(location=str(URL("/").with_query(id=identification_id, said=1)))

    async def docs(self, request: web.Request) -> web.Response:
        """`/docs`: the API's operations, with examples to copy."""
        origin = str(request.app[keys.ORIGIN](request))
        visitor = account(request)
        shared = (origin, visitor.can_sign_in)
        if visitor.login is None and shared in self._docs:
            return self._docs[shared].response(request)
        # To operators it says how bots could reach the server.
        known = (origin, visitor.admin)
        described = self._described.get(known)
        if described is None:
            described = self._described[known] = _described(request, origin)
        response = render("docs.html", request, {"page": "docs", "path": "/docs", "described": described})
        if visitor.login is None:
            # All visitors who are not signed in get the same page, which takes long to make.
            page = self._docs[shared] = await asyncio.to_thread(EncodedPage.of, response.text or "")
            return page.response(request)
        return response

    async def _home(
        self,
        request: web.Request,
        answer: AnswerView,
        *,
        typed: str = "",
        asks: bool = False,
        status: int = 200,
        found: Identification | None = None,
    ) -> web.Response:
        async with in_time(self._seconds):
            unavailable = await request.app[keys.SERVICE].unavailable_reason()
            visitor, visitor_error = await _visitor(request.app[keys.ACCESS], request[keys.CONTEXT])
        language = language_of(request)
        if unavailable is not None:
            sets_up = await _sets_up(request)
            unavailable = as_typed(unavailable) if sets_up else language.gettext(_NOT_SET_UP)
        closed = visitor.website.maintenance or not visitor.website.active
        recent = () if answer.state != "idle" or visitor.refusal is not None else await self._recent_songs()
        context = {
            "visitor": visitor,
            "closed": closed,
            "visitor_error": None if visitor_error is None else translated_detail(visitor_error, language),
            "refusal_words": _refusal_words(visitor.refusal, language),
            "partly": "" if visitor.partly is None else _partly(visitor.partly, language),
            # An answer is shown to everyone who has its address; asking needs permission.
            "may_ask": visitor.refusal is None,
            "said": "said" in request.query,
            "answer": answer,
            "answer_desk": await answer_desk(request, found),
            "share": None if found is None or visitor_error else answer_card(request, visitor.website, found),
            "examples": [example_of(target, language) for target in request.app[keys.SETTINGS].examples],
            "recent": recent,
            "typed": typed,
            "asks": asks,
            "unavailable": unavailable,
            "stages": [words.translated(language) for words in STAGES],
            "needle": NEEDLE,
            "waiting": language.gettext(WAITING),
            "peaks": dial_peaks(answer),
            "modules": HOME_MODULES,
            "words": self._words[language.code],
        }
        if closed and answer.state == "idle":
            page = render("closed.html", request, context, status=503)
            if visitor.website.maintenance:
                page.headers["Retry-After"] = "60"
            return page
        return render(TEMPLATES[visitor.website.access_mode], request, context, status=status)

    async def _recent_songs(self) -> Sequence[RecentSong]:
        """The songs that were named last; none while they cannot be read, since the page is whole without."""
        try:
            async with in_time(self._seconds):
                return await self._recent.newest()
        except TwitchAudioError:
            return ()


_NOT_SET_UP: Final = marked("This server cannot recognize music yet. Please come back later.")


def _partly(refusal: Refusal, language: Language) -> str:
    """Why the visitor may not ask for one of streams and clips."""
    return translated_detail(refusal.detail, language) or WORDS[refusal.code].translated(language).heading


async def _sets_up(request: web.Request) -> bool:
    """Whether the visitor is an operator: an admin, or someone at the machine itself, as on the first day."""
    address = request[keys.CONTEXT].credentials.address
    here = address is not None and is_loopback(str(address)) and is_loopback(request.url.host or "")
    return here or await is_operator(request)


def _refusal_words(refusal: Refusal | None, language: Language) -> Words | None:
    return None if refusal is None else words_of(Problem(code=refusal.code, detail=refusal.detail), language)


async def _visitor(access: Access, context: RequestContext) -> tuple[Visitor, str | None]:
    """The visitor, and the error's text when that cannot be known: the page then shows an anonymous visitor."""
    try:
        return await read_visitor(access, context), None
    except TwitchAudioError as error:
        return Visitor(website=WebsiteSettings()), error.detail


# --- Problems as pages ---------------------------------------------------------------------------------


@web.middleware
async def problem_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn problem details into an HTML page for browsers. The outermost middleware but for sessions."""
    response = await handler(request)
    if (
        response.status < 400
        or response.content_type != "application/problem+json"
        or not isinstance(response, web.Response)
        or not isinstance(response.body, bytes)
        or not wants_page(request)
    ):
        return response
    problem = wire.problem_from_json(json.loads(response.body))
    language = language_of(request)
    detail = translated_detail(problem.detail, language)
    words = words_of(problem, language)
    if problem.code is ProblemCode.NOT_FOUND:
        # The detail of a wrong address speaks to programs, unless it is one that pages know.
        detail = detail if is_known_detail(problem.detail) else ""
        words = dataclasses.replace(words, next_step="") if detail else words
    signing_in = request.path in (LOGIN, CALLBACK)
    if signing_in:
        words = dataclasses.replace(words, heading=language.gettext("You are not signed in"))
    if request.path == OPERATOR_SIGN_IN:
        # Who opens it is the operator, and the detail says where there is another one.
        next_step = "" if detail else words.next_step
        words = Words(heading=language.gettext("You are not signed in"), next_step=next_step)
    context = {
        "detail": words.below(detail),
        "words": words,
        "sign_in": signing_in or problem.code in SIGN_IN_HELPS,
        "sign_in_back": not signing_in,
    }
    async with another_turn(request):
        page = render("problem.html", request, context, status=response.status)
    page.headers.update({name: response.headers[name] for name in COPIED_HEADERS if name in response.headers})
    if response.keep_alive is False:
        page.force_close()
    return page


def _described(request: web.Request, origin: str) -> str:
    """What `/docs` says: the API's operations with examples for an address, its forms and its problems."""
    document = openapi_document()
    context = {
        "account": Account(admin=account(request).admin),
        "operations": api_docs.operations(document, origin),
        "schemas": api_docs.schemas(document),
        "start": start_examples(origin),
        "overlay_options": option_fields(),
        "commands": bot_commands(origin, "somechannel", None) if reachable_by_bots(URL(origin)) else (),
        "base": origin,
        "problems": [(code, kind, WORDS[code]) for code, kind in PROBLEM_KINDS.items()],
    }
    return rendered("_docs.html", request, context)
