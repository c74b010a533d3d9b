package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.e2e.FaultProxy.Fault;
import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A client that has two addresses, of which one at a time dies or hangs. What is behind them is one
 * server, as it would be one store behind several.
 */
class SeveralAddressesTest {
  private static final int INCREMENTS = 300;

  /** So often a server has to have died in use. */
  private static final int CHANGES = 5;

  private static final int MOST_INCREMENTS = 20_000;

  @TempDir Path folder;

  private final String database = Kind.freshName("addresses");

  /**
   * The two, on an address of this machine's own that nothing else uses: so a port is still free
   * when one of them comes back.
   */
  private static final class Fronts implements AutoCloseable {
    private static final AtomicInteger HOSTS = new AtomicInteger(1);

    private final InetAddress host;
    private final int server;
    private final FaultProxy[] proxies = new FaultProxy[2];
    private final AtomicInteger killed = new AtomicInteger();

    Fronts(ServerProcess server) throws IOException {
      this.host = InetAddress.getByName("127.0.77." + HOSTS.getAndIncrement());
      this.server = server.port();
      for (int i = 0; i < proxies.length; i++) {
        proxies[i] = new FaultProxy(this.server, host, 0);
      }
    }

    String urls() {
      return proxies[0].url() + "," + proxies[1].url();
    }

    void kill(int which) throws IOException {
      proxies[which].close();
      killed.incrementAndGet();
    }

    /** The old listener goes a moment after its close(). */
    void start(int which) throws IOException, InterruptedException {
      long deadline = System.nanoTime() + Duration.ofSeconds(10).toNanos();
      while (true) {
        try {
          proxies[which] = new FaultProxy(server, host, proxies[which].port());
          return;
        } catch (BindException e) {
          if (System.nanoTime() - deadline > 0) {
            throw e;
          }
          Thread.sleep(5);
        }
      }
    }

    /** Kills one and then the other, at any time, and has one of them there always. */
    void killAtRandom(CompletableFuture<Void> over) {
      long seed = System.nanoTime();
      System.out.println("SeveralAddressesTest: seed " + seed);
      Random random = new Random(seed);
      try {
        while (!over.isDone()) {
          int which = random.nextInt(2);
          kill(which);
          Thread.sleep(random.nextInt(100));
          start(which);
          Thread.sleep(random.nextInt(20)); // sometimes not enough to be found
        }
      } catch (IOException | InterruptedException e) {
        throw new AssertionError(e);
      }
    }

    @Override
    public void close() throws IOException {
      for (FaultProxy proxy : proxies) {
        proxy.close();
      }
    }
  }

  private static long stat(Session session, String name) throws Exception {
    return session
        .answer("PRAGMA grpsqlite_stats")
        .lines()
        .filter(line -> line.startsWith(name + " "))
        .mapToLong(line -> Long.parseLong(line.substring(name.length() + 1)))
        .findFirst()
        .orElseThrow();
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "ROCKSDB", "FILES", "FILES_NOT_ATOMIC"})
  void p5_oneOfThemDiesAgainAndAgainAndNoTransactionFails(Kind kind) throws Exception {
    int count;
    try (Fronts fronts = new Fronts(kind.server());
        Session session = Session.open(new Client(folder, fronts.urls()), database)) {
      assertEquals("", session.answer("CREATE TABLE counter (n)"));
      assertEquals("", session.answer("INSERT INTO counter VALUES (0)"));
      long before = stat(session, "rpcs");
      CompletableFuture<Void> over = new CompletableFuture<>();
      CompletableFuture<Void> nemesis =
          CompletableFuture.runAsync(
              () -> fronts.killAtRandom(over), task -> new Thread(task).start());
      int done = 0;
      try {
        while (done < INCREMENTS
            || (stat(session, "server_changes") < CHANGES && done < MOST_INCREMENTS)) {
          assertEquals("", session.answer("UPDATE counter SET n = n + 1"));
          done++;
        }
      } finally {
        over.complete(null);
        nemesis.get(10, TimeUnit.SECONDS);
      }
      if (kind.hasPageService()) {
        // One commit each: neither the lease nor a snapshot was ever asked for again.
        assertEquals(done, stat(session, "rpcs") - before);
      }
      assertEquals(done + "\n", session.answer("SELECT n FROM counter"));
      long changes = stat(session, "server_changes");
      System.out.println(
          kind
              + ": "
              + done
              + " transactions, "
              + fronts.killed
              + " kills, "
              + changes
              + " changes");
      assertTrue(changes >= CHANGES, "the server in use never died");
      session.finish();
      count = done;
    }
    assertEquals(
        count + "\nok\n",
        kind.client(folder).shell(database, "SELECT n FROM counter; PRAGMA integrity_check;").ok());
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "ROCKSDB"})
  void oneThatHangsIsGivenUpWithinSecondsAndTheLeaseIsKept(Kind kind) throws Exception {
    try (Fronts fronts = new Fronts(kind.server());
        Session session = Session.open(new Client(folder, fronts.urls()), database)) {
      assertEquals("", session.answer("CREATE TABLE t (x)"));
      assertEquals(fronts.proxies[0].url() + "\n", session.answer("PRAGMA grpsqlite_server"));
      long before = stat(session, "rpcs");
      fronts.proxies[0].inject(Fault.PARTITION, true, Duration.ofMinutes(2));
      long start = System.nanoTime();
      assertEquals("", session.answer("INSERT INTO t VALUES (1)"));
      Duration took = Duration.ofNanos(System.nanoTime() - start);
      System.out.println(kind + ": the transaction took " + took.toMillis() + " ms");
      assertTrue(took.compareTo(Duration.ofSeconds(8)) < 0, took.toString());
      assertEquals(fronts.proxies[1].url() + "\n", session.answer("PRAGMA grpsqlite_server"));
      assertEquals("", session.answer("INSERT INTO t VALUES (2)"));
      assertEquals(2, stat(session, "rpcs") - before);
      session.finish();
    }
  }

  @Test
  void aLargeTransactionGoesOnAtTheOther() throws Exception {
    try (Fronts fronts = new Fronts(Kind.ROCKSDB.server());
        Session session =
            Session.open(
                new Client(folder, fronts.urls()).with("GRPSQLITE_BUFFER_MB", "1"), database)) {
      assertEquals("", session.answer("PRAGMA cache_size = 5"));
      assertEquals("", session.answer("CREATE TABLE t (x)"));
      assertEquals("", session.answer("BEGIN"));
      for (int i = 0; i < 6; i++) {
        fronts.kill(i % 2);
        if (i > 0) {
          assertEquals("", session.answer("INSERT INTO t VALUES (randomblob(2000000))"));
        }
        fronts.start(i % 2);
      }
      assertEquals("", session.answer("COMMIT"));
      assertTrue(stat(session, "pages_staged") > 1000);
      session.finish();
    }
    assertEquals(
        "5|10000000\nok\n",
        Kind.ROCKSDB
            .client(folder)
            .shell(database, "SELECT count(*), sum(length(x)) FROM t; PRAGMA integrity_check;")
            .ok());
  }

  @Test
  void p7_aReaderIsToldByTheOther() throws Exception {
    Client direct = Kind.MEMORY.client(folder);
    direct.shell(database, "CREATE TABLE t (n); INSERT INTO t VALUES (0);").ok();
    try (Fronts fronts = new Fronts(Kind.MEMORY.server());
        Session reader =
            Session.open(
                new Client(folder, fronts.urls()).with("GRPSQLITE_MAX_STALENESS_MS", "600000"),
                database)) {
      assertEquals("0\n", reader.answer("SELECT n FROM t"));
      for (int i = 1; i <= 4; i++) {
        fronts.kill(i % 2);
        direct.shell(database, "UPDATE t SET n = " + i + ";").ok();
        String want = i + "\n";
        Await.until(
            "the reader to be told",
            Duration.ofSeconds(20),
            () -> reader.answer("SELECT n FROM t").equals(want));
        fronts.start(i % 2);
      }
      reader.finish();
    }
  }

  @Test
  void theCommandGoesOnAtTheOther() throws Exception {
    Kind.VERSIONED.client(folder).shell(database, "CREATE TABLE t (n);").ok();
    try (Fronts fronts = new Fronts(Kind.VERSIONED.server())) {
      fronts.kill(0);
      Client client = new Client(folder, fronts.urls());
      assertTrue(client.command("stat", database).ok().contains(database));
    }
  }

  @Test
  void whenNoneAnswersEachIsNamed() throws Exception {
    try (Fronts fronts = new Fronts(Kind.MEMORY.server())) {
      fronts.kill(0);
      fronts.kill(1);
      String said =
          new Client(folder, fronts.urls())
              .with("GRPSQLITE_CONNECT_TIMEOUT_MS", "0")
              .run(
                  ".log stderr\n.load " + Dist.library() + "\n.open " + database + "\n.tables\n",
                  "sqlite3",
                  "-batch")
              .failed();
      assertTrue(said.contains("none of 2 servers answers"), said);
      for (FaultProxy proxy : fronts.proxies) {
        assertTrue(said.contains("no server at " + proxy.url() + " (connection refused)"), said);
      }
    }
  }
}
