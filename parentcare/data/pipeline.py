"""From a folder of papers to the records of output.jsonl, one pure function a paper, and the reasons for the rest."""

import collections
import fnmatch
import hashlib
import json
import os
import re
import time
from pathlib import Path

from parentcare.data.duplicates import similar_records
from parentcare.data.pairing import align_abstract, make_records, split_sentences
from parentcare.data.papers import find_papers, read_papers
from parentcare.data.privacy import mask_personal_data
from parentcare.data.quality import refuse_record, spaces_per_hangul
from parentcare.data.records import flat_key, normalise_text, read_jsonl
from parentcare.data.sections import parse_paper
from parentcare.manifest import HOME, format_seconds, read_json, sha256, short_path

DOI = re.compile(r"10\.\d{4,9}/[^\s,;)\]]*[^\s,;)\].]")
TRIED_AGAIN = ("slow", "unreadable")
CUT = re.compile(r"[.\-_/]\s*\n\s*[0-9a-z]")
KCI_ID = re.compile(r"\bART\d{9}\b")
REFERENCES = re.compile(r"^\W*(?:참\s*고\s*문\s*헌|references)\W*$", re.I | re.M)
UNKNOWN_LICENSE = {"license": "unknown", "synthetic": False}


def process_paper(read: dict, about: dict) -> dict:
    """Return `file`, `records`, `refused` (record id and reason) and `report` of one result of `read_papers`.

    `about` has `license` and `synthetic`. Pure: whatever else is in the folder changes nothing.
    """
    result = {"file": shown_name(Path(read["path"]).name), "records": [], "refused": []}
    if "reason" in read:
        return result | {"report": {"why_not": read["reason"]}}
    parsed = parse_paper(read)
    body = "\n".join(section["text"] for section in parsed["sections"].values())
    report = {
        "pages": len(read["pages"]),
        "spaces_per_hangul": round(spaces_per_hangul(body), 3),
        "sections": list(parsed["sections"]),
    }
    if not parsed["abstract"] or not parsed["sections"]:
        missing = "no Korean abstract" if parsed["sections"] else "no section headings"
        return result | {"report": report | {"why_not": f"{missing} found"}}
    masked: collections.Counter = collections.Counter()
    for record in make_records(describe_paper(read, parsed, about)):
        for field in ("text", "summary"):
            record[field], counts = mask_personal_data(normalise_text(record[field]))
            masked += counts
        reason, passed = refuse_record(record)
        if reason:
            result["refused"].append({"id": record["id"], "reason": reason})
        else:
            result["records"].append(record | {"checks": passed})
    return result | {"report": report | {"masked": dict(masked)}}


def describe_paper(read: dict, parsed: dict, about: dict) -> dict:
    """Return the paper as `make_records` takes it, each abstract sentence with the section that bears it out."""
    texts = {name: section["text"] for name, section in parsed["sections"].items()}
    sentences = split_sentences(parsed["abstract"])
    aligned = align_abstract(sentences, texts)
    return {
        "paper_id": find_paper_id(read, parsed["title"]),
        "title": parsed["title"],
        "year": parsed["year"],
        "source": shown_name(Path(read["path"]).name),
        "license": about["license"],
        "synthetic": about["synthetic"],
        "extractor": f"{read['extractor']} {read['version']}",
        "sections": parsed["sections"],
        "abstract": [{"text": s, "section": name} for s, name in zip(sentences, aligned, strict=True)],
    }


def find_paper_id(read: dict, title: str) -> str:
    """Return the DOI or the KCI id of the first page, else the normalised title, else the file's name.

    What stands in a reference list, all of it on the first page of a HWPX, or is cut by the line's end is another's.
    """
    page = REFERENCES.split(read["pages"][0])[0]
    whole = (match for match in DOI.finditer(page) if not CUT.match(page, match.end()))
    if match := next(whole, None) or KCI_ID.search(page):
        return match[0]
    return f"title:{flat_key(title)}" if flat_key(title) else f"file:{Path(read['path']).name}"


def shown_name(path: Path | str) -> str:
    """Return the path as text that can be written: a name from elsewhere may have bytes that are no UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def about_paper(name: str, folder: Path) -> dict:
    """Return `license` and `synthetic` of a file, from the patterns in the folder's about.json."""
    about = read_json(folder / "about.json", {})
    found = (given for pattern, given in about.items() if fnmatch.fnmatch(name, pattern))
    return UNKNOWN_LICENSE | next(found, {})


def process_folder(folder: Path, cache: Path, report=print) -> list[dict]:
    """Return `process_paper`'s result for each file of a folder, by name; what is unchanged comes from `cache`.

    `cache` grows by one line a paper, so that a killed run goes on; a line that a kill cut off is dropped.
    """
    names = {str(path): shown_name(path.relative_to(folder)) for path in find_papers(folder)}
    code = code_version()
    abouts = {name: about_paper(Path(name).name, folder) for name in names.values()}
    hashes = {name: f"{sha256(path)} {code} {json.dumps(abouts[name])}" for path, name in names.items()}
    cache.parent.mkdir(parents=True, exist_ok=True)
    with open(cache, "a+b") as file:
        file.truncate(cache.read_bytes().rfind(b"\n") + 1)
    unchanged = [result for result in read_jsonl(cache) if hashes.get(result["file"]) == result["hash"]]
    # what was too slow, or killed, on one machine and day may be read on another
    done = {r["file"]: r for r in unchanged if not r["report"].get("why_not", "").startswith(TRIED_AGAIN)}
    waiting = [Path(path) for path, name in names.items() if name not in done]
    report(f"{len(names)} files in {short_path(folder)}: {len(done)} unchanged, {len(waiting)} to read")
    started = time.time()
    with open(cache, "a", encoding="utf-8") as file:
        for count, read in enumerate(read_papers(waiting), start=1):
            name = names[read["path"]]
            made = process_paper(read, abouts[name])
            done[name] = made | {"file": name, "hash": hashes[name]}
            file.write(json.dumps(done[name], ensure_ascii=False) + "\n")
            if count % 20 == 0 or count == len(waiting):
                left = (time.time() - started) / count * (len(waiting) - count)
                report(f"row {count:>4} of {len(waiting)}  {name}  {format_seconds(left)} left")
    return [done[name] for name in names.values()]


def collect_records(results: list[dict]) -> tuple[list[dict], list[dict]]:
    """Return (records of all papers without near-duplicates, rejected papers and records with their reasons)."""
    unread = [(r["file"], None, r["report"]["why_not"]) for r in results if "why_not" in r["report"]]
    refused = [(r["file"], record["id"], record["reason"]) for r in results for record in r["refused"]]
    records, first, again = [], {}, []
    for file, found in ((result["file"], result["records"]) for result in results):
        met = [(record, first[record["id"]][1]) for record in found if record["id"] in first]
        if met and not any([*similar_records([one, other])] for one, other in met):
            # another paper whose id was read wrongly
            found = [rename_paper(record, f"{record['paper_id']}#{file}") for record in found]
        for record in found:
            first_file, _ = first.setdefault(record["id"], (file, record))
            if first_file == file:
                records.append(record)
            else:
                again.append((file, record["id"], f"the same paper as {first_file}"))
    pairs = [(i, j) for i, j, *_ in similar_records(records) if records[i]["paper_id"] != records[j]["paper_id"]]
    dropped = {j: (records[j]["source"], records[j]["id"], f"near-duplicate of {records[i]['id']}") for i, j in pairs}
    rejected = [*unread, *refused, *again, *dropped.values()]
    kept = [record for place, record in enumerate(records) if place not in dropped]
    return kept, [{"file": file, "id": name, "reason": reason} for file, name, reason in rejected]


def rename_paper(record: dict, paper_id: str) -> dict:
    """Return the record with another paper_id, and its id after that."""
    return record | {"paper_id": paper_id, "id": record["id"].replace(record["paper_id"], paper_id, 1)}


def count_yield(results: list[dict], records: list[dict]) -> list[tuple[str, int]]:
    """Return (step, how many are left) from files to papers with records."""
    reasons = [result["report"].get("why_not", "") for result in results]
    return [
        ("파일", len(results)),
        ("읽은 논문", sum(not reason or reason.startswith("no ") for reason in reasons)),
        ("초록과 절을 찾은 논문", reasons.count("")),
        ("레코드가 나온 논문", len({record["paper_id"] for record in records})),
    ]


def describe_file(result: dict) -> str:
    """Return one line on a file: pages, spaces per Hangul character, sections, records, or why not."""
    report = result["report"]
    if "pages" not in report:
        return f"{result['file']}: {report['why_not']}"
    notes = [
        f"{result['file']}: {report['pages']} pages, {report['spaces_per_hangul']:.2f} spaces per Hangul character, "
        f"sections {'·'.join(report['sections']) or 'none'}, {len(result['records'])} records"
    ]
    notes += [f"{refused['id'].split('/')[-1]}: {refused['reason']}" for refused in result["refused"]]
    return "; ".join([*notes, report["why_not"]] if "why_not" in report else notes)


def may_replace(output: Path) -> bool:
    """Return whether output.jsonl is missing or was made by notebook 01, and so may be made again."""
    runs = [read_json(path)["notebooks"] for path in (HOME / "outputs").glob("**/run.json")]
    made = {run["01_build_dataset"]["writes"].get(short_path(output)) for run in runs if "01_build_dataset" in run}
    return not output.exists() or sha256(output) in made


def code_version() -> str:
    """Return a hash of this folder's code: a changed rule reads every paper again."""
    hashes = [sha256(path) for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:12]
