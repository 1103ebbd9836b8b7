"""The website's languages: which one a page is in, and texts, numbers and dates in it.

A text's id is its English wording. Translations are in `locales/LANGUAGE.po`, read at start, so that neither
a checkout nor a wheel has anything to compile. `python -m scripts.messages` takes new texts into them.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Any, Final, cast

from aiohttp import web
from babel import Locale
from babel.dates import format_date, format_skeleton
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from jinja2 import Environment

LOCALES: Final = Path(__file__).parent / "locales"
QUERY: Final = "lang"
"""The query parameter that chooses a language, and the cookie that remembers it."""

_QUALITY: Final = re.compile(r"[01](?:\.[0-9]{0,10})?")
_ISO_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2}))?")
_SOME_DAY: Final = datetime(2026, 3, 1, tzinfo=UTC)
_COOKIE_SECONDS: Final = 365 * 86_400
_MOST_TAGS: Final = 20
"""Of an `Accept-Language` header, so many languages are looked at."""

ScriptTexts = Mapping[str, str | Sequence[str]]


def marked(text: str) -> str:
    """Mark a text for translation where it is written down; it is translated where it is shown."""
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """A language of the website.

    `name` is what its speakers call it. `of_scripts` has the translations of the texts in scripts, for the page to
    hand over: a text, or one for each plural form.
    """

    code: str
    name: str
    locale: Locale
    translations: NullTranslations = field(default_factory=NullTranslations, repr=False)
    of_scripts: Mapping[str, str | Sequence[str]] = field(
        default_factory=dict[str, str | Sequence[str]], repr=False
    )

    def gettext(self, message: str, /, **values: object) -> str:
        """The text in this language, with `values` in the places of its `%(name)s`."""
        return self.translations.gettext(message) % values

    def ngettext(self, one: str, many: str, number: int, /, **values: object) -> str:
        """The text for a number of things; `%(num)s` is the number."""
        return self.translations.ngettext(one, many, number) % {"num": number, **values}

    def date(self, moment: datetime, *, year: bool = True) -> str:
        """A day with its month's name."""
        if year:
            return format_date(moment, "long", locale=self.locale)
        return format_skeleton("MMMMd", moment, locale=self.locale)

    def short_date(self, moment: datetime) -> str:
        """A day with its month's short name, as lists have it."""
        return format_date(moment, "medium", locale=self.locale)

    def long_date(self, text: str) -> str:
        """A day or month that was written as `2024-03-08` or `2024-03`; anything else, as a year, as it is."""
        found = _ISO_DATE.fullmatch(text)
        if found is None:
            return text
        year, month, day = found.groups()
        try:
            first = date(int(year), int(month), int(day or 1))
        except ValueError:
            return text
        if day is None:
            return format_skeleton("yMMMM", first, locale=self.locale)
        return format_date(first, "long", locale=self.locale)

    def number(self, digits: str) -> str:
        """A number that was written as `1.20`, with as many decimals."""
        decimals = len(digits.partition(".")[2])
        pattern = "0." + "0" * decimals if decimals else "0"
        return format_decimal(digits, pattern, locale=self.locale)


# Days before months, as in most of the world; scripts then know the reader's own English.
ENGLISH: Final = Language(code="en", name="English", locale=Locale("en", "GB"))

NAMES: Final = {"de": "Deutsch", "es": "Español", "fr": "Français"}
"""The languages beside English by their codes, with what their speakers call them."""


@lru_cache(maxsize=1)
def known_languages() -> Mapping[str, Language]:
    """All languages by their codes, English first. Reads files the first time, which blocks: at start."""
    others = {code: _translated(code, name, read_catalog(code)) for code, name in NAMES.items()}
    known = {ENGLISH.code: ENGLISH, **others}
    for language in known.values():
        # Babel reads its files when it first needs them, which would block the event loop later.
        language.short_date(_SOME_DAY)
        language.number("0.00")
        language.long_date("2026-03")
    return known


def read_catalog(code: str) -> Catalog:
    """A language's translations as they are in its file. Blocks."""
    with (LOCALES / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code)


def _translated(code: str, name: str, catalog: Catalog) -> Language:
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    of_scripts: dict[str, str | Sequence[str]] = {}
    for message in catalog:
        if message.string and any(file.endswith(".js") for file, _ in message.locations):
            message_id = message.id if isinstance(message.id, str) else message.id[0]
            of_scripts[message_id] = message.string
    return Language(
        code=code,
        name=name,
        locale=Locale(code),
        translations=GNUTranslations(compiled),
        of_scripts=of_scripts,
    )


def translate_templates(environment: Environment, language: Language) -> None:
    """Let templates be in a language: `{% trans %}`, `gettext` and `ngettext`, and the language as `language`."""
    environment.policies["ext.i18n.trimmed"] = True
    install: Any = environment
    install.install_gettext_callables(
        language.translations.gettext,
        language.translations.ngettext,
        newstyle=True,
        pgettext=language.translations.pgettext,
    )
    cast("dict[str, Any]", environment.globals)["language"] = language


# --- Which one ------------------------------------------------------------------------------------------


def language_of(request: web.Request) -> Language:
    """The language for a visitor: chosen by `?lang=`, chosen before, or the browser's; else English."""
    known = known_languages()
    chosen = chosen_language(request) or known.get(request.cookies.get(QUERY, "")[:20])
    return chosen or accepted_language(request.headers.get("Accept-Language", ""))


def chosen_language(request: web.Request) -> Language | None:
    """The language that the address asks for by `?lang=de`; None for one that we do not have."""
    return known_languages().get(_primary(request.query.get(QUERY, "")[:50]))


def accepted_language(header: str) -> Language:
    """The best language for an `Accept-Language` header (RFC 9110, section 12.5.4): `de-AT` takes `de`."""
    wanted: list[tuple[float, str]] = []
    for part in header.split(",")[:_MOST_TAGS]:
        tag, *parameters = (each.strip() for each in part.split(";"))
        quality = _quality(parameters)
        if tag and quality > 0:
            wanted.append((quality, _primary(tag)))
    known = {**known_languages(), "*": ENGLISH}
    # Sorting is stable: of those that are wanted equally, the first one counts.
    for _, tag in sorted(wanted, key=lambda each: -each[0]):
        if tag in known:
            return known[tag]
    return ENGLISH


def _primary(tag: str) -> str:
    return tag.strip().replace("_", "-").partition("-")[0].lower()


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            return min(1.0, float(value)) if _QUALITY.fullmatch(value.strip()) else 0.0
    return 1.0


def remember_language(chosen: Language, response: web.Response, *, secure: bool, path: str) -> None:
    """Keep the language that a visitor chose in a cookie, for a year."""
    response.set_cookie(
        QUERY, chosen.code, max_age=_COOKIE_SECONDS, path=path, secure=secure, httponly=True, samesite="Lax"
    )
