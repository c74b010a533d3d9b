package dev.grpsqlite.server.wire;

import com.google.protobuf.ByteString;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import java.nio.ByteBuffer;

/** Identities on the wire: 16 bytes each. Anything else is INVALID_REQUEST. */
public final class Ids {
  private static final int BYTES = 16;

  private Ids() {}

  public static SessionId session(ByteString bytes) {
    return SessionId.read(checked("session_id", bytes));
  }

  public static DatabaseId database(ByteString bytes) {
    return DatabaseId.read(checked("database_id", bytes));
  }

  public static StageId stage(ByteString bytes) {
    return StageId.read(checked("stage_id", bytes));
  }

  public static CommitId commit(ByteString bytes) {
    return CommitId.read(checked("commit_id", bytes));
  }

  public static ByteString bytes(DatabaseId id) {
    ByteBuffer buffer = ByteBuffer.allocate(BYTES);
    id.write(buffer);
    return ByteString.copyFrom(buffer.flip());
  }

  private static ByteBuffer checked(String field, ByteString bytes) {
    if (bytes.size() != BYTES) {
      throw RequestException.invalid(field + " has " + bytes.size() + " bytes instead of " + BYTES);
    }
    return bytes.asReadOnlyByteBuffer();
  }
}
