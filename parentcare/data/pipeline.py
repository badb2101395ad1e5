"""From a folder of papers to the records of output.jsonl, one pure function a paper, and the reasons for the rest."""

import collections
import fnmatch
import hashlib
import json
import re
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from parentcare.data.duplicates import near_duplicates
from parentcare.data.pairing import align_abstract, make_records, split_sentences
from parentcare.data.papers import find_papers, read_papers
from parentcare.data.privacy import mask_personal_data
from parentcare.data.quality import refuse_record, spaces_per_hangul
from parentcare.data.records import normalise_text, read_jsonl
from parentcare.data.sections import parse_paper
from parentcare.manifest import HOME, format_seconds, read_json, sha256, short_path

DOI = re.compile(r"10\.\d{4,9}/[^\s,;)\]]*[^\s,;)\].]")
KCI_ID = re.compile(r"\bART\d{9}\b")
UNKNOWN_LICENSE = {"license": "unknown", "synthetic": False}


def process_paper(read: dict, about: dict) -> dict:
    """Return one paper's `records`, `refused` (record id and reason) and `report`, from what a reader found.

    `read` is one result of `read_papers`; `about` has `license` and `synthetic`. Pure: the same file
    gives the same result, whatever else is in the folder.
    """
    name = Path(read["path"]).name
    if "reason" in read:
        return {"file": name, "records": [], "refused": [], "report": {"why_not": read["reason"]}}
    parsed = parse_paper(read)
    body = "\n".join(section["text"] for section in parsed["sections"].values())
    report = {
        "pages": len(read["pages"]),
        "spaces_per_hangul": round(spaces_per_hangul(body), 3),
        "sections": list(parsed["sections"]),
        "dropped_lines": dict(parsed["dropped"]),
    }
    if not parsed["abstract"] or not parsed["sections"]:
        missing = "no Korean abstract" if parsed["sections"] else "no section headings"
        return {"file": name, "records": [], "refused": [], "report": report | {"why_not": f"{missing} found"}}
    masked: collections.Counter = collections.Counter()
    records, refused = [], []
    for record in make_records(describe_paper(read, parsed, about)):
        for field in ("text", "summary"):
            record[field], counts = mask_personal_data(normalise_text(record[field]))
            masked += counts
        reason, passed = refuse_record(record)
        if reason:
            refused.append({"id": record["id"], "reason": reason})
        else:
            records.append(record | {"checks": passed})
    report["masked"] = dict(masked)
    return {"file": name, "records": records, "refused": refused, "report": report}


def describe_paper(read: dict, parsed: dict, about: dict) -> dict:
    """Return the paper as `make_records` takes it, each abstract sentence with the section that bears it out."""
    texts = {name: section["text"] for name, section in parsed["sections"].items()}
    sentences = split_sentences(parsed["abstract"])
    aligned = align_abstract(sentences, texts)
    return {
        "paper_id": find_paper_id(read, parsed["title"]),
        "title": parsed["title"],
        "year": parsed["year"],
        "source": Path(read["path"]).name,
        "license": about["license"],
        "synthetic": about["synthetic"],
        "extractor": f"{read['extractor']} {read['version']}",
        "sections": parsed["sections"],
        "abstract": [{"text": s, "section": name} for s, name in zip(sentences, aligned, strict=True)],
    }


def find_paper_id(read: dict, title: str) -> str:
    """Return the DOI or the KCI id of the first or last page, else the normalised title, else the file's name."""
    for page in (read["pages"][0], read["pages"][-1]):
        for pattern in (DOI, KCI_ID):
            if match := pattern.search(page):
                return match[0]
    flat = "".join(unicodedata.normalize("NFKC", title).casefold().split())
    return f"title:{flat}" if flat else f"file:{Path(read['path']).name}"


def about_paper(name: str, folder: Path) -> dict:
    """Return `license` and `synthetic` of a file, from the patterns in the folder's about.json."""
    about = read_json(folder / "about.json", {})
    found = (given for pattern, given in about.items() if fnmatch.fnmatch(name, pattern))
    return UNKNOWN_LICENSE | next(found, {})


def process_folder(folder: Path, cache: Path, report=print) -> list[dict]:
    """Return `process_paper`'s result for each file of a folder, by name; what is unchanged comes from `cache`.

    `cache` grows by one line a paper, so that a killed run goes on, and is ordered anew at the end.
    """
    paths = find_papers(folder)
    names = {str(path): path.relative_to(folder).as_posix() for path in paths}
    hashes = {name: f"{sha256(path)} {_code_version()}" for path, name in names.items()}
    done = {r["file"]: r for r in _read_cache(cache) if hashes.get(r["file"]) == r["hash"]}
    waiting = [path for path in paths if names[str(path)] not in done]
    report(f"{len(paths)} files in {short_path(folder)}: {len(done)} unchanged, {len(waiting)} to read")
    cache.parent.mkdir(parents=True, exist_ok=True)
    started = time.time()
    with open(cache, "a", encoding="utf-8") as file:
        for count, read in enumerate(read_papers(waiting), start=1):
            name = names[read["path"]]
            made = process_paper(read, about_paper(Path(name).name, folder))
            done[name] = made | {"file": name, "hash": hashes[name]}
            file.write(json.dumps(done[name], ensure_ascii=False) + "\n")
            if count % 20 == 0 or count == len(waiting):
                left = (time.time() - started) / count * (len(waiting) - count)
                report(f"row {count:>4} of {len(waiting)}  {name}  {format_seconds(left)} left")
    return [done[name] for name in names.values()]


def collect_records(results: list[dict]) -> tuple[list[dict], list[dict]]:
    """Return (records of all papers without near-duplicates, rejected papers and records with their reasons)."""
    records, first_file = [], {}
    same_paper = []
    for result in results:
        for record in result["records"]:
            if first_file.setdefault(record["id"], result["file"]) == result["file"]:
                records.append(record)
            else:
                reason = f"the same paper as {first_file[record['id']]}"
                same_paper.append({"file": result["file"], "id": record["id"], "reason": reason})
    rejected = [
        {"file": result["file"], "id": None, "reason": result["report"]["why_not"]}
        for result in results
        if "why_not" in result["report"]
    ]
    rejected += [{"file": result["file"], **refused} for result in results for refused in result["refused"]]
    rejected += same_paper
    dropped = dict(_repeated(records))
    rejected += [
        {"file": records[j]["source"], "id": records[j]["id"], "reason": f"near-duplicate of {records[i]['id']}"}
        for j, i in dropped.items()
    ]
    return [record for place, record in enumerate(records) if place not in dropped], rejected


def count_yield(results: list[dict], records: list[dict]) -> list[tuple[str, int]]:
    """Return (step, how many are left) from files to papers with records."""
    reasons = [result["report"].get("why_not", "") for result in results]
    unread = sum(bool(r) and not r.startswith("no ") for r in reasons)
    return [
        ("파일", len(results)),
        ("읽은 논문", len(results) - unread),
        ("초록과 절을 찾은 논문", sum(not r for r in reasons)),
        ("레코드가 나온 논문", len({record["paper_id"] for record in records})),
    ]


def describe_file(result: dict) -> str:
    """Return one line on a file: pages, spaces per Hangul character, sections, records, or why not."""
    report = result["report"]
    if "pages" not in report:
        return f"{result['file']}: {report['why_not']}"
    return (
        f"{result['file']}: {report['pages']} pages, {report['spaces_per_hangul']:.2f} spaces per Hangul character, "
        f"sections {'·'.join(report['sections']) or 'none'}, {len(result['records'])} records"
        + "".join(f"; {refused['id'].split('/')[-1]}: {refused['reason']}" for refused in result["refused"])
        + (f"; {report['why_not']}" if "why_not" in report else "")
    )


def may_replace(output: Path) -> bool:
    """Return whether output.jsonl is missing or was made by notebook 01, and so may be made again."""
    made = {
        section["writes"].get(short_path(output))
        for path in (HOME / "outputs").glob("**/run.json")
        if (section := read_json(path)["notebooks"].get("01_build_dataset"))
    }
    return not output.exists() or sha256(output) in made


def _repeated(records: list[dict]) -> Iterator[tuple[int, int]]:
    """Yield (later record, earlier record of another paper) that agree in text or summary."""
    for field in ("text", "summary"):
        for i, j, _ in near_duplicates([record[field] for record in records]):
            if records[i]["paper_id"] != records[j]["paper_id"]:
                yield j, i


def _read_cache(cache: Path) -> list[dict]:
    if not cache.exists():
        return []
    whole = cache.read_bytes()
    cache.write_bytes(whole[: whole.rfind(b"\n") + 1])
    return read_jsonl(cache)


def _code_version() -> str:
    """Return a hash of this folder's code: a changed rule reads every paper again."""
    hashes = [sha256(path) or "" for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:12]
