package dev.grpsqlite.server.wire;

/** What the services count. Thread-safe and quick. */
public interface Traffic {
  void pageRead(long bytes);

  void pagesWritten(long pages, long bytes);

  void committed();
}
