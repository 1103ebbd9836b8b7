"""The pages: `/`, `/docs`, `/channels/{login}`, and every refusal of a browser's request as a page."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp_jinja2
from aiohttp import web
from aiohttp.typedefs import Handler

from fingerprint import wire
from fingerprint.domain.identification import Identification, IdentificationId
from fingerprint.domain.problems import PROBLEM_KINDS, Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import channel_target, parse_target
from server.middleware.forms import read_form
from server.middleware.session import account
from server.web import api_docs
from server.web.answer import IDLE, NEEDLE, STEPS, WAITING, AnswerView, answer_view, ask_again_text, problem_view
from server.web.backend import Backend
from server.web.dial import PEAKS
from server.web.examples import start_examples
from server.web.words import NETWORK, NO_MATCH, NO_MATCH_RECORDED, WORDS, Words

HOME_MODULES: Final = ("js/answer.js", "js/api.js", "js/target.js", "js/view.js")
"""What home.js imports, so that the browser need not find out one by one."""

BACKEND_SECONDS: Final = 5.0
"""How long a page waits for the store."""

KEPT_HEADERS: Final = ("Allow", "Retry-After")
"""What a refusal's page keeps of the refusal."""


def _words_json(words: Words) -> dict[str, str]:
    return {"heading": words.heading, "next_step": words.next_step}


class Pages:
    """The handlers. Everything that they show comes from the backend."""

    def __init__(self, backend: Backend, *, backend_seconds: float = BACKEND_SECONDS) -> None:
        self._backend = backend
        self._seconds = backend_seconds
        self._words = {
            **{str(code): _words_json(words) for code, words in WORDS.items()},
            "no-match": _words_json(NO_MATCH),
            "no-match-recorded": _words_json(NO_MATCH_RECORDED),
            "network": _words_json(NETWORK),
        }

    async def home(self, request: web.Request) -> web.Response:
        """`/` and `/?id=ID`: the question, and with an id its answer in whatever state it is."""
        identification_id = request.query.get("id")
        if not identification_id:
            return await self._home(request, IDLE)
        async with self._in_time():
            found = await self._backend.get(IdentificationId(identification_id[:100]))
        if found is None:
            problem = Problem(code=ProblemCode.NOT_FOUND, detail="There is no answer under this address.")
            return await self._home(request, problem_view(problem), status=404)
        return await self._home(request, answer_view(found), typed=_typed(found))

    async def ask(self, request: web.Request) -> web.Response:
        """The form without JavaScript: start or join, and go to the answer's page."""
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            # Another site must not make its visitors' browsers ask.
            raise TwitchAudioError(ProblemCode.CSRF, "Another website sent this form. Ask here.")
        text = (await read_form(request, self._seconds)).get("target", "")
        try:
            async with self._in_time():
                asked = await self._backend.ask(parse_target(text))
        except TwitchAudioError as error:
            view = problem_view(error.problem, ask_again=text)
            return await self._home(request, view, typed=text, status=PROBLEM_KINDS[error.code].status)
        raise web.HTTPSeeOther(location=str(request.rel_url.with_path("/").with_query(id=asked.id)))

    async def set_list(self, request: web.Request) -> web.Response:
        """`/channels/{login}`: what was heard on a channel, newest first."""
        login = channel_target(request.match_info["login"]).login
        async with self._in_time():
            plays = await self._backend.plays(login)
        return render("set_list.html", request, {"login": login, "plays": plays})

    async def docs(self, request: web.Request) -> web.Response:
        """`/docs`: how to use the API."""
        origin = str(request.url.origin())
        document = self._backend.openapi()
        context = {
            "page": "docs",
            "operations": api_docs.operations(document, origin),
            "schemas": api_docs.schemas(document),
            "start": start_examples(origin),
            "problems": [(code, kind, WORDS[code]) for code, kind in PROBLEM_KINDS.items()],
        }
        return render("docs.html", request, context)

    @asynccontextmanager
    async def _in_time(self) -> AsyncGenerator[None]:
        """Give up on the store after a while. Raises TwitchAudioError `busy`."""
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except TimeoutError as error:
            detail = "Our store did not answer in time. Try again in a moment."
            raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=5.0) from error

    async def _home(
        self, request: web.Request, answer: AnswerView, *, typed: str = "", status: int = 200
    ) -> web.Response:
        async with self._in_time():
            unavailable = await self._backend.unavailable()
        context = {
            "answer": answer,
            "typed": typed,
            "unavailable": unavailable,
            "steps": STEPS,
            "needle": NEEDLE,
            "waiting": WAITING,
            "peaks": PEAKS,
            "modules": HOME_MODULES,
            "words": self._words,
        }
        return render("home.html", request, context, status=status)


def _typed(identification: Identification) -> str:
    """What stands in the field beside an answer: the question, so that it can be changed."""
    return ask_again_text(identification)


def render(template: str, request: web.Request, context: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """A page from its template, with who looks at it as `account`."""
    whole = {"page": "", "account": account(request), **context}
    response = aiohttp_jinja2.render_template(template, request, whole, status=status)
    response.enable_compression()
    return response


# --- Refusals as pages --------------------------------------------------------------------------------


def _wants_page(request: web.Request) -> bool:
    """Whether a person looks: programs ask the API, or do not ask for HTML."""
    return not request.path.startswith("/api/") and "text/html" in request.headers.get("Accept", "")


@web.middleware
async def problem_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Show a person the problem details that stand in a refusal as a page. Goes around all other middlewares."""
    response = await handler(request)
    if (
        response.content_type != "application/problem+json"
        or not isinstance(response, web.Response)
        or not isinstance(response.body, bytes)
        or not _wants_page(request)
    ):
        return response
    problem = wire.problem_from_json(json.loads(response.body))
    context = {"problem": problem, "words": WORDS[problem.code]}
    page = render("problem.html", request, context, status=response.status)
    page.headers.update({name: response.headers[name] for name in KEPT_HEADERS if name in response.headers})
    if response.keep_alive is False:
        page.force_close()
    return page
