"""The environments that Microsoft curates: those that pip can install here, and the names of the others.

Sources of the names: assets/*/environments in github.com/Azure/azureml-assets (the registry `azureml`, whose names a
workspace has with the prefix `AzureML-`), and Microsoft's article "Curated environments" of 2020 and of 2023
(resource-curated-environments.md in github.com/MicrosoftDocs/azure-docs).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from azureml_wrapper.local.domain.environments import CURATED_PREFIX, Definition, EnvironmentVersion
from azureml_wrapper.local.services.environment_definitions import normalise

CURATED_VERSION = "1"
_IMAGES = "mcr.microsoft.com/azureml/curated"

# The packages that people expect in each image.
_INSTALLED: Mapping[str, tuple[str | None, tuple[str, ...]]] = {
    "Minimal": (None, ("azureml-defaults",)),
    "Tutorial": (None, ("azureml-defaults", "pandas", "scikit-learn", "matplotlib", "joblib")),
    "sklearn-1.5": (None, ("azureml-defaults", "pandas", "scikit-learn~=1.5.0")),
    "sklearn-1.0-ubuntu20.04-py38-cpu": ("3.8", ("azureml-defaults", "pandas", "scikit-learn~=1.0.0")),
    "lightgbm-3.3": (None, ("azureml-defaults", "pandas", "scikit-learn", "lightgbm~=3.3.0")),
}
# Images for GPUs, other frameworks and old Pythons, whose packages pip cannot install here: the script runs in the
# service's own interpreter with the packages of that, and its log says so.
_REGISTRY = [
    "acpt-pytorch-1.13-cuda11.7",
    "acpt-pytorch-2.2-cuda12.1",
    "acpt-pytorch-2.8-cuda12.6",
    "sklearn-1.0",
    "sklearn-1.1",
    "tensorflow-2.12-cuda11",
    "tensorflow-2.16-cuda11",
    "tensorflow-2.16-cuda12",
    "ai-ml-automl",
    "ai-ml-automl-dnn",
    "ai-ml-automl-dnn-forecasting-gpu",
    "ai-ml-automl-dnn-gpu",
    "ai-ml-automl-dnn-text-gpu",
    "ai-ml-automl-dnn-text-gpu-ptca",
    "ai-ml-automl-dnn-vision-gpu",
    "ai-ml-automl-gpu",
    "automl-dnn-vision-gpu",
    "automl-gpu",
    "acft-draft-model-training",
    "acft-group-relative-policy-optimization",
    "acft-hf-nlp-data-import",
    "acft-hf-nlp-gpu",
    "acft-medimageinsight-adapter-finetune",
    "acft-medimageinsight-embedding",
    "acft-medimageinsight-embedding-generator",
    "acft-medimageparse-3d-finetune",
    "acft-medimageparse-finetune",
    "acft-mmdetection-image-gpu",
    "acft-mmtracking-video-gpu",
    "acft-multimodal-gpu",
    "acft-rft-training",
    "acft-transformers-image-gpu",
    "acpt-automl-image-framework-selector-gpu",
    "slime-pytorch-2.9-cuda12.8",
    "foundation-model-inference",
    "foundation-model-serve",
    "mlflow-model-inference",
    "minimal-py311-inference",
    "minimal-py312-cuda12.4-inference",
    "mlflow-py312-inference",
    "responsibleai-tabular",
    "mldesigner",
    "mldesigner-minimal",
    "llm-rag-embeddings",
    "evaluations-built-in",
]
_OF_2023 = [
    "ACPT-pytorch-1.11-py38-cuda11.3-gpu",
    "ACPT-pytorch-1.12-py38-cuda11.6-gpu",
    "ACPT-pytorch-1.13-py38-cuda11.7-gpu",
    "pytorch-1.7-ubuntu18.04-py37-cuda11-gpu",
    "pytorch-1.8-ubuntu18.04-py37-cuda11-gpu",
    "pytorch-1.9-ubuntu18.04-py37-cuda11-gpu",
    "pytorch-1.10-ubuntu18.04-py38-cuda11-gpu",
    "tensorflow-2.4-ubuntu18.04-py37-cuda11-gpu",
    "tensorflow-2.5-ubuntu20.04-py38-cuda11-gpu",
    "tensorflow-2.7-ubuntu20.04-py38-cuda11-gpu",
    "sklearn-0.24-ubuntu18.04-py37-cpu",
    "lightgbm-3.2-ubuntu18.04-py37-cpu",
]
_OF_2020 = [
    "AutoML",
    "AutoML-DNN",
    "AutoML-DNN-GPU",
    "AutoML-DNN-Vision-GPU",
    "AutoML-GPU",
    "Chainer-5.1.0-CPU",
    "Chainer-5.1.0-GPU",
    "Dask-CPU",
    "Dask-GPU",
    "Hyperdrive-ForecastDNN",
    "PySpark-MmlSpark-0.15",
    "Scikit-learn-0.20.3",
    "VowpalWabbit-8.8.0",
]
_FOR_BOTH_OF_2020 = (
    *(f"PyTorch-1.{minor}" for minor in range(7)),
    *(f"TensorFlow-{version}" for version in ("1.10", "1.12", "1.13", "2.0", "2.1", "2.2")),
)


def curated() -> list[EnvironmentVersion]:
    """The environments that every workspace has."""
    installed = [_version(name, _definition(python, pip)) for name, (python, pip) in _INSTALLED.items()]
    return [*installed, *(_version(name, _image(name)) for name in _image_names())]


def _image_names() -> Iterator[str]:
    yield from (*_REGISTRY, *_OF_2023, *_OF_2020)
    yield from (f"{name}-{kind}" for name in _FOR_BOTH_OF_2020 for kind in ("CPU", "GPU"))


def _version(name: str, definition: Definition) -> EnvironmentVersion:
    return EnvironmentVersion(
        name=f"{CURATED_PREFIX}{name}", version=CURATED_VERSION, definition=definition, labels=("latest",)
    )


def _definition(python: str | None, pip: tuple[str, ...]) -> Definition:
    interpreter = [f"python={python}"] if python else []
    return normalise(
        {
            "python": {
                "interpreterPath": "python",
                "userManagedDependencies": False,
                "condaDependencies": {"channels": ["conda-forge"], "dependencies": [*interpreter, {"pip": [*pip]}]},
                "baseCondaEnvironment": None,
            },
            "environmentVariables": {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"},
            "docker": {
                "baseImage": None,
                "platform": {"os": "Linux", "architecture": "amd64"},
                "baseDockerfile": None,
                "baseImageRegistry": {"address": None, "username": None, "password": None},
                "enabled": False,
                "arguments": [],
            },
            "spark": {"repositories": [], "packages": [], "precachePackages": True},
            "inferencingStackVersion": None,
        }
    )


def _image(name: str) -> Definition:
    """An image that has everything already: nothing is installed into it."""
    definition = _definition(None, ())
    image = f"{_IMAGES}/{name.lower()}"
    return {
        **definition,
        "python": {**definition["python"], "userManagedDependencies": True, "condaDependencies": None},
        "docker": {**definition["docker"], "baseImage": image},
    }
