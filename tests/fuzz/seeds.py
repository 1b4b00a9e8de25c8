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


def pods():
    port = field(3, 80) + field(4, "TCP")
    resources = field(8, field(2, field(1, "cpu") + field(2, field(1, "100m"))))
    container = field(1, "c") + field(2, "i") + field(3, "sh") + field(6, port) + resources
    spec = field(2, container) + field(3, "Never")
    save("pod", "small", field(1, field(1, "p") + field(3, "ns")) + field(2, spec))
    save("pod", "bad", field(1, field(1, "_")) + field(2, field(2, field(1, "C"))))


def engines():
    node = '{"io.berth.cluster":"c","io.berth.node":"c-w","io.berth.role":"worker"}'
    ps = '[{"Id":"a","Names":["c-w"],"State":"running","Labels":%s,"Ports":[],"Created":1}]' % node
    inspect = (
        '[{"Id":"a","Name":"/c-w","Created":"2026-01-01T00:00:00Z","State":{"Status":"running"},'
        '"Config":{"Image":"i","Labels":%s},"NetworkSettings":{"Networks":{"c":{"IPAddress":'
        '"10.0.0.2"}},"Ports":{"6443/tcp":[{"HostIp":"127.0.0.1","HostPort":"4"}]}}}]' % node
    )
    networks = '[{"name":"c","Name":"c","Id":"n","labels":{},"subnets":[{"subnet":"10.0.0.0/24"}],'
    networks += '"IPAM":{"Config":[{"Subnet":"10.0.0.0/24"}]},"Containers":{}}]'
    info = '{"host":{"cgroupVersion":"v1","security":{"rootless":false}},"version":{"Version":"4"},'
    info += '"ServerVersion":"20.10","CgroupVersion":"1","ServerErrors":[]}'
    context = '[{"Name":"x","Endpoints":{"docker":{"Host":"unix:///run/x"}}}]'
    answers = (ps, inspect, '{"ID":"a","Names":"c-w","Labels":"a=b"}\n', networks, networks)
    answers += (networks, info, info, context)
    for question, answer in enumerate(answers):
        save("engine", "q%d" % question, bytes([question]) + answer.encode())


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


for make in (requests, replies, journals, grpc, streams, texts, pods, engines, archives, handlers, http):
    make()
