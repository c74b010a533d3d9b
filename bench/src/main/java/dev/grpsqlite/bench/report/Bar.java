package dev.grpsqlite.bench.report;

/** What a figure's median has to reach. */
public record Bar(Relation relation, double limit) {
  /** How the median has to stand to the limit. */
  public enum Relation {
    BELOW("<"),
    AT_MOST("≤"),
    AT_LEAST("≥"),
    /** For information. */
    NONE("");

    private final String sign;

    Relation(String sign) {
      this.sign = sign;
    }
  }

  public static final Bar NONE = new Bar(Relation.NONE, 0);

  public static Bar below(double limit) {
    return new Bar(Relation.BELOW, limit);
  }

  public static Bar atMost(double limit) {
    return new Bar(Relation.AT_MOST, limit);
  }

  public static Bar atLeast(double limit) {
    return new Bar(Relation.AT_LEAST, limit);
  }

  boolean holds(double value) {
    return switch (relation) {
      case BELOW -> value < limit;
      case AT_MOST -> value <= limit;
      case AT_LEAST -> value >= limit;
      case NONE -> true;
    };
  }

  String text(String unit) {
    return relation == Relation.NONE
        ? ""
        : (relation.sign + " " + Text.number(limit) + " " + unit).strip();
  }
}
