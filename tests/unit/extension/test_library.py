"""The extension's own tests in Node, and what its files must agree about with the server and each other."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fingerprint.domain.problems import PROBLEM_KINDS
from scripts.package_extension import Operator, operator_from, write_archive
from server.setting_formats import OWN_PATHS

ROOT = Path(__file__).parents[3]
EXTENSION = ROOT / "extension"
MANIFEST: dict[str, Any] = json.loads((EXTENSION / "manifest.json").read_text(encoding="utf-8"))


def _node(*arguments: str, text: str = "") -> str:
    if shutil.which("node") is None:
        pytest.skip("node is not installed (Debian: apt-get install nodejs)")
    done = subprocess.run(
        ["node", *arguments],
        cwd=Path(__file__).parent,
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_library_does_what_its_own_tests_say() -> None:
    assert "fail 0" in _node("--test", "library.test.js", "asking.test.js", "background.test.js")


TABLE: list[dict[str, Any]] = json.loads((ROOT / "tests/unit/targets.json").read_text(encoding="utf-8"))
"""Of the parsers, too."""


def test_pages_are_understood_as_the_server_does() -> None:
    page = re.compile(r"https://(?:[a-z-]+\.)*twitch\.tv[/?][!-[\]-~]*", re.IGNORECASE)
    rows = [row for row in TABLE if page.fullmatch(row["text"])]
    assert len(rows) > 150
    understood = map(json.loads, _node("targets.js", text=json.dumps([row["text"] for row in rows])).splitlines())
    for row, told in zip(rows, understood, strict=True):
        address, wanted = row["text"], row.get("question")
        if re.search(
            r"/popout/\w+/chat|/popout/moderator/|//www\.twitch\.tv/embed/|//clips.*/edit\b|/subs/",
            address,
            re.IGNORECASE,
        ):
            wanted = None  # no player is there
        if told is not None and wanted is None:
            # The moment is the player's: that of the address does not count.
            assert re.search("/videos/.*[#?]t=", address), address
            assert told["at"] == 0, address
            continue
        assert told == wanted, address


def test_every_problem_is_explained_and_every_word_is_there() -> None:
    words = json.loads((EXTENSION / "_locales/en/messages.json").read_text(encoding="utf-8"))
    local = re.findall(
        r'"([a-z-]+)"', (EXTENSION / "lib/problem.js").read_text(encoding="utf-8").split("LOCAL_CODES")[1]
    )
    ours = {each for each in local if "-" in each or each == "offline"}
    headings, texts = (
        {found[1] for name in words if (found := re.fullmatch(rf"problem_(\w+)_{part}", name))}
        for part in ("heading", "text")
    )
    # A code of the server without words here is shown with the server's own: see library.test.js.
    assert headings == texts
    assert headings >= {code.replace("-", "_") for code in ours}
    assert headings <= {str(code).replace("-", "_") for code in (*PROBLEM_KINDS, *ours)}
    used: set[str] = set()
    for file in EXTENSION.rglob("*"):
        if file.suffix in (".js", ".html", ".json") and "_locales" not in file.parts:
            text = file.read_text(encoding="utf-8")
            used |= set(re.findall(r'say\("(\w+)"', text))
            used |= set(re.findall(r'data-i18n(?:-[\w-]+)?="(\w+)"', text)) | set(
                re.findall(r"__MSG_(\w+)__", text)
            )
    reasons = (EXTENSION / "lib/address.js").read_text(encoding="utf-8").split("ADDRESS_REASONS")[1].split("]")[0]
    used |= {f"address_{reason}" for reason in re.findall(r'"(\w+)"', reasons)}
    site_access = (EXTENSION / "lib/site_access.js").read_text(encoding="utf-8")
    used |= set(re.findall(r'"(popup_page_\w+)"', site_access)) | {"ago_unknown", "connection_at_home"}
    assert used <= words.keys(), used - words.keys()


def test_a_page_keeps_all_its_words_for_when_the_extension_is_updated() -> None:
    words = json.loads((EXTENSION / "_locales/en/messages.json").read_text(encoding="utf-8"))
    table = (
        (EXTENSION / "content/words.js").read_text(encoding="utf-8").split("const KEYS = (")[1].split(").split")[0]
    )
    kept = set(re.findall(r"[a-z_]{4,}", table))
    assert kept <= words.keys()
    for file in (EXTENSION / "content").glob("*.js"):
        text = file.read_text(encoding="utf-8")
        assert set(re.findall(r'"(\w+)"', text)) & words.keys() <= kept
        assert file.name == "words.js" or "i18n" not in text


def test_paths_of_the_server_are_known_as_the_server_knows_them() -> None:
    text = (EXTENSION / "lib/address.js").read_text(encoding="utf-8").split("OWN_PATHS =")[1].split(";")[0]
    assert set(" ".join(re.findall(r'"([^"]*)"', text)).split()) == OWN_PATHS


def test_only_one_file_knows_twitchs_pages() -> None:
    known = re.compile(r"data-a-target|data-test-selector|player-controls|video-player|persistent-player|tw-root")
    files = [*EXTENSION.rglob("*.js"), *EXTENSION.rglob("*.css")]
    assert [file.name for file in files if known.search(file.read_text(encoding="utf-8"))] == ["site.js"]


def test_it_asks_for_no_more_than_it_needs() -> None:
    assert set(MANIFEST["permissions"]) == {"storage", "identity", "activeTab", "scripting"}
    pages = {f"https://{name}.twitch.tv/*" for name in ("www", "clips", "player")}
    # Those of the pages cost no warning beside content_scripts, which has them, too.
    matched = {page for scripts in MANIFEST["content_scripts"] for page in scripts["matches"]}
    assert matched == pages | {"https://clips.twitch.tv/embed*"}
    assert set(MANIFEST["host_permissions"]) == pages | {
        "http://127.0.0.1/*",
        "http://localhost/*",
        "https://id.twitch.tv/*",
    }
    table = (
        (EXTENSION / "lib/site_access.js").read_text(encoding="utf-8").split("TWITCH_PAGES = [")[1].split("]")[0]
    )
    assert set(re.findall(r'"([^"]+)"', table)) == pages
    assert "web_accessible_resources" not in MANIFEST
    for file in EXTENSION.rglob("*.html"):
        assert not re.search(r"<(?!a )[^>]*(src|href)=\"(https?:)?//", file.read_text(encoding="utf-8")), file


def test_the_welcome_page_gives_the_readmes_commands() -> None:
    page = (EXTENSION / "welcome/welcome.html").read_text(encoding="utf-8")
    commands = re.findall(r"<code>(.+?)</code>", page)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(commands) == 2
    assert all(command in readme for command in commands)


def test_the_docs_name_the_addresses_that_operators_register() -> None:
    digest = hashlib.sha256(base64.b64decode(MANIFEST["key"])).hexdigest()[:32]
    chrome = "".join(chr(ord("a") + int(digit, 16)) for digit in digest)
    firefox = hashlib.sha1(MANIFEST["browser_specific_settings"]["gecko"]["id"].encode()).hexdigest()
    docs = (ROOT / "docs/extension.md").read_text(encoding="utf-8")
    assert f"https://{chrome}.chromiumapp.org/twitch" in docs
    assert f"https://{firefox}.extensions.allizom.org/twitch" in docs


def _opened(file: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The manifest of an archive, and its text files."""
    with zipfile.ZipFile(file) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist() if not name.endswith(".png")}
    return json.loads(texts["manifest.json"]), texts


@pytest.mark.parametrize("operator", [None, Operator("https://songs.example:8443", 'Songs \u2013 of "Example"')])
def test_the_archives_are_the_same_bytes_each_time_and_fit_their_stores(
    tmp_path: Path, operator: Operator | None
) -> None:
    for store in ("chrome", "firefox"):
        (tmp_path / "again").mkdir(exist_ok=True)
        first, second = (write_archive(store, folder, operator) for folder in (tmp_path, tmp_path / "again"))
        assert first.read_bytes() == second.read_bytes()
        manifest, texts = _opened(first)
        assert [*texts] == sorted(texts)
        assert not {"types.d.ts", "CHANGELOG.md"} & texts.keys()
        assert not any(name.startswith("store/") for name in texts)
        assert ("service_worker" in manifest["background"]) == (store == "chrome")
        assert ("browser_specific_settings" in manifest) == (store == "firefox")
        assert re.fullmatch(r"\d+\.\d+\.\d+(\.\d+)?", manifest["version"])
        # From a store it asks for a server on the same computer only when the viewer has one.
        local = {"http://127.0.0.1/*", "http://localhost/*"}
        assert not local & set(manifest["host_permissions"])
        assert local <= set(manifest["optional_host_permissions"])


def test_an_operators_archive_has_the_address_built_in(tmp_path: Path) -> None:
    operator = operator_from("https://Songs.Example:8443/", "Songs")
    assert operator == Operator("https://songs.example:8443", "Songs")
    manifest, texts = _opened(write_archive("firefox", tmp_path, operator))
    assert "https://songs.example/*" in manifest["host_permissions"]
    assert manifest["name"] == "TwitchAudio: Songs"
    assert manifest["browser_specific_settings"]["gecko"]["id"] == "twitchaudio@songs.example"
    assert '{"server": "https://songs.example:8443", "name": "Songs"}' in texts["lib/operator.js"]
    program = (
        "import {DEFAULT_SERVER} from './lib/address.js'; import * as storage from './lib/storage.js';"
        "globalThis.browser = {storage: {local: {get: async (otherwise) => otherwise}}};"
        "console.log(DEFAULT_SERVER, (await storage.settings()).server, await storage.isServerChosen())"
    )
    for name in ("lib/operator.js", "lib/address.js", "lib/storage.js", "lib/problem.js"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(texts[name], encoding="utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    said = _node("--input-type=module", "--eval", program.replace("./lib", (tmp_path / "lib").as_uri()))
    assert said == "https://songs.example:8443 https://songs.example:8443 true\n"
    below = operator_from("https://songs.example/twitchaudio/", None)
    assert below == Operator("https://songs.example/twitchaudio", "songs.example")
    for server, name in (
        ("http://songs.example", None),
        ("https://songs.example/a//b", None),
        ("https://songs.example/a?b", None),
        ("https://me:pw@songs.example", None),
        ("https://", None),
        ("https://songs.example:99999", None),
        ("https://songs.example", ""),
        ("https://songs.example", "x" * 31),
        ("https://songs.example", "a\nb"),
        (None, "Songs"),
    ):
        with pytest.raises(ValueError, match="--"):
            operator_from(server, name)


def test_what_moves_stands_where_less_motion_is_wished_and_forced_colors_leave_edges() -> None:
    """A rule for each selector that is animated, in the file that animates it."""
    files = [*EXTENSION.rglob("*.css"), EXTENSION / "content/panel_style.js"]
    moving = 0
    for file in files:
        text = file.read_text(encoding="utf-8")
        reduced = " ".join(
            re.findall(r"@media \(prefers-reduced-motion: reduce\) \{((?:[^{}]*\{[^{}]*\})+)", text)
        )
        forced = " ".join(re.findall(r"@media \(forced-colors: active\) \{((?:[^{}]*\{[^{}]*\})+)", text))
        still = set(re.findall(r"[^{},;\s][^{},;]*(?=[^{}]*\{[^{}]*(?:animation|transition): none)", reduced))
        for selectors, rule in re.findall(r"([^{};]+)\{([^{}]*)\}", text):
            if re.search(r"(?:^|[;\s])(?:animation|transition):(?! none)", rule):
                moving += 1
                for selector in selectors.split(","):
                    plain = re.sub(r":(?:hover|focus-visible)", "", selector.strip())
                    assert plain in {each.strip() for each in still}, f"{file.name}: {selector}"
        if re.search(r"border: 0|border: none", text):
            assert "ButtonText" in forced or "border" in forced, file.name
    assert moving >= 4
