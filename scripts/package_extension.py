"""Makes the two store archives of the extension: the same bytes from the same files, wherever and whenever."""

import argparse
import hashlib
import json
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
EXTENSION: Final = ROOT / "extension"
TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that an archive can hold."""

NOT_SHIPPED: Final = frozenset({"types.d.ts"})


def main() -> int:
    """Write both archives and print their names, sizes and SHA-256."""
    parser = argparse.ArgumentParser(prog="scripts/package-extension", description=(__doc__ or "").strip())
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="DIR", help="default: dist")
    folder: Path = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for store in ("chrome", "firefox"):
        file = write_archive(store, folder)
        content = file.read_bytes()
        print(f"{file.name}  {len(content)} bytes  sha256 {hashlib.sha256(content).hexdigest()}")
    return 0


def manifest_for(store: str) -> dict[str, Any]:
    """The one manifest without what the other store complains of."""
    manifest: dict[str, Any] = json.loads((EXTENSION / "manifest.json").read_text(encoding="utf-8"))
    if store == "chrome":
        del manifest["browser_specific_settings"], manifest["background"]["scripts"]
        del manifest["key"]  # the store has its own
    else:
        del manifest["key"], manifest["minimum_chrome_version"], manifest["background"]["service_worker"]
    return manifest


def write_archive(store: str, folder: Path) -> Path:
    """Write the archive of a store, `chrome` or `firefox`; gives its path."""
    manifest = manifest_for(store)
    file = folder / f"twitchaudio-{manifest['version']}-{store}.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(shipped(), key=lambda each: each.relative_to(EXTENSION).as_posix()):
            name = path.relative_to(EXTENSION).as_posix()
            content = path.read_bytes()
            if name == "manifest.json":
                content = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
            entry = zipfile.ZipInfo(name, TIME)
            entry.compress_type = zipfile.ZIP_STORED  # compressors differ between versions
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            archive.writestr(entry, content)
    return file


def shipped() -> list[Path]:
    """The files that users get."""
    return [
        path
        for path in EXTENSION.rglob("*")
        if path.is_file() and path.name not in NOT_SHIPPED and not path.name.startswith(".")
    ]


if __name__ == "__main__":
    sys.exit(main())
