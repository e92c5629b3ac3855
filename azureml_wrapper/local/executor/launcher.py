"""Runs a user's script in a job's interpreter, and saves what the script logged when it ends.

    python launcher.py SCRIPT [ARGUMENT …]
    python launcher.py -m MODULE [ARGUMENT …]

This file has no dependencies: the interpreter (Python 3.6 or later) may have neither azureml_wrapper nor the SDK.
Scripts must not notice it: `__main__`, `sys.argv`, `sys.path[0]`, exit codes, tracebacks and signals are the same as
without it.

`run.log()` only puts metrics into a queue, which is lost when a plain process ends. In Azure a wrapper of the service
flushes the queues; here the SDK's own shutdown hook does.
"""

import os
import runpy
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# In logs of real jobs: "Cleaning up all outstanding Run operations, waiting 300.0 seconds".
FLUSH_SECONDS = 300.0
# Files whose frames are removed from tracebacks; zygote.py calls this file in a forked process.
_OURS = (__file__, os.path.join(os.path.dirname(__file__), "zygote.py"), runpy.__file__, "<frozen runpy>")  # noqa: PTH118, PTH120


def main() -> None:
    """Run what the command line names."""
    if sys.argv[1] == "-m":
        del sys.argv[:2]
        # As Python does for `-m`: the working directory comes first.
        sys.path[0] = os.getcwd()  # noqa: PTH109 - pathlib is slow to import, and the script may not want it
        _guard(_run_module, sys.argv[0])
    else:
        del sys.argv[0]
        _guard(_run_script, sys.argv[0])


def _run_module(name: str) -> None:
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_script(path: str) -> None:
    """Run as `python path`: the script is the module `__main__`, so that pickle and multiprocessing work."""
    full = os.path.abspath(path)  # noqa: PTH100
    try:
        with open(full, "rb") as file:  # noqa: PTH123
            source = file.read()
    except OSError as error:
        print(f"can't open file {full!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from None
    sys.path[0] = os.path.dirname(full)  # noqa: PTH120
    # Azure's runtime appends the project (azureml-setup/context_managers.py, ProjectPythonPath): scripts in
    # subfolders import from the root of their source directory, and installed packages win.
    root = os.getcwd()  # noqa: PTH109
    if root not in sys.path:
        sys.path.append(root)
    script = types.ModuleType("__main__")
    script.__dict__.update(__file__=full, __builtins__=__builtins__, __annotations__={})
    # Python empties a module without references; this function still needs the launcher's.
    sys.modules["__launcher__"], sys.modules["__main__"] = sys.modules["__main__"], script
    exec(compile(source, full, "exec", dont_inherit=True), script.__dict__)  # noqa: S102 - what it is for


def _guard(run: "Callable[[str], None]", name: str) -> None:
    """Run the script. However it ends, save what it logged before Python reports the end."""
    try:
        run(name)
    except BaseException:
        sys.excepthook = _without_launcher(sys.excepthook)
        flush()
        raise
    flush()


def flush() -> None:
    """Wait until everything that was logged to runs is saved."""
    # Nothing to wait for if no run has registered itself to be flushed.
    runs = sys.modules.get("azureml._run_impl.run_base")
    if runs is None or runs._RunBase._registered_kill_handlers.empty():
        return
    from azureml._history.utils.context_managers import SendRunKillSignal

    SendRunKillSignal(True, FLUSH_SECONDS).__exit__(None, None, None)


def _without_launcher(show: "Callable[..., object]") -> "Callable[..., object]":
    """Wrap Python's (or the script's) exception hook, so that it shows the script's frames only."""

    def show_script(kind: type, error: BaseException, trace: "types.TracebackType | None") -> None:
        while trace is not None and trace.tb_frame.f_code.co_filename in _OURS:
            trace = trace.tb_next
        error.__traceback__ = trace
        show(kind, error, trace)

    return show_script


if __name__ == "__main__":
    main()
