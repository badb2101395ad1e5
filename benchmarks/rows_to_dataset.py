"""From train.jsonl to the dataset that 03 trains on: time and memory by number of records, beside the tokenizer's own.

Records of 02's training part, repeated; each number in a process of its own, on a CPU. The tokenizer alone is given
the same prompts and summaries in the same batches. To repeat it, run notebook 02 with RUN = "h200", then

    PYTHONPATH=. python benchmarks/rows_to_dataset.py --tokenizer FOLDER --part outputs/h200/train.jsonl
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from result_rows import CPU, provenance

from parentcare.manifest import REPOSITORY, write_json

RESULTS = REPOSITORY / "benchmarks" / "results" / "rows_to_dataset.json"
ROWS, LIMIT = (100, 1_000, 10_000, 100_000), 2048


def measure(tokenizer_folder: Path, part: Path, rows: int) -> dict:
    """Return seconds and peak memory of `tokenize_file`, and the seconds of the tokenizer alone."""
    import datasets
    from transformers import AutoTokenizer

    from parentcare.model import prompts

    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.jsonl"
        with open(part, encoding="utf-8") as source, open(path, "w", encoding="utf-8") as target:
            target.writelines(itertools.islice(itertools.cycle(source), rows))
        begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.time()
        dataset, report = prompts.tokenize_file(path, tokenizer, LIMIT, Path(folder) / "tokens")
        seconds, peak = time.time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert len(dataset) == rows
        started = time.time()
        with open(path, encoding="utf-8") as file:
            while batch := [json.loads(line) for line in itertools.islice(file, prompts.BATCH_RECORDS)]:
                tokenizer([prompts.build_prompt(row["text"]) for row in batch])
                tokenizer([row["summary"] for row in batch])
        alone = time.time() - started
    return {"seconds": seconds, "alone": alone, "mib": (peak - begun) / 1024, "tokens": report["tokens"]}


def main() -> None:
    """Write the results, each number of records measured in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--part", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.rows:
        print("RESULT " + json.dumps(measure(arguments.tokenizer, arguments.part, arguments.rows)))
        return
    common = {"repeats": 1} | provenance(f"{CPU}, two cores", ["tokenizers", "transformers", "datasets"])
    results = []
    for rows in ROWS:
        command = [sys.executable, __file__, *sys.argv[1:], "--rows", str(rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.split("RESULT ")[1])
        share = found["alone"] / found["seconds"]
        for name, value, unit in (
            ("time", found["seconds"], "s"),
            ("memory added", found["mib"], "MiB"),
            ("share of the tokenizer's own speed", share, "share"),
        ):
            row = {"setting": f"{rows} records: {name}", "value": round(value, 3), "unit": unit}
            results.append(row | {"min": row["value"], "max": row["value"], "tokens": found["tokens"]} | common)
            print(row, flush=True)
        write_json(RESULTS, results)


if __name__ == "__main__":
    main()
