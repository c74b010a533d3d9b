package dev.grpsqlite.server.wire;

/** What the services count, once for each answer. Thread-safe and quick. */
public interface Traffic {
  void pagesRead(long pages, long bytes);

  /** Of the pages read, those that were sent without being asked for. */
  void pagesAhead(long pages);

  void pagesWritten(long pages, long bytes);

  void committed();
}
