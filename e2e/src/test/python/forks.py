"""Child processes that say how far they are through a pipe, for scripts that kill them."""

import os
import select
import sys


def child(function, *arguments):
    """Runs function(*arguments, pipe) in a child process; returns its id and the pipe's end."""
    end, pipe = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(end)
            function(*arguments, pipe)
            status = 0
        except BaseException as e:
            sys.stderr.write(f"{e!r}\n")
            sys.stderr.flush()
        finally:
            os._exit(status)
    os.close(pipe)
    return pid, end


def await_byte(end, seconds, context):
    if not select.select([end], [], [], seconds)[0]:
        raise AssertionError(f"{context}: nothing happened in {seconds} s")
    return os.read(end, 1)
