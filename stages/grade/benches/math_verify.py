"""Labelled pairs of answers through the `math-verify` package and through this crate, each on one core.

    python3 -m venv venv && venv/bin/pip install 'math-verify[antlr4_13_2]==0.9.0'
    venv/bin/python stages/grade/benches/math_verify.py [CASES.jsonl] [--rounds N] [--list]

Each row has `suite`, `gold`, `pred`, `expected`, and perhaps a `note` with the settings that its suite uses
(`types=latex+expr precision=6 strict=True set_rel=False`). Prints agreement with the labels, pairs per second and the
slowest pair, suite by suite; then runs `cargo bench -p dag-grade --bench answers` on the same file and prints the ratio
of both speeds.
"""
import argparse
import json
import logging
import pathlib
import re
import subprocess
import sys
import time

# This file is named for the package, which is meant.
sys.path.pop(0)
from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

# Its complaints about texts that it cannot read are no part of the measurement.
logging.disable(logging.CRITICAL)

ROOT = pathlib.Path(__file__).resolve().parents[3]
CASES = ROOT.parent / "shared" / "data" / "math_equiv" / "cases.jsonl"
# The seconds after which its `parse` and `verify` give up, which is their default.
TIMEOUT_S = 5
BOTH = (LatexExtractionConfig(), ExprExtractionConfig())


def settings(row):
    """The extraction, and the arguments of `verify`, that the row's suite says; else the package's defaults."""
    note = dict(re.findall(r"(\w+)=(\S+)", row.get("note", "")))
    if row["suite"] != "math-verify" or "types" not in note:
        return BOTH, {}
    kinds = {"latex": LatexExtractionConfig(), "expr": ExprExtractionConfig()}
    types = tuple(kinds[name] for name in note["types"].split("+") if name in kinds)
    return types or BOTH, {
        "float_rounding": int(note["precision"]),
        "strict": note["strict"] == "True",
        "allow_set_relation_comp": note["set_rel"] == "True",
    }


def bare(text):
    """A bare answer in LaTeX is read as a formula only between dollar signs."""
    return text if "$" in text or "\\boxed" in text or "\\(" in text or "\\[" in text or " " in text else "$%s$" % text


def judged(row):
    types, arguments = settings(row)
    gold, pred = row["gold"], row["pred"]
    if row["suite"] != "math-verify":
        gold, pred = bare(gold), bare(pred)
    try:
        return verify(
            parse(gold, types, parsing_timeout=TIMEOUT_S),
            parse(pred, types, parsing_timeout=TIMEOUT_S),
            timeout_seconds=TIMEOUT_S,
            **arguments,
        )
    except Exception:  # noqa: BLE001 - whatever it raises is no pass
        return False


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("file", nargs="?", default=str(CASES))
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--list", action="store_true")
    options = arguments.parse_args()
    with open(options.file, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    suites = {}
    for row in rows:
        suites.setdefault(row["suite"], []).append(row)
    judged(rows[0])
    speed, total = {}, 0.0
    print("math-verify, one process")
    print("| suite | agree | pairs/s | slowest pair |")
    print("|---|---|---|---|")
    for suite, cases in sorted(suites.items()):
        agree, slowest, other = 0, 0.0, []
        started = time.perf_counter()
        for turn in range(options.rounds):
            for case in cases:
                before = time.perf_counter()
                same = judged(case)
                slowest = max(slowest, time.perf_counter() - before)
                if turn == 0:
                    agree += same == case["expected"]
                    if same != case["expected"]:
                        other.append("    label %s: %r against %r" % (case["expected"], case["gold"][-100:], case["pred"][-100:]))
        taken = time.perf_counter() - started
        total += taken
        speed[suite] = options.rounds * len(cases) / taken
        print("| %s | %d/%d | %.0f | %.1f ms |" % (suite, agree, len(cases), speed[suite], slowest * 1e3), flush=True)
        if options.list:
            print("\n".join(other))
    print("%.1f pairs/s over all\n" % (options.rounds * len(rows) / total), flush=True)
    bench = ["cargo", "bench", "-p", "dag-grade", "--bench", "answers", "--", options.file]
    out = subprocess.run(bench, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout
    print("dag-grade, one thread")
    print(out)
    ours = {suite: float(rate) for suite, rate in re.findall(r"^\| (\S+) \| \d+/\d+ \| (\d+) \|", out, re.M)}
    print("| suite | times as fast |")
    print("|---|---|")
    for suite in sorted(suites):
        if suite in ours:
            print("| %s | %.0f |" % (suite, ours[suite] / speed[suite]))


if __name__ == "__main__":
    main()
