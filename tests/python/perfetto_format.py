"""Reads a .pftrace file with our schema (src/report/perfetto.proto), which must know every field in it."""
import functools
import subprocess
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


@functools.cache
def message_class(root):
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "perfetto.bin"
        command = ["protoc", f"--proto_path={root}/src/report", f"--descriptor_set_out={compiled}", "perfetto.proto"]
        subprocess.run(command, check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("presil.perfetto.Trace"))


def read(root, data):
    trace = message_class(root).FromString(data)
    trace.DiscardUnknownFields()
    assert trace.ByteSize() == len(data), "every field is in the schema"
    return trace
