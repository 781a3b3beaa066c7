"""Devices, and layers on them: with an RPC server, which takes layers as a GPU does.

The tests that need one run where LLMCLI_TEST_RPC names a folder with llama.cpp's libraries and
`ggml-rpc-server`, built with `cmake -DGGML_RPC=ON -DBUILD_SHARED_LIBS=ON`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmcli.engine.llama.devices import default_devices, devices, pointers_of, system_info
from llmcli.errors import UsageError
from tests.cli.program import PATIENCE, Program

RPC = os.environ.get("LLMCLI_TEST_RPC", "")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an RPC server on loopback."""
    if not RPC:
        pytest.skip("needs LLMCLI_TEST_RPC, a build with the RPC backend")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [str(Path(RPC) / "ggml-rpc-server"), "-p", str(port), "-t", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
        process.kill()


@pytest.fixture
def llmcli(tiny_model: Path, tmp_path: Path) -> Program:
    """llmcli with the tiny model."""
    return Program(tmp_path, tiny_model)


def test_the_processor_is_a_device() -> None:
    """It has memory and features, and takes no layers; one that is not there is refused by name."""
    [cpu] = [device for device in devices() if device.kind == "CPU"]
    assert cpu.total > 0
    assert not cpu.takes_layers
    assert dict(system_info())["CPU"]
    assert list(pointers_of(["none"])) == [None]
    for name in ("CPU", "CUDA9", ""):
        with pytest.raises(UsageError, match="there is no such device"):
            pointers_of([name])


def test_a_gpu_that_is_not_there(llmcli: Program) -> None:
    """Asking for one is a notice with the way to a build for it, and the reply comes from the CPU."""
    if default_devices():
        pytest.skip("there is one")
    ran = llmcli("chat", "-p", "a", "-n", "1", "-ngl", "3", "--json").succeeded()
    assert "can't use a GPU" in ran.stderr
    assert "CMAKE_ARGS=" in ran.stderr
    assert ran.json["offload"]["layers"] == 0
    for quiet in (["-ngl", "0"], ["-ngl", "auto"], ["-ngl", "3", "--device", "none"]):
        assert "GPU" not in llmcli("chat", "-p", "a", "-n", "1", *quiet).succeeded().stderr
    llmcli("chat", "-p", "a", "--device", "CUDA0").failed(2, "--device CUDA0: there is no such device")


def test_a_server_that_is_not_there(llmcli: Program) -> None:
    """Is an error, whichever the build."""
    llmcli("chat", "-p", "a", "--rpc", "127.0.0.1").failed(2, "must be HOST:PORT")
    environ = {"LLAMA_CPP_LIB_PATH": RPC} if RPC else {}
    ran = llmcli.process("chat", "-p", "a", "--rpc", "127.0.0.1:1", env=environ)
    ran.failed(1 if RPC else 2, "can't connect" if RPC else "no RPC backend")


@pytest.mark.parametrize(
    ("options", "layers", "devices_named"),
    [
        (["-ngl", "all"], 3, ["RPC0"]),
        (["-ngl", "auto"], 3, ["RPC0"]),
        (["-ngl", "2"], 2, ["RPC0"]),
        (["-ngl", "0"], 0, []),
        (["--device", "none"], 0, []),
        (["--device", "RPC0", "-ngl", "1", "-sm", "none", "-mg", "0"], 1, ["RPC0"]),
        (["-ts", "1", "-fa", "on", "-ctk", "q8_0", "-ctv", "q8_0"], 3, ["RPC0"]),
        (["--cpu-moe"], 3, ["RPC0"]),
    ],
)
def test_layers_go_where_they_are_asked_to(
    llmcli: Program, server: str, options: list[str], layers: int, devices_named: list[str]
) -> None:
    """What llama.cpp did is said, and the reply is the same wherever it is computed."""
    environ = {"LLAMA_CPP_LIB_PATH": RPC}
    args = ["chat", "-p", "a", "-n", "4", "--temp", "0", "--json"]
    ran = llmcli.process(*args, "--rpc", server, *options, env=environ).succeeded()
    offload = ran.json["offload"]
    assert (offload["layers"], offload["devices"]) == (layers, devices_named)
    assert ("offloaded" in ran.stderr) == bool(layers)
    if "-ctk" not in options:
        assert ran.json["message"] == llmcli(*args).succeeded().json["message"]


def test_a_main_gpu_that_is_not_there(llmcli: Program, server: str) -> None:
    """Is refused for llama.cpp's own reason."""
    environ = {"LLAMA_CPP_LIB_PATH": RPC}
    ran = llmcli.process("chat", "-p", "a", "--rpc", server, "-sm", "none", "-mg", "3", env=environ)
    ran.failed(1, "invalid value for main_gpu")
