package dev.grpsqlite.server.fdb;

import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.ForkPoint;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What never changes of a database.
 *
 * @param origins where pages are that it did not write itself: what it was forked from, what that
 *     was forked from, and so on
 * @param forkedFrom what people are told of that; null if it is no fork
 */
record DatabaseRecord(
    DatabaseId id,
    String name,
    long createdAtMillis,
    List<Origin> origins,
    @Nullable ForkPoint forkedFrom) {

  /** A version of another database. */
  record Origin(DatabaseId database, long version) {}

  byte[] bytes() {
    byte[] nameBytes = name.getBytes(StandardCharsets.UTF_8);
    byte[] parent =
        forkedFrom == null ? new byte[0] : forkedFrom.parentName().getBytes(StandardCharsets.UTF_8);
    int point = forkedFrom == null ? 0 : 8 + CommitId.BYTES + parent.length;
    ByteBuffer to =
        ByteBuffer.allocate(
            8 + 4 + nameBytes.length + 4 + origins.size() * (DatabaseId.BYTES + 8) + point);
    to.putLong(createdAtMillis).putInt(nameBytes.length).put(nameBytes).putInt(origins.size());
    for (Origin origin : origins) {
      origin.database.write(to);
      to.putLong(origin.version);
    }
    if (forkedFrom != null) {
      to.putLong(forkedFrom.version());
      forkedFrom.id().write(to);
      to.put(parent);
    }
    return to.array();
  }

  static DatabaseRecord read(DatabaseId id, byte[] value) {
    ByteBuffer from = ByteBuffer.wrap(value);
    long createdAtMillis = from.getLong();
    String name = text(from, from.getInt());
    int count = from.getInt();
    List<Origin> origins = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      origins.add(new Origin(DatabaseId.read(from), from.getLong()));
    }
    return new DatabaseRecord(
        id, name, createdAtMillis, List.copyOf(origins), from.hasRemaining() ? point(from) : null);
  }

  private static ForkPoint point(ByteBuffer from) {
    long version = from.getLong();
    CommitId commit = CommitId.read(from);
    return new ForkPoint(text(from, from.remaining()), version, commit);
  }

  private static String text(ByteBuffer from, int length) {
    byte[] bytes = new byte[length];
    from.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }
}
