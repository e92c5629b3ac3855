"""Each example runs on the local Azure ML and gives what it promises."""

from __future__ import annotations

import json
import re
import shutil
import struct
import zlib

import pytest

from tests.acceptance.conftest import ROOT
from tests.programs import need_mpirun

EXAMPLES = ROOT / "examples"

# Example 1 of the tutorial that the users of the first version know, as it stands there.
KNOWN_SCRIPT = """\
run = Run.get_context()
parser = argparse.ArgumentParser()
parser.add_argument("--config", type=json.loads, dest="config") #Les hyperparamètres, est un dictionnaire!
parser.add_argument("--new-data", type=str, dest="new_data")
parser.add_argument("--test-data", type=str, dest="test_data")
parser.add_argument("--input-folder", type=str, dest="input_folder") #Folder contenant les données reçus de step précédent
parser.add_argument("--output-folder", type=str, dest="output_folder") #Folder dans lequel mettre les données à passer au prochain step
args = parser.parse_args()
config = args.config\x20
new_dataset = run.input_datasets[config.get("new_dataset_name")].to_pandas_dataframe() #Les datasets deviennent des DataFrames
test_dataset = run.input_datasets[config.get("test_dataset_name")].to_pandas_dataframe()
"""  # noqa: E501


@pytest.fixture
def example(shell):
    """`example("quickstart")`: a shell that stands in a copy of it, beside copies of the others."""

    def copy(name):
        shutil.copytree(EXAMPLES, shell.folder / "examples")
        shell.folder = shell.folder / "examples" / name
        return shell

    return copy


def check_quickstart(folder, output, word="Completed"):
    assert re.search(r"^Run [0-9a-f-]{36}: Completed$", output, re.MULTILINE)
    steps = re.findall(rf"^  (\w+) +{word} +[\d.]+ s$", output, re.MULTILINE)
    assert steps == ["prepare", "train", "evaluate"]
    metrics = dict(re.findall(r"^  (\w+) +(\S.*)$", output.partition("Metrics")[2], re.MULTILINE))
    assert int(metrics["rows_train"]) + int(metrics["rows_test"]) == 342
    assert float(metrics["accuracy"]) > 0.95
    first, last = re.fullmatch(r"([\d.]+) … ([\d.]+) \(10 values\)", metrics["loss"]).groups()
    assert float(first) > 2 * float(last)
    results = folder / "results"
    assert str(results) in output
    result = json.loads(next(results.rglob("result.json")).read_text())
    assert result["accuracy"] == pytest.approx(float(metrics["accuracy"]), rel=1e-3)
    assert sum(map(sum, result["confusion"])) == result["penguins"] == int(metrics["rows_test"])
    check_png(next(results.rglob("outputs/confusion.png")).read_bytes())
    assert "penguins, 342 of them measured" in next(results.rglob("prepare/**/*.txt")).read_text()


def check_png(data):
    """Every chunk's checksum, and as many pixels as the header says."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, place = {}, 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length) == (zlib.crc32(kind + body),)
        chunks[kind], place = body, place + 12 + length
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + 3 * width)


@pytest.mark.slow
def test_the_quickstart_ends_with_its_results_and_again_in_the_same_home(example):
    shell = example("quickstart")
    for word in ("Completed", "reused"):
        done = shell.run("python", "run.py")
        check_quickstart(shell.folder, done.stdout, word)
        # azure-ai-ml is installed beside it: nobody needs to hear that there is no login in Azure.
        assert "DefaultAzureCredential" not in done.stderr


# A new network namespace has a loopback device that is down (netdevice(7): SIOCSIFFLAGS, IFF_UP | IFF_RUNNING).
LOOPBACK_UP = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x41))
"""


@pytest.mark.slow
def test_the_quickstart_needs_no_network(example):
    """In a network namespace where there is nothing but loopback."""
    shell = example("quickstart")
    unshare = shell.network_namespace()
    script = f"python -c '{LOOPBACK_UP}'; python run.py; aml local down"
    check_quickstart(shell.folder, shell.run(*unshare, "bash", "-euc", script).stdout)


@pytest.mark.slow
def test_a_proxy_is_not_asked_for_what_is_on_this_machine(example):
    """Where a company's proxy is set, requests to 127.0.0.1 must not go to it; here it would refuse them all."""
    shell = example("quickstart")
    dead = "http://127.0.0.1:9"
    shell.extra |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), dead)
    check_quickstart(shell.folder, shell.run("python", "run.py").stdout)


def test_the_tutorials_step_script_is_the_known_one():
    script = (EXAMPLES / "tutorial" / "scripts" / "step_script.py").read_text(encoding="utf-8")
    assert KNOWN_SCRIPT in script
    assert script.endswith("\n\nrun.complete()\n")


@pytest.mark.slow
def test_the_tutorial_runs(example):
    shell = example("tutorial")
    runs = [line for line in shell.run("python", "tutorial.py").stdout.splitlines() if " Completed {" in line]
    assert len(runs) == 3
    for line in runs:
        slope = float(re.search(r"'slope': ([\d.]+)", line)[1])
        assert slope == pytest.approx(0.0196, abs=0.0005)


@pytest.mark.slow
def test_the_training_pipeline_runs_its_three_types_of_steps(example):
    need_mpirun()
    shell = example("train_pipeline")
    shutil.copy(shell.folder / "env.example", shell.folder / ".env")
    shell.run("python", "upload_data.py")
    output = shell.run("python", "kickoff_train_pipeline.py").stdout
    assert re.findall(r"^(\w+): Completed$", output, re.MULTILINE) == ["normalize", "train", "score", "report"]
    assert sorted(re.findall(r"^rank (\d) of 4: 2 traces", output, re.MULTILINE)) == ["0", "1", "2", "3"]
    peaks = dict(re.findall(r"^trace-(\d).json (\d+)$", output, re.MULTILINE))
    assert peaks == {str(number): str(10 * number) for number in range(8)}


@pytest.mark.slow
def test_a_program_that_knows_only_the_sdk_runs(example):
    shell = example("raw_sdk")
    output = shell.aml("local", "exec", "--", "python", "pipeline.py").stdout
    assert re.search(r"^(Finished|Completed) \{.*'heaviest': 'Gentoo'", output, re.MULTILINE), output
    assert "'mass_g': 5076" in output


def test_no_example_knows_an_account():
    """Secrets and real subscriptions have no place in examples."""
    ids = {
        found
        for path in EXAMPLES.rglob("*")
        if path.is_file() and path.suffix in (".py", ".json", ".md")
        for found in re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", path.read_text())
    }
    assert ids == {"11111111-2222-3333-4444-555555555555"}
