package dev.grpsqlite.e2e.history;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * One thing that a transaction did. As text: a letter for the kind, the key, a colon, the values
 * with commas between.
 *
 * @param values what was written or read; empty for a read that was planned and not made
 */
public record Step(Kind kind, long key, List<Long> values) {
  /** What is done. */
  public enum Kind {
    /** Appends the value to the list of the key. */
    APPEND('a'),
    /** Reads the list of the key. */
    LIST('l'),
    /** Sets the register of the key. */
    SET('w'),
    /** Reads the register of the key. */
    GET('g'),
    /** Compare and set: expected, new, and once made 1 if it was equal, else 0. */
    SWAP('s'),
    /** Moves from the account of the key: to, amount. */
    MOVE('m'),
    /** Reads all balances. */
    BALANCES('b');

    private final char letter;

    Kind(char letter) {
      this.letter = letter;
    }
  }

  public Step {
    values = List.copyOf(values);
  }

  public static Step of(Kind kind, long key, Long... values) {
    return new Step(kind, key, List.of(values));
  }

  static Step parse(String text) {
    int colon = text.indexOf(':');
    for (Kind kind : Kind.values()) {
      if (kind.letter == text.charAt(0)) {
        String values = text.substring(colon + 1);
        return new Step(
            kind,
            Long.parseLong(text.substring(1, colon)),
            values.isEmpty()
                ? List.of()
                : Arrays.stream(values.split(",", -1)).map(Long::valueOf).toList());
      }
    }
    throw new IllegalArgumentException("not a step: " + text);
  }

  /** Whether it is more than a read. */
  boolean writes() {
    return switch (kind) {
      case APPEND, SET, SWAP, MOVE -> true;
      case LIST, GET, BALANCES -> false;
    };
  }

  @Override
  public String toString() {
    return kind.name().toLowerCase(Locale.ROOT) + " " + key + " " + values;
  }
}
