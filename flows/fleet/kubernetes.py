"""Kubernetes: what a Prefect work pool makes of an agent, and the address at which they meet.

Each machine of a run is a flow run of the pool, a Kubernetes Job of one pod. Machine 0 is found
through a service without an address of its own, whose name is the host of `flows.fleet.endpoint`.
"""

from __future__ import annotations

from typing import Any

from flows.fleet.params import FleetParams

LABEL = "flanmoe.machine"


def base_job_template(fleet: FleetParams) -> dict[str, Any]:
    """For `prefect work-pool create NAME --type kubernetes --base-job-template FILE`.

    What stands in double braces Prefect's worker fills in for each flow run.
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
        # Processes of a machine exchange data through shared memory.
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
            # Agents start again by themselves; a lost pod's flow run is retried by Prefect.
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": 3600,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restartPolicy": "Never",
                    # SIGTERM first: time enough to save.
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
    """The name at which machine 0 is found, for `kubectl apply`."""
    host, _, port = fleet.endpoint.rpartition(":")
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": host.split(".")[0], "namespace": fleet.namespace},
        "spec": {
            "clusterIP": "None",
            # Before it is ready, too: its own processes look for it.
            "publishNotReadyAddresses": True,
            "selector": {LABEL: "0"},
            "ports": [{"name": "rendezvous", "port": int(port)}],
        },
    }
