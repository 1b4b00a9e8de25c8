#!/usr/bin/env python3
"""Writes tests/fuzz/corpora: small inputs that lead each target past its first check.

Run it again after a change of the formats; what it writes is the same every time."""
import io
import os
import re
import struct
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.join(HERE, "..", "..")


def save(target, name, data):
    directory = os.path.join(HERE, "corpora", target)
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, name), "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """A field of a message: bytes, text or a number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value if isinstance(value, bytes) else value.encode()
    return varint(number << 3 | 2) + varint(len(data)) + data


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def request(service, method, payload, **more):
    data = field(1, bytes(range(16))) + field(2, "berth.node.v1." + service) + field(3, method)
    data += field(4, 1) + field(5, 1000) + field(6, payload)
    return data + (field(7, more["cluster"]) if "cluster" in more else b"")


def requests():
    save("request", "health", b"\0" + request("Health", "Check", b""))
    save("request", "units", b"\0" + request("Units", "Status", field(1, "kubelet"), cluster="c"))
    save("request", "containers", b"\0" + request("Containers", "List", field(2, bytes([1, 2]))))
    save("request", "exec", b"\0" + request("Exec", "Start", field(1, "sh") + field(1, "-c")))
    pod = field(1, field(1, field(1, "p") + field(3, "default")))
    save("request", "apply", b"\0" + request("Pods", "Apply", pod))
    for method in range(1, 50):
        save("request", "rpc-%02d" % method, bytes([method]) + field(1, "a") + field(2, 1))


def replies():
    status = field(1, 5) + field(2, "NOT_FOUND") + field(3, "no unit 'x'") + field(4, "look")
    save("reply", "error", field(1, bytes(16)) + field(2, status) + field(4, 1))
    save("reply", "ok", field(1, bytes(16)) + field(2, b"") + field(3, b"\x08\x01") + field(4, 1))
    save("reply", "escape", field(2, field(1, 2) + field(3, "\x1b[2J\x9b\n") + field(2, "x y")))


def journals():
    def record(kind, reply=b""):
        body = bytes(range(16)) + struct.pack("<QQB", 7, 1000, kind) + reply
        length = struct.pack("<I", len(body))
        return b"BCJ1" + length + struct.pack("<I", crc32c(length + body)) + body

    save("journal", "begun", record(1))
    save("journal", "done", record(2, b"reply"))
    save("journal", "both", record(1) + record(2, b"x" * 100) + record(1)[:30])
    save("journal", "damaged", record(1)[:-1] + b"?" + record(2, b"y") + b"BCJ1BCJ1")


def grpc():
    def piece(kind, data):
        return bytes([len(data) + len(kind)]) + kind + data

    def answer(message):
        body = b"\0" + struct.pack(">I", len(message)) + message
        headers = piece(b"h", b":status\x00200") + piece(b"h", b"content-type\0application/grpc")
        return headers + piece(b"", body) + piece(b"h", b"grpc-status\x000") + piece(b"e", b"")

    sandbox = field(1, "id") + field(2, field(1, "pod") + field(2, "uid") + field(3, "ns"))
    container = field(1, "id") + field(2, "sandbox") + field(3, field(1, "main")) + field(7, 5)
    save("grpc", "sandboxes", answer(field(1, sandbox)))
    save("grpc", "containers", answer(field(1, container)))
    save("grpc", "status", answer(field(1, container + field(3, 2))))
    save("grpc", "ready", answer(field(1, field(1, field(1, "RuntimeReady") + field(2, 1)))))
    ip = field(1, "10.0.0.4") + field(2, field(1, "fd00::4"))
    network = field(5, ip) + field(6, field(1, field(2, field(1, 2))))
    details = field(1, field(1, field(1, "id") + network))
    details += field(2, field(1, "info") + field(2, '{"x":{"pid":3},"y":"\\"pid","pid": 77}'))
    save("grpc", "details", answer(details))
    image = field(1, "sha256:a") + field(2, "img:1") + field(3, "img@sha256:b") + field(4, 5)
    save("grpc", "images", answer(field(1, image)))
    for error in (7, 8, 11, 12, 2):
        save("grpc", "http2-%d" % error, piece(b"e", b"x" * error))
    for status in (401, 404, 503, 500):
        save("grpc", "http-%d" % status, piece(b"h", b":status\0%d" % status) + piece(b"", b"no"))
    save("grpc", "twice", answer(b"")[:-2] + piece(b"", b"\0\0\0\0\0x"))
    save("grpc", "compressed", piece(b"h", b":status\x00200") + piece(b"", b"\1\0\0\0\1x"))
    failure = piece(b"h", b":status\x00200") + piece(b"h", b"grpc-status\x005")
    save("grpc", "failure", failure + piece(b"h", b"grpc-message\0no%20such%20thing") + b"\1e")


def streams():
    save("streams", "read", bytes([0, 100, 0, 2, 100, 9, 8, 3, 0, 2, 0, 9, 9, 0, 0]))
    save("streams", "write", bytes([4, 0, 50, 6, 10, 0, 5, 20, 60, 7, 255, 1, 9, 0, 0]))
    save("streams", "wait", bytes([2, 0, 9, 7, 10, 0, 0, 9, 9, 9, 0, 0, 3, 5, 5, 7, 0, 255]))
    save("streams", "full", bytes([0, 255, 255] * 40 + [2, 255, 255, 9, 0, 0] * 8))


def texts():
    data = os.path.join(REPO, "tests/unit/controller/config/data")
    for target, name in (("cluster", "cluster-full.yaml"), ("manifest", "pod-full.yaml")):
        with open(os.path.join(data, name), "rb") as file:
            save(target, "full", file.read())
    head = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"
    save("cluster", "small", head + "name: c\nnodes:\n- role: control-plane\n- role: worker\n")
    save("cluster", "flow", head + 'nodes: [{role: worker, labels: {"a": "b"}}]\n')
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n"
    save("manifest", "small", pod + "  - {name: c, image: i, command: [sh, -c, 'x']}\n")
    save("manifest", "list", '{"apiVersion":"v1","kind":"List","items":[]}')
    save("manifest", "two", pod + "  - {name: c, image: i}\n---\n" + pod.replace("p}", "q}"))


def messages():
    """Fields of each message of core.proto: name to number, type, and whether it is a map."""
    with open(os.path.join(REPO, "proto/k8s/v1/core.proto")) as file:
        text = file.read()
    found = {}
    for name, body in re.findall(r"^message (\w+) \{(.*?)\}", text, re.M | re.S):
        fields = re.findall(r"^  (?:optional |repeated )?(?:map<string, (\w+)>|(\w+)) (\w+) = (\d+);", body, re.M)
        found[name] = {f[2]: (int(f[3]), f[0] or f[1], bool(f[0])) for f in fields}
    return found


def pack(kinds, kind, value):
    """A message of that kind from a dictionary; what is no dictionary is a value."""
    if kind == "Quantity":
        return field(1, value)
    if not isinstance(value, dict):
        return value & (1 << 64) - 1 if isinstance(value, int) else value
    data = b""
    for name, inner in value.items():
        number, kind_of, is_map = kinds[kind][name]
        for one in inner if isinstance(inner, list) else inner.items() if is_map else [inner]:
            if is_map:
                data += field(number, field(1, one[0]) + field(2, pack(kinds, kind_of, one[1])))
            else:
                data += field(number, pack(kinds, kind_of, one))
    return data


def pods():
    kinds = messages()
    main = {"name": "c", "image": "img:1", "command": ["sh"], "args": ["$(A)"], "workingDir": "/"}
    other = {"name": "d", "image": "img@sha256:ab"}

    def one(name, main_more={}, spec_more={}, meta_more={}):
        meta = {"name": "p", "namespace": "ns", **meta_more}
        spec = {"containers": [{**main, **main_more}], **spec_more}
        save("pod", name, pack(kinds, "Pod", {"metadata": meta, "spec": spec}))

    volumes = [
        {"name": "e", "volumeSource": {"emptyDir": {"sizeLimit": "1Gi"}}},
        {"name": "h", "volumeSource": {"hostPath": {"path": "/data", "type": "Directory"}}},
    ]
    mounts = [
        {"name": "e", "mountPath": "/e", "subPath": "x/y", "readOnly": 1},
        {"name": "h", "mountPath": "/h", "mountPropagation": "HostToContainer"},
    ]
    ports = [{"containerPort": 80, "protocol": "TCP", "hostPort": 8080}, {"containerPort": 53, "protocol": "UDP"}]
    env = [{"name": "A", "value": "b"}]
    for path in ("metadata.name", "status.podIP", "metadata.labels['x']", "spec.unknown"):
        env.append({"name": "F", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}})
    limits = {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "1.5", "memory": "1.4Gi"}}
    security = {"privileged": 1, "runAsUser": 5, "capabilities": {"add": ["NET_ADMIN"]}}
    one("small")
    one("full", {"ports": ports, "env": env, "volumeMounts": mounts}, {"volumes": volumes})
    one("limits", {"resources": {"limits": {"cpu": "100m", "memory": "64Mi", "x/y": "1"}}})
    one("over", {"resources": limits})
    one("security", {"securityContext": security, "tty": 1, "stdin": 1})
    one("contradiction", {"securityContext": {"privileged": 1, "allowPrivilegeEscalation": 0}})
    one("negative", {"securityContext": {"runAsUser": -1}})
    one("climbs", {}, {"volumes": [{"name": "h", "volumeSource": {"hostPath": {"path": "/a/../b"}}}]})
    one("odd-type", {}, {"volumes": [{"name": "h", "volumeSource": {"hostPath": {"path": "/a", "type": "X"}}}]})
    one("secret", {}, {"volumes": [{"name": "s", "volumeSource": {"secret": {"secretName": "x"}}}]})
    one("nameless-mount", {"volumeMounts": [{"name": "nothing", "mountPath": "/x"}]})
    bidirectional = {"name": "e", "mountPath": "/e", "mountPropagation": "Bidirectional"}
    one("bidirectional", {"volumeMounts": [bidirectional]}, {"volumes": volumes})
    one("no-path", {"volumeMounts": [{"name": "e", "mountPath": ""}]}, {"volumes": volumes})
    sidecar = {"name": "s", "image": "i", "restartPolicy": "Always", "volumeMounts": mounts[:1]}
    once = {"name": "i", "image": "i", "restartPolicy": "Never"}
    debug = {"ephemeralContainerCommon": {"name": "x", "image": "i", "volumeMounts": mounts[:1]}}
    kinds_of = {"initContainers": [sidecar, once], "ephemeralContainers": [debug], "volumes": volumes}
    one("kinds", {}, kinds_of)
    one("twice", {}, {"initContainers": [main]})
    one("probe", {"livenessProbe": {"periodSeconds": 1}, "lifecycle": {}, "imagePullPolicy": "Never"})
    one("host", {}, {"hostNetwork": 1, "hostPID": 1, "dnsPolicy": "Default", "restartPolicy": "OnFailure"})
    one("shared", {}, {"hostPID": 1, "shareProcessNamespace": 1})
    one("grace", {}, {"terminationGracePeriodSeconds": -1})
    one("dns", {}, {"dnsPolicy": "None"})
    dns = {"nameservers": ["10.0.0.1"], "searches": ["x"], "options": [{"name": "ndots", "value": "5"}]}
    one("dns-config", {}, {"dnsPolicy": "None", "dnsConfig": dns, "hostname": "h", "subdomain": "s"})
    one("os", {}, {"os": {"name": "windows"}, "nodeName": "n", "serviceAccountName": "s"})
    one("labels", {}, {"nodeSelector": {"a": "b"}}, {"labels": {"a": "\u00e9\u20ac\U0001f600<&>"}, "uid": "u1"})
    one("other", {"image": "img:2"}, {"containers": [main, other], "securityContext": {"fsGroup": 5}})
    save("pod", "bad", field(1, field(1, "_")) + field(2, field(2, field(1, "C"))))
    save("pod", "empty", b"")
    for number in range(4):
        save("pod", "grown-%d" % number, b"\7" + bytes((i * 7 + number * 31) % 131 | 1 for i in range(150)))


def engines():
    marks = '"io.berth.cluster":"c","io.berth.created-by":"berth","io.berth.index":"2",'
    marks += '"io.berth.role":"worker","io.berth.run-dir":"/r"'
    ps = (
        '[{"Id":"a","Image":"i","Labels":{%s,"io.berth.ip":"10.0.0.3"},"Names":["c-a"],"Ports":[{'
        '"host_ip":"127.0.0.1","container_port":80,"host_port":8,"range":2,"protocol":"udp"},'
        '{"container_port":81,"protocol":"sctp"}],"State":"running","Created":1},{"Names":["x"],'
        '"Labels":{"a":"b"}}]' % marks
    )
    inspect = (
        '[{"Id":"a","Name":"/c-a","Created":"2026-01-01T00:00:00Z","State":{"Status":"exited"},'
        '"HostConfig":{"PortBindings":{"81/tcp":[{"HostIp":"","HostPort":"0"}]}},"Config":{"Image":'
        '"i","Labels":{%s,"desktop.docker.io/ports/80/tcp":":9"}},"NetworkSettings":{"Networks":{'
        '"c":{"IPAddress":"10.0.0.2","GlobalIPv6Address":"fd00::2"}},"Ports":{"80/tcp":[{"HostIp":'
        '"127.0.0.1","HostPort":"4"}],"53/udp":[{"HostIp":"::1","HostPort":"5"}],"1/sctp":null}}}]'
        % marks
    )
    ids = '{"ID":"a","Names":"c-a","Labels":"a=b,io.berth.created-by=berth"}\n{"ID":"b","Names":"x"}\n'
    networks = (
        '[{"name":"c","id":"n","driver":"bridge","options":{"mtu":"1400"},"subnets":[{"subnet":'
        '"fd00::/64"},{"subnet":"10.0.0.0/24","gateway":"10.0.0.1"}],"labels":{%s}},{"name":"x"}]'
        % marks
    )
    twins = (
        '[{"Name":"c","Id":"n","EnableIPv6":true,"IPAM":{"Config":[{"Subnet":"10.0.0.0/24","Gateway":'
        '"10.0.0.1"}]},"Containers":{"a":{}},"Options":{"com.docker.network.driver.mtu":"1400"},'
        '"Labels":{%s}},{"Name":"c","Id":"m","IPAM":{"Config":null},"Containers":{},"Labels":{%s}},'
        '{"Name":"c","Id":"l","Labels":{%s}},{"Name":"none","Labels":{}}]' % (marks, marks, marks)
    )
    podman = (
        '{"host":{"cgroupVersion":"v1","cgroupControllers":["cpu"],"ociRuntime":{"name":"crun"},'
        '"security":{"rootless":true}},"store":{"graphRoot":"/s","graphDriverName":"overlay"},'
        '"version":{"Version":"4.3.1"}}'
    )
    docker = (
        '{"Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"]],"MemoryLimit":true,'
        '"CgroupVersion":"1","OSType":"linux","NCPU":2,"MemTotal":9,"ServerVersion":"20.10",'
        '"SecurityOptions":["name=rootless"],"DefaultRuntime":"runc","ClientInfo":{"Context":"x"},'
        '"OperatingSystem":"Docker Desktop"}'
    )
    failing = '{"ServerErrors":["Cannot connect to the Docker daemon at unix:///x"],"ServerVersion":""}'
    context = '[{"Name":"x","Endpoints":{"docker":{"Host":"unix:///run/x"}}}]'
    addresses = (
        '[{"Name":"c-a","NetworkSettings":{"IPAddress":"","Networks":{"x":{"IPAddress":"10.0.0.7",'
        '"GlobalIPv6Address":"fd00::7"}}}},{"Name":"else","NetworkSettings":null}]'
    )
    urls = '[{"Name":"a","URI":"ssh://u@a:22/s","Default":false},{"Name":"b","URI":"u","Default":true}]'
    answers = (ps, inspect, ids, networks, twins, twins, podman, docker, context, addresses, urls)
    for question, answer in enumerate(answers + ("aa\nbb\n\n",)):
        save("engine", "q%d" % question, bytes([question]) + answer.encode())
    for question, answer in ((7, failing), (7, podman), (1, ps), (0, "[" * 70), (8, "[{}]")):
        save("engine", "odd-%d-%d" % (question, len(answer)), bytes([question]) + answer.encode())


def archives():
    def archive(*members):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, kind, link in members:
                info = tarfile.TarInfo(name)
                info.type = kind
                info.linkname = link
                info.size = 3 if kind == tarfile.REGTYPE else 0
                tar.addfile(info, io.BytesIO(b"abc") if info.size else None)
        return out.getvalue()[:4096]

    save("tar", "plain", archive(("d", tarfile.DIRTYPE, ""), ("d/f", tarfile.REGTYPE, "")))
    save("tar", "links", archive(("l", tarfile.SYMTYPE, "/etc"), ("l/f", tarfile.REGTYPE, "")))
    save("tar", "hard", archive(("f", tarfile.REGTYPE, ""), ("g", tarfile.LNKTYPE, "f")))
    save("tar", "dots", archive(("../x", tarfile.REGTYPE, ""), ("/etc/x", tarfile.REGTYPE, "")))
    links = (("l", tarfile.SYMTYPE, ".."), ("l/f", tarfile.REGTYPE, ""), ("l", tarfile.DIRTYPE, ""))
    save("tar", "again", archive(*links))
    save("tar", "hard-odd", archive(("g", tarfile.LNKTYPE, "none"), ("h", tarfile.LNKTYPE, "../f")))
    save("tar", "file", archive(("f", tarfile.REGTYPE, "")))
    save("tar", "more", archive(("f", tarfile.REGTYPE, "")) + b"more" * 200)
    save("tar", "long", archive(("n" * 150, tarfile.REGTYPE, ""), ("fifo", tarfile.FIFOTYPE, "")))


def methods():
    """Every method in the order of the agent's table: its number is what targets take."""
    with open(os.path.join(REPO, "agent/service/services.c")) as file:
        table = re.findall(r"&(\w+)_service\.base", file.read())
    found = {}
    for service in table:
        path = os.path.join(REPO, "proto/node/v1/%s.proto" % service)
        with open(path) as file:
            text = file.read()
        for method in re.findall(r"^  rpc (\w+)\(", text, re.M):
            found["%s.%s" % (service, method)] = len(found)
    return found


def handlers():
    numbers = methods()

    def packed(method, payload, how=0, turns=20):
        head = bytes([128 | numbers[method], how]) + struct.pack("<H", len(payload))
        return head + payload + bytes([turns])

    def grown(method, *choices, turns=20):
        return bytes([numbers[method], 0, *choices, turns])

    def pod(name, image="img:1", more=b""):
        resources = field(8, field(2, field(1, "cpu") + field(2, field(1, "100m"))))
        main = field(1, "main") + field(2, image) + field(3, "sh") + resources
        spec = field(2, main) + field(3, "Never") + more
        meta = field(1, name) + field(3, "default")
        return field(1, field(1, meta) + field(2, spec))

    same = field(1, "default") + field(2, "web")
    mine = field(1, "default") + field(2, "p")
    apply_one = packed("pods.Apply", pod("p"), turns=60)
    save("handlers", "pod", b"\0" + apply_one + packed("pods.List", b"") + packed("pods.Wait", mine))
    volume = field(1, field(1, "v") + field(2, field(2, b"")))
    twice = apply_one + packed("pods.Apply", pod("p", "img:2", volume), turns=60)
    save("handlers", "pods", b"\0" + twice + packed("pods.Delete", mine, turns=60))
    save("handlers", "kubelet", b"\1" + apply_one + packed("pods.List", b""))
    pulled = packed("pods.Apply", pod("q", "remote:1"), turns=60)
    ready = packed("health.WaitReady", b"")
    save("handlers", "pull", b"\0" + pulled + ready + packed("pods.Apply", pod("r", "missing")))
    stop = packed("lifecycle.Quiesce", field(1, "default"), turns=60)
    save("handlers", "quiesce", b"\0" + apply_one + stop + packed("lifecycle.Pause", b""))
    freeze = packed("lifecycle.Pause", b"") + packed("lifecycle.Unpause", b"")
    save("handlers", "freeze", b"\1" + freeze)
    shell = packed("exec.Start", field(1, "sh") + field(2, field(1, "A") + field(2, "b")) + field(8, 1))
    write = packed("streams.Write", b"") + grown("streams.Write", 1, 0, 0, 1, 131, 1, 2, 3, 0)
    read = grown("streams.Read", 1, 0, 0, 0, 0) + grown("streams.Read", 1, 0, 1, 2, 0, 0)
    ended = grown("streams.Write", 1, 0, 1, 3, 0, 1, 1) + grown("streams.Read", 1, 0, 1, 3, 0, 1, 9)
    rest = grown("streams.Resize", 1, 0, 1, 9, 1, 9) + grown("streams.Signal", 1, 0, 1, 9)
    save("handlers", "session", b"\0" + shell + write + read + ended)
    save("handlers", "signals", b"\0" + shell + rest + grown("streams.Close", 1, 0))
    join = packed("exec.Start", field(1, "sh") + field(9, same))
    save("handlers", "join", b"\0" + join + packed("exec.Attach", field(1, same)))
    entry = b"x\0" b"5\0" b"33188\0" b"1000000000\0" b"0\0" b"7\0" b"to\0" b"\0"
    said = b"\0" + bytes([2 * len(entry) + 1]) + entry + b"\0" + entry[1:]
    listed = packed("files.List", field(1, "/etc/x") + field(2, 1), turns=0)[:-1] + said + b"\x14"
    save("handlers", "files-silent", b"\0" + packed("files.List", field(1, "/"), turns=0)[:-1] + b"\0\0\x14")
    out = packed("files.CopyOut", field(1, "/etc/x"))[:-1] + b"\x68\3abc\x14"
    save("handlers", "files", b"\0" + listed + out)
    copy = packed("files.CopyIn", field(1, "/etc") + field(2, "x")) + packed("images.Load", b"")
    save("handlers", "copy", b"\0" + copy + grown("streams.Write", 1, 0, 0, 1, 130, 1, 2, 1, 1))
    logs = packed("logs.Container", field(1, same)) + packed("logs.Journal", field(1, "kubelet"))
    save("handlers", "logs", b"\0" + logs + packed("logs.Dmesg", b"") + read)
    for action in ("Stop", "Kill", "Pause", "Unpause", "Delete"):
        call = packed("containers." + action, field(1, "c1") + field(1, "c"))
        save("handlers", "container-" + action, b"\0" + call + packed("containers.List", b""))
    for action in ("Start", "Stop", "Restart", "Kill"):
        call = packed("units." + action, field(1, "kubelet"))
        save("handlers", "unit-" + action, b"\0" + call + packed("units.Status", b""))
    for name, number in numbers.items():
        save("handlers", "rpc-" + name, bytes([0, 128 | number, 0, 0, 0, 20, number, 0]) + b"\1\1" * 20)


def http():
    def ask(name, agent, head, body=b""):
        save("http", name, bytes([agent]) + head.replace("\n", "\r\n").encode() + body)

    rest = " HTTP/1.1\nHost: n\n\n"
    for agent in (1, 2, 3, 24, 25, 9, 16):
        ask("agent-%d" % agent, agent, "GET /readyz" + rest)
    ask("healthz", 25, "GET /healthz" + rest)
    ask("metrics", 0, "GET /metrics?x=1&y HTTP/1.0\n\n")
    ask("head", 24, "HEAD /healthz" + rest)
    ask("elsewhere", 0, "GET /%2e%2e/etc" + rest)
    ask("two", 24, "GET /healthz" + rest + "GET /nothing" + rest)
    ask("post", 0, "POST /metrics HTTP/1.1\nHost: n\nContent-Length: 3\n\n", b"abc")
    chunked = "PUT /x HTTP/1.1\nHost: n\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n"
    ask("chunked", 0, chunked + "GET /readyz" + rest)
    ask("expect", 0, "POST / HTTP/1.1\nHost: n\nExpect: 100-continue\nContent-Length: 1\n\n", b"a")
    ask("upgrade", 0, "GET / HTTP/1.1\nHost: n\nConnection: Upgrade, close\nUpgrade: h2c\n\n")
    ask("cookie", 0, "GET /healthz HTTP/1.1\nHost: n\nCookie: a=b; c=\"d\"\n folded\n\n")
    save("http", "noise", b"\0\x16\3\1\2\0\1\0\1\xfc\3\3")


def pieces(*parts):
    return b"".join(bytes([len(part)]) + part for part in parts)


def sized(*parts):
    return b"".join(struct.pack("<H", len(part)) + part for part in parts)


def probes():
    greeting = b"\0SP\0\0\x31\0\0"
    health = field(2, 1) + field(3, 1) + field(1, field(1, "systemd") + field(2, 1))
    good = field(1, bytes(16)) + field(2, b"") + field(3, health) + field(4, 1)
    bad = field(2, field(1, 5) + field(2, "NOT_FOUND") + field(3, "no"))

    def frame(body):
        return b"\1" + struct.pack(">Q", len(body) + 4) + b"\x80\0\0\1" + body

    save("probe", "good", pieces(greeting, frame(good)))
    save("probe", "twice", pieces(greeting + frame(good), frame(good)[:9], frame(good)[9:]))
    save("probe", "bad", pieces(greeting[:3], greeting[3:], frame(bad)))
    save("probe", "long", pieces(greeting, b"\1" + b"\xff" * 8))
    save("probe", "stranger", pieces(b"HTTP/1.1 400 Bad Request\r\n\r\n"))


def gates():
    hello, words = b"\0", pieces(b"hello")
    save("gate", "both", hello + b"\1" + b"\2" + words + b"\3" + words + b"\x0c\x0d")
    save("gate", "pieces", b"\2" + pieces(b"\0SP\0") + b"\4" + pieces(b"\0\x30\0\0") + b"\1\x0c")
    save("gate", "stranger", b"\2" + pieces(b"GET / HTTP/1.1\r\n"))
    save("gate", "leaves", hello + b"\x0a\1\3" + words)
    save("gate", "nng-leaves", hello + b"\1\x0b\2" + words + b"\x0c")
    save("gate", "half", hello + b"\1\2" + words + b"\x08\3" + words + b"\x09\x0d\x0c")
    save("gate", "wrong", hello + b"\3" + pieces(b"\0SP\0\0\x30\0\0") + b"\x0c")


def logs():
    def line(second, text, stream="stdout", tag="F"):
        stamp = "2026-01-01T00:00:%02d.5+00:00" % second
        return ("%s %s %s %s\n" % (stamp, stream, tag, text)).encode()

    old = line(1, "one") + line(2, "two", "stderr") + line(3, "th", tag="P")
    new = line(4, "ree") + b"no stamp\n" + line(5, "five")
    for tail, since in ((255, 0), (2, 0), (0, 0), (255, 3), (9, 2), (1, 200)):
        save("logs", "tail-%d-since-%d" % (tail, since), bytes([tail, since]) + sized(old, new))
    save("logs", "cut", bytes([255, 2]) + sized(old[:-5], new[:-1]))
    save("logs", "previous", bytes([3, 2]) + sized(old, new, line(9, "next")))
    save("logs", "empty", bytes([3, 4]) + sized(b"", b"\n\n\n"))
    save("logs", "long", bytes([1, 4]) + sized(line(2, "x" * 500) * 20, line(6, "y" * 3000)))
    save("logs", "kernel", bytes([0, 0]) + sized(b"6,1,2000,-;text\n SUBSYSTEM=x\n", b"128,2,3,c;y"))
    save("logs", "kernel-late", bytes([0, 0]) + sized(b"30,1,18446744073709551615,-;t", b"190,1,1,-;l"))
    say = bytes([3]) + pieces(line(1, "a"))[:200]
    save("lines", "two", b"\0" + pieces(line(2, "b")) + say + b"\0" + pieces(line(3, "c")))
    part = line(1, "ha", tag="P")
    save("lines", "parts", b"\0" + pieces(part[:30]) + b"\0" + pieces(part[30:] + line(2, "lf")))
    save("lines", "mixed", b"\0" + pieces(part + line(1, "x", "stderr", "P") + b"plain\n"))
    save("lines", "kinds", b"\1" + pieces(line(1, "j", "journal") + line(2, "k", "kernel", "F:x")))
    save("lines", "escape", b"\0" + pieces(line(1, "\x1b[2J\u202e\x00\t\xff")) + b"\xff" + b"\0")


def values():
    words = (
        ("5", "-7", "1m30s", "1.5h", "0", "300us", "9223372036854775807", ".5m", "2ns"),
        ("2026-01-31T12:00:00Z", "2026-02-28 23:59:60.123456789+01:30", "0001-01-01T00:00:00Z",
         "9999-12-31T23:59:59Z", "1970-01-01T00:00:00.1Z"),
        ("100m", "1.5Gi", "-2", "1e3", "12E", "0.1n", "5e-3", "+7k", "1E18", "9223372036854775807"),
        ("web", "a.b-c", "-x", "w*b?,web", "a" * 64),
        ("plain", "//user:password@host/", "\u00e9\x01\u20ac", "\xf0\x9f\x98\x80"),
        ("a/b", "../x", "/etc", "a//./b/", "dir/..", "."),
        ("192.168.49.0/24", "10.0.0.1/8", "fd00::/64", "192.168.49.7", "0.0.0.0/0", "1.2.3.4/32"),
        ("8080:80", "[::1]:5353:53/udp", "127.0.0.1::80/tcp", "/a:/b:ro,z", "2g", "1800mb", "1.5",
         "type=bind,source=/a,target=/b,readonly", "type=bind,src=/a,dst=/b,bind-propagation=rslave",
         "k=v", "no-limit", "/a:/b:rprivate,create,rw", "0"),
        ("Error: no such container x", "error: name \"x\" is already in use", "\x1b[31mred\x1b[0m",
         "Error: address already in use", "permission denied", "no space left on device",
         "cannot connect to the Docker daemon", "connection refused", "a\nb\nc\n\n"),
    )
    for kind, list_of in enumerate(words):
        for number, word in enumerate(list_of):
            save("values", "%d-%02d" % (kind, number), bytes([kind]) + word.encode())


def commands():
    lines = (
        "get nodes -o json", "create cluster --name c --workers 2", "exec web -- sh -c x",
        "logs web --since=5m --tail 3 -f", "delete cluster c", "stop node a b --grace 2s",
        "get po -A --output=yaml", "kill unit n kubelet --signal SIGTERM", "help create", "-h",
        "frobnicate", "get", "get nods", "create cluster --worker", "cp n:/a b", "doctor -v -v",
        "get pods --node a,b -N c -n kube-system", "logs web --follow=false -vv --grace",
        "stop node --dry-run=perhaps --timeout 2m", "exec -it web -- ls", "create cluster --wait=1x",
        "kill unit n u -s 99", "get nodes -owide --no-such", "-- get", "get nodes -qvo=json",
        "port-forward web 8080:80", "apply -f -", "plain-name", "a.b-c",
    )
    for number, line in enumerate(lines):
        save("command", "line-%02d" % number, line.replace(" ", "\0").encode())


def procs():
    stat = b"77 (a) b) S 1 77 77 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 99 1000 200 18446744073709551615"
    rest = (b"kube-apiserver\0--x\0y", b"unconfined\n", b"MemTotal: 9 kB\nMemAvailable: 5000 kB\n",
            b'NAME=x\nPRETTY_NAME="Debian \\"12\\""\n', b"root:x:0:0:r:/root:/bin/sh\nu:x:5:6::/h:\n",
            b"root:x:0:\ng:x:7:u,v\n", b"systemd\n")
    for user in ("u", "u:g", "5", "5:7", "nobody", "u:none", ""):
        save("proc", "user-" + (user or "none").replace(":", "-"), sized(stat, *rest) + pieces(user.encode()))
    kernel = stat.replace(b"4194304", b"2097152").replace(b"a) b", b"kube-apiserver")
    save("proc", "kernel", sized(kernel, b"", b"", b"MemAvailable:", b"PRETTY_NAME='a", b"x:", b":", b""))
    save("proc", "zombie", sized(stat.replace(b"S", b"Z"), b"no end", *rest[1:]))


def stores():
    pod = field(1, field(1, "p") + field(3, "default") + field(5, "u1"))
    pod += field(2, field(2, field(1, "c") + field(2, "i")))
    ids = struct.pack("<I", 1) + struct.pack("<I", 3) + b"abc"
    payload = struct.pack("<qqB", 5, -1, 0) + ids + pod
    frame = b"BERTHPOD" + struct.pack("<II", 1, len(payload))
    frame += struct.pack("<I", crc32c(payload)) + payload
    save("store", "payload", b"\1" + payload)
    save("store", "deleted", b"\1" + struct.pack("<qqBI", 5, 30, 1, 0) + pod)
    save("store", "ids", b"\1" + struct.pack("<qqBI", 5, 30, 1, 2) + struct.pack("<I", 99))
    save("store", "other", b"\1" + struct.pack("<qqBI", 5, 30, 1, 0) + pod.replace(b"u1", b"u2"))
    save("store", "file", b"\0" + frame)
    for at in (3, 8, 12, 16, 30):
        damaged = frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1:]
        save("store", "damaged-%d" % at, b"\0" + damaged)
    save("store", "short", b"\0" + frame[:10])


def sessions():
    def frame(channel, text, opcode=2, last=0x80):
        body = bytes([channel]) + text
        size = bytes([len(body)]) if len(body) < 126 else b"\x7e" + struct.pack(">H", len(body))
        return bytes([last | opcode]) + size + body

    exit_code = b'{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":' \
        b'[{"reason":"ExitCode","message":"137"}]}}'
    done = frame(3, b'{"metadata":{},"status":"Success"}')
    save("session", "good", b"\1" + pieces(frame(1, b"out"), frame(2, b"err"), done))
    save("session", "code", b"\3" + pieces(frame(1, b"x" * 200), frame(3, exit_code)))
    missing = b'{"status":"Failure","message":"exec: \\"x\\": executable file not found in $PATH"}'
    save("session", "missing", b"\5" + pieces(frame(3, missing)[:9], frame(3, missing)[9:]))
    denied = b'{"status":"Failure","message":"x: permission denied"}'
    save("session", "denied", b"\1" + pieces(frame(3, denied), b"\x88\0"))
    save("session", "broken", b"\1" + pieces(frame(1, b"a", last=0), b"\0\1b", b"\x89\0", b"\xf1\x85"))
    save("session", "long", b"\7" + pieces(b"\x82\x7f" + b"\0" * 5 + b"\1\0\0" + b"\1abc"))
    v4 = b"HTTP/1.1 101 x\r\nsec-websocket-protocol: v4.channel.k8s.io\r\n\r\n"
    save("session", "v4", b"\4" + pieces(v4[:20], v4[20:] + frame(1, b"z") + done))
    save("session", "refused", b"\0" + pieces(b"HTTP/1.1 403 Forbidden\r\n\r\n"))
    save("session", "silent", b"\0")


MORE = (probes, gates, logs, values, commands, procs, stores, sessions)
for make in (requests, replies, journals, grpc, streams, texts, pods, engines, archives, handlers, http) + MORE:
    make()
