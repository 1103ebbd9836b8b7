"""Mutation testing, for development, such as

    scripts/bench mutation fingerprint/single_flight.py tests/unit/test_single_flight.py

One place of a module is changed at a time (a comparison, a condition, a number, a word like `and`, a statement
that is left out), and the tests run with it. Each change that no test notices is printed; exit status 1 when there
are any that are not explained.

`scripts/bench mutation csrf` tries an area: the modules and tests of `AREAS`. What was read and found to change
nothing that a test could see, or nothing that matters, is in survivors.csv with the reason, and is printed apart;
it counts as not noticed all the same.

A change whose tests take longer than `Limit.seconds` is counted apart: it may make something wait for ever, and
may as well be slow by chance. The limit is ten times what the tests take unchanged, and at least `SECONDS`.
"""

import argparse
import ast
import contextlib
import copy
import csv
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, NoReturn, Self, cast

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 20.0
OWN: Final = ("fingerprint", "server", "simulator", "sql", "tests", "scripts")
SURVIVORS: Final = Path(__file__).with_name("survivors.csv")
_ALREADY_LOADED: Final = "ignore::pytest.PytestAssertRewriteWarning"
_CONTRACT: Final = ("-k", "not mariadb and not dynamodb and not ministack")

AREAS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "access-rules": {
        "server/access/rules/policy.py": ("tests/unit/access/test_policy.py",),
        "server/access/rules/lists.py": ("tests/unit/access/test_lists.py",),
        "server/access/rules/subscriptions.py": ("tests/unit/access/test_subscriptions.py",),
        "server/access/identity/addresses.py": ("tests/unit/access/test_addresses.py",),
        "server/access/identity/failed_attempts.py": ("tests/unit/access/test_failed_attempts.py",),
        "server/access/quotas/budgets.py": ("tests/unit/access/test_budgets.py",),
        "server/access/identity/admins.py": ("tests/unit/access/test_admins.py",),
        "server/access/identity/authenticator.py": (
            "tests/contract/test_authenticator.py",
            "tests/contract/test_api_keys.py",
            *_CONTRACT,
        ),
    },
    "tokens": {
        "server/access/identity/tokens.py": ("tests/unit/access/test_tokens.py",),
        "server/access/identity/session_keys.py": ("tests/unit/access/test_session_keys.py",),
        "server/access/identity/api_keys.py": (
            "tests/unit/access/test_api_keys.py",
            "tests/contract/test_api_keys.py",
            *_CONTRACT,
        ),
        "server/access/identity/sessions.py": ("tests/unit/access/test_sessions.py",),
        "server/channels/song_tokens.py": ("tests/contract/test_song_tokens.py", *_CONTRACT),
    },
    "single-flight": {"fingerprint/single_flight.py": ("tests/unit/test_single_flight.py",)},
    "leases": {
        "fingerprint/leased_job.py": ("tests/unit/test_leased_job.py",),
        "fingerprint/jobs/sql.py": ("tests/contract/test_job_store.py", "-k", "sqlite"),
    },
    "url-guard": {
        "fingerprint/media/hosts.py": ("tests/unit/media/test_hosts.py",),
        "fingerprint/domain/web_addresses.py": ("tests/unit/domain/test_web_addresses.py",),
    },
    "csrf": {
        "server/middleware/foreign_forms.py": ("tests/unit/server/test_csrf.py",),
        "server/middleware/session.py": (
            "tests/unit/server/test_csrf.py",
            "tests/unit/server/test_session_cookie.py",
        ),
        "server/access/identity/session_keys.py": ("tests/unit/access/test_session_keys.py",),
    },
}
"""The modules of each area, and what pytest runs for a change of each."""


class Noticed(StrEnum):
    """What came of a change."""

    YES = "noticed"
    NO = "not noticed"
    TIMED_OUT = "timed out"


@dataclass(slots=True)
class Tally:
    """What came of the changes of a module, or of an area."""

    tried: int = 0
    timed_out: int = 0
    kept: int = 0
    explained: int = 0

    def add(self, other: Self) -> None:
        """Count those of a module of an area."""
        self.tried += other.tried
        self.timed_out += other.timed_out
        self.kept += other.kept
        self.explained += other.explained

    def __str__(self) -> str:
        noticed, tried = self.tried - self.kept - self.timed_out, max(1, self.tried)
        return (
            f"{noticed} of {self.tried} noticed ({100 * noticed / tried:.0f} %), {self.timed_out} timed out "
            f"besides ({100 * (noticed + self.timed_out) / tried:.0f} % with them), {self.kept} not noticed, "
            f"of which {self.explained} are explained"
        )


_COMPARED: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}

Change = Callable[[Any], None]


def changes_of(node: ast.AST) -> Generator[tuple[str, Change]]:
    """What may be changed at one place: how it reads, and what does it to a copy of the node."""
    match node:
        case ast.Compare(ops=[op, *_]):
            for other in _COMPARED[type(op)]:

                def compare(copied: ast.Compare, other: type[ast.cmpop] = other) -> None:
                    copied.ops[0] = other()

                yield f"{type(op).__name__} -> {other.__name__}", compare
        case ast.BoolOp(op=op):

            def word(copied: ast.BoolOp) -> None:
                copied.op = ast.Or() if isinstance(copied.op, ast.And) else ast.And()

            yield f"{type(op).__name__} -> the other", word
        case ast.If(test=_) | ast.While(test=_) | ast.IfExp(test=_):

            def negate(copied: ast.If) -> None:
                copied.test = ast.UnaryOp(ast.Not(), copied.test)

            if not isinstance(node.test, ast.Compare | ast.Constant):
                yield "the condition negated", negate
        case ast.BinOp(op=op) if type(op) in _COMPUTED:

            def compute(copied: ast.BinOp) -> None:
                copied.op = _COMPUTED[type(copied.op)]()

            yield f"{type(op).__name__} -> {_COMPUTED[type(op)].__name__}", compute
        case ast.Constant(value=bool()):

            def flip(copied: ast.Constant) -> None:
                copied.value = not copied.value

            yield f"{node.value} -> {not node.value}", flip
        case ast.Constant(value=int() | float() as value):

            def more(copied: ast.Constant) -> None:
                copied.value = value + 1

            yield f"{value} -> {value + 1}", more
        case ast.Return(value=ast.expr()) if not _is_none(node.value):

            def nothing(copied: ast.Return) -> None:
                copied.value = ast.Constant(None)

            yield "return None", nothing
        case ast.Raise() | ast.Expr(value=ast.Call() | ast.Await()) | ast.AugAssign() | ast.Delete():
            yield "left out", lambda _copied: None
        case _:
            pass


def _is_none(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _left_alone(tree: ast.Module) -> Generator[ast.AST]:
    """What is not changed: log lines, types, and what decorators say, such as `frozen=True` of value classes."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="_log")))):
                yield node
            case ast.ClassDef(decorator_list=decorators):
                yield from decorators
            case ast.AnnAssign(annotation=annotation) | ast.arg(annotation=ast.expr() as annotation):
                yield annotation
            case (
                ast.FunctionDef(returns=ast.expr() as returns)
                | ast.AsyncFunctionDef(returns=ast.expr() as returns)
            ):
                yield returns
            case _:
                pass


def mutants(tree: ast.Module) -> Generator[tuple[int, str, ast.Module]]:
    """Each line that may be changed, how, and the changed module."""
    skipped = {id(inner) for node in _left_alone(tree) for inner in ast.walk(node)}
    for place, node in enumerate(ast.walk(tree)):
        if id(node) in skipped:
            continue
        for how, change in changes_of(node):
            copied = copy.deepcopy(tree)
            target = next(each for number, each in enumerate(ast.walk(copied)) if number == place)
            if how == "left out":
                _replace(copied, target, ast.copy_location(ast.Pass(), target))
            else:
                change(target)
            yield getattr(node, "lineno", 0), how, ast.fix_missing_locations(copied)


def _replace(tree: ast.Module, old: ast.AST, new: ast.stmt) -> None:
    for node in ast.walk(tree):
        for _, value in ast.iter_fields(node):
            if isinstance(value, list):
                statements = cast("list[ast.AST]", value)
                if old in statements:
                    statements[statements.index(old)] = new


def run_tests(module: Path, changed: ast.Module, tests: Sequence[str], limit: float) -> Noticed:
    """Whether any test fails with the changed module. The tests run in a copy of this process."""
    child = os.fork()
    if child == 0:
        _run_tests(module, changed, tests)
    until = time.monotonic() + limit
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return Noticed.NO if status == 0 else Noticed.YES
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return Noticed.TIMED_OUT


def _run_tests(module: Path, changed: ast.Module, tests: Sequence[str], names: int | None = None) -> NoReturn:
    """Run the tests in this process, and end it; write the names of all loaded modules to `names`."""
    import pytest

    os.setsid()
    get_code = importlib.machinery.SourceFileLoader.get_code

    def instead(self: importlib.machinery.SourceFileLoader, fullname: str) -> CodeType | None:
        if Path(self.path) == module:
            return compile(changed, str(module), "exec")
        return get_code(self, fullname)

    importlib.machinery.SourceFileLoader.get_code = instead  # type: ignore[method-assign]
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    status = 1
    with contextlib.suppress(BaseException):
        status = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-W", _ALREADY_LOADED, *tests])
    if names is not None:
        os.write(names, "\n".join(sys.modules).encode())
    os._exit(int(status))


def _warm_up(module: Path, tree: ast.Module, tests: Sequence[str]) -> float | None:
    """Load what the tests load of others, and return how many seconds they take then; None when they fail."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _run_tests(module, tree, tests, write)
    os.close(write)
    with os.fdopen(read) as names:
        loaded = names.read().split()
    if os.waitpid(child, 0)[1] != 0:
        return None
    for name in loaded:
        if name.partition(".")[0] not in (*OWN, "__main__", "conftest"):
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    began = time.monotonic()
    return None if run_tests(module, tree, tests, 600.0) is not Noticed.NO else time.monotonic() - began


def _explanations() -> dict[tuple[str, str, str], str]:
    """Why changes that no test notices may stay so, by module, the changed line's text, and the change."""
    if not SURVIVORS.exists():
        return {}
    with SURVIVORS.open(encoding="utf-8", newline="") as opened:
        return {(row["module"], row["line"], row["change"]): row["reason"] for row in csv.DictReader(opened)}


def try_module(name: str, tests: Sequence[str], every: int) -> Tally | None:
    """Try the changes of a module, and print what was not noticed; None when the tests fail without any."""
    module = (ROOT / name).resolve()
    text = module.read_text(encoding="utf-8")
    lines = text.splitlines()
    tree = ast.parse(text)
    seconds = _warm_up(module, tree, tests)
    if seconds is None:
        print(f"{name}: the tests fail without any change", file=sys.stderr)
        return None
    limit = max(SECONDS, 10 * seconds)
    print(f"{name}: the tests take {seconds:.1f} s, a change's may take {limit:.0f} s", flush=True)
    explained = _explanations()
    tally = Tally()
    for line, how, changed in list(mutants(tree))[::every]:
        tally.tried += 1
        noticed = run_tests(module, changed, tests, limit)
        if noticed is Noticed.YES:
            continue
        reason = explained.get((name, lines[line - 1].strip(), how), "")
        tally.timed_out += noticed is Noticed.TIMED_OUT
        tally.kept += noticed is Noticed.NO
        tally.explained += noticed is Noticed.NO and bool(reason)
        print(f"{name}:{line}: {how}: {noticed}{reason and f': {reason}'}", flush=True)
    print(f"{name}: {tally}", flush=True)
    return tally


def main(argv: Sequence[str]) -> int:
    """Try all changes."""
    parser = argparse.ArgumentParser(prog="scripts/bench mutation", description=__doc__)
    parser.add_argument("module", help=f"a module, or an area: {', '.join(AREAS)}")
    parser.add_argument("tests", nargs="*", help="what pytest runs; without, what the areas name for the module")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th change")
    chosen = parser.parse_args(argv)
    for heavy in ("pytest", "aiohttp", "sqlalchemy", "msgspec", "numpy"):
        importlib.import_module(heavy)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    known = {name: tests for area in AREAS.values() for name, tests in area.items()}
    modules = AREAS.get(chosen.module, {chosen.module: tuple(chosen.tests) or known.get(chosen.module, ())})
    if not all(modules.values()):
        parser.error("name the tests of this module")
    total = Tally()
    for name, tests in modules.items():
        tally = try_module(name, tests, chosen.every)
        if tally is None:
            return 2
        total.add(tally)
    print(f"{chosen.module}: {total}", flush=True)
    return int(total.kept > total.explained)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
