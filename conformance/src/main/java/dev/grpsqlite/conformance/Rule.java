package dev.grpsqlite.conformance;

/**
 * Something that a server must do.
 *
 * @param number by which people, known-failures files and reports name it; never used again for
 *     another rule
 * @param need which servers it is for
 * @param strength what it means if a server does otherwise
 * @param lasts whether checking it takes as long as a lease lives
 * @param text what the server must do, for its author
 */
record Rule(String number, Need need, Strength strength, boolean lasts, String text, Check check) {

  enum Strength {
    /** A client may lose data, or hang, or not work at all. */
    REQUIRED,
    /** Clients work, but tell less, or later, what is wrong. */
    RECOMMENDED
  }

  static Rule required(String number, Need need, String text, Check check) {
    return new Rule(number, need, Strength.REQUIRED, false, text, check);
  }

  /** One that is checked by waiting until leases or sessions end. */
  static Rule requiredInTime(String number, Need need, String text, Check check) {
    return new Rule(number, need, Strength.REQUIRED, true, text, check);
  }

  static Rule recommended(String number, Need need, String text, Check check) {
    return new Rule(number, need, Strength.RECOMMENDED, false, text, check);
  }

  boolean isRequired() {
    return strength == Strength.REQUIRED;
  }
}
