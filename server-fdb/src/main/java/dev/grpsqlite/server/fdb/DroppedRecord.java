package dev.grpsqlite.server.fdb;

import java.nio.ByteBuffer;

/**
 * A database that was dropped and is needed by forks.
 *
 * @param head its newest version
 * @param purged what no fork needs is deleted
 */
record DroppedRecord(DatabaseRecord database, VersionRecord head, boolean purged) {

  byte[] bytes() {
    byte[] newest = head.bytes();
    byte[] created = database.bytes();
    return ByteBuffer.allocate(1 + 4 + newest.length + created.length)
        .put((byte) (purged ? 1 : 0))
        .putInt(newest.length)
        .put(newest)
        .put(created)
        .array();
  }

  static DroppedRecord read(dev.grpsqlite.server.spi.DatabaseId id, byte[] value) {
    ByteBuffer from = ByteBuffer.wrap(value);
    boolean purged = from.get() != 0;
    byte[] newest = new byte[from.getInt()];
    from.get(newest);
    byte[] created = new byte[from.remaining()];
    from.get(created);
    return new DroppedRecord(DatabaseRecord.read(id, created), VersionRecord.read(newest), purged);
  }

  DroppedRecord afterPurge() {
    return new DroppedRecord(database, head, true);
  }
}
