"""The manifests follow Kubernetes' schemas and agree with the image and with themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no stubs
import pytest
import yaml

from gateway import __version__
from gateway.settings import Settings, load
from tests.docker.dockerfile import ETC, ROOT, lay_out_etc, stages

FOLDER = ROOT / "deploy/k8s"
DATA_DIR = "/var/lib/thriftgate"


def documents() -> list[tuple[str, dict[str, Any]]]:
    files = sorted(FOLDER.glob("*.yaml"))
    return [(file.name, document) for file in files for document in yaml.safe_load_all(file.read_text())]


def pod_of(file: str) -> dict[str, Any]:
    sets = ("Deployment", "StatefulSet")
    (pods,) = (document["spec"] for name, document in documents() if name == file and document["kind"] in sets)
    pod: dict[str, Any] = pods["template"]["spec"]
    return pod


def gateway_of(file: str) -> dict[str, Any]:
    """Its container, wherever in the pod."""
    pod = pod_of(file)
    containers: list[dict[str, Any]] = [*pod.get("initContainers", ()), *pod["containers"]]
    return next(container for container in containers if container["name"] == "thriftgate")


FILES = ["gateway.yaml", "sidecar.yaml"]


def test_each_document_follows_its_schema() -> None:
    version = kubernetes_validate.latest_version()
    for _, document in documents():
        kubernetes_validate.validate(document, version, strict=True)
    assert {file for file, _ in documents()} == set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_the_gateway_is_nobodys_root_with_nothing_to_write_to(file: str) -> None:
    gateway = gateway_of(file)
    assert gateway["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    user, group = stages()["full"].of("USER")[-1].split(":")
    assert pod_of(file)["securityContext"]["fsGroup"] == int(group)
    assert int(user) > 0, "runAsNonRoot checks the image's number"
    assert pod_of(file)["securityContext"]["runAsNonRoot"]
    writable = {mount["mountPath"] for mount in gateway["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {DATA_DIR, "/tmp"}


@pytest.mark.parametrize("file", FILES)
def test_it_has_longer_to_end_than_running_requests_are_given(file: str) -> None:
    assert pod_of(file)["terminationGracePeriodSeconds"] >= 2 * Settings.model_fields["server"].default.drain_s


@pytest.mark.parametrize("file", FILES)
def test_its_image_is_of_this_version_and_its_arguments_are_the_images(file: str) -> None:
    gateway = gateway_of(file)
    assert gateway["image"].endswith(f"/thriftgate:{__version__}")
    assert gateway["args"][:2] == stages()["runtime"].words("CMD")[:2]


def test_the_sidecar_is_asked_from_inside_as_the_image_is() -> None:
    gateway = gateway_of("sidecar.yaml")
    asked = [gateway[probe]["exec"]["command"] for probe in ("startupProbe", "livenessProbe")]
    assert asked == [stages()["runtime"].words("HEALTHCHECK")] * 2
    assert gateway["args"][-1] == "127.0.0.1"
    assert gateway["env"][0]["value"] == f"{ETC}/sidecar.yaml"


def test_the_configuration_of_many_gateways_can_be_used(tmp_path: Path) -> None:
    etc = lay_out_etc("full", tmp_path / "etc")
    (config,) = (document for _, document in documents() if document["kind"] == "ConfigMap")
    (tmp_path / "gateway.yaml").write_text(config["data"]["gateway.yaml"].replace(ETC, str(etc)))
    secrets = {"CHECKOUT_KEY": "c", "THRIFTGATE_ADMIN_KEY": "a"}
    settings = load(tmp_path / "gateway.yaml", secrets, host="0.0.0.0").settings
    assert settings.state.redis_url.startswith("redis+cluster://")
    assert not any(provider.is_child for provider in settings.providers.values())


def test_what_the_pods_name_is_defined() -> None:
    pod, kinds = pod_of("gateway.yaml"), {(doc["kind"], doc["metadata"]["name"]) for _, doc in documents()}
    (config,) = (volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume)
    assert ("ConfigMap", config) in kinds
    (gateways,) = (doc for _, doc in documents() if doc["kind"] == "StatefulSet")
    assert ("Service", gateways["spec"]["serviceName"]) in kinds
    claimed = {claim["metadata"]["name"] for claim in gateways["spec"]["volumeClaimTemplates"]}
    mounted = {mount["name"] for mount in gateway_of("gateway.yaml")["volumeMounts"]}
    assert mounted == claimed | {volume["name"] for volume in pod["volumes"]}
