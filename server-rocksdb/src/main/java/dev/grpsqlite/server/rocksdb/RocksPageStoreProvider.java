package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.PageStoreProvider;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StoreOpenException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Map;

/** {@code rocksdb-server}: the durable default. */
public final class RocksPageStoreProvider implements PageStoreProvider {
  private static final long LEAST_CACHE_BYTES = 8 << 20;

  @Override
  public String name() {
    return "rocksdb";
  }

  @Override
  public List<Setting> settings() {
    return List.of(
        new Setting(
            "data",
            "DIR",
            "Folder of the data; made if it is not there.",
            "",
            true,
            RocksPageStoreProvider::pathProblem),
        new Setting(
            "block-cache",
            "SIZE",
            "Memory for pages that were read, e.g. 64MiB or 2GiB.",
            "64MiB",
            false,
            value -> Quantities.sizeProblem(value, LEAST_CACHE_BYTES)),
        new Setting(
            "retention",
            "HOW-LONG",
            "How far back versions are kept: " + Retention.SYNTAX + ".",
            "10m",
            false,
            Retention::problem),
        new Setting(
            "read-threads",
            "N",
            "Threads that read from the disk what is not in memory.",
            "8",
            false,
            value -> Quantities.countProblem(value, 1, 256)));
  }

  private static String pathProblem(String value) {
    try {
      return Path.of(value).toString().isEmpty() ? "name a folder" : "";
    } catch (InvalidPathException e) {
      return "not a path: " + e.getReason();
    }
  }

  @Override
  public PageStore open(Map<String, String> settings, SnapshotPins pins, Clock clock)
      throws StoreOpenException {
    return RocksPageStore.open(
        new RocksPageStore.Settings(
            Path.of(value(settings, "data")),
            Quantities.size(value(settings, "block-cache")),
            Retention.parse(value(settings, "retention")),
            Integer.parseInt(value(settings, "read-threads")),
            RocksPageStore.DATABASES_IN_MEMORY,
            RocksPageStore.COLLECT_FIRST,
            RocksPageStore.COLLECT_EVERY,
            Runtime.getRuntime().maxMemory() / 4,
            null),
        pins,
        clock);
  }

  private String value(Map<String, String> settings, String name) {
    String given = settings.get(name);
    if (given != null) {
      return given;
    }
    for (Setting setting : settings()) {
      if (setting.name().equals(name)) {
        return setting.defaultValue();
      }
    }
    throw new IllegalArgumentException("no setting " + name);
  }
}
