"""A client that means harm, with HTTP/2 and protobuf of its own.

    attacker.py PORT SOURCE SECONDS RATE KIND...

SOURCE is the address to come from: a client of another machine has another one. Each KIND runs in
a process of its own for SECONDS, with at most RATE requests (or connections) a second:

    fuzz          mutated requests of all services, and bytes that are no HTTP/2
    connections   10,000 connections, held open; a third of them says nothing
    staging       stages pages and never commits, in ever new sessions
    sessions      opens sessions and never closes them
    unfinished    requests of which only a beginning comes

With ENOUGH in the environment, a kind ends when it has done what ENOUGH_OF tells, if that is sooner.

Prints one line for each kind: what it did, and how often it was refused.
"""

import os
import random
import resource
import socket
import struct
import sys
import time

PORT, SOURCE, SECONDS, RATE = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
SEED = int(os.environ.get("SEED") or "1")  # make exports an empty one
ENOUGH_OF = {
    "fuzz": {"requests": 500},
    "connections": {"refused": 100},
    "staging": {"staged messages": 1, "refused": 10},
    "sessions": {"refused": 20},
    "unfinished": {"requests": 200},
}
PAGE = random.Random(1).randbytes(32768)
PAGE_CHECKSUM = 0xC0F45D3C386407A3  # XXH3-64 of it
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PAGES = "/grpsqlite.v1.PageStore/"
METHODS = [PAGES + m for m in (
    "OpenSession KeepAlive CloseSession OpenDatabase Refresh ReadPages AcquireLease ReleaseLease"
    " StagePages DropStage Commit CommitGroup Watch").split()]
METHODS += ["/grpsqlite.v1.Admin/" + m for m in (
    "ListDatabases StatDatabase ListVersions ForkDatabase RestoreDatabase SetRetention").split()]
METHODS += ["/grpc_vfs.Grpsqlite/" + m for m in (
    "GetCapabilities AcquireLease Close HeartbeatLease Read Write AtomicWriteBatch GetFileSize"
    " Pragma Truncate Delete").split()]


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """The fields of a message, the last of each number."""
    found, i = {}, 0

    def number():
        nonlocal i
        n = shift = 0
        while True:
            b = message[i]
            i += 1
            n |= (b & 127) << shift
            shift += 7
            if b < 128:
                return n

    while i < len(message):
        key = number()
        if key & 7 == 0:
            found[key >> 3] = number()
        elif key & 7 == 2:
            length = number()
            found[key >> 3] = message[i:i + length]
            i += length
        else:
            i += 8 if key & 7 == 1 else 4
    return found


def page(number):
    content = field(1, number) + varint(3 << 3 | 1) + struct.pack("<Q", PAGE_CHECKSUM)
    return content + field(4, PAGE)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(
        ">I", stream) + payload


def head(stream, path):
    block = b""
    for name, value in (
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a"),
            ("content-type", "application/grpc"), ("te", "trailers")):
        block += bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return frame(HEADERS, END_HEADERS, stream, block)


def connect():
    s = socket.socket()
    s.settimeout(10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.bind((SOURCE, 0))
    s.connect(("127.0.0.1", PORT))
    return s


class Gone(Exception):
    pass


class Connection:
    """One at a time, and as far as the server has room for it."""

    def __init__(self, window=65535):
        try:
            self.s = connect()
            self.s.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, window)))
        except OSError as e:
            raise Gone(e)
        self.buffer = b""
        self.stream = -1
        self.room = 65535
        self.initial = 65535
        self.rooms = {}
        self.answers = {}
        self.ended = set()

    def step(self):
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            try:
                more = self.s.recv(1 << 16)
            except OSError as e:
                raise Gone(e)
            if not more:
                raise Gone("closed")
            self.buffer += more
        length, kind, flags = int.from_bytes(self.buffer[:3], "big"), self.buffer[3], self.buffer[4]
        stream = int.from_bytes(self.buffer[5:9], "big")
        payload, self.buffer = self.buffer[9:9 + length], self.buffer[9 + length:]
        if kind == SETTINGS and not flags & ACK:
            for i in range(0, length, 6):
                key, value = struct.unpack(">HI", payload[i:i + 6])
                if key == 4:
                    for other in self.rooms:
                        self.rooms[other] += value - self.initial
                    self.initial = value
            self.send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, payload))
        elif kind == WINDOW:
            more = int.from_bytes(payload, "big")
            if stream == 0:
                self.room += more
            elif stream in self.rooms:
                self.rooms[stream] += more
        elif kind == DATA:
            self.answers[stream] = self.answers.get(stream, b"") + payload
            if length:
                self.send(frame(WINDOW, 0, 0, struct.pack(">I", length)))
        elif kind == GOAWAY:
            raise Gone("sent away")
        if kind == RESET or kind in (DATA, HEADERS) and flags & END_STREAM:
            self.ended.add(stream)

    def send(self, data):
        try:
            self.s.sendall(data)
        except OSError as e:
            raise Gone(e)

    def begin(self, path, body, end=True):
        """Sends a request, or its beginning; returns its stream."""
        self.stream += 2
        stream = self.stream
        self.rooms[stream] = self.initial
        self.send(head(stream, path))
        sent = 0
        while sent < len(body) and stream not in self.ended:
            n = min(16384, len(body) - sent, self.room, self.rooms[stream])
            if n <= 0:
                self.step()
                continue
            last = end and sent + n == len(body)
            self.send(frame(DATA, END_STREAM if last else 0, stream, body[sent:sent + n]))
            sent += n
            self.room -= n
            self.rooms[stream] -= n
        return stream

    def call(self, path, message):
        """The answer's fields; None if it was refused."""
        stream = self.begin(path, b"\0" + struct.pack(">I", len(message)) + message)
        while stream not in self.ended:
            self.step()
        self.ended.discard(stream)
        self.rooms.pop(stream, None)
        answer = self.answers.pop(stream, None)
        return None if answer is None else fields(answer[5:])


class Pace:
    """No more than RATE a second, whatever the server does, until the time is over."""

    def __init__(self, counts, enough):
        self.counts, self.enough = counts, enough
        self.end = time.monotonic() + SECONDS
        self.next = time.monotonic()

    def goes_on(self):
        now = time.monotonic()
        if now >= self.end or all(
                self.counts.get(what, 0) >= often for what, often in self.enough.items()):
            return False
        if self.next > now:
            time.sleep(min(self.next, self.end) - now)
        self.next = max(self.next, now - 0.1) + 1 / RATE
        return time.monotonic() < self.end


def requests(rng):
    """Requests as an honest client sends them, of a session of this connection."""
    session = rng.randbytes(16)
    database = rng.randbytes(16)
    some = field(1, session) + field(2, database)
    return [
        field(1, session) + field(2, "fuzz"),
        field(1, session) + field(2, "fuzzed.db") + field(3, 1),
        some + field(3, 1) + field(4, rng.randbytes(16)) + field(6, 4096) + field(7, 1)
        + field(9, page(1)),
        some + field(3, 1) + field(4, field(1, 1) + field(2, 5)),
        some + field(3, 0) + field(5, 1),
        field(2, "fuzzed.db") + field(3, "fuzzed.db") + field(4, "fuzzed.db") + field(6, 65536),
        field(1, "fuzzed.db"),
        field(1, session) + field(2, field(1, database) + field(2, 7) + field(3, 1)) * 100,
    ]


def mutated(rng, message):
    message = bytearray(message)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(message) + 1)
        what = rng.randrange(4)
        if what == 0 and message:
            message[at % len(message)] = rng.randrange(256)
        elif what == 1:
            message[at:at] = rng.randbytes(rng.randrange(20))
        elif what == 2:
            del message[at:at + rng.randrange(20)]
        else:
            message[at:at] = varint(rng.getrandbits(64))
    return bytes(message)


def fuzz(pace, count):
    rng = random.Random(SEED)
    connection, seeds = None, []
    while pace.goes_on():
        try:
            if rng.randrange(20) == 0:
                s = connect()
                s.sendall((PREFACE if rng.randrange(2) else b"") + rng.randbytes(rng.randrange(4096)))
                s.close()
                count("garbage")
                continue
            if connection is None:
                connection, seeds = Connection(), requests(rng)
            message = mutated(rng, rng.choice(seeds))
            framed = b"\0" + struct.pack(">I", len(message)) + message
            if rng.randrange(10) == 0:
                framed = mutated(rng, framed)
            stream = connection.begin(rng.choice(METHODS), framed)
            if rng.randrange(4) == 0:
                connection.send(frame(RESET, 0, stream, struct.pack(">I", 8)))
            count("requests")
            if stream % 64 == 1:
                connection.call(METHODS[1], field(1, b"x" * 16))
            if stream > 2000:
                connection.s.close()
                connection = None
        except (Gone, OSError):
            count("cut off")
            connection = None


def connections(pace, count):
    held = []
    while pace.goes_on():
        if len(held) >= 10_000:
            continue
        try:
            s = connect()
            held.append(s)
            if len(held) % 3:
                s.sendall(PREFACE + frame(SETTINGS, 0, 0))
                count("connections")
            else:
                count("silent connections")
        except OSError:
            count("refused")
    held_open = 0
    for s in held:
        s.setblocking(False)
        try:
            while s.recv(4096):
                pass
        except BlockingIOError:
            held_open += 1
        except OSError:
            pass
    count("still open", held_open)


def staging(pace, count):
    rng = random.Random(SEED + 1)
    connection = lease = None
    refused_in_a_row = 0
    while pace.goes_on():
        try:
            connection = connection or Connection()
            if lease is None:
                session, name = rng.randbytes(16), f"staged-{rng.getrandbits(16)}.db"
                connection.call(PAGES + "OpenSession", field(1, session))
                opened = connection.call(
                    PAGES + "OpenDatabase", field(1, session) + field(2, name) + field(3, 1))
                if not opened:
                    count("refused")
                    continue
                taken = connection.call(
                    PAGES + "AcquireLease", field(1, session) + field(2, opened[1]) + field(4, 1))
                if not taken or taken.get(1) != 1:
                    count("refused")
                    continue
                lease = (session, opened[1], taken[2], rng.randbytes(16))
                number = 0
            session, database, epoch, stage = lease
            message = field(1, session) + field(2, database) + field(3, epoch) + field(4, stage)
            message += field(5, len(PAGE))
            if number % 5 == 0:  # Pages of zeros take no bytes here.
                message += b"".join(field(6, field(1, number * 50_000 + i + 1)) for i in range(20_000))
            else:
                message += b"".join(field(6, page(number * 50_000 + i + 1)) for i in range(30))
            number += 1
            if connection.call(PAGES + "StagePages", message) is None:
                count("refused")
                refused_in_a_row += 1
                if refused_in_a_row % 10 == 0:
                    lease = None
            else:
                count("staged messages")
                refused_in_a_row = 0
        except Gone:
            count("cut off")
            connection = lease = None


def sessions(pace, count):
    rng = random.Random(SEED + 2)
    connection = None
    while pace.goes_on():
        try:
            connection = connection or Connection()
            session = rng.randbytes(16)
            if connection.call(PAGES + "OpenSession", field(1, session)) is None:
                count("refused")
                continue
            count("sessions")
            opened = connection.call(
                PAGES + "OpenDatabase",
                field(1, session) + field(2, "viewed.db") + field(3, 1))
            if opened and rng.randrange(10) == 0:
                views = b"".join(
                    field(2, field(1, opened[1]) + field(2, n + 1)) for n in range(5000))
                if connection.call(PAGES + "KeepAlive", field(1, session) + views) is None:
                    count("views refused")
        except Gone:
            count("cut off")
            connection = None


def unfinished(pace, count):
    held = []
    while pace.goes_on():
        try:
            if not held or held[-1].stream > 100:
                held.append(Connection(window=0))
            # The beginning of a message of 4 MB, and as much of it as one stream may hold.
            held[-1].begin(
                METHODS[10], b"\0" + struct.pack(">I", 4_000_000) + b"\x42" * 200_000, end=False)
            count("requests")
        except Gone:
            count("cut off")
            if held:
                held[-1].stream = 1000


def run(kind):
    counts = {}

    def count(what, n=1):
        counts[what] = counts.get(what, 0) + n

    enough = ENOUGH_OF[kind] if "ENOUGH" in os.environ else {"": 1}
    globals()[kind](Pace(counts, enough), count)
    print(kind + ": " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())), flush=True)


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < 10_100 and "connections" in sys.argv[5:]:
        sys.exit(f"attacker.py: at most {most} open files; 10,100 are needed (ulimit -Hn)")
    children = []
    for kind in sys.argv[5:]:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                run(kind)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    sys.exit(1 if any([os.waitpid(child, 0)[1] != 0 for child in children]) else 0)


main()
