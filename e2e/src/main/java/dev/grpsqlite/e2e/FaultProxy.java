package dev.grpsqlite.e2e;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/**
 * A TCP proxy before a server that fails on demand. A fault that is injected happens to the next
 * bytes that go its way, whichever connection they belong to, and is counted when it does. Each
 * connection costs two threads with small stacks and two small buffers. Thread-safe.
 */
public final class FaultProxy implements AutoCloseable {
  /** What can happen to a connection, or to all of them. */
  public enum Fault {
    /** Bytes arrive later than they should. */
    DELAY,
    /** As DELAY, for long: one direction, while the other one goes on. */
    FREEZE,
    /** Nothing of a connection arrives any more, and nobody is told. */
    DROP,
    /** The connection is reset. */
    RESET,
    /** Half of the bytes arrive, then the end of the connection. */
    TRUNCATE,
    /** The same bytes arrive twice. */
    DUPLICATE,
    /**
     * A request large enough to carry a page arrives whole, and when its answer is whole, the
     * connection is reset in place of passing it on.
     */
    LOSE_ANSWER,
    /** New connections are refused, and those that there are stand still. */
    PARTITION
  }

  /** A request of this many bytes is a commit or carries a part of one. */
  private static final int REQUEST_WITH_A_PAGE_BYTES = 4096;

  private static final int BUFFER_BYTES = 16 << 10;
  private static final int STACK_BYTES = 128 << 10;

  /** More than clients with small pools ever make; a leak shows as refused connections. */
  private static final int MAX_CONNECTIONS = 256;

  /** What is injected faster than bytes go by is of no use. */
  private static final int MAX_WAITING = 64;

  private record Injected(Fault fault, boolean towardsServer, long nanos) {}

  private final ServerSocket listener;
  private final int target;
  private final Set<Relay> relays = ConcurrentHashMap.newKeySet();
  private final AtomicInteger answersToLose = new AtomicInteger();
  private final Map<Fault, Integer> fired = new ConcurrentHashMap<>();
  private final LongAdder bytes = new LongAdder();
  private final Object lock = new Object();
  private final Queue<Injected> waiting = new ArrayDeque<>(); // guarded by lock
  private long partitionEnds; // guarded by lock; of System.nanoTime()
  private boolean isPartitioned; // guarded by lock
  private int healed; // guarded by lock; who holds bytes back goes on when it changes

  /**
   * Listens on a port of its own.
   *
   * @param target the server's port at 127.0.0.1
   */
  public FaultProxy(int target) throws IOException {
    this(target, InetAddress.getLoopbackAddress(), 0);
  }

  /** Listens where it is said; port 0 is any. */
  public FaultProxy(int target, InetAddress host, int port) throws IOException {
    this.target = target;
    listener = new ServerSocket(port, 50, host);
    daemon(this::accept);
  }

  public int port() {
    return listener.getLocalPort();
  }

  public String url() {
    return "http://" + listener.getInetAddress().getHostAddress() + ":" + port();
  }

  /** Of all connections, both ways, so far. */
  public long bytes() {
    return bytes.sum();
  }

  /** How often this fault has happened so far. */
  public int fired(Fault fault) {
    return fired.getOrDefault(fault, 0);
  }

  /** A fault without a direction or duration. */
  public void inject(Fault fault) {
    inject(fault, true, Duration.ZERO);
  }

  /**
   * Lets a fault happen.
   *
   * @param towardsServer which bytes it happens to; some faults have no direction
   * @param duration for DELAY, FREEZE and PARTITION
   */
  public void inject(Fault fault, boolean towardsServer, Duration duration) {
    switch (fault) {
      case LOSE_ANSWER -> answersToLose.incrementAndGet();
      case PARTITION -> {
        synchronized (lock) {
          isPartitioned = true;
          partitionEnds = System.nanoTime() + duration.toNanos();
        }
      }
      default -> {
        synchronized (lock) {
          if (waiting.size() < MAX_WAITING) {
            waiting.add(new Injected(fault, towardsServer, duration.toNanos()));
          }
        }
      }
    }
  }

  /** Ends what lasts and forgets what has not happened yet. Dropped connections are closed. */
  public void heal() {
    answersToLose.set(0);
    synchronized (lock) {
      waiting.clear();
      isPartitioned = false;
      healed++;
      lock.notifyAll();
    }
    relays.stream().filter(relay -> relay.isDropped).forEach(Relay::close);
  }

  private void accept() {
    while (true) {
      try {
        Socket client = listener.accept();
        boolean isCutOff = partitionNanos() > 0;
        if (isCutOff) {
          happened(Fault.PARTITION);
        }
        if (isCutOff || relays.size() >= MAX_CONNECTIONS) {
          client.setSoLinger(true, 0);
          client.close();
        } else {
          relay(client);
        }
      } catch (IOException e) {
        if (listener.isClosed()) {
          return;
        }
      }
    }
  }

  private void relay(Socket client) throws IOException {
    Socket server;
    try {
      server = new Socket(InetAddress.getLoopbackAddress(), target);
    } catch (IOException e) {
      client.close();
      return;
    }
    client.setTcpNoDelay(true);
    server.setTcpNoDelay(true);
    Relay relay = new Relay(client, server);
    relays.add(relay);
    if (listener.isClosed()) {
      relay.close(); // close() may have looked before it was there
    }
    daemon(() -> relay.pump(client, server, true));
    daemon(() -> relay.pump(server, client, false));
  }

  private void happened(Fault fault) {
    fired.merge(fault, 1, Integer::sum);
  }

  /** How long the partition still lasts. */
  private long partitionNanos() {
    synchronized (lock) {
      return isPartitioned ? partitionEnds - System.nanoTime() : 0;
    }
  }

  private void hold(long nanos) throws InterruptedException {
    long deadline = System.nanoTime() + nanos;
    synchronized (lock) {
      int before = healed;
      for (long left = nanos; left > 0 && healed == before; left = deadline - System.nanoTime()) {
        lock.wait(left / 1_000_000 + 1);
      }
    }
  }

  /** The first one that waits for bytes that go this way. */
  private @Nullable Injected take(boolean towardsServer) {
    synchronized (lock) {
      for (Iterator<Injected> i = waiting.iterator(); i.hasNext(); ) {
        Injected injected = i.next();
        if (injected.towardsServer() == towardsServer) {
          i.remove();
          return injected;
        }
      }
    }
    return null;
  }

  /** One connection. */
  private final class Relay {
    private final Socket client;
    private final Socket server;
    private final AnswerEnds answers = new AnswerEnds();
    private volatile boolean isDropped;
    private int sentWhileArmed; // guarded by this

    Relay(Socket client, Socket server) {
      this.client = client;
      this.server = server;
    }

    void pump(Socket from, Socket to, boolean towardsServer) {
      byte[] buffer = new byte[BUFFER_BYTES];
      try {
        InputStream in = from.getInputStream();
        OutputStream out = to.getOutputStream();
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
          bytes.add(n);
          if (isDropped) {
            continue;
          }
          if (towardsServer) {
            sent(n);
          } else if (isLost(buffer, n)) {
            continue;
          }
          long partition = partitionNanos();
          if (partition > 0) {
            happened(Fault.PARTITION);
            hold(partition);
          }
          pass(buffer, n, out, towardsServer);
        }
      } catch (IOException e) {
        // The connection is over.
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      } finally {
        close();
      }
    }

    private void pass(byte[] buffer, int n, OutputStream out, boolean towardsServer)
        throws IOException, InterruptedException {
      Injected injected = take(towardsServer);
      if (injected == null) {
        out.write(buffer, 0, n);
        return;
      }
      happened(injected.fault());
      switch (injected.fault()) {
        case DELAY, FREEZE -> {
          hold(injected.nanos());
          out.write(buffer, 0, n);
        }
        case DROP -> isDropped = true;
        case RESET -> {
          reset();
          throw new IOException("reset");
        }
        case TRUNCATE -> {
          out.write(buffer, 0, n / 2);
          throw new IOException("truncated");
        }
        case DUPLICATE -> {
          out.write(buffer, 0, n);
          out.write(buffer, 0, n);
        }
        default -> throw new IllegalStateException(injected + " does not wait");
      }
    }

    private synchronized void sent(int n) {
      sentWhileArmed = answersToLose.get() > 0 ? sentWhileArmed + n : 0;
    }

    /** Whether these bytes of an answer are not passed on. */
    private boolean isLost(byte[] buffer, int n) throws IOException {
      boolean isComplete = answers.follow(buffer, n);
      synchronized (this) {
        if (sentWhileArmed < REQUEST_WITH_A_PAGE_BYTES || answersToLose.get() <= 0) {
          return false;
        }
      }
      if (isComplete) {
        // So the server has done what it was asked.
        answersToLose.decrementAndGet();
        happened(Fault.LOSE_ANSWER);
        reset();
        throw new IOException("reset");
      }
      return true;
    }

    private void reset() throws IOException {
      client.setSoLinger(true, 0);
      server.setSoLinger(true, 0);
    }

    void close() {
      relays.remove(this);
      for (Socket socket : new Socket[] {client, server}) {
        try {
          socket.close();
        } catch (IOException e) {
          // It is closed enough.
        }
      }
    }
  }

  private static void daemon(Runnable body) {
    Thread thread = new Thread(null, body, "fault-proxy", STACK_BYTES);
    thread.setDaemon(true);
    thread.start();
  }

  @Override
  public void close() throws IOException {
    listener.close();
    heal();
    relays.forEach(Relay::close);
  }
}
