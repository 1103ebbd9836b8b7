"""Clients generated from the OpenAPI document, as docs/api.md shows it, and Spectral's opinion of the document.

Generators are not ours and are large, so they have environments of their own under `.cache`, and are `nightly`.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Final

import pytest
from aiohttp import ClientSession

from server.api.openapi import openapi_document
from tests.programs import Ran, run_program
from tests.test_docs import ROOT

CACHE: Final = ROOT / ".cache" / "clients"
DOCS: Final = (ROOT / "docs/api.md").read_text(encoding="utf-8")
SECTION: Final = DOCS.partition("\n## Generating a client\n")[2].partition("\n## ")[0]
BLOCK: Final = re.compile(r"^```(\w+)\n(.+?)^```$", re.MULTILINE | re.DOTALL)
SERVER_IN_DOCS: Final = "http://127.0.0.1:8080"

SPECTRAL: Final = "@stoplight/spectral-cli@6.16.3"

PROGRAM_SECONDS: Final = 300.0
"""How long one program may take; the slowest installs packages."""


def blocks(language: str) -> list[str]:
    """The blocks of the section in a language."""
    return [text for name, text in BLOCK.findall(SECTION) if name == language]


async def run(*command: str, folder: Path, path: Path | None = None) -> Ran:
    """Run a program, with the programs of `path` before others."""
    before = () if path is None else ("sh", "-c", 'PATH="$0:$PATH" exec "$@"', str(path))
    return await run_program(*before, *command, folder=folder, seconds=PROGRAM_SECONDS)


async def install(*command: str, folder: Path, path: Path | None = None) -> None:
    """Run a command that fetches packages or makes a place for them. Skips the test where they cannot be had."""
    ran = await run(*command, folder=folder, path=path)
    if ran.code != 0:
        pytest.skip(f"{' '.join(command)} failed: {ran.output[-500:]}")


async def run_well(*command: str, folder: Path, path: Path | None = None) -> str:
    ran = await run(*command, folder=folder, path=path)
    assert ran.code == 0, f"{' '.join(command)}\n{ran.output}"
    return ran.output


def address_of(api: ClientSession) -> str:
    """The server's address, to put in place of that of the docs."""
    return str(api._base_url).rstrip("/")  # pyright: ignore[reportPrivateUsage]


def test_the_docs_show_how_to_generate_a_client() -> None:
    python, typescript = blocks("sh")
    assert "openapi-python-client generate" in python
    assert "npx openapi-typescript" in typescript
    assert len(blocks("python")) == len(blocks("ts")) == 1
    for block in (python, typescript):
        assert f"{SERVER_IN_DOCS}/api/v1/openapi.json" in block
        installed = block.splitlines()[0]
        assert installed.count("@") + installed.count("==") == len(installed.split()) - 2, "a version is not given"


@pytest.mark.nightly
async def test_a_generated_python_client_asks_a_real_server(api: ClientSession, tmp_path: Path) -> None:
    programs = CACHE / "python" / "bin"
    CACHE.mkdir(parents=True, exist_ok=True)
    if not (programs / "pip").exists():
        await install(sys.executable, "-m", "venv", str(CACHE / "python"), folder=tmp_path)
    installs, *generates = blocks("sh")[0].replace(SERVER_IN_DOCS, address_of(api)).splitlines()
    await install("sh", "-ec", installs, folder=tmp_path, path=programs)
    for line in generates:
        await run_well("sh", "-ec", line, folder=tmp_path, path=programs)
    (tmp_path / "bot.py").write_text(blocks("python")[0].replace(SERVER_IN_DOCS, address_of(api)))
    refused = await run_well("python", "bot.py", folder=tmp_path, path=programs)
    assert refused.strip() == "", "the key of the docs is none"
    without_key = re.sub(r", headers=\{[^}]*\}", "", (tmp_path / "bot.py").read_text())
    (tmp_path / "bot.py").write_text(without_key)
    said = await run_well("python", "bot.py", folder=tmp_path, path=programs)
    assert said.strip() == "The Builders - Night Drive"


@pytest.mark.nightly
async def test_a_generated_typescript_client_asks_a_real_server(api: ClientSession) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm not found (on Debian: apt-get install npm)")
    folder = CACHE / "typescript"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
    installs, *generates = blocks("sh")[1].replace(SERVER_IN_DOCS, address_of(api)).splitlines()
    await install("sh", "-ec", installs, folder=folder)
    for line in generates:
        await run_well("sh", "-ec", line, folder=folder)
    program = blocks("ts")[0].replace(SERVER_IN_DOCS, address_of(api))
    (folder / "bot.ts").write_text(re.sub(r", headers: \{[^}]*\}", "", program))
    options = ("--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler")
    await run_well("npx", "tsc", *options, "bot.ts", folder=folder)
    assert (await run_well("node", "bot.js", folder=folder)).strip() == "Night Drive"


@pytest.mark.nightly
async def test_spectral_has_nothing_to_say_about_the_document(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm not found (on Debian: apt-get install npm)")
    folder = CACHE / "spectral"
    folder.mkdir(parents=True, exist_ok=True)
    await install("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", SPECTRAL, folder=folder)
    (tmp_path / "rules.yaml").write_text('extends: ["spectral:oas"]\n')
    (tmp_path / "openapi.json").write_text(json.dumps(openapi_document()))
    program = str(folder / "node_modules" / ".bin" / "spectral")
    check = (program, "lint", "--ruleset", "rules.yaml", "--fail-severity", "hint")
    await run_well(*check, "openapi.json", folder=tmp_path)
    worse = openapi_document()
    del worse["info"]["contact"]
    (tmp_path / "worse.json").write_text(json.dumps(worse))
    ran = await run(*check, "worse.json", folder=tmp_path)
    assert (ran.code, "info-contact" in ran.output) == (1, True), ran.output
