"""Other machines, played on Linux: a `sitecustomize` hides from every Python of a folder what they do not have.

It proves that nothing calls what is hidden. It does not prove that what is left behaves there as it does here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="plays other machines on Linux")

_HIDE = """
import os, sys

def hide(module, *names):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
        assert not hasattr(module, name), name

def refuse(error, text):
    def function(*arguments, **settings):
        raise OSError(error, text)
    return function
"""

# What Darwin lacks: no /proc, and none of Linux's own calls; waitid only since Python 3.13.
MACOS = """
import errno, resource, select, signal, socket, subprocess, sysconfig, types
import psutil

# Kept for the process; later it would look for the variables of a Python for macOS.
sysconfig.get_config_vars()

# psutil reads what its variant for macOS asks of the system from another name of /proc.
psutil.PROCFS_PATH = os.path.join(os.path.dirname(__file__), "kernel")
HIDDEN = ("/proc", b"/proc")

def is_hidden(path):
    path = os.fspath(path) if isinstance(path, os.PathLike) else path
    return isinstance(path, (str, bytes)) and path.startswith(HIDDEN[isinstance(path, bytes)])

def check(path):
    if is_hidden(path):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)

sys.addaudithook(lambda event, given: check(given[0]) if event in ("open", "os.scandir", "os.listdir") else None)
for name in ("stat", "lstat", "readlink", "access"):
    def asks(path, *given, _ask=getattr(os, name), **settings):
        check(path)
        return _ask(path, *given, **settings)
    setattr(os, name, asks)

hide(os, "pidfd_open", "waitid", "P_PID", "P_PIDFD", "WNOWAIT", "WEXITED", "sched_getaffinity", "sched_setaffinity")
hide(os, "copy_file_range", "posix_fallocate", "posix_fadvise", "memfd_create", "eventfd", "splice", "pipe2")
hide(os, "O_TMPFILE", "O_DIRECT", "O_PATH", "getxattr", "setxattr")
hide(resource, "prlimit")
hide(select, "epoll")
hide(signal, "sigtimedwait", "sigwaitinfo", "pidfd_send_signal")

set_limit = resource.setrlimit

def limited(kind, limits):
    # OPEN_MAX (sys/syslimits.h).
    if kind == resource.RLIMIT_NOFILE and limits[0] > 10240:
        raise ValueError("current limit exceeds maximum limit")
    set_limit(kind, limits)

resource.setrlimit = limited
sys.platform = "darwin"
# The system's settings of proxies, which urllib asks for.
scproxy = types.ModuleType("_scproxy")
scproxy._get_proxies = scproxy._get_proxy_settings = dict
sys.modules["_scproxy"] = scproxy
"""

# What Windows lacks, in a process whose other libraries are loaded: they would import their own parts for Windows.
WINDOWS = """
import asyncio, concurrent.futures, ctypes, getpass, multiprocessing, pathlib, shutil, signal, socket, ssl, subprocess
import sysconfig, tempfile, types, uuid, zoneinfo
import click, click.testing, click.shell_completion, pydantic, requests, rich.console, tzlocal, urllib3, yaml
import azure.identity, azureml.core, azureml.core.authentication, azureml.data, azureml.pipeline.core, pandas

sysconfig.get_config_vars()
# Its own calls stand for those of its variant for Windows.
for name, module in (("os", os), ("signal", signal)):
    whole = types.ModuleType(name)
    vars(whole).update(vars(module))
    setattr(subprocess, name, whole)
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "_posixsubprocess"):
    sys.modules[name] = None
hide(os, "fork", "forkpty", "killpg", "setsid", "getsid", "getpgid", "setpgid", "getuid", "geteuid", "chown")
hide(os, "pwrite", "pread", "mkfifo", "waitid", "posix_fallocate", "sched_getaffinity", "pidfd_open", "sendfile")
hide(os, "copy_file_range", "set_blocking", "fchmod", "statvfs", "uname", "O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW")
hide(os, "register_at_fork", "WNOHANG", "WEXITED", "WNOWAIT", "P_PID", "posix_spawn", "getloadavg", "sysconf")
hide(signal, "SIGKILL", "SIGHUP", "SIGQUIT", "SIGCHLD", "SIGUSR1", "SIGALRM", "alarm", "setitimer", "siginterrupt")
hide(socket, "AF_UNIX")

# The C library's text mode: Python's own files are always binary, descriptors of os.open are not.
os.O_BINARY = 1 << 29
really_open, really_write, in_text = os.open, os.write, set()

def opens(path, flags, mode=0o777, **settings):
    descriptor = really_open(path, flags & ~os.O_BINARY, mode, **settings)
    (in_text.discard if flags & os.O_BINARY else in_text.add)(descriptor)
    return descriptor

def writes(descriptor, data):
    if descriptor not in in_text:
        return really_write(descriptor, data)
    really_write(descriptor, bytes(data).replace(b"\\n", b"\\r\\n"))
    return len(data)

os.open, os.write = opens, writes
# A process that has replaced itself has ended, for the one that waits for it.
for name in ("execv", "execve", "execvp", "execvpe"):
    setattr(os, name, refuse(8, "a new process would start, and this one end"))
msvcrt = types.ModuleType("msvcrt")
msvcrt.LK_NBLCK, msvcrt.locking = 2, lambda handle, mode, size: None
sys.modules["msvcrt"] = msvcrt
sys.platform = "win32"
"""

NO_HARD_LINKS = """
import errno
os.link = refuse(errno.EPERM, "Operation not permitted")
"""

# As on a share that is mounted with one owner for all files.
OTHER_OWNER = """
import errno
set_times = os.utime

def only_now(path, times=None, *, ns=None, **settings):
    if times or ns:
        raise PermissionError(errno.EPERM, "Operation not permitted", path)
    set_times(path, **settings)

os.utime = only_now
os.chmod = os.chown = refuse(errno.EPERM, "Operation not permitted")
"""

# A sandbox that refuses what newer kernels have.
OLD_KERNEL = """
import errno, resource
os.pidfd_open = os.copy_file_range = refuse(errno.ENOSYS, "Function not implemented")
resource.prlimit = refuse(errno.EPERM, "Operation not permitted")
"""


def play(folder: Path, *machines: str) -> str:
    """A PYTHONPATH with which a Python finds itself on such a machine."""
    folder.mkdir()
    (folder / "kernel").symlink_to("/proc")
    (folder / "sitecustomize.py").write_text(_HIDE + "".join(machines), encoding="utf-8")
    return os.pathsep.join([str(folder), str(Path(__file__).parents[1])])
