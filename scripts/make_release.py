"""Makes everything of a release: wheel, extension archives, bill of materials, notes, and signed checksums.

The version is the one of the tag at HEAD, which has to be the one in pyproject.toml. Without one, it is a dry
run. Nothing leaves this machine without --publish, which takes the tag, a clean checkout and the program `gh`.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

ROOT: Final = Path(__file__).resolve().parent.parent
LOCKS: Final = ("requirements/runtime.txt", "requirements/redis.txt")
IMAGES: Final = {"twitchaudio": "deploy/Dockerfile", "twitchaudio-fingerprint": "deploy/Dockerfile.lambda"}
SUMS: Final = "SHA256SUMS"


class ReleaseError(Exception):
    """Why there is no release; one line."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """A package of a lock file, with the SHA-256 of each of its files."""

    name: str
    version: str
    hashes: tuple[str, ...]


def main() -> int:
    """Make the release. The exit status."""
    parser = argparse.ArgumentParser(prog="scripts/release", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "release", metavar="DIR")
    parser.add_argument(
        "--images", action="store_true", help="also build the images, with the Docker that is here"
    )
    parser.add_argument("--key", type=Path, metavar="FILE", help="an Ed25519 key in PEM that signs the checksums")
    parser.add_argument("--publish", action="store_true", help="make a release of the tag on GitHub, by `gh`")
    given = parser.parse_args()
    try:
        _release(given.output, images=given.images, key=given.key, publish=given.publish)
    except ReleaseError as error:
        print(f"scripts/release: {error}", file=sys.stderr)
        return 1
    return 0


def _release(folder: Path, *, images: bool, key: Path | None, publish: bool) -> None:
    project = tomllib.loads(_text("pyproject.toml"))["project"]
    version: str = project["version"]
    tag = _tag()
    if tag is not None and tag != f"v{version}":
        raise ReleaseError(f"the tag {tag} is not v{version}, which pyproject.toml says")
    if publish and (tag is None or key is None or _git("status", "--porcelain")):
        raise ReleaseError("--publish takes a tag at HEAD, a clean checkout, and --key")
    notes = changelog_of(_text("CHANGELOG.md"), version)
    if json.loads(_text("extension/manifest.json"))["version"] != version:
        raise ReleaseError(f"extension/manifest.json has another version than {version}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "notes.md").write_text(notes, encoding="utf-8")
    made_at = datetime.fromtimestamp(int(_git("log", "-1", "--format=%ct")), UTC)
    wheel = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-qq",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        ".",
    ]
    _run(*wheel, SOURCE_DATE_EPOCH=str(int(made_at.timestamp())))
    _run(sys.executable, "scripts/package_extension.py", "--output", str(folder))
    packages = [found for lock in LOCKS for found in pinned(_text(lock))]
    bill = json.dumps(bill_of_materials(project["name"], version, packages, made_at), indent=1)
    (folder / f"twitchaudio-{version}.cdx.json").write_text(bill + "\n", encoding="utf-8")
    if images:
        for name, file in IMAGES.items():
            _run("docker", "build", "-f", file, "-t", f"{name}:{version}", ".")
            _run("docker", "save", "-o", str(folder / f"{name}-{version}.tar"), f"{name}:{version}")
    sums = checksums(folder)
    (folder / SUMS).write_bytes(sums)
    if key is not None:
        (folder / f"{SUMS}.sig").write_bytes(sign(sums, key.read_bytes()))
    print(f"{'Release' if tag else 'Dry run of release'} {version} in {folder}:")
    print(sums.decode(), end="")
    if publish:
        files = sorted(str(path) for path in folder.iterdir() if path.name != "notes.md")
        _run("gh", "release", "create", str(tag), "--notes-file", str(folder / "notes.md"), "--verify-tag", *files)


def changelog_of(changelog: str, version: str) -> str:
    """The part of the changelog about a version. Raises ReleaseError when there is none, or it has no date."""
    found = re.search(
        rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    if found is None or not found[1].strip():
        raise ReleaseError(f"CHANGELOG.md has no heading `## {version} (YYYY-MM-DD)` with text below it")
    return found[1].strip() + "\n"


def pinned(lock: str) -> Iterator[Pinned]:
    """The packages of a lock file as pip-compile writes it."""
    for found in re.finditer(
        r"^([A-Za-z0-9._-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", lock, re.MULTILINE
    ):
        yield Pinned(found[1], found[2], tuple(re.findall(r"sha256:([0-9a-f]{64})", found[3])))


def bill_of_materials(name: str, version: str, packages: list[Pinned], made_at: datetime) -> dict[str, object]:
    """The software bill of materials, as CycloneDX 1.5 has it."""
    components = {
        package.name: {
            "type": "library",
            "bom-ref": f"pkg:pypi/{package.name}@{package.version}",
            "name": package.name,
            "version": package.version,
            "purl": f"pkg:pypi/{package.name}@{package.version}",
            # One package has several files, for several machines: each may be the one that is installed.
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": f"https://pypi.org/project/{package.name}/{package.version}/",
                    "hashes": [{"alg": "SHA-256", "content": each} for each in package.hashes],
                }
            ],
        }
        for package in packages
    }
    own = f"pkg:pypi/{name}@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": f"{made_at:%Y-%m-%dT%H:%M:%SZ}",
            "component": {"type": "application", "bom-ref": own, "name": name, "version": version, "purl": own},
        },
        "components": [components[each] for each in sorted(components)],
        "dependencies": [{"ref": own, "dependsOn": sorted(str(each["purl"]) for each in components.values())}],
    }


def checksums(folder: Path) -> bytes:
    """The SHA-256 of each file, as `sha256sum --check` reads it."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name not in (SUMS, f"{SUMS}.sig")
    ]
    return "".join(lines).encode()


def sign(content: bytes, key: bytes) -> bytes:
    """An Ed25519 signature. Raises ReleaseError for another kind of key.

    It is verified by `openssl pkeyutl -verify -rawin -pubin -inkey KEY -in SHA256SUMS -sigfile SHA256SUMS.sig`.
    """
    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise ReleaseError("the key cannot be read: make one with `openssl genpkey -algorithm ed25519`") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise ReleaseError("the key is not an Ed25519 key: make one with `openssl genpkey -algorithm ed25519`")
    return private.sign(content)


def _tag() -> str | None:
    """The tag at HEAD, if there is one."""
    command = ["git", "describe", "--exact-match", "--tags", "--match", "v[0-9]*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    return done.stdout.strip() or None


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def _run(*command: str, **variables: str) -> None:
    prefix = ["env", *(f"{name}={value}" for name, value in variables.items())] if variables else []
    done = subprocess.run([*prefix, *command], cwd=ROOT, stdout=sys.stderr, check=False)  # noqa: S603 - ours
    if done.returncode != 0:
        raise ReleaseError(f"{Path(command[0]).name} {' '.join(command[1:4])} failed")


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
