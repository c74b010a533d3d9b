package dev.grpsqlite.cli;

import dev.grpsqlite.proto.v1.DatabaseInfo;
import dev.grpsqlite.proto.v1.Retention;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;

/** A database as the commands show it. */
final class Databases {
  private Databases() {}

  static Map<String, Object> shape(DatabaseInfo info) {
    Map<String, Object> shape = new LinkedHashMap<>();
    shape.put("name", info.getName());
    shape.put("id", HexFormat.of().formatHex(info.getDatabaseId().toByteArray()));
    shape.put("version", info.getHeadVersion());
    shape.put("oldest_version", info.getOldestVersion());
    shape.put("page_size", info.getPageSize());
    shape.put("page_count", Integer.toUnsignedLong(info.getPageCount()));
    shape.put("bytes", bytes(info));
    shape.put("created_at", Quantity.time(info.getCreatedAt()));
    shape.put("committed_at", info.hasCommittedAt() ? Quantity.time(info.getCommittedAt()) : null);
    shape.put("retention", info.hasRetention() ? retention(info.getRetention()) : null);
    shape.put("forked_from", info.getForkedFrom().isEmpty() ? null : info.getForkedFrom());
    shape.put(
        "forked_at_version", info.getForkedFrom().isEmpty() ? null : info.getForkedAtVersion());
    return shape;
  }

  static long bytes(DatabaseInfo info) {
    return Integer.toUnsignedLong(info.getPageCount()) * info.getPageSize();
  }

  /** Nothing was ever committed to it: to SQLite it is an empty file. */
  static boolean isEmpty(DatabaseInfo info) {
    return info.getHeadVersion() == 0 && info.getPageCount() == 0;
  }

  private static String retention(Retention retention) {
    return retention.getForever()
        ? "forever"
        : (retention.hasDuration() ? retention.getDuration().getSeconds() + " s" : "")
            + (retention.hasDuration() && retention.getVersions() > 0 ? " and " : "")
            + (retention.getVersions() > 0 ? retention.getVersions() + " versions" : "");
  }
}
