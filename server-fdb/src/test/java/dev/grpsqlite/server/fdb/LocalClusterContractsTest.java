package dev.grpsqlite.server.fdb;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.apple.foundationdb.Database;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

/** The contracts over a real cluster of one process. */
@NeedsCluster
class LocalClusterContractsTest extends StoreContracts {
  private static @Nullable LocalCluster cluster;

  @BeforeAll
  static void start(@TempDir Path folder) throws Exception {
    cluster = LocalCluster.start(folder);
  }

  @AfterAll
  static void stop() {
    LocalCluster started = cluster;
    if (started != null) {
      started.close();
    }
  }

  @Override
  Database connect() throws Exception {
    LocalCluster started = cluster;
    assertTrue(started != null);
    return FdbPageStoreProvider.database(started.clusterFile().toString());
  }
}
