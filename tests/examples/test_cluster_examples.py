"""The scripts and manifests for clusters are sound, as far as can be said without a cluster."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from torch.distributed.run import get_args_parser

from test_docs import options_of

CLUSTER = Path(__file__).parents[2] / "examples" / "cluster"
SCRIPTS = sorted(CLUSTER.glob("*.sh"))


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((CLUSTER / name).read_text()))


def check(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def check_pod(template: dict[str, Any]) -> None:
    """Checks the template of a pod that a schema of its own has in it."""
    check({"apiVersion": "v1", "kind": "PodTemplate", "template": template})


def unknown_options(command: str, words: list[str]) -> set[str]:
    named = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert named
    return named - {*options_of(command)}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_pass_shellcheck(script: Path) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("code", [0, 2, 75])
def test_a_stopped_slurm_job_goes_back_to_the_queue(code: int, tmp_path: Path) -> None:
    said = tmp_path / "said"
    for name, end in {"srun": code, "scontrol": 0}.items():
        program = tmp_path / name
        program.write_text(f'#!/bin/bash\necho {name} "$@" >> {said}\nexit {end}\n')
        program.chmod(0o755)
    place = {"SLURM_JOB_ID": "7", "MODEL": "TSN", "CONFIG": "tsn.txt", "SAVE": "/shared/a b"}
    environment = {**os.environ, **place, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([CLUSTER / "train_slurm.sh"], env=environment, capture_output=True)
    assert done.returncode == code
    first, *others = said.read_text().splitlines()
    assert first.startswith("srun --wait=60 videozoo train --model-name TSN ")
    assert unknown_options("train", first.partition(" train ")[2].split()) == set()
    assert others == (["scontrol requeue 7"] if code == 75 else [])


def test_the_training_job_fits_its_schema_and_itself() -> None:
    service, job = documents("train_job.yaml")
    check(service)
    check(job)
    spoilt = copy.deepcopy(job)
    spoilt["spec"]["template"]["spec"]["sub_domain"] = "a"
    with pytest.raises(kubernetes_validate.ValidationError):
        check(spoilt)
    name, pod = job["metadata"]["name"], job["spec"]["template"]["spec"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": name}
    (container,) = pod["containers"]
    assert container["command"] == ["torchrun"]
    given = get_args_parser().parse_args(container["args"])
    assert int(given.nnodes) == job["spec"]["completions"] == job["spec"]["parallelism"]
    port = service["spec"]["ports"][0]["port"]
    assert given.rdzv_endpoint == f"{name}-0.{service['metadata']['name']}:{port}"
    assert pod["subdomain"] == service["metadata"]["name"]
    assert int(given.nproc_per_node) == container["resources"]["limits"]["nvidia.com/gpu"]
    assert [given.training_script, given.training_script_args[0]] == ["videozoo", "train"]
    assert unknown_options("train", given.training_script_args) == set()


def test_the_ray_job_has_pods_that_fit_their_schema() -> None:
    """RayJob itself is no kind of Kubernetes: there is no schema of it to compare with."""
    (job,) = documents("infer_rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    words = job["spec"]["entrypoint"].split()
    assert words[:2] == ["videozoo", "infer"]
    assert not unknown_options("infer", words)
    cluster = job["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    for group in (cluster["headGroupSpec"], workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        check_pod(group["template"])
        (container,) = group["template"]["spec"]["containers"]
        assert container["image"].endswith(f":{cluster['rayVersion']}")
        assert container["volumeMounts"][0]["mountPath"] == "/data"
