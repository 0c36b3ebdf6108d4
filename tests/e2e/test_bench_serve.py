"""`kefu bench serve` against real desks."""

import json
import os
import signal
import subprocess
import threading

import pytest

from tests.e2e.desk_process import KEFU, kefu_environment, run_kefu

pytestmark = pytest.mark.models


def test_customers_write_to_a_running_desk(shop, tmp_path):
    page = tmp_path / "report.html"
    ran = run_kefu(
        *("--data-dir", shop.data_dir, "bench", "serve", shop.origin, "--json", "--out", page),
        *("--users", 6, "--rate", 10, "--seconds", 5),
        *("--known", 0.6, "--rephrased", 0.2, "--new", 0, "--blocked", 0.2, "--follow-up", 0),
    )
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout)["figures"]
    assert figures["errors"] == {}
    assert figures["sent"] == sum(latency["n"] for latency in figures["by_source"].values())
    assert figures["sources_of"]["blocked"] == {"blocked": figures["by_source"]["blocked"]["n"]}
    assert figures["sources_of"]["known"]["faq"] > 10
    assert {"desk", "llama.cpp", "customers"} == set(figures["processes"])
    assert figures["processes"]["desk"]["memory_mib"] > 50
    text = page.read_text("utf-8")
    assert text.count("<svg") == 4
    assert "src=" not in text
    assert "all but model" in text


def test_a_desk_that_stalls_is_charged_for_every_message_that_was_due(new_desk):
    """Four customers who waited for their replies would have noticed four slow ones."""
    desk = new_desk().start()
    command = [KEFU, "--data-dir", desk.data_dir, "bench", "serve", desk.origin, "--json"]
    mix = ["--known", "1", "--rephrased", "0", "--new", "0", "--follow-up", "0", "--blocked", "0"]
    volume = ["--users", "4", "--rate", "20", "--seconds", "12", "--streamed", "0"]
    bench = subprocess.Popen(
        [*map(str, command), *mix, *volume], env=kefu_environment(), stdout=subprocess.PIPE
    )
    desk.wait_metric(lambda turns: turns > 20, "kefu_turns_total")
    os.kill(desk.pid, signal.SIGSTOP)
    timer = threading.Timer(3.0, os.kill, (desk.pid, signal.SIGCONT))
    timer.start()
    out, _ = bench.communicate(timeout=120)
    timer.join()
    figures = json.loads(out)["figures"]
    assert figures["errors"] == {}
    assert figures["quick"]["longest"] > 2500
    slow = sum(
        m["quick"]["n"] for m in figures["moments"] if m["quick"] and m["quick"]["p50"] > 500
    )
    assert slow > 20


def test_without_a_desk_it_says_so(data_dir):
    ran = run_kefu("--data-dir", data_dir, "bench", "serve", "http://127.0.0.1:9", "--json")
    assert ran.returncode == 1
    assert "No desk is ready at http://127.0.0.1:9" in ran.stderr
    assert "kefu serve" in ran.stderr
    assert ran.stdout == ""


def test_one_desk_is_started_and_leaves_nothing(data_dir):
    ran = run_kefu(
        *("--data-dir", data_dir, "bench", "serve", "--json"),
        *("--users", 20, "--rate", 4, "--seconds", 4, "--follow-up", 0, "--blocked", 0),
        *("--known", 0.5, "--rephrased", 0, "--new", 0.5),
    )
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout)["figures"]
    assert figures["errors"] == {}
    assert figures["sources_of"]["new"]["model"] > 0
    assert not [path for path in data_dir.iterdir() if path.name != "models"]
