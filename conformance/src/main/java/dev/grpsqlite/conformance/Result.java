package dev.grpsqlite.conformance;

/**
 * What came of one rule.
 *
 * @param detail why, where it is not kept or was not checked; empty otherwise
 */
record Result(Rule rule, Kind kind, String detail, long millis) {
  enum Kind {
    PASSED("ok"),
    FAILED("FAILED"),
    /** A recommended rule is not kept. */
    MISSED("missed"),
    /** It is not kept, and the known-failures file says so. */
    KNOWN("known"),
    /** It is kept although the known-failures file says otherwise. */
    FIXED("FIXED"),
    /** It is not about this server. */
    SKIPPED("-");

    private final String word;

    Kind(String word) {
      this.word = word;
    }

    String word() {
      return word;
    }
  }

  boolean isBad() {
    return kind == Kind.FAILED || kind == Kind.FIXED;
  }
}
