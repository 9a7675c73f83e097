#!/bin/bash
# Makes warehouses-0.1.0.tar.xz: `make_warehouses.sh CHECKOUT PYTHON`, with a checkout of that version (git worktree add DIR a813650)
# and a Python that has its dependencies. Paths in the catalogs are relative, so that they hold wherever they are unpacked.
set -euo pipefail
checkout=$1 python=$2 here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT && cd "$work"
"$python" - <<'PYTHON'
import json, pathlib

def entry(number, **more):
    return {"type": "user", "uuid": f"u{number}", "sessionId": f"s{number % 2}", "cwd": "/home/me/shop",
            "timestamp": f"2026-01-0{number % 5 + 1}T10:00:00.000Z", "version": "2.0.0", "gitBranch": "main",
            "message": {"role": "user", "content": f"hello {number}"}, **more}

def response(number):
    usage = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20}
    message = {"id": f"m{number}", "role": "assistant", "model": "claude-sonnet-4-5", "usage": usage,
               "content": [{"type": "text", "text": "done"}]}
    return entry(number, type="assistant", requestId=f"r{number}", message=message)

secret = "sk-ant-api03-" + "Ab1Cd2Ef3Gh4" * 8
lines = [*(entry(n) for n in range(5)), *(response(n) for n in range(5, 9)), {"type": "summary", "summary": "no uuid"}]
lines.append(entry(9, message={"role": "user", "content": f"the key is {secret}, password=hunter2hunter2"}))
texts = [json.dumps(line) for line in lines] + [json.dumps(lines[0]), "{broken", '{"type":"user","mess' + json.dumps(entry(10))]
folder = pathlib.Path("projects/-home-me-shop")
folder.mkdir(parents=True)
(folder / "s0.jsonl").write_text("\n".join(texts) + "\n")
(folder / "s1.jsonl").write_text("".join(json.dumps(entry(n)) + "\n" for n in range(11, 14)))
PYTHON
export PYTHONPATH=$checkout/lib ANALYTICS_PROJECT_ROOT=$checkout CLAUDE_PROJECTS_DIR=projects MACHINE_NAME=box
export PYICEBERG_CATALOG__DEFAULT__TYPE=sql
run() { "$python" -m analytics.cli "$@" >&2; }
for source in embedded jsonl mongodb; do
  export DATA_DIR=$source PYICEBERG_CATALOG__DEFAULT__URI=sqlite:///$source/iceberg/catalog.db
  export PYICEBERG_CATALOG__DEFAULT__WAREHOUSE=$source/iceberg
  mkdir -p $source/iceberg
  case $source in
    jsonl) for stage in extract load transform validate publish; do SOURCE=jsonl run $stage; done ;;
    embedded) run extract ;;
    mongodb)
      "$python" -m secantus --host 127.0.0.1 --port 27999 --storage-path "$work/server" --log-level WARNING & server=$!
      sleep 5  # until it answers
      export MONGO_URI=mongodb://127.0.0.1:27999/
      run sync
      # documents of somebody else, whose ids are unique in their collection only
      "$python" - <<'PYTHON'
import datetime, os, bson, pymongo

client = pymongo.MongoClient(os.environ["MONGO_URI"])
stamp = datetime.datetime(2026, 1, 9, 12)
client.claude_logs.conversations.insert_many([
    {"_id": _id, "type": "user", "uuid": f"f{n}", "sessionId": "f", "timestamp": "2026-01-09T10:00:00.000Z", "ingestedAt": stamp}
    for n, _id in enumerate(["theirs", bson.ObjectId("69607f000000000000000001"), 7])
])
PYTHON
      run extract
      kill $server; wait $server || true ;;
  esac
done
rm -rf ./*/{mongo/storage,mongo/*.toml,mongo/server.log,mongo/lock,runs,logs,data_docs,dbt,build,*.lock} server*
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=2026-11-26 -cJf "$here/warehouses-0.1.0.tar.xz" ./*
