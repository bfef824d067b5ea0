"""A kubeconfig in a container: its current context alone, and what would not work there is said before."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from console.given_kubeconfig import KubeconfigUnusable, read_kubeconfig

Content = dict[str, Any]

SECRET = "s3cr3t-t0ken"


def kubeconfig(
    cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "kind-dev",
        "contexts": [
            {"name": "other", "context": {"cluster": "other", "user": "other"}},
            {"name": "kind-dev", "context": {"cluster": "dev", "user": "me", "namespace": "coder"}},
        ],
        "clusters": [
            {"name": "other", "cluster": {"server": "https://other.example.com"}},
            {"name": "dev", "cluster": {"server": "https://dev.example.com:6443", **(cluster or {})}},
        ],
        "users": [
            {"name": "other", "user": {"exec": {"command": "aws"}}},
            {"name": "me", "user": {"token": SECRET} if user is None else user},
        ],
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kubeconfig"


def test_the_current_context_is_kept_and_nothing_else(file: Path) -> None:
    file.write_text(yaml.safe_dump(kubeconfig({"certificate-authority-data": "Q0E=", "tls-server-name": "localhost"})))
    read = read_kubeconfig(file)
    assert read.server == "https://dev.example.com:6443"
    copy = yaml.safe_load(read.text)
    assert copy["clusters"][0]["cluster"] == {
        "server": read.server, "certificate-authority-data": "Q0E=", "tls-server-name": "localhost",
    }  # fmt: skip
    assert copy["users"][0]["user"] == {"token": SECRET}
    assert "other" not in read.text
    assert copy["current-context"] == copy["contexts"][0]["name"]
    file.write_text(read.text)
    assert read_kubeconfig(file) == read


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (kubeconfig({"certificate-authority": "/home/me/ca.crt"}), "its certificate-authority is another file"),
        (kubeconfig(user={"client-key": "key.pem"}), "its client-key is another file"),
        (kubeconfig(user={"tokenFile": "token"}), "kubectl config view --raw --flatten --minify"),
        (kubeconfig(user={"exec": {"command": "gke-gcloud-auth-plugin"}}), r"a program \(gke-gcloud-auth-plugin\)"),
        (kubeconfig(user={"auth-provider": {"name": "oidc"}}), r"a program \(oidc\), which is not in the image"),
        ({**kubeconfig(), "current-context": "gone"}, "has no current context .'gone'.; choose one: kubectl config"),
        ({**kubeconfig(), "current-context": ""}, "names no current context"),
        ({**kubeconfig(), "clusters": []}, "has no address of the cluster"),
        (kubeconfig({"server": "https://[::1"}), "the address of its cluster is malformed"),
        (["a", "list"], "is no kubeconfig"),
    ],
)
def test_what_a_container_cannot_use_is_named(content: object, why: str, file: Path) -> None:
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(KubeconfigUnusable, match=why):
        read_kubeconfig(file)


def test_a_file_that_is_not_yaml_is_not_quoted(file: Path) -> None:
    file.write_text(f"token: [{SECRET}")
    with pytest.raises(KubeconfigUnusable, match="is not YAML") as raised:
        read_kubeconfig(file)
    assert SECRET not in str(raised.value)


def test_a_file_that_is_not_there_is_said(file: Path) -> None:
    with pytest.raises(KubeconfigUnusable, match="cannot be read: No such file"):
        read_kubeconfig(file)
