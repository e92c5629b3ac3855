"""Defects that tests once let live, each with the test that notices it today. mutants.py applies them."""

from __future__ import annotations

from tests.faults.mutants import Mutation

_UNIT, _WIRE = "tests/unit", "tests/wire"
_TRANSFER = f"{_WIRE}/test_transfer.py::test_a_"
_REGISTER, _RUN = f"{_WIRE}/test_wrapper_register.py::Test", f"{_WIRE}/test_wrapper_pipeline.py::Test"
_BLOBS = f"{_UNIT}/local/test_blobs.py::test_a_"
_SAS = f"{_WIRE}/test_blob_protocol.py::test_"
_CONDITIONS = f"{_WIRE}/test_blob_protocol.py::test_conditions_are_held"


def _m(name: str, file: str, before: str, after: str, *tests: str) -> Mutation:
    return Mutation(name, file, before, after, tests)


SERVICE = (
    _m(
        "a result is reused though its data changed while it was made",
        "local/executor/reuse.py",
        "same = recipe is not None and self._recipes.inputs(job, attempt.made_by) == recipe.inputs",
        "same = recipe is not None",
        f"{_WIRE}/pipelines/test_reuse.py::TestNeverReused::test_a_step_that_read_a_file_which_came_and_went",
    ),
    _m(
        "a signature without an end is valid forever",
        "local/services/blob/authentication.py",
        "if end is None or now >= end:",
        "if end is not None and now >= end:",
        f"{_SAS}a_signature_needs_an_end[None]",
        f"{_SAS}a_signature_needs_an_end[]",
    ),
    _m(
        "a signature to write deletes",
        "local/services/blob/authentication.py",
        'return "d" if method == "DELETE" else "aw"',
        'return "dw" if method == "DELETE" else "aw"',
        f"{_SAS}only_a_signature_to_delete_deletes[w]",
    ),
    _m(
        "the end of a run is lost when the disk is full",
        "local/executor/local.py",
        "if error is None or is_last:",
        "if error is None or is_last or is_temporary(error):",
        "tests/contract/test_executor.py::test_the_end_of_a_run_is_stored_when_that_is_possible_again[cold-full]",
    ),
    _m(
        "a blob counts as modified in the second of its change",
        "local/services/blob/conditions.py",
        "blob.modified > since)",
        "blob.modified >= since)",
        _CONDITIONS,
    ),
    _m(
        "an unchanged blob is sent again",
        "local/services/blob/conditions.py",
        "blob.modified <= since",
        "blob.modified < since",
        _CONDITIONS,
    ),
    _m(
        "a body fills the memory",
        "local/http/application.py",
        "if size > BODY_LIMIT:",
        "if False:",
        f"{_UNIT}/local/test_bodies.py::test_a_body_has_a_limit[small]",
        f"{_UNIT}/local/test_bodies.py::test_a_body_has_a_limit[unknown]",
        f"{_UNIT}/local/test_bodies.py::test_a_body_has_a_limit[large]",
    ),
    _m(
        "the notes of earlier states of a blob are kept forever",
        "local/store/blobfiles.py",
        "AND name = ? AND etag <> ?",
        "AND name = ? AND etag <> ? AND 0",
        f"{_BLOBS}blob_has_one_note_however_often_it_changes",
        f"{_BLOBS}deleted_blob_leaves_no_note",
    ),
    _m(
        "broken work blocks the queue",
        "local/executor/workqueue.py",
        "if not is_temporary(error):",
        "if False:",
        "tests/faults/test_work_that_fails.py::test_work_that_fails_is_given_up_with_its_error_and_the_next_is_done",
    ),
    _m(
        "a blob that comes back fires no schedule",
        "local/scheduler/loop.py",
        "store.forget(current, [name for name in seen if name not in found])",
        "store.forget(current, [])",
        f"{_UNIT}/local/test_scheduler.py::test_a_blob_that_is_moved_away_and_back_counts_as_new",
    ),
    _m(
        "a schedule fires before it is due",
        "local/scheduler/loop.py",
        "if current is None or current.next_fire is None or current.next_fire > now:",
        "if current is None or current.next_fire is None:",
        f"{_UNIT}/local/test_scheduler.py::test_a_schedule_that_changes_while_another_one_fires_does_not_fire[moved]",
    ),
    _m(
        "a request that comes to wait as the service stops keeps it",
        "local/http/routing.py",
        "            if self._is_closed:\n                future.set_result(None)\n",
        "",
        f"{_UNIT}/local/test_routing.py::test_who_comes_after_the_end_does_not_wait",
    ),
    _m(
        "a client that goes away is a traceback",
        "local/server.py",
        "except (OSError, asyncio.TimeoutError):",
        "except asyncio.TimeoutError:",
        "tests/contract/test_uvicorn.py::test_a_client_that_goes_away_before_its_request_costs_nothing[nothing]",
        "tests/contract/test_uvicorn.py::test_a_client_that_goes_away_before_its_request_costs_nothing[nonsense]",
    ),
)

WRAPPER = (
    _m(
        "run(regenerate_outputs=True) reuses results",
        "pipeline.py",
        "regenerate_outputs=regenerate_outputs,",
        "regenerate_outputs=False,",
        f"{_RUN}Settings::test_results_are_made_anew_if_that_is_wanted",
    ),
    _m(
        "run(continue_on_step_failure=True) stops",
        "pipeline.py",
        "regenerate_outputs=regenerate_outputs,\n            continue_on_step_failure=continue_on_step_failure,",
        "regenerate_outputs=regenerate_outputs,",
        f"{_RUN}Settings::test_other_branches_go_on_after_a_failure_if_that_is_wanted",
        f"{_RUN}Failures::test_the_first_of_several_failed_steps_is_told",
    ),
    _m(
        "register(continue_on_step_failure=True) stops",
        "pipeline.py",
        "version=version,\n            continue_on_step_failure=continue_on_step_failure,",
        "version=version,",
        f"{_REGISTER}Versions::test_both_the_pipeline_and_its_schedule_know_whether_other_branches_go_on",
    ),
    _m(
        "scheduled runs leave the experiment of the last run",
        "pipeline.py",
        "choose_experiment_name(experiment_name, self.experiment, name)",
        "choose_experiment_name(experiment_name, None, name)",
        f"{_REGISTER}Versions::test_scheduled_runs_stay_in_the_experiment_of_the_last_run",
    ),
    _m(
        "a disabled version's number is given again",
        "publishing/publication.py",
        "get_all(active_only=False)",
        "get_all(active_only=True)",
        f"{_REGISTER}Versions::test_a_disabled_version_keeps_its_number",
    ),
    _m(
        "no schedule is left if the new one cannot be created",
        "publishing/publication.py",
        "    made = _create(ws, published, publication) if publication.plan else None\n    disable_all(before)\n",
        "    disable_all(before)\n    made = _create(ws, published, publication) if publication.plan else None\n",
        f"{_REGISTER}Versions::test_a_schedule_stays_if_the_one_that_replaces_it_cannot_be_created",
    ),
    _m(
        "another pipeline's schedule of the same name is disabled",
        "publishing/publication.py",
        "each.name == name and each.pipeline_id in versions",
        "each.name == name",
        f"{_REGISTER}Versions::test_somebody_elses_schedule_of_that_name_stays",
    ),
    _m(
        'version "9" is newer than "10"',
        "publishing/publication.py",
        "return max(found, key=lambda each: rank(each.version))",
        "return max(found, key=lambda each: each.version)",
        f"{_REGISTER}Versions::test_the_highest_number_is_the_newest_version",
    ),
    _m(
        "a run is repeated with default data",
        "runs/resubmission.py",
        "data_set_definition_value_assignments=before.data_set_definition_value_assignments,",
        "data_set_definition_value_assignments=None,",
        f"{_WIRE}/pipelines/test_resubmission.py::test_a_dataset_that_was_given_for_a_parameter_is_given_again",
    ),
    _m(
        "a run is repeated without continue_on_step_failure",
        "runs/resubmission.py",
        "continue_experiment_on_node_failure=goes_on,",
        "continue_experiment_on_node_failure=False,",
        f"{_WIRE}/pipelines/test_resubmission.py::test_whether_other_branches_go_on_is_as_before[True]",
    ),
    _m(
        "a small file is another one than was listed",
        "transfer/download_file.py",
        """headers |= {"If-Match": f'"{remote.etag}"'} if remote.etag else {}\n    response =""",
        "response =",
        f"{_TRANSFER}blob_that_was_overwritten_after_the_listing_is_not_fetched_as_what_it_was",
    ),
    _m(
        "a large file is a mixture of two",
        "transfer/download_file.py",
        """headers |= {"If-Match": f'"{remote.etag}"'} if remote.etag else {}\n        headers |=""",
        "headers |=",
        f"{_TRANSFER}blob_that_is_overwritten_between_two_pieces_is_no_mixture",
    ),
    _m(
        "a file that changes while it is read is stored torn",
        "transfer/upload.py",
        "if (now.size, now.mtime_ns) != (file.size, file.mtime_ns):",
        "if now.size != file.size:",
        f"{_TRANSFER}file_that_changes_while_it_is_read_is_not_stored_torn",
    ),
    _m(
        "a container that cannot be opened takes its datastore along",
        "jobs/preparation.py",
        "        if is_new:\n            made.unregister()",
        "        made.unregister()",
        f"{_WIRE}/test_jobs.py::TestDatastore::test_without_its_container_is_told",
    ),
    _m(
        "the states of many jobs are one long request",
        "jobs/states.py",
        "yield experiment, run_ids[start : start + BATCH]",
        "yield experiment, run_ids",
        f"{_UNIT}/jobs/test_states.py::test_each_request_has_one_experiment_and_no_more_jobs_than_a_filter_takes",
    ),
    _m(
        "a long run is looked at every half hour",
        "run.py",
        "min(max(elapsed / 20, SHORTEST_PAUSE), LONGEST_PAUSE)",
        "max(elapsed / 20, SHORTEST_PAUSE)",
        f"{_UNIT}/test_waiting.py::test_the_status_is_asked_for_less_often_as_time_goes_by_but_often_enough",
    ),
    _m(
        "Ctrl-C with show_output is a traceback",
        "run.py",
        "if isinstance(error.__context__, KeyboardInterrupt):",
        "if False:",
        f"{_RUN}Waiting::test_ctrl_c_while_the_log_is_shown_is_ctrl_c",
    ),
    _m(
        "Azure refuses a retry because of its long reason",
        "runs/waiting.py",
        "REASON: reason[:REASON_LENGTH]",
        "REASON: reason",
        f"{_UNIT}/test_waiting.py::test_a_reason_is_cut_to_what_a_property_holds",
    ),
    _m(
        "~ in script_directory is a folder",
        "pipelines/loading.py",
        'directory = Path(fields.script_directory or ".").expanduser()',
        'directory = Path(fields.script_directory or ".")',
        f"{_UNIT}/test_config.py::test_a_script_directory_may_be_in_the_users_home",
    ),
    _m(
        "a value for lr is checked as one for lr_decay",
        "config/parameters.py",
        'return [name for name in names if re.search(re.escape(_VARIABLE.format(name)) + r"(?![A-Za-z0-9_])", text)]',
        "return [name for name in names if re.search(re.escape(_VARIABLE.format(name)), text)]",
        f"{_UNIT}/test_parameters.py::test_a_parameter_in_json_is_not_mistaken_for_one_whose_name_goes_on",
    ),
    _m(
        "a backslash in single quotes escapes",
        "v2/command_line.py",
        """if character == "\\\\" and quote != "'":""",
        """if character == "\\\\":""",
        f"{_UNIT}/v2/test_submit.py::test_a_backslash_escapes_as_a_shell_says",
    ),
    _m(
        "a shell expands what only looks like a parameter",
        "v2/export/syntax.py",
        'words.append(shlex.quote(f"$AML_PARAMETER_{part}"))',
        'words.append(f"$AML_PARAMETER_{part}")',
        f"{_UNIT}/v2/test_export.py::test_what_only_looks_like_a_parameter_is_no_variable_of_the_shell",
    ),
)

_RUNS, _SLOTS, _PARTS, _SCHEDULES = (
    f"{_UNIT}/local/test_runs.py::test_",
    f"{_UNIT}/local/test_executor_parts.py::test_",
    f"{_UNIT}/transfer/test_parts.py::test_a_piece_",
    f"{_UNIT}/local/test_scheduler.py::test_",
)
_OF_TWO_WORKSPACES = f"{_RUNS}runs_of_two_workspaces_may_have_one_id_and_nothing_else_in_common"

# A sample of what matters most: what a run is, who may start, what is sent and fetched, when a schedule fires.
SAMPLE = (
    _m(
        "a run that goes on has started anew",
        "local/store/runs.py",
        "started=run.started or (at if status is RunStatus.RUNNING else None),",
        "started=at if status is RunStatus.RUNNING else run.started,",
        f"{_RUNS}a_run_that_goes_on_after_its_end_keeps_its_start",
    ),
    _m(
        "a canceled run is unfinished",
        "local/store/runs.py",
        "for status in RunStatus if not status.is_terminal)",
        "for status in RunStatus if status not in (RunStatus.COMPLETED, RunStatus.FAILED))",
        f"{_RUNS}what_has_ended_is_not_unfinished",
    ),
    _m(
        "a run's token reaches runs above, in another workspace",
        "local/store/runs.py",
        "FROM runs JOIN above ON run_id = id WHERE workspace = ?1 AND",
        "FROM runs JOIN above ON run_id = id WHERE",
        _OF_TWO_WORKSPACES,
    ),
    _m(
        "a run's namesake in another workspace changes with it",
        "local/store/runs.py",
        'body = :body WHERE workspace = :workspace AND run_id = :run_id"',
        'body = :body WHERE run_id = :run_id"',
        _OF_TWO_WORKSPACES,
    ),
    _m(
        "the end of a run forgets its error",
        "local/store/runs.py",
        "error=error if error is not None else run.error,",
        "error=error,",
        f"{_RUNS}an_error_that_was_told_before_the_end_is_kept",
    ),
    _m(
        "a job that gives up keeps the next one waiting",
        "local/executor/slots.py",
        "        self._pass_on([])\n",
        "",
        f"{_UNIT}/local/test_slots.py::test_who_gives_up_makes_room_for_the_next",
    ),
    _m(
        "a job waits beside a free node",
        "local/executor/slots.py",
        "        while request := self._next():",
        "        if request := self._next():",
        f"{_UNIT}/local/test_slots.py::test_all_that_fit_get_the_slots_of_a_job_of_several_nodes",
    ),
    _m(
        "a job of several nodes is overtaken",
        "local/executor/slots.py",
        "return request.compute not in self._queues and self._take(request)",
        "return self._take(request)",
        f"{_UNIT}/local/test_slots.py::test_a_job_of_several_nodes_waits_for_all_and_is_not_overtaken",
    ),
    _m(
        "a timeout becomes the service's stop",
        "local/executor/slots.py",
        "            if self.reason is not None:\n                return\n            self.reason",
        "            self.reason",
        f"{_SLOTS}the_first_reason_to_stop_counts",
    ),
    _m(
        "a canceled job is Completed",
        "local/executor/slots.py",
        "            self._process = None\n        self.check()\n        return code",
        "            self._process = None\n        return code",
        f"{_SLOTS}work_that_is_stopped_while_its_process_runs_has_not_ended_well",
    ),
    _m(
        "a canceled job starts",
        "local/executor/slots.py",
        "        with self._lock:\n            self.check()\n            process",
        "        with self._lock:\n            process",
        f"{_SLOTS}stopped_work_starts_no_process",
    ),
    _m(
        "the keys of all that was ever waited for are kept",
        "local/http/routing.py",
        "            if not left:\n                del self._futures[key]\n",
        "",
        f"{_UNIT}/local/test_routing.py::test_who_waits_is_woken_by_the_key_and_forgotten",
    ),
    _m(
        "large data are searched for secrets",
        "snapshots/secret_files.py",
        "if size > _LARGEST or not",
        "if not",
        f"{_UNIT}/test_secret_files.py::test_what_only_resembles_a_secret_is_sent",
    ),
    _m(
        "a key in STORE.JSON is sent",
        "snapshots/secret_files.py",
        "path.suffix.lower() in _CONFIGS",
        "path.suffix in _CONFIGS",
        f"{_UNIT}/test_secret_files.py::test_a_file_that_looks_secret_is_refused_with_what_to_do",
    ),
    _m(
        "id_ed25519 is sent",
        "snapshots/secret_files.py",
        "id_(rsa|ed25519)",
        "id_(rsa)",
        f"{_UNIT}/test_secret_files.py::test_a_file_that_looks_secret_is_refused_with_what_to_do",
    ),
    _m(
        "what the storage refuses is sent twice",
        "transfer/outcome.py",
        '        if error.code != "Md5Mismatch":\n            raise\n',
        "",
        f"{_UNIT}/transfer/test_outcome.py::test_a_no_is_not_asked_for_once_more",
    ),
    _m(
        "a transfer that was stopped goes on",
        "transfer/http_client.py",
        "            if self.stop.is_set():\n                raise Stopped\n",
        "",
        f"{_UNIT}/transfer/test_http_client.py::test_a_transfer_that_was_stopped_sends_nothing_more",
    ),
    _m(
        "services are asked as if they were the storage",
        "transfer/http_client.py",
        '{"x-ms-version": VERSION} if headers is None else dict(headers)',
        '{"x-ms-version": VERSION}',
        f"{_UNIT}/transfer/test_http_client.py::test_the_storages_version_is_sent_unless_other_headers_are_given",
    ),
    _m(
        "a link sends the folders beside the project",
        "transfer/local_files.py",
        "if target in above or any(Path(each).is_relative_to(target) for each in above):",
        "if target in above:",
        f"{_UNIT}/transfer/test_local_files.py::test_a_link_to_a_folder_above_it_is_not_followed[far above]",
    ),
    _m(
        "a piece whose line is cut off counts",
        "transfer/download_file.py",
        '.split("\\n")[:-1]',
        '.split("\\n")',
        f"{_PARTS}counts_once_its_line_is_whole",
    ),
    _m(
        "a piece may be too short",
        "transfer/download_file.py",
        "    if len(response.body) != length:",
        "    if False:",
        f"{_PARTS}has_its_length_and_its_md5",
    ),
    _m(
        "a damaged piece is taken",
        "transfer/download_file.py",
        "if md5 and md5 != md5_text(",
        "if False and md5 != md5_text(",
        f"{_PARTS}has_its_length_and_its_md5",
    ),
    _m(
        "a changed schedule forgets when it fired",
        "local/scheduler/loop.py",
        "next_fire=_planned(before, schedule, now), last_fire=before.last_fire)",
        "next_fire=_planned(before, schedule, now))",
        f"{_SCHEDULES}a_changed_schedule_still_knows_when_it_fired_last",
    ),
    _m(
        "a run that goes on is failed",
        "local/scheduler/loop.py",
        "if is_temporary(fault) or self._stores.pipelines.run(record.workspace_id, record.run_id).is_submitted:",
        "if is_temporary(fault):",
        f"{_SCHEDULES}a_run_whose_start_failed_half_way_does_not_fail_of_it",
    ),
    _m(
        "a schedule that was disabled fires",
        "local/scheduler/loop.py",
        "return found if found and found.is_active else None",
        "return found",
        f"{_SCHEDULES}a_schedule_that_changes_while_another_one_fires_does_not_fire[watching and disabled]",
    ),
    _m(
        "a schedule sees the first 5,000 blobs of a folder",
        "local/scheduler/loop.py",
        "if len(items) < PAGE:",
        "if True:",
        f"{_SCHEDULES}all_blobs_of_a_folder_are_seen_however_many_pages_they_take",
    ),
    _m(
        "a burst of blobs waits for the next change",
        "local/scheduler/loop.py",
        "last.at <= now < last.again and not is_due",
        "last.at <= now < last.again",
        f"{_SCHEDULES}a_burst_ends_though_nothing_more_changes_and_polling_is_not_due",
    ),
)

MUTATIONS = (*SERVICE, *WRAPPER, *SAMPLE)
