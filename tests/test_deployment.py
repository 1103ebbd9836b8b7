"""The deployment template, the images' definitions and the Compose file say what the code needs."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml

from fingerprint.jobs.dynamodb.tables import TTL_ATTRIBUTE, TableNames, table_definitions
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import settings_table
from fingerprint.upstream_settings import DynamoDbSettings, ProviderSettings
from server.settings import ServerSettings
from server.web.languages import NAMES
from tests.template import TEMPLATE, Deployed, server_actions

ROOT: Final = Path(__file__).parent.parent


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
    made = {
        properties["TableName"]: properties
        for properties in Deployed().resources.values()
        if "TableName" in properties
    }
    # Of a stack with our name; those of others have names of their own.
    wanted = table_definitions(TableNames(defaults.stream_table, defaults.clip_table))
    assert set(made) == {definition["TableName"] for definition in wanted}
    for definition in wanted:
        properties = made[definition["TableName"]]
        assert {name: properties[name] for name in definition} == definition
        assert properties["TimeToLiveSpecification"]["AttributeName"] == TTL_ATTRIBUTE


def test_two_stacks_of_an_account_share_no_name() -> None:
    def names(stack: str) -> set[str]:
        resources = Deployed(stack=stack).resources.values()
        return {
            properties[name]
            for properties in resources
            for name in ("TableName", "FunctionName", "QueueName", "RoleName", "AlarmName", "ManagedPolicyName")
            if name in properties
        }

    assert names("twitchaudio") & names("songs") == set()
    assert ServerSettings().lambda_function in names("twitchaudio")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {}),
        ({"ReservedConcurrency": "50"}, {"ReservedConcurrentExecutions": "50"}),
        (
            {"ProvisionedConcurrency": "2"},
            {"ProvisionedConcurrencyConfig": {"ProvisionedConcurrentExecutions": "2"}},
        ),
        (
            {"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"},
            {"VpcConfig": {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}},
        ),
        ({"Architecture": "arm64"}, {"Architectures": ["arm64"]}),
    ],
    ids=str,
)
def test_what_a_function_has_beside_the_least_is_a_parameter(
    given: dict[str, str], wanted: dict[str, Any]
) -> None:
    function = Deployed(**given).resource("FingerprintFunction")
    names = ("ReservedConcurrentExecutions", "ProvisionedConcurrencyConfig", "VpcConfig")
    assert {name: function[name] for name in names if name in function} == {
        name: value for name, value in wanted.items() if name in names
    }
    assert function["Architectures"] == wanted.get("Architectures", ["x86_64"])


_SECRET: Final = "{{{{resolve:secretsmanager:keys:SecretString:{}}}}}"


@pytest.mark.parametrize(
    ("given", "variables"),
    [
        ({}, ()),
        ({"AuddSecret": "keys"}, ("AUDD_API_TOKEN",)),
        ({"AcrCloudSecret": "keys"}, ("ACRCLOUD_HOST", "ACRCLOUD_ACCESS_KEY", "ACRCLOUD_ACCESS_SECRET")),
        ({"DatabaseSecret": "keys"}, ("TWITCHAUDIO_DATABASE_URL",)),
    ],
    ids=str,
)
def test_secrets_are_read_from_where_secrets_are_kept(given: dict[str, str], variables: tuple[str, ...]) -> None:
    found = Deployed(**given).resource("FingerprintFunction")["Environment"]["Variables"]
    always = {"TWITCHAUDIO_JOBS", "TWITCHAUDIO_DYNAMODB_STREAM_TABLE", "TWITCHAUDIO_DYNAMODB_CLIP_TABLE"}
    assert set(found) == always | set(variables)
    assert all(found[name] == _SECRET.format(name) for name in variables)
    known = {info.variable for info in settings_table(PipelineSettings, DynamoDbSettings, ProviderSettings)}
    assert set(found) <= known


def test_a_catalog_in_s3_can_be_read_and_nothing_else_there() -> None:
    function = Deployed(CatalogBucket="music", CatalogPrefix="songs").resource("FingerprintFunction")
    assert function["Environment"]["Variables"]["TWITCHAUDIO_CATALOGS"] == "s3://music/songs"
    statements = [statement for policy in function["Policies"] for statement in policy["Statement"]]
    allowed = {(statement["Action"], statement["Resource"]) for statement in statements[1:]}
    assert allowed == {("s3:GetObject", "arn:aws:s3:::music/songs*"), ("s3:ListBucket", "arn:aws:s3:::music")}
    assert len(Deployed().resource("FingerprintFunction")["Policies"]) == 1


def test_alarms_watch_everything_that_can_be_given_up_and_tell_a_topic_if_there_is_one() -> None:
    for topic in ("", "arn:aws:sns:eu-central-1:1:pager"):
        made = Deployed(AlarmTopic=topic).resources
        alarms = {name: properties for name, properties in made.items() if name.endswith("Alarm")}
        metrics = {alarm["MetricName"] for alarm in alarms.values()}
        assert metrics == {"Errors", "Throttles", "Duration", "ApproximateNumberOfMessagesVisible"}
        assert all(alarm.get("AlarmActions", []) == ([topic] if topic else []) for alarm in alarms.values())
    assert made["FingerprintFunction"]["DeadLetterQueue"]["Type"] == "SQS"


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
    assert server_actions() == calls | {"lambda:InvokeFunction"}


S3_ACTIONS: Final = {
    # Without leave to list a bucket, an object that is missing is answered with 403.
    "get_object": {"GetObject", "ListBucket"},
    "list_objects_v2": {"ListBucket"},
    "put_object": {"PutObject"},
    "delete_objects": {"DeleteObject"},
    "create_multipart_upload": {"PutObject"},
    "upload_part": {"PutObject"},
    "complete_multipart_upload": {"PutObject"},
    "abort_multipart_upload": {"AbortMultipartUpload"},
    "list_multipart_uploads": {"ListBucketMultipartUploads"},
}
"""What each call to S3 has to be allowed."""


def _called(file: str, owner: str) -> dict[str, set[str]]:
    """What the functions of a file call as `self._OWNER.NAME`, each with what other functions of it call."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    calls: dict[str, set[str]] = {}
    inner: dict[str, set[str]] = {}
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            match node:
                case ast.Attribute(value=ast.Attribute(value=ast.Name("self"), attr=name), attr=called):
                    if name == owner:
                        calls.setdefault(function.name, set()).add(called)
                case ast.Attribute(value=ast.Name("self"), attr=called):
                    inner.setdefault(function.name, set()).add(called)
                case _:
                    pass
    for name, others in inner.items():
        for other in others:
            calls.setdefault(name, set()).update(calls.get(other, ()))
    return calls


def test_what_is_called_of_s3_is_allowed_to_functions_and_named_for_operators() -> None:
    of_store = _called("fingerprint/remote_catalogs/object_store.py", "_client")
    assert set().union(*of_store.values()) == set(S3_ACTIONS)

    def actions(*files: str) -> set[str]:
        used = {name for file in files for names in _called(file, "_store").values() for name in names}
        calls = {call for name in used for call in of_store.get(name, ())}
        return {f"s3:{action}" for call in calls for action in S3_ACTIONS[call]}

    reading = actions("fingerprint/remote_catalogs/copies.py", "fingerprint/remote_catalogs/follower.py")
    function = Deployed(CatalogBucket="music").resource("FingerprintFunction")
    allowed = {statement["Action"] for statement in function["Policies"][1]["Statement"]}
    assert allowed == reading
    writing = actions("fingerprint/remote_catalogs/writing.py")
    assert writing > {"s3:PutObject", "s3:ListBucketMultipartUploads"}
    said = (ROOT / "docs/catalog.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(s3:\w+)`", said)) == reading | writing


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.lambda", "Dockerfile.dynamodb"])
def test_images_copy_what_exists_and_do_not_run_as_root(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert "*" in source or (ROOT / source).exists(), source
    user = re.findall(r"^USER (\w+)$", text, re.MULTILINE)
    assert user
    assert user[-1] != "root"


def test_the_image_copies_everything_that_the_wheel_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["only-include"], *wheel["force-include"], project["project"]["readme"]}
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        source for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for source in line.split()[:-1]
    }
    missing = {path for path in needed if not any(path == each or path.startswith(f"{each}/") for each in copied)}
    assert missing == set()


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
    wanted = set(re.findall(r"\$\{(\w+PASSWORD):-\}", text))
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert wanted == set(re.findall(r"^(\w*PASSWORD)=$", example, re.MULTILINE))


def test_no_name_is_given_twice_in_the_compose_file() -> None:
    """Newer versions of Compose refuse that; Python's reader takes the last one."""
    pending: list[Any] = [cast("Any", yaml).compose((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, yaml.MappingNode):
            names = [key.value for key, _ in node.value]
            assert len(names) == len(set(names)), [name for name in names if names.count(name) > 1]
            pending += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            pending += node.value


def test_every_setting_can_be_given_to_the_containers_by_the_env_file() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    table = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    settings = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", table, re.MULTILINE)) - {"TWITCHAUDIO_DATA_DIR"}
    assert settings <= set(services["server"]["environment"])
    stores = {"TWITCHAUDIO_DATABASE_URL", "TWITCHAUDIO_JOBS", "TWITCHAUDIO_DYNAMODB_ENDPOINT"}
    assert settings - stores <= set(services["minimal"]["environment"])


def test_the_database_asks_for_passwords_that_are_not_set() -> None:
    database = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["database"]
    command = [word.replace("$$", "$") for word in database["entrypoint"]]
    for passwords in ({}, {"MARIADB_PASSWORD": "a", "MARIADB_ROOT_PASSWORD": ""}):
        done = subprocess.run(
            command, env={"PATH": os.defpath, **passwords}, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1
        assert done.stderr == "Set DATABASE_PASSWORD and DATABASE_ROOT_PASSWORD in .env: see .env.example.\n"


def test_compose_itself_reads_the_file(tmp_path: Path) -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed (Debian: apt-get install docker-compose)")
    # `minimal` has no database, so a file without passwords is read, too.
    environment = tmp_path / "env"
    environment.write_text("", encoding="utf-8")
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


def test_images_keep_the_languages_of_the_website() -> None:
    kept = re.search(r"^ +(root \| .+)\) ;;$", (ROOT / "scripts/lib/trim-packages").read_text(), re.MULTILINE)
    assert kept is not None
    assert {name for name in kept[1].split(" | ") if "_" not in name} == {"root", "en", *NAMES}


def test_the_function_loads_only_packages_that_its_image_and_archive_have() -> None:
    installed = {
        line.split("==")[0].lower()
        for line in (ROOT / "requirements/lambda.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    }
    program = (
        "import importlib.metadata as m, sys, fingerprint.lambda_handler\n"
        "loaded = {name.partition('.')[0] for name in list(sys.modules)}\n"
        "names = m.packages_distributions()\n"
        "print(*{each for name in loaded for each in names.get(name, ())})"
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.lower().replace("_", "-") for name in said.stdout.split()}
    assert "aiohttp" in loaded
    assert loaded - installed <= {"twitchaudio", "setuptools"}
