"""Why a run failed, in a few lines."""

from __future__ import annotations

from azureml_wrapper.runs.failure import Failure, find_traceback

SHORT = """Traceback (most recent call last):
  File "train.py", line 3, in <module>
    main()
  File "train.py", line 2, in main
    raise ValueError("no data")
ValueError: no data"""
# As Azure tells it (2022).
MESSAGE = (
    "Execution failed. User process '/azureml-envs/x/bin/python' exited with status code 1. Please check log file "
    f"'user_logs/std_log.txt' for error details. Error: {SHORT}\n"
)


def test_a_failure_says_step_exit_code_and_traceback():
    failure = Failure.of("train", MESSAGE, find_traceback(MESSAGE))
    assert failure == f"Step 'train' failed with exit code 1.\n{SHORT}"
    assert (failure.step, failure.exit_code, failure.traceback) == ("train", 1, SHORT)


def test_a_killed_process_is_told_with_its_signal():
    failure = Failure.of(
        "train", "Execution failed. User process 'python' was killed by SIGKILL (out of memory?).", ""
    )
    assert failure.startswith("Step 'train' failed: killed by SIGKILL.\nExecution failed.")
    assert failure.exit_code is None


def test_without_a_traceback_the_message_is_told():
    failure = Failure.of(None, "The environment could not be built.\n" + "more\n" * 50, "")
    assert failure.startswith("The run failed.\nThe environment could not be built.")
    assert len(failure.splitlines()) <= 6


def test_what_the_local_service_adds_to_a_traceback_is_told_with_it():
    message = f"{MESSAGE}\n\n[local] The job ran in the service's Python.\n"
    failure = Failure.of("train", message, find_traceback(message))
    assert failure.endswith("ValueError: no data\nThe job ran in the service's Python.")
    assert failure.traceback == SHORT


def test_the_last_of_several_tracebacks_is_found():
    first = SHORT.replace("no data", "first")
    log = (
        f"{first}\n\nDuring handling of the above exception, another exception occurred:\n\n{SHORT}\n\nCleaning up\n"
    )
    assert find_traceback(log) == SHORT


def test_an_exception_of_several_lines_is_whole():
    text = SHORT + "\nsecond line of the message"
    assert find_traceback(text + "\n\nafterwards") == text


def test_where_there_is_no_traceback_none_is_found():
    assert find_traceback("all went well") == ""
    assert find_traceback("") == ""


def test_a_traceback_that_is_cut_is_better_than_none():
    assert find_traceback("Traceback (most recent call last):\n  File").endswith("  File")


def test_a_deep_traceback_is_shortened_to_its_end():
    frames = "".join(f'  File "a.py", line {number}, in f\n    f()\n' for number in range(900))
    failure = Failure.of(
        "a", "exited with status code 1.", f"Traceback (most recent call last):\n{frames}RecursionError: deep"
    )
    assert len(failure.splitlines()) <= 12
    assert failure.endswith("RecursionError: deep")
    assert "line 899" in failure
