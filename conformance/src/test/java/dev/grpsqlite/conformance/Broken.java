package dev.grpsqlite.conformance;

import java.util.function.Consumer;

/**
 * A server that does not keep one rule.
 *
 * @param rule the number
 * @param base which good server it is made of
 * @param what it does wrong, for people
 */
record Broken(String rule, Base base, String what, Consumer<Faults> faults) {
  enum Base {
    /** Can all that there is. */
    VERSIONED,
    /** The same, where sessions live for a short time. */
    HASTY,
    /** Keeps no old versions. */
    MEMORY,
    /** The same without atomic batches, and so without the page service. */
    WRITE_THROUGH
  }

  static Broken of(String rule, String what, Consumer<Faults> faults) {
    return new Broken(rule, Base.VERSIONED, what, faults);
  }

  static Broken of(String rule, Base base, String what, Consumer<Faults> faults) {
    return new Broken(rule, base, what, faults);
  }

  @Override
  public String toString() {
    return rule + ": " + what;
  }
}
