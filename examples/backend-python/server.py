#!/usr/bin/env python3
"""A storage server for gRPSQLite: the file service, in memory, in Python.

Everything is under one lock, so each call is done whole before the next one begins: that is what
makes AtomicWriteBatch atomic. The stubs are generated from grpc_vfs.proto, see README.md.
"""
import argparse
import concurrent.futures
import secrets
import threading
import time

import grpc
import grpc_vfs_pb2 as pb
import grpc_vfs_pb2_grpc as rpc
from google.protobuf.empty_pb2 import Empty

HEARTBEAT_SECONDS = 1
LEASE_SECONDS = 3 * HEARTBEAT_SECONDS  # a client may miss a heartbeat or two
MAX_FILE_BYTES = 1 << 30  # files are in memory
MAX_READ_BYTES = (4 << 20) - (64 << 10)  # a message has 4 MiB


class Database:
    def __init__(self):
        self.files = {}  # last component of the path -> bytearray
        self.lease = None
        self.lease_ends = 0.0

    def holds(self, lease):
        return bool(lease) and lease == self.lease and time.monotonic() < self.lease_ends


class FileService(rpc.GrpsqliteServicer):
    def __init__(self):
        self.lock = threading.Lock()
        self.databases = {}

    def GetCapabilities(self, request, context):
        return pb.GetCapabilitiesResponse(
            context="none",
            atomic_batch=True,
            sector_size=4096,
            heartbeat_interval_millis=HEARTBEAT_SECONDS * 1000,
        )

    def AcquireLease(self, request, context):
        if not request.database:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a database needs a name")
        with self.lock:
            database = self.databases.setdefault(request.database, Database())
            if database.holds(database.lease):
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another client has the lease")
            # Nobody can guess it, and nobody gets it twice: an old one is worth nothing.
            database.lease = secrets.token_hex(16)
            self.renew(database)
            return pb.AcquireLeaseResponse(lease_id=database.lease)

    def HeartbeatLease(self, request, context):
        with self.lock:
            for database in self.databases.values():
                if database.holds(request.lease_id):
                    self.renew(database)
                    return Empty()
            context.abort(grpc.StatusCode.NOT_FOUND, "the lease is gone")

    def Close(self, request, context):
        with self.lock:
            # The journal is closed, too: only the main file's end is the lease's.
            database = self.databases.get(last_component(request.file_name))
            if database and database.holds(request.lease_id):
                database.lease = None
        return Empty()

    def Read(self, request, context):
        self.check(context, request.offset, request.length)
        if request.time_millis:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "there are no old snapshots here")
        with self.lock:
            file = self.file(request)
            data = bytes(memoryview(file)[request.offset : request.offset + request.length])
        if len(data) > MAX_READ_BYTES:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much for one message")
        return pb.ReadResponse(data=data)  # short at the end of the file; no checksum

    def GetFileSize(self, request, context):
        with self.lock:
            return pb.GetFileSizeResponse(size=len(self.file(request)))

    def Write(self, request, context):
        self.check(context, request.offset, len(request.data), MAX_FILE_BYTES)
        with self.lock:
            self.writable(request, context)
            self.put(self.file(request, make=True), request)
        return Empty()

    def AtomicWriteBatch(self, request, context):
        for write in request.writes:  # all are looked at before any is done
            self.check(context, write.offset, len(write.data), MAX_FILE_BYTES)
        with self.lock:
            self.writable(request, context)
            file = self.file(request, make=True)
            for write in request.writes:
                self.put(file, write)
        return Empty()

    def Truncate(self, request, context):
        self.check(context, request.size, 0, MAX_FILE_BYTES)
        with self.lock:
            self.writable(request, context)
            file = self.file(request, make=True)
            del file[request.size :]
            file.extend(bytes(request.size - len(file)))
        return Empty()

    def Delete(self, request, context):
        with self.lock:
            database = self.writable(request, context)
            database.files.pop(last_component(request.file_name), None)
        return Empty()

    def Pragma(self, request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "SQLite's own")

    # All of these with the lock.

    @staticmethod
    def renew(database):
        database.lease_ends = time.monotonic() + LEASE_SECONDS

    def writable(self, request, context):
        """The database, if the request has its lease; which it renews."""
        database = self.databases.get(request.database)
        if not database or not database.holds(request.lease_id):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "this is not (any more) the lease")
        self.renew(database)
        return database

    def file(self, request, make=False):
        database = self.databases.get(request.database, Database())
        name = last_component(request.file_name)
        if make:
            return database.files.setdefault(name, bytearray())
        return database.files.get(name, bytearray())

    @staticmethod
    def put(file, write):
        end = write.offset + len(write.data)
        file.extend(bytes(end - len(file)) if end > len(file) else b"")
        file[write.offset : end] = write.data

    # None of these needs it.

    @staticmethod
    def check(context, offset, length, limit=None):
        if offset < 0 or length < 0:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "negative offset, size or length")
        if limit is not None and offset + length > limit:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "files are in memory here")


def last_component(path):
    return path.rsplit("/", 1)[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", default="127.0.0.1:50051", metavar="HOST:PORT")
    listen = parser.parse_args().listen
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=16))
    rpc.add_GrpsqliteServicer_to_server(FileService(), server)
    port = server.add_insecure_port(listen)
    server.start()
    print(f"backend-python listening on {listen.rsplit(':', 1)[0]}:{port}", flush=True)
    server.wait_for_termination()


main()
