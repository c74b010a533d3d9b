package dev.grpsqlite.server.fdb;

import java.nio.ByteBuffer;

/**
 * What is known of a stage.
 *
 * @param version the one its images are under: that behind the head when it was begun
 * @param attempt the number its images are under; no other stage's images have it
 * @param epoch of the lease it was begun under, and is of use under
 * @param chunks how many lists of its pages there are. Whoever adds one counts it here, so that a
 *     commit that has read so many has read them all
 * @param process that began it, and alone adds to it if calls are not counted. A client that goes
 *     to another one, because this one did not answer, begins anew: else what this one does late
 *     could undo what the other did since
 * @param calls the number of the last one of which all is there; see {@link
 *     dev.grpsqlite.server.spi.StageCalls}
 */
record StageRecord(
    long version, long attempt, long epoch, int pageSize, int chunks, long process, long calls) {

  byte[] bytes() {
    return ByteBuffer.allocate(48)
        .putLong(version)
        .putLong(attempt)
        .putLong(epoch)
        .putInt(pageSize)
        .putInt(chunks)
        .putLong(process)
        .putLong(calls)
        .array();
  }

  static StageRecord read(byte[] value) {
    ByteBuffer from = ByteBuffer.wrap(value);
    return new StageRecord(
        from.getLong(),
        from.getLong(),
        from.getLong(),
        from.getInt(),
        from.getInt(),
        from.getLong(),
        from.getLong());
  }

  /**
   * @param done the number of the last call of which all is there then
   */
  StageRecord withAnotherChunk(long done) {
    return new StageRecord(version, attempt, epoch, pageSize, chunks + 1, process, done);
  }
}
