"""Pipelines: their parts, modules by name, runs, publications, endpoints and schedules."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Refusal, Route, Runs
from azureml_wrapper.local.services.pipelines import endpoints, handlers, modules, published, schedules

BASE = "/pipelines/v1.0{workspace_scope}"
RUNS = BASE + "/PipelineRuns"
RUN = RUNS + "/{run_id}"
PUBLISHED = BASE + "/Pipelines"
ENDPOINTS = BASE + "/PipelineEndpoints"
SCHEDULES = BASE + "/Schedules"

ROUTES = (
    Route("GET", BASE + "/DataTypes", handlers.list_data_types),
    Route("POST", BASE + "/DataTypes", handlers.add_data_type, runs=Runs.ADD),
    Route("PUT", BASE + "/DataTypes/{data_type}", handlers.put_data_type),
    Route("POST", BASE + "/Modules", handlers.add_module, runs=Runs.ADD),
    Route("POST", BASE + "/Modules/batch", handlers.add_modules, runs=Runs.ADD),
    Route("POST", BASE + "/Modules/query", handlers.find_modules, runs=Runs.READ),
    Route("GET", BASE + "/Modules/Hash/{hash}", handlers.get_module_by_hash),
    Route("GET", BASE + "/Modules/{module}", handlers.get_module),
    Route("POST", BASE + "/AzureMLModules", modules.create),
    Route("GET", BASE + "/AzureMLModules/Name", modules.get_by_name),
    Route("GET", BASE + "/AzureMLModules/{module}", modules.get),
    Route("PUT", BASE + "/AzureMLModules/{module}", modules.put),
    Route("POST", BASE + "/AzureMLModuleVersions", modules.add_version),
    Route("GET", BASE + "/AzureMLModuleVersions/{version}", modules.get_version),
    Route("PUT", BASE + "/AzureMLModuleVersions/{version}", modules.put_version),
    Route("POST", BASE + "/DataSources", handlers.add_data_source, runs=Runs.ADD),
    Route("GET", BASE + "/DataSources/Hash/{hash}", handlers.get_data_source_by_hash),
    Route("GET", BASE + "/DataSources/{data_source}", handlers.get_data_source),
    Route("GET", BASE + "/Graphs/{graph}", handlers.get_graph),
    Route("GET", BASE + "/Graphs/{graph}/Interface", handlers.get_graph_interface),
    Route("POST", RUNS + "/Unsubmitted/CreationInfoWithGraph", handlers.create_run, runs=Runs.ADD),
    # Not `run_id`: a step's script may submit a pipeline, whose run is not of its own family.
    Route("POST", RUNS + "/Submit/{pipeline_run}", handlers.submit_run, runs=Runs.ADD),
    Route("POST", PUBLISHED + "/Create", published.publish),
    Route("GET", PUBLISHED, published.list_published),
    Route("GET", PUBLISHED + "/{pipeline}", published.get_published),
    Route("PUT", PUBLISHED + "/{pipeline}/status", published.set_status),
    Route("POST", RUNS + "/PipelineSubmit/{pipeline}", published.submit, runs=Runs.ADD),
    Route("GET", RUNS + "/Pipeline/{pipeline}", published.list_runs),
    Route("POST", ENDPOINTS + "/Create", endpoints.create),
    Route("GET", ENDPOINTS, endpoints.list_endpoints),
    Route("GET", ENDPOINTS + "/Id/{endpoint}", endpoints.get),
    Route("GET", ENDPOINTS + "/Name", endpoints.get_by_name),
    Route("GET", ENDPOINTS + "/{endpoint}/pipelines", endpoints.list_pipelines),
    Route("PUT", ENDPOINTS + "/{endpoint}", endpoints.put),
    Route("POST", RUNS + "/PipelineEndpointSubmit/Id/{endpoint}", endpoints.submit, runs=Runs.ADD),
    Route("POST", RUNS + "/PipelineEndpointSubmit/Id/{endpoint}/{version}", endpoints.submit, runs=Runs.ADD),
    Route("POST", RUNS + "/PipelineEndpointSubmit/Name", endpoints.submit_by_name, runs=Runs.ADD),
    Route("POST", SCHEDULES + "/Create", schedules.create),
    Route("GET", SCHEDULES, schedules.list_schedules),
    Route("GET", SCHEDULES + "/{schedule}", schedules.get),
    Route("PUT", SCHEDULES + "/{schedule}", schedules.put),
    Route("GET", SCHEDULES + "/Pipeline/{pipeline}", schedules.list_of_pipeline),
    Route("GET", SCHEDULES + "/PipelineEndpoint/{endpoint}", schedules.list_of_endpoint),
    Route("GET", RUNS + "/Schedule/{schedule}", schedules.list_runs),
    Route("GET", RUNS + "/Schedule/{schedule}/Last", schedules.get_last_run),
    Route("GET", RUN, handlers.get_run),
    Route("DELETE", RUN + "/Execution", handlers.cancel_run, runs=Runs.FAMILY),
    Route("POST", RUN + "/Graph/AllNodes/Status", handlers.get_all_status, runs=Runs.READ),
    Route("POST", RUN + "/Graph/AllNodes/StatusCode", handlers.get_all_status_codes, runs=Runs.READ),
    Route("POST", RUN + "/Graph/Node/Status", handlers.get_status, runs=Runs.READ),
    Route("POST", RUN + "/Graph/Node/StatusCode", handlers.get_status_code, runs=Runs.READ),
    Route("POST", RUN + "/Graph/Shareable/STDOUT", handlers.get_stdout, runs=Runs.READ),
    Route("POST", RUN + "/Graph/Shareable/STDERR", handlers.get_stderr, runs=Runs.READ),
    Route("POST", RUN + "/Graph/Shareable/JobLog", handlers.get_job_log, runs=Runs.READ),
    Route("POST", RUN + "/Outputs", handlers.get_outputs, runs=Runs.READ),
    Route("GET", RUN + "/PipelineRunOutputs/{output}", handlers.get_run_output),
)

_NO_DRAFTS = (
    "Pipeline drafts (PipelineDraft) are not supported by the local service. Submit the pipeline with "
    "Experiment.submit, or publish it with Pipeline.publish."
)
REFUSED = (Refusal(BASE + "/PipelineDrafts", _NO_DRAFTS), Refusal(BASE + "/GraphDrafts", _NO_DRAFTS))
