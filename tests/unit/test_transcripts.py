"""If lines are cut wrongly, entries vanish or get a new identity each time a file grows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import orjson
import pytest
from analytics.sources import positions, transcripts
from analytics.sources.positions import FileState, PendingFile, pending, state_after
from analytics.sources.transcripts import read_lines, rescue
from hypothesis import given, settings
from hypothesis import strategies as st


def read(path: Path, start: int = 0) -> tuple[list[tuple[int, bytes]], list[tuple[int, str]], int]:
    """All documents (offset, original), all dead letters (offset, reason), the next offset."""
    status = path.stat()
    file = PendingFile(str(path), path.name, None, start, status.st_size, status.st_mtime_ns)
    documents, dead, offset = [], [], start
    for plain, helped, position in read_lines(file):
        offset = position
        documents += [(at, text) for at, text, _ in plain]
        documents += [(line.offset, line.original) for line in helped if line.reason is None]
        dead += [(line.offset, line.reason) for line in helped if line.reason is not None]
    return sorted(documents), dead, offset


ENTRY = b'{"parentUuid":null,"type":"user","sessionId":"s","text":"\xc3\xa9"}'

pieces = st.lists(
    st.one_of(
        st.builds(lambda n, t: json.dumps({"n": n, "t": t}).encode(), st.integers(), st.text(max_size=20)),
        st.sampled_from([b"", b"  ", b"broken", b"[1]", b'{"a":1}{"b":2}', b'{"t":"\xff"}', b"\0\0", b"{}\r"]),
        st.sampled_from([b'{"cut":"of' + ENTRY, ENTRY + b'{"cut', ENTRY + b'{"cut":"of' + ENTRY + ENTRY]),
        st.binary(max_size=30).map(lambda value: value.replace(b"\n", b"").replace(b"{", b"")),
    ),
    max_size=12,
)


@given(pieces, st.integers(1, 40), st.data())
@settings(max_examples=150, deadline=None)
def test_reading_in_parts_equals_reading_at_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], block: int, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("t") / "a.jsonl"
    content = b"".join(line + b"\n" for line in lines)
    path.write_bytes(content)
    whole = read(path)
    assert whole[2] == len(content)
    before = transcripts.BLOCK_BYTES
    transcripts.BLOCK_BYTES = block
    try:
        assert read(path) == whole
        # The file grows by a piece at a time, cut anywhere, and is read after each.
        cut = data.draw(st.integers(0, len(content)))
        path.write_bytes(content[:cut])
        first = read(path)
        path.write_bytes(content)
        second = read(path, first[2])
    finally:
        transcripts.BLOCK_BYTES = before
    assert sorted(first[0] + second[0]) == whole[0]
    assert len(first[1] + second[1]) == len(whole[1])


@given(st.binary(min_size=1, max_size=60))
@settings(max_examples=300, deadline=None)
def test_whatever_a_line_holds_it_is_stored_or_explained(line: bytes) -> None:
    found = rescue(line, 7)
    assert found
    for item in found:
        if item.reason is None:
            assert isinstance(orjson.loads(item.text), dict)
        else:
            assert item.original == line


def test_glued_objects_have_offsets_of_their_own() -> None:
    line = '{"a":"é"} {"b":2}'.encode()
    assert [(item.offset, item.original) for item in rescue(line, 100)] == [
        (100, '{"a":"é"}'.encode()),
        (111, b'{"b":2}'),
    ]


@pytest.mark.parametrize(
    ("line", "documents", "dead"),
    [
        (b'{"type":"assistant","mess' + ENTRY, [25], [(0, b'{"type":"assistant","mess')]),
        (ENTRY + b'{"type":"assi', [0], [(len(ENTRY), b'{"type":"assi')]),
        (b'{"text":"\xc3\xa9' + ENTRY + ENTRY, [11, 11 + len(ENTRY)], [(0, b'{"text":"\xc3\xa9')]),
        (b"\0\0" + b"[1," + ENTRY + b"\0", [5], [(2, b"[1,")]),
        (b'{"cut' + ENTRY + b'{"cut' + ENTRY, [5, 10 + len(ENTRY)], [(0, b'{"cut'), (5 + len(ENTRY), b'{"cut')]),
    ],
)
def test_a_whole_entry_glued_to_a_torn_line_is_stored(
    line: bytes, documents: list[int], dead: list[tuple[int, bytes]]
) -> None:
    found = rescue(line, 1000)
    assert [item.offset - 1000 for item in found if item.reason is None] == documents
    assert all(item.original == ENTRY for item in found if item.reason is None)
    assert [(item.offset - 1000, item.original) for item in found if item.reason is not None] == dead


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"user","sessionId":"s","message":{"type":"text","text":"x"}',
        b'{"a":"x","b":{"type":"user","uuid":"u","timestamp":"t"}',
        b'{"a":1}trailing',
        b'{"type":' * 5000,
    ],
)
def test_what_stands_inside_a_torn_line_is_no_entry(line: bytes) -> None:
    (found,) = rescue(line, 0)
    assert (found.original, found.reason is None) == (line, False)


def test_appended_replaced_and_unreadable_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "p" / "a.jsonl"
    path.parent.mkdir()
    path.write_bytes(b'{"a":1}\n')

    def start_after(states: dict[str, FileState]) -> list[int]:
        return [file.start for file in pending(tmp_path, states)]

    (file,) = pending(tmp_path, {})
    assert (file.source_file, file.project_id) == ("p/a.jsonl", "p")
    states = {file.key: state_after(file, 8)}
    assert start_after(states) == []
    os.utime(path, (1, 1))
    assert start_after(states) == [8]
    path.write_bytes(b'{"a":1}\n{"b":2}\n')
    assert start_after(states) == [8]
    path.write_bytes(b'{"c":1}\n{"b":2}\n')
    assert start_after(states) == [0]
    path.write_bytes(b"{}\n")
    assert start_after(states) == [0]
    path.unlink()
    assert state_after(file, 0).size == -1


def test_a_folder_is_read_once_whatever_links_lead_to_it(tmp_path: Path) -> None:
    root = tmp_path / "projects"
    project = root / "-p"
    (project / "sub").mkdir(parents=True)
    (project / "a.jsonl").write_text("{}\n")
    for number in range(2):
        (project / f"up{number}").symlink_to(project)
        (project / "sub" / f"top{number}").symlink_to(root)
    (root / "-linked").symlink_to(project)
    found = positions.pending(root, {})
    assert [file.source_file for file in found] == ["-p/a.jsonl"]


def test_a_link_that_leaves_the_folder_is_followed_only_where_it_is_a_project(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "projects", tmp_path / "elsewhere"
    (root / "-p").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "b.jsonl").write_text("{}\n")
    (root / "-p" / "out").symlink_to(elsewhere)
    assert positions.pending(root, {}) == []
    (root / "-moved").symlink_to(elsewhere)
    assert [file.source_file for file in positions.pending(root, {})] == ["-moved/b.jsonl"]
    (root / "-everything").symlink_to(tmp_path)  # a folder above, which holds no transcript itself
    assert [file.source_file for file in positions.pending(root, {})] == ["-moved/b.jsonl"]


def test_a_sparse_file_costs_neither_memory_nor_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcripts, "LONGEST_LINE_BYTES", 20 * 2**20)
    path = tmp_path / "p" / "a.jsonl"
    path.parent.mkdir()
    with path.open("wb") as stream:
        stream.write(b'{"a":1}\n')
        stream.truncate(2**36)  # sixty gigabytes of nothing
        stream.seek(2**36)
        stream.write(b'\n{"b":2}\n')
        stream.truncate(2**37)
    (file,) = pending(tmp_path, {})
    plain, odd, ends = [], [], []
    for lines, helped, end in read_lines(file):
        plain += [text for _, text, _ in lines]
        odd += helped
        ends.append(end)
    assert plain == [b'{"a":1}', b'{"b":2}']
    assert [line.reason for line in odd] == [f"a line of {2**36 - 8 + 1:,} bytes", f"a line of {2**36 - 9:,} bytes"]
    assert max(len(line.original) for line in odd) < 10**5
    assert ends[-1] == 2**37


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "zero.jsonl").symlink_to("/dev/zero")
    assert pending(tmp_path, {}) == []
