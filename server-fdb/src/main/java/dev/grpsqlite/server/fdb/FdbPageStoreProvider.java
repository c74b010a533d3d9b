package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.Database;
import com.apple.foundationdb.FDB;
import com.apple.foundationdb.FDBException;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.PageStoreProvider;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreOpenException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Map;

/** {@code fdb-server}: where one machine is not enough. */
public final class FdbPageStoreProvider implements PageStoreProvider {
  static final int API_VERSION = 730;

  /** Of every transaction, with all its attempts. Clients try again for some longer. */
  private static final long TRANSACTION_TIMEOUT_MS = 20_000;

  private static final int LONGEST_PREFIX = 64;

  private static final Object LOADING = new Object();

  @Override
  public String name() {
    return "fdb";
  }

  @Override
  public List<Setting> settings() {
    return List.of(
        new Setting(
            "cluster-file",
            "FILE",
            "Says where the cluster is; if not given, FoundationDB's own places are looked at.",
            "",
            false,
            value -> ""),
        new Setting(
            "prefix",
            "TEXT",
            "Tells this store's keys from those of others in the cluster.",
            "grpsqlite",
            false,
            FdbPageStoreProvider::prefixProblem),
        new Setting(
            "retention",
            "HOW-LONG",
            "How far back versions are kept: " + Retention.SYNTAX + ".",
            "10m",
            false,
            Retention::problem));
  }

  private static String prefixProblem(String value) {
    int bytes = value.getBytes(StandardCharsets.UTF_8).length;
    return bytes < 1 || bytes > LONGEST_PREFIX
        ? "from 1 to %d bytes, to keep keys short".formatted(LONGEST_PREFIX)
        : "";
  }

  @Override
  public PageStore open(Map<String, String> settings, SnapshotPins pins, Clock clock)
      throws StoreOpenException {
    String clusterFile = settings.getOrDefault("cluster-file", "");
    if (!clusterFile.isEmpty() && !Files.isReadable(Path.of(clusterFile))) {
      throw new StoreOpenException(
          "the cluster file "
              + clusterFile
              + " is not there or can't be read; copy it from a machine of the cluster, where it is"
              + " /etc/foundationdb/fdb.cluster",
          null);
    }
    Database database = database(clusterFile);
    try {
      return FdbPageStore.open(
          database,
          new FdbPageStore.Settings(
              settings.getOrDefault("prefix", "grpsqlite"),
              Retention.parse(settings.getOrDefault("retention", "10m")),
              FdbPageStore.BEAT,
              FdbPageStore.COLLECT_EVERY,
              FdbPageStore.DEAD_AFTER),
          pins,
          clock);
    } catch (StoreException e) {
      throw new StoreOpenException(
          "the FoundationDB cluster "
              + (clusterFile.isEmpty() ? "of the default cluster file" : "of " + clusterFile)
              + " does not answer ("
              + e.getMessage()
              + "); ask fdbcli --exec status what it lacks",
          e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StoreOpenException("interrupted", e);
    }
  }

  static Database database(String clusterFile) throws StoreOpenException {
    try {
      synchronized (LOADING) {
        useLibraryOf(System.getenv("FDB_HOME"));
        FDB fdb = FDB.selectAPIVersion(API_VERSION);
        Database database = clusterFile.isEmpty() ? fdb.open() : fdb.open(clusterFile);
        database.options().setTransactionTimeout(TRANSACTION_TIMEOUT_MS);
        return database;
      }
    } catch (LinkageError e) {
      throw new StoreOpenException(
          "FoundationDB's client library libfdb_c.so can't be loaded ("
              + e.getMessage()
              + "); install the package foundationdb-clients 7.3, or set FDB_HOME to a folder that"
              + " has lib/libfdb_c.so",
          e);
    } catch (FDBException e) {
      throw new StoreOpenException(
          "FoundationDB can't be used: " + e.getMessage() + " (" + e.getCode() + ")", e);
    }
  }

  /** The binding loads it from where this property says, if it is set. */
  private static void useLibraryOf(String home) {
    String property = "FDB_LIBRARY_PATH_FDB_C";
    if (home != null && System.getProperty(property) == null) {
      Path library = Path.of(home, "lib", "libfdb_c.so");
      if (Files.isReadable(library)) {
        System.setProperty(property, library.toAbsolutePath().toString());
      }
    }
  }
}
