"""Is the trace file what Perfetto's format says, and does it hold the run? Parsed with our schema by protobuf."""
import json
import subprocess

import perfetto_format
import pytest


@pytest.fixture(scope="module")
def run(presil, root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trace")
    done = subprocess.run([presil, *"bench gemm --m 512 --n 512 --k 512 --cores 1 --no-data --json --trace t.pftrace".split()],
                          cwd=folder, capture_output=True, check=True)
    trace = perfetto_format.read(root, (folder / "t.pftrace").read_bytes())
    return json.loads(done.stdout), trace


def test_tracks_are_engines_and_dma_engines(run):
    tracks = {p.track_descriptor.name for p in run[1].packet if p.HasField("track_descriptor")}
    assert {"core0.tensor", "core0.vector", "core0.scalar", "core0.dma0", "core0.dma15"} <= tracks


def test_slices_open_and_close_in_order_and_sum_to_busy_time(run):
    result, trace = run
    names = {p.track_descriptor.uuid: p.track_descriptor.name for p in trace.packet if p.HasField("track_descriptor")}
    open_since, busy_ns, last = {}, {}, {}
    for packet in trace.packet:
        if not packet.HasField("track_event"):
            continue
        event = packet.track_event
        assert packet.timestamp >= last.get(event.track_uuid, 0), "a track's events are in order"
        last[event.track_uuid] = packet.timestamp
        if event.type == 1:
            assert event.track_uuid not in open_since
            open_since[event.track_uuid] = packet.timestamp
        else:
            name = names[event.track_uuid]
            busy_ns[name] = busy_ns.get(name, 0) + packet.timestamp - open_since.pop(event.track_uuid)
    assert not open_since
    tensor = result["engines"]["tensor"]
    # What the current ramp adds is part of a slice.
    expected = (tensor["busy_fraction"] + tensor["waits"].get("throttle", 0)) * result["seconds"] * 1e9
    assert busy_ns["core0.tensor"] == pytest.approx(expected, abs=2 * result["engines"]["tensor"]["instructions"])


def test_slices_say_where_they_come_from(run):
    names, values, seen = {}, {}, set()
    for packet in run[1].packet:
        names.update({n.iid: n.name for n in packet.interned_data.debug_annotation_names})
        values.update({v.iid: v.name for v in packet.interned_data.debug_annotation_string_values})
        for argument in packet.track_event.debug_annotations:
            if argument.HasField("string_value_iid"):
                seen.add((names[argument.name_iid], values[argument.string_value_iid]))
    assert ("layer", "gemm") in seen and ("node", "gemm") in seen
    assert ("released_by", "semaphore") in seen and ("released_by", "queue") in seen
