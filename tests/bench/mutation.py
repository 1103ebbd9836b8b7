"""Mutation testing, for development, such as

    scripts/bench mutation fingerprint/single_flight.py tests/unit/test_single_flight.py

One place of a module is changed at a time (a comparison, a condition, a number, a word like `and`, a statement
that is left out), and the tests run with it. Each change that no test notices is printed; exit status 1 when there
are any.
"""

import argparse
import ast
import contextlib
import copy
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, NoReturn, cast

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 120
"""The longest that the tests of one change may take: a change may make something wait for ever."""

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


def _is_logging(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="_log")))):
            return True
        case ast.AnnAssign(annotation=_):
            return False
        case _:
            return False


def mutants(tree: ast.Module) -> Generator[tuple[int, str, ast.Module]]:
    """Each line that may be changed, how, and the changed module."""
    skipped = {id(inner) for node in ast.walk(tree) if _is_logging(node) for inner in ast.walk(node)}
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


def is_noticed(module: Path, changed: ast.Module, tests: Sequence[str]) -> bool:
    """Whether any test fails with the changed module. The tests run in a copy of this process."""
    child = os.fork()
    if child == 0:
        _run_tests(module, changed, tests)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status != 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _run_tests(module: Path, changed: ast.Module, tests: Sequence[str]) -> NoReturn:
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
        status = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests])
    os._exit(int(status))


def main(argv: Sequence[str]) -> int:
    """Try all changes."""
    parser = argparse.ArgumentParser(prog="scripts/bench mutation", description=__doc__)
    parser.add_argument("module", type=Path)
    parser.add_argument("tests", nargs="+")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th change")
    chosen = parser.parse_args(argv)
    module: Path = (ROOT / chosen.module).resolve()
    for heavy in ("pytest", "aiohttp", "sqlalchemy", "msgspec", "numpy"):
        importlib.import_module(heavy)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    tree = ast.parse(module.read_text(encoding="utf-8"))
    if is_noticed(module, tree, chosen.tests):
        print("the tests fail without any change", file=sys.stderr)
        return 2
    tried, kept = 0, 0
    for line, how, changed in list(mutants(tree))[:: chosen.every]:
        tried += 1
        if not is_noticed(module, changed, chosen.tests):
            kept += 1
            print(f"{chosen.module}:{line}: {how}", flush=True)
    print(f"{chosen.module}: {tried - kept} of {tried} noticed", flush=True)
    return int(kept > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
