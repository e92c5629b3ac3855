"""Environments: what becomes of requirements files and conda files, and run configurations to put them in."""

from __future__ import annotations

import codecs
import random

import pytest

from azureml_wrapper import pip_lines
from azureml_wrapper.assets.environments import Packages, new_run_configuration
from azureml_wrapper.assets.requirements import read_conda, read_requirements
from azureml_wrapper.errors import BadValue, ConfigNotFound, ConfigSyntax
from tests.work import calls

HASH = "--hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"
PASSWORD = "pass-3Fz9"


@pytest.fixture
def put(tmp_path):
    def write(name: str, content: str | bytes):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "--editable ./src",
        "-e src[test]",
        "-e git+file:///srv/a#egg=a",
        "./a-1.0-py3-none-any.whl",
        "a-1.0-py3-none-any.whl",
        "a @ file:///srv/a-1.0-py3-none-any.whl",
        "dist/a.tar.gz",
        "../a",
        ".",
        "-f ./wheels",
        "--find-links=wheels",
        "-i file:///srv/simple",
    ],
)
def test_a_line_that_names_a_file_of_this_machine_is_refused_with_its_number(put, line):
    file = put("requirements.txt", f"# packages\nnumpy\n{line}\n")
    with pytest.raises(BadValue, match=r"requirements\.txt, line 3: .* List the packages instead"):
        read_requirements(file)


@pytest.mark.parametrize(
    "line",
    [
        "numpy==2.0",
        "-e git+https://example.org/a.git#egg=a",
        "git+https://example.org/a.git@v1#egg=a",
        "https://example.org/a-1.0-py3-none-any.whl",
        "a @ https://example.org/a-1.0-py3-none-any.whl",
        "tomli ; python_version < '3.11'",
        "-i https://example.org/simple",
        "--extra-index-url=https://example.org/simple",
        "--trusted-host example.org",
        "-f https://example.org/wheels",
        "--pre",
        "--no-binary :all:",
        "--only-binary numpy,scipy",
        "--prefer-binary",
        "--no-index",
        "-r https://example.org/base.txt",
        "-c https://example.org/constraints.txt",
    ],
)
def test_what_the_build_can_read_is_kept(put, line):
    assert read_requirements(put("requirements.txt", f"# first\n\n{line}\t# why\n")) == [line]


def test_two_lines_of_a_package_and_of_an_option_are_all_kept(put):
    lines = ["--extra-index-url https://a.example", "--extra-index-url https://b.example"]
    lines += ["six==1.16.0; python_version < '3.8'", "six==1.17.0; python_version >= '3.8'", "azureml-core"]
    environment = Packages(requirements=put("requirements.txt", "\n".join(lines))).define("e")
    assert environment.python.conda_dependencies.as_dict()["dependencies"][-1] == {"pip": lines}


def test_a_hash_on_the_next_line_belongs_to_its_package(put):
    file = put("requirements.txt", f"six==1.16.0 \\\n    {HASH} \\\n    {HASH}\n")
    assert read_requirements(file) == [f"six==1.16.0 {HASH} {HASH}"]


def test_hashes_are_for_all_packages_or_none(put, caplog):
    caplog.set_level("INFO", "azureml_wrapper")
    hashed = put("requirements.txt", f"six==1.16.0 {HASH}\n")
    with pytest.raises(BadValue, match="'numpy' has no --hash, and others have"):
        Packages(dependencies=("numpy",), requirements=hashed).define("e")
    environment = Packages(requirements=hashed).define("e")
    assert list(environment.python.conda_dependencies.pip_packages) == [f"six==1.16.0 {HASH}"]
    assert "azureml-defaults is not added to packages with hashes" in caplog.text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_is_read_in_its_encoding(put, encoding):
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    text = "# é\r\nsix\r\nnumpy\r\n"
    file = put("requirements.txt", marks.get(encoding, b"") + text.encode(encoding))
    assert read_requirements(file) == ["six", "numpy"]
    conda = text.replace("six", "dependencies:\r\n- six").replace("numpy", "- numpy")
    file = put("conda.yml", marks.get(encoding, b"") + conda.encode(encoding))
    assert read_conda(file)["dependencies"] == ["six", "numpy"]


def test_an_encoding_is_told_by_its_comment_and_a_wrong_one_is_refused(put):
    assert read_requirements(put("a.txt", b"# -*- coding: latin-1 -*-\nsix # \xe9\n")) == ["six"]
    with pytest.raises(ConfigSyntax, match=r"b\.txt: its encoding is not known"):
        read_requirements(put("b.txt", b"six # \xe9\n"))


def test_files_that_are_included_are_read_beside_the_file_that_names_them(put):
    put("more/base.txt", "-r deep.txt\nscipy\n")
    put("more/deep.txt", "six\n")
    assert read_requirements(put("requirements.txt", "numpy\n-r more/base.txt\n")) == ["numpy", "six", "scipy"]


def test_a_mistake_in_an_included_file_is_told_with_that_file_and_a_missing_one_with_its_line(put):
    put("base.txt", "\n./local\n")
    with pytest.raises(BadValue, match=r"base\.txt, line 2: './local'"):
        read_requirements(put("requirements.txt", "-rbase.txt\n"))
    with pytest.raises(ConfigNotFound, match=r"requirements\.txt, line 2: .*nope\.txt does not exist"):
        read_requirements(put("requirements.txt", "six\n-r nope.txt\n"))
    put("base.txt", "-r requirements.txt\n")
    with pytest.raises(BadValue, match=r"base\.txt, line 1: .* includes this one"):
        read_requirements(put("requirements.txt", "-r base.txt\n"))


def test_constraints_become_conditions_of_the_packages_that_they_limit(put):
    put("limits.txt", "NumPy<3\nsix==1.16.0 ; python_version < '4'\n")
    file = put("requirements.txt", "-c limits.txt\nnumpy>=2 ; python_version > '3'\nsix\n")
    assert read_requirements(file) == [
        'numpy<3,>=2; python_version > "3"',
        "six",
        "six==1.16.0 ; python_version < '4'",
    ]


def test_a_constraint_of_another_package_is_refused(put):
    put("limits.txt", "# all\njinja2<3\n")
    with pytest.raises(BadValue, match=r"limits\.txt, line 2: 'jinja2<3' limits a package that is not in the list"):
        read_requirements(put("requirements.txt", "-c limits.txt\nnumpy\n"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("numpy=1.2", "numpy=1.2"),
        ("foo bar", "Invalid requirement"),
        ("--process-dependency-links", "no such option"),
        ("-Z", "legacy option"),
        ("numpy -i https://example.org", "not supported with a requirement"),
        ("-i", "requires 1 argument"),
        ("numpy --config-settings='a=b'", "no such option"),
    ],
)
def test_what_pip_does_not_take_is_refused_with_its_number(put, line, why):
    with pytest.raises(BadValue, match=r"requirements\.txt, line 2: ") as caught:
        read_requirements(put("requirements.txt", f"six\n{line}\n"))
    assert why in str(caught.value)


def test_variables_are_replaced_outside_of_comments(put, monkeypatch):
    monkeypatch.setenv("VERSION_OF_SIX", "1.16.0")
    file = put("requirements.txt", "# ${NOBODY}\nsix==${VERSION_OF_SIX} # ${NOBODY}\nnumpy==${NOBODY}\n")
    with pytest.raises(BadValue, match=r"requirements\.txt, line 3: the variable NOBODY is not set"):
        read_requirements(file)
    assert read_requirements(put("requirements.txt", "\nsix==${VERSION_OF_SIX}\n")) == ["six==1.16.0"]


def test_a_variable_with_a_login_does_not_get_into_an_environment(put, monkeypatch):
    monkeypatch.setenv("TOKEN", PASSWORD)
    file = put("requirements.txt", "-i https://me:${TOKEN}@example.org/simple\nsix\n")
    with pytest.raises(BadValue, match=r"line 1: \$\{TOKEN\} is part of an address's login.*set_connection"):
        read_requirements(file)


@pytest.mark.parametrize(
    "line",
    [
        f"-i https://me:{PASSWORD}@example.org/simple --unknown",
        f"--find-links=file://me:{PASSWORD}@/srv",
        f"six @ https://me:p@{PASSWORD}@example.org/six.whl ; nonsense",
        f"numpy --unknown git+https://{PASSWORD}@example.org/six.git",
        f"numpy == https://example.org/six.whl?sv=1&sig={PASSWORD}",
    ],
)
def test_a_password_is_in_no_message(put, line):
    with pytest.raises(BadValue) as caught:
        read_requirements(put("requirements.txt", f"{line}\n"))
    assert PASSWORD not in str(caught.value)
    assert "****" in str(caught.value)


def test_the_user_of_a_repository_is_no_secret():
    assert pip_lines.masked("git+ssh://git@example.org/a.git@v1") == "git+ssh://git@example.org/a.git@v1"


def test_the_pip_part_of_a_conda_file_is_a_requirements_file_beside_it(put):
    put("base.txt", "six\n")
    file = put(
        "conda.yml",
        f"name: e\nchannels: [conda-forge]\ndependencies:\n- python=3.10\n- pip\n- pip:\n"
        f"  - -r base.txt\n  - --pre\n  - numpy==2.0 \\\n  - '  {HASH}'\n",
    )
    assert read_conda(file) == {
        "name": "e",
        "channels": ["conda-forge"],
        "dependencies": ["python=3.10", "pip", {"pip": ["six", "--pre", f"numpy==2.0 {HASH}"]}],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty. Expected `dependencies:`"),
        ("# nothing\n", "the file is empty"),
        ("- numpy\n", "is not a conda file: must be a mapping"),
        ("dependencies:\n- numpy\n- pip: six\n", "line 3: pip must be a list, got the string 'six'"),
        ("dependencies:\n- pip:\n  - six\n  - ./a\n", "line 4: './a' names a file or folder of this machine"),
        ("dependencies:\n- pip:\n  - |\n    six\n    -r nope.txt\n", "line 3: "),
        ("dependencies: numpy\n", "line 1: dependencies must be a list"),
        ("dependencies:\n- numpy\n- 3\n", "line 3: a package must be a string, got 3"),
        ("dependencies:\n- pip:\n  - 3\n", "line 3: a package must be a string, got 3"),
        ("dependencies:\n- npm: [left-pad]\n", "line 2: unknown key 'npm'"),
        ("name: e\npackages: [numpy]\n", "line 2: unknown key 'packages'"),
    ],
)
def test_a_conda_file_that_azure_could_not_build_is_refused_with_its_line(put, text, message):
    with pytest.raises((BadValue, ConfigNotFound)) as caught:
        Packages(conda_file=put("conda.yml", text)).define("e")
    assert f"conda.yml{',' if message.startswith('line') else ':'} {message}" in str(caught.value)


@pytest.mark.parametrize("text", ["dependencies:\n- pip:\n", "dependencies:\n", "name: e\n"])
def test_an_empty_list_has_no_packages(put, text):
    conda = Packages(dependencies=("six",), conda_file=put("conda.yml", text)).define("e").python.conda_dependencies
    assert list(conda.pip_packages) == ["six"]


def test_the_index_of_a_list_replaces_the_options_of_the_sdk(put):
    own = Packages(dependencies=("six",)).define("e").python.conda_dependencies
    assert list(own.pip_options)
    given = Packages(requirements=put("r.txt", "-i https://example.org/simple\nsix")).define("e")
    assert list(given.python.conda_dependencies.pip_options) == ["-i https://example.org/simple"]


def test_each_run_configuration_is_as_the_sdk_makes_it_and_nobody_elses():
    from azureml.core import RunConfiguration
    from azureml.core._serialization_utils import _serialize_to_dict

    expected = _serialize_to_dict(RunConfiguration())
    first = new_run_configuration()
    assert _serialize_to_dict(first) == expected
    first.environment.python.conda_dependencies.add_pip_package("more")
    first.environment_variables["MORE"] = "1"
    assert _serialize_to_dict(first) != expected
    assert _serialize_to_dict(new_run_configuration()) == expected


LINES = [
    "numpy",
    "pandas==1.5.3",
    "a-b_c.D>=1,<2",
    "x!=1.0",
    "q>=1.0  # why",
    "# only a comment \\",
    "y \\",
    "z==1 \\",
    "  --hash=sha256:" + "a" * 64,
    "--pre",
    "-i https://example.org/simple",
    "a-",
    "zope.interface==5",
    "a-1.0-py3-none-any.whl",
    "x==",
    "==1",
    "x[extra]>=1",
    "x; python_version < '3'",
    "  numpy ",
    "x==1.*",
    "x~=1.2",
    "1",
    "",
]


def test_plain_lines_mean_what_the_library_makes_of_them():
    chance = random.Random(1)  # noqa: S311
    for _ in range(100):
        text = "\n".join(chance.choice(LINES) for _ in range(chance.randint(1, 8)))
        whole = pip_lines._parse(text)
        assert pip_lines.parse(text) == tuple(whole[number] for number in sorted(whole)), text


def test_plain_lines_cost_little():
    # A thousand times as many, if pip's option parser is built for each.
    assert calls(lambda: pip_lines.parse("\n".join(f"package{number}==1.{number}" for number in range(100)))) < 3000
