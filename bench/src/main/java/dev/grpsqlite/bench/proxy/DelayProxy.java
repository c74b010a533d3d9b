package dev.grpsqlite.bench.proxy;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A TCP proxy that adds a delay to a round trip, half of it each way, and takes nothing from the
 * bandwidth, unless it is told to: what arrives is stamped with the time at which it is due, so
 * that whatever arrives during a delay is delayed beside it and not after it. What is on its way is
 * bounded by {@link #MAX_ON_THE_WAY_BYTES} of each direction of a connection: over that, the sender
 * waits, as for a network whose capacity is that much. Thread-safe.
 */
public final class DelayProxy implements AutoCloseable {
  /** At 20 ms of round trip, this bounds a connection at 6.4 GB/s. */
  private static final int MAX_ON_THE_WAY_BYTES = 64 << 20;

  private static final int CHUNK_BYTES = 64 << 10;

  /** The kernel wakes a thread up to 50 µs late if it has not been told otherwise. */
  private static final String TIMER_SLACK_NANOS = "1";

  private final ServerSocket listener;
  private final int target;
  private final long oneWayNanos;
  private final double nanosPerByte;
  private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();

  /**
   * Listens on a port of its own of 127.0.0.1.
   *
   * @param target the server's port there
   */
  public DelayProxy(int target, Duration roundTrip) throws IOException {
    this(target, roundTrip, Long.MAX_VALUE);
  }

  /**
   * Listens on a port of its own of 127.0.0.1.
   *
   * @param target the server's port there
   * @param bytesPerSecond of each direction of each connection, at most
   */
  public DelayProxy(int target, Duration roundTrip, long bytesPerSecond) throws IOException {
    this.target = target;
    this.oneWayNanos = roundTrip.toNanos() / 2;
    this.nanosPerByte = 1e9 / bytesPerSecond;
    this.listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    daemon("delay-accept", this::accept);
  }

  public int port() {
    return listener.getLocalPort();
  }

  public String url() {
    return "http://127.0.0.1:" + port();
  }

  private void accept() {
    while (!listener.isClosed()) {
      try {
        Socket client = listener.accept();
        sockets.add(client);
        Socket server = new Socket(InetAddress.getLoopbackAddress(), target);
        sockets.add(server);
        if (listener.isClosed()) {
          close(client, server); // close() may have looked before they were there
        }
        client.setTcpNoDelay(true);
        server.setTcpNoDelay(true);
        relay(client, server);
        relay(server, client);
      } catch (IOException e) {
        // It is closed, or the server is gone: whose connection it was sees that by itself.
      }
    }
  }

  private void relay(Socket from, Socket to) {
    Line line = new Line();
    daemon(
        "delay-in",
        () -> {
          byte[] buffer = new byte[CHUNK_BYTES];
          try {
            InputStream in = from.getInputStream();
            long sentAt = System.nanoTime();
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
              sentAt = Math.max(sentAt, System.nanoTime()) + (long) (n * nanosPerByte);
              line.put(Arrays.copyOf(buffer, n), sentAt + oneWayNanos);
            }
          } catch (IOException e) {
            // The connection is over.
          } finally {
            line.end(System.nanoTime() + oneWayNanos);
          }
        });
    daemon(
        "delay-out",
        () -> {
          wakeInTime();
          try {
            OutputStream out = to.getOutputStream();
            for (byte[] chunk = line.take(); chunk != null; chunk = line.take()) {
              out.write(chunk);
            }
          } catch (IOException e) {
            // The connection is over.
          } finally {
            line.abandon();
            close(from, to);
          }
        });
  }

  private void close(Socket... both) {
    for (Socket socket : both) {
      sockets.remove(socket);
      try {
        socket.close();
      } catch (IOException e) {
        // It is closed enough.
      }
    }
  }

  /** Chunks on their way, in order. */
  private static final class Line {
    /** Bytes, or none at the end, and when they are due. */
    private static final class Chunk {
      final byte @Nullable [] bytes;
      final long due;

      Chunk(byte @Nullable [] bytes, long due) {
        this.bytes = bytes;
        this.due = due;
      }
    }

    private final Queue<Chunk> chunks = new ArrayDeque<>(); // guarded by this
    private long onTheWayBytes; // guarded by this
    private boolean isAbandoned; // guarded by this

    synchronized void put(byte[] bytes, long due) throws IOException {
      try {
        while (onTheWayBytes >= MAX_ON_THE_WAY_BYTES && !isAbandoned) {
          wait();
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new EOFException("interrupted");
      }
      if (isAbandoned) {
        throw new EOFException("the other end is gone");
      }
      onTheWayBytes += bytes.length;
      chunks.add(new Chunk(bytes, due));
      notifyAll();
    }

    synchronized void end(long due) {
      chunks.add(new Chunk(null, due));
      notifyAll();
    }

    synchronized void abandon() {
      isAbandoned = true;
      notifyAll();
    }

    /** The next one, when it is due; null at the end. */
    byte @Nullable [] take() throws IOException {
      Chunk next = next();
      for (long left = next.due - System.nanoTime(); left > 0; ) {
        LockSupport.parkNanos(left);
        left = next.due - System.nanoTime();
      }
      return next.bytes;
    }

    private synchronized Chunk next() throws IOException {
      try {
        Chunk next = chunks.poll();
        while (next == null) {
          wait();
          next = chunks.poll();
        }
        byte[] bytes = next.bytes;
        onTheWayBytes -= bytes == null ? 0 : bytes.length;
        notifyAll();
        return next;
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new EOFException("interrupted");
      }
    }
  }

  /** Where the kernel does not let us, each way is up to 50 µs longer. */
  private static void wakeInTime() {
    try {
      Path thread = Files.readSymbolicLink(Path.of("/proc/thread-self")).getFileName();
      Files.writeString(Path.of("/proc", thread.toString(), "timerslack_ns"), TIMER_SLACK_NANOS);
    } catch (IOException e) {
      // The round trip that comes of it is measured and reported anyway.
    }
  }

  private static void daemon(String name, Runnable body) {
    Thread thread = new Thread(body, name);
    thread.setDaemon(true);
    thread.start();
  }

  @Override
  public void close() throws IOException {
    listener.close();
    sockets.forEach(this::close);
  }
}
