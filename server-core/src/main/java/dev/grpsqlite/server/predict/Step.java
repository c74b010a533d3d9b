package dev.grpsqlite.server.predict;

/** What came of looking for something in pages. */
enum Step {
  DONE,
  /** It is not there. */
  NONE,
  /** A page is missing, and wanted; to be done again when it is at hand. */
  BLOCKED
}
