"""What sharing_speed.sh measures; it starts the server and finds the programs.

Every figure is the wall time of a whole process, from its start to its end, as a user would wait for it, and the
most memory it had. Everybody gets a prefix of the bucket for each round, and folders that know nothing of rounds
before. Three questions:

    large     one file of 1 GiB, there and back: dag, rclone
    small     10,000 files of 10 kB, there and back: dag, rclone, DVC
    look-ups  `dag plan` of 1,000 stages that a colleague has pushed, over a way that is 20 ms longer, beside the same
              plan of somebody who has everything

`dag` signs, checks who signed, and verifies every blob; the others do what they do by default. DVC and rclone run
also with as many transfers at once as `dag` has, so that nobody loses for being modest.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from folder_result import replace_model

HERE = Path(__file__).resolve().parent
SMALL, SMALL_BYTES = 10_000, 10_000
LOOKUPS = 1_000
MANY = "16"

# Lines that compress to three quarters, as base64 does: so many that about 1 GiB is left.
NOISE = """import base64, os, random

noise = random.Random(int(os.environ["DAG_SEED"]))
with open(os.environ["DAG_OUTPUT"] + ".jsonl", "w") as file:
    for _ in range(LINES):
        text = base64.b64encode(noise.randbytes(9_000)).decode()
        file.write('{"noise": "' + text + '"}\\n')
"""
LARGE = """[pipeline]
name = "large"

[stage.large]
kind = "command"
run = ["python3", "noise.py"]
files = ["noise.py"]
"""
FOLDER = """[pipeline]
name = "folder"

[stage.lessons]
kind = "problems"
source = { generate = { families = ["chain"], count = 16, seed = 1 } }

[stage.model]
kind = "sft"
from = "lessons"
init = { layers = 1, hidden = 16, heads = 2 }
prompt = "prompt"
response = "solution"
steps = 1
batch = 2
"""
MANY_STAGES = f"""[pipeline]
name = "lookups"

[stage.problems]
kind = "problems"
source = {{ generate = {{ families = ["chain"], count = 4, seed = 1 }} }}

[stage.picked]
kind = "mix"
from = "problems"

[sweep]
"picked.seed" = {list(range(1, LOOKUPS))}
"""


class Figures:
    """Seconds and MiB, by what was measured."""

    def __init__(self):
        self.seconds, self.mib = {}, {}

    def run(self, name, command, **options):
        """Runs to its end; what it printed. It must succeed."""
        start = time.perf_counter()
        with open(options.pop("log"), "w+b") as log:
            process = subprocess.Popen(
                [str(word) for word in command], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            log.seek(0)
            said = log.read().decode(errors="replace")
        if process.returncode != 0:
            raise SystemExit(f"{name}: {command} ended with {process.returncode}:\n{said[-4000:]}")
        if name is not None:
            mib = usage.ru_maxrss / 1024
            self.seconds.setdefault(name, []).append(seconds)
            self.mib.setdefault(name, []).append(mib)
            load = os.getloadavg()[0]
            print(f"  {name}: {seconds:.2f} s, {mib:.0f} MiB (load {load:.1f})", flush=True)
        return said


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.work = Path(arguments.work).resolve()
        self.dag_binary = str(Path(arguments.dag).resolve())
        self.url, self.endpoint = arguments.url.split("?endpoint=")
        self.bucket = self.url.removeprefix("s3://").split("/")[0]
        self.figures = Figures()
        self.project = self.work / "project"
        self.log = self.work / "log"

    # --- the tools -------------------------------------------------------------------------------------------------

    def dag(self, name, home, words, remote=None, slow=None):
        """`dag` of a user with this home, who knows this prefix as a remote."""
        environment = {
            **os.environ,
            "DAG_CACHE_DIR": str(self.work / home / "cache"),
            "DAG_CONFIG_DIR": str(self.work / home / "config"),
        }
        if remote is not None:
            endpoint = f"http://127.0.0.1:{slow}" if slow else self.endpoint
            environment["DAG_CACHE_REMOTES"] = f"team={self.url}/{remote}?endpoint={endpoint}"
        return self.figures.run(
            name, [self.dag_binary, *words], cwd=self.project, env=environment, log=self.log
        )

    def rclone(self, name, words):
        self.figures.run(name, ["rclone", "--config", self.work / "rclone.conf", *words], log=self.log)

    def dvc(self, name, repository, words):
        state = self.work / f"{repository}-state"
        environment = {
            **os.environ,
            **{f"DVC_{what}": str(state / what) for what in ("GLOBAL_CONFIG_DIR", "SYSTEM_CONFIG_DIR", "SITE_CACHE_DIR")},
        }
        self.figures.run(
            name, [self.arguments.dvc, *words], cwd=self.work / repository, env=environment, log=self.log
        )

    def dvc_repository(self, repository, prefix):
        (self.work / repository).mkdir()
        for words in (
            ["init", "--no-scm", "-q"],
            ["config", "core.analytics", "false"],
            ["config", "core.check_update", "false"],
            ["remote", "add", "-q", "-d", "team", f"s3://{self.bucket}/{prefix}"],
            ["remote", "modify", "team", "endpointurl", self.endpoint],
        ):
            self.dvc(None, repository, words)

    # --- what is moved -----------------------------------------------------------------------------------------------

    def prepare(self):
        self.project.mkdir()
        (self.project / "noise.py").write_text(NOISE.replace("LINES", str(self.arguments.mib * (1 << 20) // 9_000)))
        (self.project / "large.toml").write_text(LARGE)
        (self.project / "folder.toml").write_text(FOLDER)
        (self.project / "lookups.toml").write_text(MANY_STAGES)
        (self.work / "rclone.conf").write_text(
            f"[s3]\ntype = s3\nprovider = Other\nenv_auth = true\nendpoint = {self.endpoint}\n"
        )
        made = json.loads(self.dag(None, "alice", ["cache", "key", "new", "--name", "alice", "--json"]))
        (self.project / "dag-cache.toml").write_text(f'[writers]\nalice = "{made["writer"]}"\n')
        print("what is moved is made", flush=True)
        for file in ("large", "folder", "lookups"):
            self.dag(f"dag run, {file}", "alice", ["run", f"{file}.toml", "--progress", "none"])

        large = self.outputs("large.toml", "large")["main"]
        self.large = self.work / "large"
        self.large.mkdir()
        shutil.copyfile(self.blob("alice", large["bytes"]), self.large / "file")
        self.large_mib = large["size"] / (1 << 20)

        self.small = self.work / "small"
        noise = random.Random(7)
        for index in range(SMALL):
            path = self.small / f"{index % 100:02}" / f"{index:05}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(noise.randbytes(SMALL_BYTES))
        key = self.shown("folder.toml", "model")["record"]["key"]
        replace_model(self.work / "alice" / "cache", key, self.small)
        model = self.outputs("folder.toml", "model")["main"]
        if model["size"] != SMALL * SMALL_BYTES:
            raise SystemExit("the folder did not become the model")
        # The rules were kept, or this says so.
        self.dag(None, "alice", ["cache", "verify"])

        self.dvc_repository("dvc", "dvc-made")
        shutil.copytree(self.small, self.work / "dvc" / "small")
        self.dvc("dvc add, small", "dvc", ["add", "-q", "small"])

    def shown(self, file, stage):
        return json.loads(self.dag(None, "alice", ["show", stage, file, "--json", "--rows", "0"]))

    def outputs(self, file, stage):
        return self.shown(file, stage)["record"]["outputs"]

    def blob(self, home, digest):
        return self.work / home / "cache" / "blobs-v1" / digest[:2] / digest

    # --- the questions -------------------------------------------------------------------------------------------------

    def large_file(self, prefix):
        self.dag("dag push, large", "alice", ["cache", "push", "-f", "large.toml", "large"], f"{prefix}-dag")
        self.rclone("rclone there, large", ["copy", self.large, f"s3:{self.bucket}/{prefix}-rclone/large"])
        self.dag("dag pull, large", "bob", ["cache", "pull", "-f", "large.toml"], f"{prefix}-dag")
        self.rclone("rclone back, large", ["copy", f"s3:{self.bucket}/{prefix}-rclone/large", self.work / "back"])
        same_bytes(self.large, self.work / "back")
        blob = self.blob("bob", self.outputs("large.toml", "large")["main"]["bytes"])
        if blob.stat().st_size != (self.large / "file").stat().st_size:
            raise SystemExit("what dag pulled is not what it pushed")
        shutil.rmtree(self.work / "back")

    def small_files(self, prefix):
        dvc_ways = {"": [], f", {MANY} jobs": ["-j", MANY]}
        rclone_ways = {"": [], f", {MANY} transfers": ["--transfers", MANY, "--checkers", MANY]}
        self.dag("dag push, small", "alice", ["cache", "push", "-f", "folder.toml"], f"{prefix}-dag")
        for number, (way, words) in enumerate(rclone_ways.items()):
            there = f"s3:{self.bucket}/{prefix}-rclone/small{number}"
            self.rclone(f"rclone there, small{way}", ["copy", *words, self.small, there])
        for number, (way, words) in enumerate(dvc_ways.items()):
            there = f"s3://{self.bucket}/{prefix}-dvc{number}"
            self.dvc(None, "dvc", ["remote", "modify", "team", "url", there])
            # What it knows of the remote from the round before.
            shutil.rmtree(self.work / "dvc-state", ignore_errors=True)
            self.dvc(f"dvc push, small{way}", "dvc", ["push", "-q", *words])

        self.dag("dag pull, small", "bob", ["cache", "pull", "-f", "folder.toml"], f"{prefix}-dag")
        for number, (way, words) in enumerate(rclone_ways.items()):
            there = f"s3:{self.bucket}/{prefix}-rclone/small{number}"
            self.rclone(f"rclone back, small{way}", ["copy", *words, there, self.work / f"back{number}"])
            same_bytes(self.small, self.work / f"back{number}")
        for number, (way, words) in enumerate(dvc_ways.items()):
            repository = f"dvc-bob{number}"
            self.dvc_repository(repository, f"{prefix}-dvc{number}")
            shutil.copy(self.work / "dvc" / "small.dvc", self.work / repository)
            self.dvc(f"dvc pull, small{way}", repository, ["pull", "-q", *words])
            same_bytes(self.small, self.work / repository / "small")
            shutil.rmtree(self.work / repository / "small")
            # How much of a pull is not the network.
            self.dvc("dvc checkout alone, small", repository, ["checkout", "-q"])
        self.dag(None, "bob", ["cache", "verify"])
        if sum(1 for path in (self.work / "bob/cache/blobs-v1").rglob("*") if path.is_file()) < SMALL:
            raise SystemExit("dag did not pull everything")

    def look_ups(self, prefix, slow):
        if prefix == "round1":
            self.dag("dag push, 1,000 results", "alice", ["cache", "push", "-f", "lookups.toml", "-q"], "lookups-dag")
        plan = ["plan", "lookups.toml", "--json"]
        for name, home, way, port in (
            ("dag plan, 1,000 at the remote, 20 ms away", "carol", "lookups-dag", slow),
            ("dag plan, 1,000 at the remote, nearby", "dave", "lookups-dag", None),
            ("dag plan, 1,000 here", "alice", None, None),
        ):
            states = states_of(json.loads(self.dag(name, home, plan, way, port)))
            expected = "cached" if home == "alice" else "remote"
            if states != {expected: LOOKUPS}:
                raise SystemExit(f"{name}: {states}, where {LOOKUPS} are to be {expected}")

    def round(self, number, slow):
        print(f"round {number}", flush=True)
        prefix = f"round{number}"
        if "large" in self.arguments.only:
            self.large_file(prefix)
        if "small" in self.arguments.only:
            self.small_files(prefix)
        if "lookups" in self.arguments.only:
            self.look_ups(prefix, slow)
        for home in ("bob", "carol", "dave", "back0", "back1", "dvc-bob0", "dvc-bob1"):
            for folder in (home, f"{home}-state"):
                shutil.rmtree(self.work / folder, ignore_errors=True)
        self.rclone(None, ["delete", f"s3:{self.bucket}", "--include", f"*{prefix}-*/**", "--transfers", MANY])

    # --- the summary -----------------------------------------------------------------------------------------------

    def summary(self):
        figures = self.figures
        print("\nseconds: least, median; most memory in MiB")
        for name, seconds in figures.seconds.items():
            print(f"  {name}: {min(seconds):.2f}, {statistics.median(seconds):.2f}; {max(figures.mib[name]):.0f}")
        print("\nhow much faster dag was, round by round: least, median")
        for ours, theirs in (
            ("dag push, large", "rclone there, large"),
            ("dag pull, large", "rclone back, large"),
            *((f"dag {way}, small", f"dvc {way}, small{jobs}") for way in ("push", "pull") for jobs in ("", f", {MANY} jobs")),
            *(
                (f"dag {way}, small", f"rclone {back}, small{transfers}")
                for way, back in (("push", "there"), ("pull", "back"))
                for transfers in ("", f", {MANY} transfers")
            ),
        ):
            if ours in figures.seconds:
                ratios = [b / a for a, b in zip(figures.seconds[ours], figures.seconds[theirs], strict=True)]
                print(f"  {ours}, beside {theirs}: {min(ratios):.2f}, {statistics.median(ratios):.2f}")
        for name in ("dag push, large", "dag pull, large"):
            if name in figures.seconds:
                median = statistics.median(figures.seconds[name])
                print(f"{name}: {self.large_mib:.0f} MiB at {self.large_mib / median:.0f} MiB/s")
        slow, here = "dag plan, 1,000 at the remote, 20 ms away", "dag plan, 1,000 here"
        if slow in figures.seconds:
            more = [a - b for a, b in zip(figures.seconds[slow], figures.seconds[here], strict=True)]
            print(f"1,000 look-ups, 20 ms away: most {max(more):.2f} s, median {statistics.median(more):.2f} s")
        most = max((max(mib), name) for name, mib in figures.mib.items() if name.startswith(("dag p")))
        print(f"most memory of push, pull and plan: {most[0]:.0f} MiB ({most[1]})")


def same_bytes(ours, theirs):
    files = {path.relative_to(ours): path.stat().st_size for path in ours.rglob("*") if path.is_file()}
    back = {path.relative_to(theirs): path.stat().st_size for path in theirs.rglob("*") if path.is_file()}
    if files != back:
        raise SystemExit(f"{theirs} has not the files of {ours}")


def states_of(plan):
    counts = {}
    for stage in plan["stages"]:
        state = stage["status"]["status"]
        counts[state] = counts.get(state, 0) + 1
    return counts


def round_trip(port, times=20):
    """The least time of a question to the server and its answer, in ms."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    took = []
    for _ in range(times):
        start = time.perf_counter()
        connection.request("GET", "/")
        connection.getresponse().read()
        took.append(1000 * (time.perf_counter() - start))
    connection.close()
    return statistics.median(took)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dag", required=True)
    parser.add_argument("--dvc", required=True)
    parser.add_argument("--url", required=True, help="s3://BUCKET/PREFIX?endpoint=http://…")
    parser.add_argument("--work", required=True, help="a folder for everything")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", type=int, default=1024, help="size of the large file")
    parser.add_argument("--only", nargs="+", choices=["large", "small", "lookups"], default=["large", "small", "lookups"])
    arguments = parser.parse_args()
    bench = Bench(arguments)
    bench.prepare()
    port = int(bench.endpoint.rsplit(":", 1)[1])
    way = subprocess.Popen(
        [sys.executable, HERE / "slow_way.py", str(port), "10"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        slow = int(way.stdout.readline())
        near, far = round_trip(port), round_trip(slow)
        print(f"a question to the server takes {near:.1f} ms, over the long way {far:.1f} ms")
        if far - near < 19:
            raise SystemExit("the long way is not 20 ms longer")
        for number in range(1, arguments.rounds + 1):
            bench.round(number, slow)
    finally:
        way.stdin.close()
        way.wait()
    bench.summary()


if __name__ == "__main__":
    main()
