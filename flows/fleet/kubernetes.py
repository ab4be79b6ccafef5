"""Kubernetes manifests: the job of a node's agent, and the service under which node 0 is reachable.

Each node of a run is a flow run of the Prefect work pool, which is a Kubernetes Job with one pod. A
headless service, named like the host of `flows.fleet.endpoint`, resolves to the pod of node 0.
"""

from __future__ import annotations

from typing import Any

from flows.fleet.params import FleetParams

NODE_LABEL = "flanmoe.node-rank"
RUN_LABEL = "flanmoe.run"


def base_job_template(fleet: FleetParams) -> dict[str, Any]:
    """Return the template for `prefect work-pool create --base-job-template FILE`.

    Prefect's worker replaces the names in double braces for each flow run.
    """
    resources: dict[str, str] = {"cpu": str(fleet.cpus), "memory": f"{fleet.memory_gb}Gi"}
    if fleet.gpus:
        resources["nvidia.com/gpu"] = str(fleet.gpus)
    container: dict[str, Any] = {
        "name": "prefect-job",
        "image": "{{ image }}",
        "imagePullPolicy": "IfNotPresent",
        "command": "{{ command }}",
        "env": "{{ env }}",
        "workingDir": fleet.project_dir,
        "resources": {"requests": dict(resources), "limits": dict(resources)},
        # The processes of a node exchange data through shared memory.
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],  # noqa: S108
    }
    volumes: list[dict[str, Any]] = [{"name": "shm", "emptyDir": {"medium": "Memory"}}]
    if fleet.volume_claim:
        container["volumeMounts"].append({"name": "project", "mountPath": fleet.project_dir})
        volumes.append(
            {"name": "project", "persistentVolumeClaim": {"claimName": fleet.volume_claim}}
        )
    labels = "{{ labels }}"
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "labels": labels,
            "namespace": "{{ namespace }}",
            "generateName": "{{ name }}-",
        },
        "spec": {
            # No second pod: within this one torchrun restarts its processes, Prefect the flow.
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": 3600,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restartPolicy": "Never",
                    # Time between SIGTERM and SIGKILL, enough to write a checkpoint.
                    "terminationGracePeriodSeconds": 120,
                    "containers": [container],
                    "volumes": volumes,
                },
            },
        },
    }
    return {
        "job_configuration": {
            "name": "{{ name }}",
            "command": "{{ command }}",
            "env": "{{ env }}",
            "labels": labels,
            "namespace": "{{ namespace }}",
            "job_manifest": manifest,
        },
        "variables": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "title": "Name", "default": "flanmoe"},
                "command": {"type": "string", "title": "Command"},
                "env": {"type": "object", "additionalProperties": {"type": "string"}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "namespace": {"type": "string", "default": fleet.namespace},
                "image": {"type": "string", "default": fleet.image},
            },
        },
    }


def service(fleet: FleetParams) -> dict[str, Any]:
    """Return the headless service of node 0, for `kubectl apply`."""
    host, _, port = fleet.endpoint.rpartition(":")
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": host.split(".")[0], "namespace": fleet.namespace},
        "spec": {
            "clusterIP": "None",
            # Resolve the address before the pod is ready: its own processes connect to it.
            "publishNotReadyAddresses": True,
            "selector": {NODE_LABEL: "0"},
            "ports": [{"name": "rendezvous", "port": int(port)}],
        },
    }
