"""What the site that hosts the repository reads is true: its workflows and forms, and what builds the documentation.

Nobody runs these files where the tests run, so that each thing that they name is looked up here.
"""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import load_command_class

from django_websocket.speedups import VARIABLE

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parent.parent
WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github/workflows").iterdir())}
FORMS = {path.stem: path for path in sorted((ROOT / ".github/ISSUE_TEMPLATE").iterdir()) if path.stem != "config"}
#: All that is YAML.
FILES = [*WORKFLOWS.values(), *(ROOT / ".github").rglob("*.yml"), ROOT / ".readthedocs.yaml"]
REQUIREMENTS = ROOT / ".github/requirements.txt"
#: The variable that setup.py reads.
REPOSITORY = "DJANGO_WEBSOCKET_REPOSITORY"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def load(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def triggers_of(workflow: str) -> dict[str, Any]:
    """Return what starts a workflow; to YAML 1.1 the key ``on`` is a truth value."""
    return load(WORKFLOWS[workflow])[True]


def jobs_of(workflow: str) -> dict[str, Any]:
    return load(WORKFLOWS[workflow])["jobs"]


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each step of each workflow, behind the name of its job."""
    for workflow in WORKFLOWS:
        for name, job in jobs_of(workflow).items():
            for step in job.get("steps", ()):
                yield f"{workflow}: {name}", step


COMMANDS = [(name, line) for name, step in steps() for line in step.get("run", "").splitlines()]


def setup_arguments() -> dict[str, ast.expr]:
    """Return the arguments with which setup.py calls ``setup()``."""
    calls = [node for node in ast.walk(ast.parse(read("setup.py"))) if isinstance(node, ast.Call)]
    (call,) = (call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "setup")
    return {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}


def supported(prefix: str) -> list[str]:
    """Return the versions that the classifiers with this prefix name."""
    classifiers = ast.literal_eval(setup_arguments()["classifiers"])
    matches = (re.fullmatch(rf"{prefix} :: (\d+\.\d+)", line) for line in classifiers)
    return [match[1] for match in matches if match]


PYTHONS = supported("Programming Language :: Python")
DJANGOS = supported("Framework :: Django")
EXTRAS = [ast.literal_eval(key) for key in setup_arguments()["extras_require"].keys]


def expand(name: str) -> list[str]:
    """Return the names that one with braces stands for, as in tox.ini."""
    match = re.search(r"\{([^}]*)\}", name)
    if match is None:
        return [name]
    return [
        other for part in match[1].split(",") for other in expand(name[: match.start()] + part + name[match.end() :])
    ]


def tox_environments() -> list[str]:
    listed = re.search(r"^env_list =\n((?:    .*\n)+)", read("tox.ini"), re.MULTILINE)
    return [name for line in listed[1].split() for name in expand(line)]


ENVIRONMENTS = tox_environments()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_file_is_yaml(path):
    assert isinstance(load(path), dict)


class TestVersions:
    def test_the_workflow_runs_every_python(self):
        assert jobs_of("tests")["python"]["strategy"]["matrix"]["python"] == PYTHONS

    def test_tox_has_every_python(self):
        found = {match[1] for name in ENVIRONMENTS if (match := re.match(r"py3(\d+)-", name))}
        assert [f"3.{minor}" for minor in sorted(found, key=int)] == PYTHONS

    def test_tox_has_every_django(self):
        found = {match[1] for name in ENVIRONMENTS if (match := re.search(r"-dj(\d+)", name))}
        assert [f"{factor[0]}.{factor[1:]}" for factor in sorted(found)] == DJANGOS
        for version in DJANGOS:
            major, minor = version.split(".")
            assert f"    dj{major}{minor}: Django>={version},<{major}.{int(minor) + 1}\n" in read("tox.ini")

    def test_the_readme_says_so(self):
        *first, last = DJANGOS
        assert f"* Python {PYTHONS[0]} to {PYTHONS[-1]}; Django {', '.join(first)} and {last}.\n" in read("README.rst")
        assert ast.literal_eval(setup_arguments()["python_requires"]) == f">={PYTHONS[0]}"

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
    def test_every_other_python_is_one_of_them(self, path):
        named = re.findall(r"""(?:python(?:-version)?: "|image: python:)(\d\.\d+)""", path.read_text(encoding="utf-8"))
        assert set(named) <= set(PYTHONS)

    def test_the_coverage_is_measured_where_everything_runs(self):
        """The container has one Python, and tox skips the environments of the others."""
        image = jobs_of("tests")["everything"]["container"]["image"]
        minor = re.fullmatch(r"python:3\.(\d+)-[a-z]+", image)[1]
        assert [name for name in ENVIRONMENTS if name.startswith(f"py3{minor}-") and name.endswith("-plain")]


class TestWorkflows:
    def test_a_request_runs_all_that_the_test_command_runs(self):
        """The command is that of the README, which ``.ci/run`` runs; it runs all environments."""
        jobs = jobs_of("tests")
        assert {"push", "pull_request", "workflow_call"} <= set(triggers_of("tests"))
        assert ("tests: everything", ".ci/run") in COMMANDS
        factors = {f"py{version.replace('.', '')}" for version in jobs["python"]["strategy"]["matrix"]["python"]}
        beside = {name for name in ENVIRONMENTS if name.partition("-")[0] in factors}
        beside |= set(jobs["checks"]["strategy"]["matrix"]["environment"])
        # They need what only .ci/run installs.
        assert set(ENVIRONMENTS) - beside == {"live", "browser"}
        assert beside <= set(ENVIRONMENTS)

    def test_no_python_is_skipped_in_silence(self):
        (command,) = (line for name, line in COMMANDS if name == "tests: python" and " tox " in line and "-f" in line)
        assert "--skip-missing-interpreters=false" in shlex.split(command)

    @pytest.mark.parametrize(("name", "step"), [(name, step) for name, step in steps() if "uses" in step])
    def test_an_action_is_pinned_to_a_commit(self, name, step):
        """Whoever takes over an action can move its tags. The comment says which version the commit is."""
        action, _, commit = step["uses"].partition("@")
        assert re.fullmatch(r"[0-9a-f]{40}", commit), name
        texts = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS.values())
        named = set(re.findall(rf"uses: {re.escape(action)}@(\S+ # v\d+\.\d+\.\d+)\n", texts))
        assert len(named) == 1, f"{action} has several versions"
        assert texts.count(f"uses: {action}@") == len(
            re.findall(rf"uses: {re.escape(action)}@\S+ # v\d+\.\d+\.\d+\n", texts)
        )

    @pytest.mark.parametrize(
        ("name", "step"), [(name, step) for name, step in steps() if "checkout" in step.get("uses", "")]
    )
    def test_no_token_is_left_in_the_clone(self, name, step):
        assert step["with"] == {"persist-credentials": False}, name

    @pytest.mark.parametrize("workflow", WORKFLOWS)
    def test_a_workflow_may_only_read(self, workflow):
        assert load(WORKFLOWS[workflow])["permissions"] == {"contents": "read"}
        granted = {name: job["permissions"] for name, job in jobs_of(workflow).items() if "permissions" in job}
        trusted = {"publish": {"attestations": "write", "contents": "read", "id-token": "write"}}
        assert granted == (trusted if workflow == "release" else {})

    def test_what_may_publish_runs_nothing_of_the_project(self):
        publish = jobs_of("release")["publish"]
        assert publish["environment"] == "pypi"
        assert [step for step in publish["steps"] if "run" in step or "checkout" in step["uses"]] == []
        assert publish["if"] == "github.event_name == 'push'"
        assert set(triggers_of("release")) == {"push", "workflow_dispatch"}
        assert set(triggers_of("release")["push"]) == {"tags"}

    @pytest.mark.parametrize("workflow", WORKFLOWS)
    def test_no_job_runs_for_hours_and_none_runs_twice(self, workflow):
        for name, job in jobs_of(workflow).items():
            assert "uses" in job or job["timeout-minutes"] <= 90, name
        group = load(WORKFLOWS[workflow])["concurrency"]["group"]
        # A called workflow in the group of its caller would wait for it.
        assert group == f"{workflow}-${{{{ github.ref }}}}"

    @pytest.mark.parametrize(("name", "line"), COMMANDS)
    def test_a_command_takes_nothing_unquoted_from_outside(self, name, line):
        """An expression in a command is put into it before the shell reads it, whatever it contains."""
        assert "${{" not in line, name

    @pytest.mark.parametrize(("name", "line"), COMMANDS)
    def test_the_files_that_a_command_names_exist(self, name, line):
        words = [word for word in shlex.split(line) if re.fullmatch(r"\.?[\w-]+(/[\w.-]+)+", word)]
        assert [word for word in words if not word.startswith("dist/") and not (ROOT / word).exists()] == [], name

    def test_called_workflows_exist(self):
        called = [job["uses"] for workflow in WORKFLOWS for job in jobs_of(workflow).values() if "uses" in job]
        assert called == ["./.github/workflows/tests.yml"]
        assert (ROOT / called[0]).exists()

    @pytest.mark.parametrize("workflow", WORKFLOWS)
    def test_jobs_wait_for_jobs_that_exist(self, workflow):
        jobs = jobs_of(workflow)
        assert {name for job in jobs.values() for name in job.get("needs", ())} <= set(jobs)


class TestRelease:
    def test_it_builds_for_each_architecture_once(self):
        wheels = jobs_of("release")["wheels"]["strategy"]["matrix"]["include"]
        configured = re.findall(
            r"^\[tool\.cibuildwheel\.(\w+)\]\narchs = (\[.*\])$", read("pyproject.toml"), re.MULTILINE
        )
        built = [(entry["system"], name) for entry in wheels for name in entry["archs"].split(",")]
        assert sorted(built) == sorted(
            (system, name) for system, names in configured for name in ast.literal_eval(names)
        )

    def test_the_wheel_of_the_tests_is_one_of_them(self):
        (wheel,) = (line.split() for name, line in COMMANDS if name == "tests: wheel" and "cibuildwheel" in line)
        identifier = wheel[wheel.index("--only") + 1]
        assert re.fullmatch(rf"cp{PYTHONS[-1].replace('.', '')}-manylinux_x86_64", identifier)

    def test_the_wheel_beside_the_source_distribution_is_pure(self):
        (build,) = (step for _, step in steps() if step.get("run", "").startswith("python -m build"))
        assert build["env"] == {VARIABLE: "0"}
        assert build["run"] == "python -m build --outdir dist"

    def test_nothing_is_published_unchecked(self):
        assert jobs_of("release")["publish"]["needs"] == ["tests", "check"]
        assert set(jobs_of("release")["check"]["needs"]) == {"source", "wheels"}
        assert any(name == "release: check" and "twine check --strict dist/*" in line for name, line in COMMANDS)

    def test_the_address_of_the_repository_reaches_every_build(self):
        """Those of Linux run in containers, which see only the variables that are passed."""
        address = "${{ github.server_url }}/${{ github.repository }}"
        assert load(WORKFLOWS["release"])["env"] == {REPOSITORY: address}
        assert f'environment-pass = ["{REPOSITORY}"]\n' in read("pyproject.toml")
        assert f'os.environ.get("{REPOSITORY}"' in read("setup.py")

    def test_the_tag_is_compared_with_the_version(self):
        (step,) = (
            step for name, step in steps() if name == "release: source" and "GITHUB_REF_NAME" in step.get("run", "")
        )
        assert "django_websocket/__init__.py" in step["run"]
        assert re.search(r'^__version__ = "(\d+\.\d+\.\d+.*)"$', read("django_websocket/__init__.py"), re.MULTILINE)

    def test_its_tools_are_pinned(self):
        lines = [line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        pinned = dict(line.split("==") for line in lines)
        run = {
            match[1] for _, line in COMMANDS for match in re.finditer(r"python -m (build|cibuildwheel|twine)\b", line)
        }
        assert set(pinned) == run
        assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in pinned.values())

    def test_what_is_pinned_is_kept_up_to_date(self):
        updates = load(ROOT / ".github/dependabot.yml")["updates"]
        looked_at = {(entry["package-ecosystem"], entry["directory"]) for entry in updates}
        assert looked_at == {("github-actions", "/"), ("pip", "/.github")}
        assert REQUIREMENTS.exists()


def test_the_documentation_is_built_as_by_tox():
    configuration = load(ROOT / ".readthedocs.yaml")
    assert configuration["version"] == 2
    assert (ROOT / configuration["sphinx"]["configuration"]).is_file()
    (install,) = configuration["python"]["install"]
    assert install == {"method": "pip", "path": ".", "extra_requirements": ["docs"]}
    assert "docs" in EXTRAS
    section = read("tox.ini").partition("[testenv:docs]\n")[2].partition("\n\n")[0]
    assert "extras = docs\n" in section
    # Both fail on a warning.
    assert configuration["sphinx"]["fail_on_warning"] is True
    assert " -W " in section


def fields_of(form: str) -> dict[str, dict[str, Any]]:
    return {field["id"]: field for field in load(FORMS[form])["body"] if field["type"] != "markdown"}


@pytest.mark.parametrize("form", FORMS)
class TestForms:
    def test_the_site_takes_the_form(self, form):
        """It shows no form at all that has a mistake, and says so nowhere but in the file's own page."""
        content = load(FORMS[form])
        assert {"name", "description", "labels", "body"} == set(content)
        fields = fields_of(form)
        assert len(fields) == len([field for field in content["body"] if field["type"] != "markdown"])
        for name, field in fields.items():
            assert re.fullmatch(r"[a-z-]+", name)
            assert field["type"] in {"textarea", "input", "dropdown"}
            assert set(field) <= {"type", "id", "attributes", "validations"}
            allowed = {"textarea": {"render"}, "input": set(), "dropdown": {"options", "multiple"}}[field["type"]]
            assert set(field["attributes"]) <= {"label", "description"} | allowed
            assert set(field.get("validations", ())) <= {"required"}
        labels = [field["attributes"]["label"] for field in fields.values()]
        assert len(labels) == len(set(labels))
        for note in (field for field in content["body"] if field["type"] == "markdown"):
            assert set(note) == {"type", "attributes"}
            assert set(note["attributes"]) == {"value"}

    def test_the_commands_that_it_asks_for_exist(self, form):
        text = FORMS[form].read_text(encoding="utf-8")
        commands = [shlex.split(found) for found in re.findall(r"`(python [^`]*)`", text)]
        assert ["python", "-m", "django_websocket"] in commands
        assert ["python", "manage.py", "websocket_doctor", "--json"] in commands
        for command in commands:
            if command[1] == "-m":
                assert (ROOT / command[2] / "__main__.py").exists()
                assert command[3:] == []
            else:
                parser = load_command_class("django_websocket", command[2]).create_parser("manage.py", command[2])
                assert parser.parse_args(command[3:]).json is True

    def test_the_files_that_it_names_exist(self, form):
        named = re.findall(r"`([\w/]+\.rst|docs/)`", FORMS[form].read_text(encoding="utf-8"))
        assert named
        assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_form_knows_the_servers_and_the_proxies():
    fields = fields_of("bug")
    *servers, another = fields["server"]["attributes"]["options"]
    assert another == "another"
    assert [name for name in servers if name not in read("docs/servers.rst")] == []
    proxies = {"apache2-bin": "Apache", "caddy": "Caddy", "haproxy": "HAProxy", "nginx": "nginx"}
    assert [package for package in proxies if f"\n    {package} " not in read(".ci/run")] == []
    assert set(proxies.values()) < set(fields["proxy"]["attributes"]["options"])


def test_a_report_has_what_answers_need():
    fields = fields_of("bug")
    required = {name for name, field in fields.items() if field.get("validations", {}).get("required")}
    assert required >= {"doctor", "versions", "server", "proxy", "client"}
    assert "vulnerabilities" in FORMS["bug"].read_text(encoding="utf-8")


def test_editors_and_the_linter_agree_on_the_length_of_a_line():
    length = re.search(r"^line-length = (\d+)$", read("pyproject.toml"), re.MULTILINE)[1]
    assert f"\nmax_line_length = {length}\n" in read(".editorconfig")
