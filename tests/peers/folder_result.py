"""Puts any folder into a cache as the model that a stage gave, by the rules of docs/format.md alone.

No stage makes a model of ten thousand files, and what moves many small blobs is to be measured all the same. So
the record of a stage that ran is written again with another folder as its main output: a blob for each file, one
for the manifest, and the record with its checksum.
"""

import json
import os
from pathlib import Path

import blake3


def put(cache, data):
    """Stores bytes under their digest, and gives it."""
    digest = blake3.blake3(data).hexdigest()
    write(cache / "blobs-v1" / digest[:2] / digest, data)
    return digest


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(data)
    beside.chmod(0o444)
    os.replace(beside, path)


def length(number):
    return number.to_bytes(8, "little")


def content(files):
    """The canonical digest of the map from name to digest."""
    hasher = blake3.blake3(derive_key_context="dag tree v1")
    hasher.update(b"m" + length(len(files)))
    for file in files:
        name = file["name"].encode()
        hasher.update(length(len(name)) + name + b"d" + bytes.fromhex(file["digest"]))
    return hasher.hexdigest()


def replace_model(cache, key, folder):
    """Makes the files of a folder the main output of this key."""
    cache, folder = Path(cache), Path(folder)
    files = []
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            files.append({"name": name, "digest": put(cache, data), "size": len(data)})
    files.sort(key=lambda file: file["name"].encode())
    place = cache / "records-v1" / key[:2] / key
    record = json.loads(place.read_bytes().split(b"\n", 1)[1])
    output = record["outputs"][record["main"]]
    if output["artifact"] != "model":
        raise SystemExit(f"the main output of {key} is no model")
    before = json.loads((cache / "blobs-v1" / output["bytes"][:2] / output["bytes"]).read_bytes())
    if content(before["files"]) != output["content"]:
        raise SystemExit("a folder's digest is not computed as docs/format.md says")
    output["bytes"] = put(cache, json.dumps({"files": files}, separators=(",", ":")).encode())
    output["content"] = content(files)
    output["size"] = sum(file["size"] for file in files)
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
    write(place, b"dag record v1 " + blake3.blake3(text).hexdigest().encode() + b"\n" + text)
