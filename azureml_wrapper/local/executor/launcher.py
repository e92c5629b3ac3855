"""Runs a user's script in a step's interpreter, and saves what it logged when it ends.

    python launcher.py SCRIPT [ARGUMENT …]
    python launcher.py -m MODULE [ARGUMENT …]

This file stands alone: the interpreter may be one (Python 3.6 or later) that has neither azureml_wrapper nor the SDK.
The script must not notice it: `__main__`, `sys.argv`, `sys.path[0]`, exit codes, tracebacks and signals are as
without it.

`run.log()` only puts metrics in a queue, and a bare process that ends loses them. In Azure a wrapper of the service
empties the queues; here it is the SDK's own shutdown hook.
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
# Files whose frames a traceback does not show; zygote.py calls this file in a process that was forked.
_OURS = (__file__, os.path.join(os.path.dirname(__file__), "zygote.py"), runpy.__file__, "<frozen runpy>")  # noqa: PTH118, PTH120


def main() -> None:
    """Run what the command line names."""
    if sys.argv[1] == "-m":
        del sys.argv[:2]
        # As Python itself does for `-m`: the working directory comes first.
        sys.path[0] = os.getcwd()  # noqa: PTH109 - pathlib is slow to import, and the script may not want it
        _guard(_run_module, sys.argv[0])
    else:
        del sys.argv[0]
        _guard(_run_script, sys.argv[0])


def _run_module(name: str) -> None:
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_script(path: str) -> None:
    """As `python path`: the script is the module `__main__`, so that pickle and multiprocessing find its names."""
    full = os.path.abspath(path)  # noqa: PTH100
    try:
        with open(full, "rb") as file:  # noqa: PTH123
            source = file.read()
    except OSError as error:
        print(f"can't open file {full!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from None
    sys.path[0] = os.path.dirname(full)  # noqa: PTH120
    script = types.ModuleType("__main__")
    script.__dict__.update(__file__=full, __builtins__=__builtins__, __annotations__={})
    # A module whose last name goes is emptied; this function still runs in the launcher's.
    sys.modules["__launcher__"], sys.modules["__main__"] = sys.modules["__main__"], script
    exec(compile(source, full, "exec", dont_inherit=True), script.__dict__)  # noqa: S102 - what it is for


def _guard(run: "Callable[[str], None]", name: str) -> None:
    """Run the script; whatever way it ends, save what it logged before Python reports the end."""
    try:
        run(name)
    except BaseException:
        sys.excepthook = _without_launcher(sys.excepthook)
        flush()
        raise
    flush()


def flush() -> None:
    """Wait until what was logged to runs is saved."""
    # Where no run registered itself to be flushed, there is nothing to wait for.
    runs = sys.modules.get("azureml._run_impl.run_base")
    if runs is None or runs._RunBase._registered_kill_handlers.empty():
        return
    from azureml._history.utils.context_managers import SendRunKillSignal

    SendRunKillSignal(True, FLUSH_SECONDS).__exit__(None, None, None)


def _without_launcher(show: "Callable[..., object]") -> "Callable[..., object]":
    """Python's (or the script's) way to show an exception, less the frames that are not the script's."""

    def show_script(kind: type, error: BaseException, trace: "types.TracebackType | None") -> None:
        while trace is not None and trace.tb_frame.f_code.co_filename in _OURS:
            trace = trace.tb_next
        error.__traceback__ = trace
        show(kind, error, trace)

    return show_script


if __name__ == "__main__":
    main()
