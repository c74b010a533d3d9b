package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.e2e.FailingDisk.Failure;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** P1, P2, P5 and P8 when the RocksDB server's disk is full, or fails. */
@Timeout(180)
class FailingDiskTest {
  private static final Duration SOON = Duration.ofSeconds(60);
  private static final String FULL = "error: database or disk is full";
  private static final String COUNT = "SELECT count(*) FROM t";
  private static final String ADD = "INSERT INTO t VALUES (1)";

  /** More than the extension's buffer, so that pages are staged while it runs. */
  private static final String ADD_MUCH =
      "INSERT INTO big WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
          + " SELECT randomblob(1000000) FROM n";

  @TempDir Path folder;

  private Path made;
  private ServerProcess server;
  private FailingDisk disk;
  private Client client;
  private Session session;

  @BeforeEach
  void start() throws Exception {
    made = Folders.make("failing-disk");
    server = ServerProcess.rocksdb(made, "--metrics-listen", "127.0.0.1:0");
    server.kill();
    disk = new FailingDisk(folder, made.resolve("data"));
    server.environment(disk.environment());
    server.start();
    client = new Client(folder, server.url());
    client.shell("a.db", "CREATE TABLE t (n); CREATE TABLE big (b); " + ADD + ";").ok();
    session = Session.open(client, "a.db");
    assertEquals("", answer(session, ADD)); // and so it has the lease
  }

  @AfterEach
  void stop() throws Exception {
    session.close();
    server.close();
    Folders.delete(made);
  }

  @Test
  void p8_aDiskWithLittleRoomIsFullForWhatAddsToItAlone() throws Exception {
    client.shell("unwanted.db", "CREATE TABLE t (n)").ok();
    assertTrue(client.command("doctor").ok().contains("takes writes"));

    disk.begin(Failure.LOW);
    awaitRefusing(true);
    assertEquals(FULL, answer(session, ADD));
    assertEquals(FULL, answer(session, ADD_MUCH));
    // Nothing of it is in doubt: the same connection reads at once.
    assertEquals("2", answer(session, COUNT));
    assertEquals("2\n", client.shell("a.db", COUNT).ok());
    assertTrue(client.shell("new.db", "CREATE TABLE t (n)").toString().contains("full"));
    Finished doctor = client.command("doctor");
    assertEquals(1, doctor.exit(), doctor.toString());
    assertTrue(doctor.out().contains("takes no writes"), doctor.toString());
    // What makes room goes on.
    client.command("rm", "unwanted.db", "--force").ok();

    disk.end(Failure.LOW);
    awaitRefusing(false);
    assertEquals("", answer(session, ADD));
    assertEquals("", answer(session, ADD_MUCH));
    assertEquals("3", answer(session, COUNT));
    assertTrue(client.command("doctor").ok().contains("takes writes"));
  }

  @Test
  void p5_p8_aCommitThatFindsTheDiskFullIsAppliedOnceWhenThereIsRoom() throws Exception {
    disk.begin(Failure.FULL);
    session.program().send(ADD + "\n");
    awaitRefusing(true);
    assertEquals("2\n", client.shell("a.db", COUNT).ok());
    disk.end(Failure.FULL);
    assertEquals("", session.program().readTo("--"));
    awaitRefusing(false);
    assertEquals("3", answer(session, COUNT));
    assertEquals("3\n", client.shell("a.db", COUNT).ok());
  }

  /** What could not be synced may be there or not after the restart; the commit's id tells. */
  @Test
  void p2_p5_aCommitWhoseSyncFailedIsAppliedOnceWhenTheServerIsRestarted() throws Exception {
    client.shell("b.db", "CREATE TABLE t (n)").ok();
    Session other = Session.open(client, "b.db");
    assertEquals("", answer(other, ADD));
    disk.begin(Failure.BROKEN);
    session.program().send(ADD + "\n");
    awaitRefusing(true);
    assertEquals("2\n", client.shell("a.db", COUNT).ok());
    // What came when it had failed already was not even tried, so nothing is in doubt.
    assertEquals("error: disk I/O error", answer(other, ADD));
    assertEquals("1", answer(other, COUNT));
    // It does not come back by itself: what the disk forgot is not known.
    disk.end(Failure.BROKEN);
    assertTrue(client.command("doctor").out().contains("takes no writes"));
    server.kill();
    server.start();
    assertEquals("", session.program().readTo("--"));
    assertEquals("3", answer(session, COUNT));
    assertEquals("", answer(session, ADD));
    assertEquals("4\n", client.shell("a.db", COUNT).ok());
    assertEquals("", answer(other, ADD));
    assertEquals("2", answer(other, COUNT));
    other.finish();
  }

  @Test
  void p8_aCommandWhoseWriteFailedIsNotSaidToHaveFailed() throws Exception {
    client.shell("unwanted.db", "CREATE TABLE t (n)").ok();
    client.shell("wanted.db", "CREATE TABLE t (n)").ok();
    disk.begin(Failure.BROKEN);
    Finished removed = client.command("rm", "--force", "unwanted.db");
    assertEquals(9, removed.exit(), removed.toString());
    awaitRefusing(true);
    // What came when it had failed already was not even tried.
    removed = client.command("rm", "--force", "wanted.db");
    assertEquals(1, removed.exit(), removed.toString());
  }

  private static String answer(Session of, String sql) throws Exception {
    return of.answer(sql).strip();
  }

  private void awaitRefusing(boolean refusing) throws Exception {
    Await.until(
        "the server's store to " + (refusing ? "refuse" : "take") + " writes",
        SOON,
        () -> server.metric("grpsqlite_store_refuses_writes", "") == (refusing ? 1 : 0),
        server::log);
  }
}
