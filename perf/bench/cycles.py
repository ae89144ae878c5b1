"""The microbenchmarks: every Google Benchmark program of the build, medians of repeated runs."""

import json
import os
import statistics

from harness.process import run

REPETITIONS = 5


def programs(build):
    """The benchmarks that perf/bench/meson.build made."""
    return sorted(path for path in (build / "perf" / "bench").glob("bench_*")
                  if path.is_file() and os.access(path, os.X_OK) and path.suffix == "")


def measure(program, cpu, repetitions=REPETITIONS, least_seconds=0.2):
    """name -> {median, spread of the repetitions, counters with both} of each benchmark of a program."""
    print(f"  {program.name}", flush=True)
    text = run(["taskset", "-c", cpu, program, "--benchmark_format=json", f"--benchmark_repetitions={repetitions}",
                "--benchmark_display_aggregates_only=false", f"--benchmark_min_time={least_seconds}"],
               timeout_s=1800).stdout
    runs = {}
    for entry in json.loads(text)["benchmarks"]:
        if entry.get("error_occurred"):
            print(f"  {entry['run_name']}: not measured: {entry['error_message']}", flush=True)
        elif entry["run_type"] == "iteration":
            runs.setdefault(entry["run_name"], []).append(entry)
    return {name: _summary(entries) for name, entries in runs.items()}


_OWN_FIELDS = {"name", "run_name", "run_type", "repetitions", "repetition_index", "threads", "iterations", "real_time",
               "cpu_time", "time_unit", "family_index", "per_family_instance_index", "label"}


def _summary(entries):
    entries = sorted(entries, key=lambda entry: entry["cpu_time"])
    middle = entries[len(entries) // 2]
    names = [key for key, value in middle.items() if key not in _OWN_FIELDS and isinstance(value, (int, float))]
    counters = {key: _median([entry[key] for entry in entries]) for key in names}
    return {"time": middle["cpu_time"], "least": entries[0]["cpu_time"], "most": entries[-1]["cpu_time"],
            "unit": middle["time_unit"], "counters": counters}


def _median(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}
