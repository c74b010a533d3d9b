package dev.grpsqlite.cli;

/** What is shown to a person. */
final class Terminal {
  private Terminal() {}

  /** Nothing that a terminal would obey: names are anybody's. */
  static String shown(String text) {
    if (text.chars().noneMatch(Character::isISOControl)) {
      return text;
    }
    StringBuilder shown = new StringBuilder();
    text.chars()
        .forEach(
            c -> {
              if (Character.isISOControl(c)) {
                shown.append(String.format("\\u%04x", c));
              } else {
                shown.append((char) c);
              }
            });
    return shown.toString();
  }
}
