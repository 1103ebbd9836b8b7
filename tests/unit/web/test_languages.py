"""The website's languages: which one, and that each has every text."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jinja2
import pytest
from babel.messages.catalog import Catalog, Message
from jinja2 import nodes

from fingerprint.domain.problems import Problem, ProblemCode
from scripts.messages import EXTENSION, extension_file, templates, texts, updated, written
from server.web.answer import moment_text, problem_view
from server.web.details import DETAILS, translated_detail
from server.web.languages import ENGLISH, LOCALES, accepted_language, known_languages, read_catalog
from tests.builders import NOON

CODES = [code for code in known_languages() if code != "en"]
PLACE = re.compile(r"%\(\w+\)s|%%|</?\w+[^>]*>")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-at", "de"),
        ("fr-CA, fr;q=0.9, en;q=0.8", "fr"),
        ("pt-BR, es;q=0.7, de;q=0.9", "de"),
        ("en;q=0.3, es;q=0.3", "en"),
        ("de;q=0, es;q=0.1", "es"),
        ("de;q=, es", "es"),
        ("de;q=nan, fr;q=0.1", "fr"),
        ("*, de;q=0.5", "en"),
        ("de;q=0.5, *;q=0.4", "de"),
        ("ja, *;q=0.1", "en"),
        ("deu, , ;q=1,es;level=1;q=0.5", "es"),
        ("x" * 5000 + ", de", "de"),
    ],
)
def test_the_browsers_languages_are_weighed(header: str, code: str) -> None:
    assert accepted_language(header).code == code


@pytest.fixture(scope="module")
def found() -> Catalog:
    return texts()


@pytest.mark.parametrize("code", CODES)
def test_each_language_has_exactly_the_texts_that_there_are(code: str, found: Catalog) -> None:
    # When it fails: `python -m scripts.messages`, and translate what it names.
    assert (LOCALES / f"{code}.po").read_bytes() == written(updated(code, found))


@pytest.mark.parametrize("code", CODES)
def test_each_text_is_translated_with_its_values_and_tags(code: str) -> None:
    catalog = read_catalog(code)
    assert catalog.num_plurals == 2
    messages = [message for message in catalog if message.id]
    assert len(messages) > 400
    for message in messages:
        assert not message.fuzzy, message.id
        for original, translation in _forms(message):
            assert translation, original
            assert sorted(PLACE.findall(translation)) == sorted(PLACE.findall(original)), translation
            assert translation == translation.strip() or original != original.strip(), translation
            assert '"' not in PLACE.sub("", translation), "it would end an attribute: " + translation


def _forms(message: Message) -> Iterator[tuple[str, str]]:
    if isinstance(message.id, str):
        assert isinstance(message.string, str)
        yield message.id, message.string
    else:
        yield from zip(message.id, message.string or (), strict=True)


@pytest.mark.parametrize("code", list(known_languages()))
def test_the_extension_says_about_problems_what_is_translated_here(code: str, found: Catalog) -> None:
    # When it fails: `python -m scripts.messages`. Arabic, which the website has not, is the extension's own.
    assert (EXTENSION / code / "messages.json").read_text(encoding="utf-8") == extension_file(code)


class Untranslated(HTMLParser):
    """Collects the words of a page that are not in a translation."""

    ATTRIBUTES = frozenset({"title", "placeholder", "aria-label", "alt", "data-rest", "data-stop", "data-failed"})
    SAID_EVERYWHERE = frozenset(
        {"TwitchAudio", "somechannel", "yourchannel", "Nightbot", "Chrome, Edge, Brave", "Firefox", "UTC"}
    )

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipped += tag in ("script", "style", "code")
        for name, value in attrs:
            if name in self.ATTRIBUTES or (
                name == "content" and " " in (value or "") and "=" not in (value or "")
            ):
                self._look(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in ("script", "style", "code")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self._look(data)

    def _look(self, text: str) -> None:
        words = re.sub(r"\x00(\[\w+\])?", " ", text).strip(" \n·←→\u2013,.:%")
        if re.search(r"[A-Za-z]", words) and words not in self.SAID_EVERYWHERE:
            self.found.append(words)


@pytest.mark.parametrize("path", templates(), ids=lambda path: path.name)
def test_a_page_has_no_words_outside_of_translations(path: Path) -> None:
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True)
    tree = environment.parse(path.read_text(encoding="utf-8"))
    parser = Untranslated()
    parser.feed("".join(_written(tree)).replace("<\x00", "<b").replace("</\x00", "</b"))
    parser.close()
    assert parser.found == []
    assert [text for text in _said(tree) if re.match(r"[A-Z][a-z]+ [a-z]|[A-Z][a-z]{2,}$", text)] == []


def _written(node: nodes.Node) -> Iterator[str]:
    """A template's own HTML, with a sign where a value comes, and a name of others as `[name]`."""
    if isinstance(node, nodes.Output):
        for part in node.nodes:
            name = part.attr if isinstance(part, nodes.Getattr) else getattr(part, "name", "")
            named = f"\x00[{name}]" if name in NAMES_OF_OTHERS else "\x00"
            yield part.data if isinstance(part, nodes.TemplateData) else named
        return
    if isinstance(node, nodes.Block) and node.name == "title":
        yield "<title>"
    for child in node.iter_child_nodes():
        yield from _written(child)
    if isinstance(node, nodes.Block) and node.name == "title":
        yield "</title>"


NAMES_OF_OTHERS = frozenset({"title", "artists", "album"})


class Mixed(HTMLParser):
    """Collects the names that stand in a text without being kept apart from it."""

    ALONE = frozenset({"title", "option"})
    VOID = frozenset({"meta", "link", "input", "img", "br", "circle", "line", "rect", "path", "use", "stop"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.names = 0
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self._open.append((tag, tag == "bdi" or tag in self.ALONE or ("dir", "auto") in attrs))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        names = re.findall(r"\x00(\[\w+\])", data)
        self.names += len(names)
        # One of its own element may be directly around it, or around an element with it alone.
        if names and not any(apart for _, apart in self._open[-2:]):
            self.found += names


ODD = re.compile(
    r"\b(anew|whoever|nobody|somebody|those who|for good|again and again|may ask|stands here|by itself|"
    r"(is|are|was|were) told)\b",
    re.IGNORECASE,
)
"""What docs/style.md keeps out."""


def test_what_people_read_is_plain_english() -> None:
    of_site = [each.id if isinstance(each.id, str) else " ".join(each.id) for each in read_catalog("de")]
    of_extension: dict[str, dict[str, str]] = json.loads(
        (EXTENSION / "en/messages.json").read_text(encoding="utf-8")
    )
    said = [*of_site, *(each["message"] for each in of_extension.values())]
    assert len(said) > 600
    assert [text for text in said if ODD.search(text)] == []


@pytest.mark.parametrize("name", ["_receiver.html", "overlay.html", "set_list.html", "song.html", "video.html"])
def test_names_that_run_from_right_to_left_leave_the_rest_in_its_order(name: str) -> None:
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True)
    path = next(each for each in templates() if each.name == name)
    parser = Mixed()
    text = "".join(_written(environment.parse(path.read_text(encoding="utf-8"))))
    parser.feed(text.replace("<\x00", "<b").replace("</\x00", "</b"))
    assert parser.names > 0
    assert parser.found == []


def _said(node: nodes.Node) -> Iterator[str]:
    """The texts in a template's expressions, but for those that are translated."""
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    if isinstance(node, nodes.Call) and getattr(node.node, "name", "") in ("gettext", "ngettext", "pgettext"):
        return
    for child in node.iter_child_nodes():
        yield from _said(child)


def test_texts_are_in_the_language_with_its_dates_and_numbers() -> None:
    german, french = known_languages()["de"], known_languages()["fr"]
    assert moment_text(NOON, NOON.replace(day=20), german) == "am 1. März um 12:00 UTC"
    assert moment_text(NOON, NOON.replace(year=2030), french) == "le 1 mars 2026 à 12:00 UTC"
    assert [language.number("1.20") for language in known_languages().values()] == ["1.20", "1,20", "1,20", "1,20"]
    plurals = [german.ngettext("%(num)s song", "%(num)s songs", number) for number in (0, 1, 2)]
    assert plurals == ["0 Lieder", "1 Lied", "2 Lieder"]
    assert french.ngettext("%(num)s song", "%(num)s songs", 0) == "0 chanson"


@pytest.mark.parametrize(
    ("code", "day", "month"),
    [
        ("en", "8 March 2024", "March 2024"),
        ("de", "8. März 2024", "März 2024"),
        ("es", "8 de marzo de 2024", "marzo de 2024"),
        ("fr", "8 mars 2024", "mars 2024"),
    ],
)
def test_when_a_song_was_released_is_said_with_the_months_name(code: str, day: str, month: str) -> None:
    said = known_languages()[code].long_date
    assert (said("2024-03-08"), said("2024-03")) == (day, month)
    for other in (
        "2024",
        "",
        "2024-02-30",
        "2024-13",
        "0000-01-01",
        "08.03.2024",
        "2024-03-08T00:00:00Z",
    ):
        assert said(other) == other


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("problem", list(ProblemCode))
def test_a_problem_is_said_in_the_language_alone(code: str, problem: ProblemCode) -> None:
    language = known_languages()[code]
    english = problem_view(Problem(code=problem, detail="A detail for programs."))
    view = problem_view(Problem(code=problem, detail="A detail for programs."), language)
    assert view.detail == ""
    assert view.heading != english.heading
    assert view.next_step != english.next_step


def test_details_are_known_by_their_wording() -> None:
    german = known_languages()["de"]
    detail = "There is no channel 'some%(x)s' on Twitch, or it is banned."
    assert translated_detail(detail, ENGLISH) == detail
    translated = "Einen Kanal „some%(x)s“ gibt es auf Twitch nicht, oder er ist gesperrt."
    assert translated_detail(detail, german) == translated
    takes = "The overlay's size takes a whole number of percent from 50 to 400, not '9'."
    assert translated_detail(takes, german).endswith("nimmt eine ganze Zahl von 50 bis 400 (Prozent), nicht „9“.")
    for message in DETAILS:
        values: dict[str, Any] = dict.fromkeys(re.findall(r"%\((\w+)\)s", message), "a b")
        assert translated_detail(message % values, german) == german.gettext(message, **values)
