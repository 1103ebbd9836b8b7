"""The names that docs/glossary.md replaced stay out: one concept has one name."""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
PRODUCT: Final = ("fingerprint", "server", "simulator")
FOLDERS: Final = (*PRODUCT, "scripts", "sql", "tests")

REPLACED: Final[dict[str, str]] = {
    r"\b(LinkShelf|SegmentShelf|KeptSessions)\b": "LinkStore, SegmentCache, LiveSourceCache",
    r"\b(most_parts|MOST_EARLIER|MOST_ARRIVING)\b": "max_parts, MAX_EARLIER_TAKES, MAX_PARTIAL_RESPONSES",
    r"\bproviders\.faults\b|\brecord_fault\b": "fingerprint.providers.errors, record_provider_failure",
    r"\.unavailable\(\)|def unavailable\(": "unavailable_reason",
    r"\b(Flights?|take_off|Polish|KeptAnswers)\b": "Job, JobRegistry, AnswerEnricher, SingleFlightCache",
    r"\b(_Station|_tune_in|end_within)\b": "_Subscription, _subscribe, wait_for_end",
    r"\bimport Turns\b|\bTurns\(": "FairQueue",
    r"\bJobTicket\b|\bTicket\b": "JobAdmission",
    r"\.(amend|doubt|hurry)\(": "update_answer, mark_disputed, wake",
    r"\bOverBudget\.seconds\b|\bimport .*\b(Spent|Spending)\b": "Counted, BudgetUsage",
    r"\bReadyResponse\b|\b_will_do\b|\bready_response\b": "PreencodedResponse",
    r"\bHostFailingError\b": "CircuitOpenError",
    r"\bleft-alone\b": "circuit-open",
    r"\bmedia\.breaker\b": "fingerprint.circuit_breaker",
    r"\bproviders\.rest\b": "fingerprint.circuit_breaker",
    r"\b(HOPEFUL|USUAL_SPREAD|beyond_chance)\b": "MIN_ALIGNMENT_Z, PRIOR_STD, null_z_score",
    r"\b(Poll|take_poll)\b": "VoteResult, count_votes",
    r"\bcatalog\.question\b": "catalog.search",
    r"\bcli\.canvas\b|\bCanvas\(": "server.cli.svg, Svg",
    r"\bcatalog\.workers\b": "catalog.file_reader, worker_pool",
    r"\bmedia\.workers\b": "worker_pool",
    r"\bworker_protocol\b": "worker_process, decoder_protocol",
    r"\bserver\.demo\b": "simulator",
    r"\bRateCounters\b|\bspend_in\b|\brefund_in\b": "count_start, consume, refund",
    r"\bserver\.logs\b": "server.audit",
    r"\bLog(Entry|Kind|Writer|Store|Limits|Filter)\b": "audit log: AuditEntry, AuditKind, AuditWriter, AuditStore",
    r"\bUnitThreads\b|\bAskerGoneError\b|\b_patience\b": "CancellableThreads, CancellationToken",
    r"\bKeptByKey\b|\bKeptClipOwners\b|\baccess\.kept\b": "SingleFlightCache, CachedClipOwners",
    r"\bnoting_answers\b": "audit_answers",
    r"\bStarter\b|\bstarter\(": "QuotaRequest, quota_request",
    r"\btouch\(connection\)|\bbump_rules_version\b": "change_rules",
    r"\b(Programme|Wishes|demo_cast)\b": "Program, PlaylistParameters, demo_content",
    r"\b(Desk|Drawers|ServerRoom|add_desk)\b": "AdminPages, AdminServices, AdminQueries, add_admin_pages",
    r"\b(point_to_it|ask_logout|MOST_ATTEMPTS|KEPT_HEADERS)\b": "with_location, confirm_logout, MAX_, COPIED_",
    r"\b(collect_seldom|SAME_SECONDS)\b": "tune_garbage_collection, SIGNAL_DEBOUNCE_SECONDS",
    r"\b(let_in|NOT_TRIED)\b|\bTried\(": "require_admin, FormResult, NO_FORM",
    r"\b(PagesBackend|pages_backend|backend_seconds|who_knows)\b": "keys.SERVICE, store_seconds, visitor_error",
    r"\bcurrent_caller\b": "RequestContext",
    r"\bcaller_from\b": "credentials_from_headers",
    r"\bAccessNotes\b": "AuthAudit",
    r"\bGuesses\b": "FailedAttemptLimiter",
    r"\bPrincipals\b": "Authenticator",
    r"\bcaller_key\b": "fair_share_key",
    r"\b(in_one_pass|log_hits)\b": "request_hooks, audit_requests",
    r"\bcatalog\.search import .*\bStep\b|\bsearch\.steps\(": "SearchPass, Search.passes",
    r"\bcatalog\.ingest import .*\bProgress\b": "IngestProgress",
    r"\bimport Answer\b|\bAnswer\(|\bclass Answer\b": "an HTTP response: PlannedResponse",
    r"\bSTEPS\b.*\bStep\b|\bweb\.answer import .*\bSTEPS\b": "STAGES, StageWords",
}
"""A pattern of an old name, as a whole identifier or a part of one, and the term that took its place."""


REPLACED_IN_SCRIPTS: Final[dict[str, str]] = {
    r"\b(const|let) answer = await fetch": "response",
    r"\bshowSteps\b": "showStage",
    r"\b(whoever|somebody|nobody|anew)\b": "who or what is meant",
}
"""The same for the JavaScript of the extension and the website, beside `REPLACED`."""


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(_text(path))


@cache
def _sources(*, ending: str = "py", folders: tuple[str, ...] = FOLDERS) -> list[Path]:
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob(f"*.{ending}"))]
    return [path for path in files if path != Path(__file__)]


def _uses(pattern: str, files: Sequence[Path]) -> list[str]:
    compiled = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        if compiled.search(_text(path))
        for number, line in enumerate(_text(path).splitlines(), 1)
        if compiled.search(line)
    ]


@pytest.mark.parametrize("pattern", sorted(REPLACED), ids=str)
def test_an_old_name_is_not_used_again(pattern: str) -> None:
    """Identifiers only: what users read has its own rules."""
    found = _uses(pattern, _sources())
    assert not found, f"say {REPLACED[pattern]!r} (docs/glossary.md):\n" + "\n".join(found)


def test_the_scripts_of_website_and_extension_use_the_same_words() -> None:
    files = _sources(ending="js", folders=("extension", "server/web/static/js"))
    assert len(files) > 20
    found = [use for pattern in (*REPLACED, *REPLACED_IN_SCRIPTS) for use in _uses(pattern, files)]
    assert not found, "docs/glossary.md has other words:\n" + "\n".join(found)


SAME_MEANING: Final = frozenset({"Rendition"})
"""Class names that two packages, which do not know each other, use for the same thing."""


def test_a_class_name_means_one_thing() -> None:
    """A name that two modules of the product give to different classes is one that a reader has to guess."""
    places: dict[str, list[str]] = {}
    for path in _sources(folders=PRODUCT):
        for node in _tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    twice = {name: where for name, where in places.items() if len(where) > 1 and name not in SAME_MEANING}
    assert not twice, twice


VAGUE: Final = re.compile(
    r"\b([Ww]hoever|[Ss]omebody|[Nn]obody|[Tt]hose who|[Ee]verybody|anew|for good|again and again)\b"
)


def _docstrings() -> Iterator[tuple[str, str]]:
    for path in _sources(folders=PRODUCT):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text is not None:
                    yield f"{path.relative_to(ROOT)}: {getattr(node, 'name', 'module')}", text


def test_docstrings_name_who_and_what_they_mean() -> None:
    found = [f"{where}: {text}" for where, text in _docstrings() if VAGUE.search(text)]
    assert not found, "say who or what is meant (a viewer, a caller, the operator, permanently):\n" + "\n".join(
        found
    )


IS_NO: Final = re.compile(r"(?<!here )\bis no (?!longer\b|one\b|more\b)[a-z]")
"""docs/style.md: "is not a channel name", not "is no channel name"."""


def test_texts_say_is_not_a() -> None:
    found: list[str] = []
    for path in _sources(folders=PRODUCT):
        if not IS_NO.search(path.read_text(encoding="utf-8")):
            continue
        tree = _tree(path)
        alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        found += [
            f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone
            if IS_NO.search(node.value)
        ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", ["glossary.md", "architecture.md"])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    named = re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py)?)`", (ROOT / "docs" / page).read_text(encoding="utf-8"))
    missing = sorted({name for name in named if not (ROOT / name).exists()})
    assert not missing, f"docs/{page} names files that are not there: {missing}"


def test_a_newcomer_finds_twelve_concepts_in_the_files_named_for_them() -> None:
    """The table in docs/architecture.md: each file's docstrings speak of the concept that sends one there."""
    table = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").partition("## Open this file first")[2]
    first = dict(re.findall(r"^\| (.+?) \| `([a-z_/]+\.py)`", table, re.MULTILINE))
    assert len(first) >= 12
    for concept, word in CONCEPTS.items():
        (row,) = [row for row in first if concept in row]
        module = _tree(ROOT / first[row])
        classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
        docstrings = " ".join(ast.get_docstring(node) or "" for node in (module, *classes))
        assert word in docstrings.lower(), f"{concept}: {first[row]} does not say that it is about it"


CONCEPTS: Final = {
    "single flight": "single flight",
    "lease": "lease",
    "rate limits": "rate limit",
    "ad detection": "advertisement",
    "playback access token": "playback",
    "landmarks": "landmark",
    "containment score": "contain",
    "session": "session",
    "CSRF": "csrf",
    "audit log": "audit log",
    "set list": "set list",
    "overlay": "/overlay/",
}
"""What a newcomer looks for, and a word in the docstrings of the file to open first."""
