"""The certificates: each chain is whole, and the Ingress gets what it names."""

import re
import subprocess

import pytest

from tests.support import chart
from tests.support.kustomize import build

CHAINS = {
    "namespaced": ["cert/issuer"],
    "cluster": ["cert/clusterissuer", "cert/certificate"],
    "local overlay": ["k8s/overlays/local"],
    "production overlay": ["cert/clusterissuer", "k8s/overlays/production"],
}
each_chain = pytest.mark.parametrize("folders", CHAINS.values(), ids=CHAINS)
CLUSTER_RESOURCES = "cert-manager"
"""Namespace where cert-manager looks for the Secrets of ClusterIssuers."""


def parts(folders):
    """Return the issuers by kind, namespace and name; and the certificates by name."""
    found = [each for folder in folders for each in build(folder)]
    issuers = {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]): (
            each["spec"]
        )
        for each in found
        if each["kind"] in ("Issuer", "ClusterIssuer")
    }
    certificates = {
        each["metadata"]["name"]: each
        for each in found
        if each["kind"] == "Certificate"
    }
    return issuers, certificates


def issuer_of(certificate, issuers):
    """Return the spec of the issuer that *certificate* asks."""
    reference = certificate["spec"]["issuerRef"]
    namespaced = reference["kind"] == "Issuer"
    namespace = certificate["metadata"]["namespace"] if namespaced else None
    return issuers[reference["kind"], namespace, reference["name"]]


@each_chain
def test_chain_leads_from_the_ingress_to_a_self_signed_ca(folders):
    """Leaf -> CA issuer -> Secret of the CA's certificate -> self-signed issuer."""
    issuers, certificates = parts(folders)
    leaf, ca = certificates["httpserver-tls"], certificates["httpserver-ca"]
    of_leaf = issuer_of(leaf, issuers)
    cluster = leaf["spec"]["issuerRef"]["kind"] == "ClusterIssuer"

    assert of_leaf == {"ca": {"secretName": ca["spec"]["secretName"]}}
    assert issuer_of(ca, issuers) == {"selfSigned": {}}
    assert ca["metadata"]["namespace"] == (
        CLUSTER_RESOURCES if cluster else leaf["metadata"]["namespace"]
    )


def hours(text):
    """Return the hours of cert-manager's durations as we write them."""
    match = re.fullmatch(r"(\d+)h", text)
    assert match, text
    return int(match[1])


@each_chain
def test_keys_and_terms_are_sound(folders):
    """Elliptic keys, renewal in good time, a CA that outlives what it signs."""
    _, certificates = parts(folders)
    leaf, ca = (certificates[f"httpserver-{name}"]["spec"] for name in ("tls", "ca"))

    for spec in (leaf, ca):
        assert spec["privateKey"]["algorithm"] == "ECDSA"
        assert 0 < hours(spec["renewBefore"]) < hours(spec["duration"]) / 2
    assert hours(ca["renewBefore"]) > hours(leaf["duration"])
    assert leaf["privateKey"]["rotationPolicy"] == "Always"
    assert ca["privateKey"]["rotationPolicy"] == "Never"
    assert ca["isCA"] is True
    assert not leaf.get("isCA")
    assert "server auth" in leaf["usages"]
    assert "cert sign" in ca["usages"]


@pytest.mark.parametrize("folder", ["k8s/overlays/local", "k8s/overlays/production"])
def test_ingress_has_the_certificate_of_its_hosts(folder):
    """Secret and names are those of the Certificate, in the Ingress' namespace."""
    (ingress,) = (each for each in build(folder) if each["kind"] == "Ingress")
    _, certificates = parts([folder])
    leaf = certificates["httpserver-tls"]
    (tls,) = ingress["spec"]["tls"]

    assert tls["secretName"] == leaf["spec"]["secretName"]
    assert tls["hosts"] == leaf["spec"]["dnsNames"]
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == tls["hosts"]
    assert ingress["metadata"]["namespace"] == leaf["metadata"]["namespace"]


def test_acme_example_asks_both_servers_of_lets_encrypt():
    """Staging first: the real one allows few failures."""
    issuers = {each["metadata"]["name"]: each["spec"] for each in build("cert/acme")}
    servers = {name: spec["acme"]["server"] for name, spec in issuers.items()}

    assert servers == {
        "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
        "letsencrypt-staging": (
            "https://acme-staging-v02.api.letsencrypt.org/directory"
        ),
    }
    for spec in issuers.values():
        assert spec["acme"]["email"].endswith("@example.com")
        assert "http01" in spec["acme"]["solvers"][0]


def test_no_file_of_the_repository_holds_a_private_key():
    """Keys are made in the cluster, or by the tests in memory."""
    marks = "-----BEGIN ([A-Z]+ )?PRIVATE KEY-----"
    if not (chart.ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "grep", "--line-number", "-E", "-e", marks]
    done = subprocess.run(command, cwd=chart.ROOT, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (1, ""), done.stderr
