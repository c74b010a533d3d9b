package dev.grpsqlite.server.fdb;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.apple.foundationdb.Database;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/**
 * The contracts over a cluster in memory, of which some transactions fail, or end with nobody
 * knowing, as they do when a cluster recovers.
 */
class FakeClusterContractsTest extends StoreContracts {
  private static final double FAULTS = 0.02;

  private static FakeCluster cluster = new FakeCluster();

  @BeforeAll
  static void start() {
    cluster = new FakeCluster(7, FAULTS);
  }

  @AfterAll
  static void stop() {
    cluster.close();
    assertTrue(cluster.unknownResults() > 100, "only " + cluster.unknownResults());
    assertTrue(cluster.largest() <= Transactions.MOST_BYTES, "of " + cluster.largest() + " bytes");
  }

  @Override
  Database connect() {
    return cluster.connect();
  }
}
