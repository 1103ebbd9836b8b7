from pathlib import Path

import fingerprint.recognizers
from fingerprint.recognizers import REGISTRY
from fingerprint.settings import PipelineSettings

NOT_RECOGNIZERS = {"__init__", "chain"}


def test_the_registry_and_the_files_agree() -> None:
    files = {path.stem for path in Path(fingerprint.recognizers.__file__).parent.glob("*.py")}
    assert files - NOT_RECOGNIZERS == set(REGISTRY)


def test_each_makes_a_recognizer_of_its_name(tmp_path: Path) -> None:
    settings = PipelineSettings(data_dir=tmp_path)
    for name, entry in REGISTRY.items():
        if entry.is_configured(settings):
            assert entry.factory(settings).name == name


def test_the_default_recognizers_exist() -> None:
    assert set(PipelineSettings().recognizers) <= set(REGISTRY)
