"""Kubernetes manifests against the models of Kubernetes' own client."""

import json
import re

from flows.fleet import kubernetes
from flows.fleet.params import FleetParams


def parse_manifest(kind, manifest):
    """Parse a manifest with Kubernetes' client; writing it again must lose nothing."""
    from kubernetes import client

    parsed = client.ApiClient()._ApiClient__deserialize(json.loads(json.dumps(manifest)), kind)
    assert client.ApiClient().sanitize_for_serialization(parsed) == manifest
    return parsed


def fill_template(value, variables):
    """Fill in a template as Prefect's worker does."""
    if isinstance(value, dict):
        return {key: fill_template(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill_template(inner, variables) for inner in value]
    if isinstance(value, str) and (placeholder := re.fullmatch(r"{{ (\w+) }}", value)):
        return variables[placeholder[1]]
    if isinstance(value, str):
        return re.sub(r"{{ (\w+) }}", lambda match: str(variables[match[1]]), value)
    return value


def test_base_job_template_and_service_are_valid_manifests():
    fleet = FleetParams(
        launcher="work_pool", nodes=4, endpoint="flanmoe-first:29400", work_pool="gpus", gpus=8,
        cpus=64, memory_gb=900, volume_claim="flan", image="registry/flanmoe:1",
        namespace="research",
    )  # fmt: skip
    template = kubernetes.base_job_template(fleet)
    properties = template["variables"]["properties"]
    variables = {name: entry.get("default") for name, entry in properties.items()} | {
        "command": ["prefect", "flow-run", "execute"],
        "env": [{"name": "PREFECT_API_URL", "value": "http://prefect/api"}],
        "labels": {kubernetes.NODE_LABEL: "0"},
    }
    used = set(re.findall(r"{{ (\w+) }}", json.dumps(template["job_configuration"])))
    assert used <= set(properties)
    manifest = fill_template(template["job_configuration"]["job_manifest"], variables)
    job = parse_manifest("V1Job", manifest)
    (container,) = job.spec.template.spec.containers
    assert container.image == "registry/flanmoe:1"
    assert container.resources.limits == {"cpu": "64", "memory": "900Gi", "nvidia.com/gpu": "8"}
    volumes = job.spec.template.spec.volumes
    assert volumes[1].persistent_volume_claim.claim_name == "flan"
    service = parse_manifest("V1Service", kubernetes.service(fleet))
    assert service.metadata.name == "flanmoe-first"
    # The service selects the pod of node 0 only.
    assert service.spec.selector.items() <= job.spec.template.metadata.labels.items()
    assert service.spec.cluster_ip == "None"
