"""
The Pod Security Standards as a function: what of a pod breaks the `restricted` profile.

The cluster enforces the profile by the namespace's label; this says it without one, for
every render. `restricted` includes the rules of `baseline`.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Iterator
from typing import Any

__all__ = ["pods_of", "violations"]

Spec = dict[str, Any]

VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
    *("persistentVolumeClaim", "projected", "secret"),
}
SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
}
HANDLERS = ("startupProbe", "livenessProbe", "readinessProbe")


def pods_of(manifests: list[Spec]) -> dict[str, Spec]:
    """Return the pod specs of *manifests*, by kind and name of what holds them."""
    found = {}
    for each in manifests:
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", each).get("spec", {})
        pod = spec if each["kind"] == "Pod" else spec.get("template", {}).get("spec")
        if pod is not None:
            found[f"{each['kind']}/{each['metadata']['name']}"] = pod
    return found


def violations(pod: Spec) -> list[str]:
    """Return the names of the rules that *pod* breaks, with the container's name."""
    found = list(_of_pod(pod))
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod.get(kind, []):
            rules = _of_container(container, pod.get("securityContext", {}))
            found += [f"{container['name']}: {rule}" for rule in rules]
    return found


def _of_pod(pod: Spec) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield name
    for volume in pod.get("volumes", []):
        if not volume.keys() - {"name"} <= VOLUMES:
            yield f"volume {volume['name']}"
    security = pod.get("securityContext", {})
    if not {one["name"] for one in security.get("sysctls", [])} <= SYSCTLS:
        yield "sysctls"
    yield from _of_both(security)


def _of_both(security: Spec) -> Iterator[str]:
    """Rules for fields that a pod and a container may both set."""
    if security.get("runAsUser") == 0:
        yield "runAsUser"
    if security.get("windowsOptions", {}).get("hostProcess"):
        yield "hostProcess"
    options = security.get("seLinuxOptions", {})
    if options.get("type", "") not in SELINUX_TYPES or {"user", "role"} & set(options):
        yield "seLinuxOptions"
    if security.get("appArmorProfile", {}).get("type") == "Unconfined":
        yield "appArmorProfile"


def _of_container(container: Spec, pod: Spec) -> Iterator[str]:
    security = container.get("securityContext", {})
    yield from _of_both(security)
    if security.get("privileged"):
        yield "privileged"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if security.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot"
    seccomp = security.get("seccompProfile", pod.get("seccompProfile", {}))
    if seccomp.get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    capabilities = security.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "capabilities.drop"
    if not set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
    if security.get("procMount", "Default") != "Default":
        yield "procMount"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "hostPort"
    yield from _of_handlers(container)


def _of_handlers(container: Spec) -> Iterator[str]:
    """A host in a probe or hook makes the kubelet ask whom the pod wants."""
    handlers = [container.get(name, {}) for name in HANDLERS]
    handlers += container.get("lifecycle", {}).values()
    for handler in handlers:
        for way in ("httpGet", "tcpSocket"):
            if handler.get(way, {}).get("host"):
                yield "host of a probe or hook"
