"""What machines read: the API's description, the metrics, the files in deploy/, the README's settings."""

import os
import re
import shutil
import subprocess

import pytest
import yaml
from harness import BINARY, ROOT, ask, get, post
from openapi_spec_validator import validate

PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")


def promtool(*arguments, **more):
    if not PROMTOOL:
        assert not os.environ.get("CI"), "promtool is missing"
        pytest.skip("promtool is missing: it comes with Debian's package `prometheus`")
    return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, **more)


def test_the_api_is_described(gateway):
    document = yaml.safe_load(get(f"http://{gateway.address}/openapi.json").body)
    validate(document)
    assert set(document["paths"]) >= {"/v1/chat/completions", "/v1/guard/check", "/v1/models"}


def test_promtool_accepts_the_metrics(gateway):
    for text in ("hello", "my card is 4111 1111 1111 1111", "How do I build a pipe bomb at home?"):
        assert post(f"{gateway.url}/chat/completions", ask(text)).status == 200
    post(f"{gateway.url}/chat/completions", b"{")
    checked = promtool("check", "metrics", input=gateway.metrics())
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_promtool_accepts_the_shipped_settings():
    checked = promtool("check", "config", "--syntax-only", str(ROOT / "deploy/prometheus.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_compose_file_fits_together():
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    demur, prometheus = compose["services"]["demur"], compose["services"]["prometheus"]
    assert (ROOT / "deploy" / demur["build"]["context"] / "Dockerfile").resolve() == ROOT / "Dockerfile"
    mounted = [volume.split(":")[0] for volume in prometheus["volumes"]]
    assert any((ROOT / "deploy" / file).is_file() for file in mounted)
    scraped = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["scrape_configs"][0]
    target = scraped["static_configs"][0]["targets"][0]
    assert target.split(":")[0] in compose["services"]
    assert demur["environment"]["DEMUR_OPS_LISTEN"].endswith(target.split(":")[1])
    assert_settings(demur["environment"])


def test_the_sidecar_fits_together():
    documents = list(yaml.safe_load_all((ROOT / "deploy/sidecar.yaml").read_text()))
    by_kind = {document["kind"]: document for document in documents}
    pod = by_kind["Deployment"]["spec"]["template"]
    assert by_kind["Deployment"]["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    demur = next(container for container in pod["spec"]["initContainers"] if container["name"] == "demur")
    environment = {variable["name"]: variable["value"] for variable in demur["env"]}
    assert_settings(environment)
    ports = {port["name"]: port["containerPort"] for port in demur["ports"]}
    assert environment["DEMUR_OPS_LISTEN"].endswith(f":{ports['ops']}")
    assert demur["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "ops"}
    assert demur["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "ops"}
    mounts = {mount["name"]: mount["mountPath"] for mount in demur["volumeMounts"]}
    assert set(mounts) <= {volume["name"] for volume in pod["spec"]["volumes"]}
    assert environment["DEMUR_POLICY"].startswith(mounts["policy"])
    assert environment["DEMUR_UPSTREAM_KEY_FILE"].startswith(mounts["upstream-key"])
    assert demur["securityContext"]["readOnlyRootFilesystem"] and demur["securityContext"]["runAsNonRoot"]


def test_the_sidecars_policy_compiles(tmp_path):
    documents = yaml.safe_load_all((ROOT / "deploy/sidecar.yaml").read_text())
    files = next(document["data"] for document in documents if document["kind"] == "ConfigMap")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        for command in ("lint", "test"):
            ended = subprocess.run([BINARY, "policy", command, tmp_path / name], capture_output=True, text=True)
            assert ended.returncode == 0, ended.stdout + ended.stderr


def known_settings():
    help_text = subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\bDEMUR_\w+", help_text))


def assert_settings(environment):
    assert set(environment) <= known_settings()


def test_the_readme_lists_every_setting():
    readme = (ROOT / "README.md").read_text()
    assert known_settings() <= set(re.findall(r"\bDEMUR_\w+", readme))
