"""`make_jobs.py COUNT`: submits one script COUNT times, each with a job folder below output/, and waits for all."""

import sys
from pathlib import Path

from azureml_wrapper.job import JobWrapper

Path("job").mkdir(exist_ok=True)
Path("job", "main.py").write_text('print("done")\n')
runs = []
for number in range(int(sys.argv[1])):
    job = JobWrapper(
        "bench",
        "bench",
        "local",
        "main.py",
        env_name="bench",
        compute_name="bench",
        script_directory="job",
        output_dir=f"output/job{number:03}",
    )
    runs.append(job.submit("jobs"))
for run in runs:
    assert run.wait().status == "Completed"
