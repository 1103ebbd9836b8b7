"""Turns errors into RFC 9457 problem details: ours, aiohttp's, and unknown ones as `internal` with the id."""

import asyncio
import logging
import math
import random
from dataclasses import replace
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError, public_problem
from fingerprint.wire import ProblemDetails
from server import keys
from server.access.quotas.slots import JobInProgressError
from server.identifications.location import location_of
from server.middleware.access_log import shown_path
from server.middleware.path_prefix import public_path
from server.observability import Metrics, request_id

CONTENT_TYPE: Final = "application/problem+json"

_DETAILS: Final = {
    404: (ProblemCode.NOT_FOUND, "There is nothing at this address. /api/v1/openapi.json lists what there is."),
    405: (ProblemCode.INVALID_INPUT, "This address does not take this method."),
    408: (ProblemCode.TIMEOUT, "The request's body did not arrive in time."),
    411: (ProblemCode.INVALID_INPUT, "The request has to say how long its body is."),
    413: (ProblemCode.INVALID_INPUT, "The request's body is too large: 16 KiB are enough for every question."),
    415: (ProblemCode.INVALID_INPUT, "The request's body has to be JSON, with Content-Type: application/json."),
}

_SPREAD: Final = frozenset({ProblemCode.BUSY, ProblemCode.UPSTREAM_UNAVAILABLE})
"""Codes that thousands of clients may get at once: their `Retry-After` is randomized to spread the retries."""

_BODY_GONE: Final = "Connection closed."
"""What aiohttp says where a body is read whose connection has ended."""

_log = logging.getLogger(__name__)


class TooLargeError(web.HTTPRequestEntityTooLarge):
    """413, with a sentence that says what is taken."""

    def __init__(self, detail: str) -> None:
        super().__init__(max_size=0, actual_size=0)
        self.detail: Final = detail


class RefusedMediaTypeError(web.HTTPUnsupportedMediaType):
    """415, with a sentence that says what is taken."""

    def __init__(self, detail: str) -> None:
        super().__init__()
        self.detail: Final = detail


def problem_response(problem: Problem, *, status: int | None = None, location: str | None = None) -> web.Response:
    """A response with problem details, and `Retry-After` if the problem has a time to wait.

    `location` is the address of the resource in the way, such as the running job; sent as a header and as a
    member.
    """
    retry = problem.retry_after_seconds
    if retry is not None and problem.code in _SPREAD:
        retry = round(retry * random.uniform(1.0, 1.5), 1)  # noqa: S311 - no secret
        problem = replace(problem, retry_after_seconds=retry)
    details = ProblemDetails.of(problem)
    if location is not None:
        details.location = location
    if status is not None:
        details.status = status
    response = web.Response(
        body=msgspec.json.encode(details),
        status=details.status,
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store"},
    )
    if location is not None:
        response.headers["Location"] = location
    if retry is not None:
        response.headers["Retry-After"] = str(math.ceil(retry))
    return response


def _refusal(error: web.HTTPException) -> web.Response:
    """Problem details for an HTTP error that aiohttp raised."""
    code, detail = _DETAILS.get(error.status, (ProblemCode.INVALID_INPUT, f"{error.reason}."))
    if isinstance(error, TooLargeError | RefusedMediaTypeError):
        detail = error.detail
    response = problem_response(Problem(code=code, detail=detail), status=error.status)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    if error.status in (408, 413) or isinstance(error, RefusedMediaTypeError):
        # The rest of the body is not read.
        response.force_close()
    return response


def problem_details(metrics: Metrics) -> Middleware:
    """Create the middleware that turns errors into problem details and counts them by problem code."""
    problems = metrics.counter("twitchaudio_problems_total", "Requests refused, by problem code.", "code")

    def note(request: web.Request, code: ProblemCode) -> None:
        problems.add(code)
        context = request.get(keys.CONTEXT)
        if context is not None:
            context.problem_code = code

    def crashed(request: web.Request, error: Exception) -> web.Response:
        if client_has_left(request.transport, error):
            # Nobody reads this. The error itself would be logged by aiohttp with its traceback.
            return web.Response(status=400)
        _log.exception("request_crashed", extra={"method": request.method, "path": shown_path(request)})
        note(request, ProblemCode.INTERNAL)
        detail = f"This is a fault of ours. It is logged under {request_id.get()}."
        return problem_response(Problem(code=ProblemCode.INTERNAL, detail=detail))

    @web.middleware
    async def translate(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except TwitchAudioError as error:
            note(request, error.code)
            if isinstance(error, JobInProgressError) and error.identification_id is not None:
                return problem_response(
                    error.problem, location=public_path(request, location_of(error.identification_id))
                )
            return problem_response(public_problem(error.problem))
        except web.HTTPException as error:
            if error.status < 400:
                raise
            note(request, _DETAILS.get(error.status, (ProblemCode.INVALID_INPUT,))[0])
            return _refusal(error)
        except (web.RequestPayloadError, HttpProcessingError):
            # The body is not what its headers say it is, such as deflated.
            note(request, ProblemCode.INVALID_INPUT)
            detail = "The request's body cannot be read: it is not encoded as its headers say."
            response = problem_response(Problem(code=ProblemCode.INVALID_INPUT, detail=detail))
            response.force_close()
            return response
        except Exception as error:  # noqa: BLE001 - it is logged, and whoever asked is told
            return crashed(request, error)

    return translate


def client_has_left(transport: asyncio.BaseTransport | None, error: object) -> bool:
    """Whether an error says no more than that the connection has ended, such as before its body was read."""
    if transport is not None and not transport.is_closing():
        return False
    return isinstance(error, ConnectionError) or (type(error) is RuntimeError and str(error) == _BODY_GONE)
