package dev.grpsqlite.server.page;

import dev.grpsqlite.server.session.Heads;
import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.Snapshot;

/** SPI values as the page service tells them. */
final class Messages {
  private Messages() {}

  static dev.grpsqlite.proto.v1.Snapshot of(Snapshot snapshot) {
    return dev.grpsqlite.proto.v1.Snapshot.newBuilder()
        .setVersion(snapshot.version())
        .setPageSize(snapshot.pageSize())
        .setPageCount((int) snapshot.pageCount())
        .setMark(snapshot.mark())
        .build();
  }

  /** What changed. */
  static dev.grpsqlite.proto.v1.Changes changes(Heads.Move move) {
    Changes changes = move.changes();
    dev.grpsqlite.proto.v1.Changes.Builder message =
        dev.grpsqlite.proto.v1.Changes.newBuilder()
            .setAll(changes.all())
            .setOtherHistory(move.otherHistory());
    for (long page : changes.pages()) {
      message.addPages((int) page);
    }
    return message.build();
  }
}
