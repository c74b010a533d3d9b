package dev.grpsqlite.server.file;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SessionId;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.Optional;

/**
 * What a {@code lease_id} stands for. The server need not remember it: the id says all, and since
 * it has the secret of a session in it, who has it was given it. grpc_vfs.proto tells clients of
 * the page service how to make one.
 */
record FileLease(SessionId session, long epoch, DatabaseId database) {
  private static final int BYTES = SessionId.BYTES + Long.BYTES + DatabaseId.BYTES;

  String encode() {
    ByteBuffer bytes = ByteBuffer.allocate(BYTES);
    session.write(bytes);
    bytes.putLong(epoch);
    database.write(bytes);
    return HexFormat.of().formatHex(bytes.array());
  }

  /** Empty if no server of this kind made it. */
  static Optional<FileLease> decode(String id) {
    if (id.length() != 2 * BYTES) {
      return Optional.empty();
    }
    ByteBuffer bytes;
    try {
      bytes = ByteBuffer.wrap(HexFormat.of().parseHex(id));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
    return Optional.of(
        new FileLease(SessionId.read(bytes), bytes.getLong(), DatabaseId.read(bytes)));
  }
}
