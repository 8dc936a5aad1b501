#!/usr/bin/env python3
"""What a pipeline of many small stages costs here, in DVC and in Snakemake, measured in one run.

    cargo build --release --locked
    python3 engine/benches/peers.py --venv /tmp/peers-venv --dag target/release/dag

The virtual environment is made where there is none, with DVC and Snakemake from PyPI. Every figure is
the wall time of a whole process, from its start to its end, as a user would wait for it. Two shapes:

    chain   s0 -> s1 -> ... -> s999
    fan     s0 -> s1, s0 -> s2, ..., s0 -> s999

and two times: cold (a new folder, an empty cache) and no-op (the same again). All tools run the same
shell line in every stage: it reads its input, writes one line to its output, and one to a log. The log
is counted: cold must have run every stage, no-op none, or the program ends with an error.

`dag` is measured twice: with these shell lines as stages of the kind `command`, which is the comparison,
and with stages that start no process (`problems`, then `mix`), for which the peers have no counterpart.
DVC runs one stage at a time, by its nature; Snakemake and `dag` get as many cores as --cores says.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def upstream(shape, number):
    """The number of the stage that this one reads; None for the first."""
    if number == 0:
        return None
    return 0 if shape == "fan" else number - 1


def line(number, reads, writes):
    """The shell line of a stage. `reads` and `writes` are written as the shell sees them."""
    reading = f"cat {reads} > /dev/null; " if reads else ""
    return f'{reading}echo \'{{"stage": {number}}}\' > {writes}; echo {number} >> "$STAGE_LOG"'


class Dag:
    """`dag` with stages of the kind `command`."""

    name = "dag, command"
    logged = True

    def __init__(self, arguments):
        self.binary = str(Path(arguments.dag).resolve())
        self.cores = arguments.cores

    def stage(self, shape, number):
        previous = upstream(shape, number)
        text = line(number, '"$DAG_INPUT_FROM"' if previous is not None else "", '"$DAG_OUTPUT.jsonl"')
        inputs = [] if previous is None else [f'from = "s{previous}"']
        # A JSON text is a TOML text as well.
        return ['kind = "command"', 'env = ["STAGE_LOG"]', f"run = {json.dumps(['sh', '-c', text])}", *inputs]

    def write(self, folder, shape, stages):
        lines = ["[pipeline]", 'name = "many"']
        for number in range(stages):
            lines += ["", f"[stage.s{number}]", *self.stage(shape, number)]
        (folder / "dag.toml").write_text("\n".join(lines) + "\n")

    def command(self):
        return [self.binary, "run", "--jobs", str(self.cores), "dag.toml"]

    def environment(self, folder):
        return {"DAG_CACHE_DIR": str(folder / "cache")}

    def version(self):
        return said(self.binary, "--version")


class DagInProcess(Dag):
    """`dag` with stages that start no process: one generated problem, and mixes of it."""

    name = "dag, in process"
    logged = False

    def stage(self, shape, number):
        previous = upstream(shape, number)
        if previous is None:
            return ['kind = "problems"', 'source = { generate = { families = ["chain"], count = 1 } }']
        # The seed makes every mix a stage of its own: equal ones would be found in the cache.
        return ['kind = "mix"', f'from = "s{previous}"', f"seed = {number}"]


class Dvc:
    """DVC without a version control system, analytics and the check for updates."""

    name = "DVC"
    logged = True

    def __init__(self, arguments):
        self.binary = str(Path(arguments.venv).resolve() / "bin" / "dvc")

    def write(self, folder, shape, stages):
        table = {}
        for number in range(stages):
            previous = upstream(shape, number)
            reads = "" if previous is None else f"s{previous}.jsonl"
            table[f"s{number}"] = {
                "cmd": line(number, reads, f"s{number}.jsonl"),
                "deps": [reads] if reads else [],
                "outs": [f"s{number}.jsonl"],
            }
        # YAML takes JSON as it is.
        (folder / "dvc.yaml").write_text(json.dumps({"stages": table}, indent=1))
        for words in (
            ["init", "--no-scm", "-q"],
            ["config", "core.analytics", "false"],
            ["config", "core.check_update", "false"],
        ):
            subprocess.run([self.binary, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    def command(self):
        return [self.binary, "repro", "--quiet"]

    def environment(self, folder):
        # Its data base of file states lies outside the folder by default; a cold run has none.
        return {"DVC_SITE_CACHE_DIR": str(folder / "site"), "DVC_NO_ANALYTICS": "1"}

    def version(self):
        return said(self.binary, "--version")


class Snakemake:
    """Snakemake on local cores."""

    name = "Snakemake"
    logged = True

    def __init__(self, arguments):
        self.binary = str(Path(arguments.venv).resolve() / "bin" / "snakemake")
        self.cores = arguments.cores

    def write(self, folder, shape, stages):
        goals = range(1, stages) if shape == "fan" else [stages - 1]
        lines = ["rule all:", "    input: " + ", ".join(f'"s{number}.jsonl"' for number in goals)]
        for number in range(stages):
            previous = upstream(shape, number)
            reads = "" if previous is None else f"s{previous}.jsonl"
            # Braces are Snakemake's own, unless doubled.
            text = line(number, reads, f"s{number}.jsonl").replace("{", "{{").replace("}", "}}")
            lines += ["", f"rule s{number}:"]
            lines += [f'    input: "{reads}"'] if reads else []
            lines += [f'    output: "s{number}.jsonl"', f"    shell: {text!r}"]
        (folder / "Snakefile").write_text("\n".join(lines) + "\n")

    def command(self):
        return [self.binary, "--cores", str(self.cores), "--quiet", "all", "--nolock"]

    def environment(self, folder):
        return {"XDG_CACHE_HOME": str(folder / "home")}

    def version(self):
        return said(self.binary, "--version")


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def timed(tool, folder, limit):
    """Seconds of one run and the number of stages that ran; seconds are None if the limit ended it."""
    log = folder / "stages.log"
    log.write_text("")
    environment = {**os.environ, "STAGE_LOG": str(log), **tool.environment(folder)}
    with open(folder / "output.log", "wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            tool.command(), cwd=folder, env=environment, stdout=output, stderr=output,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None, len(log.read_text().splitlines())
        seconds = time.perf_counter() - began
    if code != 0:
        tail = (folder / "output.log").read_text(errors="replace")[-2000:]
        sys.exit(f"{tool.name} ended with {code}:\n{tail}")
    return seconds, len(log.read_text().splitlines())


def measure(tool, shape, arguments, base):
    """Cold and no-op seconds: the median, or None with the limit reached."""
    cold, again = [], []
    began = time.perf_counter()
    for _ in range(arguments.repetitions):
        folder = Path(tempfile.mkdtemp(dir=base))
        tool.write(folder, shape, arguments.stages)
        seconds, ran = timed(tool, folder, arguments.limit)
        if seconds is None:
            shutil.rmtree(folder)
            return {"cold": None, "cold_ran": ran, "noop": None, "repetitions": 1}
        if tool.logged and ran != arguments.stages:
            sys.exit(f"{tool.name}, {shape}: {ran} of {arguments.stages} stages ran from nothing")
        cold.append(seconds)
        for _ in range(arguments.repetitions):
            seconds, ran = timed(tool, folder, arguments.limit)
            if ran != 0:
                sys.exit(f"{tool.name}, {shape}: {ran} stages ran although nothing had changed")
            if seconds is None:
                break
            again.append(seconds)
            if time.perf_counter() - began > arguments.patience:
                break
        shutil.rmtree(folder)
        if time.perf_counter() - began > arguments.patience:
            break
    middle = statistics.median
    return {"cold": middle(cold), "cold_runs": len(cold),
            "noop": middle(again) if again else None, "noop_runs": len(again)}


def environment_with_peers(venv):
    """Makes the virtual environment where it is missing."""
    binaries = Path(venv) / "bin"
    if not (binaries / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    missing = [name for name in ("dvc", "snakemake") if not (binaries / name).exists()]
    if missing:
        subprocess.run([str(binaries / "python"), "-m", "pip", "-q", "install", *missing], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", required=True, help="virtual environment with the peers; made if missing")
    parser.add_argument("--dag", default="target/release/dag", help="the release binary")
    parser.add_argument("--stages", type=int, default=1000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--shapes", default="fan,chain")
    parser.add_argument("--tools", default="dag,in-process,dvc,snakemake")
    parser.add_argument("--repetitions", type=int, default=5, help="cold runs, each followed by as many no-ops")
    parser.add_argument("--patience", type=float, default=60, help="seconds after which nothing is repeated")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which one run is ended")
    parser.add_argument("--folder", help="where to work; default: the folder for temporary files")
    arguments = parser.parse_args()
    environment_with_peers(arguments.venv)
    kinds = {"dag": Dag, "in-process": DagInProcess, "dvc": Dvc, "snakemake": Snakemake}
    tools = [kinds[name](arguments) for name in arguments.tools.split(",")]
    for tool in tools:
        print(f"{tool.name}: {tool.version()}")
    print(f"{arguments.stages} stages, {os.cpu_count()} cores here, load {os.getloadavg()[0]:.2f}\n")
    print(f"{'shape':6} {'tool':16} {'cold':>10} {'a stage':>10} {'no-op':>10}  runs   load", flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as base:
        for shape in arguments.shapes.split(","):
            for tool in tools:
                load = os.getloadavg()[0]
                found = measure(tool, shape, arguments, base)
                if found["cold"] is None:
                    print(f"{shape:6} {tool.name:16} over {arguments.limit:.0f} s, {found['cold_ran']} stages had run")
                    continue
                a_stage = 1000 * found["cold"] / arguments.stages
                noop = f"{found['noop']:8.3f} s" if found["noop"] is not None else "over limit"
                print(f"{shape:6} {tool.name:16} {found['cold']:8.2f} s {a_stage:7.2f} ms {noop}"
                      f"  {found['cold_runs']}/{found['noop_runs']}  {load:5.2f}", flush=True)


if __name__ == "__main__":
    main()
