"""Takes the website's texts into its translations, and what is said about problems from there into the extension.

Run `python -m scripts.messages`, translate what it names in `server/web/locales`, and run it again.

Texts that are gone are removed with their translations; git has them.
"""

import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_file
from babel.messages.pofile import write_po

from fingerprint.domain.problems import PROBLEM_KINDS
from scripts.extension_words import extension_words
from server.web.languages import ENGLISH, LOCALES, known_languages, read_catalog

ROOT: Final = Path(__file__).parents[1]
WEB: Final = ROOT / "server/web"
EXTENSION: Final = ROOT / "extension/_locales"
ENGLISH_ONLY: Final = frozenset({"docs.html", "_docs.html", "_share.html"})
"""Templates that are in English for everyone, beside those of the operator's desk."""

_KEYWORDS: Final[Any] = {**DEFAULT_KEYWORDS, "marked": None}
_OPTIONS: Final = {"jinja2.ext:babel_extract": {"trimmed": "true", "silent": "false"}}
_HEADER: Final = """\
# Translations of the website. `python -m scripts.messages` takes in new texts.
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals={forms}; plural={plural};\\n"

"""


def templates() -> Sequence[Path]:
    """The templates of the pages that are translated."""
    return [path for path in sorted((WEB / "templates").glob("*.html")) if path.name not in ENGLISH_ONLY]


def _sources() -> Iterator[tuple[str, Path]]:
    yield from (("jinja2.ext:babel_extract", path) for path in templates())
    yield from (("python", path) for path in sorted(WEB.glob("*.py")))
    yield from (("javascript", path) for path in sorted((WEB / "static/js").glob("*.js")))


def texts() -> Catalog:
    """All texts of the website, with the files that they are in."""
    found = Catalog()
    for kind in PROBLEM_KINDS.values():
        for text in (kind.heading, kind.next_step):
            found.add(text, locations=[("fingerprint/domain/problems.py", 0)])
    for code in PROBLEM_KINDS:
        for context, text in extension_words(code).values():
            found.add(text, locations=[("scripts/extension_words.py", 0)], context=context)
    for method, path in _sources():
        where = (path.relative_to(ROOT).as_posix(), 0)
        options = _OPTIONS.get(method)
        for _, message, comments, context in extract_from_file(method, path, _KEYWORDS, (), options):
            found.add(message, locations=[where], auto_comments=comments, context=context)
    return found


def written(catalog: Catalog) -> bytes:
    """A language's file."""
    body = io.BytesIO()
    write_po(body, catalog, omit_header=True, include_lineno=False, ignore_obsolete=True, width=0)
    header = _HEADER.format(language=catalog.locale, forms=catalog.num_plurals, plural=catalog.plural_expr)
    return header.encode() + body.getvalue()


def updated(code: str, found: Catalog) -> Catalog:
    """A language's translations for exactly the texts that there are."""
    catalog = read_catalog(code)
    catalog.update(found, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    return catalog


def extension_file(code: str) -> str:
    """The extension's messages in a language: those about the server's problems are translated here."""
    path = EXTENSION / code / "messages.json"
    messages: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    catalog = None if code == ENGLISH.code else read_catalog(code)
    for problem in PROBLEM_KINDS:
        for part, (context, text) in extension_words(problem).items():
            found = None if catalog is None else catalog.get(text, context)
            name = f"problem_{problem.replace('-', '_')}_{part}"
            messages[name] = {"message": text if found is None else str(found.string)}
    return json.dumps(messages, ensure_ascii=False, indent=2) + "\n"


def main() -> int:
    """Write the files; says what is not translated yet."""
    found = texts()
    missing = 0
    for code in list(known_languages())[1:]:
        catalog = updated(code, found)
        (LOCALES / f"{code}.po").write_bytes(written(catalog))
        empty = [message.id for message in catalog if message.id and not _complete(message.string)]
        missing += len(empty)
        for text in empty:
            print(f"{code}: {text!r}")
    if not missing:
        for code in known_languages():
            (EXTENSION / code / "messages.json").write_text(extension_file(code), encoding="utf-8")
    return 1 if missing else 0


def _complete(translation: str | Sequence[str] | None) -> bool:
    return bool(translation) and all(translation)


if __name__ == "__main__":
    sys.exit(main())
