"""Builds environments ahead of the runs that use them (`Environment.build`).

The interpreter is chosen and built as for a run, so a run with the same environment finds it. Builds are known until
the service stops; what they have built stays.
"""

from __future__ import annotations

import logging
import threading

from azureml_wrapper.local.domain.environments import BuildState, EnvironmentSpec, Prebuild
from azureml_wrapper.local.domain.errors import NotFound, ServiceFault
from azureml_wrapper.local.executor.builds import EnvironmentBuilder, conda_program, machine_pythons
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.executor.environments import OwnPackages, choose
from azureml_wrapper.local.executor.slots import Stopped, StopReason, Work

CLOSE_SECONDS = 5.0

log = logging.getLogger("azureml_wrapper.local")


class Prebuilds:
    """Starts builds, each in a thread of its own."""

    def __init__(self, context: ExecutorContext, builder: EnvironmentBuilder) -> None:
        self._context, self._builder = context, builder
        self._builds: dict[str, Prebuild] = {}
        self._running: dict[Work, threading.Thread] = {}
        self._lock = threading.Lock()

    def start(self, workspace_id: str, environment: EnvironmentSpec) -> Prebuild:
        """Start a build and return at once."""
        build_id = self._context.ids.guid()
        folder = self._context.home.jobs / build_id
        folder.mkdir()
        build = Prebuild(build_id=build_id, workspace_id=workspace_id, log=folder / "build.txt")
        build.log.touch()
        work = Work(job_key=build_id, name=f"build {build_id}")
        thread = threading.Thread(target=self._work, args=(work, build, environment), name=work.name, daemon=True)
        with self._lock:
            self._builds[build_id], self._running[work] = build, thread
        thread.start()
        return build

    def get(self, workspace_id: str, build_id: str) -> Prebuild:
        """A build; raise `NotFound` if it is unknown, for example since the service has stopped."""
        build = self._builds.get(build_id)
        if build is None or build.workspace_id != workspace_id:
            raise NotFound(f"Unknown build {build_id}: the local service forgets builds when it stops. Build again.")
        return build

    def is_busy(self) -> bool:
        """Whether anything is being built."""
        return bool(self._running)

    def close(self) -> None:
        """Stop all builds, because the service ends; an interrupted one is repeated when it is needed."""
        with self._lock:
            running = dict(self._running)
        for work in running:
            work.stop(StopReason.SHUTDOWN)
        for thread in running.values():
            thread.join(CLOSE_SECONDS)

    def _work(self, work: Work, build: Prebuild, environment: EnvironmentSpec) -> None:
        # Used after an unexpected exception: a build must not seem to go on forever.
        state = BuildState.FAILED
        try:
            self._provide(work, build, environment)
            state = BuildState.SUCCEEDED
        except Stopped:
            _say(build, "Stopped: the local service ends.")
        except ServiceFault as fault:
            _say(build, fault.message)
        except OSError as error:
            log.exception("build %s", build.build_id)
            _say(build, f"{type(error).__name__}: {error}")
        finally:
            build.state = state
            with self._lock:
                del self._running[work]

    def _provide(self, work: Work, build: Prebuild, environment: EnvironmentSpec) -> None:
        has_conda = conda_program() is not None
        choice = choose(environment, OwnPackages(), has_conda=has_conda, pythons=machine_pythons)
        _say(build, *choice.reasons)
        if choice.interpreter is None:
            interpreter, python = self._builder.provide(choice, environment, log=build.log, ticket=work)
            _say(build, f"Interpreter: {interpreter}{python and f', of {python}'}.")


def _say(build: Prebuild, *lines: str) -> None:
    with build.log.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
