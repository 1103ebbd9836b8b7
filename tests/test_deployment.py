"""The deployment template, the images' definitions and the Compose file say what the code needs."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml

from fingerprint.jobs.dynamodb.tables import TTL_ATTRIBUTE, TableNames, table_definitions
from fingerprint.settings import DynamoDbSettings
from server.settings import ServerSettings

ROOT: Final = Path(__file__).parent.parent
TEMPLATE: Final = ROOT / "deploy" / "template.yaml"


class _Loader(yaml.SafeLoader):
    """Reads `!Ref` and the like as their argument."""


def _behind(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    return loader.construct_sequence(node) if isinstance(node, yaml.SequenceNode) else None


cast("Any", _Loader).add_multi_constructor("!", _behind)


def template() -> dict[str, Any]:
    return yaml.load(TEMPLATE.read_text(encoding="utf-8"), _Loader)


def test_cfn_lint_finds_nothing_in_the_template() -> None:
    program = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(
        [str(program), "--regions", "us-east-1", "--", str(TEMPLATE)],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_template_makes_the_tables_that_the_store_uses() -> None:
    defaults = DynamoDbSettings()
    resources = template()["Resources"]
    made = {
        resource["Properties"]["TableName"]: resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::DynamoDB::Table"
    }
    wanted = table_definitions(TableNames(defaults.stream_table, defaults.clip_table))
    assert set(made) == {definition["TableName"] for definition in wanted}
    for definition in wanted:
        properties = made[definition["TableName"]]
        assert {name: properties[name] for name in definition} == definition
        assert properties["TimeToLiveSpecification"]["AttributeName"] == TTL_ATTRIBUTE


def test_the_template_names_the_function_that_the_server_invokes() -> None:
    function = template()["Resources"]["FingerprintFunction"]["Properties"]
    assert function["FunctionName"] == ServerSettings().lambda_function


def test_the_policies_allow_what_the_store_calls_and_nothing_more() -> None:
    calls: set[str] = set()
    source = (ROOT / "fingerprint/jobs/dynamodb/client.py").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "_client"
        ):
            calls.add("dynamodb:" + "".join(part.title() for part in node.attr.split("_")))
    statements = template()["Resources"]["ServerPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    allowed: set[str] = set()
    for statement in statements:
        actions: Any = statement["Action"]
        allowed |= {actions} if isinstance(actions, str) else set(actions)
        assert "*" not in str(statement)
    assert allowed == calls | {"lambda:InvokeFunction"}


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.lambda", "Dockerfile.dynamodb"])
def test_images_copy_what_exists_and_do_not_run_as_root(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert "*" in source or (ROOT / source).exists(), source
    user = re.findall(r"^USER (\w+)$", text, re.MULTILINE)
    assert user
    assert user[-1] != "root"


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.lambda"])
def test_images_that_may_reach_mysql_name_their_user_whatever_number_they_run_under(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8")
    assert re.search(r"^ENV .*\bUSER=\w+", text, re.MULTILINE)


def test_the_compose_file_holds_no_secret_and_every_service_can_be_watched() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    assert {name for name, service in services.items() if "profiles" not in service} == {"server", "database"}
    for name, service in services.items():
        assert service["healthcheck"]["test"], name
        assert service["logging"]["options"]["max-size"], name
        # Caddy takes ports below 1024, and holds nothing of ours but its certificates.
        assert name == "tls" or str(service["user"]) not in ("root", "0"), name
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable or "SECRET" in variable:
                assert value is None or str(value).startswith("${"), variable
    wanted = set(re.findall(r"\$\{(\w+):\?", text))
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert wanted == set(re.findall(r"^(\w*PASSWORD)=$", example, re.MULTILINE))


def test_every_setting_can_be_given_to_the_containers_by_the_env_file() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    table = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    settings = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", table, re.MULTILINE)) - {"TWITCHAUDIO_DATA_DIR"}
    assert settings <= set(services["server"]["environment"])
    stores = {"TWITCHAUDIO_DATABASE_URL", "TWITCHAUDIO_JOBS", "TWITCHAUDIO_DYNAMODB_ENDPOINT"}
    assert settings - stores <= set(services["minimal"]["environment"])


def test_compose_itself_reads_the_file(tmp_path: Path) -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed (Debian: apt-get install docker-compose)")
    environment = tmp_path / "env"
    environment.write_text("DATABASE_PASSWORD=a\nDATABASE_ROOT_PASSWORD=b\n", encoding="utf-8")
    command = [
        program,
        "--env-file",
        str(environment),
        "-f",
        str(ROOT / "docker-compose.yml"),
        "config",
        "--quiet",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
